# SPDX-License-Identifier: Apache-2.0
"""How long things take, and devices that are away for a while."""
import pytest
from gwsim.image import Image, make_image
from smp_talk import WRITE, chunks, request

NEW = make_image("1.1.0", 10000)


def test_reset_and_boot_times(talk):
    conversation = talk(reset_ms=250, boot_ms=200, swap_ms=3000)
    assert conversation.ask(0, 5, {}, WRITE) == {}
    conversation.wait(0.2)
    assert conversation.ask(0, 6) is not None, "the link goes only after the reset time"
    conversation.wait(0.051)
    assert conversation.ask(0, 6) is None
    conversation.wait(0.2)
    assert conversation.ask(0, 6) is not None
    conversation.upload(NEW)
    conversation.test(Image(NEW).hash)
    conversation.ask(0, 5, {}, WRITE)
    conversation.wait(0.25 + 0.2 + 2.9)
    assert conversation.ask(0, 6) is None
    conversation.wait(0.2)
    assert conversation.slots()[0, 0][0] == "1.1.0"


def test_time_scale(talk):
    conversation = talk(time_scale=100, swap_ms=10000, crash_ms=1000)
    conversation.upload(NEW)
    conversation.test(Image(NEW).hash)
    conversation.ask(0, 5, {}, WRITE)
    conversation.wait(0.1)
    assert conversation.ask(0, 6) is None
    conversation.wait(0.006)
    assert conversation.slots()[0, 0][0] == "1.1.0"
    conversation.wait(0.2)
    assert conversation.slots()[0, 0][0] == "1.0.0"


def test_erase_time_blocks_everything(talk, tmp_path):
    path = tmp_path / "old.bin"
    path.write_bytes(make_image("0.5.0", 9000))
    conversation = talk(erase_ms=100, slot1=str(path), sector_size=4096)
    first = next(chunks(NEW))
    assert conversation.raw(conversation.message(1, 1, first, WRITE)) == []
    assert conversation.raw(request(0, 6, sequence=9)) == []
    # Three sectors of the image, one of the trailer.
    assert conversation.wait(0.399) == []
    answers = conversation.wait(0.002)
    assert [answer[6] for answer in answers] == [1, 9]
    assert conversation.device.stats["sectors_erased"] == 4


def test_an_empty_slot_is_not_erased(talk):
    assert talk(erase_ms=100).ask(1, 1, next(chunks(NEW)), WRITE) == {"off": 256}


def test_explicit_erase_time(talk):
    conversation = talk(erase_ms=10, slot_size="40K", image_size=1000)
    assert conversation.ask(1, 5, {}, WRITE, patience=0.09) is None


def test_write_rate(talk):
    conversation = talk(write_rate=2560)
    assert conversation.ask(1, 1, next(chunks(NEW)), WRITE, patience=0.09) is None
    assert len(conversation.wait(0.02)) == 1


@pytest.mark.parametrize("session", ["keep", "lose"])
def test_vanishes_in_an_upload(talk, session):
    conversation = talk(vanish_at=1000, vanish_ms=500, vanish_session=session)
    payloads = list(chunks(NEW))
    assert conversation.upload(NEW, patience=0.1) is None
    assert conversation.device.session is None if session == "lose" else conversation.device.session.off == 1024
    assert conversation.ask(0, 6) is None
    conversation.wait(0.5)
    assert conversation.ask(1, 1, payloads[0], WRITE) == {"off": 1024 if session == "keep" else 256}
    assert [name for name in conversation.names() if name != "upload-lost"][:3] == ["upload-start", "vanish", "back"]
    conversation.upload(NEW)
    assert conversation.names().count("vanish") == 1


def test_vanishes_twice(talk):
    conversation = talk(vanish_at=1000, vanish_ms=500, vanish_times=2, vanish_session="lose")
    for _ in range(2):
        assert conversation.upload(NEW, patience=0.1) is None
        conversation.wait(1)
    assert conversation.upload(NEW)["off"] == len(NEW)


def test_port_goes_away(talk):
    conversation = talk(vanish_unplugs=True, reset_unplugs=True)
    device = conversation.device
    device.vanish(conversation.now, 100)
    assert not device.port_present
    conversation.wait(0.2)
    assert device.port_present
    conversation.ask(0, 5, {}, WRITE)
    conversation.wait(0.3)
    assert device.phase == "booting" and not device.port_present
    conversation.wait(1)
    assert device.port_present
    device.unplugged = True
    assert not device.port_present


def test_sending_keeps_the_device_busy(talk):
    conversation = talk()
    conversation.device.transmit_time = lambda size: 0.1
    conversation.device.refresh()
    assert conversation.ask(0, 6)
    assert conversation.ask(0, 6) is None
    conversation.sequence -= 1
    assert len(conversation.wait(0.1)) == 1


def test_late_call_does_not_slow_the_device(talk):
    """Several durations lie in the past: each starts where the one before ended, not now."""
    conversation = talk(process_ms=10)
    for sequence in range(3):
        conversation.raw(request(0, 0, {"d": "x"}, sequence=sequence))
    conversation.now += 5
    times = [when for when, _, _ in conversation.device.run(conversation.now)]
    assert times == pytest.approx([1000.01, 1000.02, 1000.03])
