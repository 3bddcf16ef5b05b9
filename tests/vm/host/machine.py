# SPDX-License-Identifier: Apache-2.0
"""Boots the machine and hears what it says: lines of JSON behind a mark on its console; all other text there is its kernel's."""

import ctypes
import json
import os
import pathlib
import re
import selectors
import shutil
import signal
import subprocess
import time

from .prepare import HERE, Trouble, run

MARK = b"@vm "
# How the kernel begins to say that it cannot go on; with oops=panic it then ends the machine.
FAULT = re.compile(rb"(kernel BUG at \S+|BUG: .*|Oops: .*|Kernel panic - .*|general protection fault.*)")
MEMORY_MIB = 1536
# One emulated processor whose clock counts instructions, not seconds. A computer that is busy with something else slows the machine's clock
# along with its work, so that no timeout in it (2 s for a command to a controller, 420 ms for a link) is met because of that. While all
# in it wait, its clock is the computer's. (sleep=off would let it jump to the next timer, also while a file comes by 9p: too far.)
CLOCK = ["-accel", "tcg", "-cpu", "qemu64", "-icount", "shift=1,sleep=on"]


def _end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Machine:
    def __init__(self, folder, job, clock=CLOCK):
        """folder: where prepare() made it. job: for guest/agent.py; job["out"] is the folder that the machine may write to."""
        out = pathlib.Path(job["out"])
        (out / "job.json").write_text(json.dumps(job))
        (out / "agent").write_text(str(HERE / "guest/agent.py"))
        self.console = open(out / "console.log", "ab")
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", *clock, "-M", "q35", "-m", str(MEMORY_MIB), "-smp", "1", "-nodefaults", "-display", "none", "-no-reboot",
             "-serial", "stdio", "-kernel", str(folder / "vmlinux"), "-initrd", str(folder / "initramfs.cpio"),
             *self._shared("host", "/", ",readonly=on"), *self._shared("out", out), "-device", "virtio-rng-pci",
             "-append", "console=ttyS0 oops=panic panic=-1 quiet cryptomgr.notests random.trust_cpu=on"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=_end_with_parent)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.pending = b""
        self.fault = ""     # of the machine's kernel

    @staticmethod
    def _shared(name, path, options=""):
        return ["-fsdev", f"local,id={name},path={path},security_model=none,multidevs=remap{options}",
                "-device", f"virtio-9p-pci,fsdev={name},mount_tag={name}"]

    def messages(self, patience_s):
        """What it says, until it ends; None each time that it says nothing for so long."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            end = time.monotonic() + patience_s
            while True:
                ready = selector.select(max(0, end - time.monotonic()))
                data = self.process.stdout.read() if ready else b""
                if ready and not data:
                    return
                self.console.write(data)
                self.console.flush()
                *lines, self.pending = (self.pending + data).split(b"\n")
                found = [json.loads(line[len(MARK):]) for line in lines if line.startswith(MARK)]
                self._note_fault(lines)
                yield from found
                if found:
                    end = time.monotonic() + patience_s
                elif time.monotonic() >= end:
                    yield None
                    end = time.monotonic() + patience_s

    def _note_fault(self, lines):
        for line in lines:
            match = None if self.fault or line.startswith(MARK) else FAULT.search(line)
            if match:
                self.fault = match.group(1).decode(errors="replace").strip()

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.console.close()


def check_host():
    if not shutil.which("qemu-system-x86_64"):
        raise Trouble("qemu-system-x86_64 is missing (Debian: qemu-system-x86)")
    if run("dpkg", "--print-architecture").strip() != "amd64":
        raise Trouble("the machine's root is this computer's own, so this computer must be amd64")
