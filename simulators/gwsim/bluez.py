# SPDX-License-Identifier: Apache-2.0
"""A Bluetooth LE peripheral on an adapter of this computer, through BlueZ: a GATT service with one characteristic as a channel of datagrams.

What a peripheral shall be (`on_air`, its name) and what BlueZ was last told are kept apart; `_settle` closes the gap, one call at a time, now and
at every tick. So it does not matter in which order bluetoothd comes, goes, loses its adapter or refuses.

Three things about BlueZ 5.66 as a peripheral: a write of 511 or 512 bytes never arrives, a notification above MTU - 5 is cut without a
word (`max_notification`), and what it calls the MTU of a link is told with the first write.
"""
import socket
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

from .reactor import Reactor

BLUEZ = "org.bluez"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
GATT_MANAGER, ADVERTISING = "org.bluez.GattManager1", "org.bluez.LEAdvertisingManager1"
SERVICE, CHARACTERISTIC, ADVERTISEMENT = "org.bluez.GattService1", "org.bluez.GattCharacteristic1", "org.bluez.LEAdvertisement1"
AGENT, AGENTS = "org.bluez.Agent1", "org.bluez.AgentManager1"
SMP_SERVICE = "8d53dc1d-1db7-4cd3-868b-8a527460aa84"
SMP_CHARACTERISTIC = "da2e7828-fbce-4e01-ae9e-261174997c48"
BATTERY_SERVICE, BATTERY_LEVEL = "180f", "2a19"
ROOT = "/org/gatewayd/simulated"
DEFAULT_MTU = 23
NOTIFICATION_OVERHEAD = 5
TICK_MS = 250
MAX_DATAGRAM = 1024
CALL_TIMEOUT_S = 20

# What a central must have done before it may write and subscribe -> flags of the characteristic.
FLAGS = {
    "open": ["write-without-response", "notify"],
    "encrypted": ["write-without-response", "notify", "encrypt-write", "encrypt-notify"],
    "authenticated": ["write-without-response", "notify", "encrypt-authenticated-write", "encrypt-authenticated-notify"],
}


class _Exported(dbus.service.Object):
    """An object with the properties of one interface."""

    def __init__(self, bus, path, interface, properties):
        self.path, self.interface, self.properties = path, interface, properties
        super().__init__(bus, path)

    @dbus.service.method(PROPERTIES, in_signature="s", out_signature="a{sv}")
    def GetAll(self, interface):
        return self.properties if interface == self.interface else {}

    @dbus.service.method(PROPERTIES, in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        return self.properties[name]

    @dbus.service.signal(PROPERTIES, signature="sa{sv}as")
    def PropertiesChanged(self, interface, changed, invalidated):
        pass


class _Application(dbus.service.Object):
    def __init__(self, bus, path, parts):
        self.parts = parts
        super().__init__(bus, path)

    @dbus.service.method(OBJECTS, out_signature="a{oa{sa{sv}}}")
    def GetManagedObjects(self):
        return {dbus.ObjectPath(part.path): {part.interface: part.properties} for part in self.parts}


class _Advertisement(_Exported):
    def __init__(self, bus, path, released):
        self._released = released
        super().__init__(bus, path, ADVERTISEMENT, {"Type": "peripheral"})

    def show(self, name, uuids):
        self.properties = {"Type": "peripheral", "LocalName": name}
        if uuids:
            self.properties["ServiceUUIDs"] = dbus.Array(uuids, "s")

    @dbus.service.method(ADVERTISEMENT)
    def Release(self):
        self._released()


class _Battery(_Exported):
    def __init__(self, bus, path, service):
        super().__init__(bus, path, CHARACTERISTIC, {"UUID": BATTERY_LEVEL, "Service": dbus.ObjectPath(service),
                                                     "Flags": dbus.Array(["read", "notify"], "s")})
        self.percent = 100

    @dbus.service.method(CHARACTERISTIC, in_signature="a{sv}", out_signature="ay")
    def ReadValue(self, options):
        return dbus.ByteArray(bytes((self.percent,)))

    @dbus.service.method(CHARACTERISTIC)
    def StartNotify(self):
        pass

    @dbus.service.method(CHARACTERISTIC)
    def StopNotify(self):
        pass

    def tell(self, percent):
        self.percent = percent
        self.PropertiesChanged(CHARACTERISTIC, {"Value": dbus.ByteArray(bytes((percent,)))}, [])


class _Channel(_Exported):
    """The characteristic. bluetoothd asks for a socket at the first write and at the subscription; where it does not (a bluetoothd
    without that), datagrams come and go as method calls and signals."""

    def __init__(self, bus, path, service, security, on_datagram):
        properties = {"UUID": SMP_CHARACTERISTIC, "Service": dbus.ObjectPath(service), "Flags": dbus.Array(FLAGS[security], "s"),
                      "WriteAcquired": False, "NotifyAcquired": False}
        super().__init__(bus, path, CHARACTERISTIC, properties)
        self._on_datagram = on_datagram
        self._sockets = {}      # what -> (socket, watch)
        self.subscribed = False
        self.mtu = DEFAULT_MTU

    @dbus.service.method(CHARACTERISTIC, in_signature="aya{sv}", byte_arrays=True)
    def WriteValue(self, value, options):
        self.mtu = int(options.get("mtu", self.mtu))
        self._on_datagram(bytes(value))

    @dbus.service.method(CHARACTERISTIC)
    def StartNotify(self):
        self.subscribed = True

    @dbus.service.method(CHARACTERISTIC)
    def StopNotify(self):
        self.subscribed = False

    @dbus.service.method(CHARACTERISTIC, in_signature="a{sv}", out_signature="hq")
    def AcquireWrite(self, options):
        return self._acquire("write", options, self._read)

    @dbus.service.method(CHARACTERISTIC, in_signature="a{sv}", out_signature="hq")
    def AcquireNotify(self, options):
        self.subscribed = True
        return self._acquire("notify", options, self._read)

    def _acquire(self, what, options, on_input):
        self._forget(what)
        self.mtu = int(options.get("mtu", DEFAULT_MTU))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        watch = GLib.io_add_watch(ours.fileno(), GLib.IO_IN | GLib.IO_HUP | GLib.IO_ERR, lambda *_: on_input(what, ours))
        self._sockets[what] = (ours, watch)
        return dbus.types.UnixFd(theirs.detach()), dbus.UInt16(self.mtu)

    def _read(self, what, ours):
        """True: go on watching."""
        while True:
            try:
                data = ours.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return True
            except OSError:
                data = b""
            if not data:
                if self._sockets.get(what, (None,))[0] is ours:
                    del self._sockets[what]
                    if what == "notify":
                        self.subscribed = False
                ours.close()
                return False
            self._on_datagram(data)
            if ours.fileno() < 0:
                return False

    def _forget(self, what):
        ours, watch = self._sockets.pop(what, (None, None))
        if ours:
            GLib.source_remove(watch)
            ours.close()

    def close(self):
        for what in list(self._sockets):
            self._forget(what)
        self.subscribed = False

    def send(self, data):
        """Whether it was taken; a notification that nobody subscribed to, or for which there is no room, is lost."""
        ours, _ = self._sockets.get("notify", (None, None))
        if ours:
            try:
                return ours.send(data) == len(data)
            except OSError:
                return False
        if self.subscribed:
            self.PropertiesChanged(CHARACTERISTIC, {"Value": dbus.ByteArray(data)}, [])
        return self.subscribed


class Rejected(dbus.DBusException):
    _dbus_error_name = "org.bluez.Error.Rejected"


class Agent(dbus.service.Object):
    """Answers for the peripherals of the process when a central pairs with one of them: agrees, and knows `passkey` as a device with a label
    does. bluetoothd asks it, the default agent, for every adapter; what is not ours is refused."""

    def __init__(self, bus, passkey, is_ours):
        self.passkey, self.is_ours = passkey, is_ours
        super().__init__(bus, ROOT + "/agent")

    def _check(self, device):
        if not self.is_ours(device):
            raise Rejected(f"{device} is not a simulated device's")

    @dbus.service.method(AGENT)
    def Release(self):
        pass

    @dbus.service.method(AGENT)
    def Cancel(self):
        pass

    @dbus.service.method(AGENT, in_signature="o", out_signature="u")
    def RequestPasskey(self, device):
        self._check(device)
        return dbus.UInt32(self.passkey)

    @dbus.service.method(AGENT, in_signature="ou")
    def RequestConfirmation(self, device, passkey):
        self._check(device)

    @dbus.service.method(AGENT, in_signature="o")
    def RequestAuthorization(self, device):
        self._check(device)

    @dbus.service.method(AGENT, in_signature="os")
    def AuthorizeService(self, device, uuid):
        self._check(device)


class Bluez:
    """bluetoothd as the peripherals of this process see it."""

    def __init__(self):
        dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
        self.bus = dbus.SystemBus()
        self.peripherals = []
        self.agent = None
        self._capability = None
        self._agent_registered = False
        self._complaint = None
        self.bus.watch_name_owner(BLUEZ, self._owner_changed)
        self.bus.add_signal_receiver(self._properties_changed, "PropertiesChanged", PROPERTIES, BLUEZ, path_keyword="path")
        self.bus.add_signal_receiver(self._added, "InterfacesAdded", OBJECTS, BLUEZ)
        self.bus.add_signal_receiver(self._removed, "InterfacesRemoved", OBJECTS, BLUEZ)
        self.present = False
        GLib.timeout_add(TICK_MS, self._tick)

    def use_agent(self, capability, passkey=0):
        """capability: as org.bluez.AgentManager1 names them; what all peripherals of this process can show or take in."""
        self.agent = Agent(self.bus, passkey,
                           lambda device: any(device.startswith(peripheral.adapter_path + "/") for peripheral in self.peripherals))
        self._capability = capability

    def call(self, path, interface, method, *arguments, done=lambda *_: None, failed=lambda problem: None):
        proxy = dbus.Interface(self.bus.get_object(BLUEZ, path, introspect=False), interface)
        getattr(proxy, method)(*arguments, reply_handler=done, error_handler=failed, timeout=CALL_TIMEOUT_S)

    def complain(self, text):
        """Once, not at every tick."""
        if text != self._complaint:
            self._complaint = text
            print(f"gatewayd-simulate: {text}", file=sys.stderr, flush=True)

    def _owner_changed(self, owner):
        self.present = bool(owner)
        self._agent_registered = False
        for peripheral in self.peripherals:
            peripheral.bluez_changed()

    def _properties_changed(self, interface, changed, invalidated, path=None):
        for peripheral in self.peripherals:
            if path == peripheral.adapter_path and interface == ADAPTER and "Powered" in changed:
                peripheral.power_changed(bool(changed["Powered"]))
            elif interface == DEVICE and "Connected" in changed and path.startswith(peripheral.adapter_path + "/"):
                peripheral.link_changed(path, bool(changed["Connected"]))

    def _added(self, path, interfaces):
        """A central that was not known appears connected; then no change is told."""
        if interfaces.get(DEVICE, {}).get("Connected"):
            for peripheral in self.peripherals:
                if path.startswith(peripheral.adapter_path + "/"):
                    peripheral.link_changed(path, True)

    def _removed(self, path, interfaces):
        for peripheral in self.peripherals:
            if path == peripheral.adapter_path and ADAPTER in interfaces:
                peripheral.bluez_changed()
            elif DEVICE in interfaces and path.startswith(peripheral.adapter_path + "/"):
                peripheral.link_changed(path, False)

    def _tick(self):
        if self.present:
            if self.agent and not self._agent_registered:
                self._register_agent()
            for peripheral in self.peripherals:
                peripheral.settle()
        return True

    def _register_agent(self):
        path = ROOT + "/agent"
        self._agent_registered = True
        self.call("/org/bluez", AGENTS, "RegisterAgent", dbus.ObjectPath(path), self._capability,
                  done=lambda: self.call("/org/bluez", AGENTS, "RequestDefaultAgent", dbus.ObjectPath(path)),
                  failed=lambda problem: setattr(self, "_agent_registered", False))


class Peripheral:
    """One device on one adapter.

    on_datagram(data): a write has arrived. on_link(connected): the first central has come, or the last has gone."""

    def __init__(self, bluez, adapter, number, security="open", battery=-1, advertise_uuid=True, refresh_ms=1000,
                 on_datagram=lambda data: None, on_link=lambda connected: None):
        self.bluez, self.adapter = bluez, adapter
        self.adapter_path = "/org/bluez/" + adapter
        self.refresh_ms = refresh_ms
        self.on_datagram, self.on_link = on_datagram, on_link
        self.name = ""
        self.on_air = False
        self.was_found = False          # it has been on the air once
        self.ready = lambda: None       # called when it is, for the first time
        self._uuids = [SMP_SERVICE] if advertise_uuid else []
        self._busy = None
        self._links = set()
        self._path = f"{ROOT}/{number}_{adapter}"
        service = self._path + "/smp"
        self.channel = _Channel(bluez.bus, service + "/channel", service, security, lambda data: self.on_datagram(data))
        parts = [_Exported(bluez.bus, service, SERVICE, {"UUID": SMP_SERVICE, "Primary": True}), self.channel]
        self.battery = None
        if battery >= 0:
            service = self._path + "/battery"
            self.battery = _Battery(bluez.bus, service + "/level", service)
            self.battery.percent = battery
            parts += [_Exported(bluez.bus, service, SERVICE, {"UUID": BATTERY_SERVICE, "Primary": True}), self.battery]
        self._application = _Application(bluez.bus, self._path, parts)
        self._advertisement = _Advertisement(bluez.bus, self._path + "/advertisement", self._released)
        self.bluez_changed()
        bluez.peripherals.append(self)

    # --- what shall be ------------------------------------------------------------------------------------------

    def show(self, name):
        """Advertises, and lets centrals connect."""
        self.name, self.on_air = name, True
        self._advertised_at = None
        self.settle()

    def hide(self):
        """Stops advertising and drops every link."""
        self.on_air = False
        self.channel.close()
        self.settle()

    def address(self):
        """As the adapter has it; None while there is none."""
        try:
            return str(self.bluez.bus.call_blocking(BLUEZ, self.adapter_path, PROPERTIES, "Get", "ss", (ADAPTER, "Address")))
        except dbus.DBusException:
            return None

    @property
    def connected(self):
        return bool(self._links)

    @property
    def max_notification(self):
        return max(self.channel.mtu - NOTIFICATION_OVERHEAD, 1)

    # --- what is ------------------------------------------------------------------------------------------------

    def bluez_changed(self):
        """bluetoothd or its adapter came or went: it knows nothing of us."""
        self._registered = self._powered = False
        self._advertised = None         # the name under which it is advertised
        self._advertised_at = None
        self._busy = None
        self._dropping = set()
        self.channel.close()
        for path in list(self._links):
            self.link_changed(path, False)

    def power_changed(self, on):
        self._powered = on
        self._advertised = None if not on else self._advertised
        self.settle()

    def link_changed(self, path, connected):
        before = self.connected
        if connected:
            self._links.add(path)
        else:
            self._links.discard(path)
            self._dropping.discard(path)
        if self.connected != before:
            if not connected:
                self.channel.close()
                self._advertised_at = None
            self.on_link(connected)
        self.settle()

    def _released(self):
        self._advertised = None

    # --- from what is to what shall be --------------------------------------------------------------------------

    def settle(self):
        if not self.bluez.present or self._busy:
            return
        if not self._registered:
            self._power_on()
        elif self._advertised is not None and (not self.on_air or self._advertised != self.name or self._stale()):
            self._do(ADVERTISING, "UnregisterAdvertisement", self._advertisement_gone, dbus.ObjectPath(self._advertisement.path))
        elif not self.on_air:
            self._drop_links()
        elif self._advertised is None and not self.connected and self._powered:
            self._advertisement.show(self.name, self._uuids)
            self._do(ADVERTISING, "RegisterAdvertisement", self._advertisement_there, dbus.ObjectPath(self._advertisement.path),
                     dbus.Dictionary({}, "sv"))

    def _stale(self):
        """A scanner may have missed that we advertise, and some controllers tell it only once: it is said again now and then."""
        if self.connected or not self.refresh_ms:
            return False
        return self._advertised_at is None or GLib.get_monotonic_time() - self._advertised_at > self.refresh_ms * 1000

    def _do(self, interface, method, done, *arguments):
        def over(then, *results):
            if self._busy is token:     # else bluetoothd has gone meanwhile
                self._busy = None
                then(*results)

        token = self._busy = object()
        self.bluez.call(self.adapter_path, interface, method, *arguments, done=lambda *results: over(done, *results),
                        failed=lambda problem: over(self._refused, method, problem))

    def _refused(self, method, problem):
        """Next tick tries again, unless what was wanted is so already."""
        name = problem.get_dbus_name()
        if name.endswith("AlreadyExists"):
            {"RegisterApplication": self._application_there, "RegisterAdvertisement": self._advertisement_there}[method]()
        elif method == "UnregisterAdvertisement":
            self._advertisement_gone()
        elif name.endswith("UnknownObject"):
            self.bluez_changed()
        else:
            self.bluez.complain(f"{self.adapter}: {method}: {name}: {problem.get_dbus_message()}")

    def _power_on(self):
        self._do(PROPERTIES, "Set", self._power_is_on, ADAPTER, "Powered", dbus.Boolean(True, variant_level=1))

    def _power_is_on(self):
        self._powered = True
        self._do(GATT_MANAGER, "RegisterApplication", self._application_there, dbus.ObjectPath(self._path), dbus.Dictionary({}, "sv"))

    def _application_there(self):
        self._registered = True
        self.settle()

    def _advertisement_there(self):
        self._advertised, self._advertised_at = self.name, GLib.get_monotonic_time()
        if not self.was_found:
            self.was_found = True
            self.ready()
        self.settle()

    def _advertisement_gone(self):
        self._advertised = None
        self.settle()

    def _drop_links(self):
        for path in self._links - self._dropping:
            self._dropping.add(path)
            self.bluez.call(path, DEVICE, "Disconnect", failed=lambda problem, path=path: self._dropping.discard(path))


class LoopReactor(Reactor):
    """The reactor of the devices inside GLib's loop, which D-Bus needs: its epoll descriptor and its timers are one source of that."""

    def __init__(self):
        self._again = None
        super().__init__()
        self._loop = GLib.MainLoop()

    def at(self, when, function, *arguments):
        entry = super().at(when, function, *arguments)
        self._arm()
        return entry

    def stop(self):
        super().stop()
        self._loop.quit()

    def run(self):
        GLib.io_add_watch(self._epoll.fileno(), GLib.IO_IN, self._one_turn)
        self._arm()
        if self._running:
            self._loop.run()

    def _arm(self):
        if self._timeout() == 0 and self._again is None:
            self._again = GLib.idle_add(self._overdue)

    def _overdue(self):
        self._again = None
        self._one_turn()
        return False

    def _one_turn(self, *_):
        self._turn(0)
        self._arm()
        return True
