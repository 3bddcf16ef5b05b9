# SPDX-License-Identifier: Apache-2.0
"""What the benches share: a daemon with ordinary settings, its figures from /proc, and the limits that link-limit tells.

Nothing here waits for a time to pass: the beginning and the end of what is measured are events of the daemon or of the devices."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

import harness  # noqa: E402 (the path must be set first)

LINK_LIMIT = ROOT / "simulators/link-limit"
MODEL = "simboard"    # of simulated devices
PATIENCE_S = 300      # a campaign without an event for so long hangs


def proc(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}").read_text()


def field(text, name):
    """The number behind `name:` in a file of /proc."""
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name + ":"))


def memory_kib(pid):
    """(private dirty, PSS)"""
    text = proc(pid, "smaps_rollup")
    return field(text, "Private_Dirty"), field(text, "Pss")


def cpu_seconds(pid):
    """User and system time of all threads, as /proc/PID/stat has it, but finer where the kernel tells."""
    try:
        tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except FileNotFoundError:
        user, system = proc(pid, "stat").rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / 100


def wakeups(pid):
    return sum(field((task / "status").read_text(), "voluntary_ctxt_switches") for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def uploads_begin(simulator):
    """Call it before the order; calling the result waits until so many devices have stored their first chunk."""
    starts = (event for event in simulator.watch() if event["event"] == "upload-start")

    def wait(n):
        for _ in range(n):
            next(starts)

    return wait


class Daemon(harness.Gateway):
    """The daemon as people run it: log level info, and as many devices at once as there are."""

    def __init__(self, folder, devices="", settings=""):
        super().__init__(folder, devices, "attempts = 1\nconcurrency = 1000\n[limits]\njobs = 10000\n" + settings)
        self.config.write_text(self.config.read_text().replace("level = debug", "level = info"))
        self.start()

    @property
    def pid(self):
        return self.process.pid

    def adopt(self, simulator):
        lines = ["id,address"]
        for device in simulator.devices:
            if device["transport"] == "udp":
                lines.append(f"smp-udp:d{device['device']},{device['address']}:{device['port']}")
            else:
                lines.append(f"smp-serial:d{device['device']},{device['path']}")
        self.call("device.import", {"csv": "\n".join(lines)})

    def store(self):
        return self.call("gateway.health")["store"]

    def order(self, image, campaign="bench", **policy):
        """Starts a campaign over all devices; the image is in the cache already."""
        self.call("campaign.start", {"document": self.document(image, campaign, **policy)})

    @staticmethod
    def document(image, campaign="bench", **policy):
        artifact = {"sha256": harness.sha256_of(image), "size": image.stat().st_size, "compatible": [MODEL]}
        document = {"schema": "gatewayd/campaign/1", "id": campaign, "revision": 1, "artifacts": [artifact], "devices": {"all": True}}
        if policy:
            document["policy"] = policy
        return document

    def watch(self, campaign="bench", progress=False):
        """A client that hears the events of this campaign, for await_end()."""
        client = self.client()
        client.call("events.subscribe", {"campaign": campaign, "progress": progress})
        return client

    def await_end(self, client, campaign="bench"):
        """Listens to events only: asking for the state meanwhile would cost what is measured. Every device must have succeeded."""
        while True:
            event = client.notification(PATIENCE_S)["params"]
            if event.get("type") == "campaign-state" and event["data"]["state"] != "in_progress":
                break
        client.close()
        counts = self.call("campaign.get", {"id": campaign})["campaign"]["counts"]
        if counts["succeeded"] != counts["total"]:
            raise RuntimeError(f"not all devices were updated: {counts}\n{self.log()[-3000:]}")

    def update_all(self, image, campaign="bench", **policy):
        """Runs a campaign over all devices to its end."""
        client = self.watch(campaign)
        self.order(image, campaign, **policy)
        self.await_end(client, campaign)


def link_limit(options, size, window, message=0, serial=False):
    """Bytes a second, and seconds, of an ideal client over this simulated link."""
    text = ",".join(f"{name}={value}" for name, value in options.items())
    command = ["/usr/bin/python3", LINK_LIMIT, "--options", text, "--size", str(size), "--window", str(window), "--message", str(message)]
    out = subprocess.run([*command, *(["--serial"] if serial else [])], capture_output=True, text=True, check=True).stdout
    found = json.loads(out)
    return found["bytes_per_second"], found["seconds"]
