# SPDX-License-Identifier: Apache-2.0
"""What a link carries at most: an upload by a client that never waits, in simulated time.

The client here sends the next chunk the moment an answer arrives, keeps exactly `window` chunks on the way and thinks
no time at all. A real client is measured against it. Nothing sleeps: an hour of upload takes a second.
"""
import heapq
import itertools
import struct

import cbor2

from . import framing
from .image import make_image
from .link import DOWN, UP, Link
from .smp_device import SmpDevice

HEADER = struct.Struct(">BBHHBB")


class SerialLine:
    """The two directions of a serial line as SerialPort has them."""

    def __init__(self, options):
        self.options = options
        self._free = [0.0, 0.0]

    def carry(self, direction, when, size):
        wire = framing.encoded_size(size)
        start = max(when, self._free[direction])
        self._free[direction] = start + (wire * 10 / self.options.baud if self.options.baud else 0.0)
        return [self._free[direction] + self.options.latency_ms / 1000]


def _width(number):
    """Bytes of a CBOR head."""
    return 1 if number < 24 else 2 if number < 256 else 3 if number < 65536 else 5


def largest_chunk(message_size, off):
    """Bytes of data that fit into a continuation message of this size (header included)."""
    room = message_size - 8 - 1 - 4 - _width(off) - 5
    return max(size for size in (room - 1, room - 2, room - 3, room - 5) if size + _width(size) <= room)


def _request(off, data, length):
    first = {"off": 0, "len": length, "sha": bytes(32)} if off == 0 else {"off": off}
    body = cbor2.dumps({**first, "data": data})
    return HEADER.pack(10, 0, len(body), 1, off & 255, 1) + body


class IdealUpload:
    def __init__(self, options, image, message_size, window, serial):
        options.update({"loss": 0, "duplicate": 0, "reorder": 0, "image-check": False})
        self.device = SmpDevice(0, options)
        self.link = SerialLine(options) if serial else Link(options, 0)
        if serial:
            self.device.framing_overhead = 4
            self.device.transmit_time = (lambda size: framing.encoded_size(size) * 10 / options.baud) \
                if options.baud else None
        self.device.refresh()
        self.image, self.message_size, self.window = image, message_size, window
        self.sent = self.acknowledged = self.in_flight = 0
        self.finished_at = None
        self._events, self._order = [], itertools.count()

    def _at(self, when, function, *arguments):
        heapq.heappush(self._events, (when, next(self._order), function, arguments))

    def run(self):
        """Seconds from the answer to the first chunk to the last answer, and the bytes carried in them."""
        self._send(0.0, self.image[:max(self.message_size - 70, 32)])
        while self._events and self.finished_at is None:
            when, _, function, arguments = heapq.heappop(self._events)
            function(when, *arguments)
        if self.finished_at is None:
            raise RuntimeError("the upload came to a halt: message or window too large for the device")
        return self.finished_at - self.started_at, len(self.image) - self.first_size

    def _send(self, when, data):
        message = _request(self.sent, data, len(self.image))
        self.sent += len(data)
        self.in_flight += 1
        for arrival in self.link.carry(UP, when, len(message)):
            self._at(arrival, self._at_device, message)

    def _at_device(self, when, message):
        self._answers(self.device.receive(when, message))

    def _device_wakes(self, when):
        self._answers(self.device.run(when))

    def _answers(self, answers):
        for when, _, answer in answers:
            for arrival in self.link.carry(DOWN, when, len(answer)):
                self._at(arrival, self._answered, answer)
        if self.device.wake() is not None:
            self._at(self.device.wake(), self._device_wakes)

    def _answered(self, when, answer):
        off = cbor2.loads(answer[8:]).get("off")
        if off is None:
            return
        if self.acknowledged == 0:
            self.started_at, self.first_size = when, off
        self.acknowledged = off
        self.in_flight -= 1
        if off == len(self.image):
            self.finished_at = when
        while self.in_flight < self.window and self.sent < len(self.image):
            chunk = largest_chunk(self.message_size, self.sent)
            self._send(when, self.image[self.sent:self.sent + chunk])


def limit(options, size=200 * 1024, message_size=0, window=1, serial=False):
    """{'seconds', 'bytes', 'bytes_per_second'} of the upload of an image, its first chunk not counted."""
    largest = options.buf_size - 4 if serial else min(options.buf_size, options.mtu or options.buf_size)
    upload = IdealUpload(options, make_image("1.1.0", size), message_size or largest, window, serial)
    seconds, carried = upload.run()
    return {"seconds": round(seconds, 6), "bytes": carried,
            "bytes_per_second": round(carried / seconds, 1) if seconds > 0 else 0}
