# SPDX-License-Identifier: Apache-2.0
"""Everything that can be said about a device: one table, used by the command line, --device, --scenario and control.

Durations are milliseconds, sizes bytes (K and M are understood), rates bytes per second.
"""


class OptionError(ValueError):
    """An unknown option or a value that it cannot have; the text is for the person who wrote it."""


def boolean(text):
    if isinstance(text, bool):
        return text
    if str(text).lower() in ("", "1", "true", "yes", "on"):
        return True
    if str(text).lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("neither true nor false")


def size(text):
    text = str(text).strip()
    factor = {"K": 1024, "M": 1024 * 1024}.get(text[-1:].upper(), 1)
    number = int(text[:-1] if factor > 1 else text, 0) * factor
    if number < 0:
        raise ValueError("negative")
    return number


def duration(text):
    number = float(text)
    if number < 0:
        raise ValueError("negative")
    return number


def probability(text):
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError("not between 0 and 1")
    return number


def scale(text):
    number = float(text)
    if number <= 0:
        raise ValueError("not above 0")
    return number


class Choice:
    def __init__(self, *values):
        self.values = values
        self.__name__ = "|".join(values)

    def __call__(self, text):
        if str(text) not in self.values:
            raise ValueError("not one of " + ", ".join(self.values))
        return str(text)


def bootloader_mode(text):
    number = int(text)
    if not -1 <= number <= 9:
        raise ValueError("not between -1 and 9")
    return number


def percentage(text):
    number = int(text)
    if not -1 <= number <= 100:
        raise ValueError("not between -1 and 100")
    return number


def image_count(text):
    number = int(text)
    if number not in (1, 2):
        raise ValueError("neither 1 nor 2")
    return number


# name: (type, default, help). The order is the order of --help.
TABLE = {
    "Who the device is": {
        "serial": (str, "SIM{:04d}", "serial number; {} or {:04d} is replaced by the number of the device"),
        "hardware-version": (str, "simboard", "hardware version in the Memfault group"),
        "software-type": (str, "app", "software type in the Memfault group"),
        "software-version": (str, "", "version in the Memfault group (default: the version of the running image)"),
        "project-key": (str, "", "Memfault project key; without one the device says that it has none"),
        "board": (str, "simboard/nrf52840", "board in the application information"),
        "os-name": (str, "Zephyr", "kernel and OS name in the application information"),
        "os-node": (str, "unknown", "node name"),
        "os-release": (str, "v3.7.0", "kernel release"),
        "os-version": (str, "3.7.0", "kernel version"),
        "os-arch": (str, "arm", "machine"),
        "os-processor": (str, "cortex-m4", "processor"),
    },
    "Images, slots, bootloader": {
        "image": (str, "", "file with the image that is in slot 0 at first (default: one made from --version)"),
        "version": (str, "1.0.0", "version of the image made for slot 0, when there is no --image"),
        "image-size": (size, 32768, "size of that image's body"),
        "image1": (str, "", "the same for image 1 (only with --images 2)"),
        "version1": (str, "1.0.0", "version of the image made for image 1"),
        "slot1": (str, "", "file with an image that already lies in slot 1 of image 0"),
        "start": (Choice("normal", "test", "perm", "revert"), "normal",
                  "swap state at first; the others need --slot1 (test, revert: an upload is refused as busy)"),
        "images": (image_count, 1, "number of images (2: application and network core)"),
        "slot-size": (size, 0x7C000, "size of a slot"),
        "slot1-size": (size, 0, "size of slot 1 (default: as slot 0; far off: the bootloader refuses the swap)"),
        "sector-size": (size, 4096, "size of a flash sector"),
        "slot-address": (size, 0, "address of slot 0; an image built for a fixed address must be for its slot (err 25)"),
        "slot1-address": (size, 0, "address of slot 1"),
        "mode": (bootloader_mode, 3, "bootloader mode as MCUboot numbers them: 0 single slot, 1 swap scratch, 2 overwrite, "
                                     "3 swap move, 4 direct-XIP, 5 direct-XIP with revert, 6 RAM load, "
                                     "7 firmware loader, 8 single slot RAM load, 9 swap offset; -1 not told"),
        "bootloader-name": (str, "MCUboot", "name of the bootloader"),
        "no-downgrade": (boolean, False, "the bootloader erases an image of a lower version"),
        "verify-key": (str, "", "PEM file: the bootloader checks signatures with this key"),
        "recovery": (Choice("off", "once", "always"), "off",
                     "the device is in MCUboot's serial recovery (once: until the next reset)"),
        "direct-upload": (boolean, False, "upload numbers slots (1 = image 0 slot 0, 2 = image 0 slot 1 ...)"),
        "image-check": (boolean, True, "the last upload answer has `match`"),
        "confirm-any": (boolean, False, "image 1 may be confirmed too while it runs"),
        "erase-pending": (boolean, True, "a pending slot may be erased"),
        "erase-empty-error": (boolean, False, "erasing an empty slot is answered err 1"),
        "size-check": (boolean, True, "an image larger than the slot is refused at once (err 30)"),
        "all-active": (boolean, True, "`active` is shown for every image, not only for image 0"),
    },
    "Time": {
        "erase-ms": (duration, 0.0, "erasing one sector; nothing else is answered before it is done"),
        "write-rate": (size, 0, "flash write speed (0: instant)"),
        "dispatch-ms": (duration, 0.0, "an idle device begins to work this long after a request has arrived; requests "
                                       "that arrive meanwhile take buffers"),
        "process-ms": (duration, 0.0, "work on one request"),
        "reset-ms": (duration, 250.0, "from the answer to the reset"),
        "boot-ms": (duration, 200.0, "from reset to the first answer, without a swap"),
        "swap-ms": (duration, 0.0, "what a swap adds to that"),
        "time-scale": (scale, 1.0, "all durations of the device (not of the link) are divided by this"),
    },
    "Buffers and messages": {
        "buf-size": (size, 2048, "largest message, as the parameters tell it"),
        "buf-count": (size, 4, "number of buffers: a request and its answer take one each"),
        "real-buffers": (size, 0, "number of buffers that there really are (default: --buf-count)"),
        "overrun": (Choice("rc2", "drop"), "rc2", "a request whose answer finds no buffer: rc 2 or dropped"),
        "max-frame": (size, 0, "largest message that is really taken (default: --buf-size)"),
        "big-frame": (Choice("drop", "rc9", "silence"), "drop",
                      "a larger one is dropped, answered rc 9, or silences the device until it is reset"),
        "align": (size, 1, "uploads are stored in units of this; the tail of a chunk is dropped, `off` tells it"),
        "smp": (Choice("both", "v1-headers", "v1-rc13", "v1-silent", "v2-only"), "both",
                "SMP versions: v1-headers ignores the version of a request and answers as v1; v1-rc13 refuses v2, "
                "v1-silent does not answer it; v2-only refuses v1 (rc 12)"),
        "definite": (boolean, False, "CBOR maps and lists of definite length"),
        "legacy-rc": (boolean, False, "`rc: 0` in successful answers"),
        "frugal": (boolean, False, "flags that are false are left out of the state list, splitStatus too"),
        "reason": (boolean, False, "error answers with a text (`rsn`)"),
    },
    "Link": {
        "baud": (size, 0, "serial line speed, 10 bits a byte, both ways (0: as fast as it goes)"),
        "baud-check": (boolean, False, "serial: nothing is understood from a computer that has set another speed"),
        "rate": (size, 0, "link speed in bytes per second, each way (0: no limit)"),
        "latency-ms": (duration, 0.0, "delay of the link, each way"),
        "interval-ms": (duration, 0.0, "connection interval: messages move only at its multiples"),
        "link-payload": (size, 244, "with an interval: bytes that one packet carries (MTU - 3)"),
        "link-packets": (size, 4, "with an interval: packets that one interval carries, each way"),
        "mtu": (size, 1472, "UDP: a longer datagram is lost, either way (0: no limit)"),
        "loss": (probability, 0.0, "probability that a message is lost, each way"),
        "duplicate": (probability, 0.0, "probability that a message arrives twice"),
        "reorder": (probability, 0.0, "probability that a message is overtaken by later ones"),
        "reorder-ms": (duration, 20.0, "how long it is held back"),
        "garbage": (probability, 0.0, "serial: probability of log text before a line of an answer; UDP: of a datagram "
                                      "of random bytes before an answer"),
        "seed": (size, 1, "seed of all chances; the number of the device is added"),
        "reset-unplugs": (boolean, False, "serial: the port goes away with a reset and comes back with the firmware (USB)"),
        "renames": (boolean, False, "serial: the port comes back under another name each time"),
    },
    "Bluetooth LE": {
        "adv-name": (str, "sim-{:02d}", "advertised name; {} or {:02d} is replaced by the number of the device"),
        "adv-name-after": (str, "", "advertised name once it has been reset (default: the same)"),
        "adv-uuid": (boolean, True, "the SMP service is advertised, not only offered"),
        "adv-refresh-ms": (duration, 1000.0, "advertise anew so often while nobody is connected (0: never); virtual controllers tell a "
                                             "scanner only once"),
        "pairing": (Choice("open", "encrypted", "authenticated"), "open", "what a central must have done before it may write"),
        "battery": (percentage, -1, "level that the Battery Service tells in percent (-1: no such service)"),
        "max-notification": (size, 0, "largest piece of an answer (0: MTU - 5, as BlueZ cuts longer ones)"),
    },
    "Missing commands": {
        "no-echo": (boolean, False, "echo answers rc 8"),
        "no-params": (boolean, False, "parameters answer rc 8"),
        "no-os-info": (boolean, False, "application information answers rc 8"),
        "no-bootloader-info": (boolean, False, "bootloader information answers rc 8"),
        "no-datetime": (boolean, False, "date and time answer rc 8"),
        "no-slot-info": (boolean, False, "slot information answers rc 8"),
        "no-enumeration": (boolean, False, "the enumeration group answers rc 8"),
        "no-memfault": (boolean, False, "the Memfault group answers rc 8"),
        "no-image-management": (boolean, False, "the image group answers rc 8"),
        "only-rc8": (boolean, False, "everything answers rc 8"),
    },
    "Faults": {
        "vanish-at": (size, 0, "the device vanishes when this many bytes of an upload are stored (0: never)"),
        "vanish-ms": (duration, 1000.0, "for how long"),
        "vanish-times": (size, 1, "how often"),
        "vanish-session": (Choice("keep", "lose"), "keep", "the upload session survives that, or not"),
        "vanish-unplugs": (boolean, False, "serial: the port goes away meanwhile; BLE: the link drops, and nothing is advertised"),
        "lose-answer-at": (size, 0, "the answer to the chunk with this byte of an upload is lost, once (0: none)"),
        "match-false": (boolean, False, "the last upload answer says match: false"),
        "lose-upload": (boolean, False, "slot 1 cannot be read after an upload"),
        "trailer-garbage": (boolean, False, "the end of slot 1 holds garbage: test answers err 23"),
        "ignore-test": (boolean, False, "test is accepted, but nothing becomes pending"),
        "list-rc2": (boolean, False, "the state list answers rc 2"),
        "refuse-swap": (boolean, False, "the bootloader refuses the swap and leaves the mark"),
        "reject-image": (boolean, False, "the bootloader rejects the new image and erases it"),
        "revert-image": (boolean, False, "the new image resets at once, before it can be spoken to"),
        "crash-ms": (duration, 0.0, "a new image crashes after having run this long (0: never)"),
        "no-return": (boolean, False, "a new image never answers; a power cycle brings the device back"),
        "self-confirm": (boolean, False, "the application confirms itself when it starts"),
        "reset-no-answer": (boolean, False, "a reset is done at once and not answered"),
        "reset-needs-force": (boolean, False, "a reset without `force` is answered rc 10"),
    },
}

ALL = {name: spec for group in TABLE.values() for name, spec in group.items()}

PROFILES = {
    "default": {},
    # The server of the recorded conversation.
    "zephyr-3.4": {
        "no-bootloader-info": True, "no-slot-info": True, "no-enumeration": True, "no-memfault": True,
        "image-check": False, "erase-empty-error": True, "buf-size": 2048, "buf-count": 2, "size-check": False,
        "os-release": "", "os-version": "3.4.99", "os-arch": "posix", "os-processor": "unknown",
        "board": "native_sim_64", "no-datetime": True,
    },
    # Durations as such a board has them: 85 ms for a sector, 41 us for a word, a second of swap for 100 KiB.
    "nrf52840": {
        "erase-ms": 85.0, "write-rate": 97000, "process-ms": 0.5, "boot-ms": 400.0, "swap-ms": 8000.0,
        "buf-size": 2475, "buf-count": 4, "board": "nrf52840dk/nrf52840", "hardware-version": "nrf52840dk",
    },
    "nrf5340": {
        "images": 2, "erase-ms": 85.0, "write-rate": 97000, "process-ms": 0.5, "boot-ms": 500.0, "swap-ms": 12000.0,
        "buf-size": 2475, "buf-count": 4, "board": "nrf5340dk/nrf5340/cpuapp", "hardware-version": "nrf5340dk",
        "os-processor": "cortex-m33",
    },
    # A firmware of 2021: no parameters, SMP v1 only, small messages.
    "old": {
        "smp": "v1-headers", "legacy-rc": True, "no-params": True, "no-os-info": True, "no-bootloader-info": True,
        "no-slot-info": True, "no-enumeration": True, "no-memfault": True, "no-datetime": True, "image-check": False,
        "buf-size": 384, "align": 4, "mode": 1, "size-check": False,
    },
    "recovery": {
        "recovery": "once", "mode": 0, "buf-size": 1024, "buf-count": 1, "erase-ms": 85.0, "align": 4,
        "no-memfault": True, "no-enumeration": True,
    },
}


def convert(name, value):
    """The value of option `name` from text or from JSON."""
    if name not in ALL:
        raise OptionError(f"there is no option '{name}'")
    if value is None:
        raise OptionError(f"option '{name}' needs a value")
    try:
        return ALL[name][0](value)
    except (ValueError, TypeError) as problem:
        raise OptionError(f"option '{name}': '{value}' is not possible ({problem})") from None


def parse_assignments(text):
    """'loss=0.1,refuse-swap' -> {'loss': 0.1, 'refuse-swap': True}"""
    found = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = item.partition("=")
        if not equals and ALL.get(name, (None,))[0] is not boolean:
            raise OptionError(f"option '{name}' needs a value" if name in ALL else f"there is no option '{name}'")
        found[name] = convert(name, value)
    return found


class Options:
    """The options of one device, as attributes with underscores."""

    def __init__(self, profile="default", **changes):
        if profile not in PROFILES:
            raise OptionError(f"there is no profile '{profile}' ({', '.join(PROFILES)})")
        for name, (_, default, _) in ALL.items():
            setattr(self, name.replace("-", "_"), default)
        self.update(PROFILES[profile])
        self.update({name.replace("_", "-"): value for name, value in changes.items()})

    def update(self, changes):
        """All or nothing."""
        values = {name: convert(name, value) for name, value in changes.items()}
        for name, value in values.items():
            setattr(self, name.replace("-", "_"), value)

    def as_dict(self):
        return {name: getattr(self, name.replace("-", "_")) for name in ALL}
