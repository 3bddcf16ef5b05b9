# SPDX-License-Identifier: Apache-2.0
"""The ACL of etc/mosquitto in a real mosquitto: what each role can read and write, by what arrives."""

import pytest

from mqtt_broker import ACL, Broker

ROOT = "gatewayd/v1"
USERS = ("pi-a", "pi-b", "operator", "monitor", "anna", "admin")
TOPICS = [f"{ROOT}/{name}" for name in (
    "gw/pi-a/command", "gw/pi-a/desired/c", "gw/pi-a/reply", "gw/pi-a/event", "gw/pi-a/status", "gw/pi-a/campaign/c", "gw/pi-a/device/smp-udp:d0",
    "gw/pi-b/command", "gw/pi-b/desired/c", "gw/pi-b/reply", "gw/pi-b/event", "gw/pi-b/status", "gw/pi-b/campaign/c", "gw/pi-b/device/smp-udp:d0",
    "group/oslo/command", "group/oslo/desired/c", "all/command", "all/desired/c",
    "client/anna/reply", "client/operator/reply", "client/pi-a/reply")] + ["other/v1/gw/pi-a/status", f"{ROOT}/gw/pi-a/else", "$SYS/x"]

COMMANDS = {"group/oslo/command", "group/oslo/desired/c", "all/command", "all/desired/c"}
REPORTS = {f"gw/pi-{x}/{name}" for x in "ab" for name in ("event", "status", "campaign/c", "device/smp-udp:d0")}
REPLIES = {"client/anna/reply", "client/operator/reply", "client/pi-a/reply"}
ORDERS = {f"gw/pi-{x}/{name}" for x in "ab" for name in ("command", "desired/c")} | COMMANDS

READS = {
    "pi-a": COMMANDS | {"gw/pi-a/command", "gw/pi-a/desired/c", "gw/pi-a/status", "gw/pi-a/campaign/c", "gw/pi-a/device/smp-udp:d0", "client/pi-a/reply"},
    "anna": COMMANDS | {"client/anna/reply"},
    "operator": REPORTS | COMMANDS | {f"gw/pi-{x}/{name}" for x in "ab" for name in ("desired/c", "reply")} | {"client/operator/reply"},
    "monitor": REPORTS | COMMANDS,
}
WRITES = {
    "pi-a": {f"gw/pi-a/{name}" for name in ("reply", "event", "status", "campaign/c", "device/smp-udp:d0")} | REPLIES,
    "anna": REPLIES,
    "operator": ORDERS | REPLIES,
    "monitor": REPLIES,
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    one = Broker(tmp_path_factory.mktemp("broker"), users=USERS, acl=ACL.read_text() + "\nuser admin\ntopic readwrite #\n")
    yield one
    one.stop(kill=True)


def with_root(names):
    return {f"{ROOT}/{name}" for name in names}


@pytest.mark.parametrize("user", READS)
def test_reading(broker, user):
    reader, admin = broker.client(user), broker.client("admin")
    reader.holds_schemas = admin.holds_schemas = False
    reader.subscribe("#")
    for topic in TOPICS:
        admin.publish(topic, b"x")
    admin.publish(f"{ROOT}/all/command", b"end")
    reader.take(lambda message: message.payload == b"end")
    assert {message.topic for message in reader.messages} == with_root(READS[user])


@pytest.mark.parametrize("user", WRITES)
def test_writing(broker, user):
    writer, admin = broker.client(user), broker.client("admin")
    writer.holds_schemas = admin.holds_schemas = False
    admin.subscribe("#")
    for topic in TOPICS:
        writer.publish(topic, user.encode())
    admin.publish("end", b"end")
    admin.take(lambda message: message.payload == b"end")
    assert {message.topic for message in admin.messages if message.payload == user.encode()} == with_root(WRITES[user])
