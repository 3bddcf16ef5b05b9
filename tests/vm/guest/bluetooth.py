# SPDX-License-Identifier: Apache-2.0
"""The Bluetooth of a scenario: btvirt's controllers, which hear each other, and the real bluetoothd that runs them all. hci0 is the
gateway's, the others are devices'."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import dbus
import dbus.mainloop.glib
from gi.repository import GLib

BLUEZ = "org.bluez"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
ADAPTER = "org.bluez.Adapter1"
BLUETOOTHD = "/usr/libexec/bluetooth/bluetoothd"
STATE = pathlib.Path("/var/lib/bluetooth")
MAIN_CONF = pathlib.Path("/etc/bluetooth/main.conf")
SETTINGS = {
    ("General", "ControllerMode"): "le",
    ("General", "DiscoverableTimeout"): 0,
    ("General", "PairableTimeout"): 0,
    # One ATT bearer, as with most devices. BlueZ to BlueZ would open more (EATT).
    ("GATT", "Channels"): 1,
    # What Nordic's firmware has. Above 512, BlueZ as the peripheral loses writes.
    ("GATT", "ExchangeMTU"): 498,
    ("GATT", "Cache"): "no",
    ("Policy", "AutoEnable"): "true",
}
AWAY = tuple("org.freedesktop.DBus.Error." + name for name in ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Spawn."))
PATIENCE_S = 30
LOOK_MS = 200
CLASSIC_MIN_MTU = 48
SMALL_MTU = "/run/out/small_mtu.so"     # small_mtu.c says why


def write_main_conf(settings):
    sections = {}
    for (section, name), value in {**SETTINGS, **settings}.items():
        sections.setdefault(section, []).append(f"{name} = {value}\n")
    MAIN_CONF.parent.mkdir(parents=True, exist_ok=True)
    MAIN_CONF.write_text("".join(f"[{section}]\n{''.join(lines)}\n" for section, lines in sections.items()))


def bus():
    """The system bus of this process; its signals need turn()."""
    if not hasattr(bus, "one"):
        dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
        bus.one = dbus.SystemBus()
    return bus.one


def wait_for(what, look, patience_s=PATIENCE_S):
    """Calls look() now and then until it answers something; answers that."""
    context = GLib.MainContext.default()
    end = time.monotonic() + patience_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience_s} s for {what}")
        next_look = []
        GLib.timeout_add(LOOK_MS, next_look.append, True)  # append answers nothing: once
        while not next_look:
            context.iteration(True)


def objects():
    """path -> interface -> properties; nothing when bluetoothd is away."""
    try:
        return dbus.Interface(bus().get_object(BLUEZ, "/", introspect=False), OBJECTS).GetManagedObjects()
    except dbus.DBusException as problem:
        if problem.get_dbus_name().startswith(AWAY):
            return {}
        raise


def interface(path, name):
    return dbus.Interface(bus().get_object(BLUEZ, path, introspect=False), name)


def get(path, name, key):
    return interface(path, PROPERTIES).Get(name, key)


def adapter_path(name):
    return f"/org/bluez/{name}"


def set_powered(name, on):
    interface(adapter_path(name), PROPERTIES).Set(ADAPTER, "Powered", dbus.Boolean(on, variant_level=1))


class Bluetooth:
    def __init__(self, folder, controllers=2, settings=None, btvirt=(), record=True):
        self.folder = folder
        self.controllers = controllers
        self.record = record
        self.environment = dict(os.environ)
        if (settings or {}).get(("GATT", "ExchangeMTU"), CLASSIC_MIN_MTU) < CLASSIC_MIN_MTU:
            self.environment["LD_PRELOAD"] = SMALL_MTU
        self.btvirt_arguments = list(btvirt) or [f"-l{controllers}"]
        self.btvirt = self.daemon = self.monitor = None
        write_main_conf(settings or {})

    def start(self):
        wait_for("the controllers of an earlier scenario to vanish", lambda: not os.listdir("/sys/class/bluetooth"))
        for known in STATE.iterdir():
            shutil.rmtree(known) if known.is_dir() else known.unlink()
        self.btvirt = self._spawn("btvirt.log", "/usr/bin/btvirt", *self.btvirt_arguments)
        if self.record:
            self.monitor = self._spawn("btmon.log", "/usr/bin/btmon", "-w", str(self.folder / "air.btsnoop"))
        self.start_daemon()

    def _spawn(self, log, *command, environment=None):
        with open(self.folder / log, "ab") as file:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment)

    def start_daemon(self):
        self.daemon = self._spawn("bluetoothd.log", BLUETOOTHD, "-n", *os.environ.get("VM_BLUETOOTHD", "").split(), environment=self.environment)
        wait_for(f"{self.controllers} powered adapters", self.ready)

    def kill_daemon(self):
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()
        wait_for("the bus to notice that bluetoothd is gone", lambda: not bus().name_has_owner(BLUEZ))

    def ready(self):
        found = objects()
        adapters = [found.get(adapter_path(f"hci{number}"), {}) for number in range(self.controllers)]
        return all("org.bluez.GattManager1" in adapter and adapter[ADAPTER]["Powered"] for adapter in adapters)

    def busy(self):
        """Seconds of the processor that each took; a program that spins shows here."""
        found = {}
        for name in ("btvirt", "daemon", "monitor"):
            process = getattr(self, name)
            if process and process.poll() is None:
                fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                found[name] = (int(fields[11]) + int(fields[12])) / 100
            elif process:
                found[name] = f"ended with {process.returncode}"
        return found

    def stop(self):
        for process in (self.daemon, self.monitor, self.btvirt):
            if process and process.poll() is None:
                process.kill()
                process.wait()
