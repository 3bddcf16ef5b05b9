# SPDX-License-Identifier: Apache-2.0
"""Headers, errors, versions, buffers, and the commands of the small groups."""
import random

import cbor2
import pytest
from gwsim.image import make_image
from smp_talk import HEADER, WRITE, chunks, request

IMAGE = make_image("1.1.0", 2000)


def test_worked_frames(talk):
    conversation = talk(definite=True, buf_size=2475)
    assert conversation.raw(bytes.fromhex("0800000100002a06a0")) == [
        bytes.fromhex("0900001800002a06a2686275665f73697a651909ab696275665f636f756e7404")]
    assert conversation.raw(bytes.fromhex("0a00000900000100a161646568656c6c6f")) == [
        bytes.fromhex("0b00000900000100a161726568656c6c6f")]
    memfault = talk(serial="DEMO01", hardware_version="dk")
    assert memfault.raw(bytes.fromhex("080000010080010" + "0a0")) == [bytes.fromhex(
        "0900005300800100bf6d6465766963655f73657269616c6644454d4f303170686172647761726"
        "55f76657273696f6e62646b6d736f6674776172655f74797065636170706f63757272656e745f76657273696f6e65312e302e30ff")]


def test_answers_are_indefinite_unless_told(talk):
    assert talk().raw(request(0, 6))[0][8] == 0xBF
    assert talk(definite=True).raw(request(0, 6))[0][8] == 0xA2


def test_header_faults(talk):
    conversation = talk()
    assert conversation.raw(b"") == [] and conversation.raw(b"\x08\0\0\1\0\0\1") == []
    conversation.sequence = 1
    assert conversation.decode(conversation.raw(request(0, 6)[:-1])[0]) == {"rc": 9}
    assert conversation.decode(conversation.raw(HEADER.pack(8, 0, 1, 0, 1, 6) + b"\xff")[0]) == {"rc": 3}
    # An operation that is neither read nor write, for a command that exists, and for one that does not.
    assert conversation.decode(conversation.raw(request(0, 0, operation=5))[0]) == {"rc": 3}
    assert conversation.decode(conversation.raw(request(0, 99, operation=5))[0]) == {"rc": 8}
    # A known command without this operation.
    assert conversation.decode(conversation.raw(request(0, 5))[0]) == {"rc": 8}


def test_payload_may_be_missing(talk):
    assert talk().raw(HEADER.pack(8, 0, 0, 0, 1, 6))[0][8:] == talk().raw(request(0, 6))[0][8:]


def test_error_ends_a_packet_of_several(talk):
    echo = request(0, 0, {"d": "x"})
    assert len(talk().raw(echo + echo)) == 2
    assert len(talk().raw(echo + request(77, 0) + echo)) == 2


@pytest.mark.parametrize("smp, v1, v2", [
    ("both", (0, "off"), (1, "off")), ("v1-headers", (0, "off"), (0, "off")), ("v1-rc13", (0, "off"), (0, 13)),
    ("v1-silent", (0, "off"), None), ("v2-only", (0, 12), (1, "off"))])
def test_smp_versions(talk, smp, v1, v2):
    for version, expected in ((0, v1), (1, v2)):
        conversation = talk(smp=smp)
        conversation.version = version
        answer = conversation.upload(IMAGE)
        if expected is None:
            assert answer is None
        else:
            assert (conversation.answer_version, answer.get("rc", "off")) == expected


def test_version_from_the_future(talk):
    conversation = talk()
    conversation.version = 2
    assert conversation.ask(0, 6) == {"rc": 13}


@pytest.mark.parametrize("version, expected", [(0, {"rc": 1}), (1, {"err": {"group": 1, "rc": 23}})])
def test_group_errors_are_translated_for_v1(talk, version, expected):
    conversation = talk()
    conversation.version = version
    assert conversation.upload(b"not an image" * 10) == expected
    conversation.now += 1
    busy = {"rc": 6} if version == 0 else {"err": {"group": 1, "rc": 9}}
    assert conversation.ask(1, 5, {"slot": 0}, WRITE) == busy


def test_legacy_rc(talk):
    assert talk(legacy_rc=True).ask(0, 6)["rc"] == 0
    assert "rc" not in talk().ask(0, 6)


def test_reason(talk):
    conversation = talk(reason=True)
    conversation.version = 0
    assert conversation.upload(b"no" * 50) == {"rc": 1, "rsn": "magic mismatch"}


def test_buffers_overrun(talk):
    """Four at once with four buffers: the first finds none for its answer."""
    messages = [(request(0, 0, {"d": str(n)}, sequence=n), n) for n in range(5)]
    def ask(**options):
        conversation = talk(**options)
        out = conversation.device.receive_burst(conversation.now, messages)
        return [(peer, cbor2.loads(answer[8:])) for _, peer, answer in out], conversation
    answers, conversation = ask(buf_count=4)
    assert answers == [(0, {"rc": 2}), (1, {"r": "1"}), (2, {"r": "2"}), (3, {"r": "3"})]
    assert conversation.device.stats["overruns"] == 2  # the fifth was dropped
    answers, _ = ask(buf_count=4, overrun="drop")
    assert [peer for peer, _ in answers] == [1, 2, 3]
    answers, _ = ask(buf_count=6)
    assert [peer for peer, _ in answers] == [0, 1, 2, 3, 4]
    answers, _ = ask(buf_count=2)
    assert answers == [(0, {"rc": 2}), (1, {"r": "1"})]


def test_window_of_buffers_minus_one_is_served(talk):
    """While one request is worked on, buf_count - 1 in flight never overrun."""
    conversation = talk(buf_count=4, process_ms=10)
    for sequence in range(3):
        assert conversation.raw(request(0, 0, {"d": "x"}, sequence=sequence)) == []
    assert conversation.raw(request(0, 0, {"d": "x"}, sequence=3)) == []
    assert conversation.device.stats["overruns"] == 1
    assert [answer[6] for answer in conversation.wait(1)] == [0, 1, 2]


def test_fewer_buffers_than_told(talk):
    """A window of buf_count - 1 that the device cannot stand: what a client must narrow its window for."""
    conversation = talk(buf_count=4, real_buffers=2, dispatch_ms=1)
    for sequence in range(3):
        conversation.raw(request(0, 0, {"d": "x"}, sequence=sequence))
    answers = conversation.wait(0.002)
    assert [(answer[6], cbor2.loads(answer[8:])) for answer in answers] == [(0, {"rc": 2}), (1, {"r": "x"})]
    assert conversation.ask(0, 6, patience=1)["buf_count"] == 4


def test_one_buffer_drops_while_busy(talk):
    conversation = talk(buf_count=1, process_ms=10)
    assert conversation.raw(request(0, 6, sequence=1)) == [] and conversation.raw(request(0, 6, sequence=2)) == []
    assert [answer[6] for answer in conversation.wait(1)] == [1]


def test_process_time(talk):
    conversation = talk(process_ms=10)
    assert conversation.ask(0, 6, patience=0.009) is None
    conversation.sequence -= 1
    assert conversation.wait(0.002)


def test_answer_that_does_not_fit(talk):
    assert talk(images=2, buf_size=128).ask(1, 0) == {"rc": 2}
    assert talk(list_rc2=True).ask(1, 0) == {"rc": 2}


def test_long_messages(talk):
    long, short = {"d": "x" * 300}, {"d": "x"}
    conversation = talk(max_frame=256)
    assert conversation.ask(0, 0, long) is None and conversation.ask(0, 0, short) == {"r": "x"}
    conversation = talk(max_frame=256, big_frame="rc9")
    assert conversation.ask(0, 0, long) == {"rc": 9}
    conversation = talk(max_frame=256, big_frame="silence")
    assert conversation.ask(0, 0, long) is None and conversation.ask(0, 0, short) is None
    assert conversation.names() == ["silent"]
    conversation.device.power_cycle(conversation.now)
    conversation.wait(1)
    assert conversation.ask(0, 0, short) == {"r": "x"}
    assert talk(buf_size=256).ask(0, 0, long) is None


@pytest.mark.parametrize("option, group, command", [
    ("no_echo", 0, 0), ("no_params", 0, 6), ("no_os_info", 0, 7), ("no_bootloader_info", 0, 8), ("no_slot_info", 1, 6),
    ("no_enumeration", 10, 0), ("no_memfault", 128, 0), ("no_image_management", 1, 0), ("only_rc8", 0, 0),
    ("only_rc8", 0, 6), ("only_rc8", 1, 0), ("no_datetime", 0, 4)])
def test_missing_commands(talk, option, group, command):
    assert talk(**{option: True}).ask(group, command) == {"rc": 8}
    assert talk().ask(group, command) != {"rc": 8}


def test_application_information(talk):
    conversation = talk(os_name="K", os_node="n", os_release="r", os_version="v", os_arch="m", os_processor="p", board="b")
    assert conversation.ask(0, 7)["output"] == "K"
    assert conversation.ask(0, 7, {"format": "a"})["output"] == "K n r v m p b K"
    assert conversation.ask(0, 7, {"format": "ivs"})["output"] == "K v b"
    assert conversation.ask(0, 7, {"format": "sz"}) == {"err": {"group": 0, "rc": 2}}


def test_bootloader_information(talk):
    conversation = talk(bootloader_name="Other", mode=9, no_downgrade=True)
    assert conversation.ask(0, 8) == {"bootloader": "Other"}
    assert conversation.ask(0, 8, {"query": "mode"}) == {"mode": 9, "no-downgrade": True}
    assert conversation.ask(0, 8, {"query": "else"}) == {"rc": 3}
    assert talk(mode=-1).ask(0, 8, {"query": "mode"}) == {"mode": -1}


def test_memfault(talk):
    conversation = talk(hardware_version="hw", software_type="st", software_version="9", serial="S{:03d}")
    assert conversation.ask(128, 0) == {"device_serial": "S000", "hardware_version": "hw", "software_type": "st",
                                        "current_version": "9"}
    assert conversation.ask(128, 1) == {"err": {"group": 128, "rc": 2}}
    assert talk(project_key="ab").ask(128, 1) == {"project_key": "ab"}


def test_enumeration(talk):
    conversation = talk()
    assert conversation.ask(10, 0) == {"count": 4}
    assert conversation.ask(10, 1) == {"groups": [0, 1, 10, 128]}
    assert conversation.ask(10, 2, {"index": 3}) == {"group": 128, "end": True}
    assert conversation.ask(10, 2, {"index": 4}) == {"err": {"group": 10, "rc": 4}}
    assert [entry["name"] for entry in conversation.ask(10, 3, {"groups": [1]})["groups"]] == ["img mgmt"]


def test_date_and_time(talk):
    conversation = talk()
    assert conversation.ask(0, 4) == {"err": {"group": 0, "rc": 4}}
    assert conversation.ask(0, 4, {"datetime": "2026-11-21T02:00:00"}, WRITE) == {}
    assert conversation.ask(0, 4) == {"datetime": "2026-11-21T02:00:00"}
    assert conversation.ask(0, 4, {"datetime": "now"}, WRITE) == {"rc": 3}


def test_reset_variants(talk):
    conversation = talk(reset_needs_force=True)
    assert conversation.reset() == {"rc": 10} and conversation.names() == []
    assert conversation.reset(force=True) == {} and conversation.names() == ["reset", "boot"]
    conversation = talk(reset_no_answer=True)
    assert conversation.reset() is None and conversation.names() == ["reset", "boot"]


def test_short_way_and_long_way_are_the_same(talk):
    """Chunks in the usual order take a short cut through the code; the other order does not."""
    answers = []
    for turned in (False, True):
        conversation = talk(image_check=False)
        said = []
        for payload in chunks(IMAGE, 100):
            items = list(payload.items())
            said += conversation.raw(conversation.message(1, 1, dict(reversed(items) if turned else items), WRITE))
        answers.append((said, conversation.device.stats["bytes_written"], conversation.device.stats["chunks"]))
    assert answers[0] == answers[1]


def test_garbage_does_no_harm(talk):
    """Whatever arrives: no exception, at most an answer that says so, and the device goes on."""
    chance = random.Random(7)
    conversation = talk(images=2, definite=True)
    good = [request(1, 1, payload, WRITE) for payload in chunks(IMAGE, 200)]
    good += [request(1, 0), request(1, 0, {"hash": bytes(32)}, WRITE), request(1, 5, {"slot": 1}, WRITE)]
    for _ in range(20000):
        message = bytearray(chance.choice(good))
        for _ in range(chance.randrange(4)):
            message[chance.randrange(len(message))] = chance.randrange(256)
        conversation.raw(bytes(message[:chance.randrange(len(message) + 1)]))
        conversation.raw(chance.randbytes(chance.randrange(64)))
    conversation.wait(100)
    assert conversation.ask(0, 0, {"d": "still here"}) == {"r": "still here"}
