# SPDX-License-Identifier: Apache-2.0
"""Flash slots, their trailers, and what MCUboot does with them at a boot.

    Slot        what lies in flash: a complete image, a part of an upload, or nothing; and the trailer at its end
    Bank        the two slots of one image number
    Bootloader  boot(): decides, swaps, erases, reverts; tells every deed through `event(name, **facts)`

Nothing here knows time or SMP.
"""
from .image import TRAILER_MAGIC, TRAILER_MAGIC_TAIL, format_version

UNSET, GOOD, BAD = "unset", "good", "bad"
NONE, TEST, PERM, REVERT = "none", "test", "perm", "revert"

SINGLE, SWAP_SCRATCH, OVERWRITE, SWAP_MOVE, XIP, XIP_REVERT, RAM_LOAD, LOADER, SINGLE_RAM, SWAP_OFFSET = range(10)
SWAP_MODES = (-1, SWAP_SCRATCH, SWAP_MOVE, SWAP_OFFSET)
XIP_MODES = (XIP, XIP_REVERT, RAM_LOAD)
SINGLE_MODES = (SINGLE, SINGLE_RAM)


class Trailer:
    __slots__ = ("magic", "image_ok", "copy_done")

    def __init__(self, magic=UNSET, image_ok=False, copy_done=False):
        self.magic, self.image_ok, self.copy_done = magic, image_ok, copy_done

    def as_dict(self):
        return {"magic": self.magic, "image_ok": self.image_ok, "copy_done": self.copy_done}


class Slot:
    def __init__(self, size, content=None):
        self.size = size
        self.content = content
        self.partial = None  # bytearray: an upload that is not complete
        self.trailer = Trailer()

    @property
    def image(self):
        return self.content.image if self.content else None

    @property
    def empty(self):
        """Nothing was written since the last erase; the mark at the end counts as written."""
        return self.content is None and not self.partial and self.trailer.magic == UNSET

    def erase(self):
        self.content = self.partial = None
        self.trailer = Trailer()

    def store(self, content):
        """An upload is complete. A padded image brings its own trailer."""
        self.content, self.partial = content, None
        if len(content) == self.size and len(content) >= 32:
            self._read_trailer(content.data)

    def _read_trailer(self, data):
        magic = data[-16:]
        if magic == TRAILER_MAGIC or magic[2:] == TRAILER_MAGIC_TAIL:
            self.trailer = Trailer(GOOD, data[-24] == 1, data[-32] == 1)
        elif magic != b"\xff" * 16:
            self.trailer = Trailer(BAD)


class Bank:
    """The two slots of one image."""

    def __init__(self, slots):
        self.slots = slots

    def swap_type(self):
        """What the next boot does, by the table of the trailers (first match)."""
        first, second = (slot.trailer for slot in self.slots)
        if second.magic == GOOD:
            return PERM if second.image_ok else TEST
        if first.magic == GOOD and not first.image_ok and first.copy_done:
            return REVERT
        return NONE

    def swap_contents(self):
        first, second = self.slots
        first.content, second.content = second.content, first.content
        first.partial = second.partial = None


class Bootloader:
    def __init__(self, options, banks, event, verifier=None):
        self.options = options
        self.banks = banks
        self.event = event
        self.verifier = verifier
        self.erased_sectors = 0
        self.active = [0] * len(banks)  # running slot of each image
        self.loader_running = False

    # --- geometry -----------------------------------------------------------------------------------------------

    def sectors(self, size):
        return -(-size // self.options.sector_size)

    def trailer_size(self):
        return self.sectors(self.options.slot_size) * 4 * 3 + 48

    def max_image_size(self, bank):
        """Largest file that this bootloader can install."""
        smallest = min(slot.size for slot in bank.slots)
        sector = self.options.sector_size
        trailer = self.trailer_size()
        if self.options.mode == SWAP_MOVE:
            return smallest - sector - self.sectors(trailer) * sector
        if self.options.mode == SWAP_OFFSET:
            return smallest - self.sectors(trailer) * sector
        return smallest - trailer

    def _compatible(self, bank):
        first, second = (self.sectors(slot.size) for slot in bank.slots)
        if self.options.mode == SWAP_MOVE:
            return first in (second, second + 1)
        if self.options.mode == SWAP_OFFSET:
            return second in (first, first + 1)
        return first == second or self.options.mode == OVERWRITE

    # --- boot ---------------------------------------------------------------------------------------------------

    def boot(self):
        """Returns True when something was moved, i.e. the boot takes the time of a swap."""
        self.loader_running = False
        if self.options.mode in XIP_MODES:
            for number, bank in enumerate(self.banks):
                self._boot_in_place(number, bank)
            return False
        self.active = [0] * len(self.banks)
        if self.options.mode in SINGLE_MODES or self.options.mode == LOADER:
            return False
        plans = [bank.swap_type() for bank in self.banks]
        if self._dependencies_unmet(plans):
            self.event("swap-refused", reason="dependencies unmet")
            return False
        moved = [self._boot_bank(number, bank, plan)
                 for number, (bank, plan) in enumerate(zip(self.banks, plans))]
        return any(moved)

    def _dependencies_unmet(self, plans):
        def coming(number):
            bank, plan = self.banks[number], plans[number]
            return bank.slots[0 if plan == NONE else 1].image
        for number, plan in enumerate(plans):
            image = coming(number) if plan in (TEST, PERM) else None
            for other, lowest in image.dependencies() if image else ():
                if other >= len(self.banks) or coming(other) is None or coming(other).version < lowest:
                    return True
        return False

    def _boot_bank(self, number, bank, plan):
        if plan == NONE:
            return False
        if plan == REVERT:
            return self._revert(number, bank)
        if self._refused(number, bank):
            return False
        problem = self._rejection(bank)
        if problem:
            bad = bank.slots[1]
            self._erase(bad)
            self.event("image-rejected", image=number, reason=problem)
            return False
        return self._install(number, bank, plan)

    def _refused(self, number, bank):
        candidate = bank.slots[1].content
        if self.options.refuse_swap or not self._compatible(bank):
            reason = "slots are not compatible"
        elif candidate and candidate.image and candidate.image.size > self.max_image_size(bank):
            reason = "image too large for a swap"
        else:
            return False
        self.event("swap-refused", image=number, reason=reason)
        return True

    def _rejection(self, bank):
        candidate = bank.slots[1].content
        if candidate is None:
            return "no image"
        problem = candidate.boot_problem(self.verifier)
        if problem:
            return problem
        if not candidate.image.bootable:
            return "image is not bootable"
        if self.options.reject_image:
            return "image is not valid"
        running = bank.slots[0].image
        if self.options.no_downgrade and running and candidate.image.version < running.version:
            return "downgrade"
        return ""

    def _install(self, number, bank, plan):
        first, second = bank.slots
        kept = self.options.mode != OVERWRITE
        bank.swap_contents()
        self.event("swap", image=number, type=plan if kept else "overwrite", version=self.version(first),
                   hash=first.image.hash.hex())
        first.trailer = Trailer(GOOD, plan == PERM or not kept, True)
        second.trailer = Trailer()
        if not kept:
            self._erase(second)
        return True

    def _revert(self, number, bank):
        first, second = bank.slots
        if second.image is None:
            # Nothing to go back to: the bootloader finds no valid image there and keeps the running one.
            first.trailer.image_ok = True
            self.event("swap-refused", image=number, reason="no image to go back to")
            return False
        bank.swap_contents()
        first.trailer, second.trailer = Trailer(GOOD, True, True), Trailer()
        self.event("revert", image=number, version=self.version(first), hash=first.image.hash.hex())
        return True

    def _boot_in_place(self, number, bank):
        """Direct-XIP and RAM load: the highest version runs where it lies."""
        while True:
            choice = self._best_in_place(bank)
            if choice is None:
                self.event("no-bootable-image", image=number)
                return
            trailer = bank.slots[choice].trailer
            unconfirmed = trailer.magic != GOOD or (trailer.copy_done and not trailer.image_ok)
            if self.options.mode != XIP_REVERT or not unconfirmed:
                break
            image = bank.slots[choice].image
            self.event("revert", image=number, slot=choice, version=format_version(image.version), hash=image.hash.hex())
            self._erase(bank.slots[choice])
        if choice != self.active[number]:
            image = bank.slots[choice].image
            self.event("swap", image=number, type="in-place", slot=choice, version=self.version(bank.slots[choice]),
                       hash=image.hash.hex())
        if self.options.mode == XIP_REVERT:
            bank.slots[choice].trailer.copy_done = True
        self.active[number] = choice

    def _best_in_place(self, bank):
        found = []
        for index, slot in enumerate(bank.slots):
            if slot.content is None:
                continue
            problem = slot.content.boot_problem(self.verifier)
            if not problem and index == 1 - self._home(bank) and self.options.reject_image:
                problem = "image is not valid"
            if problem:
                self.event("image-rejected", image=self.banks.index(bank), slot=index, reason=problem)
                self._erase(slot)
            elif slot.image.bootable:
                # Of two equal versions the bootloader takes slot 0.
                found.append((slot.image.version, -index, index))
        return max(found)[2] if found else None

    def _home(self, bank):
        return self.active[self.banks.index(bank)]

    def _erase(self, slot):
        self.erased_sectors += self.sectors(slot.size)
        slot.erase()

    @staticmethod
    def version(slot):
        return format_version(slot.image.version)

    # --- what an application may ask (bootutil_public) -----------------------------------------------------------

    def set_pending(self, bank, index, permanent):
        """boot_set_next(): False when the trailer holds garbage."""
        trailer = bank.slots[index].trailer
        if trailer.magic == BAD:
            return False
        if trailer.magic == UNSET:
            bank.slots[index].trailer = Trailer(GOOD, permanent, False)
        return True
