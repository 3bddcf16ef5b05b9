# SPDX-License-Identifier: Apache-2.0
"""Many devices at once: what they cost the gateway, and whether they take longer than one of them alone."""

import time

import rig
from rig import harness

# A link of the speed of a good BLE connection: the upload of 200 KiB takes ten seconds.
LINK = {"rate": 20000, "latency-ms": 20}
IMAGE = 200 * 1024
CPU_MAX = 0.20          # of one core
WALL_MAX = 1.10         # times that of one device alone
GROWTH_MAX = 1.25       # of the cost of one device, from 10 devices to 1,000


class Measured:
    """One campaign over n devices; with `watched`, somebody looks at the progress of all of them meanwhile."""

    def __init__(self, folder, n, watched=False, link=None, size=IMAGE, **policy):
        self.n, self.watched, self.policy = n, watched, policy
        simulator = harness.Simulator(folder / "sim", "--udp", "127.0.0.1:0", "--count", n, *(link_words() if link is None else link))
        image, _ = harness.make_image(folder / "app.bin", "1.1.0", "--size", size)
        daemon = rig.Daemon(folder / "gw")
        try:
            daemon.adopt(simulator)
            daemon.import_file(image)
            self.plan_s = self._plan(daemon, image)
            self._run(daemon, simulator, image)
        finally:
            daemon.stop()
            simulator.stop()

    @staticmethod
    def _plan(daemon, image):
        """The quickest of five: the others were held up by something else."""
        document = daemon.document(image, "plan")
        times = []
        for _ in range(5):
            begin = time.monotonic()
            daemon.call("campaign.plan", {"document": document})
            times.append(time.monotonic() - begin)
        return min(times)

    def _run(self, daemon, simulator, image):
        all_upload = rig.uploads_begin(simulator)
        client = daemon.watch(progress=self.watched)
        idle_kib, _ = rig.memory_kib(daemon.pid)
        cpu, begin = rig.cpu_seconds(daemon.pid), time.monotonic()
        daemon.order(image, **self.policy)
        if not self.policy:
            all_upload(self.n)
        self.kib = rig.memory_kib(daemon.pid)[0] - idle_kib
        daemon.await_end(client)
        self.wall_s = time.monotonic() - begin
        self.cpu_s = rig.cpu_seconds(daemon.pid) - cpu

    @property
    def cpu_ms_each(self):
        return self.cpu_s * 1000 / self.n

    @property
    def share(self):
        return self.cpu_s / self.wall_s


def link_words():
    return [word for name, value in LINK.items() for word in (f"--{name}", value)]


def at_once(report, folder, arguments):
    """200 devices over UDP at once, each on a link of its own of 20 kB/s, 20 ms each way; update, trial and confirmation"""
    _, upload_s = rig.link_limit(LINK, IMAGE, 3)
    one, many, watched = Measured(folder / "1", 1), Measured(folder / "200", 200), Measured(folder / "watched", 200, watched=True)
    report.row("1 device, from order to proof", f"{one.wall_s:.2f} s", f"its upload alone {upload_s:.2f} s")
    report.row("200 devices, wall time", f"{many.wall_s:.2f} s", f"1 device alone {one.wall_s:.2f} s", many.wall_s / one.wall_s, at_most=WALL_MAX)
    for name, measured in (("CPU of the daemon", many), ("the same, progress watched", watched)):
        report.row(f"200 devices, {name}", f"{measured.share * 100:.1f} % of a core", f"{CPU_MAX * 100:.0f} % of a core", measured.share / CPU_MAX, at_most=1)


def scale(report, folder, arguments):
    """cost of one device while 10, 100 and 1,000 are updated at once; memory while all of them upload"""
    ten, hundred, thousand = (Measured(folder / str(n), n) for n in (10, 100, 1000))
    for measured in (ten, hundred, thousand):
        report.row(f"{measured.n} devices, {measured.wall_s:.2f} s", f"{measured.cpu_ms_each:.2f} ms CPU each", f"{measured.kib} KiB more than idle")
    report.row("CPU of one, 1,000 beside 10", f"{thousand.cpu_ms_each:.2f} ms", f"{ten.cpu_ms_each:.2f} ms", thousand.cpu_ms_each / ten.cpu_ms_each,
               at_most=GROWTH_MAX)
    # What the first few devices cost once and for all (statements, caches) is not theirs: each further one is compared.
    late, early = (thousand.kib - hundred.kib) / 900, (hundred.kib - ten.kib) / 90
    report.row("plan of one, 1,000 beside 100", f"{thousand.plan_s * 1000:.2f} us", f"{hundred.plan_s * 10000:.2f} us", thousand.plan_s / hundred.plan_s / 10,
               at_most=GROWTH_MAX)
    report.row("memory of one more, from 100 beside from 10", f"{late:.1f} KiB", f"{early:.1f} KiB", late / early, at_most=GROWTH_MAX)


def waves(report, folder, arguments):
    """cost of one device in a campaign of twelve waves with a window, small images on quick links: what the waves add grows with nobody"""
    policy = {"waves": [{"percent": share} for share in range(8, 97, 8)], "concurrency": 50,
              "maintenance_windows": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "00:00", "duration_min": 1440, "timezone": "Europe/Oslo"}]}
    hundred, thousand = (Measured(folder / str(n), n, link=(), size=16 * 1024, **policy) for n in (100, 1000))
    report.row("CPU of one, 1,000 beside 100", f"{thousand.cpu_ms_each:.2f} ms", f"{hundred.cpu_ms_each:.2f} ms", thousand.cpu_ms_each / hundred.cpu_ms_each,
               at_most=GROWTH_MAX)
