# SPDX-License-Identifier: Apache-2.0
"""gatewayd's Bluetooth floor (gatewayd/ble) by itself against the real BlueZ, with a device that says everything back."""

import os
import pathlib
import subprocess

import bluetooth
from scenario import scenario


def tool():
    return pathlib.Path(os.environ["GW_BUILD_DIR"]) / "gatewayd/ble/ble_echo"


def start(*arguments):
    return subprocess.Popen([tool(), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(room, *arguments):
    """All that it said."""
    said = subprocess.run([tool(), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150)
    room.log(said.stdout)
    assert said.returncode == 0, said.stdout
    return said.stdout


def until(room, process, word):
    said = ""
    for line in process.stdout:
        room.log(line.strip())
        said += line
        if line.startswith(word):
            return said
    raise AssertionError(f"ended without \"{word}\": {said}")


@scenario()
def floor_echo(room):
    """gatewayd/ble: found, opened, 300 datagrams there and back, twice, with no object kept in between"""
    room.spawn_device("echo_device.py", "hci1")
    for _ in range(2):
        said = run(room, "echo", 300, 490)
        assert "link 495" in said and "echoed 300 147000" in said, said


@scenario(settings={("GATT", "ExchangeMTU"): 48})
def floor_small_mtu(room):
    """gatewayd/ble: the smallest MTU that a BlueZ takes for its own devices"""
    room.spawn_device("echo_device.py", "hci1")
    said = run(room, "echo", 100, 43)
    assert "link 45" in said, said


def lose(room, end):
    """What an open device says when `end` takes its ground away."""
    room.spawn_device("echo_device.py", "hci1")
    process = start("echo", 10, 100, "stay")
    until(room, process, "echoed")
    end()
    said = until(room, process, "closed")
    assert process.wait(30) == 0
    return said


@scenario()
def floor_device_goes(room):
    """gatewayd/ble: the device's controller is switched off under an open link"""
    said = lose(room, lambda: bluetooth.set_powered("hci1", False))
    assert "link-closed ble-disconnected" in said and "closed ble-disconnected" in said, said


@scenario()
def floor_adapter_goes(room):
    """gatewayd/ble: the gateway's own adapter is switched off under an open link"""
    said = lose(room, lambda: bluetooth.set_powered("hci0", False))
    assert "closed adapter-off" in said or "closed ble-disconnected" in said, said


@scenario()
def floor_bluetoothd_killed(room):
    """gatewayd/ble: bluetoothd is killed under an open link"""
    said = lose(room, room.air.kill_daemon)
    assert "link-closed bluetoothd-not-running" in said and "closed bluetoothd-not-running" in said, said
