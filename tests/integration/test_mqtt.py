# SPDX-License-Identifier: Apache-2.0
"""The MQTT door: the real daemon, a real mosquitto with the ACL of etc/mosquitto, simulated devices, orders signed by another program."""

import json
import os
import time

import pytest

import harness
from mqtt_broker import ACL, Broker
from scenes import outcome
from signer import Signer, campaign

CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)
OWN = "gatewayd/v1/gw/test-gateway"
ALL = {"labels": ["sensor"]}
FINAL = ("completed", "canceled", "superseded", "expired")


@pytest.fixture
def broker(tmp_path):
    """broker(users=..., acl=...) -> a started Broker"""
    running = []

    def begin(**options):
        one = Broker(tmp_path / f"broker{len(running)}", **options)
        running.append(one)
        return one

    yield begin
    for one in running:
        one.stop(kill=True)


@pytest.fixture
def site(simulate, gateway, image, tmp_path, broker):
    """site(...) -> Site: a broker, simulated devices, a gateway whose cache holds the file of every campaign."""

    def make(n_devices=3, settings="", options=(), start_broker=True, **broker_options):
        return Site(broker(**broker_options), simulate("--udp", "127.0.0.1:0", "--udp-count", n_devices, *options), gateway, image, tmp_path, settings)

    return make


class Site:
    def __init__(self, broker, simulator, gateway, image, folder, settings):
        self.broker = broker
        self.simulator = simulator
        self.signer = Signer("ci")
        self.keys = folder / "keys"
        self.signer.install(self.keys)
        self.settings = f"[trust]\nkeys_dir = {self.keys}\n{broker.settings()}{settings}"
        self.gateway = gateway(simulator.sections(extra="model = simboard\nlabels = sensor"), self.settings)
        self.path, _ = image("1.1.0")
        self.artifact = None
        self.take_file()

    def take_file(self):
        """The file is in the cache: nothing is fetched."""
        sha256 = self.gateway.import_file(self.path)["artifact"]["sha256"]
        self.artifact = {"url": "https://fw.example/app.bin", "size": os.path.getsize(self.path), "sha256": sha256, "compatible": ["simboard"]}

    def order(self, name="m-1", **members):
        return self.signer.jws(campaign(self.artifact, ALL, name=name, **members))

    def operator(self, *filters):
        client = self.broker.client("operator")
        client.subscribe("gatewayd/v1/client/operator/reply", *filters)
        return client


def is_status(state="online"):
    return lambda message: message.topic == f"{OWN}/status" and message.json and message.json["state"] == state


def has_ended(name):
    return lambda message: message.topic == f"{OWN}/campaign/{name}" and message.json and message.json["campaign"]["state"] in FINAL


def is_last_event(name):
    return lambda message: message.topic == f"{OWN}/event" and message.json["type"] == "campaign-state" and message.json.get(
        "campaign") == name and message.json["data"]["state"] in FINAL


def expect_record(events, record):
    """Everything that the gateway has written down, in order, each once."""
    keys = [(event["gateway"], event["epoch"], event["seq"]) for event in events]
    assert len(set(keys)) == len(keys)
    assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
    assert [event["seq"] for event in events] == [event["seq"] for event in record]
    assert events == record


# --- a whole campaign ---


def test_a_campaign_over_mqtt(site):
    place = site()
    desk = place.operator(f"{OWN}/#")
    status = desk.take(is_status())
    assert status.json["devices"]["adopted"] == 3
    plan = desk.call("campaign.plan", {"jws": place.order()})
    assert plan["counts"]["update"] == 3
    answer = desk.call("campaign.start", {"jws": place.order()})
    assert answer["known"] is False and answer["campaign"]["principal"] == "ci"
    document = desk.take(has_ended("m-1")).json
    assert document["campaign"]["counts"]["succeeded"] == 3
    last = desk.take(is_last_event("m-1"))
    jobs = place.gateway.jobs("m-1")
    assert all(outcome(job) == CONFIRMED for job in jobs.values()), jobs
    events = [message.json for message in desk.messages if message.topic == f"{OWN}/event"] + [last.json]
    expect_record(events, place.gateway.record())
    for name in jobs:
        device = desk.take(lambda message: message.topic == f"{OWN}/device/{name}" and message.json.get("job", {}).get("state") == "succeeded")
        assert device.json["campaign"] == "m-1" and device.json["device"]["version"].startswith("1.1.0")
    rows = place.gateway.call("audit.query", {"limit": 100})["rows"]
    assert [(row["door"], row["principal"]) for row in rows if row["command"] == "campaign.start"] == [("mqtt", "ci")]
    place.gateway.stop()
    assert desk.take(is_status("offline")).json["epoch"] == status.json["epoch"]
