# SPDX-License-Identifier: Apache-2.0
"""A Debian 12 with the project installed, booted by systemd-nspawn: init, journal, users and sandbox as on a gateway, only the kernel is
the one of the machine that tests. The base root is made once and kept in build/systemd; every run gets a copy of its own."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import harness

SUITE = "bookworm"
# What the installed files need, then what the simulated devices and the tests need.
PACKAGES = ["systemd", "systemd-sysv", "dbus", "libcbor0.8", "libcurl4", "libjson-c5", "libsqlite3-0", "libssl3", "libsystemd0", "libuv1", "libzip4",
            "bash-completion", "openssl", "python3-minimal", "python3-cbor2"]
CACHE = harness.ROOT / "build/systemd"
BOOT_S = 90
STOP_S = 60
SIMULATORS = "/opt/simulators"


def _mirror():
    """Where this machine gets its packages from."""
    sources = [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    for source in sources:
        text = source.read_text() if source.suffix in (".list", ".sources") and source.exists() else ""
        found = re.search(r"^(?:deb +(?:\[[^]]*\] +)?|URIs: *)(https?://\S*/debian)/?(?:\s|$)", text, re.MULTILINE)
        if found:
            return found.group(1)
    return "http://deb.debian.org/debian"


def _remove_tree(folder):
    """Never into anything that is mounted there."""
    subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)


def base_root():
    """The folder of a Debian 12 with PACKAGES; made when it is not there yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    base = CACHE / ("base-" + hashlib.sha256(" ".join([SUITE, *PACKAGES]).encode()).hexdigest()[:12])
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if base.exists():
            return base
        unfinished = base.with_suffix(".new")
        _remove_tree(unfinished)
        # In a mount namespace of its own: what debootstrap mounts in there is gone with it, also when it is killed.
        apart = ["unshare", "--mount"]
        subprocess.run([*apart, "debootstrap", "--variant=minbase", SUITE, str(unfinished), _mirror()], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*apart, "chroot", str(unfinished), "apt-get", "-qq", "install", "-y", "--no-install-recommends", *PACKAGES], check=True,
                       env=dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C"), stdout=subprocess.DEVNULL)
        subprocess.run(["chroot", str(unfinished), "apt-get", "clean"], check=True)
        unfinished.rename(base)
    return base


def install_project(root):
    """What `cmake --install` puts there, and the users of sysusers.d."""
    subprocess.run(["cmake", "--install", str(harness.BUILD), "--prefix", "/usr"], env=dict(os.environ, DESTDIR=str(root)), check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["systemd-sysusers", f"--root={root}"], check=True)


def _make_root(folder):
    """The base root with a layer in memory above it; answers its path."""
    layer = folder / "layer"
    layer.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(layer)], check=True)
    upper, work, root = (layer / name for name in ("upper", "work", "root"))
    for path in (upper, work, root):
        path.mkdir()
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={base_root()},upperdir={upper},workdir={work}", str(root)], check=True)
    _fill_root(root)
    return root


def _unmake_root(folder):
    for path in (folder / "layer/root", folder / "layer"):
        if os.path.ismount(path):
            subprocess.run(["umount", str(path)], check=True)
    _remove_tree(folder)


def _fill_root(root):
    install_project(root)
    shutil.copytree(harness.ROOT / "simulators", str(root) + SIMULATORS, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc/hostname").write_text("testgateway\n")
    (root / "etc/machine-id").write_text("")
    subprocess.run(["systemctl", f"--root={root}", "--quiet", "enable", "gatewayd.service"], check=True)


def _own_cgroups(name):
    """Where PID 1 is not systemd nobody makes a control group for the container: those that it may have for itself."""
    if os.path.isdir("/run/systemd/system"):
        return []
    mounts = pathlib.Path("/sys/fs/cgroup")
    found = [mounts / kind for kind in ("systemd", "unified") if (mounts / kind / "cgroup.procs").exists()]
    if not found and (mounts / "cgroup.procs").exists():
        found = [mounts]
    return [mount / name for mount in found]


class Machine:
    """One booted container. Nothing in it can reach a network; tests reach its sockets through path()."""

    def __init__(self):
        self.name = f"gatewayd-test-{os.getpid()}"
        self.folder = CACHE / self.name
        self.process = None
        self.leader = None
        self.cgroups = []
        self.units = {}

    # --- from power on to power off ---

    def boot(self):
        for left in CACHE.glob("gatewayd-test-*"):  # of a run that was killed
            if not os.path.exists("/proc/" + left.name.rpartition("-")[2]):
                _unmake_root(left)
                for cgroup in _own_cgroups(left.name):
                    self._remove_cgroup(cgroup)
        root = _make_root(self.folder)
        self.cgroups = _own_cgroups(self.name)
        for cgroup in self.cgroups:
            cgroup.mkdir(exist_ok=True)
        # The shell enters the control groups before it becomes nspawn, so that nothing of this test's own is ever in them.
        enter = "for group; do [ \"$group\" = -- ] && break; shift; echo $$ > \"$group/cgroup.procs\"; done; shift; exec \"$@\""
        command = ["systemd-nspawn", "--quiet", "-D", str(root), "--boot", "--register=no", *(["--keep-unit"] if self.cgroups else []),
                   "--private-network", "--link-journal=no", "--console=pipe", f"--machine={self.name}"]
        self.console = open(self.folder / "console", "wb")
        # nspawn powers the container off on SIGTERM: also when this test is killed.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "sh", "-c", enter, "sh", *[str(cgroup) for cgroup in self.cgroups], "--", *command],
                                        stdin=subprocess.DEVNULL, stdout=self.console, stderr=subprocess.STDOUT)
        self._await_boot()
        return self

    def _await_boot(self):
        deadline = time.monotonic() + BOOT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            self.leader = self._find_leader()
            if self.leader and self.try_run("systemctl", "is-system-running", "--wait").stdout.strip() in ("running", "degraded"):
                return
            time.sleep(0.1)  # before D-Bus is there, there is nothing to wait on
        raise RuntimeError("the container does not boot:\n" + (self.folder / "console").read_text(errors="replace")[-4000:])

    def _find_leader(self):
        with contextlib.suppress(OSError):
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            return int(children[-1]) if children else None

    def power_off(self):
        for name in list(self.units):
            self.end(name)
        if self.process:
            self._end()
            self.console.close()
        for cgroup in self.cgroups:
            self._remove_cgroup(cgroup)
        with contextlib.suppress(OSError):  # nspawn itself leaves it where /run is no tmpfs
            os.rmdir(f"/run/systemd/nspawn/propagate/{self.name}")
        _unmake_root(self.folder)

    def _end(self):
        if self.process.poll() is None and self.leader:
            self.try_run("systemctl", "--no-block", "poweroff")
        try:
            self.process.wait(STOP_S if self.leader else 1)
        except subprocess.TimeoutExpired:
            if self.leader:  # PID 1 of the container: all of it goes
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.leader, signal.SIGKILL)
            self.process.terminate()
            self.process.wait(STOP_S)

    @staticmethod
    def _remove_cgroup(cgroup):
        for folder, _, _ in os.walk(cgroup, topdown=False):
            os.rmdir(folder)

    # --- inside ---

    def path(self, path):
        """A path of the container as this test sees it: files in /run and sockets too."""
        return pathlib.Path(f"/proc/{self.leader}/root{path}")

    def _enter(self, command):
        # env: nothing of this test's own surroundings counts inside.
        return ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "env", "-i",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=cat",
                *[str(word) for word in command]]

    def try_run(self, *command, **options):
        return subprocess.run(self._enter(command), capture_output=True, text=True, timeout=harness.PATIENCE_S, **options)

    def run(self, *command, **options):
        done = self.try_run(*command, **options)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def begin(self, name, *command):
        """A transient unit whose standard output is read here. (What nsenter starts would be nobody's when the container goes down.)"""
        child = subprocess.Popen(self._enter(["systemd-run", "--quiet", "--collect", "--pipe", f"--unit={name}", *command]), text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.units[name] = child
        return child

    def end(self, name):
        child = self.units.pop(name)
        self.try_run("systemctl", "stop", name)
        child.wait(harness.PATIENCE_S)
        child.stdout.close()

    def as_user(self, user, *command):
        return self.try_run("runuser", "-u", user, "--", *command)

    # --- the unit ---

    def show(self, name, unit="gatewayd.service"):
        return self.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def await_unit(self, wanted, what):
        """Until wanted() answers something true; answers it."""
        deadline = time.monotonic() + harness.PATIENCE_S
        while time.monotonic() < deadline:
            answer = wanted()
            if answer:
                return answer
            time.sleep(0.05)
        raise AssertionError(f"waited in vain: {what}\n" + self.run("systemctl", "status", "--no-pager", "-l", "gatewayd.service"))

    def configure(self, text):
        self.path("/etc/gatewayd/gatewayd.conf").write_text(text)

    def drop_in(self, name, text):
        folder = self.path("/run/systemd/system/gatewayd.service.d")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.conf").write_text(text)
        self.run("systemctl", "daemon-reload")

    def client(self):
        return harness.Client(self.path("/run/gatewayd/control.sock"))

    def journal(self, *matches):
        """Entries of the journal, oldest first."""
        self.run("journalctl", "--sync")
        lines = self.run("journalctl", "-o", "json", "--no-pager", *matches).splitlines()
        return [json.loads(line) for line in lines]
