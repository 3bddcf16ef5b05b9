# SPDX-License-Identifier: Apache-2.0
"""What a scenario is given: its own folder, a Bluetooth that was switched on for it, and whatever it starts; all is ended with it."""

import contextlib
import pathlib
import subprocess
import time

import bluetooth

import harness


HERE = pathlib.Path(__file__).resolve().parent


def monotonic():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Room:
    def __init__(self, folder, scenario, options):
        self.folder = folder
        self.options = options
        self.is_demo = scenario.kind == "demo"
        self.air = bluetooth.Bluetooth(folder, scenario.controllers, scenario.settings, scenario.btvirt, options.get("record", True))
        self._ends = contextlib.ExitStack()

    def __enter__(self):
        self._ends.callback(self.air.stop)
        self.air.start()
        self._note(f"{self.air.controllers} controllers are up")
        return self

    def __exit__(self, *problem):
        self._note("over; seconds of the processor:", self.air.busy())
        self._ends.close()

    def _note(self, *words):
        if not self.is_demo:
            self.log(*words)

    def log(self, *words):
        """A line for whoever reads what the scenario did, with the machine's seconds."""
        print(f"{monotonic():8.2f}", *words, flush=True)

    def also_end(self, function):
        """function() is called when the scenario is over, before what was started earlier is ended."""
        self._ends.callback(function)

    def simulate(self, *arguments, name="sim"):
        """gatewayd-simulate with these arguments -> harness.Simulator"""
        simulator = harness.Simulator(self.folder / name, *arguments)
        self.also_end(simulator.stop)
        return simulator

    def gateway(self, settings="", adapters="hci0"):
        """A started gatewayd that may use these adapters -> harness.Gateway"""
        gateway = harness.Gateway(self.folder / "gw", "", f"[ble]\nadapters = {adapters}\n{settings}")
        self.also_end(lambda: gateway.stop(expected=None))
        return gateway.start()

    @staticmethod
    def adopt(gateway, simulator):
        """Adopts all devices of the simulator by their addresses; answers their ids."""
        ids = ["smp-ble:" + device["address"].replace(":", "") for device in simulator.devices]
        for name in ids:
            gateway.call("device.adopt", {"id": name, "model": "simboard", "labels": ["sensor"]})
        return ids

    def number_links(self, adapter, other):
        """Two links at once on the gateway's adapter: btvirt then delivers only what both ends know under the same number, the lowest that
        each has free. With a link to another controller the second device has the gateway's second number."""
        import central
        self.spawn_device("echo_device.py", other, "neighbour")
        neighbour = central.Central(adapter)
        neighbour.connect(neighbour.scan("neighbour"))

    def broker(self):
        """A mosquitto as etc/mosquitto configures it -> mqtt_broker.Broker"""
        import mqtt_broker
        broker = mqtt_broker.Broker(self.folder / "broker")
        self.also_end(lambda: broker.stop(kill=True))
        return broker

    def image(self, version="1.1.0", size="24K"):
        """(path, image hash)"""
        return harness.make_image(self.folder / f"app-{version}-{size}.bin", version, "--size", size)

    def spawn_device(self, script, *arguments):
        """A device of tests/vm/guest; comes back when it is ready."""
        with open(self.folder / (script.partition(".")[0] + ".log"), "ab") as log:
            process = subprocess.Popen(["/usr/bin/python3", str(HERE / script), *arguments], stdout=subprocess.PIPE, stderr=log, text=True)
        self.also_end(process.kill)
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{script} did not start")
        return process
