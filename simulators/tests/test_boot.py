# SPDX-License-Identifier: Apache-2.0
"""What is found after a reset: every bootloader mode, and every way in which an update ends badly."""
import pytest
from gwsim.image import Image, make_image
from smp_talk import WRITE

NEW = make_image("1.1.0", 3000)
NEW_HASH = Image(NEW).hash


def updated(talk, confirm=False, image=NEW, **options):
    conversation = talk(**options)
    conversation.upload(image)
    conversation.test(Image(image).hash, confirm)
    conversation.reset()
    return conversation


@pytest.mark.parametrize("mode", [-1, 1, 3, 9])
def test_swap_test_confirm(talk, mode):
    conversation = updated(talk, mode=mode)
    assert conversation.slots() == {(0, 0): ("1.1.0", "a"), (0, 1): ("1.0.0", "c")}
    conversation.confirm()
    assert conversation.slots() == {(0, 0): ("1.1.0", "ca"), (0, 1): ("1.0.0", "")}
    conversation.reset()
    assert conversation.slots() == {(0, 0): ("1.1.0", "ca"), (0, 1): ("1.0.0", "")}
    assert conversation.names() == ["upload-start", "upload-complete", "test", "reset", "swap", "boot", "confirm", "reset",
                                    "boot"]


def test_swap_and_revert(talk):
    conversation = updated(talk)
    conversation.reset()
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca"), (0, 1): ("1.1.0", "")}
    assert conversation.device.stats["swaps"] == conversation.device.stats["reverts"] == 1
    conversation.reset()
    assert conversation.slots()[0, 0] == ("1.0.0", "ca")


def test_swap_permanently(talk):
    conversation = updated(talk, confirm=True)
    assert conversation.slots() == {(0, 0): ("1.1.0", "ca"), (0, 1): ("1.0.0", "")}


def test_back_to_the_other_slot(talk):
    conversation = updated(talk, confirm=True)
    old = conversation.state()[1]["hash"]
    conversation.test(old)
    conversation.reset()
    assert conversation.slots() == {(0, 0): ("1.0.0", "a"), (0, 1): ("1.1.0", "c")}


def test_self_confirming_application(talk):
    conversation = updated(talk, self_confirm=True)
    assert conversation.slots()[0, 0] == ("1.1.0", "ca")
    assert conversation.events[-1] == ("confirm", {"image": 0, "version": "1.1.0", "hash": NEW_HASH.hex(),
                                                   "by": "application"})


@pytest.mark.parametrize("confirm", [False, True])
def test_overwrite(talk, confirm):
    conversation = updated(talk, confirm, mode=2)
    assert conversation.slots() == {(0, 0): ("1.1.0", "ca")}
    conversation.reset()
    assert conversation.slots() == {(0, 0): ("1.1.0", "ca")}


@pytest.mark.parametrize("mode", [4, 6])
def test_in_place(talk, mode):
    conversation = talk(mode=mode)
    conversation.upload(NEW)
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca"), (0, 1): ("1.1.0", "pP")}
    assert conversation.test(NEW_HASH) == {"rc": 8}
    conversation.reset()
    assert conversation.slots() == {(0, 0): ("1.0.0", ""), (0, 1): ("1.1.0", "ca")}
    newer = make_image("1.2.0", 3000)
    conversation.upload(newer)
    assert conversation.slots() == {(0, 0): ("1.2.0", "pP"), (0, 1): ("1.1.0", "ca")}


def test_in_place_lower_version_stays(talk):
    conversation = talk(mode=4)
    conversation.upload(make_image("0.9.0", 3000))
    conversation.reset()
    assert conversation.slots()[0, 0] == ("1.0.0", "ca")


def test_in_place_with_revert(talk):
    conversation = updated(talk, mode=5)
    assert conversation.slots() == {(0, 0): ("1.0.0", "c"), (0, 1): ("1.1.0", "a")}
    conversation.confirm()
    assert conversation.slots() == {(0, 0): ("1.0.0", ""), (0, 1): ("1.1.0", "ca")}
    conversation.reset()
    assert conversation.slots()[0, 1] == ("1.1.0", "ca")


def test_in_place_unconfirmed_is_erased(talk):
    conversation = updated(talk, mode=5)
    conversation.reset()
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca")}
    assert "revert" in conversation.names()


def test_in_place_untested_is_erased(talk):
    conversation = talk(mode=5)
    conversation.upload(NEW)
    conversation.reset()
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca")}


def test_in_place_rejected(talk):
    conversation = talk(mode=4, reject_image=True)
    conversation.upload(NEW)
    conversation.reset()
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca")}


@pytest.mark.parametrize("mode", [0, 8])
def test_single_slot_and_recovery(talk, mode):
    conversation = talk(mode=mode)
    assert conversation.ask(1, 0) == {"rc": 8} and conversation.ask(0, 0, {"d": "x"}) == {"r": "x"}
    conversation.reset(boot_mode=1)
    assert conversation.device.describe()["recovery"] is True
    assert conversation.ask(1, 0)["images"] == [{"slot": 0, "version": "1.0.0"}]
    assert conversation.upload(NEW) == {"rc": 0, "off": len(NEW)}
    assert conversation.answer_version == 0
    assert conversation.test(NEW_HASH) == {"rc": 8}
    conversation.reset()
    assert conversation.ask(128, 0)["current_version"] == "1.1.0"


def test_recovery_from_the_start(talk):
    conversation = talk("recovery", erase_ms=10, slot_size="40K", image_size=1000)
    assert conversation.ask(1, 1, {"off": 0, "len": 50000, "data": NEW[:64]}, WRITE) == {"rc": 3}
    # Off 0 erases everything, again and again; a wrong offset is told.
    first = {"off": 0, "len": len(NEW), "data": NEW[:67]}
    assert conversation.ask(1, 1, first, WRITE, patience=0.09) is None
    conversation.wait(1)
    assert conversation.ask(1, 1, first, WRITE, patience=1) == {"rc": 0, "off": 64}
    assert conversation.device.stats["sectors_erased"] == 20
    assert conversation.ask(1, 1, {"off": 8, "data": NEW[8:16]}, WRITE) == {"rc": 0, "off": 64}
    assert conversation.ask(1, 5, {}, WRITE) == {"rc": 8}
    assert conversation.raw(b"\x08\0\0\x05\0\0\1\6\xa0") == []
    conversation.reset()
    # Nothing to boot: the recovery stays.
    assert conversation.device.describe()["recovery"] is True
    assert conversation.upload(NEW, patience=5) == {"rc": 0, "off": len(NEW)}
    conversation.reset()
    assert conversation.device.describe()["recovery"] is False
    always = talk("recovery", recovery="always")
    always.reset()
    assert always.device.describe()["recovery"] is True


def test_firmware_loader(talk):
    conversation = talk(mode=7)
    assert conversation.upload(NEW) == {"err": {"group": 1, "rc": 9}}
    conversation.reset(boot_mode=1)
    assert conversation.slots()[0, 1][1] == "a"
    assert conversation.upload(NEW)["off"] == len(NEW)
    assert conversation.test(NEW_HASH) == {"rc": 8}
    conversation.reset()
    assert conversation.slots()[0, 0] == ("1.1.0", "ca")


def test_two_images_swap_together(talk):
    net = make_image("1.2.0", 3000, seed="net")
    conversation = talk(images=2)
    conversation.upload(NEW)
    conversation.upload(net, image=1)
    conversation.test(NEW_HASH, True)
    conversation.test(Image(net).hash, True)
    conversation.reset()
    slots = conversation.slots()
    assert slots[0, 0] == ("1.1.0", "ca") and slots[1, 0] == ("1.2.0", "ca")


# --- what goes wrong ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [{"refuse_swap": True}, {"slot1_size": "600K"}, {"slot1_size": "600K", "mode": 1},
                                     {"slot1_size": "400K", "mode": 9}])
def test_refused_swap_leaves_the_mark(talk, options):
    conversation = updated(talk, **options)
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca"), (0, 1): ("1.1.0", "p")}
    assert "swap-refused" in conversation.names() and "swap" not in conversation.names()


def test_too_large_for_a_swap(talk):
    conversation = updated(talk, image=make_image("1.1.0", 15000), slot_size=16384, image_size=1000)
    assert conversation.slots()[0, 1] == ("1.1.0", "p")


def test_rejected_image(talk):
    conversation = updated(talk, reject_image=True)
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca")}
    assert "image-rejected" in conversation.names()


def test_damaged_image(talk):
    damaged = bytearray(NEW)
    damaged[1000] ^= 1
    conversation = updated(talk, image=bytes(damaged))
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca")}
    assert ("image-rejected", {"image": 0, "reason": "hash mismatch"}) in conversation.events


def test_not_bootable(talk):
    conversation = updated(talk, image=make_image("1.1.0", 1000, flags=0x10))
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca")}


def test_signature(talk, data):
    pytest.importorskip("cryptography")
    def update(name, key):
        with open(f"{data}/mcuboot/{name}", "rb") as stream:
            return updated(talk, image=stream.read(), verify_key=f"{data}/mcuboot/{key}.pem").slots()[0, 0][0]
    assert update("app-1.1.0-ed25519.signed.bin", "ed25519") == "1.1.0"
    assert update("app-1.1.0-ed25519.signed.bin", "p256") == "1.0.0"
    assert update("app-1.1.0-p256.signed.bin", "p256") == "1.1.0"
    assert update("app-1.0.0-sha256.bin", "p256") == "1.0.0"


def test_downgrade(talk):
    old = make_image("0.9.0", 1000)
    assert updated(talk, image=old).slots()[0, 0] == ("0.9.0", "a")
    assert updated(talk, image=old, no_downgrade=True).slots() == {(0, 0): ("1.0.0", "ca")}


def test_unmet_dependency(talk):
    conversation = updated(talk, images=2, image=make_image("1.1.0", 1000, dependencies=[(1, "2.0.0")]))
    assert conversation.slots()[0, 0] == ("1.0.0", "ca") and conversation.slots()[0, 1] == ("1.1.0", "p")
    conversation = updated(talk, images=2, version1="2.0.0", image=make_image("1.1.0", 1000, dependencies=[(1, "2.0.0")]))
    assert conversation.slots()[0, 0] == ("1.1.0", "a")


def test_reverted_image(talk):
    conversation = updated(talk, revert_image=True)
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca"), (0, 1): ("1.1.0", "")}
    assert conversation.names()[-6:] == ["swap", "boot", "crash", "reset", "revert", "boot"]


def test_reverted_image_confirmed_first(talk):
    conversation = updated(talk, confirm=True, revert_image=True)
    assert conversation.ask(0, 6) is None and conversation.names()[-1] == "no-return"


def test_crash_during_trial(talk):
    conversation = talk(crash_ms=5000)
    conversation.upload(NEW)
    conversation.test(NEW_HASH)
    conversation.reset(1)
    assert conversation.slots()[0, 0] == ("1.1.0", "a")
    conversation.wait(10)
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca"), (0, 1): ("1.1.0", "")}


def test_crash_after_confirm(talk):
    conversation = talk(crash_ms=5000)
    conversation.upload(NEW)
    conversation.test(NEW_HASH)
    conversation.reset(1)
    conversation.confirm()
    conversation.wait(5)
    assert conversation.slots()[0, 0] == ("1.1.0", "ca")
    assert conversation.names().count("crash") == 1 and "revert" not in conversation.names()


def test_does_not_return(talk):
    conversation = updated(talk, no_return=True)
    assert conversation.ask(0, 6) is None and conversation.device.phase == "dead"
    conversation.device.power_cycle(conversation.now)
    conversation.wait(1)
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca"), (0, 1): ("1.1.0", "")}


def test_power_off_and_on(talk):
    conversation = talk()
    conversation.device.power_off(conversation.now)
    assert conversation.ask(0, 6) is None and not conversation.device.port_present
    conversation.device.power_on(conversation.now)
    conversation.wait(1)
    assert conversation.ask(0, 6)


def test_flash_survives_in_a_snapshot(talk):
    conversation = updated(talk)
    saved, blobs = conversation.device.snapshot()
    other = talk()
    other.device.restore(saved, lambda digest: blobs[digest])
    assert other.slots() == conversation.slots()
    other.reset()
    assert other.slots() == {(0, 0): ("1.0.0", "ca"), (0, 1): ("1.1.0", "")}
