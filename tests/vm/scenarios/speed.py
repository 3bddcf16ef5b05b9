# SPDX-License-Identifier: Apache-2.0
"""Measurements: ./dev vm-test --bench"""

import statistics

from central import Central
from scenario import scenario
from smp_central import SmpCentral

PAIRS = 5
SIZE = "200K"
BUF_SIZE, BUF_COUNT = 2475, 8
WANTED = 0.9


class Place:
    """One device, one gatewayd; what an upload took is what the device says, whoever did it."""

    def __init__(self, room):
        self.room = room
        self.simulator = room.simulate("--ble", "hci1", "--buf-size", BUF_SIZE, "--buf-count", BUF_COUNT)
        self.gateway = room.gateway()
        self.gateway.config.write_text(self.gateway.config.read_text().replace("level = debug", "level = info"))
        self.gateway.stop()
        self.gateway.start()
        self.ids = room.adopt(self.gateway, self.simulator)
        self.central = Central()
        self.n_files = 0

    def file(self):
        """A new one each time: the device knows those it has."""
        self.n_files += 1
        return self.room.image(f"2.0.{self.n_files}", SIZE)[0]

    def _measured(self):
        """bytes/s from the first chunk, which erases, to the last"""
        start, end = (self.simulator.events(0, name)[-1] for name in ("upload-start", "upload-complete"))
        return end["len"] / (end["time"] - start["time"])

    def by_gatewayd(self, window=16):
        path = self.file()
        name = f"c{self.n_files}"
        self.gateway.begin(path, {"ids": self.ids}, name=name, compatible=["simboard"], mode="upload-only")
        job = self.gateway.follow(name, patience_s=120)["jobs"][0]
        assert job["state"] == "succeeded", job
        self._await_free()
        return self._measured()

    def bare(self, window):
        """The same frames over the same sockets, one answer a frame, nothing else."""
        path = self.file()
        smp = SmpCentral(self.central.connect(self.central.scan()))
        smp.upload(path.read_bytes(), BUF_SIZE, window)
        smp.connection.close()
        self._await_free()
        return self._measured()

    def _await_free(self):
        from bluetooth import wait_for
        wait_for("the link to be given back", lambda: len(self.simulator.events(0, "link-down")) == len(self.simulator.events(0, "link-up")))


@scenario(kind="bench", timeout_s=600, shown=True)
def upload_speed(room):
    """gatewayd's upload beside what the link carries, and beside one request in flight"""
    place = Place(room)
    pairs = [(place.by_gatewayd(), place.bare(BUF_COUNT - 1)) for _ in range(PAIRS)]
    for mine, link in pairs:
        room.log(f"gatewayd {mine:9.0f} bytes/s   link {link:9.0f} bytes/s   {mine / link:.3f}")
    one = statistics.median(place.bare(1) for _ in range(3))
    ratio = statistics.median(mine / link for mine, link in pairs)
    speed = statistics.median(mine for mine, _ in pairs)
    room.log(f"median of {PAIRS} pairs: {ratio:.3f} of the link, wanted >= {WANTED}; {speed:.0f} bytes/s, {speed / one:.2f} times one request in flight ({one:.0f} bytes/s)")
    assert ratio >= WANTED, ratio
