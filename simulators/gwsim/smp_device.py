# SPDX-License-Identifier: Apache-2.0
"""One simulated device as a pure state machine: bytes in, bytes out, time is a parameter.

    device = SmpDevice(0, Options())
    for when, peer, answer in device.receive(now, request, peer): ...
    device.wake()        when run() wants to be called next (None: not by itself)
    device.run(now)      everything that is due until now; returns answers as receive() does

Phases: running (the application or a serial recovery answers), booting, dead (hangs until a power cycle), off.
Every request takes a message buffer, and another one for its answer; see `_start`.
"""
import struct
from collections import deque

from . import mcuboot
from .cbor import CborError, decode_map, encode, head
from .groups import COMMANDS, MISSING, RECOVERY_COMMANDS, GroupError, Groups, SmpError
from .image import Content, format_version, make_image

RUNNING, BOOTING, DEAD, OFF = "running", "booting", "dead", "off"
OP_READ, OP_WRITE = 0, 2
HEADER = struct.Struct(">BBHHBB")

# Image group errors as the same server tells them to a v1 client; everything else is 1.
IMAGE_ERROR_V1 = {3: 5, 4: 5, 9: 6, 14: 3, 15: 2, 19: 3, 20: 3, 21: 3, 22: 3, 24: 3, 25: 3, 27: 6, 28: 6}

_verifiers = {}
_files = {}


def read_file_once(path):
    if path not in _files:
        with open(path, "rb") as stream:
            _files[path] = stream.read()
    return _files[path]


def verifier_of(path):
    if not path:
        return None
    if path not in _verifiers:
        from .image import Verifier
        _verifiers[path] = Verifier(read_file_once(path))
    return _verifiers[path]


_made = {}


def made_image(version, size, seed):
    key = (version, size, seed)
    if key not in _made:
        _made[key] = Content.of(make_image(version, size, seed=seed))
    return _made[key]


class SmpDevice(Groups):
    def __init__(self, index, options, event=None, now=0.0):
        self.index = index
        self.options = options
        self.now = now
        self.serial = options.serial.format(index) if "{" in options.serial else options.serial
        self._listener = event or (lambda device, kind, facts: None)
        self.framing_overhead = 0      # bytes of a buffer that the transport's framing takes (serial: 4)
        self.transmit_time = None      # seconds that sending n bytes keeps the device busy (serial)
        self.unplugged = False
        self.phase = OFF
        self.silent = False
        self.recovering = False
        self.stats = {name: 0 for name in (
            "requests", "answers", "overruns", "dropped", "chunks", "chunks_repeated", "uploads_started",
            "uploads_completed", "bytes_written", "sectors_erased", "swaps", "reverts", "resets", "boots")}
        self._timers = {}
        self._queue = deque()
        self._job = None
        self._out = []
        self._vanished = 0
        self._lost_answer = False      # `lose-answer-at` has happened
        self._lose_answer = False      # the answer that is being made gets lost
        self._new = {}
        self._answered_reset = False
        self.session = None
        self.clock_set = None
        self._make_flash()
        self._power_on_quietly()

    # --- making -------------------------------------------------------------------------------------------------

    def _make_flash(self):
        options = self.options
        banks = []
        for number in range(options.images):
            path = options.image1 if number else options.image
            version = options.version1 if number else options.version
            content = Content.of(read_file_once(path)) if path \
                else made_image(version, options.image_size, f"image{number}")
            banks.append(mcuboot.Bank([mcuboot.Slot(options.slot_size, content),
                                       mcuboot.Slot(options.slot1_size or options.slot_size)]))
        self.bootloader = mcuboot.Bootloader(options, banks, self._boot_event, verifier_of(options.verify_key))
        self.banks = banks
        if options.slot1:
            banks[0].slots[1].store(Content.of(read_file_once(options.slot1)))
        elif options.mode == mcuboot.LOADER:
            banks[0].slots[1].store(made_image("0.1.0", 8192, "loader"))
        self._start_state(banks[0])

    def _start_state(self, bank):
        first, second = bank.slots
        if self.options.mode == mcuboot.XIP_REVERT:
            first.trailer = mcuboot.Trailer(mcuboot.GOOD, True, True)
        if self.options.start in ("test", "perm"):
            second.trailer = mcuboot.Trailer(mcuboot.GOOD, self.options.start == "perm")
        elif self.options.start == "revert":
            first.trailer = mcuboot.Trailer(mcuboot.GOOD, False, True)

    def _power_on_quietly(self):
        """The device has been running for long when the simulation starts: no boot decisions are taken."""
        self.phase = RUNNING
        self.recovering = self.options.recovery != "off"
        if self.options.mode in mcuboot.XIP_MODES:
            self.bootloader.boot()
        self.refresh()

    def snapshot(self):
        """(what to remember as JSON, {sha256 hex: bytes}) of the flash; RAM is not part of it."""
        blobs, banks = {}, []
        for bank in self.banks:
            slots = []
            for slot in bank.slots:
                data = slot.content.data if slot.content else bytes(slot.partial or b"")
                digest = Content.of(data).sha256.hex() if data else ""
                if data:
                    blobs[digest] = data
                slots.append({"sha256": digest, "complete": slot.content is not None,
                              "trailer": slot.trailer.as_dict()})
            banks.append(slots)
        return {"banks": banks, "active": self.bootloader.active}, blobs

    def restore(self, saved, read_blob):
        for bank, slots in zip(self.banks, saved["banks"]):
            for slot, was in zip(bank.slots, slots):
                data = read_blob(was["sha256"]) if was["sha256"] else b""
                slot.content = Content.of(data) if was["complete"] else None
                slot.partial = bytearray(data) if data and not was["complete"] else None
                slot.trailer = mcuboot.Trailer(**was["trailer"])
        self.bootloader.active = saved["active"][:len(self.banks)]

    # --- what others may ask ------------------------------------------------------------------------------------

    def refresh(self):
        """To be called after a change of options: whether upload chunks may take the short way."""
        options = self.options
        self.bootloader.verifier = verifier_of(options.verify_key)
        self._buffers = options.real_buffers or options.buf_count
        self._largest = (options.max_frame or options.buf_size) - self.framing_overhead
        plain = not (options.process_ms or options.dispatch_ms or options.write_rate or options.vanish_at or options.legacy_rc
                     or options.lose_answer_at or options.no_image_management or options.only_rc8 or options.definite)
        self._short_way = (plain and options.align == 1 and options.smp == "both" and self.phase == RUNNING
                           and not self.recovering and not self.silent and not self.transmit_time)

    @property
    def listening(self):
        return self.phase == RUNNING and "vanish" not in self._timers and not self.silent

    @property
    def port_present(self):
        """Whether the computer sees the port."""
        if self.unplugged or self.phase == OFF:
            return False
        if "vanish" in self._timers and self.options.vanish_unplugs:
            return False
        return not (self.options.reset_unplugs and self.phase != RUNNING)

    @property
    def running_image(self):
        return self.banks[0].slots[self.bootloader.active[0]].image

    def describe(self):
        """State for people and tests, beside SMP."""
        banks = []
        for bank in self.banks:
            banks.append([{"version": format_version(slot.image.version) if slot.image else None,
                           "hash": slot.image.hash.hex() if slot.image else None,
                           "partial": len(slot.partial) if slot.partial else 0,
                           "trailer": slot.trailer.as_dict()} for slot in bank.slots])
        return {"phase": self.phase, "recovery": self.recovering, "active": self.bootloader.active, "images": banks,
                "upload": {"off": self.session.off, "len": self.session.length} if self.session else None}

    def event(self, kind, **facts):
        self._listener(self, kind, facts)

    def seconds(self, milliseconds):
        return milliseconds / 1000.0 / self.options.time_scale

    # --- time ---------------------------------------------------------------------------------------------------

    def wake(self):
        return min(self._timers.values()) if self._timers else None

    def run(self, now):
        while self._timers:
            kind = min(self._timers, key=self._timers.get)
            when = self._timers[kind]
            if when > now:
                break
            del self._timers[kind]
            self.now = when
            getattr(self, "_on_" + kind)(when)
        self.now = max(self.now, now)
        return self._take_output()

    def _take_output(self):
        if not self._out:
            return ()
        out, self._out = self._out, []
        return out

    # --- requests -----------------------------------------------------------------------------------------------

    def receive(self, now, data, peer=None):
        """One message (datagram, or decoded frame) has arrived completely at `now`."""
        if self._short_way and self.session and not self._job and not self._timers:
            answer = self._short_chunk(data)
            if answer:
                self.now = now
                return ((now, peer, answer),)
        return self.receive_burst(now, ((data, peer),))

    def receive_burst(self, now, messages):
        """Several that arrived at once: all take their buffers before the first one is worked on."""
        out = list(self.run(now))
        for data, peer in messages:
            self._enqueue(data, peer)
        if not self._job and self._queue and "dispatch" not in self._timers:
            if self.options.dispatch_ms:
                self._timers["dispatch"] = now + self.seconds(self.options.dispatch_ms)
            else:
                self._start(now)
        out.extend(self._take_output())
        return out

    def _enqueue(self, data, peer):
        if not self.listening or len(data) < 8:
            self.stats["dropped"] += 1
            return
        self.stats["requests"] += 1
        if len(data) > self._largest:
            self._too_big(data, peer)
            return
        used = len(self._queue) + (2 if self._job else 0)
        limit = max(self._buffers, 2) if self._job else self._buffers
        if used >= limit:
            self.stats["overruns"] += 1
            return
        self._queue.append((data, peer))

    def _too_big(self, data, peer):
        if self.options.big_frame == "rc9":
            self._send(self.now, peer, self._error(HEADER.unpack_from(data), SmpError(9)))
        elif self.options.big_frame == "silence":
            self.silent = True
            self.event("silent", reason="message too long", size=len(data))
            self.refresh()
        else:
            self.stats["dropped"] += 1

    def _start(self, when):
        """Works on queued requests until one of them takes time.

        A request that waits holds a buffer. When its turn comes, its answer needs another one; if the requests behind
        it have taken all, the server says so in the request's own buffer: rc 2, without `off`.
        """
        while self._queue and not self._job and self.phase == RUNNING:
            data, peer = self._queue.popleft()
            self.now = when
            if self._buffers > 1 and len(self._queue) + 2 > self._buffers:
                self.stats["overruns"] += 1
                if self.options.overrun == "rc2":
                    self._send(when, peer, self._error(HEADER.unpack_from(data), SmpError(2)))
                continue
            self._cost = self.seconds(self.options.process_ms)
            answers = self._serve(data)
            self._job = (peer, answers)
            if self._cost > 0:
                self._timers["job"] = when + self._cost
            else:
                self._finish(when)

    def _on_dispatch(self, when):
        self._start(when)

    def _on_job(self, when):
        self._finish(when)
        self._start(when)

    def _finish(self, when):
        """The work is done: the answers go out. On a serial line that keeps the device busy."""
        peer, answers = self._job
        busy = 0.0
        for answer in answers:
            self._send(when + busy, peer, answer)
            if self.transmit_time:
                busy += self.transmit_time(len(answer))
        if self._answered_reset:
            self._answered_reset = False
            self._timers["reset"] = when + busy + self.seconds(self.options.reset_ms)
        if busy > 0:
            self._timers["sent"] = when + busy
        else:
            self._job = None

    def _on_sent(self, when):
        self._job = None
        self._start(when)

    def _send(self, when, peer, answer):
        if "vanish" in self._timers or self.phase != RUNNING or self.silent:
            return
        if self._lose_answer:
            self._lose_answer = False
            self.event("answer-lost", size=len(answer))
            return
        self.stats["answers"] += 1
        self._out.append((when, peer, answer))

    def _serve(self, data):
        """Answers to all the messages of one packet; an error that is not a group's ends it."""
        answers, position = [], 0
        while len(data) - position >= 8:
            fields = HEADER.unpack_from(data, position)
            end = position + 8 + fields[2]
            try:
                if end > len(data):
                    raise SmpError(9)
                payload = self._dispatch(fields, data[position + 8:end])
                answers.append(self._frame(fields, payload))
            except GroupError as error:
                answers.append(self._error(fields, error))
            except SmpError as error:
                silent = error.rc is None or (self.recovering and error.rc == 9)
                if not silent:
                    answers.append(self._error(fields, error))
                break
            position = end
        return answers

    def _dispatch(self, fields, payload):
        first, _, _, group, _, command = fields
        operation, version = first & 7, first >> 3 & 3
        self._check_version(version)
        names = self._handlers(group, command)
        if names is None:
            raise SmpError(8)
        if operation not in (OP_READ, OP_WRITE):
            raise SmpError(3)
        name = names[operation == OP_WRITE]
        if name is None:
            raise SmpError(8)
        try:
            arguments = decode_map(payload)
        except CborError:
            raise SmpError(3) from None
        return getattr(self, name)(arguments)

    def _check_version(self, version):
        smp = self.options.smp
        if smp == "v1-silent" and version:
            raise SmpError(None)
        if version > 1 or (smp == "v1-rc13" and version):
            raise SmpError(13)
        if smp == "v2-only" and version == 0:
            raise SmpError(12)

    def _handlers(self, group, command):
        options = self.options
        if options.only_rc8 or getattr(options, MISSING.get((group, command)) or MISSING.get(group) or "", False):
            return None
        if self.recovering:
            return RECOVERY_COMMANDS.get((group, command))
        if group == 1 and (options.no_image_management or options.mode in mcuboot.SINGLE_MODES):
            return None
        return COMMANDS.get((group, command))

    # --- answers ------------------------------------------------------------------------------------------------

    def _answer_version(self, version):
        if self.recovering or self.options.smp in ("v1-headers", "v1-rc13", "v1-silent"):
            return 0
        return min(version, 1)

    def _frame(self, fields, payload):
        first, _, _, group, sequence, command = fields
        if self.options.legacy_rc and "rc" not in payload and "err" not in payload:
            payload = {"rc": 0, **payload}
        body = encode(payload, self.options.definite)
        if len(body) + 8 + self.framing_overhead > self.options.buf_size:
            raise SmpError(2)
        operation = 1 if first & 7 == OP_READ else 3
        version = self._answer_version(first >> 3 & 3)
        return HEADER.pack(version << 3 | operation, 0, len(body), group, sequence, command) + body

    def _error(self, fields, error):
        reason = {"rsn": error.reason} if self.options.reason and error.reason else {}
        if isinstance(error, GroupError):
            if self._answer_version(fields[0] >> 3 & 3):
                body = {"err": {"group": error.group, "rc": error.rc}}
            else:
                body = {"rc": IMAGE_ERROR_V1.get(error.rc, 1) if error.group == 1 else 1, **reason}
        else:
            body = {"rc": error.rc, **reason}
        return self._frame(fields, body)

    # --- upload, the short way ----------------------------------------------------------------------------------

    def _short_chunk(self, data):
        """Answer to a plain continuation chunk {off, data}, or None when it has to take the long way."""
        size = len(data)
        if size < 24 or size > self._largest or data[4:6] != b"\0\1" or data[7] != 1 or data[0] not in (2, 10):
            return None
        opening = data[8]
        if data[9:13] != b"\x63off" or (opening != 0xA2 and opening != 0xBF):
            return None
        code = data[13]
        width = (1, 2, 4)[code - 24] if 24 <= code <= 26 else 0
        if code > 26:
            return None
        offset = int.from_bytes(data[14:14 + width], "big") if width else code
        position = 14 + width
        session = self.session
        if data[position:position + 5] != b"\x64data" or offset != session.off or not offset:
            return None
        code = data[position + 5]
        width = code - 0x57 if code in (0x58, 0x59) else 0
        if not width and not 0x40 <= code < 0x58:
            return None
        count = int.from_bytes(data[position + 6:position + 6 + width], "big") if width else code & 31
        start = position + 6 + width
        end = start + count
        if end + (opening == 0xBF) != size or data[2] << 8 | data[3] != size - 8 or offset + count >= session.length:
            return None
        session.slot.partial += data[start:end]
        session.off = offset = offset + count
        stats = self.stats
        stats["requests"] += 1
        stats["answers"] += 1
        stats["chunks"] += 1
        stats["bytes_written"] += count
        body = b"\xbf\x63off" + head(0, offset) + b"\xff"
        return bytes((data[0] + 1, 0, 0, len(body), 0, 1, data[6], 1)) + body

    # --- power, reset, faults -----------------------------------------------------------------------------------

    def vanish(self, now, milliseconds):
        self._timers["vanish"] = now + self.seconds(milliseconds)
        self.event("vanish", ms=milliseconds)
        if self.options.vanish_session == "lose":
            self._lose_session("vanished")

    def arm_vanish(self):
        """`vanish-at` was set anew: it counts again."""
        self._vanished = 0

    def arm_lost_answer(self):
        """`lose-answer-at` was set anew."""
        self._lost_answer = False

    def _on_vanish(self, when):
        self.event("back")

    def reset(self, now, reason="request", boot_mode=0):
        """The device resets now and boots."""
        self.now = now
        self._forget()
        self.stats["resets"] += 1
        self.event("reset", reason=reason)
        self._boot(now, boot_mode)

    def power_off(self, now):
        self.now = now
        self._forget()
        self._timers.clear()
        self.phase = OFF
        self.refresh()
        self.event("power-off")

    def power_on(self, now):
        if self.phase == OFF:
            self.now = now
            self.event("power-on")
            self._boot(now, 0)

    def power_cycle(self, now):
        self.run(now)
        self._timers.pop("vanish", None)
        self.reset(now, "power-cycle")

    def _forget(self):
        self._lose_session("reset")
        self._queue.clear()
        self._job = None
        self.silent = False
        self._answered_reset = False
        self.clock_set = None
        for kind in ("dispatch", "job", "sent", "reset", "crash", "boot"):
            self._timers.pop(kind, None)

    def _lose_session(self, why):
        if self.session:
            self.event("upload-lost", reason=why, off=self.session.off, len=self.session.length)
            self.session = None

    def _boot(self, now, boot_mode):
        self.phase = BOOTING
        self.stats["boots"] += 1
        moved = self.bootloader.boot()
        self._choose_program(boot_mode)
        self.stats["sectors_erased"] += self.bootloader.erased_sectors
        self.bootloader.erased_sectors = 0
        milliseconds = self.options.boot_ms + (self.options.swap_ms if moved else 0)
        self._timers["boot"] = now + self.seconds(milliseconds)
        self.refresh()

    def _choose_program(self, boot_mode):
        """Serial recovery or firmware loader instead of the application?"""
        mode, first = self.options.mode, self.banks[0].slots[0]
        runnable = first.content is not None and not first.content.boot_problem(self.bootloader.verifier)
        self.recovering = False
        if mode == mcuboot.LOADER:
            loader = boot_mode == 1 or not runnable
            self.bootloader.loader_running = loader
            self.bootloader.active[0] = 1 if loader else 0
        elif self.options.recovery == "always":
            self.recovering = True
        elif mode in mcuboot.SINGLE_MODES or self.options.recovery == "once":
            self.recovering = boot_mode == 1 or not runnable

    def _boot_event(self, kind, **facts):
        if kind == "swap":
            self.stats["swaps"] += 1
            self._new[facts["image"]] = facts["hash"]
        elif kind == "revert":
            self.stats["reverts"] += 1
        self.event(kind, **facts)

    def _runs_new_image(self):
        for number, wanted in self._new.items():
            image = self.banks[number].slots[self.bootloader.active[number]].image
            if image and image.hash.hex() == wanted:
                return True
        return False

    def _on_boot(self, when):
        options, image, new = self.options, self.running_image, self._runs_new_image()
        swap = self.swap_type(self.banks[0])
        if image is None and not self.recovering:
            self._die("no image to boot")
            return
        self.event("boot", version=format_version(image.version) if image else None,
                   hash=image.hash.hex() if image else None, confirmed=swap != mcuboot.REVERT,
                   slot=self.bootloader.active[0], recovery=self.recovering)
        if new and options.no_return:
            self._die("the new image does not answer")
            return
        if new and options.revert_image:
            self._crash_at_start(when, swap)
            return
        self.phase = RUNNING
        self.refresh()
        if new and options.crash_ms:
            self._timers["crash"] = when + self.seconds(options.crash_ms)
        if options.self_confirm:
            self.confirm_all("application")

    def _crash_at_start(self, when, swap):
        if swap != mcuboot.REVERT and self.options.mode != mcuboot.XIP_REVERT:
            self._die("the new image crashes at every start")
            return
        self.event("crash", after_ms=0)
        self.reset(when, "crash")

    def _die(self, reason):
        self.phase = DEAD
        self.refresh()
        self.event("no-return", reason=reason)

    def _on_reset(self, when):
        self.reset(when, "request", self.boot_mode)

    def _on_crash(self, when):
        self.event("crash", after_ms=self.options.crash_ms)
        self.reset(when, "crash")
