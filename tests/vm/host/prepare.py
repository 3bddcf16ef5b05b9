# SPDX-License-Identifier: Apache-2.0
"""Makes the machine from Debian packages: an uncompressed kernel and an initramfs, in a folder that is kept from one run to the next.

The root of the machine is the root of this computer, by 9p and read-only, so that what was built here is there at the same path. Over it
lies what the initramfs carries: the packages that need not be installed here (bluetoothd, btvirt, busybox), and copies of the files
that are read at every start, because a file by 9p costs an emulated machine milliseconds."""

import bz2
import hashlib
import json
import lzma
import os
import pathlib
import re
import shutil
import stat
import struct
import subprocess
import tempfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent.parent
GUEST_PACKAGES = ["bluez", "bluez-test-tools", "busybox-static"]
# gatewayd/ble/kernel.h says what is wrong with them.
FAILING_KERNELS = (6, 1, 191), (6, 1, 192)
# In the order of need; modprobe adds what they depend on. The ones behind virtio and 9p are for Bluetooth: bluetoothd does its
# cryptography through AF_ALG, the kernel its pairing with CMAC and ECDH.
MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay", "hmac", "sha512_generic", "sha256_generic", "ctr", "drbg", "cmac", "ecb",
           "ecdh_generic", "hci_vhci", "algif_hash", "algif_skcipher"]
PROGRAMS = ["/usr/bin/dbus-daemon", "/usr/bin/dbus-uuidgen", "/usr/bin/busctl", "/usr/bin/python3.11", "/usr/bin/dash"]
PYTHON = "usr/lib/python3.11"
PYTHON_WITHOUT = re.compile(r"(^|/)(test|idlelib|lib2to3|ensurepip|pydoc_data|tkinter|turtledemo|config-3.*)(/|$)")
PYTHON_PACKAGES = ["dbus", "_dbus_bindings", "_dbus_glib_bindings", "gi", "cbor2", "_cbor2", "jsonschema", "attr", "attrs", "pyrsistent",
                   "_pyrsistent_version"]
GUEST_WITHOUT = re.compile(r"^usr/share/(doc|man|zsh|lintian|dbus-1/system-services)/|^usr/bin/[a-z0-9]*-tester$|^lib/systemd/|^usr/lib/(systemd|cups)/")
COMPRESSIONS = {b"\xfd7zXZ": lambda data: lzma.LZMADecompressor().decompress(data), b"\x1f\x8b": lambda data: zlib.decompressobj(31).decompress(data),
                b"BZh": lambda data: bz2.BZ2Decompressor().decompress(data)}


class Trouble(Exception):
    """What keeps the machine from being made or from running, for a person."""


def run(*words, **options):
    try:
        return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, **options).stdout
    except FileNotFoundError:
        raise Trouble(f"{words[0]} is missing") from None
    except subprocess.CalledProcessError as problem:
        raise Trouble(f"{' '.join(map(str, words))}: {problem.stderr.strip() or problem.stdout.strip()}") from None


# --- what the machine consists of ---------------------------------------------------------------------------------------------


def upstream(version):
    """"6.1.192-2" -> (6, 1, 192)"""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0]))


def kernel_package():
    """The newest kernel that apt has and that does not fail when a link ends; of those that do, the newest, where there is no other.
    (The cloud flavour has no Bluetooth.)"""
    found = re.findall(r"^ *(linux-image-[0-9.]+-[0-9]+-amd64) *\| *(\S+) *\|", run("apt-cache", "madison", *kernel_names()), re.M)
    if not found:
        raise Trouble("apt knows no linux-image-amd64: the machine is made from Debian's packages for amd64 (apt-get update?)")
    return max(found, key=lambda one: (not FAILING_KERNELS[0] <= upstream(one[1]) <= FAILING_KERNELS[1], upstream(one[1]), one[1]))[0]


def kernel_names():
    return re.findall(r"^(linux-image-[0-9.]+-[0-9]+-amd64) ", run("apt-cache", "search", "--names-only", "^linux-image-[0-9.]+-[0-9]+-amd64$"), re.M)


def candidates(packages):
    """name -> version that apt would take"""
    text = run("apt-cache", "policy", *packages)
    found = dict(re.findall(r"^(\S+):\n(?:.*\n)*?  Candidate: (\S+)$", text, re.M))
    missing = [package for package in packages if found.get(package, "(none)") == "(none)"]
    if missing:
        raise Trouble(f"apt does not know {', '.join(missing)} (apt-get update?)")
    return found


def python_files():
    """Files and folders of Debian's Python that go into the initramfs."""
    top = pathlib.Path("/") / PYTHON
    found = [path for path in top.rglob("*") if path.is_file() and not PYTHON_WITHOUT.search(str(path.relative_to(top)))]
    packages = pathlib.Path("/usr/lib/python3/dist-packages")
    for name in PYTHON_PACKAGES:
        for start in packages.glob(name + "*"):
            if start.name.split(".")[0] == name:
                found += [start] if start.is_file() else [path for path in start.rglob("*") if path.is_file()]
    return found + list(pathlib.Path("/usr/lib/x86_64-linux-gnu/girepository-1.0").glob("G[LOi][iob]*-2.0.typelib"))


def libraries_of(paths):
    found = set()
    for path in paths:
        out = subprocess.run(["ldd", str(path)], capture_output=True, text=True).stdout
        found.update(re.findall(r"(/\S+\.so\S*)", out))
    return sorted(found)


def recipe():
    """What decides whether a machine made earlier still holds: text of this recipe, versions of the packages, files of this computer."""
    digest = hashlib.sha256()
    for path in [pathlib.Path(__file__), HERE / "guest/init"]:
        digest.update(path.read_bytes())
    wanted = candidates(GUEST_PACKAGES + [kernel_package()])
    installed = run("dpkg-query", "-W", "python3.11-minimal", "libpython3.11-stdlib", "dbus-daemon", "python3-dbus", "python3-gi", "python3-cbor2",
                    "python3-jsonschema", "libc6")
    return {"recipe": digest.hexdigest(), "packages": wanted, "installed": installed.split()}


# --- kernel -------------------------------------------------------------------------------------------------------------------


def vmlinux_of(image):
    """The ELF file inside a bzImage: qemu starts it at once (PVH), without the BIOS and without unpacking it in the machine."""
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    payload = image[(setup_sectors + 1) * 512 + offset:][:length]
    for magic, unpack in COMPRESSIONS.items():
        if payload.startswith(magic):
            elf = unpack(payload)
            if elf.startswith(b"\x7fELF"):
                return elf
    raise Trouble("the kernel is packed in a way that this recipe does not know")


def modules_of(folder, release):
    """Paths of the modules, each behind those that it needs."""
    run("/sbin/depmod", "-b", folder, release)
    found = []
    for name in MODULES:
        for line in run("/sbin/modprobe", "-d", folder, "-S", release, "--show-depends", name).splitlines():
            path = line.split()[1] if line.startswith("insmod ") else None
            if path and path not in found:
                found.append(path)
    return [pathlib.Path(path) for path in found]


# --- initramfs ----------------------------------------------------------------------------------------------------------------


class Archive:
    """A cpio archive as the kernel reads it (newc). Everything in it belongs to root."""

    def __init__(self, stream):
        self.stream = stream
        self.names = set()

    def _entry(self, name, mode, data, modified=0):
        self.names.add(name)
        encoded = name.encode() + b"\0"
        fields = (len(self.names), mode, 0, 0, 1, int(modified), len(data), 0, 0, 0, 0, len(encoded), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        for part in (head, data):
            self.stream.write(part)
            self.stream.write(b"\0" * (-len(part) % 4))

    def folder(self, name):
        parts = pathlib.PurePosixPath(name).parts
        for end in range(1, len(parts) + 1):
            part = "/".join(parts[:end])
            if part not in self.names:
                self._entry(part, stat.S_IFDIR | 0o755, b"")

    def file(self, name, data, mode=0o644, modified=0):
        if name not in self.names:
            self.folder(os.path.dirname(name))
            self._entry(name, stat.S_IFREG | mode, data, modified)

    def link(self, name, target):
        if name not in self.names:
            self.folder(os.path.dirname(name))
            self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def copy(self, path, name):
        """A file of this computer, or the link that it is."""
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            self.link(name, os.readlink(path))
        else:
            self.file(name, pathlib.Path(path).read_bytes(), stat.S_IMODE(status.st_mode) & 0o777, status.st_mtime)

    def close(self):
        self._entry("TRAILER!!!", 0, b"")


def merged(name):
    """/lib and /bin are links to /usr/... here; a folder of that name in the upper layer would hide them."""
    return "usr/" + name if name.split("/")[0] in ("bin", "sbin", "lib", "lib64") else name


def add_guest_layer(archive, unpacked):
    """guest/: the layer over the root of this computer."""
    for path in sorted(unpacked.rglob("*")):
        name = str(path.relative_to(unpacked))
        if not path.is_dir() and not GUEST_WITHOUT.search(name):
            archive.copy(path, "guest/" + merged(name))
    binaries = [unpacked / name for name in ("usr/libexec/bluetooth/bluetoothd", "usr/bin/btvirt", "usr/bin/btmgmt", "usr/bin/btmon")]
    files = python_files()
    binaries += PROGRAMS + [path for path in files if path.suffix == ".so"]
    for path in libraries_of(binaries):
        archive.file("guest/" + merged(path.lstrip("/")), pathlib.Path(path).read_bytes(), 0o755)
    for path in files + [pathlib.Path(program) for program in PROGRAMS]:
        archive.copy(path, "guest/" + merged(str(path).lstrip("/")))
    archive.copy("/etc/ld.so.cache", "guest/etc/ld.so.cache")


def add_modules(archive, modules):
    for path in modules:
        archive.file(f"modules/{path.name}", path.read_bytes())
    archive.file("modules/order", "\n".join(path.name for path in modules).encode() + b"\n")


def write_initramfs(path, unpacked, modules):
    with open(path, "wb") as stream:
        archive = Archive(stream)
        for name in ("proc", "sys", "dev", "host", "upper", "root", "bin"):
            archive.folder(name)
        busybox = next(place for place in (unpacked / "bin/busybox", unpacked / "usr/bin/busybox") if place.exists())
        archive.file("bin/busybox", busybox.read_bytes(), 0o755)
        archive.file("init", (HERE / "guest/init").read_bytes(), 0o755)
        add_modules(archive, modules)
        add_guest_layer(archive, unpacked)
        archive.close()


# --- together -----------------------------------------------------------------------------------------------------------------


def download(folder, packages):
    """apt-get download, only what is not there yet. A list of packages that is too old is brought up to date once."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run("apt-get", "download", *packages, cwd=folder)
    except Trouble:
        administrator = [] if os.geteuid() == 0 else ["sudo"]
        run(*administrator, "apt-get", "-o", "DPkg::Lock::Timeout=900", "-qq", "update")
        run("apt-get", "download", *packages, cwd=folder)
    newest = {}
    for path in sorted(folder.glob("*.deb"), key=lambda path: path.stat().st_mtime):
        newest[path.name.split("_")[0]] = path
    for path in folder.glob("*.deb"):
        if path not in newest.values():
            path.unlink()
    return [newest[package] for package in packages]


def make(folder, wanted):
    kernel = next(name for name in wanted["packages"] if name.startswith("linux-image-"))
    release = kernel.removeprefix("linux-image-")
    *guest, image = download(folder / "packages", GUEST_PACKAGES + [kernel])
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        unpacked, kernel_files = pathlib.Path(scratch) / "guest", pathlib.Path(scratch) / "kernel"
        for package in guest:
            run("dpkg-deb", "-x", package, unpacked)
        run("dpkg-deb", "-x", image, kernel_files)
        (folder / "vmlinux").write_bytes(vmlinux_of((kernel_files / f"boot/vmlinuz-{release}").read_bytes()))
        write_initramfs(folder / "initramfs.cpio", unpacked, modules_of(kernel_files, release))


def prepare(folder, say):
    """Makes the machine in `folder` unless one that still holds is there."""
    folder.mkdir(parents=True, exist_ok=True)
    made, wanted = folder / "made.json", recipe()
    if made.exists() and json.loads(made.read_text()) == wanted:
        return
    say("making the virtual machine from Debian's packages")
    made.unlink(missing_ok=True)
    make(folder, wanted)
    made.write_text(json.dumps(wanted, indent=1))
