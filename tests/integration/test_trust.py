# SPDX-License-Identifier: Apache-2.0
"""Signed campaigns and commands against the real daemon, signed by another program than gatewayctl. The control socket takes them, too,
so no broker is needed to show what is accepted, what is refused under which name, and what the audit says of it."""

import os
import sqlite3
import subprocess
import time

import pytest

import harness
from scenes import outcome
from signer import COMMAND, Signer, b64, campaign

CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)
DAY = 24 * 3600


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture
def bench(simulate, gateway, image, keys):
    """bench(signer, ...) -> (gateway, artifact): three simulated devices, a file that is on the gateway already, and these keys."""

    def make(*signers, settings="", scopes=None):
        simulator = simulate("--udp", "127.0.0.1:0", "--udp-count", 3)
        for signer in signers:
            signer.install(keys, (scopes or {}).get(signer.kid, ""))
        gw = gateway(simulator.sections(extra="model = simboard\nlabels = sensor"), f"[trust]\nkeys_dir = {keys}\n{settings}")
        path, _ = image("1.1.0")
        sha256 = gw.import_file(path)["artifact"]["sha256"]
        artifact = {"url": "https://fw.example/app.bin", "size": os.path.getsize(path), "sha256": sha256, "compatible": ["simboard"]}
        return gw, artifact

    return make


def refused(gw, method, params):
    with pytest.raises(harness.RpcError) as error:
        gw.call(method, params)
    return error.value


def audit(gw, **wanted):
    rows = gw.call("audit.query", {"limit": 1000})["rows"]
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


ALL = {"labels": ["sensor"]}


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_a_signed_campaign_is_carried_out(bench, kind):
    signer = Signer("ci", kind)
    gw, artifact = bench(signer)
    jws = signer.jws(campaign(artifact, ALL))
    plan = gw.call("campaign.plan", {"jws": jws})
    assert plan["counts"]["update"] == 3
    answer = gw.call("campaign.start", {"jws": jws})
    assert not answer["known"]
    jobs = gw.jobs("signed-1")
    assert len(jobs) == 3 and all(outcome(job) == CONFIRMED for job in jobs.values()), jobs
    # Sent again it is the same order; P-256 signs the same bytes otherwise each time.
    assert gw.call("campaign.start", {"jws": jws})["known"]
    rows = audit(gw, command="campaign.start")
    assert [(row["principal"], row["result"]) for row in rows] == [("ci", "accepted")]
    assert gw.call("audit.verify")["valid"]


def test_signatures_that_do_not_count(bench, keys):
    ci, stranger, rsa, p384 = Signer("ci"), Signer("stranger"), Signer("rsa", "rsa"), Signer("p384", "p384")
    rsa.install(keys)
    p384.install(keys)
    (keys / "anna.key").write_text(Signer("anna").private_pem())
    gw, artifact = bench(ci)
    payload = campaign(artifact, ALL)
    good = ci.jws(payload)
    head, body, signature = good.split(".")
    right = {"alg": "EdDSA", "kid": "ci", "typ": "gatewayd-campaign+jws"}
    cases = [
        ("alg none", "jws-algorithm", f"{b64(dict(right, alg='none'))}.{body}."),
        ("alg of another key", "jws-algorithm", ci.jws(payload, header=dict(right, alg="ES256"))),
        ("an unknown key", "key-unknown", stranger.jws(payload)),
        ("another key under this name", "jws-signature", stranger.jws(payload, header=right)),
        ("RSA", "jws-algorithm", f"{b64(dict(right, kid='rsa', alg='RS256'))}.{body}.{signature}"),
        ("P-384 is not loaded", "key-unknown", f"{b64(dict(right, kid='p384', alg='ES256'))}.{body}.{signature}"),
        ("a command", "jws-type", ci.jws(payload, COMMAND)),
        ("typ JWT", "jws-type", ci.jws(payload, "JWT")),
        ("crit", "jws-header", ci.jws(payload, header=dict(right, crit=["b64"]))),
        ("jku", "jws-header", ci.jws(payload, header=dict(right, jku="https://keys.example/"))),
        ("kid twice", "jws-header", ci.jws(payload, header=b'{"alg":"EdDSA","kid":"stranger","kid":"ci","typ":"gatewayd-campaign+jws"}')),
        ("padding", "jws-malformed", good + "=="),
        ("another document", "jws-signature", f"{head}.{b64(dict(payload, revision=2))}.{signature}"),
        ("cut", "jws-malformed", f"{head}.{body}"),
        ("no JSON in it", "document-invalid", ci.jws(b"{")),
        ("a member twice in it", "document-invalid", ci.jws(b'{"id":"a","id":"b"}')),
        ("mistakes in it", "document-invalid", ci.jws(dict(payload, devices={}))),
        ("no exp", "document-invalid", ci.jws({k: v for k, v in payload.items() if k != "exp"})),
    ]
    for what, name, jws in cases:
        assert refused(gw, "campaign.start", {"jws": jws}).name == name, what
        assert refused(gw, "campaign.plan", {"jws": jws}).name == name, what
    assert gw.call("campaign.list")["campaigns"] == []
    rows = audit(gw, command="campaign.start")
    assert [row["result"] for row in rows] == [name for _, name, _ in cases]
    # Who signed is proven only where the signature is good.
    assert {row["principal"] for row in rows if row["result"] == "document-invalid"} == {"ci"}
    assert {row["principal"] for row in rows if row["result"] == "jws-signature"} == {"ci (not proven)"}
    # Keys that do not load are told, each with its own name.
    problems = {problem["name"]: problem["text"] for problem in gw.call("gateway.health")["problems"]}
    assert "anna.key" in problems["key-private"] and "key-type" in problems
    assert gw.call("gateway.reload")["keys"]["known"] == 1
    assert {fault["file"]: fault["name"] for fault in gw.call("gateway.reload")["keys"]["left_out"]} == {
        "anna.key": "key-private", "rsa.pub": "key-type", "p384.pub": "key-type"}


def test_claims(bench):
    ci = Signer("ci")
    gw, artifact = bench(ci)
    now = int(time.time())
    cases = [
        ("for others", "not-for-this-gateway", {"aud": ("pi-bergen-*",)}),
        ("for a group of others", "not-for-this-gateway", {"aud": ("group:oslo",)}),
        ("over", "document-expired", {"now": now - 7200}),
        ("not yet: nbf", "document-not-yet-valid", {"nbf": now + 1000}),
        ("not yet: iat", "document-not-yet-valid", {"now": now + 1000}),
    ]
    for what, name, members in cases:
        assert refused(gw, "campaign.start", {"jws": ci.jws(campaign(artifact, ALL, **members))}).name == name, what
    # What is for others leaves no trace.
    assert [row["result"] for row in audit(gw, command="campaign.start")] == ["document-expired", "document-not-yet-valid", "document-not-yet-valid"]
    # A clock that is a little ahead is one that people have.
    assert gw.call("campaign.start", {"jws": ci.jws(campaign(artifact, ALL, now=now + 60))})["campaign"]["id"] == "signed-1"


def test_what_comes_again(bench):
    ci, p256 = Signer("ci"), Signer("p256", "p256")
    gw, artifact = bench(ci, p256)
    first, second = campaign(artifact, ALL, revision=2), campaign(artifact, ALL, revision=2, comment="another")
    assert not gw.call("campaign.start", {"jws": ci.jws(first)})["known"]
    assert gw.call("campaign.start", {"jws": ci.jws(first)})["known"]
    assert refused(gw, "campaign.start", {"jws": ci.jws(second)}).name == "campaign-conflict"
    assert refused(gw, "campaign.start", {"jws": ci.jws(campaign(artifact, ALL, revision=1))}).name == "revision-lower"
    assert refused(gw, "campaign.start", {"jws": p256.jws(campaign(artifact, ALL, revision=3))}).name == "campaign-other-key"
    assert gw.call("campaign.start", {"jws": ci.jws(campaign(artifact, ALL, revision=3))})["campaign"]["revision"] == 3
    # P-256 makes another signature each time; it is the same order all the same.
    again = campaign(artifact, ALL, name="other")
    one, two = p256.jws(again), p256.jws(again)
    assert one != two
    assert not gw.call("campaign.start", {"jws": one})["known"] and gw.call("campaign.start", {"jws": two})["known"]


def test_an_old_document_waits_for_a_word(bench):
    """A fresh store knows nothing: what was signed long before it may be an old order that somebody sends again."""
    ci = Signer("ci")
    gw, artifact = bench(ci)
    now = int(time.time())
    old = campaign(artifact, ALL, name="old", now=now - 2 * DAY, exp=now + DAY)
    assert ["needs-approval" in warning for warning in gw.call("campaign.plan", {"jws": ci.jws(old)})["warnings"]] == [True]
    answer = gw.call("campaign.start", {"jws": ci.jws(old)})["campaign"]
    assert (answer["state"], answer["reason"]) == ("paused", "needs-approval")
    gw.stop()
    gw.start()
    state = gw.call("campaign.get", {"id": "old"})["campaign"]
    assert (state["state"], state["reason"]) == ("paused", "needs-approval")
    assert refused(gw, "campaign.resume", {"id": "old"}).name == "campaign-state"
    # One of a day ago counts at once, as long as nothing newer of its key was seen.
    recent = campaign(artifact, ALL, name="recent", now=now - DAY + 600, exp=now + DAY)
    assert gw.call("campaign.plan", {"jws": ci.jws(recent)})["warnings"] == []
    assert gw.call("campaign.start", {"jws": ci.jws(recent)})["campaign"]["state"] == "in_progress"
    gw.follow("recent")
    assert gw.call("device.list")["devices"][0]["version"] == "1.1.0"
    # A signed word lets the old one go on.
    assert gw.call("campaign.continue", {"jws": ci.command("campaign.continue", {"id": "old"})})["campaign"]["state"] in ("in_progress", "completed")
    assert {outcome(job)[1] for job in gw.jobs("old").values()} == {"already"}
    assert [(row["command"], row["result"]) for row in audit(gw, principal="ci")] == [
        ("campaign.start", "held"), ("campaign.start", "accepted"), *[("job", "updated")] * 3,
        ("campaign.continue", "verified"), ("campaign.continue", "continued"), *[("job", "already")] * 3]


def test_an_old_revision_takes_no_place_before_the_word(bench):
    """Held, a higher revision stops nothing; when it is let go on, it takes over what the lower one had begun."""
    ci = Signer("ci")
    gw, artifact = bench(ci)
    now = int(time.time())
    slow = {"trial": {"duration_s": 3600}}
    revision = lambda number: gw.call("campaign.get", {"id": "signed-1", "revision": number})["campaign"]["state"]  # noqa: E731
    gw.call("campaign.start", {"jws": ci.jws(campaign(artifact, ALL, policy=slow))})
    held = gw.call("campaign.start", {"jws": ci.jws(campaign(artifact, ALL, revision=2, now=now - 2 * DAY, exp=now + DAY))})["campaign"]
    assert (held["state"], held["reason"]) == ("paused", "needs-approval") and revision(1) == "in_progress"
    gw.call("campaign.continue", {"id": "signed-1"})
    assert revision(1) == "superseded"
    assert {outcome(job)[0] for job in gw.jobs("signed-1").values()} == {"succeeded"}
    # On the gateway itself everything can be superseded.
    document = {"schema": "gatewayd/campaign/1", "id": "signed-1", "revision": 3, "devices": ALL,
                "artifacts": [{key: artifact[key] for key in ("size", "sha256", "compatible")}]}
    assert gw.call("campaign.start", {"document": document})["campaign"]["revision"] == 3
    assert refused(gw, "campaign.start", {"jws": ci.jws(campaign(artifact, ALL, revision=4))}).name == "campaign-other-key"


def test_older_than_the_newest_of_its_key(bench):
    ci, other = Signer("ci"), Signer("other")
    gw, artifact = bench(ci, other)
    database = gw.state / "gatewayd.db"
    now = int(time.time())
    gw.stop()
    with sqlite3.connect(database) as db:  # the store is ten days old
        db.execute("UPDATE meta SET value = ? WHERE key = 'fresh_since_ms'", (str((now - 10 * DAY) * 1000),))
    db.close()
    gw.start()
    start = lambda signer, name, age: gw.call("campaign.start", {"jws": signer.jws(  # noqa: E731
        campaign(artifact, ALL, name=name, now=now - age, exp=now + DAY))})["campaign"]["state"]
    assert start(ci, "a", 3 * DAY) == "in_progress"
    assert start(ci, "b", 0) == "in_progress"
    assert start(ci, "c", DAY - 600) == "in_progress"
    assert start(ci, "d", DAY + 600) == "paused"
    assert start(other, "e", DAY + 600) == "in_progress"


def test_a_key_with_a_scope(bench):
    scopes = {"udp": "drivers = smp-udp", "serial": "drivers = smp-serial", "oslo": "groups = oslo", "pi": "audience = pi-*",
              "old": "expires = 2020-01-01T00:00:00Z", "forward": "may_downgrade = no", "mine": "audience = test-*\nexpires = 2099-01-01T00:00:00Z"}
    signers = {kid: Signer(kid) for kid in scopes}
    gw, artifact = bench(*signers.values(), scopes=scopes)
    stated = {"labels": ["sensor"], "driver": ["smp-udp"]}
    ids = {"ids": ["smp-udp:d0", "smp-udp:d1"]}
    cases = [
        ("udp", stated, {}, None),
        ("udp", ids, {}, None),
        ("udp", ALL, {}, "key-scope"),
        ("udp", {"driver": ["smp-udp", "smp-serial"]}, {}, "key-scope"),
        ("serial", stated, {}, "key-scope"),
        ("serial", ids, {}, "key-scope"),
        ("oslo", stated, {}, "key-scope"),
        ("pi", stated, {}, "key-scope"),
        ("old", stated, {}, "key-expired"),
        ("forward", stated, {"allow_downgrade": True}, "key-scope"),
        ("forward", stated, {}, None),
        ("mine", ALL, {}, None),
    ]
    for number, (kid, devices, policy, name) in enumerate(cases):
        params = {"jws": signers[kid].jws(campaign(artifact, devices, name=f"c{number}", policy=policy))}
        if name:
            error = refused(gw, "campaign.start", params)
            assert error.name == name and kid in str(error), (kid, devices, error)
        else:
            assert gw.call("campaign.start", params)["campaign"]["id"] == f"c{number}"
    # Commands are held to it as well.
    command = lambda kid, method, params: {"jws": signers[kid].command(method, params)}  # noqa: E731
    assert refused(gw, "device.set", command("serial", "device.set", {"id": "smp-udp:d0", "name": "x"})).name == "key-scope"
    assert refused(gw, "device.set", command("serial", "device.set", {"id": "d0", "name": "x"})).name == "key-scope"
    assert refused(gw, "device.adopt", command("serial", "device.adopt", {"match": "*"})).name == "key-scope"
    assert refused(gw, "campaign.retry", command("serial", "campaign.retry", {"id": "c0"})).name == "key-scope"
    assert refused(gw, "campaign.retry", command("udp", "campaign.retry", {"id": "c11"})).name == "key-scope"
    assert refused(gw, "device.scan", command("udp", "device.scan", {"duration_ms": 100})).name == "key-scope"
    assert gw.call("device.set", command("udp", "device.set", {"id": "d0", "name": "x"}))["device"]["name"] == "x"
    assert audit(gw, command="device.set", principal="udp")[-1]["device"] == "smp-udp:d0"


def test_signed_commands(bench):
    ci = Signer("ci")
    gw, artifact = bench(ci)
    now = int(time.time())
    gw.call("campaign.start", {"jws": ci.jws(campaign(artifact, ALL, policy={"trial": {"duration_s": 3600}}))})
    pause = {"jws": ci.command("campaign.pause", {"id": "signed-1", "reason": "lunch"})}
    assert gw.call("campaign.pause", pause)["campaign"]["reason"] == "person: lunch"
    resume = {"jws": ci.command("campaign.resume", {"id": "signed-1"})}
    assert gw.call("campaign.resume", resume)["campaign"]["state"] == "in_progress"
    gw.call("campaign.pause", {"id": "signed-1"})
    # Once is once, also after a restart; the campaign stays paused.
    assert refused(gw, "campaign.resume", resume).name == "command-replayed"
    gw.kill()
    gw.start()
    assert refused(gw, "campaign.resume", resume).name == "command-replayed"
    resumed = lambda **claims: ci.command("campaign.resume", {"id": "signed-1"}, **claims)  # noqa: E731
    cases = [
        ("signed for another method", "command-mismatch", ci.command("campaign.retry", {"id": "signed-1"})),
        ("a campaign", "jws-type", ci.jws(campaign(artifact, ALL))),
        ("for others", "not-for-this-gateway", resumed(aud=["pi-*"])),
        ("over", "document-expired", resumed(now=now - 1000)),
        ("from tomorrow", "document-not-yet-valid", resumed(now=now + DAY)),
        ("valid too long", "document-invalid", resumed(exp=now + 3600)),
        ("no jti", "document-invalid", resumed(jti=None)),
        ("no aud", "document-invalid", resumed(aud=[])),
        ("params that it does not have", "document-invalid", ci.command("campaign.resume", {"id": "signed-1", "force": True})),
        ("a method that is not signed", "document-invalid", ci.command("gateway.reload")),
        ("nobody's", "key-unknown", Signer("nobody").command("campaign.resume", {"id": "signed-1"})),
    ]
    for what, name, jws in cases:
        assert refused(gw, "campaign.resume", {"jws": jws}).name == name, what
    assert gw.call("campaign.get", {"id": "signed-1"})["campaign"]["state"] == "paused"
    assert refused(gw, "campaign.resume", {"jws": resumed(), "id": "signed-1"}).name == "params-invalid"
    # What the method itself refuses was a signed act as well.
    assert refused(gw, "campaign.resume", {"jws": ci.command("campaign.resume", {"id": "unknown"})}).name == "campaign-unknown"
    rows = audit(gw, command="campaign.resume")
    assert [row["result"] for row in rows] == ["verified", "resumed", "command-replayed", "command-replayed",
                                               *[name for _, name, _ in cases if name != "not-for-this-gateway"], "verified"]
    assert rows[0]["principal"] == "ci" and rows[0]["document_digest"]


def test_a_key_that_is_taken_away(bench, keys):
    ci, late = Signer("ci"), Signer("late")
    gw, artifact = bench(ci, late)
    for signer in (ci, late):
        jws = signer.jws(campaign(artifact, ALL, name=signer.kid, policy={"trial": {"duration_s": 3600}}))
        assert gw.call("campaign.start", {"jws": jws})["campaign"]["state"] == "in_progress"
    (keys / "ci.pub").unlink()
    assert gw.call("gateway.reload")["keys"] == {"known": 1, "left_out": []}
    state = lambda name: gw.call("campaign.get", {"id": name})["campaign"]  # noqa: E731
    assert state("ci")["state"] == "paused" and state("ci")["reason"].startswith("key-revoked")
    assert state("late")["state"] == "in_progress"
    assert refused(gw, "campaign.start", {"jws": ci.jws(campaign(artifact, ALL, name="more"))}).name == "key-unknown"
    assert refused(gw, "campaign.resume", {"jws": ci.command("campaign.resume", {"id": "ci"})}).name == "key-unknown"
    # Its ids are free for another key now.
    assert gw.call("campaign.start", {"jws": late.jws(campaign(artifact, ALL, name="ci", revision=2))})["campaign"]["revision"] == 2
    # While the daemon is away it is the same; and another key under an old name is not the old key.
    gw.stop()
    Signer("late").install(keys)
    gw.start()
    assert state("late")["reason"].startswith("key-revoked")
    assert gw.call("campaign.resume", {"id": "late"})["campaign"]["state"] == "in_progress"
    gw.call("gateway.reload")
    assert state("late")["state"] == "in_progress"
    # A directory that others may write to is not believed; the keys that were read stay.
    keys.chmod(0o777)
    assert refused(gw, "gateway.reload", None).name == "keys-unreadable"
    keys.chmod(0o755)


def test_a_clock_that_nobody_believes(bench, tmp_path):
    """Nothing signed is judged by it; when it is right, the same documents count."""
    shim, flag = tmp_path / "clock_shim.so", tmp_path / "1970"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, harness.ROOT / "tests/integration/clock_shim.c", "-ldl"], check=True)
    flag.touch()
    ci = Signer("ci")
    gw, artifact = bench(ci)
    order = {"jws": ci.jws(campaign(artifact, ALL))}
    adopt = {"jws": ci.command("device.adopt", {"id": "smp-udp:new"})}
    gw.stop()
    gw.start(environment={"LD_PRELOAD": str(shim), "GATEWAYD_TEST_CLOCK": str(flag)})
    assert gw.call("gateway.info")["time_credible"] == "not-credible"
    assert refused(gw, "campaign.start", order).name == "clock-not-credible"
    assert refused(gw, "device.adopt", adopt).name == "clock-not-credible"
    assert [(row["result"], row["time_credible"]) for row in audit(gw, principal="ci")] == [("clock-not-credible", False)] * 2
    flag.unlink()
    assert gw.call("campaign.start", order)["campaign"]["state"] == "in_progress"
    assert gw.call("device.adopt", adopt)["adopted"] == ["smp-udp:new"]
