# SPDX-License-Identifier: Apache-2.0
"""Files that must not reach a device, each refused under its own name before a byte goes out; and files that come from a server."""

import hashlib
import json
import os
import pathlib
import struct
import subprocess
import zipfile

import pytest

import harness
from scenes import outcome
from tls_server import Server

DATA = harness.ROOT / "tests/data/mcuboot"
DEVICE = "smp-udp:d0"
CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    """One device and one daemon for all the files that are refused."""
    folder = tmp_path_factory.mktemp("files")
    simulator = harness.Simulator(folder / "sim", "--udp", "127.0.0.1:0", "--image-size", 200_000, "--slot-size", "300K", "--version", "1.0.0")
    gw = harness.Gateway(folder / "gw", simulator.sections(), "[artifacts]\nquota = 200M\nreserve = 0").start()
    gw.simulator, gw.n_campaigns = simulator, 0
    yield gw
    gw.stop()
    simulator.stop()


def refusal(gw, path, document=None, artifact=None, **policy):
    """The error's name, whether the command or the job told it."""
    gw.n_campaigns += 1
    name = f"c{gw.n_campaigns}"
    try:
        sha256 = gw.import_file(path)["artifact"]["sha256"]
        full = {"schema": "gatewayd/campaign/1", "id": name, "revision": 1, "devices": {"ids": [DEVICE]},
                "artifacts": [{"sha256": sha256, "size": os.path.getsize(path), **(artifact or {})}], **(document or {})}
        if policy:
            full["policy"] = policy
        gw.call("campaign.start", {"document": full})
    except harness.RpcError as error:
        return error.name
    job = gw.jobs(name)[DEVICE]
    assert job["state"] in ("failed", "rejected"), job
    return job["error"]["name"]


def zip_of(path, entries, manifest=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if manifest is not None:
            archive.writestr("manifest.json", json.dumps(manifest))
        for name, data in entries:
            archive.writestr(name, data)
    return path


def manifest_of(*files):
    return {"format-version": 1, "time": 1700000000, "files": [
        {"type": "application", "board": "simboard/nrf52840", "soc": "nrf52840", "load_address": 0, "image_index": str(number), "slot": "0",
         "version": "1.1.0+0", "size": size, "file": name, "modtime": 1700000000} for number, (name, size) in enumerate(files)]}


def truncated(folder, good):
    path = folder / "cut.bin"
    path.write_bytes(good.read_bytes()[:20000])
    return path


def flipped(folder, good):
    data = bytearray(good.read_bytes())
    data[1000] ^= 1
    path = folder / "flipped.bin"
    path.write_bytes(data)
    return path


def unsigned(folder, _):
    path = folder / "zephyr.bin"
    vectors = [0x20040000] + [0x201 + 4 * number for number in range(63)]  # stack, then functions of an ARM
    path.write_bytes(struct.pack("<64I", *vectors) + bytes(range(256)) * 80)
    return path


def bomb(folder, _):
    return zip_of(folder / "dfu_bomb.zip", [("app.bin", bytes(300 << 20))], manifest_of(("app.bin", 300 << 20)))


def traversal(folder, good):
    data = good.read_bytes()
    return zip_of(folder / "dfu_path.zip", [("../../app.bin", data)], manifest_of(("../../app.bin", len(data))))


def absolute(folder, good):
    data = good.read_bytes()
    return zip_of(folder / "dfu_absolute.zip", [("/etc/app.bin", data)], manifest_of(("/etc/app.bin", len(data))))


def link(folder, good):
    path = zip_of(folder / "dfu_link.zip", [], manifest_of(("app.bin", good.stat().st_size)))
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("app.bin")
        entry.create_system, entry.external_attr = 3, 0o120777 << 16
        archive.writestr(entry, "/etc/shadow")
    return path


def missing(folder, _):
    return zip_of(folder / "dfu_missing.zip", [], manifest_of(("app.bin", 100)))


def no_manifest(folder, good):
    return zip_of(folder / "dfu_plain.zip", [("app.bin", good.read_bytes())])


def cut_zip(folder, good):
    whole = harness.make_package(folder / "whole.zip", f"0:{good}").read_bytes()
    path = folder / "dfu_cut.zip"
    path.write_bytes(whole[:len(whole) // 2])
    return path


def modem(folder, _):
    return zip_of(folder / "mfw_nrf9160_1.3.0.zip", [("firmware.update.image.segments.0.hex", ":00000001FF\n"),
                                                     ("firmware.update.image.digest.txt", "0" * 64)])


def too_large(folder, _):
    return harness.make_image(folder / "large.bin", "1.1.0", "--size", "310K")[0]


def older(folder, _):
    return harness.make_image(folder / "older.bin", "0.9.9", "--size", "24K")[0]


FILES = [
    (truncated, "image-truncated"), (flipped, "image-hash-mismatch"), (unsigned, "not-mcuboot"), (bomb, "zip-bomb"), (traversal, "zip-path"),
    (absolute, "zip-path"), (link, "zip-entry-special"), (missing, "zip-entry-missing"), (no_manifest, "manifest-missing"), (cut_zip, "zip-invalid"),
    (modem, "modem-firmware-file"), (too_large, "image-too-large"), (older, "downgrade"),
]


@pytest.mark.parametrize("make, name", FILES, ids=lambda value: getattr(value, "__name__", None))
def test_refused_before_a_byte_goes_out(device, image, tmp_path, make, name):
    good, _ = image("1.1.0", "--size", "24K")
    assert refusal(device, make(tmp_path, good)) == name
    assert not device.simulator.events(0, "upload-start")


def test_image_for_another_board(device, image, tmp_path):
    good, _ = image("1.1.0", "--size", "24K")
    assert refusal(device, good, artifact={"compatible": ["acme,thermostat"]}) == "incompatible"
    package = tmp_path / "dfu_application.zip"
    subprocess.run(["/usr/bin/python3", harness.MAKE_IMAGE, "--package", package, "--board", "thermostat/nrf52833", "--file", f"0:{good}"],
                   check=True, capture_output=True)
    assert refusal(device, package) == "incompatible"
    assert not device.simulator.events(0, "upload-start")


def test_not_the_file_that_was_ordered(device, image):
    good, _ = image("1.1.0", "--size", "24K")
    for expected, name in [({"sha256": "00" * 32}, "digest-mismatch"), ({"size_bytes": 5}, "size-mismatch")]:
        with open(good, "rb") as file, pytest.raises(harness.RpcError) as refused:
            device.call("artifact.import", {"name": "x.bin", **expected}, fd=file.fileno())
        assert refused.value.name == name
    assert refusal(device, good, artifact={"size": 12345}) == "size-mismatch"
    assert refusal(device, good, artifact={"version": "2.0.0"}) == "version-mismatch"
    assert refusal(device, good, artifact={"sha256": "ab" * 32}) == "artifact-not-imported"
    assert not device.simulator.events(0, "upload-start")


def test_signatures(simulate, gateway, image, tmp_path):
    """A required signature must be there, by a known key, and hold."""
    public = tmp_path / "public.pem"
    subprocess.run(["openssl", "pkey", "-in", DATA / "ed25519.pem", "-pubout", "-out", public], check=True, capture_output=True)
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 2)
    gw = gateway(simulator.sections(), f"[mcuboot]\npublic_keys = {public}\nrequire_signature = yes\n")
    gw.n_campaigns = 0
    unsigned_image, _ = image("1.1.0", "--size", "24K")
    assert refusal(gw, unsigned_image) == "image-signature-missing"
    assert refusal(gw, DATA / "app-1.1.0-p256.signed.bin") == "image-key-unknown"
    # The last byte of the signature itself: the hash still holds.
    broken = bytearray((DATA / "app-1.1.0-ed25519.signed.bin").read_bytes())
    broken[-1] ^= 1
    path = tmp_path / "broken.bin"
    path.write_bytes(broken)
    assert refusal(gw, path) == "image-signature-invalid"
    assert not simulator.events(0, "upload-start")
    gw.begin(DATA / "app-1.1.0-ed25519.signed.bin", {"ids": [DEVICE]}, name="signed")
    assert outcome(gw.jobs("signed")[DEVICE]) == CONFIRMED


@pytest.fixture
def served(simulate, gateway, image, tmp_path):
    """A file on a real TLS server, a device, a daemon that may fetch from there."""
    server = Server(tmp_path / "server")
    simulator = simulate("--udp", "127.0.0.1:0")
    path, _ = image("1.1.0", "--size", "200K")
    data = pathlib.Path(path).read_bytes()
    server.files["/app.bin"] = data
    gw = gateway(simulator.sections(), f"[artifacts]\nallow_private = loopback\nreserve = 0\n[trust]\nca_file = {server.certificate}\n")
    gw.simulator, gw.server, gw.data = simulator, server, data
    gw.folder_for_keys = tmp_path

    def order(url, name="c1", **artifact):
        gw.call("campaign.start", {"document": {
            "schema": "gatewayd/campaign/1", "id": name, "revision": 1, "devices": {"ids": [DEVICE]},
            "artifacts": [{"url": url, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data), **artifact}]}})
    gw.order = order
    yield gw
    server.stop()


def test_download(served):
    served.order(served.server.url("/app.bin"))
    assert outcome(served.jobs()[DEVICE]) == CONFIRMED
    assert served.server.requests == [("/app.bin", None)]


def test_download_is_resumed_by_the_next_daemon(served):
    served.server.cuts, served.server.hold = [100_000], True
    served.order(served.server.url("/app.bin"))
    served.server.await_cut()
    served.stop()
    served.server.released.set()
    served.start()
    assert outcome(served.jobs()[DEVICE]) == CONFIRMED
    assert served.server.requests[-1][1] and int(served.server.requests[-1][1][6:-1]) > 0, served.server.requests


def test_download_cut_in_the_middle(served):
    served.server.cuts = [60_000, 30_000]
    served.order(served.server.url("/app.bin"))
    assert outcome(served.jobs()[DEVICE]) == CONFIRMED
    assert [wanted for _, wanted in served.server.requests] == [None, "bytes=60000-", "bytes=90000-"]


def test_missing_file_ends_it(served):
    served.order(served.server.url("/other.bin"))
    job = served.jobs()[DEVICE]
    assert (job["state"], job["error"]["name"]) == ("failed", "artifact-not-found")
    assert len(served.server.requests) == 1


def test_other_content_on_the_server(served):
    served.server.files["/app.bin"] = bytes(len(served.data))
    served.order(served.server.url("/app.bin"))
    assert served.jobs()[DEVICE]["error"]["name"] == "digest-mismatch"
    assert not served.simulator.events(0, "upload-start")


def test_server_that_nobody_vouches_for(served, tmp_path):
    stranger = Server(tmp_path / "stranger")
    stranger.files["/app.bin"] = served.data
    try:
        served.order(stranger.url("/app.bin"))
        assert served.jobs()[DEVICE]["error"]["name"] == "peer-certificate-untrusted"
        assert stranger.requests == []
    finally:
        stranger.stop()


def test_loopback_needs_leave(served, gateway):
    served.stop()
    served.write_config(served.simulator.sections(), f"[trust]\nca_file = {served.server.certificate}\n")
    served.start()
    served.order(served.server.url("/app.bin"))
    assert served.jobs()[DEVICE]["error"]["name"] == "target-address-refused"
    assert served.server.requests == []


def test_cancel_ends_a_download(served):
    served.server.cuts, served.server.hold = [50_000], True
    served.order(served.server.url("/app.bin"))
    served.server.await_cut()
    assert served.call("campaign.cancel", {"id": "c1"})["stopped"] == [DEVICE]
    assert served.follow()["jobs"][0]["state"] == "canceled"
    served.server.released.set()
