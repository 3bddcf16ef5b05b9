# SPDX-License-Identifier: Apache-2.0
"""Speed of one upload, as the device sees it: from the moment at which it has stored the first chunk to that of the last one. This is
what link-limit counts, too; erasing, probing and the swap are not in it."""

import statistics

import rig
from rig import harness

KIB = 1024

# name, options of the device and its link, size of the image
UDP_LINKS = [
    ("1472 bytes, 5 ms, 100 kB/s, window 3", {"latency-ms": 5, "rate": 100000, "buf-count": 4}, 384 * KIB),
    ("1472 bytes, 2 ms, 1 MB/s, window 7", {"latency-ms": 2, "rate": 1000000, "buf-count": 8}, 480 * KIB),
    ("1472 bytes, 100 ms, window 15", {"latency-ms": 100, "buf-count": 16}, 384 * KIB),
    ("1472 bytes, 25 ms, window 1", {"latency-ms": 25, "buf-count": 2}, 96 * KIB),
    ("256 bytes, 10 ms, window 1", {"latency-ms": 10, "buf-size": 256, "mtu": 256, "buf-count": 2}, 32 * KIB),
    ("498 bytes, 7.5 ms interval x 4, window 3", {"interval-ms": 7.5, "link-packets": 4, "buf-size": 498, "mtu": 498, "buf-count": 4}, 256 * KIB),
    ("1000 bytes, 15 ms interval x 6, window 3", {"interval-ms": 15, "link-packets": 6, "buf-size": 1000, "mtu": 1000, "buf-count": 4}, 256 * KIB),
    ("1472 bytes, 50 ms interval x 6, window 7", {"interval-ms": 50, "link-packets": 6, "buf-count": 8}, 128 * KIB),
]

SERIAL_LINES = [
    ("115200 baud, 384 bytes x 4", {"baud": 115200, "buf-size": 384, "buf-count": 4}, 40 * KIB),
    ("115200 baud, 1024 bytes x 2", {"baud": 115200, "buf-size": 1024, "buf-count": 2}, 40 * KIB),
    ("1 M baud, 384 bytes x 4", {"baud": 1000000, "buf-size": 384, "buf-count": 4}, 256 * KIB),
    ("1 M baud, 2048 bytes x 4", {"baud": 1000000, "buf-size": 2048, "buf-count": 4}, 256 * KIB),
]

# Section 14 of the description of SMP: what a good client reached against a real server, 25 ms each way, KiB/s by window.
SEEN_25_MS = {1: 27, 2: 54, 4: 104, 6: 154}


def assignments(options):
    return ",".join(f"{name}={value}" for name, value in options.items())


def message_size(options, serial=False):
    size = options.get("buf-size", 2048)
    return size - 4 if serial else min(size, options.get("mtu", 1472))


def speeds(simulator, image_size, message):
    """Bytes a second of each upload. Of the first chunk it is only known that it was not larger than a message."""
    starts = {event["device"]: event["time"] for event in simulator.events(name="upload-start")}
    ends = {event["device"]: event["time"] for event in simulator.events(name="upload-complete")}
    return [(image_size - message) / (ends[device] - starts[device]) for device in starts]


def measure_udp(folder, options, size, runs):
    """Median speed over `runs` fresh devices, one after the other."""
    simulator = harness.Simulator(folder / "sim", "--udp", "127.0.0.1:0", "--count", runs, "--device", f"0-{runs - 1}:{assignments(options)}")
    image, _ = harness.make_image(folder / "app.bin", "1.1.0", "--size", size)
    daemon = rig.Daemon(folder / "gw")
    try:
        daemon.adopt(simulator)
        daemon.import_file(image)
        daemon.update_all(image, mode="upload-only", concurrency=1)
        return statistics.median(speeds(simulator, image.stat().st_size, message_size(options)))
    finally:
        daemon.stop()
        simulator.stop()


def measure_serial(folder, options, size, runs):
    simulator = harness.Simulator(folder / "sim", "--pty", folder / "tty-%d", "--count", runs, "--device", f"0-{runs - 1}:{assignments(options)}")
    image, _ = harness.make_image(folder / "app.bin", "1.1.0", "--size", size)
    daemon = rig.Daemon(folder / "gw", simulator.sections(extra=f"baud = {options['baud']}"))
    try:
        daemon.import_file(image)
        daemon.update_all(image, mode="upload-only", concurrency=1)
        return statistics.median(speeds(simulator, image.stat().st_size, message_size(options, serial=True)))
    finally:
        daemon.stop()
        simulator.stop()


def kib(speed):
    return f"{speed / KIB:.1f} KiB/s"


def udp(report, folder, arguments):
    """one upload over UDP (message size, delay each way, speed) beside an ideal client over the same link with the same window"""
    for number, (name, options, size) in enumerate(UDP_LINKS):
        window = options["buf-count"] - 1
        limit, _ = rig.link_limit(options, size, window, message_size(options))
        speed = measure_udp(folder / str(number), options, size, arguments.runs)
        report.row(name, kib(speed), f"ideal client {kib(limit)}", speed / limit, at_least=0.90)


def serial(report, folder, arguments):
    """one upload over a serial line (message size x buffers) beside the line itself, its framing counted in"""
    for number, (name, options, size) in enumerate(SERIAL_LINES):
        # A window of 4 keeps the line full whatever the device's buffers are.
        limit, _ = rig.link_limit({**options, "buf-count": 8}, size, 4, message_size(options, serial=True), serial=True)
        speed = measure_serial(folder / str(number), options, size, arguments.runs)
        report.row(name, kib(speed), f"full line {kib(limit)}", speed / limit, at_least=0.95)


def window(report, folder, arguments):
    """one upload of 200 KiB by window, 25 ms each way (in brackets: what was seen between such a client and a real server)"""
    for width, seen in SEEN_25_MS.items():
        options = {"latency-ms": 25, "buf-count": width + 1}
        limit, _ = rig.link_limit(options, 200 * KIB, width)
        speed = measure_udp(folder / str(width), options, 200 * KIB, arguments.runs)
        report.row(f"window {width} ({seen} KiB/s)", kib(speed), f"ideal client {kib(limit)}", speed / limit, at_least=0.90)
    for width in (1, 6):
        speed = measure_udp(folder / f"no-delay-{width}", {"buf-count": width + 1}, 200 * KIB, arguments.runs)
        report.row(f"window {width}, no delay at all", kib(speed))
