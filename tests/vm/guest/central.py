# SPDX-License-Identifier: Apache-2.0
"""A central of its own, through BlueZ, that shares nothing with gatewayd: so simulated devices and virtual air are proven by themselves."""

import select
import socket

import dbus

from bluetooth import ADAPTER, adapter_path, get, interface, objects, wait_for

DEVICE, CHARACTERISTIC = "org.bluez.Device1", "org.bluez.GattCharacteristic1"
SMP_SERVICE = "8d53dc1d-1db7-4cd3-868b-8a527460aa84"
SMP_CHARACTERISTIC = "da2e7828-fbce-4e01-ae9e-261174997c48"
CONNECT_S = 40
PATIENCE_S = 20


class Central:
    def __init__(self, adapter="hci0"):
        self.path = adapter_path(adapter)

    def found(self, name=None, but=()):
        """Paths of the devices that advertise the service (and the name)."""
        result = []
        for path, interfaces in objects().items():
            device = interfaces.get(DEVICE)
            if device and path.startswith(self.path + "/") and SMP_SERVICE in device.get("UUIDs", []) and "RSSI" in device:
                if path not in but and (name is None or device.get("Name") == name):
                    result.append(str(path))
        return result

    def scan(self, name=None, but=(), patience_s=30):
        """Path of the first device found."""
        adapter = interface(self.path, ADAPTER)
        wanted = {"Transport": "le", "UUIDs": dbus.Array([SMP_SERVICE], "s"), "DuplicateData": True}
        adapter.SetDiscoveryFilter(dbus.Dictionary(wanted, "sv"))
        adapter.StartDiscovery()
        try:
            return wait_for(f"an advertisement of {name or 'a device'}", lambda: self.found(name, but), patience_s)[0]
        finally:
            adapter.StopDiscovery()

    def connect(self, device):
        interface(device, DEVICE).Connect(timeout=CONNECT_S)
        wait_for("the services", lambda: get(device, DEVICE, "ServicesResolved"))
        return Connection(device)

    def forget(self, device):
        interface(self.path, ADAPTER).RemoveDevice(dbus.ObjectPath(device))


class Connection:
    """The characteristic of a connected device, by acquired sockets."""

    def __init__(self, device):
        self.device = device
        path = wait_for("the characteristic", self._characteristic)
        characteristic = interface(path, CHARACTERISTIC)
        self.notifications, self.mtu = self._acquired(characteristic.AcquireNotify)
        self.writes, _ = self._acquired(characteristic.AcquireWrite)

    def _characteristic(self):
        for path, interfaces in objects().items():
            if path.startswith(self.device + "/") and interfaces.get(CHARACTERISTIC, {}).get("UUID") == SMP_CHARACTERISTIC:
                return path
        return None

    @staticmethod
    def _acquired(method):
        descriptor, mtu = method(dbus.Dictionary({}, "sv"))
        acquired = socket.socket(fileno=descriptor.take())
        acquired.setblocking(True)
        return acquired, int(mtu)

    def send(self, data):
        self.writes.send(data)

    def receive(self, patience_s=PATIENCE_S):
        """A notification, b"" when the link is gone, None when nothing comes."""
        if not select.select([self.notifications], [], [], patience_s)[0]:
            return None
        try:
            return self.notifications.recv(1024)
        except ConnectionError:
            return b""

    @property
    def connected(self):
        try:
            return bool(get(self.device, DEVICE, "Connected"))
        except dbus.DBusException:
            return False

    def close(self):
        self.notifications.close()
        self.writes.close()
        try:
            interface(self.device, DEVICE).Disconnect()
            wait_for("the end of the link", lambda: not self.connected)
        except dbus.DBusException:
            pass  # gone already, with all of it
