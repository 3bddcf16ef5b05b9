# SPDX-License-Identifier: Apache-2.0
"""Runs in the machine, as its first program: leads the scenarios of the job, one after the other, each in a process of its own and in a
Bluetooth that was switched on for it. A scenario that hangs is ended with everything it started. What happened goes to the
console, a line of JSON each; logs go to the shared folder."""

import faulthandler
import json
import os
import pathlib
import select
import shutil
import signal
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
OUT = pathlib.Path("/run/out")
ROOM = pathlib.Path("/run/scenario")
MARK = "@vm "
# What goes to the shared folder of a scenario's own folder: what people read.
KEPT = {".log", ".jsonl", ".json", ".conf", ".txt", ".btsnoop"}
MAX_KEPT = 16 << 20

sys.path[:0] = [str(HERE), str(HERE.parents[2] / "simulators"), str(HERE.parents[1] / "integration")]


def say(**facts):
    os.write(1, (MARK + json.dumps(facts) + "\n").encode())


def wait_end(pid, deadline):
    """The process's exit status, None when it had to be waited for longer."""
    descriptor = os.pidfd_open(pid)
    try:
        if not select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
            return None
    finally:
        os.close(descriptor)
    return os.waitpid(pid, 0)[1]


def session_processes(session):
    """(process id, seconds of the processor, command) of what a scenario started and still runs."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else None
            if fields and int(fields[3]) == session and fields[0] != "Z":
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield int(entry.name), (int(fields[11]) + int(fields[12])) / 100, command
        except (FileNotFoundError, ProcessLookupError):
            pass  # ended meanwhile


def end_session(session, list_path):
    """Ends all that a scenario started and did not end itself, and writes down what it was."""
    with open(list_path, "w") as file:
        for pid, seconds, command in session_processes(session):
            file.write(f"{pid} {seconds:.2f} s {command}\n")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # ended meanwhile
    while True:  # the orphans among them are this process's children now
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def child(scenario, folder, options):
    """Is the scenario's process; never returns."""
    code = 1
    try:
        os.setsid()
        log = os.open(folder / "scenario.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        faulthandler.dump_traceback_later(max(scenario.timeout_s - 2, 1))  # a scenario that hangs says where
        import room
        with room.Room(folder, scenario, options) as here:
            scenario.function(here)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def keep(folder, name):
    """Copies what a person may want to read to the shared folder."""
    target = OUT / name
    target.mkdir(exist_ok=True)
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in KEPT and path.stat().st_size <= MAX_KEPT:
            shutil.copyfile(path, target / "-".join(path.relative_to(folder).parts))


def run_scenario(scenario, options):
    folder = ROOM / scenario.name
    folder.mkdir(parents=True)
    began = time.monotonic()
    say(begin=scenario.name)
    pid = os.fork()
    if pid == 0:
        child(scenario, folder, options)
    follower = Follower(folder / "scenario.log") if scenario.shown or options.get("follow") else None
    deadline = began + scenario.timeout_s
    if follower:
        status = follower.until_end(pid, deadline)
    else:
        status = wait_end(pid, deadline)
    hanging = status is None
    if hanging:
        with open(folder / "scenario.log", "a") as log:
            log.write(f"\nended by the watchdog after {scenario.timeout_s} s\n")
    end_session(pid, folder / "left-running.txt")
    keep(folder, scenario.name)
    say(end=scenario.name, passed=status == 0, hanging=hanging, seconds=round(time.monotonic() - began, 1), last=last_line(folder / "scenario.log"))
    shutil.rmtree(folder)


class Follower:
    """Repeats a growing file to the console."""

    STEP_S = 0.2

    def __init__(self, path):
        self.path = path
        self.position = 0
        self.pending = ""

    def until_end(self, pid, deadline):
        status = None
        while status is None and time.monotonic() < deadline:
            status = wait_end(pid, min(deadline, time.monotonic() + self.STEP_S))
            self._repeat()
        return status

    def _repeat(self):
        if not self.path.exists():
            return
        with open(self.path, errors="replace") as file:
            file.seek(self.position)
            self.pending += file.read()
            self.position = file.tell()
        *lines, self.pending = self.pending.split("\n")
        for line in lines:
            say(text=line)


def last_line(path):
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else ""


def warm():
    """Imports once what every scenario needs; the scenarios' processes are forked from this one."""
    import dbus.mainloop.glib  # noqa: F401
    import dbus.service  # noqa: F401
    from gi.repository import GLib  # noqa: F401
    import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
    import mqtt_broker  # noqa: F401
    import room  # noqa: F401


def main():
    job = json.loads(pathlib.Path(sys.argv[1]).read_text())
    os.environ.update(job.get("environment", {}))
    import ctypes
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans of a scenario are waited for here
    import scenario as scenarios
    try:
        found = scenarios.load(job["files"])
        chosen = [next(one for one in found if one.name == name) for name in job["names"]]
        warm()
    except Exception:
        say(broken=traceback.format_exc())
        return
    say(up=round(time.clock_gettime(time.CLOCK_BOOTTIME), 1))
    for one in chosen:
        run_scenario(one, job.get("options", {}))
    say(done=True)


main()
