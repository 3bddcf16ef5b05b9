# SPDX-License-Identifier: Apache-2.0
"""More devices than the gateway works, or asks, at once."""


def test_unknown_devices_take_turns_to_be_asked(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", "40")
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), "concurrency = 2\n")
    gw.begin(path, {"all": True}, compatible=["simboard"], mode="upload-only")
    jobs = gw.jobs()
    assert len(jobs) == 40
    assert {(job["state"], job["result"]) for job in jobs.values()} == {("succeeded", "uploaded")}
    assert len(simulator.events(name="upload-complete")) == 40


def test_canceled_while_devices_wait_to_be_asked(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", "40", "--latency-ms", "300")
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), "concurrency = 2\n")
    gw.begin(path, {"all": True}, compatible=["simboard"])
    gw.call("campaign.cancel", {"id": "c1"})
    assert {job["state"] for job in gw.jobs().values()} == {"canceled"}
    assert not simulator.events(name="upload-start")
    gw.stop()
