# SPDX-License-Identifier: Apache-2.0
"""Who has a terminal open, by inotify.

A pseudo terminal differs from a serial port in two ways that programs notice: what nobody read waits for the next
program, and TIOCEXCL outlives the program that set it. Knowing when the last program closed it, both can be undone.
"""
import ctypes
import os
import struct

IN_OPEN, IN_CLOSE, IN_IGNORED = 0x20, 0x08 | 0x10, 0x8000
EVENT = struct.Struct("iIII")


class Openings:
    def __init__(self, reactor):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watches = {}  # watch -> [number of programs, function to call when the last one has closed]
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        reactor.add(self._fd, self.look)

    def watch(self, path, on_last_close):
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(path), IN_OPEN | IN_CLOSE)
        if number < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", path)
        self._watches[number] = [0, on_last_close]
        return number

    def forget(self, watch):
        if self._watches.pop(watch, None):
            self._libc.inotify_rm_watch(self._fd, watch)

    def count(self, watch):
        """How many programs have it open at this moment."""
        self.look()
        return self._watches[watch][0]

    def look(self):
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        position = 0
        while position < len(data):
            number, mask, _, length = EVENT.unpack_from(data, position)
            position += EVENT.size + length
            entry = self._watches.get(number)
            if entry is None:
                continue
            if mask & IN_OPEN:
                entry[0] += 1
            elif mask & IN_CLOSE and entry[0] > 0:
                entry[0] -= 1
                if entry[0] == 0:
                    entry[1]()
