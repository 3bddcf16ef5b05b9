# SPDX-License-Identifier: Apache-2.0
"""The daemon's entries in a real journal, without a booted systemd: journald alone, in a mount namespace."""

import json
import os
import pathlib
import subprocess

import harness
import journal_room
import pytest

# In a user namespace root's files would be nobody's, and the daemon loads plugins of root only.
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give journald a room of its own")

ROOM = str(pathlib.Path(journal_room.__file__).resolve())
PYTHON = "/usr/bin/python3"


class Room:
    def __init__(self):
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
            pytest.skip("no mount namespaces here")
        self.process = subprocess.Popen(["unshare", "--mount", PYTHON, ROOM, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            said = self.process.communicate()[1]
            if self.process.returncode == journal_room.NO_ROOM:
                pytest.skip(f"nothing may be mounted here: {said.strip()[-200:]}")
            raise RuntimeError(said)
        self.enter = ["nsenter", "-t", str(self.process.pid), "-m"]

    def close(self):
        self.process.communicate()

    def entries(self, *matches):
        subprocess.run([*self.enter, "journalctl", "--sync"], check=True)
        done = subprocess.run([*self.enter, "journalctl", "-o", "json", "--no-pager", *matches], check=True, capture_output=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def room():
    if not os.path.exists(journal_room.JOURNALD):
        pytest.skip("systemd-journald is not installed")
    one = Room()
    yield one
    one.close()


@pytest.fixture
def devices(tmp_path):
    simulator = harness.Simulator(tmp_path / "sim", "--udp", "127.0.0.1:0", "--count", "2", "--device", "1:reject-image")
    yield simulator
    simulator.stop()


@pytest.fixture
def gateway(tmp_path, room, devices):
    one = harness.Gateway(tmp_path / "gw", devices.sections(), wrapper=[*room.enter, PYTHON, ROOM, "run"])
    yield one
    one.stop()


def test_entries_of_a_job(room, gateway, tmp_path):
    gateway.start()
    path, _ = harness.make_image(tmp_path / "app.bin", "1.1.0", "--size", "24K")
    gateway.begin(path, {"ids": ["smp-udp:d0", "smp-udp:d1"]}, compatible=["simboard"])
    assert gateway.jobs()["smp-udp:d1"]["error"]["name"] == "smp-image-rejected"
    [entry] = room.entries("GATEWAYD_DEVICE=smp-udp:d1", "GATEWAYD_CAMPAIGN=c1", "GATEWAYD_STEP=verify", "GATEWAYD_ERROR=smp-image-rejected")
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"], entry["_TRANSPORT"]) == ("4", "gatewayd", "journal")
    assert entry["MESSAGE"].startswith("smp-udp:d1: failed: ") and int(entry["_PID"]) == gateway.process.pid
    done = room.entries("GATEWAYD_DEVICE=smp-udp:d0", "GATEWAYD_CAMPAIGN=c1", "GATEWAYD_STEP=confirm")
    assert ("smp-udp:d0: succeeded: updated", False) in [(entry["MESSAGE"], "GATEWAYD_ERROR" in entry) for entry in done]


@pytest.mark.parametrize("time", range(3))
def test_mistakes_of_the_configuration(room, gateway, time):
    gateway.config.write_text("[gateway]\nbogus = 1\n[limits]\njobs = many\n")
    gateway.start(wait=False)
    assert gateway.process.wait(harness.PATIENCE_S) == 78
    entries = room.entries("GATEWAYD_ERROR=config-invalid", "PRIORITY=3")
    assert [entry["MESSAGE"].partition(": ")[0] for entry in entries] == [f"{gateway.config}:2", f"{gateway.config}:4"]
    # What journald finds out about a sender it finds out while that lives.
    assert [entry.get("_COMM") for entry in entries] == ["gatewayd", "gatewayd"]
