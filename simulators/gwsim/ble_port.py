# SPDX-License-Identifier: Apache-2.0
"""A device on Bluetooth LE: a message is written and notified in pieces, and the port is there while the device runs, by advertising."""
from .link import DOWN, UP
from .ports import Port

HEADER_SIZE = 8


class Assembly:
    """Messages from pieces, as a device does it: by the length in the header, which the first piece must hold whole. A piece that is too
    long for what is missing, or a message that is too long, costs the whole message; nobody is told."""

    def __init__(self):
        self._parts = b""
        self._size = 0

    def clear(self):
        self._parts = b""

    def add(self, piece, limit):
        """The message that `piece` makes complete, or None."""
        if not self._parts:
            if len(piece) < HEADER_SIZE:
                return None
            self._size = HEADER_SIZE + int.from_bytes(piece[2:4], "big")
            if self._size > limit:
                return None
        if len(self._parts) + len(piece) > self._size:
            self.clear()
            return None
        self._parts += piece
        if len(self._parts) < self._size:
            return None
        message, self._parts = self._parts, b""
        return message


class BlePort(Port):
    """peripherals: the device's addresses. With more than one it comes back under the next one after each reset."""

    kind = "ble"

    def __init__(self, reactor, device, peripherals):
        self.peripherals = list(peripherals)
        self.is_open = False
        self.assembly = Assembly()
        for peripheral in self.peripherals:
            peripheral.on_datagram = lambda data, peripheral=peripheral: self._received(peripheral, data)
            peripheral.on_link = lambda connected, peripheral=peripheral: self._link_changed(peripheral, connected)
        super().__init__(reactor, device)
        self.open()

    @property
    def peripheral(self):
        return self.peripherals[self.device.stats["boots"] % len(self.peripherals)]

    @property
    def name(self):
        options = self.device.options
        name = options.adv_name_after if self.device.stats["boots"] and options.adv_name_after else options.adv_name
        return name.format(self.device.index) if "{" in name else name

    @property
    def present(self):
        """A device that went away has dropped its link before it can be found again, under whatever address."""
        if not self.is_open and any(peripheral.connected for peripheral in self.peripherals):
            return False
        return self.device.port_present and self.device.phase == "running"

    def options_changed(self):
        super().options_changed()
        for peripheral in self.peripherals:
            peripheral.refresh_ms = self.device.options.adv_refresh_ms
            if peripheral.battery:
                peripheral.battery.tell(self.device.options.battery)

    def open(self):
        self.is_open = True
        self.peripheral.show(self.name)

    def close(self):
        self.is_open = False
        self.assembly.clear()
        for peripheral in self.peripherals:
            peripheral.hide()

    def address(self):
        return {"transport": "ble", "adapter": self.peripheral.adapter, "address": self.peripheral.address(), "name": self.name}

    def _link_changed(self, peripheral, connected):
        self.assembly.clear()
        self.pump()
        self.device.event("link-up" if connected else "link-down", adapter=peripheral.adapter)

    # --- to the device ------------------------------------------------------------------------------------------

    def _received(self, peripheral, data):
        if not self.is_open or peripheral is not self.peripheral:
            return
        if self.plain:
            self._arrive(self.reactor.now(), data)
            return
        for when in self.link.carry(UP, self.reactor.now(), len(data)):
            self.reactor.at(when, self._arrive, when, data)

    def _arrive(self, when, data):
        if not self.device.listening:
            self.assembly.clear()
            return
        options = self.device.options
        message = self.assembly.add(data, options.max_frame or options.buf_size)
        if message:
            self._after(self.device.receive(when, message))

    # --- from the device ----------------------------------------------------------------------------------------

    def transmit(self, when, peer, answer):
        limit = self.device.options.max_notification
        size = min(limit, self.peripheral.max_notification) if limit else self.peripheral.max_notification
        for start in range(0, len(answer), size):
            self._send_piece(when, answer[start:start + size])

    def _send_piece(self, when, piece):
        if self.plain and when <= self.reactor.now():
            self._notify(self.peripheral, piece)
            return
        for arrival in self.link.carry(DOWN, when, len(piece)):
            self.reactor.at(arrival, self._notify, self.peripheral, piece)

    def _notify(self, peripheral, piece):
        if self.is_open and peripheral is self.peripheral:
            peripheral.channel.send(piece)
