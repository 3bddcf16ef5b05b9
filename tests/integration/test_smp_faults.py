# SPDX-License-Identifier: Apache-2.0
"""Every failure that people meet with SMP, each provoked on a simulated device and told apart by its name; every bootloader, every kind of
server and of bad link. The numbers are those of plugins/smp/README.md. All devices are worked on at once by one daemon."""

import pytest

import harness
import scenes
from scenes import Case, Scene, outcome

CONFIRMED = {"result": "updated", "proof": "hash-active-confirmed"}
LONG = "max-frame=256"  # longer messages than this the device does not take

FAILURES = [
    Case("F1", "no-params,no-bootloader-info,no-slot-info,no-enumeration,no-memfault,no-os-info,no-echo,no-datetime", **CONFIRMED, model="stated"),
    Case("F2", "no-image-management", "failed", error="smp-no-image-management"),
    Case("F3-xip", "mode=4", result="updated", proof="hash-active"),
    Case("F3-recovery", "profile=recovery,erase-ms=1,recovery=once", result="sent-unproven", proof="none", model="stated"),
    Case("F4", "only-rc8", "failed", error="smp-not-standard", model="stated"),
    Case("F5-cleared", "slot1={other},start=test", **CONFIRMED),
    Case("F5-erased", "slot1={other},start=test,erase-pending", **CONFIRMED),
    Case("F5-trial", "slot1={other},start=revert", **CONFIRMED),
    Case("F7", "trailer-garbage", "failed", error="smp-swap-mark-not-written"),
    Case("F8", "lose-upload", "failed", error="smp-stored-image-missing"),
    Case("F9", "refuse-swap", "failed", error="smp-swap-refused"),
    Case("F9-sizes", "slot1-size=300K,no-slot-info", "failed", error="smp-swap-refused"),
    Case("F10", "reject-image", "failed", error="smp-image-rejected"),
    Case("F10-key", "verify-key={key}", "failed", error="smp-image-rejected"),
    Case("F11", "revert-image", "failed", error="smp-image-reverted"),
    Case("F11-trial", "crash-ms=1500", "failed", error="reset-during-trial", campaign="tried", settings="quiet_after_reset = 100 ms"),
    Case("F12", "self-confirm", **CONFIRMED),
    Case("F13", "no-return", "failed", error="did-not-return", settings="return_timeout = 1500 ms\nreturn_factor_percent = 0"),
    Case("F14", "reset-no-answer", **CONFIRMED),
    Case("F15", "ignore-test", "failed", error="smp-test-ignored"),
    Case("F16", "", "failed", error="smp-version-not-newer", campaign="older", settings="device_checks_version = yes"),
    Case("F16-bootloader", "no-downgrade,no-bootloader-info", "failed", error="smp-image-rejected", campaign="older"),
    Case("too-large", "no-slot-info,slot-size=36K,image-size=20K", "failed", error="smp-image-too-large"),
    Case("other-slot", "mode=4,slot-address=0x10000,slot1-address=0x90000", "failed", error="smp-image-address", campaign="for-slot-0"),
    Case("F17", "images=1", "failed", error="smp-single-image-device", campaign="two"),
    Case("F18", LONG + ",big-frame=rc9", **CONFIRMED),
    Case("F18-never", "max-frame=120,big-frame=rc9", "failed", error="smp-message-too-long"),
    Case("F19", "list-rc2", "failed", error="smp-device-buffer-too-small"),
    Case("F19-two", "images=2,buf-size=384", "failed", error="smp-device-buffer-too-small", campaign="two"),
    Case("F20-shortened", LONG + ",big-frame=drop", **CONFIRMED),
    Case("F2-serial", "no-image-management", "failed", error="smp-no-image-management", serial=True),
    Case("F9-serial", "refuse-swap", "failed", error="smp-swap-refused", serial=True),
    Case("F13-serial", "no-return", "failed", error="did-not-return", serial=True, settings="return_timeout = 1500 ms\nreturn_factor_percent = 0"),
    Case("F20-serial", LONG + ",big-frame=drop", **CONFIRMED, serial=True),
]

SERVERS = [
    Case("v1-headers", "smp=v1-headers", **CONFIRMED),
    Case("v1-rc13", "smp=v1-rc13,profile=old", **CONFIRMED, model="stated"),
    Case("v1-silent", "smp=v1-silent", **CONFIRMED),
    Case("v2-only", "smp=v2-only", **CONFIRMED),
    Case("definite", "definite", **CONFIRMED),
    Case("indefinite", "definite=no,legacy-rc", **CONFIRMED),
    Case("frugal", "frugal,no-memfault", **CONFIRMED),
    Case("old", "profile=old", **CONFIRMED, model="stated"),
    Case("zephyr-3-4", "profile=zephyr-3.4", **CONFIRMED),
    Case("nrf52840", "profile=nrf52840,erase-ms=1", **CONFIRMED),
    Case("image-check", "image-check", **CONFIRMED),
    Case("reset-force", "reset-needs-force", **CONFIRMED),
    Case("match-false", "image-check,match-false", **CONFIRMED),
    Case("align", "align=8,buf-size=500", **CONFIRMED),
    Case("lossy", "loss=0.1", **CONFIRMED),
    Case("twice", "duplicate=0.3", **CONFIRMED),
    Case("reordered", "reorder=0.3", **CONFIRMED),
    Case("all-at-once", "loss=0.05,duplicate=0.1,reorder=0.1,garbage=0.2", **CONFIRMED),
    Case("udp-garbage", "garbage=0.5", **CONFIRMED),
    Case("overrun", "buf-count=8,real-buffers=3,dispatch-ms=1", **CONFIRMED),
    Case("overrun-drop", "buf-count=8,real-buffers=3,dispatch-ms=1,overrun=drop", **CONFIRMED),
    Case("one-buffer", "buf-count=1", **CONFIRMED),
    Case("vanish", "vanish-at=20000,vanish-ms=16000", **CONFIRMED),
    Case("vanish-thrice", "vanish-at=20000,vanish-ms=1500,vanish-times=3", **CONFIRMED),
    Case("vanish-lose", "vanish-at=20000,vanish-ms=2000,vanish-session=lose", **CONFIRMED),
    Case("overwrite", "mode=2", **CONFIRMED),
    Case("swap-scratch", "mode=1", **CONFIRMED),
    Case("swap-offset", "mode=9", **CONFIRMED),
    Case("xip", "mode=4", result="updated", proof="hash-active"),
    Case("xip-revert", "mode=5", **CONFIRMED),
    Case("xip-slots", "mode=4,slot-address=0x10000,slot1-address=0x90000", result="updated", proof="hash-active", campaign="for-each-slot"),
    Case("firmware-loader", "mode=7", "failed", error="smp-bootloader-unsupported"),
    Case("recovery", "profile=recovery,erase-ms=1,recovery=once", result="sent-unproven", proof="none", model="stated"),
    Case("recovery-version", "profile=recovery,erase-ms=1,recovery=once,no-memfault=no", result="updated", proof="version-read", model="simboard"),
    Case("recovery-stays", "profile=recovery,erase-ms=1,recovery=always", "failed", error="smp-stuck-in-bootloader", model="stated"),
    Case("nrf5340", "profile=nrf5340,time-scale=50", campaign="two", **CONFIRMED),
    Case("serial-garbage", "garbage=0.3", **CONFIRMED, serial=True),
    Case("serial-lossy", "loss=0.05,duplicate=0.1", **CONFIRMED, serial=True),
    Case("serial-vanish", "vanish-at=20000,vanish-ms=16000", **CONFIRMED, serial=True),
    Case("serial-v1", "smp=v1-rc13,profile=old", **CONFIRMED, serial=True, model="stated"),
    Case("serial-recovery", "profile=recovery,erase-ms=1,recovery=once", result="sent-unproven", proof="none", serial=True, model="stated"),
    Case("serial-baud", "baud=115200", **CONFIRMED, serial=True),
    Case("serial-nrf5340", "profile=nrf5340,time-scale=50", campaign="two", **CONFIRMED, serial=True),
]

SETTINGS = """[plugin smp]
timeout = 300 ms
return_timeout = 5 s
not_seen_retry = 1 s
"""


def play(folder, cases):
    new, _ = harness.make_image(folder / "new.bin", "1.1.0", "--size", "40K")
    older, _ = harness.make_image(folder / "older.bin", "0.9.0", "--size", "24K")
    other, _ = harness.make_image(folder / "other.bin", "1.0.5", "--size", "24K")
    network, _ = harness.make_image(folder / "network.bin", "1.1.0", "--size", "24K", "--seed", "network")
    package = folder / "dfu_application.zip"
    harness.make_package(package, "0:%s" % new, "1:%s" % network)
    slots = [harness.make_image(folder / f"slot{slot}.bin", "1.1.0", "--size", "24K", "--flags", "0x100", "--load-address", address)[0]
             for slot, address in enumerate(("0x10000", "0x90000"))]
    each_slot = harness.make_package(folder / "slots.zip", *[f"0/{slot}:{path}" for slot, path in enumerate(slots)])
    key = harness.ROOT / "tests/data/mcuboot/p256.pem"
    for case in cases:
        case.options = case.options.replace("{other}", str(other)).replace("{key}", str(key))
    scene = Scene(folder, cases, ("--reset-ms", 30, "--boot-ms", 100), SETTINGS)
    try:
        scene.jobs = scene.run({"new": (new, {}), "for-slot-0": (slots[0], {}), "for-each-slot": (each_slot, {}),
                                "tried": (new, {"trial": {"duration_s": 4, "checks": 8}}), "older": (older, {"allow_downgrade": True, "attempts": 2}),
                                "two": (package, {"mode": "confirm-only"})})
        scene.all_events = scene.simulator.events()
        scene.stats = {case.name: scene.simulator.control(device=scene.index[case.name], do="stats") for case in cases}
    finally:
        scene.close()
    return scene


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return play(tmp_path_factory.mktemp("faults"), FAILURES + SERVERS)


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.name)
def test_failure_has_its_name(played, case):
    assert outcome(played.jobs[case.name]) == case.outcome(), played.jobs[case.name]


@pytest.mark.parametrize("case", SERVERS, ids=lambda case: case.name)
def test_every_server_and_link(played, case):
    assert outcome(played.jobs[case.name]) == case.outcome(), played.jobs[case.name]


@pytest.mark.full  # every first chunk may cost a device the erasing of its slot, so its silence is believed late
def test_never_a_long_message(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "PATIENCE_S", 240)
    case = Case("F20", "max-frame=120,big-frame=drop", "failed", error="smp-no-reassembly")
    job = play(tmp_path, [case]).jobs["F20"]
    assert outcome(job) == case.outcome(), job


def test_nothing_harmless_is_reported(played):
    """F1: a refused optional command is no error and no note."""
    assert not [note for note in played.jobs["F1"]["notes"] if "refused" in note]


@pytest.mark.parametrize("name", ["vanish", "serial-vanish"])
def test_vanished_device_resumes_by_sha(played, name):
    events = [e["event"] for e in played.all_events if e["device"] == played.index[name]]
    assert events.count("upload-start") == 1 and events.count("upload-resume") >= 1 and events.count("upload-complete") == 1, events
    assert any("resumed at byte" in note for note in played.jobs[name]["notes"])


def test_window_narrows_when_buffers_run_out(played):
    """rc 2 with more requests under way than the device has buffers: fewer at once, not an error."""
    assert played.stats["overrun"]["stats"]["overruns"] > 0
    assert played.jobs["overrun"]["attempt"] == 1


@pytest.mark.parametrize("name", ["nrf5340", "serial-nrf5340"])
def test_two_images_of_one_package(played, name):
    job = played.jobs[name]
    assert [(t["key"], t["state"], t["proof"]) for t in job["targets"]] == [
        ("image-0", "succeeded", "hash-active-confirmed"), ("image-1", "succeeded", "hash-active-confirmed")]
    events = [(e["event"], e.get("image")) for e in played.all_events if e["device"] == played.index[name]]
    assert [e for e in events if e[0] == "upload-complete"] == [("upload-complete", 0), ("upload-complete", 1)]


def test_everything_flashed_at_most_once(played):
    """Whatever the link did: one upload of each image, never a second."""
    for case in FAILURES + SERVERS:
        if "lose" in case.options or "match-false" in case.options:
            continue
        started = [e["image"] for e in played.all_events if e["device"] == played.index[case.name] and e["event"] == "upload-start"]
        assert len(started) == len(set(started)), (case.name, started)
