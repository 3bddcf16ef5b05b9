# SPDX-License-Identifier: Apache-2.0
"""A real mosquitto with the ACL of etc/mosquitto on a free port of the loopback, and clients of it over paho."""

import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

import harness

MOSQUITTO = "/usr/sbin/mosquitto"
PATIENCE_S = harness.PATIENCE_S
EVENT_LINE = "pattern write gatewayd/v1/gw/%u/event"
ACL = harness.ROOT / "etc/mosquitto/gatewayd.acl"
CONFIG = harness.ROOT / "etc/mosquitto/gatewayd.conf"
SCHEMAS = {"status": "status", "event": "event", "campaign": "report", "device": "device-document"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """users: name -> password. The broker takes nobody else."""

    def __init__(self, folder, users=("test-gateway", "operator", "monitor"), acl=None, options=""):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.port = free_port()
        self.users = {user: f"secret-{user}" for user in users}
        self.process = None
        passwords = self.folder / "passwd"
        passwords.write_text("".join(f"{user}:{password}\n" for user, password in self.users.items()))
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True, capture_output=True)
        self.acl = self.folder / "acl"
        self.acl.write_text(ACL.read_text() if acl is None else acl)
        self.config = self.folder / "mosquitto.conf"
        self.config.write_text(self._configuration(options))
        self.clients = []
        self.start()

    def _configuration(self, options):
        """The one that is shipped, without its listeners: this one is on the loopback alone."""
        text = CONFIG.read_text().partition("# Gateways and people with user name")[0]
        text = text.replace("/etc/mosquitto/gatewayd.passwd", str(self.folder / "passwd")).replace("/etc/mosquitto/gatewayd.acl", str(self.acl))
        return f"{text}\npersistence true\npersistence_location {self.folder}/\nuser root\nautosave_interval 1\nsys_interval 1\nlog_dest file {self.folder}/log\nlog_type all\n{options}\nlistener {self.port} 127.0.0.1\n"

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self.config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, self.log()

    def start_for(self, user, *filters):
        """Starts, and takes no event before this client has subscribed: what is delivered at once would be heard by nobody."""
        self.acl.write_text(ACL.read_text().replace(EVENT_LINE, ""))
        self.start()
        client = self.client(user)
        client.subscribe(*filters)
        self.set_acl(ACL.read_text())
        return client

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def signal(self, number):
        self.process.send_signal(number)

    def set_acl(self, text):
        """Taken over at once; mosquitto looks it up for every message."""
        self.acl.write_text(text)
        n_before = self.log().count("Reloading config")
        self.signal(signal.SIGHUP)
        end = time.monotonic() + PATIENCE_S
        while self.log().count("Reloading config") == n_before:
            assert time.monotonic() < end

    def stop(self, kill=False):
        """Without kill it saves what it retains."""
        for client in self.clients:
            client.stop()
        self.clients = []
        self.pause(kill)

    def pause(self, kill=False):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            self.process.wait(PATIENCE_S)
        self.process = None

    def settings(self, gateway="test-gateway", extra=""):
        """A [mqtt] section for this broker."""
        path = self.folder / f"{gateway}.password"
        path.write_text(self.users[gateway] + "\n")
        path.chmod(0o600)
        return (f"[mqtt]\nurl = mqtt://127.0.0.1:{self.port}\nuser = {gateway}\npassword_file = {path}\nprogress_interval = 1 s\n{extra}\n")

    def client(self, user="operator", **options):
        one = Client(self.port, user, self.users[user], **options)
        self.clients.append(one)
        return one


class Message:
    def __init__(self, raw):
        self.topic = raw.topic
        self.payload = raw.payload
        self.retained = raw.retain
        self.correlation = getattr(raw.properties, "CorrelationData", None)
        self.json = None
        try:
            self.json = json.loads(raw.payload)
        except ValueError:
            pass

    def __repr__(self):
        return f"{self.topic}: {self.payload[:200]}"


def hold_against_schema(message):
    """Every document of a gateway is what its schema says."""
    import schema_tools

    parts = message.topic.split("/")
    kind = parts[4] if len(parts) > 4 and parts[2] == "gw" else None
    if kind in SCHEMAS and message.payload:
        problems = schema_tools.problems(SCHEMAS[kind], message.json)
        assert not problems, (message, problems)


class Client:
    """A person's or a program's connection to the broker. Messages come in order, each once to whoever asks for it. lasting: the broker
    keeps for this client what comes while it is away, over its own restarts too."""

    def __init__(self, port, user, password, client_id=None, lasting=False):
        self.user = user
        self.messages = []
        self.arrived = queue.SimpleQueue()
        self.failures = []
        self.holds_schemas = True
        self.acknowledged = {}
        self.n_requests = 0
        self.paho = paho.Client(client_id or f"{user}-{os.getpid()}-{id(self)}", protocol=paho.MQTTv5)
        self.paho.username_pw_set(user, password)
        self.paho.max_inflight_messages_set(200)
        self.paho.on_message = self._on_message
        self.paho.on_connect = lambda client, data, flags, reason, properties: self.arrived.put(("connect", reason))
        self.paho.on_subscribe = lambda client, data, mid, reasons, properties: self.arrived.put(("suback", mid, reasons))
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600 if lasting else 0
        # mosquitto 2.0 does not store a session that began as a clean one, whatever its expiry.
        self.paho.connect("127.0.0.1", port, keepalive=60, clean_start=not lasting, properties=session)
        self.paho.loop_start()
        self._wait(lambda item: item[0] == "connect")

    def _on_message(self, client, data, raw):
        message = Message(raw)
        try:
            if self.holds_schemas:
                hold_against_schema(message)
        except AssertionError as error:
            self.failures.append(error)
        self.arrived.put(("message", message))

    def _take(self, timeout_s):
        item = self.arrived.get(timeout=timeout_s)
        if self.failures:
            raise self.failures[0]
        if item[0] == "message":
            self.messages.append(item[1])
        return item

    def _wait(self, wanted, timeout_s=PATIENCE_S):
        end = time.monotonic() + timeout_s
        while True:
            item = self._take(max(0.001, end - time.monotonic()))
            if wanted(item):
                return item

    def subscribe(self, *filters):
        result, mid = self.paho.subscribe([(name, SubscribeOptions(qos=1, retainAsPublished=True)) for name in filters])
        assert result == paho.MQTT_ERR_SUCCESS
        return self._wait(lambda item: item[0] == "suback" and item[1] == mid)[2]

    def publish(self, topic, payload=b"", retain=False, **properties):
        """Waits for the broker's acknowledgement."""
        settings = Properties(PacketTypes.PUBLISH)
        for name, value in properties.items():
            setattr(settings, name, value)
        info = self.paho.publish(topic, payload if isinstance(payload, (bytes, str)) else json.dumps(payload), 1, retain, settings)
        info.wait_for_publish(PATIENCE_S)
        assert info.is_published()

    def take(self, wanted, timeout_s=PATIENCE_S):
        """The first message for which wanted(message) holds; it and those before it that were asked over stay away afterwards."""
        for i, message in enumerate(self.messages):
            if wanted(message):
                return self.messages.pop(i)
        self._wait(lambda item: item[0] == "message" and wanted(item[1]), timeout_s)
        return self.messages.pop()

    def drain(self):
        """What has come so far."""
        while not self.arrived.empty():
            self._take(1)
        out, self.messages = self.messages, []
        return out

    def request(self, topic, method, params=None, reply_to="own", number=None):
        """Sends; answers the correlation data."""
        self.n_requests += 1
        correlation = f"{self.user}-{self.n_requests}".encode()
        message = {"jsonrpc": "2.0", "id": self.n_requests if number is None else number, "method": method}
        if params is not None:
            message["params"] = params
        properties = {"CorrelationData": correlation}
        if reply_to:
            properties["ResponseTopic"] = f"gatewayd/v1/client/{self.user}/reply" if reply_to == "own" else reply_to
        self.publish(topic, message, **properties)
        return correlation

    def call(self, method, params=None, gateway="test-gateway", timeout_s=PATIENCE_S):
        """To one gateway; answers its result, or raises harness.RpcError. The own reply topic is subscribed to."""
        correlation = self.request(f"gatewayd/v1/gw/{gateway}/command", method, params)
        reply = self.take(lambda message: message.correlation == correlation, timeout_s).json
        assert reply["gateway"] == gateway
        harness.hold_against_schema(reply, method)
        if "error" in reply:
            raise harness.RpcError(reply["error"])
        return reply["result"]

    def stop(self):
        self.paho.disconnect()
        self.paho.loop_stop()
