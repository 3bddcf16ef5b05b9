# SPDX-License-Identifier: Apache-2.0
"""What one device of a campaign costs the disk."""

import rig
from rig import harness

SYNCS_MAX = 12
BYTES_MAX = 64 * 1024
IMAGE = 200 * 1024


def io(daemon):
    text = rig.proc(daemon.pid, "io")
    return rig.field(text, "wchar"), rig.field(text, "write_bytes")


def budget(report, folder, arguments):
    """synced transactions and bytes written for one device, from the order to the proof, the campaign's own included"""
    for n in (1, 10, 100):
        simulator = harness.Simulator(folder / str(n) / "sim", "--udp", "127.0.0.1:0", "--count", n)
        image, _ = harness.make_image(folder / str(n) / "app.bin", "1.1.0", "--size", IMAGE)
        daemon = rig.Daemon(folder / str(n) / "gw")
        try:
            daemon.adopt(simulator)
            _measure(report, daemon, image, n)
        finally:
            daemon.stop()
            simulator.stop()


def _measure(report, daemon, image, n):
    daemon.import_file(image)
    before, io_before = daemon.store(), io(daemon)
    daemon.update_all(image)
    after, io_after = daemon.store(), io(daemon)
    syncs = (after["syncs"] - before["syncs"]) / n
    written = (after["written_bytes"] - before["written_bytes"]) / n
    calls, disk = ((late - early) / n for late, early in zip(io_after, io_before))
    report.row(f"{n} devices: synced transactions each", f"{syncs:.2f}", f"{SYNCS_MAX}", syncs / SYNCS_MAX, at_most=1)
    report.row(f"{n} devices: bytes written each", f"{written / 1024:.1f} KiB", f"{BYTES_MAX // 1024} KiB", written / BYTES_MAX, at_most=1)
    # The kernel counts every write() of the daemon, its log too; and whole 4 KiB pages on the way to the disk.
    report.row("   the kernel's count of the same", f"{calls / 1024:.1f} KiB", f"in whole pages {disk / 1024:.1f} KiB")
