# SPDX-License-Identifier: Apache-2.0
"""MCUboot images: reading, making, checking.

A flash slot never holds a copy of its own: what was stored completely becomes a `Content`, one object per different
sequence of bytes in the whole process. A thousand devices that hold the same firmware therefore share its memory, and
hash and signature are computed once.
"""
import hashlib
import random
import struct
import weakref

HEADER_MAGIC = 0x96F3B83D
HEADER_MAGIC_BYTES = struct.pack("<I", HEADER_MAGIC)
HEADER_SIZE = 32
TLV_INFO = 0x6907
TLV_PROTECTED_INFO = 0x6908
TLV_KEYHASH, TLV_SHA256 = 0x01, 0x10
TLV_RSA2048, TLV_ECDSA, TLV_RSA3072, TLV_ED25519, TLV_SIG_PURE = 0x20, 0x22, 0x23, 0x24, 0x25
TLV_DEPENDENCY, TLV_SECURITY_COUNTER = 0x40, 0x50
FLAG_NON_BOOTABLE = 0x10
FLAG_ROM_FIXED = 0x100
TRAILER_MAGIC = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
TRAILER_MAGIC_TAIL = bytes.fromhex("2de15d29410b8d77679c110f1f8a")


class ImageError(ValueError):
    """The bytes are not an MCUboot image."""


def parse_version(text):
    """'1.2.3' or '1.2.3+4' (also '1.2.3.4', as devices print it) -> (1, 2, 3, 4)."""
    main, _, build = text.partition("+")
    parts = main.split(".")
    if len(parts) == 4 and not build:
        build = parts.pop()
    if not 1 <= len(parts) <= 3:
        raise ImageError(f"version '{text}' is not major.minor.revision+build")
    try:
        numbers = [int(part) for part in parts] + [0] * (3 - len(parts)) + [int(build or 0)]
    except ValueError:
        raise ImageError(f"version '{text}' is not major.minor.revision+build") from None
    if any(not 0 <= n < limit for n, limit in zip(numbers, (256, 256, 65536, 1 << 32))):
        raise ImageError(f"version '{text}': a number is out of range")
    return tuple(numbers)


def format_version(version):
    """As Zephyr and MCUboot print it: the build number only when it is not 0, with a dot."""
    text = ".".join(str(n) for n in version[:3])
    return f"{text}.{version[3]}" if version[3] else text


def _read_area(data, start, magic):
    if len(data) < start + 4:
        raise ImageError("the TLV area is missing")
    found, total = struct.unpack_from("<HH", data, start)
    if found != magic or total < 4 or len(data) < start + total:
        raise ImageError("the TLV area is damaged")
    entries, position, end = [], start + 4, start + total
    while position < end:
        if end - position < 4:
            raise ImageError("a TLV entry is cut off")
        kind, length = struct.unpack_from("<HH", data, position)
        position += 4
        if end - position < length:
            raise ImageError("a TLV entry is cut off")
        entries.append((kind, bytes(data[position:position + length])))
        position += length
    return entries, end


class Image:
    """What the bytes of a slot say about the image in it."""

    def __init__(self, data):
        if len(data) < HEADER_SIZE:
            raise ImageError("shorter than an image header")
        magic, self.load_address, self.header_size, self.protected_size, self.body_size, self.flags, major, minor, \
            revision, build = struct.unpack_from("<IIHHIIBBHI", data, 0)
        if magic != HEADER_MAGIC:
            raise ImageError("no image magic")
        if self.header_size < HEADER_SIZE:
            raise ImageError("the header is too small")
        self.version = (major, minor, revision, build)
        end = self.header_size + self.body_size
        self.protected = []
        if self.protected_size:
            self.protected, end = _read_area(data, end, TLV_PROTECTED_INFO)
        self.hashed_size = end
        self.tlvs, self.size = _read_area(data, end, TLV_INFO)
        hashes = [value for kind, value in self.tlvs if kind == TLV_SHA256]
        if len(hashes) != 1 or len(hashes[0]) != 32:
            raise ImageError("not exactly one image hash")
        self.hash = hashes[0]

    @property
    def bootable(self):
        return not self.flags & FLAG_NON_BOOTABLE

    def dependencies(self):
        """[(image number, lowest version)]"""
        found = []
        for kind, value in self.protected + self.tlvs:
            if kind == TLV_DEPENDENCY and len(value) == 12:
                found.append((value[0], struct.unpack("<BBHI", value[4:])))
        return found


class Content:
    """Immutable bytes of a slot, one object per different content in the process."""

    _all = weakref.WeakValueDictionary()

    def __init__(self, data, digest):
        self.data = data
        self.sha256 = digest
        self._verdicts = {}
        try:
            self.image = Image(data)
        except ImageError:
            self.image = None

    @classmethod
    def of(cls, data):
        digest = hashlib.sha256(data).digest()
        content = cls._all.get(digest)
        if content is None:
            content = cls(bytes(data), digest)
            cls._all[digest] = content
        return content

    def __len__(self):
        return len(self.data)

    def boot_problem(self, key=None):
        """Why a bootloader refuses this image; '' when it is good. `key` is a Verifier or None."""
        if key not in self._verdicts:
            self._verdicts[key] = self._check(key)
        return self._verdicts[key]

    def _check(self, key):
        if self.image is None:
            return "no image"
        if hashlib.sha256(self.data[:self.image.hashed_size]).digest() != self.image.hash:
            return "hash mismatch"
        return key.problem(self) if key else ""


class Verifier:
    """Signature check as the bootloader does it. Needs python3-cryptography."""

    def __init__(self, pem):
        from cryptography.hazmat.primitives import serialization
        try:
            self._key = serialization.load_pem_public_key(pem)
        except ValueError:
            self._key = serialization.load_pem_private_key(pem, None).public_key()

    def problem(self, content):
        image = content.image
        tlvs = dict(image.tlvs)
        pure = tlvs.get(TLV_SIG_PURE) == b"\x01"
        signed = content.data[:image.hashed_size] if pure else image.hash
        for kind in (TLV_ED25519, TLV_ECDSA, TLV_RSA2048, TLV_RSA3072):
            if kind in tlvs:
                return "" if self._verify(kind, tlvs[kind], signed) else "bad signature"
        return "no signature"

    def _verify(self, kind, signature, signed):
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
        digest = utils.Prehashed(hashes.SHA256())
        try:
            if kind == TLV_ED25519 and isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, signed)
            elif kind == TLV_ECDSA and isinstance(self._key, ec.EllipticCurvePublicKey):
                self._key.verify(signature, signed, ec.ECDSA(digest))
            elif kind in (TLV_RSA2048, TLV_RSA3072) and isinstance(self._key, rsa.RSAPublicKey):
                self._key.verify(signature, signed, padding.PSS(padding.MGF1(hashes.SHA256()), 32), digest)
            else:
                return False
        except InvalidSignature:
            return False
        return True


def sign(digest, pem):
    """[(TLV type, value)] that a signed image carries beside its hash."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
    key = serialization.load_pem_private_key(pem, None)
    public = key.public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    prehashed = utils.Prehashed(hashes.SHA256())
    if isinstance(key, ed25519.Ed25519PrivateKey):
        entry = (TLV_ED25519, key.sign(digest))
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        entry = (TLV_ECDSA, key.sign(digest, ec.ECDSA(prehashed)))
    elif isinstance(key, rsa.RSAPrivateKey):
        form = serialization.PublicFormat.PKCS1
        kind = TLV_RSA2048 if key.key_size == 2048 else TLV_RSA3072
        entry = (kind, key.sign(digest, padding.PSS(padding.MGF1(hashes.SHA256()), 32), prehashed))
    else:
        raise ImageError("the key is neither Ed25519, P-256 nor RSA")
    encoded = public.public_bytes(serialization.Encoding.DER, form)
    return [(TLV_KEYHASH, hashlib.sha256(encoded).digest()), entry]


def _area(magic, entries):
    body = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in entries)
    return struct.pack("<HH", magic, len(body) + 4) + body


def make_body(size, seed):
    """Incompressible, and the same on every machine for the same seed."""
    return random.Random(seed).randbytes(size)


def make_image(version, size=32768, header_size=0x200, seed="", dependencies=(), security_counter=None, flags=0,
               load_address=0, key_pem=None):
    """An MCUboot image whose body has `size` bytes; signed only if a private key is given."""
    numbers = parse_version(version) if isinstance(version, str) else version
    if not HEADER_SIZE <= header_size <= 0xFFFF:
        raise ImageError(f"a header of {header_size} bytes cannot be")
    entries = [(TLV_DEPENDENCY, struct.pack("<B3xBBHI", number, *parse_version(lowest)))
               for number, lowest in dependencies]
    if security_counter is not None:
        entries.append((TLV_SECURITY_COUNTER, struct.pack("<I", security_counter)))
    protected = _area(TLV_PROTECTED_INFO, entries) if entries else b""
    header = struct.pack("<IIHHIIBBHI4x", HEADER_MAGIC, load_address, header_size, len(protected), size, flags,
                         *numbers)
    # The unused part of the header looks like erased flash, as imgtool leaves it.
    data = header.ljust(header_size, b"\xff") + make_body(size, f"{numbers}/{seed}") + protected
    digest = hashlib.sha256(data).digest()
    tlvs = [(TLV_SHA256, digest)] + (sign(digest, key_pem) if key_pem else [])
    return data + _area(TLV_INFO, tlvs)


def pad_image(data, slot_size, confirm=False):
    """Fill up to the slot and add a trailer, as `imgtool --pad` does: such an image is pending once it is stored."""
    room = slot_size - len(data) - 32
    if room < 0:
        raise ImageError("the image and its trailer do not fit into the slot")
    ok = b"\x01" if confirm else b"\xff"
    return data + b"\xff" * room + b"\xff" * 8 + ok + b"\xff" * 7 + TRAILER_MAGIC
