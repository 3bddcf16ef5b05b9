# SPDX-License-Identifier: Apache-2.0
"""The real gatewayd on hci0 updates simulated devices over the real BlueZ, with the failures of the field."""

import os

import bluetooth
import signer
from scenario import scenario

CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)
ALL = {"labels": ["sensor"]}
PATIENCE_S = 150
# Slow enough that something can happen in the middle of an upload.
SLOW = ("--process-ms", "30", "--buf-size", "512")
FLASH = ("upload-start", "upload-complete", "swap", "confirm", "revert")


def outcome(job):
    return (job["state"], job.get("result"), job.get("proof"), job.get("error", {}).get("name"))


def flash_events(simulator, index=0):
    return [event["event"] for event in simulator.events(index) if event["event"] in FLASH]


def finished(gateway, campaign="c1"):
    """device -> outcome, once the campaign is over"""
    jobs = gateway.follow(campaign, patience_s=PATIENCE_S)["jobs"]
    return {job["device"]: outcome(job) for job in jobs}


def updated(room, gateway, simulator, ids, size="24K", **policy):
    path, _ = room.image("1.1.0", size)
    gateway.begin(path, {"ids": ids}, compatible=["simboard"], **policy)
    found = finished(gateway)
    assert found == {name: CONFIRMED for name in ids}, found
    for index in range(len(ids)):
        assert flash_events(simulator, index)[-3:] == ["upload-complete", "swap", "confirm"], simulator.events(index)


def await_event(simulator, name):
    return next(event for event in simulator.watch() if event["event"] == name)


class Upload:
    """A campaign that is in the middle of its upload."""

    def __init__(self, room, *options, settings="", size="24K"):
        self.simulator = room.simulate("--ble", "hci1", *SLOW, *options)
        self.gateway = room.gateway(settings)
        self.ids = room.adopt(self.gateway, self.simulator)
        path, _ = room.image("1.1.0", size)
        started = (event for event in self.simulator.watch() if event["event"] == "upload-start")
        self.gateway.begin(path, {"ids": self.ids}, compatible=["simboard"])
        next(started)
        room.log("the upload has begun")

    def ends_well(self):
        found = finished(self.gateway)
        assert found == {name: CONFIRMED for name in self.ids}, found
        assert flash_events(self.simulator)[-3:] == ["upload-complete", "swap", "confirm"], self.simulator.events()


@scenario(controllers=3, timeout_s=240)
def campaign_over_mqtt(room):
    """a signed campaign over a real broker to two devices: upload, test, reset, trial, confirm; every event arrives"""
    simulator = room.simulate("--ble", "hci1,hci2", "--buf-size", "2475", "--buf-count", "8")
    broker, key = room.broker(), signer.Signer("ci")
    key.install(room.folder / "keys")
    gateway = room.gateway(f"sessions = 1\n[trust]\nkeys_dir = {room.folder}/keys\n{broker.settings()}")
    ids = room.adopt(gateway, simulator)
    path, _ = room.image("1.1.0", "40K")
    artifact = {"url": "https://fw.example/app.bin", "size": os.path.getsize(path), "compatible": ["simboard"],
                "sha256": gateway.import_file(path)["artifact"]["sha256"]}
    own = "gatewayd/v1/gw/test-gateway"
    desk = broker.client("operator")
    desk.subscribe("gatewayd/v1/client/operator/reply", f"{own}/#")
    answer = desk.call("campaign.start", {"jws": key.jws(signer.campaign(artifact, ALL, name="over-the-air"))})
    assert answer["campaign"]["principal"] == "ci"
    document = desk.take(lambda message: message.topic == f"{own}/campaign/over-the-air" and message.json["campaign"]["state"] == "completed",
                         PATIENCE_S).json
    assert document["campaign"]["counts"]["succeeded"] == 2, document
    found = finished(gateway, "over-the-air")
    assert found == {name: CONFIRMED for name in ids}, found
    for index in range(2):
        assert flash_events(simulator, index) == ["upload-start", "upload-complete", "swap", "confirm"]
    desk.take(lambda message: message.topic == f"{own}/event" and message.json["seq"] == len(gateway.record()))
    seqs = [message.json["seq"] for message in desk.messages if message.topic == f"{own}/event"]
    assert seqs == sorted(set(seqs)), seqs


@scenario(timeout_s=240)
def disconnect_in_upload(room):
    """the device drops the link in mid-upload and is back three seconds later"""
    upload = Upload(room, "--vanish-at", "8000", "--vanish-ms", "3000", "--vanish-unplugs")
    upload.ends_well()
    assert len(upload.simulator.events(0, "vanish")) == 1 and len(upload.simulator.events(0, "link-up")) >= 2


@scenario(timeout_s=300)
def silence_in_upload(room):
    """the device falls silent in mid-upload, the link stays; it answers again after 20 s"""
    upload = Upload(room, "--vanish-at", "8000", "--vanish-ms", "20000")
    upload.ends_well()
    assert len(upload.simulator.events(0, "vanish")) == 1


@scenario(timeout_s=240, settings={("GATT", "ExchangeMTU"): 23})
def mtu_23(room):
    """the smallest MTU"""
    simulator = room.simulate("--ble", "hci1")
    gateway = room.gateway()
    updated(room, gateway, simulator, room.adopt(gateway, simulator), size="6K")


@scenario(timeout_s=240)
def lost_notification(room):
    """one notification of the upload is lost; the later ones tell how far the device is"""
    upload = Upload(room, "--lose-answer-at", "8000")
    upload.ends_well()
    assert len(upload.simulator.events(0, "answer-lost")) == 1
    assert len(upload.simulator.events(0, "upload-start")) == 1


@scenario(timeout_s=300)
def bluetoothd_killed(room):
    """bluetoothd is killed in mid-upload; when it is back the devices register again and the job goes on"""
    upload = Upload(room)
    room.air.kill_daemon()
    room.air.start_daemon()
    room.log("bluetoothd is back")
    upload.ends_well()


@scenario(timeout_s=300)
def adapter_off_and_on(room):
    """the gateway's adapter is switched off in mid-upload and on again"""
    upload = Upload(room)
    bluetooth.set_powered("hci0", False)
    bluetooth.wait_for("the adapter to be off", lambda: not bluetooth.get(bluetooth.adapter_path("hci0"), bluetooth.ADAPTER, "Powered"))
    bluetooth.set_powered("hci0", True)
    upload.ends_well()


@scenario(controllers=3, timeout_s=240)
def another_address(room):
    """after the reset the device has another address; its serial number tells that it is the same one"""
    simulator = room.simulate("--ble", "hci1/hci2")
    gateway = room.gateway()
    updated(room, gateway, simulator, room.adopt(gateway, simulator))
    assert {event["adapter"] for event in simulator.events(0, "link-up")} == {"hci1", "hci2"}


@scenario(timeout_s=240)
def pairing_required(room):
    """a device that wants an encrypted link, and nobody ordered a bond: BlueZ makes one by itself, which does not stay"""
    simulator = room.simulate("--ble", "hci1", "--pairing", "encrypted")
    gateway = room.gateway()
    ids = room.adopt(gateway, simulator)
    path, _ = room.image("1.1.0")
    gateway.begin(path, {"ids": ids}, compatible=["simboard"], attempts=1)
    found = finished(gateway)
    assert found[ids[0]][3] == "encryption-required", found
    bluetooth.wait_for("the bond to be removed again", lambda: gateway.call("device.bonds", {})["bonds"] == [])
    assert flash_events(simulator) == []


@scenario(timeout_s=240)
def pairing_just_works(room):
    """the same device, paired by a person: just works"""
    simulator = room.simulate("--ble", "hci1", "--pairing", "encrypted")
    gateway = room.gateway("pairing = just-works\n")
    ids = room.adopt(gateway, simulator)
    gateway.call("device.pair", {"id": ids[0]})
    assert [bond["device"] for bond in gateway.call("device.bonds", {})["bonds"]] == ids
    updated(room, gateway, simulator, ids)


@scenario(timeout_s=240)
def pairing_passkey(room):
    """a device that wants an authenticated link, with a passkey from a file"""
    simulator = room.simulate("--ble", "hci1", "--pairing", "authenticated", "--passkey", "123456")
    passkeys = room.folder / "passkeys"
    key = simulator.devices[0]["address"].replace(":", "")
    passkeys.write_text(f"{key} 123456\n")
    passkeys.chmod(0o600)
    gateway = room.gateway(f"pairing = passkey\npasskey_file = {passkeys}\n")
    ids = room.adopt(gateway, simulator)
    gateway.call("device.pair", {"id": ids[0]})
    updated(room, gateway, simulator, ids)
    assert "123456" not in gateway.log()


@scenario(controllers=4, timeout_s=240)
def two_at_once(room):
    """two devices are updated at the same time, over two adapters"""
    simulator = room.simulate("--ble", "hci2,hci3", *SLOW)
    gateway = room.gateway("sessions = 1\n", adapters="hci0 hci1")
    ids = room.adopt(gateway, simulator)
    updated(room, gateway, simulator, ids, concurrency=2)
    first_end = min(event["time"] for event in simulator.events(name="upload-complete"))
    assert all(event["time"] < first_end for event in simulator.events(name="upload-start")), simulator.events()


@scenario(controllers=4, timeout_s=240)
def two_on_one_adapter(room):
    """two devices are written to at the same time over one adapter"""
    simulator = room.simulate("--ble", "hci1,hci2", *SLOW)
    room.number_links("hci2", "hci3")
    gateway = room.gateway("sessions = 2\n")
    ids = room.adopt(gateway, simulator)
    path, _ = room.image("1.1.0")
    gateway.begin(path, {"ids": ids}, compatible=["simboard"], concurrency=2, mode="upload-only")
    jobs = gateway.follow("c1", patience_s=PATIENCE_S)["jobs"]
    assert [job["state"] for job in jobs] == ["succeeded"] * 2, jobs
    first_end = min(event["time"] for event in simulator.events(name="upload-complete"))
    assert all(event["time"] < first_end for event in simulator.events(name="upload-start")), simulator.events()


@scenario()
def low_battery(room):
    """a device whose battery is low waits until it is not: a person charges it and asks it"""
    simulator = room.simulate("--ble", "hci1", "--battery", "10")
    gateway = room.gateway()
    ids = room.adopt(gateway, simulator)
    path, _ = room.image("1.1.0")
    gateway.begin(path, {"ids": ids}, compatible=["simboard"], battery_min_percent=30)
    client = gateway.client()
    try:
        client.call("events.subscribe", {"campaign": "c1", "progress": True})
        while "low-battery" not in [job.get("reason") or job.get("waiting") for job in gateway.call("campaign.get", {"id": "c1"})["jobs"]]:
            client.notification()
    finally:
        client.close()
    simulator.control(do="set", device=0, set={"battery": 80})
    assert gateway.call("device.diagnose", {"id": ids[0]})["device"]["battery_percent"] == 80
    assert finished(gateway) == {ids[0]: CONFIRMED}
