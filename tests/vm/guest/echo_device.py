#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A peripheral that answers every write with a notification of the same bytes; for what tests the channel itself. Prints "ready"."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "simulators"))

from gwsim import bluez  # noqa: E402


def main():
    bus = bluez.Bluez()
    device = bluez.Peripheral(bus, sys.argv[1], 0, on_datagram=lambda data: device.channel.send(data))
    device.ready = lambda: print("ready", flush=True)
    device.show(sys.argv[2] if len(sys.argv) > 2 else "echo")
    bluez.LoopReactor().run()


main()
