# SPDX-License-Identifier: Apache-2.0
"""The MQTT door beside the broker that it talks to: how long an order takes, and what a fleet costs one mosquitto."""

import json
import resource
import socket
import statistics
import struct
import threading
import time

import rig
from mqtt_broker import ACL, MOSQUITTO, free_port
from rig import harness
from signer import Signer, campaign

N_DEVICES = 1000
N_ECHOES = 1000
N_GATEWAYS = 2000
RUNS = 5


# --- MQTT 5 as far as it is needed here, without a library between the figures and the broker ---


def length(n):
    out = b""
    while True:
        n, digit = divmod(n, 128)
        out += bytes([digit | (0x80 if n else 0)])
        if not n:
            return out


def packet(kind, body):
    return bytes([kind]) + length(len(body)) + body


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def connect_packet(name, will_topic=None, will=b""):
    flags = 0x82 | (0x2C if will_topic else 0)  # user name, clean start; will: QoS 1, retained
    body = text("MQTT") + bytes([5, flags]) + struct.pack(">H", 600) + b"\0" + text(name)
    if will_topic:
        body += b"\0" + text(will_topic) + struct.pack(">H", len(will)) + will
    return packet(0x10, body + text(name))


def publish_packet(topic, payload, number=None, retain=False, properties=b""):
    head = text(topic) + (struct.pack(">H", number) if number else b"") + length(len(properties)) + properties
    return packet(0x30 | (2 if number else 0) | (1 if retain else 0), head + payload)


def subscribe_packet(number, *filters):
    return packet(0x82, struct.pack(">H", number) + b"\0" + b"".join(text(name) + b"\x01" for name in filters))


def packets(buffer):
    """Takes whole packets from the front of a bytearray: (first byte, body)."""
    while len(buffer) >= 2:
        size, shift, at = 0, 0, 1
        while True:
            if at >= len(buffer):
                return
            size |= (buffer[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not buffer[at - 1] & 0x80:
                break
        if len(buffer) < at + size:
            return
        yield buffer[0], bytes(buffer[at:at + size])
        del buffer[:at + size]


def message_of(kind, body):
    """(topic, packet identifier or None, payload)"""
    size = struct.unpack_from(">H", body)[0]
    at, number = 2 + size, None
    if kind & 6:
        number, at = struct.unpack_from(">H", body, at)[0], at + 2
    properties, shift = 0, 0
    while True:
        byte, at = body[at], at + 1
        properties |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    return body[2:2 + size].decode(), number, body[at + properties:]


class Raw:
    def __init__(self, port, name, will_topic=None, will=b""):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.ready = []
        self.send(connect_packet(name, will_topic, will))
        kind, body = self.read()
        assert kind == 0x20 and body[1] == 0, body

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        while not self.ready:
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the broker ended the connection")
            self.buffer += data
            self.ready = list(packets(self.buffer))
        return self.ready.pop(0)

    def subscribe(self, *filters):
        self.send(subscribe_packet(1, *filters))
        while self.read()[0] != 0x90:
            pass

    def message(self):
        """The next one, acknowledged: (topic, payload)."""
        while True:
            kind, body = self.read()
            if kind & 0xF0 == 0x30:
                topic, number, payload = message_of(kind, body)
                if number:
                    self.send(packet(0x40, struct.pack(">H", number)))
                return topic, payload


class BenchBroker:
    """mosquitto with the ACL that is shipped; whoever says a name is believed."""

    def __init__(self, folder, options=""):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.port = free_port()
        acl, config = folder / "acl", folder / "mosquitto.conf"
        acl.write_text(ACL.read_text() + "\nuser bench\ntopic readwrite #\ntopic read $SYS/#\n")
        config.write_text(f"allow_anonymous true\nacl_file {acl}\nuser root\nsys_interval 1\nmax_queued_messages 0\nmax_queued_bytes 0\n"
                          f"message_size_limit 1052672\nlog_type error\n{options}\nlistener {self.port} 127.0.0.1\n")
        self.process = harness.subprocess.Popen([MOSQUITTO, "-c", str(config)], stdin=harness.subprocess.DEVNULL, stdout=harness.subprocess.DEVNULL,
                                                stderr=harness.subprocess.DEVNULL)
        self.password = folder / "password"
        self.password.write_text("any\n")
        self.password.chmod(0o600)
        end = time.monotonic() + harness.PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end

    def section(self):
        return f"[mqtt]\nurl = mqtt://127.0.0.1:{self.port}\nuser = test-gateway\npassword_file = {self.password}\n"

    def stop(self):
        self.process.kill()
        self.process.wait()

    def echo_seconds(self, payload, n=N_ECHOES):
        """n messages of this size to the broker and back, as many under way as the sockets hold."""
        client = Raw(self.port, "bench")
        client.subscribe("echo")
        data = publish_packet("echo", payload) * n
        threading.Thread(target=client.send, args=(data,), daemon=True).start()
        begin = time.monotonic()
        for _ in range(n):
            client.message()
        seconds = time.monotonic() - begin
        client.socket.close()
        return seconds


# --- one order ---


class Desk:
    """Asks one gateway and takes the time until the reply is here."""

    def __init__(self, broker):
        self.client = Raw(broker.port, "operator")
        self.client.subscribe("gatewayd/v1/client/operator/reply")
        self.properties = b"\x08" + text("gatewayd/v1/client/operator/reply")

    def ask(self, method, params):
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        begin = time.monotonic()
        self.client.send(publish_packet("gatewayd/v1/gw/test-gateway/command", request, 7, properties=self.properties))
        _, payload = self.client.message()
        seconds = time.monotonic() - begin
        reply = json.loads(payload)
        assert "result" in reply, reply
        return seconds, len(request), reply["result"]


def await_online(broker):
    watcher = Raw(broker.port, "monitor")
    watcher.subscribe("gatewayd/v1/gw/+/status")
    while json.loads(watcher.message()[1])["state"] != "online":
        pass
    watcher.socket.close()


def answer(report, folder, arguments):
    """a signed campaign for 1,000 devices named one by one: from the command to the answer, beside 1,000 messages of that size through the broker"""
    simulator = harness.Simulator(folder / "sim", "--udp", "127.0.0.1:0", "--count", N_DEVICES)
    image, _ = harness.make_image(folder / "app.bin", "1.1.0", "--size", 200 * 1024)
    signer = Signer("ci")
    signer.install(folder / "keys")
    broker = BenchBroker(folder / "broker")
    daemon = rig.Daemon(folder / "gw", settings=f"[trust]\nkeys_dir = {folder / 'keys'}\n{broker.section()}")
    try:
        lines = [f"smp-udp:d{device['device']},{device['address']}:{device['port']},{rig.MODEL}" for device in simulator.devices]
        daemon.call("device.import", {"csv": "\n".join(["id,address,model", *lines])})
        daemon.import_file(image)
        await_online(broker)
        desk = Desk(broker)
        artifact = {"url": "https://fw.example/app.bin", "sha256": harness.sha256_of(image), "size": image.stat().st_size, "compatible": [rig.MODEL]}
        ids = {"ids": [f"smp-udp:d{n}" for n in range(N_DEVICES)]}
        plan = {"jws": signer.jws(campaign(artifact, ids, name="planned"))}
        asked = [desk.ask("campaign.plan", plan) for _ in range(RUNS)]
        started = desk.ask("campaign.start", {"jws": signer.jws(campaign(artifact, ids, name="started", policy={"waves": [{"count": 1}], "gate": "first-wave"}))})
        size = asked[0][1]
        echo = statistics.median(broker.echo_seconds(b"x" * size) for _ in range(RUNS))
        planned = statistics.median(seconds for seconds, _, _ in asked)
        assert all(answer["counts"]["update"] == N_DEVICES for _, _, answer in asked)
        report.row(f"verified, planned, answered ({size} bytes)", f"{planned * 1000:.0f} ms", f"{N_ECHOES} echoes {echo * 1000:.0f} ms", planned / echo,
                   at_most=1.0)
        report.row("verified, 1,000 jobs written down, answered", f"{started[0] * 1000:.0f} ms", f"{N_ECHOES} echoes {echo * 1000:.0f} ms", started[0] / echo)
    finally:
        daemon.stop()
        simulator.stop()
        broker.stop()


# --- a fleet at one broker ---


def documents_of_a_gateway(folder):
    """(status, campaign) as a real one publishes them, after a campaign over three devices."""
    simulator = harness.Simulator(folder / "sim", "--udp", "127.0.0.1:0", "--count", 3)
    image, _ = harness.make_image(folder / "app.bin", "1.1.0", "--size", 24 * 1024)
    broker = BenchBroker(folder / "one")
    daemon = rig.Daemon(folder / "gw", settings=f"{broker.section()}")
    try:
        daemon.adopt(simulator)
        daemon.import_file(image)
        watcher = Raw(broker.port, "monitor")
        watcher.subscribe("gatewayd/v1/gw/+/status", "gatewayd/v1/gw/+/campaign/+")
        daemon.update_all(image)
        found = {}
        while len(found) < 2:
            topic, payload = watcher.message()
            document = json.loads(payload)
            if topic.endswith("/status") and document["state"] == "online" and document["campaigns"]["in_progress"] == 0 and not document["running"]:
                found["status"] = payload
            elif topic.endswith("/bench") and document["campaign"]["state"] == "completed":
                found["campaign"] = payload
        return found["status"], found["campaign"]
    finally:
        daemon.stop()
        simulator.stop()
        broker.stop()


def publish_all(port, status, document):
    """N_GATEWAYS connections, each with its will and its two documents; answers them."""
    connections, begin = [], time.monotonic()
    for n in range(N_GATEWAYS):
        name = f"pi-{n:04d}"
        own = f"gatewayd/v1/gw/{name}/"
        one = Raw(port, name, own + "status", status.replace(b'"online"', b'"offline"'))
        one.send(publish_packet(own + "status", status.replace(b"test-gateway", name.encode()), 1, retain=True) +
                 publish_packet(own + "campaign/bench", document.replace(b"test-gateway", name.encode()), 2, retain=True))
        connections.append(one)
    for one in connections:
        for _ in range(2):
            kind, body = one.read()
            assert kind == 0x40 and (len(body) == 2 or body[2] < 0x80), body
    return connections, time.monotonic() - begin


def read_all(port):
    reader = Raw(port, "monitor")
    begin, n_bytes = time.monotonic(), 0
    reader.send(subscribe_packet(1, "gatewayd/v1/gw/+/status", "gatewayd/v1/gw/+/campaign/+"))
    for _ in range(2 * N_GATEWAYS):
        n_bytes += len(reader.message()[1])
    return time.monotonic() - begin, n_bytes


def own_figures(port):
    names = ("$SYS/broker/clients/connected", "$SYS/broker/retained messages/count", "$SYS/broker/store/messages/bytes", "$SYS/broker/heap/current",
             "$SYS/broker/messages/received", "$SYS/broker/messages/sent", "$SYS/broker/bytes/received", "$SYS/broker/bytes/sent")
    client, found = Raw(port, "bench"), {}
    client.subscribe("$SYS/#")
    while True:  # the values of a whole interval of the broker, behind everything that was done
        topic, payload = client.message()
        if topic in names:
            found[topic] = payload.decode()
        if len(found) == len(names) and all(value != "0" for value in found.values()) and int(found[names[4]]) >= 2 * N_GATEWAYS:
            return found


def fleet(report, folder, arguments):
    """2,000 gateways at one mosquitto, each with its will and its retained status and campaign documents, through the ACL that is shipped"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    status, document = documents_of_a_gateway(folder / "one-gateway")
    broker = BenchBroker(folder / "broker")
    try:
        empty_kib = rig.memory_kib(broker.process.pid)[0]
        cpu = rig.cpu_seconds(broker.process.pid)
        connections, published_s = publish_all(broker.port, status, document)
        report.row(f"connected and published ({len(status)} + {len(document)} bytes each)", f"{published_s:.1f} s",
                   f"{2 * N_GATEWAYS / published_s:.0f} documents/s")
        report.row("CPU of the broker for that", f"{rig.cpu_seconds(broker.process.pid) - cpu:.2f} s")
        read_s, n_bytes = read_all(broker.port)
        report.row("a dashboard reads all of them", f"{read_s:.2f} s", f"{n_bytes / read_s / 1e6:.1f} MB/s")
        grown = rig.memory_kib(broker.process.pid)[0] - empty_kib
        report.row("memory of the broker (private dirty)", f"{grown / 1024:.1f} MiB", f"{grown / N_GATEWAYS:.1f} KiB a gateway")
        for name, value in own_figures(broker.port).items():
            report.row(name, value)
        for one in connections:
            one.socket.close()
    finally:
        broker.stop()
