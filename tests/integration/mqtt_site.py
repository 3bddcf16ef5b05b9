# SPDX-License-Identifier: Apache-2.0
"""A place where everything is: a broker, devices, a gateway with the file of every campaign in its cache, a key that signs."""

import os

import pytest

from mqtt_broker import Broker
from signer import Signer, campaign

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

    def make(n_devices=3, settings="", options=(), listen=(), **broker_options):
        return Site(broker(**broker_options), simulate("--udp", "127.0.0.1:0", "--udp-count", n_devices, *options), gateway, image, tmp_path, settings,
                    listen)

    return make


class Site:
    """listen: topics of an operator (desk) who hears the gateway from its first word on, whatever happens to the broker."""

    def __init__(self, broker, simulator, gateway, image, folder, settings, listen=()):
        self.broker = broker
        self.desk = self.operator(*listen, lasting=True) if listen else None
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

    def operator(self, *filters, **options):
        client = self.broker.client("operator", **options)
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


def events_until_last(desk, name):
    """Every event up to the campaign's last one, as it came."""
    last = desk.take(is_last_event(name))
    events = [message.json for message in desk.messages if message.topic == f"{OWN}/event"] + [last.json]
    desk.messages = [message for message in desk.messages if message.topic != f"{OWN}/event"]
    return events


def without_repeats(events):
    """Delivered again under the same identity it is the same event, to the letter."""
    seen = {}
    for event in events:
        assert seen.setdefault((event["gateway"], event["epoch"], event["seq"]), event) == event
    return list(seen.values())
