# SPDX-License-Identifier: Apache-2.0
"""A small event loop: descriptors and timers.

asyncio costs several times more for each datagram, and its timers are a millisecond late because epoll's timeout counts
milliseconds; at 1 M baud a millisecond is a hundred bytes. This one waits on a timerfd. The simulator shares its
processors with the program under test, so both matter.
"""
import ctypes
import heapq
import itertools
import os
import select
import signal
import time

CLOCK_MONOTONIC, TFD_FLAGS, TFD_TIMER_ABSTIME = 1, os.O_NONBLOCK | os.O_CLOEXEC, 1


class _Itimerspec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns")]


class Reactor:
    now = staticmethod(time.monotonic)

    def __init__(self):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._epoll = select.epoll()
        self._handlers = {}
        self._timers = []
        self._order = itertools.count()
        self._armed = None
        self._running = True  # from the beginning: a signal may come before run()
        self._specification = _Itimerspec()
        self._timer_fd = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_FLAGS)
        if self._timer_fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        # Edge triggered: setting it anew is enough, nobody needs to read it.
        self._epoll.register(self._timer_fd, select.EPOLLIN | select.EPOLLET)
        self._handlers[self._timer_fd] = lambda: None

    def add(self, fd, handler):
        self._handlers[fd] = handler
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd):
        if self._handlers.pop(fd, None):
            self._epoll.unregister(fd)

    def at(self, when, function, *arguments):
        entry = [when, next(self._order), function, arguments]
        heapq.heappush(self._timers, entry)
        return entry

    @staticmethod
    def cancel(entry):
        entry[2] = None

    def stop(self):
        self._running = False

    def stop_on_signals(self, *numbers):
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        self.add(reader, lambda: os.read(reader, 64))
        for number in numbers:
            signal.signal(number, lambda *_: self.stop())

    def run(self):
        while self._running:
            self._turn(self._timeout())

    def _turn(self, timeout):
        handlers, timers = self._handlers, self._timers
        for fd, _ in self._epoll.poll(timeout):
            handler = handlers.get(fd)
            if handler:
                handler()
        now = time.monotonic()
        while timers and timers[0][0] <= now:
            _, _, function, arguments = heapq.heappop(timers)
            if function:
                function(*arguments)

    def _timeout(self):
        timers = self._timers
        while timers and timers[0][2] is None:
            heapq.heappop(timers)
        if not timers:
            return -1
        when = timers[0][0]
        if when <= time.monotonic():
            return 0
        if when != self._armed:
            self._armed = when
            seconds = int(when)
            self._specification.value_s = seconds
            self._specification.value_ns = int((when - seconds) * 1e9) + 1
            self._libc.timerfd_settime(self._timer_fd, TFD_TIMER_ABSTIME, ctypes.byref(self._specification), None)
        return -1
