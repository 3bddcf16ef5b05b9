# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed with SIGKILL at every step of a job, whenever the device does something, and at random: the job goes on after the
next start, nothing is flashed twice, no event is lost or told twice, the audit chain holds."""

import random
import subprocess

import pytest

import harness
from scenes import flash_events, outcome

DEVICE = "smp-udp:d0"
LINK = ("--latency-ms", 15, "--reset-ms", 100, "--boot-ms", 300)  # so slow that a kill at a step hits that step
PREPARE = ["connect", "inspect"]
WAY = ["upload", "test", "reset", "return", "verify"]
ENDS = {
    "test-and-confirm": ("succeeded", "updated", "hash-active-confirmed", None),
    "confirm-only": ("succeeded", "updated", "hash-active-confirmed", None),
    "test-only": ("succeeded", "on-trial", "hash-active", None),
    "upload-only": ("succeeded", "uploaded", "hash-stored", None),
}
STEPS = {"test-and-confirm": WAY + ["trial", "confirm"], "confirm-only": WAY, "test-only": WAY, "upload-only": ["upload"]}
FLASHED = {
    "test-and-confirm": ["upload-start", "upload-complete", "swap", "confirm"],
    "confirm-only": ["upload-start", "upload-complete", "swap"],
    "test-only": ["upload-start", "upload-complete", "swap"],
    "upload-only": ["upload-start", "upload-complete"],
}
DEEDS = {
    "test-and-confirm": ["upload-start", "upload-complete", "test", "reset", "swap", "boot", "confirm"],
    "confirm-only": ["upload-start", "upload-complete", "perm", "reset", "swap", "boot"],
    "test-only": ["upload-start", "upload-complete", "test", "reset", "swap", "boot"],
    "upload-only": ["upload-start", "upload-complete"],
}
SETTINGS = "[plugin smp]\ntimeout = 500 ms\nnot_seen_retry = 1 s\n"


def hold_record(gw, devices, campaign="c1"):
    """What must be true of the record however often the daemon died."""
    events = [event for event in gw.record() if event.get("campaign") == campaign]
    for device in devices:
        assert len([e for e in events if e["type"] == "job-result" and e["device"] == device]) == 1
    assert [e["data"]["state"] for e in events if e["type"] == "campaign-state"].count("completed") == 1
    audit = gw.call("audit.verify")
    assert audit["valid"] and audit["rows"] > 0


def kill_at_step(gw, step):
    assert gw.await_log(f"{DEVICE}: {step} [") is not None, f"the job ended before {step}"
    gw.kill()
    gw.start(follow_log=True)


@pytest.mark.parametrize("mode", ENDS)
def test_killed_at_every_step(simulate, gateway, image, mode):
    simulator = simulate("--udp", "127.0.0.1:0", *LINK)
    path, hash_new = image("1.1.0", "--size", "40K")
    gw = gateway(simulator.sections(), SETTINGS, start=False).start(follow_log=True)
    gw.begin(path, {"ids": [DEVICE]}, mode=mode)
    for step in PREPARE + STEPS[mode]:
        kill_at_step(gw, step)
    job = gw.jobs()[DEVICE]
    assert outcome(job) == ENDS[mode], job
    assert flash_events(simulator, 0) == FLASHED[mode]
    assert [e["hash"] for e in simulator.events(0, "swap")] == ([hash_new] if "swap" in FLASHED[mode] else [])
    hold_record(gw, [DEVICE])


@pytest.mark.parametrize("mode", ENDS)
def test_killed_at_every_deed_of_the_device(simulate, gateway, image, mode):
    """The daemon dies before it hears the answer to what the device just did."""
    simulator = simulate("--udp", "127.0.0.1:0", *LINK)
    path, _ = image("1.1.0", "--size", "40K")
    gw = gateway(simulator.sections(), SETTINGS)
    deeds = simulator.watch()
    gw.begin(path, {"ids": [DEVICE]}, mode=mode)
    for wanted in DEEDS[mode]:
        assert any(deed["event"] == wanted for deed in deeds)
        gw.kill()
        gw.start()
    job = gw.jobs()[DEVICE]
    assert outcome(job) == ENDS[mode], job
    assert flash_events(simulator, 0) == FLASHED[mode]
    hold_record(gw, [DEVICE])


def test_killed_at_every_step_of_a_rollback(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", *LINK)
    path, _ = image("1.1.0", "--size", "40K")
    gw = gateway(simulator.sections(), SETTINGS, start=False).start(follow_log=True)
    gw.begin(path, {"ids": [DEVICE]})
    gw.jobs()
    before = len(flash_events(simulator, 0))
    gw.call("campaign.start", {"document": {"schema": "gatewayd/campaign/1", "id": "back", "revision": 1, "rollback": "other-slot",
                                            "devices": {"ids": [DEVICE]}}})
    assert gw.await_log("campaign=back") is not None
    for step in PREPARE + ["test", "reset", "return", "verify", "trial", "confirm"]:
        kill_at_step(gw, step)
    job = gw.jobs("back")[DEVICE]
    assert outcome(job) == ("succeeded", "updated", "hash-active-confirmed", None), job
    assert job["hash_after"] == simulator.devices[0]["hash"]
    assert flash_events(simulator, 0)[before:] == ["swap", "confirm"]
    hold_record(gw, [DEVICE], "back")


def kill_at_random(simulate, gateway, image, n_kills, size):
    """Uploads of several devices at once over slow links; the seed is fixed, the moments are not those of any step."""
    chance = random.Random(20260101)
    simulator = simulate("--udp", "127.0.0.1:0", "--udp-count", 3, "--pty-count", 1, "--pty", f"/tmp/gatewayd-crash-{random.getrandbits(40):x}-%d",
                         "--rate", 60000, "--latency-ms", 2, "--device", "1:loss=0.02", "--device", "2:mode=2")  # 2: overwrites
    path, _ = image("1.1.0", "--size", size)
    gw = gateway(simulator.sections(), SETTINGS)
    devices = [f"smp-{d['transport']}:d{d['device']}".replace("smp-pty", "smp-serial") for d in simulator.devices]
    gw.begin(path, {"ids": devices}, compatible=["simboard"], concurrency=4)
    for _ in range(n_kills):
        try:
            gw.process.wait(chance.uniform(0.01, 0.8))
            raise AssertionError("the daemon ended by itself\n" + gw.log()[-3000:])
        except subprocess.TimeoutExpired:
            gw.kill()
        gw.start()
    jobs = gw.jobs()
    for number, device in enumerate(devices):
        assert outcome(jobs[device]) == ENDS["test-and-confirm"], jobs[device]
        flashed = flash_events(simulator, number)
        assert [e for e in flashed if e.startswith("upload")] == FLASHED["upload-only"], flashed
    assert sum(len(simulator.events(number, "upload-resume")) for number in range(4)) > 0
    hold_record(gw, devices)


def test_killed_at_random_in_uploads(simulate, gateway, image):
    kill_at_random(simulate, gateway, image, 12, "200K")


@pytest.mark.full
def test_killed_a_hundred_times(simulate, gateway, image):
    kill_at_random(simulate, gateway, image, 100, "450K")
