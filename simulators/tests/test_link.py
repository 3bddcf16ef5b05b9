# SPDX-License-Identifier: Apache-2.0
"""Links in simulated time, the framing of the serial console, and the limit of a link."""
import pytest
from gwsim import framing
from gwsim.ideal import largest_chunk, limit
from gwsim.link import DOWN, UP, Link
from gwsim.options import Options
from smp_talk import request


def link(index=0, **options):
    return Link(Options(**options), index)


def test_plain():
    assert link().plain and link().carry(UP, 5.0, 1000) == [5.0]
    for options in ({"rate": 1}, {"baud": 1}, {"latency_ms": 1}, {"interval_ms": 1}, {"loss": 0.1}, {"duplicate": 0.1},
                    {"reorder": 0.1}, {"garbage": 0.1}):
        assert not link(**options).plain


def test_rate_and_latency():
    slow = link(rate=1000, latency_ms=50)
    assert slow.carry(UP, 10.0, 100) == pytest.approx([10.15])
    assert slow.carry(UP, 10.0, 100) == pytest.approx([10.25]), "the second waits for the first"
    assert slow.carry(DOWN, 10.0, 100) == pytest.approx([10.15]), "the other way is another way"
    assert slow.carry(UP, 20.0, 100) == pytest.approx([20.15])
    assert slow.stats()["bytes_up"] == 300 and slow.bytes_per_second() == 1000


def test_baud_counts_ten_bits():
    assert link(baud=1000).carry(UP, 0.0, 100) == pytest.approx([1.0])
    assert link(baud=1000).bytes_per_second() == 100


def test_connection_interval():
    radio = link(interval_ms=100, link_payload=100, link_packets=2)
    assert radio.bytes_per_second() == 2000
    # Two packets an interval: the first three messages of one packet each need two intervals.
    assert [radio.carry(UP, 0.01, 80)[0] for _ in range(3)] == pytest.approx([0.1, 0.1, 0.2])
    assert radio.carry(UP, 0.01, 250) == pytest.approx([0.3]), "three packets: one rides with the one before"
    assert radio.carry(UP, 1.0, 200) == pytest.approx([1.1])


def test_loss_and_seed():
    def lost(seed, index=0):
        lossy = link(index, loss=0.3, seed=seed)
        return [not lossy.carry(UP, 0.0, 10) for _ in range(1000)]
    assert 250 < sum(lost(1)) < 350
    assert lost(1) == lost(1) and lost(1) != lost(2) and lost(1) != lost(1, index=1)


def test_duplicates_and_overtaking():
    assert len(link(duplicate=1).carry(UP, 0.0, 10)) == 2
    late = link(reorder=1, reorder_ms=50)
    assert late.carry(UP, 0.0, 10) == pytest.approx([0.05])


# --- framing ----------------------------------------------------------------------------------------------------------

def test_worked_serial_frames():
    read_state = bytes.fromhex("0800000100010700a0")
    assert framing.encode_lines(read_state) == [b"\x06\x09AAsIAAABAAEHAKAqkQ==\n"]
    assert framing.encode_lines(b"Hello, world!") == [b"\x06\x09AA9IZWxsbywgd29ybGQhet4=\n"]
    lines = framing.encode_lines(bytes.fromhex("0a0000c000010901") + bytes(range(192)))
    assert [len(line) for line in lines] == [127, 127, 27] and lines[2][2:] == b"sLGys7S1tre4ubq7vL2+v+Uq\n"
    assert framing.crc16(b"123456789") == 0x31C3


@pytest.mark.parametrize("size", [1, 80, 89, 90, 91, 92, 200, 2044])
def test_frames_come_back(size):
    message = bytes(n & 255 for n in range(size))
    wire = b"".join(framing.encode_lines(message))
    assert len(wire) == framing.encoded_size(size)
    assert framing.Decoder(4096).feed(wire) == [(message, len(wire))]
    decoder, found = framing.Decoder(4096), []
    for n in range(len(wire)):
        found += decoder.feed(wire[n:n + 1])
    assert found == [(message, 1)]
    if size == 2044:
        assert len(wire) == 2801


def test_noise_between_lines_and_damage():
    message = bytes(range(150))
    first, second = framing.encode_lines(message)
    log = b"[00:00:01.000] <inf> app: hello\r\n"
    decoder = framing.Decoder(4096)
    assert [found for found, _ in decoder.feed(log + first + log + b"\r\n" + second.replace(b"\n", b"\r\n") + log)] == [message]
    assert decoder.noise == 3
    for damaged in (second, first[:-1] + b"A" * 60 + b"\n" + second, first[:20] + b"!" + first[21:] + second,
                    first[:20] + b"AAAA" + first[24:] + second, b"x" * 300 + first + second):
        decoder = framing.Decoder(4096)
        assert decoder.feed(damaged) == [] and decoder.damaged + decoder.noise >= 1
    assert framing.Decoder(100).feed(first + second) == [], "longer than the buffer"
    # A new beginning throws a half packet away.
    assert [found for found, _ in framing.Decoder(4096).feed(first + first + second)] == [message]


# --- limit of a link ----------------------------------------------------------------------------------------------------

def test_chunk_sizes():
    """The table of the protocol document."""
    expected = {128: (106, 105, 103), 244: (222, 221, 219), 384: (361, 360, 358), 1020: (997, 996, 994)}
    for budget, sizes in expected.items():
        assert tuple(largest_chunk(budget, off) for off in (200, 60000, 70000)) == sizes
        assert len(request(1, 1, {"off": 70000, "data": bytes(sizes[2])})) == budget


def test_limit_of_a_serial_line():
    full = limit(Options(baud=115200, buf_size=2048), window=3, serial=True)
    assert full["bytes_per_second"] == pytest.approx(8301, rel=0.001), "the line is never empty"
    assert limit(Options(baud=115200), window=1, serial=True)["bytes_per_second"] < full["bytes_per_second"]


def test_limit_grows_with_the_window():
    rates = [limit(Options(latency_ms=25, buf_count=8), window=window)["bytes_per_second"] for window in (1, 2, 4)]
    assert rates[0] == pytest.approx(1472 / 0.05, rel=0.03)
    assert rates[1] == pytest.approx(2 * rates[0], rel=0.03) and rates[2] == pytest.approx(4 * rates[0], rel=0.03)


def test_limit_never_exceeds_the_link():
    options = Options(interval_ms=15, link_payload=244, link_packets=4, buf_size=1000, buf_count=8)
    capacity = Link(options, 0).bytes_per_second()
    # A message of 1000 bytes needs five packets, the last one nearly empty.
    assert 0.75 * capacity < limit(options, window=7)["bytes_per_second"] < capacity


def test_window_that_overruns_the_device_is_an_error():
    with pytest.raises(RuntimeError):
        limit(Options(process_ms=10, buf_count=2, overrun="drop"), window=8)
