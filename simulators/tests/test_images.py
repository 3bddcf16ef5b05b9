# SPDX-License-Identifier: Apache-2.0
"""The image group: state list, decision table of the state write, upload, erase, slot information."""
import pytest
from gwsim.image import Image, make_image, pad_image
from smp_talk import WRITE, chunks

NEW = make_image("1.1.0", 3000)
NEW_HASH = Image(NEW).hash
NET = make_image("1.2.0", 3000, seed="net")
NET_HASH = Image(NET).hash


def error(rc):
    return {"err": {"group": 1, "rc": rc}}


@pytest.fixture
def slot1(tmp_path):
    path = tmp_path / "slot1.bin"
    path.write_bytes(NEW)
    return str(path)


def test_first_state(talk, data):
    assert talk().slots() == {(0, 0): ("1.0.0", "ca")}
    assert talk(version="2.3.4+5").slots() == {(0, 0): ("2.3.4.5", "ca")}
    first = talk(image=data + "/mcuboot/app-1.0.0-sha256.bin").state()[0]
    assert first["hash"].hex() == "0f2b62dafe7d75f716554097184fe8e6c00b07e85b9fa61dcd4d791cd03e550d"


def test_hash_of_the_made_image_is_stable(talk):
    assert talk(image_size=1000).state()[0]["hash"] == talk(image_size=1000).state()[0]["hash"]
    assert talk(image_size=1001).state()[0]["hash"] != talk(image_size=1000).state()[0]["hash"]


def test_two_images(talk, data):
    conversation = talk(images=2, version1="3.0.0")
    assert conversation.slots() == {(0, 0): ("1.0.0", "ca"), (1, 0): ("3.0.0", "ca")}
    assert talk(images=2, all_active=False).slots()[1, 0] == ("1.0.0", "c")
    conversation = talk(images=2, image1=data + "/mcuboot/vector-ed25519.bin")
    assert conversation.slots()[1, 0][0] == "1.2.3.4"


def test_frugal(talk):
    answer = talk(frugal=True).ask(1, 0)
    assert set(answer) == {"images"}
    assert set(answer["images"][0]) == {"slot", "version", "hash", "bootable", "confirmed", "active"}


# --- decision table -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("start, action, outcome", [
    ("normal", "test", "p"), ("normal", "confirm S1", "pP"), ("normal", "confirm S0", ""),
    ("test", "test", "p"), ("test", "confirm S1", 28), ("test", "confirm S0", 28),
    ("perm", "test", 28), ("perm", "confirm S1", "pP"), ("perm", "confirm S0", 28),
    ("revert", "test", 28), ("revert", "confirm S1", "c"), ("revert", "confirm S0", ""),
    ("normal", "test S0", 33), ("normal", "test nothing", 24), ("normal", "unknown", 8), ("normal", "short", 24)])
def test_state_write(talk, slot1, start, action, outcome):
    conversation = talk(slot1=slot1, start=start)
    running = conversation.state()[0]["hash"]
    answer = conversation.ask(1, 0, {
        "test": {"hash": NEW_HASH}, "confirm S1": {"hash": NEW_HASH, "confirm": True},
        "confirm S0": {"hash": running, "confirm": True}, "test S0": {"hash": running, "confirm": False},
        "test nothing": {}, "unknown": {"hash": bytes(32)}, "short": {"hash": running[:20]}}[action], WRITE)
    if isinstance(outcome, int):
        assert answer == error(outcome)
    else:
        assert answer["images"] == conversation.state()
        assert conversation.slots()[0, 1] == ("1.1.0", outcome)


def test_start_states(talk, slot1):
    patterns = {"normal": ("ca", ""), "test": ("ca", "p"), "perm": ("ca", "pP"), "revert": ("a", "c")}
    for start, (first, second) in patterns.items():
        slots = talk(slot1=slot1, start=start).slots()
        assert (slots[0, 0][1], slots[0, 1][1]) == (first, second)


def test_confirm_of_the_other_image(talk):
    for allowed in (False, True):
        conversation = talk(images=2, confirm_any=allowed)
        conversation.upload(NET, image=1)
        conversation.test(NET_HASH)
        conversation.reset()
        assert conversation.slots()[1, 0] == ("1.2.0", "a")
        answer = conversation.test(NET_HASH, confirm=True)
        if allowed:
            assert conversation.slots()[1, 0] == ("1.2.0", "ca")
        else:
            assert answer == error(32)


def test_ignored_test(talk):
    conversation = talk(ignore_test=True)
    conversation.upload(NEW)
    assert "err" not in conversation.test(NEW_HASH)
    assert conversation.slots()[0, 1] == ("1.1.0", "")


def test_garbage_in_the_trailer(talk):
    conversation = talk(trailer_garbage=True)
    assert conversation.upload(NEW)["match"] is True
    assert conversation.test(NEW_HASH) == error(23)
    conversation.device.options.update({"trailer-garbage": False})
    conversation.ask(1, 5, {"slot": 1}, WRITE)
    conversation.upload(NEW)
    assert "images" in conversation.test(NEW_HASH)


# --- upload ---------------------------------------------------------------------------------------------------------

def test_upload(talk):
    conversation = talk()
    assert conversation.upload(NEW) == {"off": len(NEW), "match": True}
    assert conversation.slots()[0, 1] == ("1.1.0", "")
    assert conversation.names() == ["upload-start", "upload-complete"]
    assert conversation.device.stats["bytes_written"] == len(NEW)


def test_upload_without_image_check(talk):
    assert talk(image_check=False).upload(NEW) == {"off": len(NEW)}


def test_first_chunk_is_checked(talk):
    conversation = talk(buf_size=8192)
    first = next(chunks(NEW))
    def ask(**changes):
        payload = {**first, **changes}
        return conversation.ask(1, 1, {name: value for name, value in payload.items() if value is not None}, WRITE)
    assert ask(off=None) == error(20)
    assert ask(data=NEW[:31]) == error(22)
    assert ask(len=None) == error(21)
    assert ask(data=b"x" * 40) == error(23)
    assert ask(sha=bytes(33)) == error(24)
    assert ask(len=10 << 20) == error(30)
    assert ask(data="text") == {"rc": 3}
    assert ask(image=1) == {"rc": 3}
    assert conversation.events == []
    assert ask(sha=None) == {"off": 256}
    assert ask(sha=b"id") == {"off": 256}
    assert conversation.names() == ["upload-start", "upload-lost", "upload-start"]
    assert conversation.ask(1, 1, {"off": 256, "data": bytes(5000)}, WRITE) == error(31)


def test_too_large_without_a_check(talk):
    conversation = talk(size_check=False, slot_size=2048)
    assert conversation.upload(NEW) == error(12)
    assert conversation.ask(1, 1, {"off": 2048, "data": b"x"}, WRITE) == {"off": 0}


def test_upgrade_only(talk):
    same = make_image("1.0.0+9", 1000)
    assert talk(version="1.0.0").upload(same, upgrade=True) == error(27)
    assert talk(version="1.0.0").upload(same)["off"] == len(same)
    assert talk(version="1.0.0").upload(NEW, upgrade=True)["off"] == len(NEW)


def test_image_for_the_other_slot(talk):
    def upload(address, **options):
        image = make_image("1.1.0", 1000, flags=0x100, load_address=address)
        return talk(mode=4, **options).upload(image)
    assert upload(0x10000, slot_address=0x10000, slot1_address=0x80000) == error(25)
    assert "err" not in upload(0x80000, slot_address=0x10000, slot1_address=0x80000)
    assert "err" not in upload(0x10000)


def test_resume_by_sha_after_a_lost_link(talk):
    conversation = talk()
    payloads = list(chunks(NEW))
    for payload in payloads[:4]:
        conversation.ask(1, 1, payload, WRITE)
    assert conversation.ask(1, 1, payloads[0], WRITE) == {"off": 1024}
    assert conversation.ask(1, 1, payloads[2], WRITE) == {"off": 1024}  # stored already
    assert conversation.ask(1, 1, payloads[6], WRITE) == {"off": 1024}  # a gap
    for payload in payloads[4:]:
        answer = conversation.ask(1, 1, payload, WRITE)
    assert answer == {"off": len(NEW), "match": True}
    assert conversation.device.stats["bytes_written"] == len(NEW)
    assert conversation.names() == ["upload-start", "upload-resume", "upload-complete"]


def test_reset_ends_the_session(talk):
    conversation = talk()
    payloads = list(chunks(NEW))
    for payload in payloads[:4]:
        conversation.ask(1, 1, payload, WRITE)
    conversation.reset()
    assert conversation.ask(1, 1, payloads[4], WRITE) == {"off": 0}
    assert conversation.ask(1, 1, payloads[0], WRITE) == {"off": 256}
    assert conversation.names() == ["upload-start", "upload-lost", "reset", "boot", "upload-start"]


def test_already_there(talk):
    conversation = talk()
    conversation.upload(NEW)
    assert conversation.upload(NEW) == {"off": len(NEW), "match": True}
    assert conversation.names()[-1] == "upload-already-there"
    assert conversation.device.stats["uploads_started"] == 1


@pytest.mark.parametrize("start", ["test", "perm", "revert"])
def test_busy_slot(talk, slot1, start):
    conversation = talk(slot1=slot1, start=start)
    assert conversation.upload(NET) == error(9)


def test_match_false(talk):
    assert talk(match_false=True).upload(NEW)["match"] is False
    conversation = talk()
    assert conversation.upload(NEW, sha=bytes(32))["match"] is False


def test_unreadable_after_upload(talk):
    conversation = talk(lose_upload=True)
    assert conversation.upload(NEW)["off"] == len(NEW)
    assert list(conversation.slots()) == [(0, 0)]


def test_unaligned_tails_are_dropped(talk):
    conversation = talk(align=8, buf_size=8192)
    first = dict(next(chunks(NEW)), data=NEW[:101])
    assert conversation.ask(1, 1, first, WRITE) == {"off": 96}
    assert conversation.ask(1, 1, {"off": 96, "data": NEW[96:199]}, WRITE) == {"off": 192}
    assert conversation.ask(1, 1, {"off": 192, "data": NEW[192:]}, WRITE)["off"] == len(NEW)


def test_second_image(talk):
    conversation = talk(images=2)
    conversation.upload(NET, image=1)
    assert conversation.slots()[1, 1] == ("1.2.0", "")
    assert conversation.ask(1, 1, dict(next(chunks(NET)), image=2), WRITE) == {"rc": 3}


def test_direct_upload(talk):
    conversation = talk(images=2, direct_upload=True)
    info = conversation.ask(1, 6)["images"]
    assert [slot["upload_image_id"] for image in info for slot in image["slots"]] == [1, 2, 3, 4]
    assert conversation.ask(1, 1, dict(next(chunks(NET)), image=3), WRITE) == error(9)
    conversation.upload(NET, image=4)
    assert (1, 1) in conversation.slots()


def test_padded_image_is_pending_by_itself(talk):
    padded = pad_image(NEW, 0x2000)
    conversation = talk(slot_size=0x2000, image_size=1000)
    conversation.upload(padded)
    assert conversation.slots()[0, 1] == ("1.1.0", "p")


# --- erase, slot information ------------------------------------------------------------------------------------------

def test_erase(talk, slot1):
    conversation = talk(slot1=slot1)
    assert conversation.ask(1, 5, {"slot": 0}, WRITE) == error(9)
    assert conversation.ask(1, 5, {"slot": 2}, WRITE) == error(14)
    assert conversation.ask(1, 5, {}, WRITE) == {} and list(conversation.slots()) == [(0, 0)]
    assert conversation.ask(1, 5, {"slot": 1}, WRITE) == {}
    assert talk(erase_empty_error=True).ask(1, 5, {}, WRITE) == error(1)


def test_erase_of_a_slot_in_use(talk, slot1):
    assert talk(slot1=slot1, start="test").ask(1, 5, {}, WRITE) == {}
    assert talk(slot1=slot1, start="test", erase_pending=False).ask(1, 5, {}, WRITE) == error(9)
    assert talk(slot1=slot1, start="revert").ask(1, 5, {}, WRITE) == error(9)


def test_erase_ends_an_upload(talk):
    conversation = talk()
    conversation.ask(1, 1, next(chunks(NEW)), WRITE)
    conversation.ask(1, 5, {"slot": 1}, WRITE)
    assert conversation.ask(1, 1, {"off": 256, "data": b"x"}, WRITE) == {"off": 0}


def test_slot_information(talk):
    info = talk(slot_size="400K", slot1_size="396K", sector_size=4096).ask(1, 6)["images"]
    assert [slot["size"] for slot in info[0]["slots"]] == [400 * 1024, 396 * 1024]
    assert info[0]["max_image_size"] == 396 * 1024 - 2 * 4096  # one sector to move into, one for the trailer
    assert info[0]["slots"][1]["upload_image_id"] == 0
    assert len(talk(images=2).ask(1, 6)["images"]) == 2
