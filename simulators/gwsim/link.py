# SPDX-License-Identifier: Apache-2.0
"""What lies between the computer and a device: speed, delay, connection intervals, loss.

Times are computed from the moment at which a message was given to the link, not from when this process got round to it:
a late wake-up shifts one message, it does not slow the link down.
"""
import random

UP, DOWN = 0, 1  # to the device, from the device


class Link:
    def __init__(self, options, index):
        self.options = options
        self.random = random.Random(options.seed * 1000003 + index)
        self.bytes = [0, 0]
        self.messages = [0, 0]
        self.lost = [0, 0]
        self._free = [0.0, 0.0]
        self._packet = [0, 0]

    @property
    def plain(self):
        """Nothing to simulate: a message arrives when it is sent."""
        options = self.options
        return not (options.baud or options.rate or options.latency_ms or options.interval_ms or options.loss
                    or options.duplicate or options.reorder or options.garbage)

    def bytes_per_second(self):
        """What the link carries each way at most; 0: no limit."""
        options = self.options
        limits = [limit for limit in (options.baud / 10, options.rate) if limit]
        if options.interval_ms:
            limits.append(options.link_payload * options.link_packets * 1000 / options.interval_ms)
        return min(limits) if limits else 0

    def carry(self, direction, when, size):
        """The times at which a message of `size` bytes arrives: none when it is lost, two when it is duplicated."""
        options, chance = self.options, self.random.random
        arrival = self._through(direction, when, size) + options.latency_ms / 1000
        self.bytes[direction] += size
        self.messages[direction] += 1
        if options.loss and chance() < options.loss:
            self.lost[direction] += 1
            return []
        if options.reorder and chance() < options.reorder:
            arrival += options.reorder_ms / 1000
        if options.duplicate and chance() < options.duplicate:
            return [arrival, arrival + 0.0005]
        return [arrival]

    def _through(self, direction, when, size):
        """When the last byte is on the other side, without the delay."""
        options = self.options
        rate = min(filter(None, (options.baud / 10, options.rate)), default=0)
        if rate:
            when = self._free[direction] = max(when, self._free[direction]) + size / rate
        if options.interval_ms:
            interval, per_event = options.interval_ms / 1000, max(options.link_packets, 1)
            first = (int(when / interval) + 1) * per_event
            last = max(first, self._packet[direction]) - 1 + -(-size // max(options.link_payload, 1))
            self._packet[direction] = last + 1
            when = last // per_event * interval
        return when

    def stats(self):
        return {"bytes_per_second": self.bytes_per_second(), "bytes_up": self.bytes[UP], "bytes_down": self.bytes[DOWN],
                "messages_up": self.messages[UP], "messages_down": self.messages[DOWN], "lost_up": self.lost[UP],
                "lost_down": self.lost[DOWN]}
