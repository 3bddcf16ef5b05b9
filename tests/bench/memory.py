# SPDX-License-Identifier: Apache-2.0
"""What the daemon takes while it has nothing to do, and while it has."""

import os
import subprocess
import time

import fleet
import rig
from rig import harness

IDLE_MAX_KIB = 6 * 1024  # private dirty
N_UPLOADS = 32
UPLOADS_MAX_KIB = 8 * 1024  # more than idle, while they run


def empty_program():
    """(private dirty, PSS) of a program that has the daemon's libraries loaded and initialised, and nothing else."""
    process = subprocess.Popen([harness.BUILD / "tests/bench/bench_empty"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        return rig.memory_kib(process.pid)
    finally:
        process.communicate()


def mib(kib):
    return f"{kib / 1024:.2f} MiB"


def loaded_plugins(daemon):
    """Their names; all that were built must be there."""
    loaded = {plugin["name"] for plugin in daemon.call("gateway.info")["plugins"]}
    built = {path.stem for path in harness.PLUGINS.glob("*.so")}
    if loaded != built:
        raise RuntimeError(f"built are the plugins {built}, loaded are {loaded}")
    return ", ".join(sorted(loaded))


def simulate(folder):
    """Half of the devices on UDP, half on serial lines."""
    half = N_UPLOADS // 2
    udp = ",".join(f"{name}={value}" for name, value in fleet.LINK.items())
    return harness.Simulator(folder / "sim", "--udp", "127.0.0.1:0", "--udp-count", half, "--pty", folder / "tty-%d", "--pty-count", half,
                             "--device", f"0-{half - 1}:{udp}", "--device", f"{half}-{N_UPLOADS - 1}:baud=115200")


def sizes(report, folder, arguments):
    """memory of the daemon, idle with all plugins loaded, and while 32 uploads run, half of them over serial lines"""
    os.sync()  # pages of a program that was built just now are dirty as long as they are not on the disk, and would be counted
    empty = empty_program()  # before the daemon runs: what two programs share counts half for each
    simulator = simulate(folder)
    image, _ = harness.make_image(folder / "app.bin", "1.1.0", "--size", fleet.IMAGE)
    daemon = rig.Daemon(folder / "gw")
    try:
        _idle(report, daemon, empty)
        daemon.adopt(simulator)
        daemon.import_file(image)
        _busy(report, daemon, simulator, image)
    finally:
        daemon.stop()
        simulator.stop()


def _idle(report, daemon, empty):
    private, pss = rig.memory_kib(daemon.pid)
    report.row(f"idle ({loaded_plugins(daemon)}), private dirty", mib(private), mib(IDLE_MAX_KIB), private / IDLE_MAX_KIB, at_most=1)
    report.row("the same", mib(private), f"empty program {mib(empty[0])}", private / empty[0])
    report.row("idle, PSS", mib(pss), f"empty program {mib(empty[1])}", pss / empty[1])


def _busy(report, daemon, simulator, image):
    all_upload = rig.uploads_begin(simulator)
    client = daemon.watch()
    idle, _ = rig.memory_kib(daemon.pid)
    daemon.order(image)
    all_upload(N_UPLOADS)
    more = rig.memory_kib(daemon.pid)[0] - idle
    report.row(f"{N_UPLOADS} uploads running, private dirty more", mib(more), mib(UPLOADS_MAX_KIB), more / UPLOADS_MAX_KIB, at_most=1)
    daemon.await_end(client)
    report.row("all done, private dirty", mib(rig.memory_kib(daemon.pid)[0]))


def wakeups(report, folder, arguments):
    """how often the idle daemon wakes up, all plugins loaded, one device adopted"""
    simulator = harness.Simulator(folder / "sim", "--udp", "127.0.0.1:0")
    daemon = rig.Daemon(folder / "gw")
    try:
        daemon.adopt(simulator)
        before, cpu, begin = rig.wakeups(daemon.pid), rig.cpu_seconds(daemon.pid), time.monotonic()
        time.sleep(arguments.idle_seconds)
        passed = time.monotonic() - begin
        count = rig.wakeups(daemon.pid) - before
        report.row(f"{count} wake-ups in {passed:.0f} s", f"{count / passed * 60:.2f} a minute", f"{(rig.cpu_seconds(daemon.pid) - cpu) * 1000:.2f} ms CPU")
    finally:
        daemon.stop()
        simulator.stop()
