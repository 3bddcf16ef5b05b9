# SPDX-License-Identifier: Apache-2.0
"""The main job, whole: one file, one device, one proof."""


def test_one_udp_device(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0")
    path, hash_new = image("1.1.0", "--size", "200K")
    gw = gateway(simulator.sections())
    gw.begin(path, {"ids": ["smp-udp:d0"]})
    job = gw.jobs()["smp-udp:d0"]
    assert (job["state"], job["result"], job["proof"]) == ("succeeded", "updated", "hash-active-confirmed")
    assert job["hash_before"] == simulator.devices[0]["hash"]
    assert (job["version_after"], job["hash_after"]) == ("1.1.0", hash_new)
    assert [e["event"] for e in simulator.events(0) if e["event"] in ("upload-start", "upload-complete", "swap", "confirm", "revert")] == [
        "upload-start", "upload-complete", "swap", "confirm"]
    steps = [step["name"] for step in job["steps"]]
    assert steps == ["upload", "test", "reset", "return", "verify", "trial", "confirm"]


def test_again_is_already(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0")
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections())
    gw.begin(path, {"ids": ["smp-udp:d0"]})
    gw.jobs()
    gw.begin(path, {"ids": ["smp-udp:d0"]}, name="c2")
    job = gw.jobs("c2")["smp-udp:d0"]
    assert (job["state"], job["result"], job["proof"]) == ("succeeded", "already", "hash-active-confirmed")
    assert len(simulator.events(0, "upload-start")) == 1
