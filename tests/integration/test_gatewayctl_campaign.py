# SPDX-License-Identifier: Apache-2.0
"""Campaign documents from gatewayctl: made of firmware files, checked, explained, all without a daemon; then reports and waiting."""

import base64
import csv
import datetime
import io
import json
import re

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

import harness
from test_gatewayctl import NOW, Refusal, campaign, counts, ctl, daemon, document_of, event, refused, schema_tools, subscribed, updated  # noqa: F401: fixtures among them

URL = "https://fw.acme.example/sensor.bin"
MODEL = "acme,sensor-r2"


@pytest.fixture
def firmware(tmp_path):
    path = tmp_path / "sensor.bin"
    harness.make_image(path, "1.4.0+7", "--size", "24K")
    return path


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """Signs as RFC 7515 says, with a library of its own."""

    def __init__(self, folder, kid="ci"):
        self.kid = kid
        self.key = ed25519.Ed25519PrivateKey.generate()
        folder.mkdir(mode=0o700)
        (folder / f"{kid}.pub").write_bytes(self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
        (folder / f"{kid}.pub").chmod(0o644)

    def sign(self, document, **header):
        header = {"alg": "EdDSA", "kid": self.kid, "typ": "gatewayd-campaign+jws", **header}
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        signed = f"{base64url(json.dumps(header).encode())}.{base64url(text)}"
        return f"{signed}.{base64url(self.key.sign(signed.encode()))}"


def now_s():
    return int(datetime.datetime.now().timestamp())


def signed_document(path, **more):
    return {"schema": "gatewayd/campaign/1", "id": "sensors-1.4.0", "revision": 2, "aud": ["group:oslo"], "iat": now_s(), "exp": now_s() + 86400,
            "artifacts": [{"url": URL, "size": path.stat().st_size, "sha256": harness.sha256_of(path), "compatible": [MODEL]}], "devices": {"labels": ["sensor"]},
            **more}


# --- campaign new ---


def test_new_shortest(ctl, firmware):
    document = json.loads(ctl("campaign", "new", firmware, "--device", "smp-udp:kitchen"))
    assert document == {
        "schema": "gatewayd/campaign/1", "id": "sensor-1.4.0-7", "revision": 1,
        "artifacts": [{"size": firmware.stat().st_size, "sha256": harness.sha256_of(firmware), "format": "mcuboot", "version": "1.4.0+7"}],
        "devices": {"ids": ["smp-udp:kitchen"]}}
    assert schema_tools.problems("campaign", document) == []


def test_new_with_everything(ctl, firmware, tmp_path):
    out = tmp_path / "out.json"
    said = ctl("campaign", "new", firmware, "--id", "sensors-1.4.0", "--revision", "3", "--comment", "TICKET-812", "--issuer", "ci@acme",
               "--audience", "pi-oslo-*", "--audience", "group:lab", "--valid", "7 d", "--url", "https://fw.acme.example/x/", "--compatible", MODEL,
               "--compatible", "acme,sensor-r3", "--image", "0", "--device", "smp-udp:a", "--label", "sensor", "--label", "cold", "--match", "s-*",
               "--driver", "smp-udp", "--running", "<1.4.0", "--rssi-min", "-85", "--updated-by", "sensors-1.3.0", "--mode", "test-and-confirm",
               "--trial", "2 min", "--trial-checks", "3", "--waves", "2,25%,100%", "--soak", "10min", "--gate", "first-wave", "--abort-failed", "4",
               "--abort-percent", "30", "--abort-min-finished", "6", "--abort-action", "cancel", "--window", "mon-tue 22:00 7h Europe/Oslo",
               "--window", "08:00 1h UTC", "--at-window-end", "finish", "--start-jitter", "20s", "--deadline", "2099-12-05T01:00:00+01:00",
               "--concurrency", "7", "--attempts", "2", "--allow-downgrade", "--battery-min", "30", "-o", out)
    document = json.loads(out.read_text())
    assert f"{out} holds campaign sensors-1.4.0" in said
    assert schema_tools.problems("campaign-signed", document) == []
    assert document["exp"] - document["iat"] == 7 * 86400 and abs(document["iat"] - now_s()) < 60
    assert document["aud"] == ["pi-oslo-*", "group:lab"] and document["iss"] == "ci@acme" and document["comment"] == "TICKET-812"
    assert document["artifacts"] == [{"url": URL.replace("sensor.bin", "x/sensor.bin"), "size": firmware.stat().st_size, "sha256": harness.sha256_of(firmware),
                                      "format": "mcuboot", "version": "1.4.0+7", "image": 0, "compatible": [MODEL, "acme,sensor-r3"]}]
    assert document["devices"] == {"ids": ["smp-udp:a"], "labels": ["sensor", "cold"], "name": "s-*", "driver": ["smp-udp"], "version": "<1.4.0",
                                   "rssi_min_dbm": -85, "updated_by": "sensors-1.3.0"}
    assert document["policy"] == {
        "mode": "test-and-confirm", "trial": {"duration_s": 120, "checks": 3}, "waves": [{"count": 2}, {"percent": 25}, {"percent": 100}],
        "soak_s": 600, "gate": "first-wave", "abort": {"failed_count": 4, "failed_percent": 30, "min_finished": 6, "action": "cancel"},
        "maintenance_windows": [{"days": ["mon", "tue"], "start": "22:00", "duration_min": 420, "timezone": "Europe/Oslo"},
                                {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "08:00", "duration_min": 60, "timezone": "UTC"}],
        "at_window_end": "finish", "start_jitter_s": 20, "deadline": "2099-12-05T00:00:00Z", "concurrency": 7, "attempts": 2, "allow_downgrade": True,
        "battery_min_percent": 30}


def test_new_of_packages(ctl, firmware, tmp_path):
    """Hardware that the files name is taken over, so that one campaign serves two kinds of boards."""
    packages = []
    for board in ("acme_r2", "acme_r3"):
        packages.append(tmp_path / f"{board}.zip")
        harness.make_package(packages[-1], f"0:{firmware}", board=board)
    document = json.loads(ctl("campaign", "new", *packages, "--url", "https://fw.acme.example/", "--all-devices", "--deadline", "2 d"))
    assert [(a["url"], a["format"], a["compatible"]) for a in document["artifacts"]] == [
        ("https://fw.acme.example/acme_r2.zip", "ncs-zip", ["acme_r2"]), ("https://fw.acme.example/acme_r3.zip", "ncs-zip", ["acme_r3"])]
    deadline = datetime.datetime.fromisoformat(document["policy"]["deadline"].replace("Z", "+00:00")).timestamp()
    assert abs(deadline - now_s() - 2 * 86400) < 60 and document["devices"] == {"all": True}


def test_new_rollback(ctl):
    document = json.loads(ctl("campaign", "new", "--rollback-of", "sensors-1.4.0", "--all-devices"))
    assert document == {"schema": "gatewayd/campaign/1", "id": "rollback-sensors-1.4.0", "revision": 1, "rollback_of": "sensors-1.4.0",
                        "devices": {"all": True}}


def test_new_of_a_format_that_only_a_plugin_knows(ctl, tmp_path):
    path = tmp_path / "lamp.fw"
    path.write_bytes(b"LAMP1" * 100)
    document = json.loads(ctl("campaign", "new", path, "--format", "lamp", "--all-devices"))
    assert document["artifacts"] == [{"size": 500, "sha256": harness.sha256_of(path), "format": "lamp"}]


@pytest.mark.parametrize("words,code,said", [
    (["{file}"], 2, "which devices?"),
    (["--all-devices"], 2, "expected a firmware file, or --rollback-of"),
    (["{file}", "--all-devices", "--waves", "2,,3"], 2, "--waves: expected numbers"),
    (["{file}", "--all-devices", "--waves", "2,x%"], 2, "--waves: expected numbers"),
    (["{file}", "--all-devices", "--window", "22:00"], 2, "expected a time zone such as Europe/Oslo"),
    (["{file}", "--all-devices", "--deadline", "soon"], 2, "--deadline soon: expected a time"),
    (["{file}", "{file}", "--all-devices", "--compatible", "m"], 2, "--compatible is for one file"),
    (["{file}", "{file}", "--all-devices", "--url", "https://a/b"], 2, "one --url for each file"),
    (["{file}", "--all-devices", "--waves", "5,2"], 3, "policy.waves[1]: is smaller than a wave before it"),
    (["{file}", "--all-devices", "--audience", "Oslo"], 3, "artifacts[0].url: is missing"),
    (["{file}", "--all-devices", "--deadline", "2020-01-01T00:00:00Z", "--running", "1.4"], 3, "devices.version: expected comparisons"),
    (["/nonexistent/file", "--all-devices"], 3, "/nonexistent/file"),
])
def test_new_refuses(ctl, firmware, words, code, said):
    assert ctl("campaign", "new", *[word.format(file=firmware) for word in words], code=code) == ""
    assert said in ctl.errors


# --- campaign check ---


def test_check_good(ctl, firmware, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(signed_document(firmware)))
    assert ctl("campaign", "check", path, "--artifact", firmware, "--signed") == f"{path}: good, sensors-1.4.0, revision 2, not signed\n"
    assert ctl.json("campaign", "check", path) == {"files": [
        {"file": str(path), "good": True, "id": "sensors-1.4.0", "revision": 2, "signed": False, "verified": False, "errors": [], "notes": []}]}


def test_check_tells_every_mistake_of_every_file(ctl, firmware, tmp_path):
    bad, syntax = tmp_path / "bad.json", tmp_path / "syntax.json"
    bad.write_text(json.dumps(signed_document(firmware, policy={"waves": [{"percent": 30}, {"percent": 20}], "mode": "fast"}, extra=1)))
    syntax.write_text('{"schema": "gatewayd/campaign/1",\n "id" 5}')
    result = ctl.json("campaign", "check", bad, syntax, code=3)
    assert [file["good"] for file in result["files"]] == [False, False]
    assert sorted(error["path"] for error in result["files"][0]["errors"]) == ["extra", "policy.mode", "policy.waves[1]"]
    assert result["files"][1]["errors"][0]["text"].startswith("line 2, column 7")
    said = ctl("campaign", "check", bad, syntax, code=3)
    assert f"{bad}: mistakes\n" in said and "  policy.waves[1]: is smaller than a wave before it" in said and f"{syntax}: a mistake\n" in said


@pytest.mark.parametrize("change,path,text", [
    ({"exp": 1796428800, "iat": 1795219200 - 86400 * 365, "nbf": 1}, "exp", "is more than 90 days after iat"),
    ({"iat": 1600000000, "exp": 1600000001}, "exp", "is over"),
    ({"policy": {"deadline": "2020-01-01T00:00:00Z"}}, "policy.deadline", "is over already"),
    ({"policy": {"deadline": "2199-01-01T00:00:00Z"}}, "policy.deadline", "is more than 180 days away"),
    ({"policy": {"maintenance_windows": [{"start": "22:00", "duration_min": 1, "timezone": "Europe/Bergen"}]}},
     "policy.maintenance_windows[0].timezone", "there is no time zone Europe/Bergen"),
    ({"schema": "gatewayd/campaign/2"}, "schema", 'expected "gatewayd/campaign/1"'),
])
def test_check_mistakes(ctl, firmware, tmp_path, change, path, text):
    document = tmp_path / "c.json"
    document.write_text(json.dumps(signed_document(firmware, **change)))
    errors = ctl.json("campaign", "check", document, code=3)["files"][0]["errors"]
    assert [(error["path"], error["text"].startswith(text)) for error in errors] == [(path, True)], errors


def test_check_notes(ctl, firmware, tmp_path):
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=30)
    yesterday = (later - datetime.timedelta(days=3)).strftime("%a").lower()
    document, local = tmp_path / "c.json", tmp_path / "local.json"
    document.write_text(json.dumps(signed_document(firmware, policy={
        "deadline": later.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "maintenance_windows": [{"days": [yesterday], "start": "00:00", "duration_min": 1, "timezone": "UTC"}]})))
    notes = ctl.json("campaign", "check", document)["files"][0]["notes"]
    assert [note.split(":")[0] for note in notes] == ["exp is before the deadline", "no maintenance window opens before the deadline"]
    local.write_text(ctl("campaign", "new", firmware, "--all-devices"))
    said = ctl("campaign", "check", local)
    assert re.search("note: to be signed it lacks: aud, iat, exp, artifacts\\[0\\].url, artifacts\\[0\\].compatible", said)
    errors = ctl.json("campaign", "check", local, "--signed", code=3)["files"][0]["errors"]
    assert [error["path"] for error in errors] == ["aud", "iat", "exp", "artifacts[0].url", "artifacts[0].compatible"]


def test_check_against_files(ctl, firmware, tmp_path):
    document, other, third = tmp_path / "c.json", tmp_path / "other.bin", tmp_path / "third.bin"
    harness.make_image(other, "1.5.0", "--size", "20K")
    harness.make_image(third, "1.6.0", "--size", "20K")
    document.write_text(json.dumps(signed_document(firmware)))
    errors = ctl.json("campaign", "check", document, "--artifact", other, code=3)["files"][0]["errors"]
    assert [error["path"] for error in errors] == ["artifacts[0].size", "artifacts[0].sha256"]
    assert harness.sha256_of(other) in errors[1]["text"] and harness.sha256_of(firmware) in errors[1]["text"]

    two = signed_document(firmware)
    two["artifacts"][0].update(format="ncs-zip", version="1.4.0", image=0)
    two["artifacts"].append({"url": "https://fw.acme.example/other.bin?x=/third.bin", "size": 5, "sha256": "00" * 32, "compatible": ["acme,sensor-r3"]})
    document.write_text(json.dumps(two))
    errors = ctl.json("campaign", "check", document, "--artifact", firmware, "--artifact", other, "--artifact", third, code=3)["files"][0]["errors"]
    assert [error["path"] for error in errors] == ["artifacts[0].format", "artifacts[0].version", "artifacts[1].size", "artifacts[1].sha256", "artifacts"]
    assert errors[1]["text"] == "says 1.4.0, but sensor.bin has 1.4.0+7" and errors[-1]["text"] == f"none of them is {third}"


# --- signed ones ---


def test_check_signed(ctl, firmware, tmp_path):
    keys = tmp_path / "keys"
    signer, path = Signer(keys), tmp_path / "c.jws"
    path.write_text(signer.sign(signed_document(firmware)) + "\n")
    assert "signed, not verified: --keys DIR does" in ctl("campaign", "check", path, "--artifact", firmware)
    assert ctl("campaign", "check", path, "--keys", keys) == f"{path}: good, sensors-1.4.0, revision 2, signed and verified\n"
    found = ctl.json("campaign", "check", path, "--keys", keys)["files"][0]
    assert (found["signed"], found["verified"], found["kid"]) == (True, True, "ci")


@pytest.mark.parametrize("harm,name", [
    (lambda text: text[:-8] + "AAAAAAAA", "jws-signature"),
    (lambda text: text.replace(".", ".e30", 1), "jws-signature"),
    (lambda text: Signer.other.sign({}), "key-unknown"),
])
def test_check_badly_signed(ctl, firmware, tmp_path, harm, name):
    signer, path = Signer(tmp_path / "keys"), tmp_path / "c.jws"
    Signer.other = Signer(tmp_path / "other", "else")
    path.write_text(harm(signer.sign(signed_document(firmware))))
    errors = ctl.json("campaign", "check", path, "--keys", tmp_path / "keys", code=3)["files"][0]["errors"]
    assert errors[0]["path"] == "signature" and f"({name})" in errors[0]["text"]


@pytest.mark.parametrize("header,name", [
    ({"alg": "none"}, "jws-algorithm"), ({"typ": "JWT"}, "jws-type"), ({"jku": "https://a/"}, "jws-header"),
])
def test_check_a_header_that_no_gateway_takes(ctl, firmware, tmp_path, header, name):
    """Known without any key."""
    path = tmp_path / "c.jws"
    path.write_text(Signer(tmp_path / "keys").sign(signed_document(firmware), **header))
    errors = ctl.json("campaign", "check", path, code=3)["files"][0]["errors"]
    assert [(error["path"], f"({name})" in error["text"]) for error in errors] == [("signature", True)], errors


def test_payload_of_a_signed_one_has_mistakes_too(ctl, firmware, tmp_path):
    keys = tmp_path / "keys"
    signer, path = Signer(keys), tmp_path / "c.jws"
    path.write_text(signer.sign(signed_document(firmware, policy={"gate": "wave"})))
    assert [error["path"] for error in ctl.json("campaign", "check", path, "--keys", keys, code=3)["files"][0]["errors"]] == ["policy.gate"]
    path.write_text(signer.sign(b"no json"))
    assert "line 1, column" in ctl("campaign", "check", path, "--keys", keys, code=3)
    ctl("campaign", "show", path, code=3)
    assert "document-invalid" in ctl.errors


def test_show(ctl, firmware, tmp_path):
    keys = tmp_path / "keys"
    signer, path = Signer(keys), tmp_path / "c.jws"
    path.write_text(signer.sign(signed_document(firmware, comment="TICKET-812")))
    said = ctl("campaign", "show", path, "--keys", keys)
    assert said.startswith("campaign    sensors-1.4.0, revision 2\ncomment     TICKET-812\nsigned      by key ci, verified (ed25519, fingerprint ")
    assert "gateways    group oslo\n" in said and "waves       first 2 devices, then 25 %, then all\n" in said
    assert "by key ci, if it is true: --keys DIR verifies it" in ctl("campaign", "show", path)
    found = ctl.json("campaign", "show", path, "--keys", keys)
    assert found["signature"] == {"signed": True, "kid": "ci", "verified": True}
    assert found["campaign"]["policy"]["waves"] == [{"count": 2}, {"percent": 25}, {"percent": 100}]
    assert schema_tools.problems("campaign-signed", found["campaign"]) == []
    local = ctl("campaign", "new", firmware, "--all-devices")
    assert "signed      by nobody\n" in ctl("campaign", "show", "-", stdin=local)
    Signer(tmp_path / "others", "ci")
    ctl("campaign", "show", path, "--keys", tmp_path / "others", code=3)
    assert "signature: " in ctl.errors and "jws-signature" in ctl.errors


# --- campaign report ---


def report():
    return {"schema": "gatewayd/report/1", "gateway": "fake", "epoch": "0123456789abcdef", "created": NOW,
            "campaign": campaign("c1", "completed", comment="TICKET | 812", counts=counts(total=2, succeeded=1, failed=1)),
            "failures": [{"name": "smp-swap-refused", "class": "terminal", "meaning": "The swap was refused.", "advice": "Compare the slots.", "count": 1,
                          "devices": ["smp-udp:attic"], "cut": False}],
            "not_seen": {"count": 1, "devices": [{"device": "smp-udp:z", "last_seen": NOW}], "cut": False}}


def test_report_formats(ctl, daemon):
    fake = daemon(campaign__report=report(), campaign__get={"campaign": report()["campaign"], "document": document_of(), "jobs": [updated(), refused()]})
    table = ctl("campaign", "report", "c1")
    assert "devices     2: 1 succeeded, 1 without success" in table and "not seen since: 1 device\n  devices: smp-udp:z (2026-11-21 00:00:00)" in table
    assert ctl("campaign", "report", "c1", "--format", "table", "--revision", "3") == table
    assert fake.params("campaign.report") == {"id": "c1", "revision": 3}
    markdown = ctl("campaign", "report", "c1", "--format", "markdown")
    assert markdown.startswith("## Campaign c1, revision 1\n\nTICKET \\| 812\n\n| gateway | state ")
    assert "\n| fake | completed | 2 | 1 | 1 |" in markdown and "### smp-swap-refused: 1 device\n" in markdown
    lines = list(csv.DictReader(io.StringIO(ctl("campaign", "report", "c1", "--format", "csv", "--revision", "3"))))
    assert fake.params("campaign.get") == {"id": "c1", "revision": 3, "limit": 1000}
    assert [(line["gateway"], line["campaign"], line["device"], line["state"], line["result"], line["error"], line["version_after"]) for line in lines] == [
        ("fake", "c1", "smp-udp:kitchen", "succeeded", "updated", "", "1.1.0"), ("fake", "c1", "smp-udp:attic", "failed", "", "smp-swap-refused", "")]
    assert json.loads(ctl("campaign", "report", "c1", "--format", "json")) == report() == ctl.json("campaign", "report", "c1")
    ctl("campaign", "report", "c1", "--format", "xml", code=2)


# --- campaign wait ---


class Waited:
    """A campaign that stands so when it is looked at first, and so from the news on."""

    def __init__(self, daemon, state, reason=None, jobs=(), first="in_progress", **count):
        self.states, self.reason, self.jobs, self.count, self.looks = [first, state], reason, list(jobs), {"total": 2, **count}, 0
        self.fake = daemon(campaign__get=self.get, events__subscribe=self.subscribe)

    def subscribe(self, params, connection):
        self.listener = connection
        return subscribed(params, connection)

    def data(self, state):
        return {"state": state, **({"reason": self.reason} if self.reason and state == "paused" else {})}

    def get(self, params, connection):
        self.looks += 1
        state = self.states[min(self.looks, len(self.states)) - 1]
        answer = {"campaign": campaign("c1", counts=counts(**self.count), **self.data(state)), "document": document_of(), "jobs": self.jobs}
        return answer, lambda: self.looks == 1 and self.news()

    def news(self):
        event(self.listener, "campaign-state", 5, campaign="c1", revision=1, data=self.data(self.states[-1]))


@pytest.mark.parametrize("state,reason,count,code", [
    ("completed", None, {"succeeded": 2}, 0), ("completed", None, {"succeeded": 1, "timed_out": 1}, 1), ("paused", "threshold", {"failed": 1, "queued": 1}, 10),
    ("canceled", None, {"succeeded": 1, "canceled": 1}, 11), ("expired", None, {"timed_out": 2}, 12), ("superseded", None, {"superseded": 2}, 13),
])
def test_wait_by_outcome(ctl, daemon, state, reason, count, code):
    waited = Waited(daemon, state, reason, [updated(), refused()], **count)
    said = ctl("campaign", "wait", "c1", code=code)
    assert "smp-udp:kitchen: updated" in said and waited.looks >= 2
    assert ("The campaign is paused (threshold); `gatewayctl resume c1` lets it go on." in said) == (state == "paused")
    assert ctl.json("campaign", "wait", "c1", code=code)["campaign"]["state"] == state


def test_wait_ends_at_once_where_it_is_over(ctl, daemon):
    Waited(daemon, "canceled", first="canceled")
    ctl("campaign", "wait", "c1", code=11)


def test_wait_through_pauses(ctl, daemon):
    waited = Waited(daemon, "completed", "gate: wave 1 of 2", [updated()], first="paused", succeeded=2)
    assert "The campaign is paused (gate: wave 1 of 2); `gatewayctl continue c1` lets it go on." in ctl("campaign", "wait", "c1", "--through-pauses")
    assert waited.looks == 2


def test_wait_has_a_limit(ctl, daemon):
    waited = Waited(daemon, "in_progress", in_progress=2)
    assert ctl.json("campaign", "wait", "c1", "--timeout", "300ms", code=6)["error"]["name"] == "not-finished-in-time"
    assert waited.fake.methods()[0] == "events.subscribe"


def test_wait_for_one_that_has_not_arrived(ctl, daemon):
    unknown = []

    def get(params, connection):
        unknown.append(params["id"])
        if len(unknown) == 1:
            raise Refusal("campaign-unknown", "there is no campaign c1")
        return {"campaign": campaign("c1", "completed", counts=counts(total=1, succeeded=1)), "document": document_of(), "jobs": [updated()]}

    daemon(campaign__get=get, events__subscribe=subscribed)
    assert "smp-udp:kitchen: updated" in ctl("campaign", "wait", "c1", "--appear", "1 min")
    unknown.clear()
    ctl("campaign", "wait", "c1", code=3)
    assert "campaign-unknown" in ctl.errors and len(unknown) == 1


def test_from_a_file_to_the_end(gateway, simulate, firmware, ctl, tmp_path):
    """With the real daemon: made, checked, started, waited for, reported."""
    devices = simulate("--udp", "127.0.0.1:0", "--count", "2")
    one = gateway(devices.sections())
    ctl.environment["GATEWAYD_SOCKET"] = str(one.socket_path)
    ids = [device["id"] for device in one.call("device.list")["devices"]]
    document = tmp_path / "c.json"
    one.import_file(firmware)
    ctl("campaign", "new", firmware, "--id", "c1", "--all-devices", "--compatible", "simboard", "--trial", "0 s", "--waves", "1,100%", "--allow-downgrade", "-o", document)
    ctl("campaign", "check", document, "--artifact", firmware)
    ctl("campaign", "start", document, "--yes", "--no-wait")
    said = ctl("campaign", "wait", "c1", "--timeout", "2 min")
    assert all(f"{id_}: updated" in said for id_ in ids)
    assert [line["result"] for line in csv.DictReader(io.StringIO(ctl("campaign", "report", "c1", "--format", "csv")))] == ["updated"] * 2
    assert "| completed | 2 | 2 |" in ctl("campaign", "report", "c1", "--format", "markdown")
