# SPDX-License-Identifier: Apache-2.0
"""Signed campaigns over a real broker to thirty devices in waves, while gatewayd is killed with SIGKILL: when an order has just come, in
uploads, between the mark and the reset, while devices are away, on trial, at the confirmation, at a gate, while the broker is away, while it
delivers, and at any time. Every event arrives, in order, each once; no device is flashed twice.

GATEWAYD_TEST_SEED chooses other moments; the seed is printed."""

import contextlib
import os
import queue
import random
import re
import sqlite3
import subprocess
import threading

import pytest

import harness
from mqtt_site import OWN, broker, events_until_last, expect_record, has_ended, site, without_repeats  # noqa: F401
from scenes import outcome

N_DEVICES = 30
CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)
DEEDS = ["upload-start", "upload-complete", "test", "swap", "confirm"]  # of a device in one campaign, each once
FATAL_DEEDS = ["revert", "image-rejected", "swap-refused", "upload-lost", "crash", "no-return", "perm"]
POLICY = {"waves": [{"count": 5}, {"percent": 50}, {"percent": 100}], "soak_s": 1, "gate": "first-wave", "concurrency": 8}
SETTINGS = "[plugin smp]\ntimeout = 500 ms\nnot_seen_retry = 1 s\n"
LINK = ("--rate", 60000, "--latency-ms", 2, "--reset-ms", 40, "--boot-ms", 80)


def says(text):
    """A line of the daemon's log."""
    return lambda heard: isinstance(heard, str) and text in heard


def does(deed):
    """A device; the daemon has not heard the answer yet."""
    return lambda heard: isinstance(heard, dict) and heard["event"] == deed


# name: (what is waited for, seconds until the kill at most)
MOMENTS = {
    "inspecting": (says(": inspect ["), 0),
    "in the upload": (says(": upload ["), 0.5),
    "first chunk": (does("upload-start"), 0),
    "last chunk": (does("upload-complete"), 0),
    "marked": (does("test"), 0),
    "between the mark and the reset": (says(": reset ["), 0),
    "reset": (does("reset"), 0),
    "while it is away": (says(": return ["), 0.15),
    "it starts": (does("boot"), 0),
    "on trial": (says(": trial ["), 0.15),
    "at the confirmation": (says(": confirm ["), 0),
    "confirmed": (does("confirm"), 0),
    "a result": (says(": succeeded: updated"), 0.01),
    "delivering": (says("mqtt: connected to"), 0.05),
}
ANY_TIME_S = 0.6
P_ANY_TIME, P_BROKER_AWAY, P_THIS_DEVICE = 0.3, 0.08, 0.3
N_RARE = 4  # so many that were not met do not keep the others waiting


class Ear:
    """What the log says and what the devices do, as it comes; and how far the campaigns are."""

    def __init__(self, place):
        self.heard = queue.SimpleQueue()
        self.states = {}
        threading.Thread(target=self._listen, args=(place.simulator.watch(),), daemon=True).start()

    def _listen(self, deeds):
        with contextlib.suppress(OSError, ValueError):
            for deed in deeds:
                self.heard.put(deed)

    def next(self):
        heard = self.heard.get(timeout=harness.PATIENCE_S)
        found = re.search(r"campaign (\S+) is (\w+)", heard) if isinstance(heard, str) else None
        if found:
            self.states[found[1]] = found[2]
        return heard

    def catch_up(self):
        while not self.heard.empty():
            self.next()


class Killer:
    """Kills and starts; counts."""

    def __init__(self, place, chance, n_kills):
        self.place, self.chance, self.n_kills, self.n_done = place, chance, n_kills, 0
        self.ear = Ear(place)
        self.tally = {}
        self.left, self.picked = list(MOMENTS), None
        place.gateway.stop()
        place.gateway.start(follow_log=self.ear.heard)

    def is_done(self):
        return self.n_done >= self.n_kills

    def kill(self, moment):
        self.place.gateway.kill()
        self.n_done += 1
        self.tally[moment] = self.tally.get(moment, 0) + 1

    def kill_and_start(self, moment, most_s=0.0):
        self.let_run(self.chance.uniform(0, most_s))
        self.kill(moment)
        self.place.gateway.start(follow_log=self.ear.heard)

    def let_run(self, seconds):
        """A moment between two events is a time; the daemon must not end by itself meanwhile."""
        try:
            self.place.gateway.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError("the daemon ended by itself\n" + self.place.gateway.log()[-4000:])

    def await_moment(self, name, wanted):
        """Listens until wanted(heard) holds. False: the campaign is over, or stands at its gate, before that."""
        self.ear.catch_up()
        while self.ear.states.get(name) not in ("completed", "paused"):
            heard = self.ear.next()
            if heard is None:
                self.let_run(0)  # the log of the one before ends here, not that of this one
            elif wanted(heard):
                return True
        return False

    def pick(self, heard):
        """Whether this is one of the moments left, and the device is the one; so every kind has its turn."""
        fitting = [moment for moment in self.left if MOMENTS[moment][0](heard)]
        if not fitting or self.chance.random() >= P_THIS_DEVICE:
            return False
        self.picked = fitting[0]
        self.left.remove(self.picked)
        if len(self.left) <= N_RARE:
            self.left = list(MOMENTS)
        return True

    def strike(self, name):
        """One kill in the middle of campaign `name`, unless it comes to its end, or its gate, first."""
        is_away = self.chance.random() < P_BROKER_AWAY
        addition = ", without a broker" if is_away else ""
        if is_away:
            self.place.broker.pause()
        if self.chance.random() < P_ANY_TIME:
            self.kill_and_start("any time" + addition, ANY_TIME_S)
        elif self.await_moment(name, self.pick):
            self.kill_and_start(self.picked + addition, MOMENTS[self.picked][1])
        if is_away:
            self.let_run(self.chance.uniform(0, 0.3))
            self.place.broker.start()


def hand_over(place, killer, name):
    """The order comes and the daemon dies. As a command it is sent again until there is an answer, and then it stands; as the desired state
    nobody sends anything again, and it stands when there is a document of it."""
    jws = place.order(name, policy=POLICY)
    if killer.chance.random() < 0.5:
        place.desk.publish(f"{OWN}/desired/{name}", jws, retain=True)
        killer.kill_and_start("a desired order", 0.03)
        place.desk.messages.append(place.desk.take(lambda message: message.topic == f"{OWN}/campaign/{name}"))
        return
    place.desk.request(f"{OWN}/command", "campaign.start", {"jws": jws})
    killer.kill_and_start("an order", 0.03)
    assert place.desk.call("campaign.start", {"jws": jws})["campaign"]["id"] == name
    killer.kill_and_start("an order is answered")
    assert place.desk.call("campaign.get", {"id": name})["campaign"]["id"] == name


def pass_gate(place, killer, name):
    """It stands at the gate however often the daemon dies, until it is told to go on; that command is believed when it is answered."""
    document = place.desk.take(lambda message: message.topic == f"{OWN}/campaign/{name}" and message.json["campaign"]["state"] == "paused").json
    assert document["campaign"]["reason"] == "gate: wave 1 of 3" and document["campaign"]["counts"]["succeeded"] == POLICY["waves"][0]["count"]
    killer.kill_and_start("at the gate", 0.1)
    assert place.desk.call("campaign.get", {"id": name})["campaign"]["state"] == "paused"
    signed = {"jws": place.signer.command("campaign.continue", {"id": name})}
    place.desk.request(f"{OWN}/command", "campaign.continue", signed)
    killer.kill_and_start("told to go on", 0.03)
    try:
        place.desk.call("campaign.continue", signed)
    except harness.RpcError as error:
        assert error.name == "command-replayed", error  # the first one has come through
    assert place.desk.call("campaign.get", {"id": name})["campaign"]["state"] != "paused"
    killer.ear.catch_up()
    killer.ear.states[name] = "in_progress"


def run_campaign(place, killer, name):
    """Kills until the campaign, or the number of kills, is over; then the campaign is seen to its end. Answers its events."""
    hand_over(place, killer, name)
    while killer.ear.states.get(name) != "completed":
        if killer.ear.states.get(name) == "paused":
            pass_gate(place, killer, name)
        elif not killer.is_done():
            killer.strike(name)
        else:
            killer.await_moment(name, lambda heard: False)
    document = place.desk.take(has_ended(name)).json["campaign"]
    assert (document["state"], document["counts"]["succeeded"], document["results"]) == ("completed", N_DEVICES, {"updated": N_DEVICES})
    events = events_until_last(place.desk, name)
    place.desk.messages = []
    return events


def hold_campaign(place, name, hash_new):
    jobs = place.gateway.jobs(name)
    assert len(jobs) == N_DEVICES
    for device, job in jobs.items():
        assert (outcome(job), job["hash_after"]) == (CONFIRMED, hash_new), (device, job)


def hold_devices(simulator, sizes):
    """What the devices have gone through, as they tell it: every campaign once, not a byte twice."""
    deeds = {device["device"]: [] for device in simulator.devices}
    for event in simulator.events():
        if event["event"] in DEEDS + FATAL_DEEDS:
            deeds[event["device"]].append(event["event"])
    for device in simulator.control(do="stats")["devices"]:
        stats = device["stats"]
        assert deeds[device["device"]] == DEEDS * len(sizes), device
        assert (stats["uploads_started"], stats["uploads_completed"], stats["swaps"], stats["reverts"]) == (len(sizes), len(sizes), len(sizes), 0), device
        assert stats["bytes_written"] == sum(sizes), device


def hold_order(events):
    """events: as they came at the broker, from the first one on. Answers them without what came again."""
    once = without_repeats(events)
    assert [event["seq"] for event in once] == list(range(1, len(once) + 1))
    return once


def hold_events(events, record, names):
    once = hold_order(events)
    expect_record(once, record)
    devices = sorted(f"smp-udp:d{number}" for number in range(N_DEVICES))
    for name in names:
        own = [event for event in once if event.get("campaign") == name]
        states = [event["data"]["state"] for event in own if event["type"] == "campaign-state"]
        assert states == ["in_progress", "paused", "in_progress", "completed"]
        assert [event["data"]["wave"] for event in own if event["type"] == "wave-started"] == [1, 2, 3]
        assert sorted(event["device"] for event in own if event["type"] == "job-state" and event["data"]["state"] == "queued") == devices
        assert sorted(event["device"] for event in own if event["type"] == "job-result") == devices


def hold_retained(place, names):
    """A client that was never there before finds the last word on every campaign."""
    monitor = place.broker.client("monitor")
    monitor.subscribe(f"{OWN}/campaign/+")
    for name in names:
        campaign = monitor.take(lambda message: message.topic == f"{OWN}/campaign/{name}" and message.retained).json["campaign"]
        assert (campaign["state"], campaign["counts"]["succeeded"], campaign["results"]) == ("completed", N_DEVICES, {"updated": N_DEVICES}), name


def hold_store(gateway):
    audit = subprocess.run([harness.GATEWAYCTL, "--socket", gateway.socket_path, "audit", "verify"], capture_output=True, text=True)
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert gateway.call("audit.verify")["valid"]
    gateway.stop()
    with contextlib.closing(sqlite3.connect(gateway.state / "gatewayd.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def kill_over_campaigns(site, image, n_kills, size):
    seed = int(os.environ.get("GATEWAYD_TEST_SEED", "20261127"))
    print(f"GATEWAYD_TEST_SEED={seed}")
    chance = random.Random(seed)
    place = site(n_devices=N_DEVICES, options=LINK, settings=SETTINGS, listen=(f"{OWN}/event", f"{OWN}/campaign/+"))
    killer = Killer(place, chance, n_kills)
    events, sizes, names = [], [], []
    while not killer.is_done():
        name = f"k-{len(names) + 1}"
        place.path, hash_new = image(f"1.{len(names) + 1}.0", "--size", size)
        place.take_file()
        events += run_campaign(place, killer, name)
        hold_order(events)
        hold_campaign(place, name, hash_new)
        sizes.append(os.path.getsize(place.path))
        hold_devices(place.simulator, sizes)
        names.append(name)
    print(f"{killer.n_done} kills in {len(names)} campaigns: {killer.tally}")
    record = place.gateway.record()
    while events[-1]["seq"] < len(record):
        events.append(place.desk.take(lambda message: message.topic == f"{OWN}/event").json)
    hold_events(events, record, names)
    hold_retained(place, names)
    hold_store(place.gateway)


def test_thirty_kills_over_thirty_devices(site, image):
    kill_over_campaigns(site, image, 30, "24K")


@pytest.mark.full
def test_a_thousand_kills(site, image):
    kill_over_campaigns(site, image, 1000, "24K")
