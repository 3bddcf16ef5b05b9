# SPDX-License-Identifier: Apache-2.0
"""The MQTT door: the real daemon, a real mosquitto with the ACL of etc/mosquitto, simulated devices, orders signed by another program."""

import json
import subprocess
import time

import pytest

import harness
from mqtt_site import ALL, OWN, broker, expect_record, has_ended, is_last_event, is_status, site  # noqa: F401
from scenes import outcome
from signer import Signer, campaign

CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)

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


# --- who is spoken to, and where the answer goes ---


def test_the_desired_state(site):
    place = site()
    desk = place.operator(f"{OWN}/#")
    desk.take(is_status())
    # A retained document is accepted when it comes, and again at each connect.
    desk.publish("gatewayd/v1/all/desired/m-1", place.order(), retain=True)
    assert desk.take(has_ended("m-1")).json["campaign"]["counts"]["succeeded"] == 3
    # Taken away: nothing happens.
    desk.publish("gatewayd/v1/all/desired/m-1", b"", retain=True)
    desk.publish(f"{OWN}/desired/nonsense", b"{}", retain=True)
    desk.publish(f"{OWN}/desired/other", place.order("m-2", aud=["another-gateway"]), retain=True)
    desk.publish(f"{OWN}/desired/m-3", place.order("m-3"), retain=True)
    assert desk.take(has_ended("m-3")).json["campaign"]["results"] == {"already": 3}
    assert [c["id"] for c in desk.call("campaign.list")["campaigns"]] == ["m-3", "m-1"]
    assert "the desired campaign nonsense is not accepted" in place.gateway.log()
    place.gateway.stop()
    place.gateway.start()
    desk.take(is_status())
    assert [c["id"] for c in desk.call("campaign.list")["campaigns"]] == ["m-3", "m-1"]


def test_desired_before_the_clock_is_set(site, tmp_path):
    """Nothing can be judged then; when the time is known, what is retained is read once more, without a new connection."""
    shim, flag = tmp_path / "clock_shim.so", tmp_path / "1970"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, harness.ROOT / "tests/integration/clock_shim.c", "-ldl"], check=True)
    flag.touch()
    place = site()
    desk = place.operator(f"{OWN}/#")
    place.gateway.stop()
    desk.take(is_status("offline"))
    place.gateway.start(environment={"LD_PRELOAD": str(shim), "GATEWAYD_TEST_CLOCK": str(flag)}, follow_log=True)
    desk.take(is_status())
    desk.publish(f"{OWN}/desired/m-1", place.order(), retain=True)
    assert place.gateway.await_log("the desired campaign m-1 is not accepted")
    assert desk.call("campaign.list")["campaigns"] == []
    flag.unlink()
    assert desk.take(has_ended("m-1")).json["campaign"]["counts"]["succeeded"] == 3


def test_a_key_that_comes_after_the_order(site):
    place = site()
    desk = place.operator(f"{OWN}/#")
    desk.take(is_status())
    late = Signer("late")
    desk.publish(f"{OWN}/desired/m-1", late.jws(campaign(place.artifact, ALL, name="m-1")), retain=True)
    desk.publish(f"{OWN}/desired/m-2", place.order("m-2"), retain=True)
    desk.take(has_ended("m-2"))
    assert [c["id"] for c in desk.call("campaign.list")["campaigns"]] == ["m-2"]
    late.install(place.keys)
    place.gateway.call("gateway.reload")
    desk.take(has_ended("m-1"))


def test_a_desired_document_that_does_not_count_yet(site):
    place = site()
    desk = place.operator(f"{OWN}/#")
    desk.publish(f"{OWN}/desired/m-1", place.order(nbf=int(time.time()) + 600), retain=True)
    desk.publish(f"{OWN}/desired/m-2", place.order("m-2", nbf=int(time.time()) + 4), retain=True)
    assert desk.take(has_ended("m-2")).json["campaign"]["counts"]["succeeded"] == 3
    assert "document-not-yet-valid" in place.gateway.log()
    assert [c["id"] for c in desk.call("campaign.list")["campaigns"]] == ["m-2"]


def test_a_key_that_comes_later(site):
    place = site()
    desk = place.operator(f"{OWN}/#")
    later = Signer("later")
    desk.publish("gatewayd/v1/all/desired/m-1", later.jws(campaign(place.artifact, ALL, name="m-1")), retain=True)
    desk.publish("gatewayd/v1/all/desired/m-2", place.order("m-2"), retain=True)
    desk.take(has_ended("m-2"))
    later.install(place.keys)
    place.gateway.call("gateway.reload")
    assert desk.take(has_ended("m-1")).json["campaign"]["principal"] == "later"


def test_groups_that_change(site):
    place = site()
    desk = place.operator(f"{OWN}/#")
    desk.take(is_status())
    desk.publish("gatewayd/v1/group/oslo/desired/m-1", place.order(), retain=True)
    plain = place.gateway.config.read_text()
    place.gateway.config.write_text(plain.replace("id = test-gateway", "id = test-gateway\ngroups = oslo"))
    place.gateway.call("gateway.reload")
    desk.take(has_ended("m-1"))
    place.gateway.config.write_text(plain)
    place.gateway.call("gateway.reload")
    first = desk.request("gatewayd/v1/group/oslo/command", "gateway.info")
    second = desk.request(f"{OWN}/command", "gateway.info")
    assert desk.take(lambda message: message.correlation in (first, second) and "result" in message.json).correlation == second


def test_only_who_is_addressed_answers(site):
    place = site()
    desk = place.operator(f"{OWN}/reply")
    first = desk.request("gatewayd/v1/all/command", "campaign.start", {"jws": place.order(aud=["pi-*"])})
    second = desk.request("gatewayd/v1/all/command", "gateway.info")
    reply = desk.take(lambda message: message.correlation in (first, second))
    assert reply.correlation == second and reply.json["result"]["id"] == "test-gateway"
    # To one alone: it says why not.
    with pytest.raises(harness.RpcError) as error:
        desk.call("campaign.start", {"jws": place.order(aud=["pi-*"])})
    assert error.value.name == "not-for-this-gateway"


def test_replies_go_nowhere_else(site):
    place = site()
    desk = place.operator(f"{OWN}/reply", "gatewayd/v1/gw/#", "gatewayd/v1/all/#")
    for topic in ("gatewayd/v1/gw/test-gateway/status", "gatewayd/v1/all/command", "gatewayd/v1/client/a/b/reply", "gatewayd/v1/client//reply", "x", None):
        correlation = desk.request(f"{OWN}/command", "gateway.info", reply_to=topic)
        reply = desk.take(lambda message: message.correlation == correlation and "result" in (message.json or {}))
        assert reply.topic == f"{OWN}/reply", topic


def test_group_commands(simulate, gateway, broker):
    one = broker(users=("pi-1", "pi-2", "operator"))
    for name, groups in (("pi-1", "oslo, all-of-norway"), ("pi-2", "bergen")):
        gw = gateway(settings=one.settings(name), start=False)
        gw.config.write_text(gw.config.read_text().replace("id = test-gateway", f"id = {name}\ngroups = {groups}"))
        gw.start()
    desk = one.client("operator")
    desk.subscribe("gatewayd/v1/client/operator/reply", "gatewayd/v1/gw/+/status")
    for name in ("pi-1", "pi-2"):
        desk.take(lambda message: message.topic == f"gatewayd/v1/gw/{name}/status" and message.json["state"] == "online")
    first = desk.request("gatewayd/v1/group/oslo/command", "gateway.info")
    assert desk.take(lambda message: message.correlation == first).json["gateway"] == "pi-1"
    both = desk.request("gatewayd/v1/all/command", "gateway.info")
    assert {desk.take(lambda message: message.correlation == both).json["gateway"] for _ in range(2)} == {"pi-1", "pi-2"}


def test_rights_from_far(site):
    place = site()
    desk = place.operator()
    for method, params, name in (
            ("campaign.start", {"document": {"schema": "gatewayd/campaign/1"}}, "signature-required"),
            ("device.adopt", {"id": "smp-udp:d0"}, "signature-required"),
            ("artifact.remove", {"sha256": "0" * 64}, "not-allowed-here"),
            ("gateway.reload", None, "not-allowed-here"),
            ("events.subscribe", None, "not-allowed-here"),
            ("campaign.pause", {"id": "unknown"}, "campaign-unknown")):
        with pytest.raises(harness.RpcError) as error:
            desk.call(method, params)
        assert error.value.name == name, method
    signed = place.signer.command("device.set", {"id": "smp-udp:d0", "add_labels": ["signed"]})
    assert "signed" in desk.call("device.set", {"jws": signed})["device"]["labels"]
    with pytest.raises(harness.RpcError) as error:
        desk.call("device.set", {"jws": signed})
    assert error.value.name == "command-replayed"


def test_retained_commands_are_dropped(site):
    place = site()
    desk = place.operator(f"{OWN}/#")
    desk.take(is_status())
    request = {"jsonrpc": "2.0", "id": 1, "method": "gateway.info"}
    desk.publish(f"{OWN}/command", request, retain=True, ResponseTopic="gatewayd/v1/client/operator/reply", CorrelationData=b"retained")
    second = desk.request(f"{OWN}/command", "gateway.info")
    assert desk.take(lambda message: message.correlation in (b"retained", second) and "result" in message.json).correlation == second
    place.gateway.stop()
    place.gateway.start()
    third = desk.request(f"{OWN}/command", "gateway.info")
    assert desk.take(lambda message: message.correlation in (b"retained", third) and "result" in message.json).correlation == third
    assert "commands are never retained" in place.gateway.log()


def test_the_same_command_twice(site):
    place = site()
    desk = place.operator()
    jws = place.order()
    first = desk.request(f"{OWN}/command", "campaign.start", {"jws": jws})
    second = desk.request(f"{OWN}/command", "campaign.start", {"jws": jws})
    replies = {message.correlation: message.json["result"] for message in (desk.take(lambda message: message.correlation) for _ in range(2))}
    assert sorted([replies[first]["known"], replies[second]["known"]]) == [False, True]
    assert len(desk.call("campaign.list")["campaigns"]) == 1
    assert all(outcome(job) == CONFIRMED for job in place.gateway.jobs("m-1").values())


def test_a_reply_that_the_broker_does_not_take(site):
    place = site(options=("--version", "1.0.0"), n_devices=30)
    place.broker.pause()
    place.broker.config.write_text(place.broker.config.read_text().replace("message_size_limit 1052672", "max_packet_size 4000"))
    place.broker.start()
    desk = place.operator(f"{OWN}/status")
    desk.take(is_status())
    with pytest.raises(harness.RpcError) as error:
        desk.call("device.list")
    assert error.value.name == "reply-too-large"
    page = desk.call("device.list", {"limit": 2})
    assert len(page["devices"]) == 2 and page["next"]


# --- what stands at the broker ---


def test_progress_is_live_and_not_stored(site):
    place = site(n_devices=1, options=("--rate", "4000"))
    desk = place.operator(f"{OWN}/#")
    desk.call("campaign.start", {"jws": place.order()})
    first = desk.take(lambda message: is_status()(message) and any(job.get("percent") for job in message.json["running"])).json["running"][0]
    assert first["campaign"] == "m-1" and first["step"] == "upload" and first["total_bytes"] > first["done_bytes"]
    then = desk.take(lambda message: is_status()(message) and any(job.get("percent", 0) > first["percent"] for job in message.json["running"]))
    assert then.json["jobs"]["in_progress"] == 1
    desk.call("campaign.cancel", {"id": "m-1"})
    desk.take(has_ended("m-1"))
    assert not [event for event in place.gateway.record() if "percent" in json.dumps(event["data"])]


def test_documents_of_what_is_gone_are_cleared(site):
    place = site(n_devices=1)
    desk = place.operator(f"{OWN}/#")
    desk.take(lambda message: message.topic == f"{OWN}/device/smp-udp:d0")
    adopted = place.signer.command("device.adopt", {"id": "smp-udp:late", "model": "simboard"})
    desk.call("device.adopt", {"jws": adopted})
    desk.take(lambda message: message.topic == f"{OWN}/device/smp-udp:late" and message.payload)
    desk.call("device.forget", {"jws": place.signer.command("device.forget", {"id": "smp-udp:late"})})
    desk.take(lambda message: message.topic == f"{OWN}/device/smp-udp:late" and not message.payload)
    # What an earlier life has left is found at the first connect of the next one.
    place.gateway.stop()
    desk.holds_schemas = False  # what lies there was not written by a gateway
    gateway_user = place.broker.client("test-gateway", client_id="another-id")
    for name in ("device/smp-udp:ghost", "campaign/ghost"):
        gateway_user.publish(f"{OWN}/{name}", {"left": "behind"}, retain=True)
    place.gateway.start()
    for name in ("device/smp-udp:ghost", "campaign/ghost"):
        desk.take(lambda message: message.topic == f"{OWN}/{name}" and not message.payload)
