# SPDX-License-Identifier: Apache-2.0
"""Many devices, each with its own fault, in one simulator under one daemon: so a table of cases costs one campaign, not one daemon a row."""

import dataclasses

import harness

PATIENCE_S = 90
NO_THRESHOLD = {"failed_count": 10000, "failed_percent": 100, "min_finished": 10000}  # the devices of a scene are meant to fail
MODELS = ["simboard", "simboard/nrf52840", "native_sim_64", "nrf52840dk", "nrf5340dk", "stated"]


@dataclasses.dataclass
class Case:
    """A device and what has to become of its job. options: of the simulator; settings: lines of its [device] section."""

    name: str
    options: str = ""
    state: str = "succeeded"
    result: str = None
    proof: str = None
    error: str = None
    campaign: str = "new"
    serial: bool = False
    settings: str = ""
    model: str = ""

    @property
    def device(self):
        return f"smp-{'serial' if self.serial else 'udp'}:{self.name}"

    def outcome(self):
        return (self.state, self.result, self.proof, self.error)


def outcome(job):
    return (job["state"], job.get("result"), job.get("proof"), job.get("error", {}).get("name"))


def flash_events(simulator, index):
    """What changed the flash of a device, in order."""
    names = ("upload-start", "upload-complete", "swap", "confirm", "revert", "image-rejected", "swap-refused")
    return [e["event"] for e in simulator.events(index) if e["event"] in names]


class Scene:
    """cases: list of Case; campaigns: name -> (file, policy)."""

    def __init__(self, folder, cases, simulator_options=(), settings=""):
        self.cases = sorted(cases, key=lambda case: case.serial)
        self.index = {case.name: number for number, case in enumerate(self.cases)}
        n_serial = sum(case.serial for case in cases)
        arguments = ["--udp-count", len(cases) - n_serial, *simulator_options]
        if n_serial < len(cases):
            arguments += ["--udp", "127.0.0.1:0"]
        if n_serial:
            arguments += ["--pty-count", n_serial, "--pty", str(folder / "tty-%d")]
        for number, case in enumerate(self.cases):
            if case.options:
                arguments += ["--device", f"{number}:{case.options}"]
        self.simulator = harness.Simulator(folder / "sim", *arguments)
        sections = ""
        for case, device in zip(self.cases, self.simulator.devices):
            where = device["path"] if case.serial else f"{device['address']}:{device['port']}"
            sections += f"[device {case.name}]\ndriver = smp-{'serial' if case.serial else 'udp'}\naddress = {where}\n{case.settings}\n"
            if case.model:
                sections += f"model = {case.model}\n"
        self.gateway = harness.Gateway(folder / "gw", sections, settings)

    def run(self, campaigns):
        """Starts every campaign, waits for all; answers the jobs by name of the case."""
        self.gateway.start()
        for name, (path, policy) in campaigns.items():
            devices = [case.device for case in self.cases if case.campaign == name]
            if devices:
                self.gateway.begin(path, {"ids": devices}, name, compatible=MODELS, concurrency=len(devices), abort=NO_THRESHOLD, **policy)
        jobs = {}
        for name in campaigns:
            chosen = [case for case in self.cases if case.campaign == name]
            if chosen:
                try:
                    state = self.gateway.follow(name, patience_s=PATIENCE_S)
                except harness.Hanging as hanging:  # each case says for itself what is wrong with it
                    state = hanging.state
                found = {job["device"]: job for job in state["jobs"]}
                jobs.update({case.name: found[case.device] for case in chosen})
        return jobs

    def events(self, name):
        return flash_events(self.simulator, self.index[name])

    def close(self):
        try:
            self.gateway.stop()
        finally:
            self.simulator.stop()
