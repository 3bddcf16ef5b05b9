# SPDX-License-Identifier: Apache-2.0
"""A serial device is its USB serial number, wherever its port appears; a port belongs to one program at a time."""

import fcntl
import os
import select
import termios

import pytest

import harness
from scenes import flash_events, outcome

DEVICE = "smp-serial:SIM0000-if00"
CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)
SMP = "[plugin smp]\ntimeout = 500 ms\nnot_seen_retry = 1 s\n"


@pytest.fixture
def ports(simulate, gateway, tmp_path):
    """ports(*simulator options) -> simulator, daemon that looks at the ports of a sysfs of its own"""

    def begin(*options, start=True):
        sysfs, folder = tmp_path / "sys", tmp_path / "dev"
        sysfs.mkdir()
        folder.mkdir()
        simulator = simulate("--pty", folder / "ttyACM%d", "--sysfs", sysfs, *options)
        gw = gateway("", f"[serial]\nports = {folder}/tty*\nsysfs_root = {sysfs}\n{SMP}", start=start)
        simulator.folder_of_ports = folder
        return simulator, gw

    return begin


def begin(gw, path, **policy):
    gw.begin(path, {"ids": [DEVICE]}, compatible=["simboard"], **policy)


def found(gw):
    return {device["id"]: device for device in gw.call("device.scan", {"duration_ms": 3000})["devices"]}


def test_found_by_its_usb_serial_number(ports, image):
    simulator, gw = ports("--count", 2)
    devices = found(gw)
    assert set(devices) == {"smp-serial:SIM0000-if00", "smp-serial:SIM0001-if00"}
    assert devices[DEVICE]["state"] == "adopted"  # serial ports are adopted by themselves unless told otherwise
    path, _ = image("1.1.0")
    begin(gw, path)
    assert outcome(gw.jobs()[DEVICE]) == CONFIRMED
    assert flash_events(simulator, 1) == []


def test_unplugged_in_an_upload_and_back_under_another_name(ports, image):
    simulator, gw = ports("--baud", 230400)
    found(gw)
    path, hash_new = image("1.1.0", "--size", "100K")
    watch = simulator.watch()
    begin(gw, path)
    assert any(e["event"] == "upload-start" for e in watch)
    simulator.control(device=0, do="unplug")
    job = gw.call("campaign.get", {"id": "c1"})["jobs"][0]
    assert job["state"] == "in_progress"
    simulator.control(device=0, do="plug", name=str(simulator.folder_of_ports / "ttyUSB7"))
    job = gw.jobs()[DEVICE]
    assert outcome(job) == CONFIRMED and job["hash_after"] == hash_new
    names = [e["event"] for e in simulator.events(0)]
    assert names.count("upload-start") == 1 and names.count("upload-resume") == 1 and names.count("upload-complete") == 1
    assert gw.call("device.get", {"id": DEVICE})["device"]["address_seen"].endswith("ttyUSB7")
    assert [d["id"] for d in gw.call("device.list")["devices"]] == [DEVICE]


def test_port_goes_away_with_every_reset(ports, image):
    """USB of the device's own: each reset takes the port away, and it comes back as another one."""
    simulator, gw = ports("--reset-unplugs", "--renames")
    found(gw)
    path, _ = image("1.1.0")
    begin(gw, path)
    assert outcome(gw.jobs()[DEVICE]) == CONFIRMED


def test_port_that_another_program_holds(ports, image):
    simulator, gw = ports()
    found(gw)
    path, _ = image("1.1.0")
    port = os.open(simulator.devices[0]["path"], os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(port, fcntl.LOCK_EX)
        fcntl.ioctl(port, termios.TIOCEXCL)
        begin(gw, path, attempts=1)
        job = gw.jobs()[DEVICE]
        assert (job["state"], job["error"]["name"]) == ("failed", "port-busy"), job
        assert gw.call("device.diagnose", {"id": DEVICE})["error"]["name"] == "port-busy"
    finally:
        os.close(port)
    assert not simulator.events(0, "upload-start")
    gw.call("campaign.retry", {"id": "c1"})
    assert outcome(gw.jobs()[DEVICE]) == CONFIRMED


def test_what_speaks_no_smp(simulate, gateway, tmp_path):
    """Two kinds of silence: nothing at all, and bytes that are no frames."""
    simulator = simulate("--pty", tmp_path / "tty-%d", "--count", 2, "--device", "0:baud-check,baud=1000000", "--device", "1:garbage=1,only-rc8")
    gw = gateway(simulator.sections(), SMP)
    assert gw.call("device.diagnose", {"id": "smp-serial:d0"})["error"]["name"] == "smp-no-answer"
    master, slave = os.openpty()
    try:
        gw.stop()
        gw.write_config(simulator.sections() + f"[device log]\ndriver = smp-serial\naddress = {os.ttyname(slave)}\n", SMP)
        gw.start()
        client = gw.client()
        number = client.start("device.diagnose", {"id": "smp-serial:log"})
        while not client.answered(number):  # whatever is asked, a log answers
            if select.select([master, client.socket], [], [], harness.PATIENCE_S)[0] == [client.socket]:
                continue
            os.read(master, 1000)
            os.write(master, b"[00:00:01.000] <inf> app: tick\r\n")
        result = client.finish(number)
        assert result["error"]["name"] == "serial-garbage", result
        assert any("<inf> app: tick" in finding for finding in result["findings"]), result["findings"]
        client.close()
    finally:
        os.close(master)
        os.close(slave)
