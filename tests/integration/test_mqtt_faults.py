# SPDX-License-Identifier: Apache-2.0
"""What brokers, networks and power cuts do to the MQTT door: no event is lost, none is told twice under two numbers, nothing is flashed twice."""

import shutil
import signal
import socket
import threading
import time

import pytest

import harness
from mqtt_broker import ACL, EVENT_LINE
from mqtt_site import ALL, OWN, broker, events_until_last, expect_record, has_ended, is_last_event, is_status, site, without_repeats  # noqa: F401
from scenes import flash_events, outcome
from signer import campaign
from tls_server import Server

CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)


def test_no_broker_for_the_whole_campaign(site):
    place = site()
    place.broker.pause()
    gw = place.gateway
    gw.call("campaign.start", {"jws": place.order()})
    assert all(outcome(job) == CONFIRMED for job in gw.jobs("m-1").values())
    health = gw.call("gateway.health")
    assert health["events"]["undelivered"] == health["events"]["newest"] > 0
    assert health["doors"][0]["state"] == "disconnected"
    assert {problem["name"] for problem in health["problems"]} & {"connection-refused", "broker-lost"}
    desk = place.broker.start_for("operator", f"{OWN}/#")
    # Those of the adoptions may have been delivered before the broker went.
    events = events_until_last(desk, "m-1")
    record = gw.record()
    expect_record(events, record[-len(events):])
    assert {event["campaign"] for event in record[:-len(events)] if "campaign" in event} == set()


def test_a_broker_that_restarts_and_one_that_forgets(site):
    place = site(n_devices=6, options=("--rate", "40000"))
    desk = place.operator(f"{OWN}/#")
    desk.call("campaign.start", {"jws": place.order(policy={"waves": [{"percent": 100}], "concurrency": 1})})
    events = []
    for kill in (False, True):
        desk.take(lambda message: message.topic == f"{OWN}/event" and message.json["type"] == "job-result")
        events += [message.json for message in desk.drain() if message.topic == f"{OWN}/event"]
        place.broker.stop(kill=kill)
        if kill:
            (place.broker.folder / "mosquitto.db").unlink(missing_ok=True)
        place.broker.start()
        desk = place.operator(f"{OWN}/#")
    document = desk.take(has_ended("m-1")).json
    assert document["campaign"]["counts"]["succeeded"] == 6
    desk.take(is_last_event("m-1"))
    # A broker that forgets everything has all documents again.
    place.broker.stop(kill=True)
    (place.broker.folder / "mosquitto.db").unlink(missing_ok=True)
    place.broker.start()
    desk = place.operator(f"{OWN}/#")
    wanted = {f"{OWN}/campaign/m-1", f"{OWN}/status"} | {f"{OWN}/device/smp-udp:d{n}" for n in range(6)}
    while wanted:
        wanted.discard(desk.take(lambda message: message.topic in wanted and message.payload).topic)
    assert desk.call("gateway.health")["events"]["undelivered"] == 0


def test_publishing_is_refused_for_a_while(site):
    place = site(acl=ACL.read_text().replace(EVENT_LINE, ""))
    desk = place.operator(f"{OWN}/#")
    desk.call("campaign.start", {"jws": place.order()})
    desk.take(has_ended("m-1"))
    assert not [message for message in desk.messages if message.topic == f"{OWN}/event"]
    health = desk.call("gateway.health")
    assert health["events"]["undelivered"] == health["events"]["newest"]
    assert [problem["name"] for problem in health["problems"]] == ["broker-acl-missing"]
    assert f"does not let this client publish to {OWN}/event" in place.gateway.log()
    assert place.gateway.log().count("stays here until the broker takes it") == 1
    place.broker.set_acl(ACL.read_text())
    expect_record(events_until_last(desk, "m-1"), place.gateway.record())
    assert desk.call("gateway.health")["problems"] == []


def test_two_gateways_with_one_id(site, gateway):
    place = site()
    desk = place.operator(f"{OWN}/#")
    instances = {desk.take(is_status()).json["instance"]}
    other = gateway(settings=place.settings)
    while len(instances) < 2:
        instances.add(desk.take(is_status()).json["instance"])
    # They take the connection from each other until one has seen the other and leaves.
    end = time.monotonic() + harness.PATIENCE_S
    both = (place.gateway, other)
    while not any("this one stays away for a while; next" in gw.log() for gw in both):
        assert time.monotonic() < end, both[0].log() + both[1].log()
    away, here = both if "this one stays away" in both[0].log() else both[::-1]
    door = away.call("gateway.health")
    assert door["doors"][0]["state"] == "disconnected" and door["doors"][0]["retry_in_ms"] > 5 * 60 * 1000
    assert "broker-session-taken-over" in [problem["name"] for problem in door["problems"]]
    while here.call("gateway.health")["doors"][0]["state"] != "connected":
        assert time.monotonic() < end
    assert desk.call("gateway.info")["id"] == "test-gateway"
    assert "this one stays away" not in here.log()


def test_a_session_that_is_taken_away(site):
    """Somebody else connects with the gateway's id and leaves again."""
    place = site()
    desk = place.operator(f"{OWN}/#")
    desk.take(is_status())
    thief = place.broker.client("test-gateway", client_id="test-gateway")
    thief.stop()
    desk.take(is_status())
    correlation = desk.request(f"{OWN}/command", "gateway.info")
    assert desk.take(lambda message: message.correlation == correlation and "result" in message.json).json["result"]["id"] == "test-gateway"
    assert "broker-lost" in place.gateway.log() and "another gateway" not in place.gateway.log()


class Nonsense:
    """A listener that answers every connection with these bytes."""

    def __init__(self, data):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.data, self.n_served, self.served = data, 0, threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(4096)
                    connection.sendall(self.data)
                    while connection.recv(4096):
                        pass
                except OSError:
                    pass
            self.n_served += 1
            if self.n_served >= 2:
                self.served.set()


@pytest.mark.parametrize("data", [
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n" + b"<html>" * 40,
    bytes.fromhex("2003000000") + bytes.fromhex("30ffffff7f") + bytes(3_000_000),
    bytes.fromhex("2003000000") + bytes.fromhex("30090005") + b"\xff\xfe\xfd\xfc\xfb" + b"\x00x",
    b"\xff" * 600], ids=["http", "huge", "not-utf8", "lengths"])
def test_what_is_no_broker(gateway, data):
    """Each time it is given up and tried again; the daemon goes on and stops as always."""
    peer = Nonsense(data)
    gw = gateway(settings=f"[mqtt]\nurl = mqtt://127.0.0.1:{peer.port}\n")
    assert peer.served.wait(harness.PATIENCE_S)
    door = gw.call("gateway.health")["doors"][0]
    assert door["state"] == "disconnected"
    gw.stop()
    peer.listener.close()


def test_a_black_hole_does_not_keep_it_from_stopping(gateway):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(address)
        fillers.append(filler)
    gw = gateway(settings=f"[mqtt]\nurl = mqtt://127.0.0.1:{address[1]}\n")
    # A connection attempt hangs in SYN-SENT now.
    end = time.monotonic() + harness.PATIENCE_S
    while not any(line.split()[3] == "02" and line.split()[2].endswith(f":{address[1]:04X}") for line in open("/proc/net/tcp").readlines()[1:]):
        assert time.monotonic() < end
    gw.stop()
    assert "not everything ended" not in gw.log()
    listener.close()


@pytest.mark.parametrize("seed", range(3))
def test_killed_in_mid_campaign(site, seed):
    place = site(n_devices=4, options=("--rate", "60000"))
    desk = place.operator(f"{OWN}/#")
    desk.call("campaign.start", {"jws": place.order(policy={"waves": [{"percent": 100}]})})
    for _ in range(3):
        desk.take(lambda message: message.topic == f"{OWN}/event" and message.json["type"] in ("job-state", "job-result"))
        place.gateway.kill()
        place.gateway.start()
    desk.take(has_ended("m-1"))
    desk.take(is_last_event("m-1"))
    assert all(outcome(job) == CONFIRMED for job in place.gateway.jobs("m-1").values())


def test_events_survive_kills_in_order(site):
    """Without a broker, killed twice, then everything arrives once; killed again, nothing arrives a second time under another number."""
    place = site(n_devices=4, options=("--rate", "60000"))
    gw = place.gateway
    desk = place.operator(f"{OWN}/event")
    gw.call("campaign.start", {"jws": place.order(policy={"waves": [{"percent": 100}]})})
    gw.wait_event(lambda params, method: params.get("type") == "job-state", "m-1")
    gw.kill()
    gw.start()
    events = events_until_last(desk, "m-1")
    gw.kill()
    gw.start()
    gw.call("campaign.start", {"jws": place.order("m-2")})
    events += events_until_last(desk, "m-2")
    expect_record(without_repeats(events), gw.record())


def test_a_broker_that_takes_bytes_and_reads_none(site):
    """It hangs, then dies, and so does the gateway meanwhile: what went into the connection has not arrived."""
    place = site(n_devices=4, options=("--rate", "60000"))
    gw = place.gateway
    desk = place.operator(f"{OWN}/event")
    desk.call("campaign.start", {"jws": place.order(policy={"waves": [{"percent": 100}], "concurrency": 1})})
    desk.messages.append(desk.take(lambda message: message.topic == f"{OWN}/event" and message.json["data"].get("state") == "in_progress"))
    place.broker.signal(signal.SIGSTOP)
    gw.wait_event(lambda params, method: params.get("type") == "job-result" and params["device"] == "smp-udp:d1", "m-1")
    gw.kill()
    place.broker.pause(kill=True)
    place.broker.start()
    later = place.operator(f"{OWN}/event")
    gw.start()
    rest = events_until_last(later, "m-1")
    events = [message.json for message in desk.drain() if message.topic == f"{OWN}/event"] + rest
    record = without_repeats(events)
    expect_record(record, gw.record()[-len(record):])
    assert {event["seq"] for event in rest} >= {event["seq"] for event in record if event["type"] == "job-result"}


@pytest.fixture
def server(tmp_path):
    one = Server(tmp_path / "files")
    yield one
    one.stop()


@pytest.mark.parametrize("age_h", [0, 25])
def test_the_state_is_wiped_in_mid_campaign(site, server, age_h, tmp_path):
    place = site(n_devices=4, options=("--rate", "60000"), settings="[artifacts]\nallow_private = loopback\n")
    place.gateway.config.write_text(place.gateway.config.read_text().replace(f"keys_dir = {place.keys}", f"keys_dir = {place.keys}\nca_file = {server.certificate}"))
    place.gateway.stop()
    place.gateway.start()
    server.files["/app.bin"] = place.path.read_bytes()
    place.artifact["url"] = server.url("/app.bin")
    desk = place.operator(f"{OWN}/#")
    now = int(time.time()) - age_h * 3600
    jws = place.signer.jws(campaign(place.artifact, ALL, name="m-1", now=now, exp=int(time.time()) + 3600,
                                    policy={"waves": [{"percent": 100}], "concurrency": 1}))
    desk.publish(f"{OWN}/desired/m-1", jws, retain=True)
    if age_h:  # an old document that this store has never heard of
        desk.take(lambda message: message.topic == f"{OWN}/campaign/m-1" and message.json and message.json["campaign"]["state"] == "paused")
        desk.call("campaign.continue", {"jws": place.signer.command("campaign.continue", {"id": "m-1"})})
    desk.take(lambda message: message.topic == f"{OWN}/event" and message.json["type"] == "job-result")
    epoch = desk.call("campaign.report", {"id": "m-1"})["epoch"]
    place.gateway.kill()
    shutil.rmtree(place.gateway.state)
    desk.drain()
    place.gateway.start()
    if age_h:
        held = desk.take(lambda message: message.topic == f"{OWN}/campaign/m-1" and message.json and message.json["epoch"] != epoch).json["campaign"]
        assert (held["state"], held["reason"]) == ("paused", "needs-approval")
        desk.call("campaign.continue", {"jws": place.signer.command("campaign.continue", {"id": "m-1"})})
    document = desk.take(lambda message: has_ended("m-1")(message) and message.json["epoch"] != epoch).json["campaign"]
    assert document["counts"]["succeeded"] == 4 and document["results"].get("already", 0) >= 1
    for index in range(4):
        assert flash_events(place.simulator, index).count("swap") == 1, index
