# SPDX-License-Identifier: Apache-2.0
"""What a server of firmware files can do wrong, each through a whole campaign: what the job ends with, and that the report says what to do."""

import hashlib
import pathlib

import pytest

from authority import Authority
from fleet_server import FleetServer
from scenes import outcome

DEVICE = "smp-udp:d0"
CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)


class Site:
    def __init__(self, authority, simulator, data, folder):
        self.authority, self.simulator, self.data, self.folder = authority, simulator, data, folder
        self.servers, self.gateway = [], None

    def server(self, **options):
        one = FleetServer(self.authority, **options)
        one.files["/app.bin"] = self.data
        self.servers.append(one)
        return one

    def run(self, url, name="c1", **policy):
        """Orders the file from there and waits for the end; answers the job."""
        self.gateway.call("campaign.start", {"document": {
            "schema": "gatewayd/campaign/1", "id": name, "revision": 1, "devices": {"ids": [DEVICE]}, "policy": policy,
            "artifacts": [{"url": url, "sha256": hashlib.sha256(self.data).hexdigest(), "size": len(self.data)}]}})
        return self.gateway.jobs(name)[DEVICE]

    def expect_failure(self, url, error, name="c1", state="failed", **policy):
        job = self.run(url, name, **policy)
        assert (job["state"], job["error"]["name"]) == (state, error), job
        report = self.gateway.call("campaign.report", {"id": name})
        assert [(f["name"], f["count"], f["devices"]) for f in report["failures"]] == [(error, 1, [DEVICE])]
        assert report["failures"][0]["advice"]
        assert not self.simulator.events(0, "upload-start")
        return job


@pytest.fixture
def site(simulate, gateway, image, tmp_path):
    simulator = simulate("--udp", "127.0.0.1:0")
    path, _ = image("1.1.0", "--size", "200K")
    made = Site(Authority(tmp_path / "authority"), simulator, pathlib.Path(path).read_bytes(), tmp_path)

    def start(settings="allow_private = loopback"):
        made.gateway = gateway(simulator.sections(), f"[artifacts]\n{settings}\nreserve = 0\n[trust]\nca_file = {made.authority.path}\n")
        return made

    yield start
    for server in made.servers:
        server.stop()


@pytest.mark.parametrize("status,error", [(404, "artifact-not-found"), (410, "artifact-not-found"), (401, "artifact-forbidden"),
                                          (403, "artifact-forbidden"), (400, "artifact-refused")])
def test_a_refusal_ends_the_campaign(site, status, error):
    place = site()
    server = place.server()
    server.plans["/app.bin"] = [(status, [])]
    job = place.expect_failure(server.url("/app.bin"), error)
    assert str(status) in job["error"]["text"]
    # Asked once, and never again.
    assert len(server.asked("/app.bin")) == 1
    assert place.gateway.call("campaign.get", {"id": "c1"})["campaign"]["state"] == "completed"


@pytest.mark.parametrize("status", [503, 429])
def test_busy_and_back_when_it_asked_for(site, status):
    place = site()
    server = place.server()
    server.plans["/app.bin"] = [(status, [("Retry-After", "2")])]
    assert outcome(place.run(server.url("/app.bin"))) == CONFIRMED
    asked = server.asked("/app.bin")
    assert [s for _, _, s in asked] == [status, 200] and asked[1][0] - asked[0][0] >= 2


def test_broken_down_and_back(site):
    place = site()
    server = place.server()
    server.plans["/app.bin"] = [(500, []), (502, [])]
    assert outcome(place.run(server.url("/app.bin"))) == CONFIRMED
    assert [s for _, _, s in server.asked("/app.bin")] == [500, 502, 200]


def test_cut_in_the_middle(site):
    place = site()
    server = place.server()
    server.plans["/app.bin"] = [(None, 70_000), (None, 100_000)]
    assert outcome(place.run(server.url("/app.bin"))) == CONFIRMED
    first, second, third = [headers for _, headers, _ in server.asked("/app.bin")]
    assert "Range" not in first
    etag = f'"{hashlib.sha256(place.data).hexdigest()[:16]}"'
    assert (second["Range"], second["If-Range"]) == ("bytes=70000-", etag)
    assert (third["Range"], third["If-Range"]) == ("bytes=100000-", etag)


def test_replaced_in_the_middle(site):
    """The file behind the URL is another one now: nothing of the two is mixed."""
    place = site()
    server = place.server()
    server.plans["/app.bin"] = [(None, 70_000)]
    server.later["/app.bin"] = bytes(reversed(place.data))
    place.expect_failure(server.url("/app.bin"), "digest-mismatch")
    assert [headers.get("Range") for _, headers, _ in server.asked("/app.bin")][:2] == [None, "bytes=70000-"]


def test_a_certificate_for_somebody_else(site):
    place = site()
    server = place.server(leaf=place.authority.leaf("elsewhere.example"))
    job = place.expect_failure(server.url("/app.bin"), "peer-certificate-wrong-host")
    assert "elsewhere.example" in job["error"]["text"] and server.requests == []


def test_an_expired_certificate(site):
    """It may be renewed, so it is waited for, and the waiting has a name; then nobody has to touch the gateway."""
    place = site()
    server = place.server(leaf=place.authority.leaf(from_days=-30, to_days=-2))
    place.gateway.call("campaign.start", {"document": {
        "schema": "gatewayd/campaign/1", "id": "c1", "revision": 1, "devices": {"ids": [DEVICE]},
        "artifacts": [{"url": server.url("/app.bin"), "sha256": hashlib.sha256(place.data).hexdigest(), "size": len(place.data)}]}})
    for _ in range(10_000):  # each turn is an answer of the daemon
        job = place.gateway.call("campaign.get", {"id": "c1"})["jobs"][0]
        if job.get("reason") == "peer-certificate-expired":
            break
    assert (job["state"], job.get("reason")) == ("queued", "peer-certificate-expired"), job
    health = place.gateway.call("gateway.health")
    seen = [c for c in health["certificates"] if c["use"] == "artifacts"]
    assert [(c["error"], c["days_left"]) for c in seen] == [("peer-certificate-expired", -3)]
    assert "peer-certificate-expired" in [p["name"] for p in health["problems"]]
    assert server.requests == []
    server.stop()
    server.leaf = place.authority.leaf()
    server.start()
    assert outcome(place.gateway.jobs("c1")[DEVICE]) == CONFIRMED


@pytest.mark.parametrize("where,error", [("http://127.0.0.1:1/app.bin", "redirect-refused"), ("ftp://127.0.0.1/app.bin", "redirect-refused"),
                                         ("https://user:secret@127.0.0.1/app.bin", "redirect-refused")])
def test_redirected_to_what_is_not_https(site, where, error):
    place = site()
    server = place.server()
    server.plans["/app.bin"] = [(302, [("Location", where)])]
    job = place.expect_failure(server.url("/app.bin"), error)
    assert "secret" not in str(job)


def test_redirected_in_a_circle(site):
    place = site()
    server = place.server()
    server.plans["/app.bin"] = [(302, [("Location", "/app.bin")])] * 10
    place.expect_failure(server.url("/app.bin"), "redirect-refused")
    assert len(server.asked("/app.bin")) == 4


def test_redirected_to_another_address_of_this_machine(site):
    """One address is allowed, and not the one that the server sends the gateway to."""
    place = site("allow_private = 127.0.0.1/32")
    server = place.server()
    server.plans["/app.bin"] = [(307, [("Location", f"https://127.0.0.2:{server.port}/app.bin")])]
    place.expect_failure(server.url("/app.bin"), "target-address-refused")
    assert len(server.asked("/app.bin")) == 1


def test_redirected_to_where_the_file_is(site):
    place = site()
    server, other = place.server(), place.server()
    server.plans["/app.bin"] = [(302, [("Location", other.url("/app.bin"))])]
    assert outcome(place.run(server.url("/app.bin"))) == CONFIRMED
    assert len(other.asked("/app.bin")) == 1


@pytest.mark.parametrize("size", [200 * 1024 + 10_000_000, 10])
def test_a_file_of_another_size(site, size):
    """It ends at the head of the answer: the bytes are not even taken."""
    place = site()
    server = place.server()
    server.files["/app.bin"] = bytes(size)
    job = place.expect_failure(server.url("/app.bin"), "size-mismatch")
    assert str(size) in job["error"]["text"]


def test_an_answer_without_end(site):
    """Without a length, and longer than ordered: given up as soon as it is too long."""
    place = site()
    server = place.server()
    server.endless = "/app.bin"
    place.expect_failure(server.url("/app.bin"), "size-mismatch")
    with server.changed:
        assert server.n_endless < 50_000_000
