#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Speed and size of the real daemon against simulated devices: ./dev bench [NAME...]

Each line says what was measured, the limit it is held against, both from this same run, and their ratio; lines without a
verdict are there to be read. Ends with 1 when a figure is outside its limit. docs/PERFORMANCE.md explains the figures."""

import argparse
import os
import pathlib
import platform
import sys
import tempfile
import time

WIDTHS = (46, 19, 27, 7, 8)


class Report:
    """The table, printed line by line as the figures come."""

    def __init__(self):
        self.n_failed = 0
        self._line("what", "measured", "limit, from this run", "ratio", "wanted")

    def _line(self, *cells, verdict=""):
        print(" ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS)), verdict, flush=True)

    def section(self, title):
        print(f"\n{title}", flush=True)

    def row(self, what, measured, limit="", ratio=None, at_least=None, at_most=None):
        """A line; with at_least or at_most it has a verdict."""
        wanted, verdict = "", ""
        if at_least is not None or at_most is not None:
            ok = ratio >= at_least if at_least is not None else ratio <= at_most
            wanted = f">= {at_least:.2f}" if at_least is not None else f"<= {at_most:.2f}"
            verdict = "ok" if ok else "FAILED"
            self.n_failed += not ok
        self._line("  " + what, measured, limit, "" if ratio is None else f"{ratio:.3f}", wanted, verdict=verdict)


def parse_arguments(names):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", default="build/bench", metavar="DIR", help="where the daemon was built (default build/bench)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each upload; the median counts (default 3)")
    parser.add_argument("--idle-seconds", type=int, default=120, metavar="N", help="how long the idle daemon is watched (default 120)")
    parser.add_argument("--folder", metavar="DIR", help="where state and logs go (default: a temporary folder); on the disk to be judged")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names) + " (default: all)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in names]
    if unknown:
        parser.error(f"there is no bench {unknown[0]!r}; there are {', '.join(names)}")
    arguments.names = arguments.names or list(names)
    return arguments


def main():
    names = {"udp": "upload.udp", "serial": "upload.serial", "window": "upload.window", "fleet": "fleet.at_once", "scale": "fleet.scale", "waves": "fleet.waves",
             "memory": "memory.sizes", "store": "store.budget", "idle": "memory.wakeups",
             "order": "mqtt.answer", "gateways": "mqtt.fleet"}
    arguments = parse_arguments(names)
    os.environ["GW_BUILD_DIR"] = os.path.realpath(arguments.build)  # before the first import that reads it
    begin = time.monotonic()
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Linux {platform.release()}, {arguments.build}\n")
    report = Report()
    with tempfile.TemporaryDirectory(prefix="gatewayd-bench-", dir=arguments.folder) as folder:
        for name in arguments.names:
            module, _, function = names[name].partition(".")
            bench = getattr(__import__(module), function)
            report.section(f"{name}: {bench.__doc__}")
            bench(report, pathlib.Path(folder) / name, arguments)
    print(f"\n{'all within the limits' if not report.n_failed else f'{report.n_failed} outside the limits'}, {time.monotonic() - begin:.0f} s")
    return 1 if report.n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
