# SPDX-License-Identifier: Apache-2.0
"""The Bluetooth LE port without Bluetooth: pieces, and when the device is on the air. tests/vm runs it over the real BlueZ."""
import heapq

import cbor2
import pytest
from gwsim.ble_port import Assembly, BlePort
from gwsim.image import make_image
from gwsim.options import Options
from gwsim.smp_device import SmpDevice
from smp_talk import WRITE, chunks, request

NEW = make_image("1.1.0", 5000)


class Clock:
    """A reactor whose time stands still unless told."""

    def __init__(self):
        self.time = 1000.0
        self.timers = []

    def now(self):
        return self.time

    def at(self, when, function, *arguments):
        entry = [when, len(self.timers), function, arguments]
        heapq.heappush(self.timers, entry)
        return entry

    @staticmethod
    def cancel(entry):
        entry[2] = None

    def wait(self, seconds):
        end = self.time + seconds
        while self.timers and self.timers[0][0] <= end:
            self.time, _, function, arguments = heapq.heappop(self.timers)
            if function:
                function(*arguments)
        self.time = end


class FakePeripheral:
    def __init__(self, adapter, mtu=247):
        self.adapter = adapter
        self.on_datagram = self.on_link = None
        self.battery = None
        self.connected = False
        self.refresh_ms = None
        self.max_notification = mtu - 5
        self.channel = self
        self.advertised = None
        self.notifications = []

    def show(self, name):
        self.advertised = name

    def hide(self):
        self.advertised = None

    def address(self):
        return "00:00:00:00:00:0" + self.adapter[-1]

    def send(self, data):
        self.notifications.append(data)


class FakeBattery:
    def tell(self, percent):
        self.percent = percent


class Air:
    """A device on one or several fake peripherals."""

    def __init__(self, adapters=1, mtu=247, **options):
        self.events = []
        self.clock = Clock()
        self.device = SmpDevice(3, Options(**options), lambda device, kind, facts: self.events.append(kind), self.clock.now())
        self.peripherals = [FakePeripheral(f"hci{number + 1}", mtu) for number in range(adapters)]
        self.port = BlePort(self.clock, self.device, self.peripherals)

    def write(self, message, size=244):
        for start in range(0, len(message), size):
            self.port.peripheral.on_datagram(message[start:start + size])

    def taken(self):
        pieces, self.port.peripheral.notifications = self.port.peripheral.notifications, []
        return pieces

    def ask(self, *arguments, size=244):
        self.write(request(*arguments), size)
        answer = b"".join(self.taken())
        return cbor2.loads(answer[8:]) if answer else None

    def on_air(self):
        return [peripheral.advertised for peripheral in self.peripherals]


MESSAGE = request(1, 1, {"off": 0, "data": bytes(300)}, WRITE)


@pytest.mark.parametrize("pieces, expected", [
    pytest.param([MESSAGE], [MESSAGE], id="in one piece"),
    pytest.param([MESSAGE[:20], MESSAGE[20:300], MESSAGE[300:]], [MESSAGE], id="in three"),
    pytest.param([MESSAGE[:8], MESSAGE[8:], MESSAGE], [MESSAGE, MESSAGE], id="two messages, the first with its header alone"),
    pytest.param([MESSAGE[:7], MESSAGE], [MESSAGE], id="a first piece without the whole header is dropped"),
    pytest.param([MESSAGE[:100], MESSAGE, MESSAGE], [MESSAGE], id="half a message eats the beginning of the next one"),
    pytest.param([MESSAGE[:100], MESSAGE[100:] + b"x", MESSAGE], [MESSAGE], id="a piece that is too long costs its message"),
    pytest.param([request(1, 1, {"data": bytes(1000)}, WRITE)[:200], MESSAGE], [MESSAGE], id="a message over the limit is dropped at its first piece"),
])
def test_assembly(pieces, expected):
    assembly = Assembly()
    assert [message for message in (assembly.add(piece, 512) for piece in pieces) if message] == expected


def test_answers_come_in_pieces_below_the_mtu():
    air = Air(mtu=105)
    air.write(request(1, 0))
    pieces = air.taken()
    assert len(pieces) > 1 and {len(piece) for piece in pieces[:-1]} == {100}
    assert len(cbor2.loads(b"".join(pieces)[8:])["images"]) == 1


def test_a_smaller_piece_where_it_is_asked_for():
    air = Air(max_notification=20)
    air.write(request(1, 0))
    assert max(len(piece) for piece in air.taken()) == 20


def test_upload_at_mtu_23():
    air = Air(mtu=23)
    for payload in chunks(NEW):
        answer = air.ask(1, 1, payload, WRITE, size=20)
    assert answer == {"off": len(NEW), "match": True}


def test_a_link_that_ends_forgets_half_a_message():
    air = Air()
    air.write(MESSAGE[:100])
    air.port.peripheral.on_link(False)
    assert air.ask(0, 0, {"d": "hello"}, WRITE) == {"r": "hello"}
    assert air.events == ["link-down"]


def test_a_reset_takes_it_off_the_air():
    air = Air(reset_ms=250, boot_ms=400)
    assert air.on_air() == ["sim-03"]
    assert air.ask(0, 5, {}, WRITE) == {}
    air.clock.wait(0.3)
    assert air.on_air() == [None]
    assert air.ask(0, 0, {"d": "hello"}, WRITE) is None
    air.clock.wait(0.4)
    assert air.on_air() == ["sim-03"]


def test_comes_back_under_another_address_and_name():
    air = Air(adapters=2, adv_name="old-{}", adv_name_after="new-{}")
    assert air.on_air() == ["old-3", None]
    air.ask(0, 5, {}, WRITE)
    air.clock.wait(5)
    assert air.on_air() == [None, "new-3"]
    assert air.port.address() == {"transport": "ble", "adapter": "hci2", "address": "00:00:00:00:00:02", "name": "new-3"}
    assert air.ask(0, 0, {"d": "hello"}, WRITE) == {"r": "hello"}


def test_is_not_found_again_before_its_link_is_gone():
    air = Air(adapters=2, adv_name="one")
    air.peripherals[0].connected = True
    air.ask(0, 5, {}, WRITE)
    air.clock.wait(5)
    assert air.on_air() == [None, None]
    air.peripherals[0].connected = False
    air.peripherals[0].on_link(False)
    assert air.on_air() == [None, "one"]


@pytest.mark.parametrize("unplugs", [False, True])
def test_silence_keeps_the_link_and_a_drop_does_not(unplugs):
    air = Air(vanish_at=1000, vanish_ms=500, vanish_unplugs=unplugs)
    answers = [air.ask(1, 1, payload, WRITE) for payload in chunks(NEW)]
    assert answers[3] is None and answers[4] is None
    assert air.on_air() == [None if unplugs else "sim-03"]
    air.clock.wait(1)
    assert air.on_air() == ["sim-03"]
    assert air.ask(1, 1, next(chunks(NEW)), WRITE) == {"off": 1024}


def test_one_answer_is_lost():
    air = Air(lose_answer_at=1000)
    answers = [air.ask(1, 1, payload, WRITE) for payload in chunks(NEW)]
    assert [number for number, answer in enumerate(answers) if answer is None] == [3]
    assert air.events.count("answer-lost") == 1 and "upload-complete" in air.events


def test_pieces_get_lost_both_ways():
    air = Air(loss=0.2, seed=5)
    for _ in range(50):
        air.write(request(0, 0, {"d": "x" * 400}, WRITE))
        air.clock.wait(0.1)
    assert 0 < sum(air.port.link.lost) and all(air.port.link.lost)


def test_battery_can_be_changed():
    air = Air(battery=40, adv_refresh_ms=0)
    air.port.peripheral.battery = FakeBattery()
    air.device.options.update({"battery": 15})
    air.port.options_changed()
    assert air.port.peripheral.battery.percent == 15 and air.port.peripheral.refresh_ms == 0
