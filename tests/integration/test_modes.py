# SPDX-License-Identifier: Apache-2.0
"""What an order may ask for, and what people do while it runs."""

import datetime
import time

import harness
from scenes import flash_events, outcome

CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)
SETTINGS = "[plugin smp]\ntimeout = 500 ms\nnot_seen_retry = 1 s\n"
SLOW = ("--rate", 100000, "--latency-ms", 5)  # an upload of 300K takes some seconds


def ids(*numbers):
    return {"ids": [f"smp-udp:d{number}" for number in numbers]}


def rollback(gw, devices, name="back"):
    return gw.call("campaign.start", {"document": {"schema": "gatewayd/campaign/1", "id": name, "revision": 1, "rollback": "other-slot",
                                                   "devices": devices}})


def await_step(gw, step, device="smp-udp:d0", campaign="c1"):
    """Until the job has entered the step: progress is told at each."""
    return gw.wait_event(lambda params, method: params.get("device") == device and params.get("step", params.get("data", {}).get("step")) == step,
                         campaign, progress=True)


def await_upload(simulator, watch, device=0):
    assert any(e["event"] == "upload-start" and e["device"] == device for e in watch)


def test_four_modes(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 4)
    path, hash_new = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    expected = [("test-and-confirm", CONFIRMED), ("confirm-only", CONFIRMED), ("test-only", ("succeeded", "on-trial", "hash-active", None)),
                ("upload-only", ("succeeded", "uploaded", "hash-stored", None))]
    for number, (mode, _) in enumerate(expected):
        gw.begin(path, ids(number), name=mode, mode=mode)
    for number, (mode, wanted) in enumerate(expected):
        job = gw.jobs(mode)[f"smp-udp:d{number}"]
        assert outcome(job) == wanted, job
        assert job["hash_after"] == (simulator.devices[number]["hash"] if mode == "upload-only" else hash_new)
        assert job["committed"] == (mode in ("test-and-confirm", "confirm-only"))
    # On trial and not confirmed: the next reset takes it back; what confirm-only installed stays.
    for number in (1, 2):
        watch = simulator.watch()
        simulator.control(device=number, do="reset")
        boot = next(e for e in watch if e["event"] == "boot")
        assert boot["hash"] == (hash_new if number == 1 else simulator.devices[2]["hash"])


def test_trial_lasts_and_confirms(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0")
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, ids(0), trial={"duration_s": 2, "checks": 4})
    assert outcome(gw.jobs()["smp-udp:d0"]) == CONFIRMED
    booted = [e["time"] for e in simulator.events(0, "boot")][-1]
    assert simulator.events(0, "confirm")[0]["time"] - booted >= 1.9


def test_cancel_on_trial_takes_it_back(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0")
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, ids(0), trial={"duration_s": 50, "checks": 2})
    await_step(gw, "trial")
    answer = gw.call("campaign.cancel", {"id": "c1"})
    assert answer["stopped"] == ["smp-udp:d0"] and answer["not_stopped"] == []
    gw.wait_event(lambda params, method: params.get("type") == "job-result")
    state = gw.call("campaign.get", {"id": "c1"})
    assert (state["campaign"]["state"], state["jobs"][0]["state"]) == ("canceled", "canceled")
    watch = simulator.watch()
    if not simulator.events(0, "revert"):
        assert any(e["event"] == "revert" for e in watch)
    assert simulator.control(device=0, do="state")["images"][0][0]["hash"] == simulator.devices[0]["hash"]


def test_cancel_behind_the_point_of_no_return(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--boot-ms", 2000)
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, ids(0), mode="confirm-only")
    await_step(gw, "return")
    answer = gw.call("campaign.cancel", {"id": "c1"})
    assert answer["stopped"] == [] and [(n["device"], n["step"]) for n in answer["not_stopped"]] == [("smp-udp:d0", "return")]
    gw.wait_event(lambda params, method: params.get("type") == "job-result")
    assert outcome(gw.call("campaign.get", {"id": "c1"})["jobs"][0]) == CONFIRMED


def test_image_that_lies_in_a_slot_is_not_sent_again(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0")
    path, hash_new = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, ids(0), mode="upload-only")
    gw.jobs()
    gw.begin(path, ids(0), name="c2")
    job = gw.jobs("c2")["smp-udp:d0"]
    assert outcome(job) == CONFIRMED and job["hash_after"] == hash_new
    assert flash_events(simulator, 0) == ["upload-start", "upload-complete", "swap", "confirm"]
    # And back, and forth again: no byte is sent any more.
    rollback(gw, ids(0))
    job = gw.jobs("back")["smp-udp:d0"]
    assert outcome(job) == CONFIRMED and job["hash_after"] == simulator.devices[0]["hash"]
    gw.begin(path, ids(0), name="c3")
    assert outcome(gw.jobs("c3")["smp-udp:d0"]) == CONFIRMED
    assert len(simulator.events(0, "upload-start")) == 1


def test_rollback_where_nothing_is_left(simulate, gateway):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 2, "--device", "1:mode=2")
    gw = gateway(simulator.sections(), SETTINGS)
    rollback(gw, ids(0, 1))
    jobs = gw.jobs("back")
    assert (jobs["smp-udp:d0"]["state"], jobs["smp-udp:d0"]["error"]["name"]) == ("rejected", "rollback-image-gone")
    assert jobs["smp-udp:d1"]["state"] in ("rejected", "failed")
    assert jobs["smp-udp:d1"]["error"]["name"] in ("rollback-image-gone", "rollback-not-possible")
    assert not simulator.events(0, "reset") and not simulator.events(1, "reset")


def test_older_version_needs_leave(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0")
    path, hash_old = image("0.9.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, ids(0))
    job = gw.jobs()["smp-udp:d0"]
    assert (job["state"], job["error"]["name"]) == ("rejected", "downgrade")
    assert not simulator.events(0, "upload-start")
    gw.begin(path, ids(0), name="c2", allow_downgrade=True)
    job = gw.jobs("c2")["smp-udp:d0"]
    assert outcome(job) == CONFIRMED and job["hash_after"] == hash_old


def test_hardware_must_fit(simulate, gateway, image):
    """0: other hardware; 1: nobody says, until somebody does; 2: device and adoption differ; 3: fits."""
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 4, "--device", "0:hardware-version=otherboard", "--device", "1:no-memfault,no-os-info")
    path, _ = image("1.1.0")
    sections = simulator.sections().replace("[device d2]\n", "[device d2]\nmodel = thermostat\n")
    gw = gateway(sections, SETTINGS)
    assert gw.call("device.diagnose", {"id": "smp-udp:d2"})["device"]["model"]["conflict"]
    gw.begin(path, ids(0, 1, 2, 3), compatible=["simboard"], concurrency=4)
    gw.follow(until=lambda campaign: campaign["counts"]["rejected"] == 1 and campaign["counts"]["succeeded"] == 1)
    jobs = {job["device"]: job for job in gw.call("campaign.get", {"id": "c1"})["jobs"]}
    assert jobs["smp-udp:d0"]["error"]["name"] == "incompatible"
    assert outcome(jobs["smp-udp:d3"]) == CONFIRMED
    assert (jobs["smp-udp:d2"]["state"], jobs["smp-udp:d2"]["reason"]) == ("queued", "model-conflict")
    assert (jobs["smp-udp:d1"]["state"], jobs["smp-udp:d1"]["reason"]) == ("queued", "model-unknown")
    assert [len(simulator.events(number, "upload-start")) for number in range(4)] == [0, 0, 0, 1]
    gw.call("device.set", {"id": "smp-udp:d1", "model": "simboard"})
    gw.stop()  # what the configuration states is corrected there
    gw.write_config(sections.replace("thermostat", "simboard"), SETTINGS)
    gw.start()
    jobs = gw.jobs()
    assert outcome(jobs["smp-udp:d1"]) == CONFIRMED and outcome(jobs["smp-udp:d2"]) == CONFIRMED


def test_pause_and_resume_in_an_upload(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", *SLOW)
    path, _ = image("1.1.0", "--size", "200K")
    gw = gateway(simulator.sections(), SETTINGS)
    watch = simulator.watch()
    gw.begin(path, ids(0))
    await_upload(simulator, watch)
    assert gw.call("campaign.pause", {"id": "c1", "reason": "lunch"})["campaign"]["state"] == "paused"
    job = gw.call("campaign.get", {"id": "c1"})["jobs"][0]
    until = time.monotonic() + 5
    while job.get("reason") != "paused" and time.monotonic() < until:  # the stop itself is no event
        job = gw.call("campaign.get", {"id": "c1"})["jobs"][0]
    assert job["reason"] == "paused" and not simulator.events(0, "upload-complete"), job
    gw.call("campaign.resume", {"id": "c1"})
    job = gw.jobs()["smp-udp:d0"]
    assert outcome(job) == CONFIRMED and job["attempt"] == 1
    names = [e["event"] for e in simulator.events(0)]
    assert names.count("upload-start") == 1 and names.count("upload-complete") == 1 and names.count("upload-resume") == 1


def test_sigterm_in_an_upload(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--udp-count", 3, "--pty-count", 1, "--pty", f"/tmp/gatewayd-term-{time.monotonic_ns()}-%d",
                         *SLOW, "--device", "1:erase-ms=40")
    path, _ = image("1.1.0", "--size", "200K")
    gw = gateway(simulator.sections(), SETTINGS)
    watch = simulator.watch()
    gw.begin(path, {"all": True}, compatible=["simboard"], concurrency=4)
    await_upload(simulator, watch)
    began = time.monotonic()
    gw.stop()
    assert time.monotonic() - began < 5
    gw.start()
    jobs = gw.jobs()
    assert {outcome(job) for job in jobs.values()} == {CONFIRMED}, jobs
    assert {job["attempt"] for job in jobs.values()} == {1}
    assert [len(simulator.events(number, "upload-start")) for number in range(4)] == [1, 1, 1, 1]


def test_no_more_at_once_than_asked(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 6)
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, {"all": True}, compatible=["simboard"], concurrency=2)
    assert {outcome(job) for job in gw.jobs().values()} == {CONFIRMED}
    running, most = set(), 0
    for event in gw.record():
        if event["type"] == "job-state" and event["data"]["state"] == "in_progress":
            running.add(event["device"])
        elif event["type"] == "job-result":
            running.discard(event["device"])
        most = max(most, len(running))
    assert most == 2


def test_one_job_of_a_device_at_a_time(simulate, gateway, image):
    """The second order waits, then finds nothing to do."""
    simulator = simulate("--udp", "127.0.0.1:0", *SLOW)
    path, _ = image("1.1.0", "--size", "100K")
    gw = gateway(simulator.sections(), SETTINGS)
    watch = simulator.watch()
    gw.begin(path, ids(0))
    await_upload(simulator, watch)
    gw.begin(path, ids(0), name="c2")
    assert outcome(gw.jobs("c2")["smp-udp:d0"])[:2] == ("succeeded", "already")
    assert outcome(gw.jobs()["smp-udp:d0"]) == CONFIRMED
    assert [e["campaign"] for e in gw.record() if e["type"] == "job-result"] == ["c1", "c2"]


def test_absent_until_the_deadline(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 2)
    simulator.control(device="all", do="power-off")
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(extra="model = simboard\n"), SETTINGS)
    deadline = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4)).strftime("%Y-%m-%dT%H:%M:%SZ")
    gw.begin(path, ids(0), deadline=deadline)
    gw.begin(path, ids(1), name="later")
    job = gw.jobs()["smp-udp:d0"]
    assert job["state"] in ("timed_out",) and job["reason"] in ("not-seen", "inventory-unknown"), job
    simulator.control(device="all", do="power-on")
    assert outcome(gw.jobs("later")["smp-udp:d1"]) == CONFIRMED
    assert not simulator.events(0, "upload-start")


def test_retry_begins_again(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 2, "--device", "0:refuse-swap")
    path, _ = image("1.1.0")
    gw = gateway(simulator.sections(), SETTINGS)
    gw.begin(path, ids(0, 1), compatible=["simboard"])
    assert gw.jobs()["smp-udp:d0"]["error"]["name"] == "smp-swap-refused"
    simulator.control(device=0, set={"refuse-swap": False})
    answer = gw.call("campaign.retry", {"id": "c1", "errors": ["smp-swap-refused"]})
    assert answer["retried"] == ["smp-udp:d0"]
    job = gw.jobs()["smp-udp:d0"]
    assert outcome(job) == CONFIRMED
    assert [e["type"] for e in gw.record() if e.get("device") == "smp-udp:d0"].count("retried") == 1


def test_higher_revision_supersedes(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", *SLOW)
    first, _ = image("1.1.0", "--size", "200K")
    second, hash_second = image("1.2.0")
    gw = gateway(simulator.sections(), SETTINGS)
    watch = simulator.watch()
    gw.begin(first, ids(0))
    await_upload(simulator, watch)
    sha256 = gw.import_file(second)["artifact"]["sha256"]
    document = {"schema": "gatewayd/campaign/1", "id": "c1", "revision": 2, "artifacts": [{"sha256": sha256, "size": second.stat().st_size}],
                "devices": ids(0)}
    gw.call("campaign.start", {"document": document})
    job = gw.jobs()["smp-udp:d0"]
    assert outcome(job) == CONFIRMED and job["hash_after"] == hash_second
    assert gw.call("campaign.get", {"id": "c1", "revision": 1})["jobs"][0]["state"] == "superseded"
    document["revision"] = 1
    try:
        gw.call("campaign.start", {"document": document})
        raise AssertionError("a lower revision was taken")
    except harness.RpcError as error:
        assert error.name == "revision-lower"
