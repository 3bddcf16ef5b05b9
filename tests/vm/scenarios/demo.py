# SPDX-License-Identifier: Apache-2.0
"""./dev demo --ble"""

import os
import subprocess

import harness
from scenario import scenario


def say(text):
    print(f"\n# {text}", flush=True)


def ctl(gateway, folder, *words):
    print(f"\n$ gatewayctl {' '.join(words)}", flush=True)
    environment = dict(os.environ, GATEWAYD_SOCKET=str(gateway.socket_path), COLUMNS="110")
    done = subprocess.run([str(harness.GATEWAYCTL), *words], env=environment, cwd=folder)
    assert done.returncode == 0, f"gatewayctl ended with {done.returncode}"


@scenario(controllers=3, kind="demo", shown=True, timeout_s=300)
def demo(room):
    """two sensors on Bluetooth LE are found, adopted and updated through the real BlueZ"""
    say("Two sensors on the air, each with a controller of its own. Their new firmware advertises another name.")
    room.simulate("--ble", "hci1,hci2", "--adv-name", "sensor-{}", "--adv-name-after", "renewed-{}", "--battery", "84", "--buf-size", "2475",
                  "--buf-count", "8", "--hardware-version", "acme,sensor-r2")
    path, _ = room.image("1.4.0", "100K")
    path.rename(room.folder / "sensor-1.4.0.bin")
    say("gatewayd on hci0. Nothing is adopted yet: it listens, and reads what it may read.")
    gateway = room.gateway("sessions = 1\n[plugin smp]\nble_listen = always\n")
    ctl(gateway, room.folder, "device", "scan", "--inspect")
    say("They are ours. Adopted, labelled, and from now on they may be written to.")
    ctl(gateway, room.folder, "device", "adopt", "--match", "smp-ble:*", "--label", "sensor", "--model", "acme,sensor-r2")
    say("One campaign for both: upload, test, reset, wait for the advertisement, trial, confirm.")
    ctl(gateway, room.folder, "update", "--match", "smp-ble:*", "sensor-1.4.0.bin", "--compatible", "acme,sensor-r2", "--yes")
    say("What do they run now?")
    ctl(gateway, room.folder, "device", "list")
