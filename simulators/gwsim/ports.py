# SPDX-License-Identifier: Apache-2.0
"""Where a device is reached: a UDP socket or a pseudo terminal. A port joins device, link and reactor."""
import fcntl
import os
import pty
import socket
import termios
import tty

from . import framing
from .link import DOWN, UP, Link

MAX_BURST = 64


class Port:
    """What both have in common: when the device must run, and whether the port is there."""

    def __init__(self, reactor, device):
        self.reactor = reactor
        self.device = device
        self.link = Link(device.options, device.index)
        self._wake = None
        self._resets = 0
        self.options_changed()

    @property
    def present(self):
        """Whether the computer shall find the device."""
        return self.device.port_present

    def options_changed(self):
        self.device.refresh()
        self.plain = self.link.plain

    def pump(self):
        """To be called after anything was done to the device from outside."""
        self._after(self.device.run(self.reactor.now()))

    def _after(self, answers):
        for when, peer, answer in answers:
            self.transmit(when, peer, answer)
        resets, self._resets = self._resets, self.device.stats["resets"]
        if self.device.options.reset_unplugs and resets != self._resets and self.is_open:
            self.close()  # gone with the reset, also where the device is up again by now
        if self.present != self.is_open:
            if self.is_open:
                self.close()
            else:
                self.open()
        when = self.device.wake()
        if when is None:
            return
        if self._wake and self._wake[0] == when and self._wake[2]:
            return
        if self._wake:
            self.reactor.cancel(self._wake)
        self._wake = self.reactor.at(when, self._on_wake)

    def _on_wake(self):
        self._wake = None
        self.pump()


class UdpPort(Port):
    kind = "udp"

    def __init__(self, reactor, device, host, port):
        self.host, self.port = host, port
        self.socket = None
        super().__init__(reactor, device)
        self.open()

    @property
    def is_open(self):
        return self.socket is not None

    def open(self):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind((self.host, self.port))
        self.port = self.socket.getsockname()[1]
        self.reactor.add(self.socket.fileno(), self._readable)

    def close(self):
        if self.socket:
            self.reactor.remove(self.socket.fileno())
            self.socket.close()
            self.socket = None

    def address(self):
        return {"transport": "udp", "address": self.host, "port": self.port}

    def _readable(self):
        now, burst, receive, mtu = self.reactor.now(), [], self.socket.recvfrom, self.device.options.mtu
        try:
            while len(burst) < MAX_BURST:
                message = receive(65536)
                if not mtu or len(message[0]) <= mtu:
                    burst.append(message)
        except BlockingIOError:
            pass
        except ConnectionError:
            pass  # an earlier answer found nobody
        if not burst:
            return
        if not self.plain:
            for data, peer in burst:
                for when in self.link.carry(UP, now, len(data)):
                    self.reactor.at(when, self._arrive, when, data, peer)
        elif len(burst) == 1:
            data, peer = burst[0]
            self._after(self.device.receive(now, data, peer))
        else:
            self._after(self.device.receive_burst(now, burst))

    def _arrive(self, when, data, peer):
        self._after(self.device.receive(when, data, peer))

    def transmit(self, when, peer, answer):
        mtu = self.device.options.mtu
        if mtu and len(answer) > mtu:
            return
        if self.plain and when <= self.reactor.now():
            self._send(answer, peer)
            return
        chance = self.link.random
        if self.device.options.garbage and chance.random() < self.device.options.garbage:
            self.reactor.at(when, self._send, chance.randbytes(chance.randrange(1, 64)), peer)
        for arrival in self.link.carry(DOWN, when, len(answer)):
            self.reactor.at(arrival, self._send, answer, peer)

    def _send(self, data, peer):
        if self.socket:
            try:
                self.socket.sendto(data, peer)
            except OSError:
                pass  # nobody there any more, or its queue is full: lost, as on a network


class SerialPort(Port):
    """A pseudo terminal under a name of our choice. The name is a link to it, as udev's names are."""

    kind = "serial"
    LOG = ("[{:02d}:{:02d}:{:02d}.{:03d},000] <inf> smp_sample: heartbeat {}\r\n",
           "[{:02d}:{:02d}:{:02d}.{:03d},000] <wrn> sensor: no answer, try {}\r\n",
           "uart:~$ {}{}{}{}{}\r\n")

    def __init__(self, reactor, openings, device, name, sysfs=None):
        self.openings = openings
        self.sysfs = sysfs
        self._watch = None
        self.name = self.first_name = name
        self.master = self.slave = None
        self._paused = False
        self._times_opened = 0  # also tells an old opening from the present one, which may have the same descriptor
        self._line_free = [0.0, 0.0]
        self.garbage_lines = 0
        device.framing_overhead = 4
        super().__init__(reactor, device)
        self.decoder = framing.Decoder(max_packet=65535)
        self.open()

    def options_changed(self):
        baud = self.device.options.baud
        self.device.transmit_time = (lambda size: framing.encoded_size(size) * 10 / baud) if baud else None
        super().options_changed()

    @property
    def is_open(self):
        return self.master is not None

    def open(self):
        self._times_opened += 1
        if self.device.options.renames and self._times_opened > 1:
            self.name = f"{self.first_name}-{self._times_opened}"
        # The slave stays open here: the device must not notice when a program closes the port.
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        if self.sysfs:
            self.sysfs.add(self.device, (os.path.basename(self.name), os.path.basename(os.ttyname(self.slave))))
        self._point_link()
        self.decoder = framing.Decoder(max_packet=65535)
        self._paused = False
        self._watch = self.openings.watch(os.ttyname(self.slave), self._nobody_listens)
        self.reactor.add(self.master, self._readable)

    def _nobody_listens(self):
        """The last program has closed the port: a real one forgets what was not read, and who wanted it alone."""
        termios.tcflush(self.slave, termios.TCIFLUSH)
        fcntl.ioctl(self.slave, termios.TIOCNXCL)

    def _point_link(self):
        folder = os.path.dirname(self.name)
        if folder:
            os.makedirs(folder, exist_ok=True)
        temporary = f"{self.name}.{os.getpid()}"
        os.symlink(os.ttyname(self.slave), temporary)
        os.replace(temporary, self.name)

    def close(self):
        if not self.is_open:
            return
        if not self._paused:
            self.reactor.remove(self.master)
        try:
            if os.readlink(self.name) == os.ttyname(self.slave):
                os.unlink(self.name)
        except OSError:
            pass  # somebody else removed it
        if self.sysfs:
            self.sysfs.remove(self.device)
        self.openings.forget(self._watch)
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = None

    def address(self):
        return {"transport": "serial", "path": self.name, "tty": os.ttyname(self.slave) if self.is_open else None}

    # --- to the device ------------------------------------------------------------------------------------------

    def _readable(self):
        self.openings.look()
        try:
            data = os.read(self.master, 4096)
        except (BlockingIOError, OSError):
            return
        now, baud = self.reactor.now(), self.device.options.baud
        if self.device.options.baud_check and not self._same_speed(baud):
            self.decoder.noise += 1
            return
        start = max(now, self._line_free[UP])
        per_byte = 10 / baud if baud else 0.0
        self._line_free[UP] = start + len(data) * per_byte
        for message, end in self.decoder.feed(data):
            arrival = start + end * per_byte
            for when in self._carried(UP, arrival, len(message)):
                if when <= now:
                    self._arrive(when, self._times_opened, message)
                else:
                    self.reactor.at(when, self._arrive, when, self._times_opened, message)
        if self._line_free[UP] - now > 0.02 and self.is_open:
            self._pause(self._line_free[UP] - 0.01)

    def _same_speed(self, baud):
        return termios.tcgetattr(self.slave)[5] == getattr(termios, f"B{baud}", None)

    def _pause(self, until):
        """The line is busy: what was not read yet waits in the terminal, and then its writer."""
        self._paused = True
        self.reactor.remove(self.master)
        self.reactor.at(until, self._resume, self._times_opened)

    def _resume(self, opening):
        if opening == self._times_opened and self._paused and self.is_open:
            self._paused = False
            self.reactor.add(self.master, self._readable)

    def _carried(self, direction, when, size):
        options = self.device.options
        self.link.bytes[direction] += framing.encoded_size(size)
        self.link.messages[direction] += 1
        if options.loss and self.link.random.random() < options.loss:
            self.link.lost[direction] += 1
            return []
        return [when + options.latency_ms / 1000]

    def _arrive(self, when, opening, message):
        if opening == self._times_opened and self.is_open:
            self._after(self.device.receive(when, message))

    # --- from the device ----------------------------------------------------------------------------------------

    def transmit(self, when, peer, answer):
        options, chance = self.device.options, self.link.random
        lines = framing.encode_lines(answer)
        if options.garbage:
            lines = self._with_log_text(lines)
        data = b"".join(lines)
        begin = max(when, self._line_free[DOWN])
        end = self._line_free[DOWN] = begin + (len(data) * 10 / options.baud if options.baud else 0.0)
        arrivals = self._carried(DOWN, end, len(answer))
        if not arrivals:
            # What a disturbed line does: the frame arrives, but damaged.
            position = chance.randrange(2, len(data) - 1)
            data = data[:position] + bytes((data[position] ^ 0x15,)) + data[position + 1:]
            arrivals = [end + options.latency_ms / 1000]
        self._write_at(arrivals[0], data)

    def _write_at(self, when, data):
        if when <= self.reactor.now():
            self._write(self._times_opened, data)
        else:
            self.reactor.at(when, self._write, self._times_opened, data)

    def _with_log_text(self, lines):
        options, chance, mixed = self.device.options, self.link.random, []
        for line in lines:
            while chance.random() < min(options.garbage, 0.9):
                text = chance.choice(self.LOG).format(chance.randrange(24), chance.randrange(60), chance.randrange(60),
                                                      chance.randrange(1000), chance.randrange(100))
                mixed.append(text.encode())
                self.garbage_lines += 1
            mixed.append(line)
        return mixed

    def _write(self, opening, data):
        if opening != self._times_opened or not self.is_open or not self.openings.count(self._watch):
            return
        try:
            os.write(self.master, data)
        except OSError:
            pass  # nobody reads: a serial line does not wait either
