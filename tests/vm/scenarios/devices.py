# SPDX-License-Identifier: Apache-2.0
"""Simulated devices on the virtual air, proven by a client that is not gatewayd."""

import dbus

from bluetooth import adapter_path, interface, objects, set_powered, wait_for
from central import DEVICE, Central
from scenario import scenario
from smp_central import NoAnswer, SmpCentral, upload_payloads


def connected(central, name=None, but=()):
    return SmpCentral(central.connect(central.scan(name, but)))


def wait_gone(smp):
    """Until the device has dropped the link; what arrives meanwhile is not wanted."""
    while smp.connection.receive():
        pass
    wait_for("the end of the link", lambda: not smp.connection.connected)


@scenario()
def device_updates(room):
    """upload, test, reset, back on the air with the new image, confirm"""
    simulator = room.simulate("--ble", "hci1", "--buf-size", "2475", "--buf-count", "8")
    path, image_hash = room.image("1.1.0", "40K")
    central = Central()
    smp = connected(central, "sim-00")
    parameters = smp.parameters()
    assert (parameters["buf_size"], parameters["buf_count"]) == (2475, 8), parameters
    seconds = smp.upload(path.read_bytes(), window=7)
    room.log(f"{path.stat().st_size / seconds:.0f} bytes/s")
    pending = smp.test(bytes.fromhex(image_hash))["images"]
    assert pending[1]["pending"] and pending[1]["version"] == "1.1.0", pending
    smp.reset()
    wait_gone(smp)
    room.log("the link is gone")
    smp = connected(central)
    active = next(image for image in smp.images() if image["active"])
    assert active["version"] == "1.1.0" and not active["confirmed"], active
    smp.confirm()
    assert next(image for image in smp.images() if image["active"])["confirmed"]
    smp.connection.close()
    kinds = [event["event"] for event in simulator.events(0)]
    assert [kind for kind in kinds if kind in ("upload-complete", "link-up", "link-down", "reset", "swap", "confirm")] == [
        "link-up", "upload-complete", "reset", "swap", "link-down", "link-up", "confirm", "link-down"], kinds


@scenario(controllers=3)
def device_moves(room):
    """after a reset the device has another address and another name"""
    room.simulate("--ble", "hci1/hci2", "--adv-name-after", "moved")
    central = Central()
    first = central.scan("sim-00")
    smp = SmpCentral(central.connect(first))
    smp.reset()
    wait_gone(smp)
    second = central.scan("moved")
    assert second != first, second
    assert SmpCentral(central.connect(second)).images()[0]["active"]


@scenario()
def device_is_silent(room):
    """the device falls silent in mid-upload: the link stays up; it answers again later"""
    room.simulate("--ble", "hci1", "--vanish-at", "10000", "--vanish-ms", "20000")
    path, _ = room.image("1.1.0", "40K")
    smp = connected(Central())
    try:
        smp.upload(path.read_bytes())
    except NoAnswer as problem:
        assert not problem.gone
    else:
        raise AssertionError("it was not silent")
    assert smp.connection.connected
    assert smp.connection.receive(20) is None
    assert smp.ask(0, 0, {"d": "awake"}, 2) == {"r": "awake"}


@scenario()
def device_drops_the_link(room):
    """the device drops the link in mid-upload and advertises again; the upload goes on where it was"""
    room.simulate("--ble", "hci1", "--vanish-at", "10000", "--vanish-ms", "3000", "--vanish-unplugs")
    path, _ = room.image("1.1.0", "40K")
    central = Central()
    smp = connected(central)
    try:
        smp.upload(path.read_bytes())
    except NoAnswer as problem:
        room.log("the link is gone" if problem.gone else "silence")
    else:
        raise AssertionError("the link was not dropped")
    wait_gone(smp)
    smp = connected(central)
    answer = smp.ask(1, 1, first_chunk(path.read_bytes()), 2)
    assert 10000 <= answer["off"] < 20000, answer


def first_chunk(data):
    return next(upload_payloads(data, 200))


@scenario(settings={("GATT", "ExchangeMTU"): 23})
def device_mtu_23(room):
    """the smallest MTU: a message in pieces of 20 bytes, answers in pieces of 18"""
    room.simulate("--ble", "hci1")
    path, _ = room.image("1.1.0", "4K")
    smp = connected(Central())
    assert smp.connection.mtu == 23, smp.connection.mtu
    smp.upload(path.read_bytes(), window=3)
    assert len(smp.images()) == 2


@scenario()
def device_loses_an_answer(room):
    """one answer of an upload never comes; the next one tells how far the device is"""
    simulator = room.simulate("--ble", "hci1", "--lose-answer-at", "9000")
    path, _ = room.image("1.1.0", "40K")
    smp = connected(Central())
    try:
        smp.upload(path.read_bytes())
    except NoAnswer as problem:
        assert not problem.gone
    assert len(simulator.events(0, "answer-lost")) == 1
    assert smp.ask(1, 1, first_chunk(path.read_bytes()), 2)["off"] > 9000


@scenario()
def device_survives_bluetoothd(room):
    """bluetoothd is killed and comes back: the device registers again"""
    room.simulate("--ble", "hci1")
    central = Central()
    smp = connected(central)
    room.air.kill_daemon()
    try:
        smp.ask(0, 0, {"d": "hello"}, 2)
    except (NoAnswer, OSError) as problem:
        room.log("the connection says", repr(problem))
    room.air.start_daemon()
    assert connected(central).ask(0, 0, {"d": "again"}, 2) == {"r": "again"}


@scenario()
def device_survives_its_adapter(room):
    """the device's adapter is switched off and on: it advertises again"""
    room.simulate("--ble", "hci1")
    central = Central()
    smp = connected(central)
    set_powered("hci1", False)
    wait_gone(smp)
    set_powered("hci1", True)
    assert connected(central).ask(0, 0, {"d": "again"}, 2) == {"r": "again"}


@scenario()
def device_battery(room):
    """the battery level is told, and changes"""
    simulator = room.simulate("--ble", "hci1", "--battery", "83")
    smp = connected(Central())

    def level():
        return objects().get(smp.connection.device, {}).get("org.bluez.Battery1", {}).get("Percentage")

    assert wait_for("the battery", level) == 83
    simulator.control(do="set", device=0, set={"battery": 20})
    wait_for("20 %", lambda: level() == 20)


@scenario()
def device_without_uuid(room):
    """a device that does not advertise its service is found by its name"""
    room.simulate("--ble", "hci1", "--adv-uuid", "no", "--adv-name", "shy")
    central = Central()
    adapter = interface(central.path, "org.bluez.Adapter1")
    adapter.SetDiscoveryFilter(dbus.Dictionary({"Transport": "le", "DuplicateData": True}, "sv"))
    adapter.StartDiscovery()

    def found():
        return [path for path, interfaces in objects().items()
                if path.startswith(adapter_path("hci0") + "/") and interfaces.get(DEVICE, {}).get("Name") == "shy"]

    device = wait_for("the device", found)[0]
    adapter.StopDiscovery()
    assert SmpCentral(central.connect(str(device))).images()
