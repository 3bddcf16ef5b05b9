# SPDX-License-Identifier: Apache-2.0
"""The HTTPS door: the real daemon, a real TLS server, simulated devices, campaigns signed by another program."""

import hashlib
import pathlib

import pytest

import harness
from authority import Authority
from fleet_server import FleetServer
from mqtt_site import ALL, broker, expect_record, is_last_event  # noqa: F401
from scenes import outcome
from signer import Signer, campaign

CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)
GW, EVERYBODY = "/lists/gw/test-gateway.json", "/lists/all.json"


class Site:
    """A server that holds lists and the file, devices, a gateway, a key that signs."""

    def __init__(self, simulator, gateway, image, folder, server, authority):
        self.simulator, self.server, self.authority = simulator, server, authority
        self.make_gateway, self.gateway = gateway, None
        self.signer = Signer("ci")
        self.signer.install(folder / "keys")
        self.folder = folder
        self.path, _ = image("1.1.0")
        data = pathlib.Path(self.path).read_bytes()
        server.files["/app.bin"] = data
        self.artifact = {"url": server.url("/app.bin"), "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "compatible": ["simboard"]}

    def settings(self, extra="", https="", groups=""):
        return (f"[trust]\nkeys_dir = {self.folder / 'keys'}\nca_file = {self.authority.path}\n[artifacts]\nreserve = 0\nallow_private = loopback\n"
                + self.server.settings(https) + extra)

    def start(self, extra="", https="", begin=True):
        self.gateway = self.make_gateway(self.simulator.sections(extra="model = simboard\nlabels = sensor"), self.settings(extra, https), start=begin)
        return self.gateway

    def order(self, name="h-1", signer=None, **members):
        return (signer or self.signer).jws(campaign(self.artifact, ALL, name=name, **members))


@pytest.fixture
def place(simulate, gateway, image, tmp_path):
    """place(...) -> Site; arguments of the server and of the simulator."""
    servers = []
    authority = Authority(tmp_path / "authority")

    def make(n_devices=2, options=(), **server_options):
        servers.append(FleetServer(authority, **server_options))
        simulator = simulate("--udp", "127.0.0.1:0", "--udp-count", n_devices, *options)
        return Site(simulator, gateway, image, tmp_path, servers[-1], authority)

    make.authority = authority
    yield make
    for server in servers:
        server.stop()


def hold_against_schema(server):
    for batch in server.batches:
        problems = harness.schema_tools.problems("event-batch", batch)
        assert not problems, problems
        assert {(event["gateway"], event["epoch"]) for event in batch["events"]} == {(batch["gateway"], batch["epoch"])}


def expect_delivered(site, name="h-1"):
    """Every event that the gateway has written down arrived, in order, each once."""
    site.server.await_end(name)
    record = site.gateway.record()
    site.server.await_(lambda: len(site.server.events) >= len(record))
    expect_record(site.server.events, record)
    hold_against_schema(site.server)


def door(site, part="lists"):
    health = site.gateway.call("gateway.health")
    state = [d["state"] for d in health["doors"] if d["door"] == "https" and d["part"] == part]
    return state[0], [p["name"] for p in health["problems"]], health


# --- campaigns ---


def test_a_campaign_by_a_static_file(place):
    site = place()
    site.server.put_list("gw/test-gateway", site.order())
    site.start()
    expect_delivered(site)
    assert all(outcome(job) == CONFIRMED for job in site.gateway.jobs("h-1").values())
    rows = site.gateway.call("audit.query", {"limit": 100})["rows"]
    assert [(row["door"], row["principal"]) for row in rows if row["command"] == "campaign.start"] == [("https", "ci")]
    # From now on the server has nothing to send: the list is asked for by its ETag.
    site.server.await_(lambda: site.server.n_unchanged >= 2)
    assert len([1 for _, headers, _ in site.server.asked(GW) if "If-None-Match" not in headers]) == 1
    assert door(site)[0] == "connected" and door(site, "events")[0] == "connected"
    assert door(site)[1] == []


def test_all_three_lists(place):
    site = place()
    site.server.put_list("gw/test-gateway", site.order("mine"), site.order("not-mine", aud=["another-gateway"]))
    site.server.put_list("group/oslo", site.order("group", aud=["group:oslo"]))
    site.server.put_list("all", site.order("all", aud=["*"]))
    site.start(begin=False)
    site.gateway.config.write_text(site.gateway.config.read_text().replace("[log]", "groups = oslo\n[log]"))
    site.gateway.start()
    for name in ("mine", "group", "all"):
        site.server.await_end(name)
    assert {c["id"] for c in site.gateway.call("campaign.list")["campaigns"]} == {"mine", "group", "all"}
    assert "not-for-this-gateway" not in door(site)[1]


def test_what_is_refused_does_not_hide_the_rest(place):
    site = place()
    stranger = Signer("stranger")
    good = site.order("good")
    site.server.put_list("gw/test-gateway", site.order("stranger", signer=stranger), good[:-6] + "AAAAAA", "not-a.jws", good)
    site.server.files["/lists/all.json"] = b"<html>login</html>"
    site.start()
    site.server.await_end("good")
    site.server.await_(lambda: len(site.server.asked(GW)) >= 3)
    log = site.gateway.log()
    for name in ("key-unknown", "jws-signature", "jws-malformed"):
        assert len([line for line in log.splitlines() if "https door" in line and f"error={name}]" in line]) == 1, (name, log)
    assert door(site)[:2] == ("disconnected", ["campaign-list-invalid"])
    assert [c["id"] for c in site.gateway.call("campaign.list")["campaigns"]] == ["good"]


def test_a_key_that_comes_later(place):
    site = place()
    late = Signer("late")
    site.server.put_list("gw/test-gateway", site.order(signer=late))
    site.start()
    site.server.await_(lambda: len(site.server.asked(EVERYBODY)) >= 2)
    assert site.gateway.call("campaign.list")["campaigns"] == []
    late.install(site.folder / "keys")
    site.gateway.call("gateway.reload")
    expect_delivered(site)


def test_retry_after(place):
    site = place()
    site.server.plans[GW] = [(503, [("Retry-After", "2")]), (429, [("Retry-After", "1")])]
    site.server.put_list("gw/test-gateway", site.order())
    site.start()
    site.server.await_end("h-1")
    asked = site.server.asked(GW)
    assert [status for _, _, status in asked[:3]] == [503, 429, 200]
    assert asked[1][0] - asked[0][0] >= 2 and asked[2][0] - asked[1][0] >= 1
    assert "error=server-busy]" in site.gateway.log()
    assert len(site.server.asked(EVERYBODY)) < len(asked)  # a round that ended early asked for nothing else


# --- events ---


def test_events_across_outages_and_kills(place):
    """The server is away, loses an answer and refuses, the daemon is killed twice: each event arrives, in order, known once."""
    site = place(n_devices=4)
    site.server.stop()
    site.start()
    site.gateway.begin(site.path, ALL, "h-1", compatible=["simboard"])
    site.gateway.follow("h-1")
    n_before = len(site.gateway.record())
    site.gateway.kill()
    site.server.plans["/events"] = [(None, "lost"), (503, [("Retry-After", "1")])]
    site.server.start()
    site.gateway.start()
    site.server.await_(lambda: site.server.n_repeated > 0)
    site.gateway.kill()
    site.gateway.start()
    expect_delivered(site)
    assert site.server.n_repeated > 0 and len(site.server.events) >= n_before > 10
    assert len(site.server.batches) < len(site.server.events)


@pytest.mark.parametrize("kind", ["token", "certificate"])
def test_who_the_gateway_is(place, kind):
    certificate, key = place.authority.leaf("test-gateway", to_days=5)
    site = place(**({"token": "s3cret"} if kind == "token" else {"client_ca": place.authority.path}))
    site.server.put_list("all", site.order())
    site.start()
    refusal = "door-forbidden" if kind == "token" else "client-certificate-refused"
    assert site.gateway.process.poll() is None
    names = await_problem(site, refusal)
    assert refusal in names and site.server.events == []
    site.gateway.stop()
    token = site.folder / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    https = f"bearer_file = {token}" if kind == "token" else f"client_cert = {certificate}\nclient_key = {key}"
    # The file server asks for the same; its credentials are its own.
    source = f"[source files]\nprefix = {site.server.url('/')}\n{https}\n"
    site.gateway.write_config(site.simulator.sections(extra="model = simboard\nlabels = sensor"), site.settings(source, https))
    site.gateway.start()
    expect_delivered(site)
    if kind == "certificate":
        state, names, health = door(site)
        own = [c for c in health["certificates"] if c["own"] and c["use"] == "https"]
        assert own == [{"use": "https", "peer": str(certificate), "own": True, "not_after": own[0]["not_after"], "days_left": 4,
                        "error": "certificate-expires-soon"}]
        assert "certificate-expires-soon" in names
        assert "certificate-expires-soon" in str(site.gateway.call("gateway.diagnose"))
    assert "s3cret" not in site.gateway.log()


def await_problem(site, name):
    """The names of all problems, when this one is among them. Health is asked again after every request that the server got."""
    for _ in range(harness.PATIENCE_S):
        names = door(site)[1]
        if name in names:
            return names
        n = len(site.server.requests)
        try:
            site.server.await_(lambda: len(site.server.requests) > n, 1)
        except AssertionError:  # a handshake that fails is no request
            pass
    raise AssertionError(f"{names}, no {name}")


@pytest.mark.parametrize("name,leaf", [
    ("peer-certificate-expired", {"from_days": -30, "to_days": -2}),
    ("peer-certificate-not-yet-valid", {"from_days": 2}),
    ("peer-certificate-wrong-host", {"name": "elsewhere.example"}),
])
def test_a_server_that_is_not_to_be_trusted(place, name, leaf):
    site = place(leaf=place.authority.leaf(**leaf))
    site.server.put_list("all", site.order())
    site.start()
    await_problem(site, name)
    state, names, health = door(site)
    assert state == "disconnected" and site.server.requests == []
    seen = [c for c in health["certificates"] if c["use"] == "https"]
    assert [(c["peer"], c["own"], c["error"]) for c in seen] == [(f"127.0.0.1:{site.server.port}", False, name)]
    if name == "peer-certificate-expired":
        assert seen[0]["days_left"] == -3
    assert name in str(site.gateway.call("gateway.diagnose"))
    # The server gets a new one: nobody has to touch the gateway.
    site.server.stop()
    site.server.leaf = site.authority.leaf()
    site.server.start()
    expect_delivered(site)
    assert [c["days_left"] for c in door(site)[2]["certificates"] if c["use"] == "https"] == [29]


# --- both doors ---


def test_both_doors_at_once(place, broker):
    site = place()
    mosquitto = broker()
    site.server.put_list("gw/test-gateway", site.order("by-https"))
    site.start(extra=mosquitto.settings())
    desk = mosquitto.client("operator")
    desk.subscribe("gatewayd/v1/client/operator/reply", "gatewayd/v1/gw/test-gateway/#")
    site.server.await_end("by-https")
    # The same campaign by the other door is the same campaign; another one is another one.
    assert desk.call("campaign.start", {"jws": site.order("by-mqtt")})["known"] is False
    last = desk.take(is_last_event("by-mqtt"))
    expect_delivered(site, "by-mqtt")
    events = [message.json for message in desk.messages if message.topic == "gatewayd/v1/gw/test-gateway/event"] + [last.json]
    assert [e["seq"] for e in events] == list(range(events[0]["seq"], events[-1]["seq"] + 1))
    assert events == site.gateway.record()[events[0]["seq"] - 1 :]
    health = door(site)[2]
    assert {(d["door"], d.get("part"), d["state"]) for d in health["doors"]} == {
        ("mqtt", None, "connected"), ("https", "lists", "connected"), ("https", "events", "connected")}


def test_both_cursors_survive_kills(place, broker):
    """Both are away while the daemon is killed in mid-campaign; then one comes back, a kill, the other one: each has everything, in order."""
    site = place(n_devices=3)
    mosquitto = broker()
    mosquitto.pause()
    site.server.stop()
    site.start(extra=mosquitto.settings())
    site.gateway.begin(site.path, ALL, "h-1", compatible=["simboard"])
    site.gateway.wait_event(lambda params, method: params.get("type") == "job-state", "h-1")
    site.gateway.kill()
    site.gateway.start()
    site.gateway.follow("h-1")
    desk = mosquitto.start_for("operator", "gatewayd/v1/gw/test-gateway/event")
    last = desk.take(is_last_event("h-1"))
    record = site.gateway.record()
    told = [message.json for message in desk.messages] + [last.json]
    assert told == record[-len(told):] and told[0]["seq"] <= min(event["seq"] for event in record if event.get("campaign"))
    site.gateway.kill()
    site.gateway.start()
    site.server.start()
    expect_delivered(site)
    # What the broker was told again after the kill has the numbers that it knows.
    assert all(message.json in record for message in desk.drain())


def test_one_campaign_by_both_doors(place, broker):
    site = place()
    mosquitto = broker()
    order = site.order()
    site.server.put_list("all", order)
    site.start(extra=mosquitto.settings())
    site.server.await_end("h-1")
    desk = mosquitto.client("operator")
    desk.subscribe("gatewayd/v1/client/operator/reply")
    assert desk.call("campaign.start", {"jws": order})["known"] is True
    assert [c["id"] for c in site.gateway.call("campaign.list")["campaigns"]] == ["h-1"]
    assert all(len(site.simulator.events(n, "upload-start")) == 1 for n in range(2))
