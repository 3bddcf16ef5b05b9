# SPDX-License-Identifier: Apache-2.0
"""A journal of its own: systemd-journald in a mount namespace with a private /run, without a booted systemd.

    journal_room.py serve      to be started in a new mount namespace: says "ready", ends with its standard input
    journal_room.py run COMMAND...   in that namespace: the command with standard error to the journal, as systemd starts a unit
"""

import ctypes
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys

JOURNALD = "/lib/systemd/systemd-journald"
SOCKETS = pathlib.Path("/run/systemd/journal")
PR_SET_PDEATHSIG = 1
START_S = 20
NO_ROOM = 77  # exit code: it may not mount here


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def make_room():
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    SOCKETS.mkdir(parents=True)
    settings = pathlib.Path("/run/systemd/journald.conf.d")
    settings.mkdir()
    (settings / "room.conf").write_text("[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\nForwardToWall=no\nRateLimitBurst=0\n")
    # A container image may have an empty one.
    own = pathlib.Path("/run/machine-id")
    own.write_text("0123456789abcdef0123456789abcdef\n")
    mount("--bind", str(own), "/etc/machine-id")


def start_journald():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind("/run/notify")
        libc = ctypes.CDLL(None)
        child = subprocess.Popen([JOURNALD], env=dict(os.environ, NOTIFY_SOCKET="/run/notify"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        while select.select([notify], [], [], START_S)[0]:
            if b"READY=1" in notify.recv(4096):
                return child
    sys.exit("journald does not start")


def serve():
    try:
        make_room()
    except subprocess.CalledProcessError:
        sys.exit(NO_ROOM)
    journald = start_journald()
    print("ready", flush=True)
    sys.stdin.read()
    journald.terminate()
    journald.wait()


def run(command):
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(str(SOCKETS / "stdout"))
    # identifier, unit, priority, level prefix, then three times where else it goes
    stream.sendall(f"{os.path.basename(command[0])}\n\n6\n1\n0\n0\n0\n".encode())
    status = os.fstat(stream.fileno())
    os.dup2(stream.fileno(), 2)
    os.execve(command[0], command, dict(os.environ, JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}"))


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else run(sys.argv[2:])
