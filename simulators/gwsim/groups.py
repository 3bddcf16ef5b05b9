# SPDX-License-Identifier: Apache-2.0
"""The commands of a device: OS, image, enumeration and Memfault group, and the serial recovery's few.

A handler gets the decoded map and returns the map of its answer. Work that takes time is added to `self._cost`
(seconds). Sections named here are those of the SMP document of the project.
"""
from . import mcuboot
from .image import FLAG_ROM_FIXED, HEADER_MAGIC_BYTES, HEADER_SIZE, Content, format_version

IMAGE_GROUP, OS_GROUP, MEMFAULT_GROUP = 1, 0, 128


class SmpError(Exception):
    """Answered as {"rc": n}; rc None: not answered."""

    def __init__(self, rc, reason=""):
        super().__init__(rc)
        self.rc, self.reason = rc, reason


class GroupError(Exception):
    """Answered as {"err": {"group": g, "rc": n}}, to a v1 client as {"rc": translated}."""

    def __init__(self, group, rc, reason=""):
        super().__init__(rc)
        self.group, self.rc, self.reason = group, rc, reason


def image_error(rc, reason=""):
    return GroupError(IMAGE_GROUP, rc, reason)


# (group, command): (handler of a read, handler of a write)
COMMANDS = {
    (0, 0): ("echo", "echo"),
    (0, 4): ("datetime_get", "datetime_set"),
    (0, 5): (None, "reset_request"),
    (0, 6): ("params", None),
    (0, 7): ("os_info", None),
    (0, 8): ("bootloader_info", None),
    (1, 0): ("state_read", "state_write"),
    (1, 1): (None, "upload"),
    (1, 5): (None, "erase"),
    (1, 6): ("slot_info", None),
    (10, 0): ("enumeration_count", None),
    (10, 1): ("enumeration_list", None),
    (10, 2): ("enumeration_single", None),
    (10, 3): ("enumeration_details", None),
    (128, 0): ("memfault_device", None),
    (128, 1): ("memfault_key", None),
}

RECOVERY_COMMANDS = {
    (0, 0): ("echo", "echo"),
    (0, 5): (None, "reset_request"),
    (0, 6): ("params", None),
    (1, 0): ("recovery_list", None),
    (1, 1): (None, "recovery_upload"),
    (1, 6): ("slot_info", None),
}

# Option that takes the command, or the whole group, out.
MISSING = {
    (0, 0): "no_echo", (0, 4): "no_datetime", (0, 6): "no_params", (0, 7): "no_os_info",
    (0, 8): "no_bootloader_info", (1, 6): "no_slot_info", 10: "no_enumeration", 128: "no_memfault",
}

GROUP_NAMES = {0: "os mgmt", 1: "img mgmt", 10: "enum mgmt", 128: "memfault"}


def unsigned(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class Session:
    """An upload in progress. It lives in RAM: a reset or an erase ends it, a lost link does not."""

    __slots__ = ("image", "index", "slot", "length", "sha", "off", "chunks")

    def __init__(self, image, index, slot, length, sha):
        self.image, self.index, self.slot, self.length, self.sha = image, index, slot, length, sha
        self.off = self.chunks = 0


class OsGroup:
    boot_mode = 0

    def echo(self, request):
        text = request.get("d", "")
        if not isinstance(text, str):
            raise SmpError(3)
        return {"r": text}

    def datetime_get(self, request):
        if self.clock_set is None:
            raise GroupError(OS_GROUP, 4)
        return {"datetime": self.clock_set}

    def datetime_set(self, request):
        text = request.get("datetime")
        if not isinstance(text, str) or not 19 <= len(text) <= 25 or not text[:4].isdigit():
            raise SmpError(3)
        self.clock_set = text[:19]
        return {}

    def reset_request(self, request):
        if self.options.reset_needs_force and request.get("force") is not True:
            raise SmpError(10)
        mode = request.get("boot_mode", 0)
        self.boot_mode = mode if mode in (0, 1) else 0
        if self.options.reset_no_answer:
            self._timers["reset"] = self.now
            raise SmpError(None)
        self._answered_reset = True
        return {"rc": 0} if self.recovering else {}

    def params(self, request):
        return {"buf_size": self.options.buf_size, "buf_count": self.options.buf_count}

    def os_info(self, request):
        wanted = request.get("format", "s")
        options = self.options
        fields = {"s": options.os_name, "n": options.os_node, "r": options.os_release, "v": options.os_version,
                  "m": options.os_arch, "p": options.os_processor, "i": options.board, "o": options.os_name}
        if not isinstance(wanted, str) or not set(wanted) <= set(fields) | {"a"}:
            raise GroupError(OS_GROUP, 2)
        return {"output": " ".join(text for key, text in fields.items() if key in wanted or "a" in wanted)}

    def bootloader_info(self, request):
        query = request.get("query")
        if query is None:
            return {"bootloader": self.options.bootloader_name}
        if query != "mode":
            raise SmpError(3)
        return {"mode": self.options.mode, **({"no-downgrade": True} if self.options.no_downgrade else {})}


class OtherGroups:
    def _groups(self):
        commands = RECOVERY_COMMANDS if self.recovering else COMMANDS
        return sorted({group for group, command in commands if self._handlers(group, command)})

    def enumeration_count(self, request):
        return {"count": len(self._groups())}

    def enumeration_list(self, request):
        return {"groups": self._groups()}

    def enumeration_single(self, request):
        index, groups = request.get("index", 0), self._groups()
        if not unsigned(index) or index >= len(groups):
            raise GroupError(10, 4)
        return {"group": groups[index], **({"end": True} if index == len(groups) - 1 else {})}

    def enumeration_details(self, request):
        wanted = request.get("groups")
        listed = [group for group in self._groups() if not isinstance(wanted, list) or group in wanted]
        return {"groups": [{"group": group, "name": GROUP_NAMES[group],
                            "handlers": sum(1 for other, _ in COMMANDS if other == group)} for group in listed]}

    def memfault_device(self, request):
        image = self.running_image
        version = self.options.software_version or (format_version(image.version) if image else "")
        return {"device_serial": self.serial, "hardware_version": self.options.hardware_version,
                "software_type": self.options.software_type, "current_version": version}

    def memfault_key(self, request):
        if not self.options.project_key:
            raise GroupError(MEMFAULT_GROUP, 2)
        return {"project_key": self.options.project_key}


class StateCommands:
    """Image group: list of states, test, confirm (sections 3.1, 3.2)."""

    def other(self, number):
        """The slot of image `number` that an upload goes to."""
        return 1 - self.bootloader.active[number]

    def swap_type(self, bank):
        if self.options.mode not in mcuboot.XIP_MODES:
            return bank.swap_type()
        if self.options.mode != mcuboot.XIP_REVERT:
            return mcuboot.NONE
        active = self.bootloader.active[self.banks.index(bank)]
        running, waiting = bank.slots[active].trailer, bank.slots[1 - active].trailer
        if waiting.magic == mcuboot.GOOD and not waiting.copy_done:
            return mcuboot.PERM if waiting.image_ok else mcuboot.TEST
        return mcuboot.NONE if running.image_ok else mcuboot.REVERT

    def _flags(self, number, index):
        """(pending, confirmed, active, permanent)"""
        bank, active = self.banks[number], self.bootloader.active[number]
        if self.bootloader.loader_running:
            return False, False, index == 1, False
        if self.options.mode in (mcuboot.XIP, mcuboot.RAM_LOAD):
            running, image = bank.slots[active].image, bank.slots[index].image
            higher = index != active and running is not None and image.version > running.version
            return higher, index == active, index == active, higher
        swap = self.swap_type(bank)
        if index == active:
            return False, swap != mcuboot.REVERT, number == 0 or self.options.all_active, False
        return swap in (mcuboot.TEST, mcuboot.PERM), swap == mcuboot.REVERT, False, swap == mcuboot.PERM

    def _entry(self, number, index, image):
        pending, confirmed, active, permanent = self._flags(number, index)
        entry = {"image": number} if self.options.images > 1 else {}
        entry.update(slot=index, version=format_version(image.version), hash=image.hash)
        flags = {"bootable": image.bootable, "pending": pending, "confirmed": confirmed, "active": active,
                 "permanent": permanent}
        entry.update({name: value for name, value in flags.items() if value or not self.options.frugal})
        return entry

    def state_read(self, request):
        if self.options.list_rc2:
            raise SmpError(2)
        entries = [self._entry(number, index, slot.image) for number, bank in enumerate(self.banks)
                   for index, slot in enumerate(bank.slots) if slot.image]
        return {"images": entries, **({} if self.options.frugal else {"splitStatus": 0})}

    def state_write(self, request):
        if self.options.mode in (mcuboot.XIP, mcuboot.RAM_LOAD, mcuboot.LOADER):
            raise SmpError(8)
        confirm, wanted = request.get("confirm", False), request.get("hash")
        if not isinstance(confirm, bool) or not isinstance(wanted, (bytes, type(None))):
            raise SmpError(3)
        if wanted is None:
            if not confirm:
                raise image_error(24, "a test needs a hash")
            number, index = 0, self.bootloader.active[0]
        else:
            number, index = self._find(wanted)
        self._set_next(number, index, confirm)
        return self.state_read({})

    def _find(self, wanted):
        if len(wanted) != 32:
            raise image_error(24, "wrong hash length")
        for number, bank in enumerate(self.banks):
            for index, slot in enumerate(bank.slots):
                if slot.image and slot.image.hash == wanted:
                    return number, index
        raise image_error(8, "no such image")

    def _set_next(self, number, index, confirm):
        """The decision table of section 3.2."""
        bank = self.banks[number]
        running = index == self.bootloader.active[number]
        swap = self.swap_type(bank)
        if running and not confirm:
            raise image_error(33, "that image is running")
        if running and number > 0 and not self.options.confirm_any:
            raise image_error(32, "only the running image may be confirmed")
        if running:
            self._confirm_running(number, swap)
        elif swap == mcuboot.NONE:
            self._mark(number, index, confirm)
        elif (swap == mcuboot.TEST and not confirm) or (swap in (mcuboot.PERM, mcuboot.REVERT) and confirm):
            return
        else:
            raise image_error(28, "already pending")

    def _confirm_running(self, number, swap):
        if swap in (mcuboot.TEST, mcuboot.PERM):
            raise image_error(28, "already pending")
        if swap == mcuboot.REVERT:
            self.confirm_image(number, "request")

    def confirm_image(self, number, by):
        slot = self.banks[number].slots[self.bootloader.active[number]]
        if slot.image is None:
            return
        slot.trailer.image_ok = True
        self.event("confirm", image=number, version=format_version(slot.image.version), hash=slot.image.hash.hex(), by=by)

    def confirm_all(self, by):
        for number, bank in enumerate(self.banks):
            if self.swap_type(bank) == mcuboot.REVERT:
                self.confirm_image(number, by)

    def _mark(self, number, index, confirm):
        slot = self.banks[number].slots[index]
        if self.options.ignore_test:
            self.event("test-ignored", image=number)
            return
        if self.options.trailer_garbage:
            slot.trailer.magic = mcuboot.BAD
        if not self.bootloader.set_pending(self.banks[number], index, confirm):
            raise image_error(23, "magic mismatch")
        self.event("perm" if confirm else "test", image=number, version=format_version(slot.image.version),
                   hash=slot.image.hash.hex())


class UploadCommands:
    """Image group: upload, erase, slot information (sections 3.3, 3.7), and serial recovery (3.9)."""

    def upload(self, request):
        off, data = request.get("off"), request.get("data", b"")
        if not unsigned(off):
            raise image_error(20, "no offset")
        if not isinstance(data, bytes):
            raise SmpError(3)
        if off == 0:
            answer = self._first_chunk(request, data)
            if answer is not None:
                return answer
        session = self.session
        if session is None or off != session.off:
            self.stats["chunks_repeated"] += 1
            return {"off": session.off if session else 0}
        if off + len(data) > session.length:
            raise image_error(31, "more data than announced")
        return self._store(session, data)

    def _first_chunk(self, request, data):
        """Checks and prepares; an answer when there is nothing to store."""
        if len(data) < HEADER_SIZE:
            raise image_error(22, "header incomplete")
        length, sha, number = request.get("len"), request.get("sha"), request.get("image", 0)
        if not unsigned(length):
            raise image_error(21, "no length")
        if data[:4] != HEADER_MAGIC_BYTES:
            raise image_error(23, "magic mismatch")
        if sha is not None and (not isinstance(sha, bytes) or len(sha) > 32):
            raise image_error(24, "sha too long")
        if not unsigned(number):
            raise SmpError(3)
        session = self.session
        if session and sha and session.sha == sha:
            self.event("upload-resume", image=session.image, off=session.off, len=session.length)
            return {"off": session.off}
        number, index = self._upload_target(number)
        slot = self.banks[number].slots[index]
        self._check_upload(slot, number, length, request.get("upgrade") is True, data)
        self._check_address(index, data)
        if self.options.image_check and sha and slot.content and slot.content.sha256 == sha:
            self.event("upload-already-there", image=number, slot=index)
            return {"off": length, "match": True}
        self._open_session(number, index, slot, length, sha)
        return None

    def _upload_target(self, number):
        if self.options.direct_upload and number:
            number, index = divmod(number - 1, 2)
            if number < len(self.banks) and index == self.bootloader.active[number]:
                raise image_error(9, "slot is running")
        else:
            index = None
        if number >= len(self.banks):
            raise SmpError(3, "no such image")
        if self.options.mode == mcuboot.LOADER:
            if not self.bootloader.loader_running:
                raise image_error(9, "no free slot")
            return 0, 0
        if self.swap_type(self.banks[number]) != mcuboot.NONE:
            raise image_error(9, "slot in use")
        return number, self.other(number) if index is None else index

    def _check_upload(self, slot, number, length, upgrade, data):
        if self.options.size_check and length > slot.size:
            raise image_error(30, "larger than the slot")
        running = self.banks[number].slots[self.bootloader.active[number]].image
        version = (data[20], data[21], int.from_bytes(data[22:24], "little"))
        if upgrade and running and running.version[:3] >= version:
            raise image_error(27, "the running version is not older")

    def _check_address(self, index, data):
        flags, address = (int.from_bytes(data[start:start + 4], "little") for start in (16, 4))
        wanted = self.options.slot1_address if index else self.options.slot_address
        if flags & FLAG_ROM_FIXED and wanted and address != wanted:
            raise image_error(25, "built for another slot")

    def _open_session(self, number, index, slot, length, sha):
        if self.session:
            self.event("upload-lost", reason="another upload", off=self.session.off, len=self.session.length)
        if not slot.empty:
            self._erase_slot(slot, min(length, slot.size))
        slot.partial = bytearray()
        self.session = Session(number, index, slot, length, bytes(sha) if sha else None)
        self.stats["uploads_started"] += 1
        self.event("upload-start", image=number, slot=index, len=length, sha=sha.hex() if sha else None)

    def _erase_slot(self, slot, used):
        sectors = self.bootloader.sectors(used) + (used < slot.size)
        slot.erase()
        self.stats["sectors_erased"] += sectors
        self._cost += self.seconds(self.options.erase_ms) * sectors

    def _store(self, session, data):
        final = session.off + len(data) == session.length
        if not final and self.options.align > 1:
            data = data[:len(data) - len(data) % self.options.align]
        if session.off + len(data) > session.slot.size:
            self.session = None
            session.slot.erase()
            raise image_error(12, "flash write failed")
        before = session.off
        session.slot.partial += data
        session.off += len(data)
        self.stats["chunks"] += 1
        self.stats["bytes_written"] += len(data)
        if self.options.write_rate:
            self._cost += len(data) / self.options.write_rate / self.options.time_scale
        answer = {"off": session.off}
        if final:
            answer.update(self._complete(session))
        self._maybe_vanish(before, session.off)
        self._maybe_lose_answer(before, session.off)
        return answer

    def _complete(self, session):
        self.session = None
        slot = session.slot
        content = Content.of(slot.partial)
        slot.store(content)
        self.stats["uploads_completed"] += 1
        image = content.image
        self.event("upload-complete", image=session.image, slot=session.index, len=session.length,
                   sha256=content.sha256.hex(), hash=image.hash.hex() if image else None,
                   version=format_version(image.version) if image else None,
                   bytes_written=self.stats["bytes_written"], sectors_erased=self.stats["sectors_erased"])
        if self.options.lose_upload:
            slot.content, slot.partial = None, bytearray(content.data)
        if not self.options.image_check or self.recovering:
            return {}
        matches = session.sha is None or len(session.sha) < 32 or session.sha == content.sha256
        return {"match": matches and not self.options.match_false}

    def _maybe_vanish(self, before, after):
        if before < self.options.vanish_at <= after and self._vanished < self.options.vanish_times:
            self._vanished += 1
            self.vanish(self.now, self.options.vanish_ms)

    def _maybe_lose_answer(self, before, after):
        if before < self.options.lose_answer_at <= after and not self._lost_answer:
            self._lost_answer = self._lose_answer = True

    def erase(self, request):
        if "slot" in request:
            absolute = request["slot"]
            if not unsigned(absolute) or absolute >= 2 * len(self.banks):
                raise image_error(14, "no such slot")
            number, index = divmod(absolute, 2)
        else:
            number, index = 0, self.other(0)
        slot = self.banks[number].slots[index]
        self._check_erase(number, index, slot)
        if slot.empty and self.options.erase_empty_error:
            raise image_error(1, "nothing to erase")
        self.session = None
        was_empty = slot.empty
        self._erase_slot(slot, slot.size)
        self.event("erase", image=number, slot=index, was_empty=was_empty)
        return {}

    def _check_erase(self, number, index, slot):
        if index == self.bootloader.active[number]:
            raise image_error(9, "slot is running")
        swap = self.swap_type(self.banks[number])
        if slot.image is None:
            return
        if swap == mcuboot.REVERT or (swap != mcuboot.NONE and not self.options.erase_pending):
            raise image_error(9, "slot in use")

    def slot_info(self, request):
        images = []
        for number, bank in enumerate(self.banks):
            slots = [{"slot": index, "size": slot.size} for index, slot in enumerate(bank.slots[:self._n_slots()])]
            for index, entry in enumerate(slots):
                if self.options.direct_upload:
                    entry["upload_image_id"] = 2 * number + index + 1
                elif index == self.other(number):
                    entry["upload_image_id"] = number
            images.append({"image": number, "slots": slots, "max_image_size": self.bootloader.max_image_size(bank)})
        return {"images": images}

    def _n_slots(self):
        return 1 if self.options.mode in mcuboot.SINGLE_MODES else 2

    def recovery_list(self, request):
        entries = []
        for number, bank in enumerate(self.banks):
            for index, slot in enumerate(bank.slots[:self._n_slots()]):
                if slot.image:
                    entry = {"image": number} if self.options.images > 1 else {}
                    entries.append({**entry, "slot": index, "version": format_version(slot.image.version)})
        return {"images": entries}

    def recovery_upload(self, request):
        off, data = request.get("off"), request.get("data")
        if not unsigned(off) or not isinstance(data, bytes):
            raise SmpError(3)
        if off == 0:
            self._recovery_open(request)
        session = self.session
        if session is None:
            raise SmpError(3)
        if off != session.off:
            self.stats["chunks_repeated"] += 1
            return {"rc": 0, "off": session.off}
        if off + len(data) > session.length:
            raise SmpError(3)
        return {"rc": 0, **self._store(session, data)}

    def _recovery_open(self, request):
        length, number = request.get("len"), request.get("image", 0)
        if not unsigned(length) or not unsigned(number):
            raise SmpError(3)
        number, index = divmod(number - 1, 2) if number else (0, 0)
        if number >= len(self.banks) or index >= self._n_slots():
            raise SmpError(3)
        slot = self.banks[number].slots[index]
        if length > slot.size:
            raise SmpError(3)
        self._cost += self.seconds(self.options.erase_ms) * self.bootloader.sectors(slot.size)
        self.stats["sectors_erased"] += self.bootloader.sectors(slot.size)
        slot.erase()
        slot.partial = bytearray()
        self.session = Session(number, index, slot, length, None)
        self.stats["uploads_started"] += 1
        self.event("upload-start", image=number, slot=index, len=length, sha=None)


class Groups(OsGroup, OtherGroups, StateCommands, UploadCommands):
    """All commands of a device."""
