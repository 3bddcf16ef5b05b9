# SPDX-License-Identifier: Apache-2.0
"""A folder that looks like the part of /sys in which the USB device behind a serial port is found.

    class/tty/NAME                       link to the folder of the port, under the name of our link and of the terminal
    devices/simN/{serial,idVendor,...}   the USB device; there while it is plugged in
    devices/simN/simN:1.0/tty/NAME       the port; its `device` leads back to the interface
"""
import os
import shutil


class Sysfs:
    def __init__(self, folder):
        self.folder = folder
        self._classes = {}
        os.makedirs(os.path.join(folder, "class", "tty"), exist_ok=True)

    def add(self, device, names):
        usb = self._usb(device)
        interface = os.path.join(usb, f"sim{device.index}:1.0")
        os.makedirs(interface, exist_ok=True)
        for name, text in (("serial", device.serial), ("idVendor", "2fe3"), ("idProduct", "0100"),
                           ("manufacturer", "Simulated"), ("product", device.options.hardware_version)):
            self._write(os.path.join(usb, name), text)
        self._write(os.path.join(interface, "bInterfaceNumber"), "00")
        self._classes[device] = []
        for name in names:
            port = os.path.join(interface, "tty", name)
            os.makedirs(port, exist_ok=True)
            self._link("../..", os.path.join(port, "device"))
            entry = os.path.join(self.folder, "class", "tty", name)
            self._link(os.path.relpath(port, os.path.dirname(entry)), entry)
            self._classes[device].append(entry)

    def remove(self, device):
        for entry in self._classes.pop(device, ()):
            if os.path.islink(entry):
                os.unlink(entry)
        shutil.rmtree(self._usb(device), ignore_errors=True)

    def _usb(self, device):
        return os.path.join(self.folder, "devices", f"sim{device.index}")

    @staticmethod
    def _write(path, text):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")

    @staticmethod
    def _link(target, path):
        if os.path.islink(path):
            os.unlink(path)
        os.symlink(target, path)
