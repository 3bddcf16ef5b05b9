# SPDX-License-Identifier: Apache-2.0
"""Campaigns over several devices as an operator orders them: waves, gates, thresholds, windows, ways back."""

import datetime

import pytest

import harness
from scenes import flash_events, outcome

CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)
SETTINGS = "[plugin smp]\ntimeout = 500 ms\nnot_seen_retry = 1 s\n"
FAST = ("--reset-ms", 10, "--boot-ms", 20, "--latency-ms", 1)
WAVES = [{"count": 2}, {"percent": 25}, {"percent": 100}]
ALL = {"all": True}


def devices_of(simulator):
    return [f"smp-udp:d{device['device']}" for device in simulator.devices]


def paused(campaign):
    return campaign["state"] == "paused"


def events_of(gw, kind, campaign="c1"):
    return [event for event in gw.record() if event.get("campaign") == campaign and event["type"] == kind]


def order(gw, name, **members):
    """A document without files of its own, or one that says more than begin() can."""
    return gw.call("campaign.start", {"document": {"schema": "gatewayd/campaign/1", "id": name, "revision": 1, **members}})["campaign"]


def far_from_now():
    """A window of an hour that is not open: it begins in twelve hours."""
    start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=12)
    return [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": start.strftime("%H:%M"), "duration_min": 60, "timezone": "UTC"}]


def test_waves(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 12, *FAST)
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, ALL, compatible=["simboard"], waves=WAVES, soak_s=1, concurrency=12)
    jobs = gw.jobs()
    assert {outcome(job) for job in jobs.values()} == {CONFIRMED}
    record = [event for event in gw.record() if event.get("campaign") == "c1"]
    results = {wave: 0 for wave in (1, 2, 3)}
    open_wave = 0
    for event in record:
        if event["type"] == "wave-started":
            open_wave = event["data"]["wave"]
        if event["type"] == "job-result":
            assert jobs[event["device"]]["wave"] == open_wave
            results[open_wave] += 1
    assert results == {1: 2, 2: 1, 3: 9}
    assert [event["data"]["wave"] for event in record if event["type"] == "wave-ended"] == [1, 2]
    report = gw.call("campaign.report", {"id": "c1"})
    assert [(wave["devices"], wave["succeeded"], wave["open"]) for wave in report["waves"]] == [(2, 2, 0), (1, 1, 0), (9, 9, 0)]


def test_gate_over_a_kill(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 4, *FAST)
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, ALL, compatible=["simboard"], waves=[{"count": 1}, {"percent": 100}], gate="first-wave")
    state = gw.follow(until=paused)
    assert state["campaign"]["reason"] == "gate: wave 1 of 2"
    assert [job["state"] for job in state["jobs"]].count("succeeded") == 1
    gw.kill()
    gw.start()
    with pytest.raises(harness.RpcError) as refused:
        gw.call("campaign.resume", {"id": "c1"})
    assert refused.value.name == "campaign-state"
    assert gw.call("campaign.continue", {"id": "c1"})["campaign"]["state"] == "in_progress"
    assert {outcome(job) for job in gw.jobs().values()} == {CONFIRMED}


def test_threshold_and_retry(simulate, gateway, image):
    """Three of eight boards refuse to swap: the campaign stops itself; resumed, it goes through; the failed ones are tried again by name."""
    broken = [word for number in range(3) for word in ("--device", f"{number}:refuse-swap")]
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 8, *FAST, *broken)
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, ALL, compatible=["simboard"], concurrency=1)
    state = gw.follow(until=paused)
    assert state["campaign"]["reason"].startswith("threshold: 3 failed")
    gw.call("campaign.resume", {"id": "c1"})
    jobs = gw.jobs()
    assert [outcome(jobs[f"smp-udp:d{number}"])[3] for number in range(3)] == ["smp-swap-refused"] * 3
    assert all(outcome(jobs[f"smp-udp:d{number}"]) == CONFIRMED for number in range(3, 8))
    answer = gw.call("campaign.retry", {"id": "c1", "errors": ["smp-swap-refused"]})
    assert answer["retried"] == [f"smp-udp:d{number}" for number in range(3)]
    # They count against the thresholds anew, but are the last: nothing is left to stop.
    gw.follow()
    report = gw.call("campaign.report", {"id": "c1"})
    assert report["failures"][0]["name"] == "smp-swap-refused" and report["failures"][0]["count"] == 3
    assert len(report["failures"][0]["advice"]) > 10
    assert report["retried"]["count"] == 3
    assert [end["error"] for end in report["retried"]["devices"][0]["history"]] == ["smp-swap-refused"]
    assert len(events_of(gw, "retried")) == 3


def test_closed_window(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", *FAST)
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    campaign = gw.begin(path, ALL, compatible=["simboard"], maintenance_windows=far_from_now())
    assert campaign["state"] == "in_progress"
    state = gw.follow(until=lambda campaign: campaign.get("waits") == "window")
    assert (state["jobs"][0]["state"], state["jobs"][0]["reason"]) == ("queued", "window")
    document = dict(state["document"], revision=2)
    document["policy"] = {key: value for key, value in document["policy"].items() if key != "maintenance_windows"}
    plan = gw.call("campaign.plan", {"document": state["document"]})
    assert not plan["window"]["open"] and plan["window"]["opens"] == plan["starts"]
    assert not simulator.events(0, "upload-start")
    gw.call("campaign.start", {"document": document})  # a higher revision starts now
    assert outcome(gw.jobs()["smp-udp:d0"]) == CONFIRMED


def test_rollback_of(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 3, *FAST)
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, {"ids": ["smp-udp:d0", "smp-udp:d1"]}, compatible=["simboard"])
    gw.jobs()
    order(gw, "back", rollback_of="c1", devices=ALL)
    jobs = gw.jobs("back")
    assert sorted(jobs) == ["smp-udp:d0", "smp-udp:d1"]
    for number in (0, 1):
        assert outcome(jobs[f"smp-udp:d{number}"]) == CONFIRMED
        assert jobs[f"smp-udp:d{number}"]["hash_after"] == simulator.devices[number]["hash"]
        assert flash_events(simulator, number).count("upload-start") == 1  # the way there; back it lay in the other slot
    assert flash_events(simulator, 2) == []


def test_updated_by(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 3, *FAST)
    first, _ = image("1.1.0")
    second, hash_new = image("1.2.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(first, {"ids": ["smp-udp:d0", "smp-udp:d2"]}, compatible=["simboard"])
    gw.jobs()
    gw.begin(second, {"updated_by": "c1"}, "c2", compatible=["simboard"])
    jobs = gw.jobs("c2")
    assert {device: job["hash_after"] for device, job in jobs.items()} == {"smp-udp:d0": hash_new, "smp-udp:d2": hash_new}


def test_downgrade_and_incompatible(simulate, gateway, image):
    """Refused before anything is sent, and no reason to stop: in neither number of a threshold."""
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 5, "--version", "2.0.0", *FAST)
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, ALL, compatible=["simboard"], abort={"failed_count": 1, "failed_percent": 1, "min_finished": 1})
    assert {outcome(job)[::3] for job in gw.jobs().values()} == {("rejected", "downgrade")}
    gw.begin(path, {"ids": devices_of(simulator)}, "c2", compatible=["another"])
    assert {outcome(job)[::3] for job in gw.jobs("c2").values()} == {("rejected", "incompatible")}
    assert not simulator.events(name="upload-start")
