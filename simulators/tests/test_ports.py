# SPDX-License-Identifier: Apache-2.0
"""The whole program: real datagrams, a real pseudo terminal, the control channel, events, and restarts."""
import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import termios
import time
import tty

import cbor2
import pytest
from gwsim import framing
from gwsim.image import Image, make_image
from smp_talk import READ, WRITE, chunks, request

HERE = os.path.dirname(os.path.realpath(__file__))
PROGRAM = os.path.join(HERE, "..", "gatewayd-simulate")
NEW = make_image("1.1.0", 5000)
PATIENCE_S = 10
TIOCGEXCL = 0x80045440


class Simulator:
    def __init__(self, folder, *arguments):
        self.control_path = os.path.join(folder, "control")
        self.process = subprocess.Popen([PROGRAM, "--control", self.control_path, "--die-with-parent", *arguments],
                                        stdout=subprocess.PIPE, text=True)
        self.devices = []
        for line in self.process.stdout:
            said = json.loads(line)
            if "ready" in said:
                assert said["ready"] == len(self.devices)
                break
            if "device" in said:
                self.devices.append(said)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE_S)
        connection.connect(self.control_path)
        return connection.makefile("rw", buffering=1)

    def control(self, **command):
        with self.connect() as stream:
            stream.write(json.dumps(command) + "\n")
            return json.loads(stream.readline())

    def subscribe(self):
        stream = self.connect()
        stream.write('{"do": "subscribe"}\n')
        assert json.loads(stream.readline()) == {"ok": True}
        return stream

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0
        self.process.stdout.close()


def await_event(stream, name):
    for line in stream:
        if json.loads(line)["event"] == name:
            return json.loads(line)
    raise AssertionError(f"the simulator ended before '{name}'")


@pytest.fixture
def simulate(tmp_path):
    started = []
    def start(*arguments):
        started.append(Simulator(str(tmp_path), *map(str, arguments)))
        return started[-1]
    yield start
    for simulator in started:
        simulator.stop()


class UdpClient:
    def __init__(self, device):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((device["address"], device["port"]))
        self.socket.settimeout(PATIENCE_S)

    def ask(self, group, command, payload=None, operation=READ):
        self.socket.send(request(group, command, payload, operation))
        return cbor2.loads(self.socket.recv(65536)[8:])

    def upload(self, data):
        for payload in chunks(data, 1000):
            answer = self.ask(1, 1, payload, WRITE)
        return answer


class SerialClient(UdpClient):
    def __init__(self, path, speed=termios.B115200):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd, termios.TCSANOW)  # without the flush that is usual here
        attributes = termios.tcgetattr(self.fd)
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)
        self.decoder = framing.Decoder(65535)
        self.received = []

    def send(self, message):
        os.write(self.fd, b"".join(framing.encode_lines(message)))

    def ask(self, group, command, payload=None, operation=READ):
        self.send(request(group, command, payload, operation))
        return cbor2.loads(self.receive()[8:])

    def receive(self, patience=PATIENCE_S):
        deadline = time.monotonic() + patience
        while not self.received:
            ready, _, _ = select.select([self.fd], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "no answer"
            data = os.read(self.fd, 4096)
            assert data, "the port is gone"
            self.received += [message for message, _ in self.decoder.feed(data)]
        return self.received.pop(0)

    def close(self):
        os.close(self.fd)


def versions(client):
    return [(entry["version"], entry["confirmed"]) for entry in client.ask(1, 0)["images"]]


def test_udp_update(simulate, tmp_path):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 3, "--reset-ms", 1, "--boot-ms", 1,
                         "--events", tmp_path / "events")
    assert [device["serial"] for device in simulator.devices] == ["SIM0000", "SIM0001", "SIM0002"]
    events, client = simulator.subscribe(), UdpClient(simulator.devices[1])
    assert client.upload(NEW) == {"off": len(NEW), "match": True}
    client.ask(1, 0, {"hash": Image(NEW).hash}, WRITE)
    client.ask(0, 5, {}, WRITE)
    await_event(events, "boot")
    assert versions(client) == [("1.1.0", False), ("1.0.0", True)]
    client.ask(1, 0, {"confirm": True}, WRITE)
    assert simulator.control(device=1, do="stats")["stats"]["bytes_written"] == len(NEW)
    assert simulator.control(device=0, do="stats")["stats"]["requests"] == 0
    lines = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["upload-start", "upload-complete", "test", "reset", "swap", "boot", "confirm"]
    assert {line["device"] for line in lines} == {1}


def test_udp_long_datagrams_are_lost(simulate):
    simulator = simulate("--udp", "127.0.0.1:0", "--mtu", 600)
    client = UdpClient(simulator.devices[0])
    client.socket.send(request(0, 0, {"d": "x" * 700}))
    assert client.ask(0, 0, {"d": "short"}) == {"r": "short"}


def test_udp_link_and_garbage(simulate):
    """Every answer twice and after a datagram of noise; nothing is lost, so each must come."""
    simulator = simulate("--udp", "127.0.0.1:0", "--duplicate", 1, "--garbage", 1, "--latency-ms", 1)
    client = UdpClient(simulator.devices[0])
    client.socket.send(request(0, 0, {"d": "x"}, sequence=77))
    answers = 0
    while answers < 2:
        message = client.socket.recv(65536)
        answers += message[:1] == b"\x09" and message[6:7] == b"\x4d"


def test_udp_unplugged_is_refused(simulate):
    simulator = simulate("--udp", "127.0.0.1:0")
    client = UdpClient(simulator.devices[0])
    simulator.control(device=0, do="unplug")
    client.socket.send(request(0, 6))
    with pytest.raises(ConnectionRefusedError):
        client.socket.recv(100)
    simulator.control(device=0, do="plug")
    assert client.ask(0, 6)


def test_serial_update(simulate, tmp_path):
    simulator = simulate("--pty", tmp_path / "ports" / "board-%d", "--garbage", 0.5, "--reset-ms", 1, "--boot-ms", 1)
    path = simulator.devices[0]["path"]
    assert path.endswith("board-0") and os.path.realpath(path) == simulator.devices[0]["tty"]
    events, client = simulator.subscribe(), SerialClient(path)
    client.upload(NEW)
    client.ask(1, 0, {"hash": Image(NEW).hash}, WRITE)
    client.close()
    client = SerialClient(path)  # closing does not harm
    client.ask(0, 5, {}, WRITE)
    await_event(events, "boot")
    assert versions(client) == [("1.1.0", False), ("1.0.0", True)]
    client.close()


def test_serial_unread_answers_do_not_wait(simulate, tmp_path):
    simulator = simulate("--pty", tmp_path / "board")
    first = SerialClient(simulator.devices[0]["path"])
    first.send(request(0, 0, {"d": "never read"}, sequence=1))
    while simulator.control(device=0, do="stats")["link"]["messages_down"] < 1:
        assert simulator.process.poll() is None
    first.close()
    simulator.control(device=0, do="stats")
    second = SerialClient(simulator.devices[0]["path"])
    second.send(request(0, 0, {"d": "x"}, sequence=2))
    assert second.receive()[6] == 2
    second.close()


def test_serial_answers_to_nobody_are_lost(simulate, tmp_path):
    simulator = simulate("--pty", tmp_path / "board", "--latency-ms", 50)
    events, first = simulator.subscribe(), SerialClient(simulator.devices[0]["path"])
    first.send(request(0, 0, {"d": "too late"}, sequence=1))
    while simulator.control(device=0, do="stats")["link"]["messages_down"] < 1:
        assert simulator.process.poll() is None
    first.close()
    simulator.control(device=0, do="disconnect", ms=200)
    await_event(events, "back")
    second = SerialClient(simulator.devices[0]["path"])
    second.send(request(0, 0, {"d": "x"}, sequence=2))
    assert second.receive()[6] == 2
    second.close()


def test_serial_exclusive_claim_ends_with_its_program(simulate, tmp_path):
    simulator = simulate("--pty", tmp_path / "board")
    first = SerialClient(simulator.devices[0]["path"])
    fcntl.ioctl(first.fd, termios.TIOCEXCL)
    first.close()
    simulator.control(device=0, do="stats")
    second = SerialClient(simulator.devices[0]["path"])
    assert second.ask(0, 6)
    assert fcntl.ioctl(second.fd, TIOCGEXCL, bytes(4)) == bytes(4)
    second.close()


def test_serial_message_limit_counts_the_framing(simulate, tmp_path):
    simulator = simulate("--pty", tmp_path / "board", "--buf-size", 128)
    client = SerialClient(simulator.devices[0]["path"])
    size = len(request(0, 0, {"d": ""}))
    client.send(request(0, 0, {"d": "x" * (128 - size)}))  # one byte of CBOR more, and the framing
    assert client.ask(0, 0, {"d": "x"}) == {"r": "x"}
    assert simulator.control(device=0, do="stats")["stats"]["dropped"] == 1
    client.close()


def test_serial_line_speed(simulate, tmp_path):
    """The line cannot be faster than its speed; how much slower is the machine's affair."""
    simulator = simulate("--pty", tmp_path / "board", "--baud", 115200)
    client = SerialClient(simulator.devices[0]["path"])
    message = request(0, 0, {"d": "x" * 1000})
    wire = 2 * framing.encoded_size(len(message))
    begin = time.monotonic()
    client.send(message)
    client.receive()
    assert time.monotonic() - begin >= wire * 10 / 115200 * 0.98
    client.close()


def test_serial_wrong_speed(simulate, tmp_path):
    simulator = simulate("--pty", tmp_path / "board", "--baud", 1000000, "--baud-check")
    client = SerialClient(simulator.devices[0]["path"], termios.B115200)
    client.send(request(0, 6))
    client.close()
    client = SerialClient(simulator.devices[0]["path"], termios.B1000000)
    assert client.ask(0, 6)["buf_count"] == 4
    client.close()


def test_serial_damaged_answers(simulate, tmp_path):
    """Loss on a line: the request does not arrive, or the answer arrives damaged."""
    simulator = simulate("--pty", tmp_path / "board", "--loss", 0.5, "--seed", 3)
    client = SerialClient(simulator.devices[0]["path"])
    got = 0
    for sequence in range(40):
        client.send(request(0, 0, {"d": "x"}, sequence=sequence))
    while simulator.control(device=0, do="stats")["link"]["messages_up"] < 40:
        assert simulator.process.poll() is None
    simulator.control(device=0, set={"loss": 0})
    client.send(request(0, 0, {"d": "x"}, sequence=99))
    while client.receive()[6] != 99:
        got += 1
    assert 1 <= got < 20
    assert client.decoder.damaged + client.decoder.noise >= 1
    client.close()


def test_serial_unplug_and_another_name(simulate, tmp_path):
    simulator = simulate("--pty", tmp_path / "board")
    path = simulator.devices[0]["path"]
    client = SerialClient(path)
    simulator.control(device=0, do="unplug")
    assert not os.path.lexists(path)
    with pytest.raises(OSError):
        client.send(request(0, 6))
        os.read(client.fd, 10)
    client.close()
    other = str(tmp_path / "elsewhere")
    assert simulator.control(device=0, do="plug", name=other)["ok"] is True
    client = SerialClient(other)
    assert client.ask(0, 6)
    client.close()
    assert simulator.control(device=0, do="plug", name=path)["ok"] is False


def test_serial_port_goes_with_a_reset(simulate, tmp_path):
    simulator = simulate("--pty", tmp_path / "board", "--reset-unplugs", "--renames", "--reset-ms", 1, "--boot-ms", 1)
    events, client = simulator.subscribe(), SerialClient(simulator.devices[0]["path"])
    client.send(request(0, 5, {}, WRITE))  # its answer may go with the port before it is read
    await_event(events, "reset")
    await_event(events, "boot")
    path = simulator.control(device=0, do="state")["path"]
    assert path == simulator.devices[0]["path"] + "-2" and not os.path.lexists(simulator.devices[0]["path"])
    client.close()
    client = SerialClient(path)
    assert client.ask(0, 6)
    client.close()


def test_serial_usb_description(simulate, tmp_path):
    """The serial number is found from the name of the port, whatever the name is at the moment."""
    def serial_of(name):
        interface = os.path.realpath(tmp_path / "sys" / "class" / "tty" / name / "device")
        with open(interface + "/bInterfaceNumber", encoding="utf-8") as stream:
            assert stream.read() == "00\n"
        with open(os.path.dirname(interface) + "/serial", encoding="utf-8") as stream:
            return stream.read().strip()
    simulator = simulate("--pty", tmp_path / "ttyACM%d", "--count", 2, "--sysfs", tmp_path / "sys")
    assert [serial_of(f"ttyACM{n}") for n in (0, 1)] == ["SIM0000", "SIM0001"]
    assert serial_of(os.path.basename(simulator.devices[1]["tty"])) == "SIM0001"
    simulator.control(device=1, do="unplug")
    assert [path.name for path in (tmp_path / "sys" / "devices").iterdir()] == ["sim0"]
    simulator.control(device=1, do="plug", name=str(tmp_path / "ttyACM7"))
    assert serial_of("ttyACM7") == "SIM0001" and not os.path.lexists(tmp_path / "sys" / "class" / "tty" / "ttyACM1")


def test_both_kinds(simulate, tmp_path):
    simulator = simulate("--udp", "127.0.0.1:0", "--udp-count", 2, "--pty", tmp_path / "{serial}", "--pty-count", 2,
                         "--device", "3:no-params")
    assert [device["transport"] for device in simulator.devices] == ["udp", "udp", "serial", "serial"]
    client = SerialClient(str(tmp_path / "SIM0003"))
    assert client.ask(0, 6) == {"rc": 8}
    client.close()


def test_control(simulate):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 2)
    client = UdpClient(simulator.devices[0])
    assert simulator.control(device=0, set={"no-params": True}) == {"ok": True, "device": 0}
    assert client.ask(0, 6) == {"rc": 8}
    assert simulator.control(device="SIM0001", do="get")["devices"][0]["options"]["no-params"] is False
    assert simulator.control(do="state")["devices"][1]["phase"] == "running"
    simulator.control(device=[0, 1], do="power-off")
    assert simulator.control(device=0, do="state")["phase"] == "off"
    events = simulator.subscribe()
    simulator.control(device=0, do="power-on")
    assert await_event(events, "boot")["version"] == "1.0.0"
    simulator.control(device=0, do="disconnect", ms=1)
    await_event(events, "back")
    for action in ("reset", "power-cycle"):
        simulator.control(device=0, do=action)
        await_event(events, "boot")
    for wrong in ({"do": "dance"}, {"device": 7, "do": "get"}, {"set": {"loss": 5}}, {"set": 5}, {"device": True, "do": "get"},
                  {"do": "disconnect", "ms": "x"}, {"set": {"verify-key": "/nonexistent"}}, {"set": {"verify-key": PROGRAM}},
                  {"set": {"loss": []}}, {"device": {}, "do": "get"}, {"do": []}, {"do": "set"}, {"device": 0, "do": "plug", "name": "/x"}):
        assert simulator.control(**wrong)["ok"] is False
    with simulator.connect() as stream:
        stream.write("no json\n")
        assert json.loads(stream.readline())["ok"] is False
    assert simulator.control(do="quit") == {"ok": True}
    simulator.process.wait(PATIENCE_S)


def test_control_datagrams():
    process = subprocess.Popen([PROGRAM, "--udp", "127.0.0.1:0", "--control", "udp:127.0.0.1:0", "--die-with-parent"],
                               stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.fullmatch(r"udp:127\.0\.0\.1:(\d+)", json.loads(process.stdout.readline())["control"])[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(PATIENCE_S)
            asker.sendto(b'{"device": 0, "do": "stats"}', ("127.0.0.1", port))
            assert json.loads(asker.recv(65536))["stats"]["boots"] == 0
            asker.sendto(b'{"do": "quit"}', ("127.0.0.1", port))
            assert json.loads(asker.recv(65536)) == {"ok": True}
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_flash_survives_a_restart(simulate, tmp_path, end):
    arguments = ("--udp", "127.0.0.1:0", "--state", tmp_path / "flash", "--reset-ms", 1, "--boot-ms", 1)
    simulator = simulate(*arguments)
    events, client = simulator.subscribe(), UdpClient(simulator.devices[0])
    client.upload(NEW)
    client.ask(1, 0, {"hash": Image(NEW).hash}, WRITE)
    client.ask(0, 5, {}, WRITE)
    await_event(events, "boot")
    assert versions(client) == [("1.1.0", False), ("1.0.0", True)]
    simulator.process.send_signal(end)
    simulator.process.wait(PATIENCE_S)
    simulator.stop = simulator.process.stdout.close
    again = simulate(*arguments)
    assert again.devices[0]["version"] == "1.1.0"
    assert versions(UdpClient(again.devices[0])) == [("1.1.0", False), ("1.0.0", True)]


def test_a_thousand_devices_start_at_once(simulate):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 1000)
    assert len({device["port"] for device in simulator.devices}) == 1000
    assert UdpClient(simulator.devices[999]).ask(128, 0)["device_serial"] == "SIM0999"


def test_control_from_the_shell(simulate):
    simulator = simulate("--udp", "127.0.0.1:0", "--count", 2)
    def run(*arguments):
        done = subprocess.run([os.path.join(HERE, "..", "simulate-control"), simulator.control_path, *arguments],
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        return done.returncode, json.loads(done.stdout)
    assert run("set", "1", "loss=0.5", "refuse-swap", "smp=v2-only") == (0, {"ok": True, "device": 1})
    options = run("get", "SIM0001")[1]["devices"][0]["options"]
    assert (options["loss"], options["refuse-swap"], options["smp"]) == (0.5, True, "v2-only")
    assert len(run("stats")[1]["devices"]) == 2
    assert run("disconnect", "0", "ms=soon")[0] == 1
