# SPDX-License-Identifier: Apache-2.0
"""The pipeline of docs/CI.md, step by step, as a runner would run it: the shell lines are taken from the document, only the build of the
firmware is a stand-in. Against a real broker, file server and gateways."""

import os
import pathlib
import re
import subprocess

import pytest
import yaml

import harness
from test_desk import World

SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]  # as a runner does for `run:`
TOKEN = "upload-token"


def read_workflow():
    text = (harness.ROOT / "docs/CI.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) == 1
    return yaml.safe_load(blocks[0])


class Runner:
    """What of a runner the workflow uses: expressions, GITHUB_ENV, a summary, conditions."""

    def __init__(self, folder, contexts, environment):
        self.folder = folder
        self.contexts = contexts
        self.workspace = folder / "workspace"
        self.summary = folder / "summary.md"
        self.added = folder / "env"
        for path in (self.workspace, folder / "temp"):
            path.mkdir(parents=True)
        self.added.touch()
        self.environment = {**environment, "RUNNER_TEMP": str(folder / "temp"), "GITHUB_ENV": str(self.added), "GITHUB_STEP_SUMMARY": str(self.summary),
                            "GITHUB_SHA": "0123abcd"}
        self.codes = {}
        self.said = {}

    def expand(self, text):
        def value(match):
            context, _, name = match.group(1).partition(".")
            return self.contexts[context][name]

        return re.sub(r"\$\{\{\s*([\w.]+)\s*\}\}", value, str(text))

    def expand_all(self, variables):
        return {name: self.expand(value) for name, value in (variables or {}).items()}

    def step(self, step, job_environment):
        environment = {**self.environment, **job_environment, **self.expand_all(step.get("env"))}
        environment.update(line.split("=", 1) for line in self.added.read_text().splitlines())
        script = self.folder / "step.sh"
        script.write_text(self.expand(step["run"]))
        result = subprocess.run([*SHELL, str(script)], cwd=self.workspace, env=environment, capture_output=True, text=True, timeout=harness.PATIENCE_S * 3)
        self.codes[step["name"]] = result.returncode
        self.said[step["name"]] = result.stdout + result.stderr
        return result.returncode == 0

    def run(self, job, canceled_at=None, before_that=None):
        """canceled_at: somebody cancels the job when this step begins; before_that() is called first."""
        job_environment = self.expand_all(job["env"])
        fine, canceled = True, False
        for step in job["steps"]:
            condition = step.get("if", "success()")
            assert condition in ("success()", "always()", "cancelled()")
            if canceled_at and step.get("name") == canceled_at:
                before_that()
                canceled = True
            wanted = {"success()": fine and not canceled, "always()": True, "cancelled()": canceled}[condition]
            if "run" in step and wanted:
                fine = self.step(step, job_environment) and fine
        return fine


@pytest.fixture
def pipeline(tmp_path):
    """pipeline("sensor-1.4.0", faults={1: "refuse-swap"}) -> (runner, whether the job was green, the job). canceled_at: in which step it is
    canceled, while every gateway works on it."""
    worlds = []

    def run(release, canceled_at=None, **options):
        world = World(tmp_path / "world", **options)
        worlds.append(world)
        world.files.token = TOKEN
        tools = tmp_path / "tools"
        tools.mkdir()
        (tools / "gatewayctl").symlink_to(harness.GATEWAYCTL)
        # The firmware's own build: `west build ... -d build app` leaves a signed image.
        (tools / "west").write_text("#!/bin/sh\nmkdir -p build/zephyr && /usr/bin/python3 "
                                    f"{harness.MAKE_IMAGE} --version {release.partition('-')[2]} --size 24K -o build/zephyr/zephyr.signed.bin\n")
        (tools / "west").chmod(0o755)
        certificate, key = world.authority.issue("operator")
        read = pathlib.Path.read_text
        contexts = {
            "github": {"ref_name": release},
            "vars": {"FILES": world.files.url, "GROUP": "oslo", "BROKER": world.broker.url, "BROKER_CA": read(world.authority.file)},
            "secrets": {"BROKER_CERT": read(certificate), "BROKER_KEY": read(key), "GATEWAYD_CI_KEY": read(world.folder / "ci.key"), "UPLOAD_TOKEN": TOKEN},
        }
        environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "CURL_CA_BUNDLE": str(world.authority.file),
                       **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}
        runner = Runner(tmp_path / "runner", contexts, environment)
        (job,) = read_workflow()["jobs"].values()
        for step in job["steps"]:
            # Gateways would begin at any moment of half a minute.
            if "run" in step:
                step["run"] = step["run"].replace("--start-jitter 30s", "--start-jitter 0s" + (" --trial 1h" if canceled_at else ""))

        def await_work():
            for gateway in world.gateways.values():
                gateway.wait_event(lambda params, _: params["type"] == "campaign-state" and params["data"]["state"] == "in_progress", release)

        return runner, runner.run(job, canceled_at, await_work), job

    yield run
    for world in worlds:
        world.stop()


def test_every_device_succeeds(pipeline):
    runner, green, job = pipeline("sensor-1.4.0")
    assert green, runner.said
    assert set(runner.codes) == {step["name"] for step in job["steps"] if "run" in step and step.get("if") != "cancelled()"}
    assert set(runner.codes.values()) == {0}
    summary = runner.summary.read_text()
    assert "sensor-1.4.0" in summary and "| pi-1 |" in summary and "| pi-3 |" in summary
    lines = (runner.workspace / "report.csv").read_text().splitlines()
    assert len(lines) == 1 + 5 and all(",updated,hash-active-confirmed," in line for line in lines[1:])


def test_a_job_that_is_canceled(pipeline):
    runner, _, _ = pipeline("sensor-1.4.0", canceled_at="Wait until every gateway is through")
    said = runner.said["Stop it when the job is canceled"]
    assert "is not published for group oslo any more" in said
    for gateway in ("pi-1", "pi-2", "pi-3"):
        assert f"{gateway}: sensor-1.4.0 is canceled" in said or f"{gateway}\nsensor-1.4.0 is canceled" in said, said
    assert runner.codes["Report"] == 0 and "canceled" in runner.summary.read_text()


def test_a_device_that_refuses(pipeline):
    runner, green, _ = pipeline("sensor-1.4.0", faults={1: "refuse-swap"})
    assert not green
    assert runner.codes["Wait until every gateway is through"] == 1, runner.said
    assert runner.codes["Report"] == 0
    assert "smp-swap-refused" in runner.summary.read_text()
