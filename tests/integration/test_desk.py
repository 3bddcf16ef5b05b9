# SPDX-License-Identifier: Apache-2.0
"""gatewayctl from a desk: a real mosquitto with TLS, three gateways with their own devices behind it, and a client that has nothing but a
profile: no control socket, no key that it was not given."""

import contextlib
import csv
import json
import os
import pathlib
import subprocess
import sys
import threading

import paho.mqtt.client as paho
import pytest

import harness

sys.path.insert(0, str(harness.ROOT / "simulators"))

from gwdesk import authority, broker, file_server  # noqa: E402

PATIENCE_S = 90
MODEL = "acme,sensor-r2"


class Remote(harness.Gateway):
    """A gateway that is reached through the broker."""

    def __init__(self, world, name, groups, devices):
        self.world, self.name, self.groups = world, name, groups
        self.certificate = world.authority.issue(name)
        super().__init__(world.folder / name, devices)

    def write_config(self, devices="", settings=""):
        certificate, key = self.certificate
        self.config.write_text(f"""
[gateway]
id = {self.name}
groups = {self.groups}
state_dir = {self.state}
control_socket = {self.socket_path}
control_group = {os.popen('id -gn').read().strip()}
plugin_dir = {harness.PLUGINS}
[log]
level = debug
[artifacts]
allow_private = loopback
reserve = 0
[trust]
keys_dir = {self.world.keys}
ca_file = {self.world.authority.file}
[mqtt]
url = {self.world.broker.url}
client_cert = {certificate}
client_key = {key}
progress_interval = 1 s
[policy]
trial = 100 ms
{settings}
{devices}
""")


    def await_end(self, campaign):
        """Also of a campaign that has not come yet."""
        ends = ("completed", "canceled", "superseded", "expired")
        return self.wait_event(lambda params, _: params["type"] == "campaign-state" and params["data"]["state"] in ends, campaign)["data"]["state"]


class Statuses:
    """Reads what the gateways' status documents say, and waits until one says what a test needs."""

    def __init__(self, world):
        certificate, key = world.authority.issue("monitor")
        self.states = {}
        self.changed = threading.Condition()
        self.client = paho.Client("monitor", protocol=paho.MQTTv5)
        self.client.tls_set(str(world.authority.file), str(certificate), str(key))
        self.client.on_connect = lambda client, *_: client.subscribe("gatewayd/v1/gw/+/status", 1)
        self.client.on_message = self.take
        self.client.on_disconnect = self.forget
        self.client.connect("localhost", world.broker.port)
        self.client.loop_start()

    def take(self, _client, _data, message):
        with self.changed:
            self.states[message.topic.split("/")[3]] = json.loads(message.payload)["state"]
            self.changed.notify_all()

    def forget(self, *_):
        with self.changed:
            self.states.clear()

    def await_state(self, gateway, state):
        with self.changed:
            assert self.changed.wait_for(lambda: self.states.get(gateway) == state, PATIENCE_S), self.states

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


class Desk:
    """gatewayctl on a machine on which nothing else of gatewayd is."""

    def __init__(self, world, folder, name="operator", **profile):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        certificate, key = world.authority.issue(name)
        settings = {"broker": world.broker.url, "ca_file": world.authority.file, "cert": certificate, "cert_key": key, "client": name, **profile}
        (self.folder / "profiles.conf").write_text("[profile acme]\n" + "".join(f"{k} = {v}\n" for k, v in settings.items() if v is not None))
        self.environment = {"HOME": str(self.folder), "GATEWAYCTL_PROFILES": str(self.folder / "profiles.conf"), "GATEWAYCTL_PROFILE": "acme", "TZ": "UTC",
                            "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], "GATEWAYD_SOCKET": str(self.folder / "no-such.sock"),
                            **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}

    def __call__(self, *words, code=0, stdin=None):
        result = subprocess.run([str(harness.GATEWAYCTL), *map(str, words)], env=self.environment, cwd=self.folder, capture_output=True, text=True, input=stdin,
                                stdin=None if stdin else subprocess.DEVNULL, timeout=PATIENCE_S)
        assert code is None or result.returncode == code, f"{words} ended with {result.returncode}\n{result.stdout}\n{result.stderr}"
        self.errors = result.stderr
        return result.stdout

    def json(self, *words, code=0):
        return json.loads(self(*words, "--json", code=code))

    def refused(self, *words, code):
        return self.json(*words, code=code)["error"]["name"]

    def begin(self, *words):
        return subprocess.Popen([str(harness.GATEWAYCTL), *map(str, words)], env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class World:
    """Everything between the desk and the devices; faults: number of a device -> what its simulator does wrong. pi-1 and pi-2 are in the group oslo, pi-2 also in east; pi-3 is in oslo and switched off."""

    def __init__(self, folder, faults=None):
        self.folder = folder
        self.authority = authority.Authority(folder / "pki")
        self.keys = folder / "keys"
        self.keys.mkdir()
        # Another operator beside the one that is shipped.
        acl = broker.ACL.read_text()
        operator = acl.partition("user operator\n")[2].partition("\n#")[0]
        self.broker = broker.Broker(folder / "broker", self.authority, f"{acl}\nuser observer\n{operator}\n").start()
        self.files = file_server.FileServer(folder / "files", self.authority)
        self.simulator = harness.Simulator(folder / "sim", "--udp", "127.0.0.1:0", "--udp-count", 5, "--hardware-version", MODEL,
                                           *(word for number, fault in (faults or {}).items() for word in ("--device", f"{number}:{fault}")))
        self.gateways = {}
        self.n_versions = 0
        self.keygen("ci")
        for name, groups, numbers in (("pi-1", "oslo", (0, 1)), ("pi-2", "oslo east", (2, 3)), ("pi-3", "oslo", (4,))):
            self.gateways[name] = Remote(self, name, groups, self.sections(numbers)).start()
        self.statuses = Statuses(self)
        for name in self.gateways:
            self.statuses.await_state(name, "online")

    @property
    def version(self):
        return f"1.{self.n_versions}.0"

    def sections(self, numbers):
        text = ""
        for device in self.simulator.devices:
            if device["device"] in numbers:
                text += f"[device d{device['device']}]\ndriver = smp-udp\naddress = {device['address']}:{device['port']}\nlabels = sensor\n"
        return text

    def keygen(self, name, known=True):
        folder = self.folder if known else self.folder / "strangers"
        folder.mkdir(exist_ok=True)
        subprocess.run([harness.GATEWAYCTL, "keygen", name], cwd=folder, check=True, capture_output=True)
        if known:
            (self.keys / f"{name}.pub").write_bytes((folder / f"{name}.pub").read_bytes())
            (self.keys / f"{name}.pub").chmod(0o644)
        return folder / f"{name}.key"

    def stop(self):
        for gateway in self.gateways.values():
            gateway.stop()
        self.statuses.stop()
        self.simulator.stop()
        self.files.stop()
        self.broker.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("desk"))
    yield made
    made.stop()


@pytest.fixture
def desk(world, tmp_path):
    return Desk(world, tmp_path / "desk", key=world.folder / "ci.key")


@pytest.fixture
def observer(world, tmp_path):
    """Somebody without a key."""
    return Desk(world, tmp_path / "observer", "observer")


@pytest.fixture
def orders(world, desk, tmp_path):
    """orders("c1") -> a campaign document for the sensors, its file served; made by gatewayctl itself. Each brings a newer version than the
    one before: world.version."""

    def make(name, *options):
        world.n_versions += 1
        version = world.version
        image, _ = harness.make_image(world.files.folder / f"app-{version}.bin", version, "--size", "24K")
        path = tmp_path / f"{name}.json"
        desk("campaign", "new", image, "--id", name, "--url", world.files.url + "/", "--compatible", MODEL, "--label", "sensor", "--start-jitter", "0s",
             *([] if "--waves" in options else ["--waves", "100%"]), *options, "-o", path)
        return path

    return make


@contextlib.contextmanager
def switched_off(gateway):
    gateway.stop()
    gateway.world.statuses.await_state(gateway.name, "offline")
    try:
        yield gateway
    finally:
        gateway.start()
        gateway.world.statuses.await_state(gateway.name, "online")


def versions(answer):
    return {device["id"]: device.get("version") for device in answer["devices"]}


# --- reading ---

def test_gateways(world, observer):
    with switched_off(world.gateways["pi-3"]):
        lines = observer("gateways").splitlines()
        assert lines[0].split()[:2] == ["GATEWAY", "STATE"]
        assert [line.split()[:2] for line in lines[1:]] == [["pi-1", "online"], ["pi-2", "online"], ["pi-3", "offline"]]
        assert "oslo east" in lines[2]
        assert [g["gateway"] for g in observer.json("gateways", "--group", "east")["gateways"]] == ["pi-2"]


def test_one_gateway(observer):
    assert "pi-1" in observer("info", "--gateway", "pi-1")
    out = observer("device", "list", "--gateway", "pi-1")
    assert "GATEWAY" not in out and "smp-udp:d0" in out and "smp-udp:d2" not in out
    assert set(versions(observer.json("device", "list", "--gateway", "pi-2"))) == {"smp-udp:d2", "smp-udp:d3"}
    assert "smp-udp:d1" in observer("device", "get", "d1", "--gateway", "pi-1")
    assert observer.json("gateway", "health", "--gateway", "pi-1")["status"] == "ok"


def test_a_group_and_who_did_not_answer(world, observer):
    with switched_off(world.gateways["pi-3"]):
        out = observer("device", "list", "--group", "oslo", code=1)
        rows = [line.split()[:2] for line in out.splitlines() if line.startswith("pi-")]
        assert rows == [["pi-1", "smp-udp:d0"], ["pi-1", "smp-udp:d1"], ["pi-2", "smp-udp:d2"], ["pi-2", "smp-udp:d3"]]
        assert "No answer:\n  pi-3: it has no connection to the broker (gateway-offline)" in out
        answer = observer.json("device", "list", "--group", "oslo", code=1)
        assert {(d["gateway"], d["id"]) for d in answer["devices"]} == {("pi-1", "smp-udp:d0"), ("pi-1", "smp-udp:d1"), ("pi-2", "smp-udp:d2"), ("pi-2", "smp-udp:d3")}
        assert {g["gateway"]: g.get("error", {}).get("name") for g in answer["gateways"]} == {"pi-1": None, "pi-2": None, "pi-3": "gateway-offline"}
        assert observer.refused("info", "--gateway", "pi-3", code=4) == "gateway-offline"


def test_all_of_them_where_it_only_reads(observer):
    out = observer("device", "list")
    assert {line.split()[0] for line in out.splitlines()[1:]} == {"pi-1", "pi-2", "pi-3"}
    # A device that one of them has.
    assert observer("device", "get", "smp-udp:d3").startswith("pi-2\ndevice            smp-udp:d3\n")
    assert "sections" not in observer("jobs")


def test_who_is_unknown(observer):
    assert observer.refused("info", "--gateway", "pi-9", code=4) == "gateway-unknown"
    assert observer.refused("info", "--group", "bergen", code=4) == "gateway-unknown"
    assert observer.refused("device", "get", "nothing", code=3) == "device-unknown"


# --- what is not for everybody, not from here, or not without a signature ---

def test_whom_it_is_for_has_to_be_said(observer):
    for words in (("pause", "c1"), ("cancel", "c1"), ("resume", "c1"), ("device", "adopt", "--match", "*")):
        observer(*words, code=2)
        assert "for whom is it?" in observer.errors


def test_what_works_only_on_the_gateway(observer, tmp_path):
    (tmp_path / "app.bin").write_bytes(b"firmware")
    for words in (("audit",), ("gateway", "reload"), ("artifact", "import", tmp_path / "app.bin"), ("update", "--match", "*", tmp_path / "app.bin", "--yes")):
        observer(*words, "--gateway", "pi-1", code=2)
        assert "only on the gateway itself" in observer.errors


def test_without_a_key(observer):
    observer("device", "set", "d0", "--add-label", "x", "--gateway", "pi-1", code=2)
    assert "--key" in observer.errors


def test_signed_commands(world, desk):
    desk("device", "set", "d0", "--add-label", "kitchen", "--gateway", "pi-1")
    assert "kitchen" in desk("device", "list", "--label", "kitchen", "--gateway", "pi-1")
    out = desk("device", "set", "smp-udp:d2", "--name", "Attic", "--group", "oslo")
    assert "Attic" in out and out.startswith("pi-2\n")
    assert "smp-udp:d1" in desk("device", "scan", "--driver", "smp-udp", "--duration", "100ms", "--gateway", "pi-1")
    desk("doctor", "--gateway", "pi-1")


def test_a_key_that_nobody_knows(world, desk):
    stranger = world.keygen("stranger", known=False)
    assert desk.refused("device", "set", "d0", "--add-label", "x", "--gateway", "pi-1", "--key", stranger, code=3) == "key-unknown"
    answer = desk.refused("device", "set", "smp-udp:d0", "--add-label", "x", "--group", "oslo", "--key", stranger, code=3)
    assert answer == "key-unknown"


# --- campaigns ---

def test_a_campaign_on_several_gateways(world, desk, observer, orders):
    path = orders("several")
    # What a device runs and holds is not known before it was asked, and a plan asks no device.
    rows = [line.split() for line in desk("campaign", "plan", path, "--group", "oslo").splitlines()]
    assert ["pi-2", "smp-udp:d3"] in [row[:2] for row in rows] and len(desk.json("campaign", "plan", path, "--group", "oslo")["devices"]) == 5
    out = desk("campaign", "start", path, "--group", "oslo", "--yes")
    assert out.count("updated  hash-active-confirmed") == 5 and "5 of 5 devices succeeded." in out
    rows = [line.split()[:3] for line in out.splitlines() if world.version in line]
    assert ["pi-2", "smp-udp:d3", "updated"] in rows
    assert set(versions(observer.json("device", "list")).values()) == {world.version}
    # Everybody may look.
    assert "completed" in observer("campaign", "list")
    report = observer.json("campaign", "report", "several")
    assert [r["gateway"] for r in report["reports"]] == ["pi-1", "pi-2", "pi-3"]
    assert len(observer.json("campaign", "get", "several")["jobs"]) == 5
    assert observer("watch", "several").count("updated") >= 5


def test_signed_before_and_for_its_own_audience(world, desk, observer, orders, tmp_path):
    path = orders("signed", "--audience", "group:east")
    jws = tmp_path / "signed.jws"
    jws.write_text(desk("sign", path, "--key", world.folder / "ci.key"))
    out = observer("campaign", "start", jws, "--yes")
    assert "smp-udp:d2" in out and "smp-udp:d0" not in out


def test_mistakes_are_told_before_anything_is_sent(desk, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"schema": "gatewayd/campaign/1", "id": "bad", "revision": 0, "artifacts": [], "devices": {}}))
    failure = desk.json("campaign", "start", bad, "--all", "--yes", code=3)["error"]
    assert failure["name"] == "document-invalid" and {"revision", "artifacts"} <= {e["path"] for e in failure["errors"]}


def test_stopping_needs_no_key(desk, observer, orders):
    """Going on does."""
    path = orders("stopping", "--running", ">=9")
    desk("campaign", "start", path, "--gateway", "pi-1", "--yes", "--no-wait", code=3)
    path = orders("stopping", "--trial", "1 h")
    assert "Started as stopping" in desk("campaign", "start", path, "--all", "--yes", "--no-wait")
    assert observer("pause", "stopping", "--group", "east") == "pi-2: stopping is paused (person).\n"
    observer("resume", "stopping", "--group", "east", code=2)
    assert "pi-2: stopping is in_progress." in desk("resume", "stopping", "--group", "east")
    out = observer("cancel", "stopping", "--all")
    assert [line.split(":")[0] for line in out.splitlines()] == ["pi-1", "pi-2", "pi-3"]
    observer("watch", "stopping", code=1)


def test_who_does_not_answer_is_told_before_the_question(world, desk, orders):
    path = orders("absent")
    with switched_off(world.gateways["pi-3"]):
        out = desk("campaign", "start", path, "--group", "oslo", "--dry-run", code=1)
        assert "pi-3: it has no connection" in out


# --- what the broker keeps ---

def test_publish(world, desk, observer, orders):
    path = orders("kept")
    with switched_off(world.gateways["pi-3"]):
        out = desk("publish", path, "--group", "oslo")
        assert "is published for group oslo" in out and "Warning" not in out
        for name in ("pi-1", "pi-2"):
            world.gateways[name].await_end("kept")
        assert "No answer:\n  pi-3" in observer("watch", "kept", "--group", "oslo", code=1)
    assert world.gateways["pi-3"].await_end("kept") == "completed"
    assert "5 of 5 devices succeeded." in observer("watch", "kept", "--group", "oslo")
    assert desk.json("publish", path, "--group", "oslo")["replaced"] is True
    assert desk.refused("unpublish", "kept", "--all", code=3) == "not-published"
    assert "not published for group oslo any more" in desk("unpublish", "kept", "--group", "oslo")
    assert desk.refused("unpublish", "kept", "--group", "oslo", code=3) == "not-published"


def test_publish_warns(desk, orders):
    path = orders("short", "--audience", "pi-9", "--valid", "1 h", "--deadline", "2 d")
    out = desk("publish", path, "--gateway", "pi-1")
    assert "(exp)" in out and "its aud is pi-9" in out
    desk("unpublish", "short", "--gateway", "pi-1")


# --- taking back ---

def test_rollback(world, desk, observer, orders, tmp_path):
    desk("campaign", "start", orders("good-idea"), "--all", "--yes")
    before = versions(observer.json("device", "list"))
    assert set(before.values()) == {world.version}
    desk("campaign", "start", orders("bad-idea"), "--all", "--yes")
    assert set(versions(observer.json("device", "list")).values()) == {world.version}
    desk("campaign", "rollback", "bad-idea", "--all", "--output", tmp_path / "back.jws")
    assert "rollback" in desk("campaign", "show", tmp_path / "back.jws")
    desk("campaign", "rollback", "bad-idea", "--all", "--yes")
    assert versions(observer.json("device", "list")) == before


# --- watching ---

def test_watch_everything(world, desk, observer, orders):
    stream = observer.begin("watch", "--json", "--group", "east", "--campaign", "stream", "--timeout", f"{PATIENCE_S} s")
    # The trial alone takes longer than the watcher needs to begin.
    path = orders("stream", "--trial", "2 s")
    desk("campaign", "start", path, "--all", "--yes")
    events = []
    for line in stream.stdout:
        message = json.loads(line)
        assert message["method"] == "event" and message["params"]["gateway"] == "pi-2"
        events.append(message["params"])
        if message["params"]["type"] == "campaign-state" and message["params"]["data"]["state"] == "completed":
            break
    stream.terminate()
    assert stream.wait(PATIENCE_S) == 0
    stream.stdout.close()
    stream.stderr.close()
    assert [e["seq"] for e in events] == sorted(e["seq"] for e in events)
    observer("watch", "--from", 1, code=2)


def test_watch_who_comes_and_goes(world, observer):
    watching = observer.begin("watch", "--group", "oslo", "--timeout", f"{PATIENCE_S} s")
    seen = [watching.stdout.readline().split() for _ in range(4)]
    assert [line[:2] for line in seen[1:]] == [["pi-1", "online"], ["pi-2", "online"], ["pi-3", "online"]]
    with switched_off(world.gateways["pi-3"]):
        while not watching.stdout.readline().rstrip().endswith("pi-3 is offline"):
            assert watching.poll() is None
    while not watching.stdout.readline().rstrip().endswith("pi-3 is online"):
        assert watching.poll() is None
    watching.terminate()
    assert watching.wait(PATIENCE_S) == 0
    watching.stdout.close()
    watching.stderr.close()


def test_watch_survives_the_broker(world, desk, observer, orders):
    """It comes again; so does the watcher, and so do the gateways."""
    desk("campaign", "start", orders("outage", "--trial", "3 s"), "--group", "east", "--yes", "--no-wait")
    watching = observer.begin("watch", "outage", "--group", "east")
    assert "smp-udp" in watching.stdout.readline()
    world.broker.kill()
    assert "waiting for it" in watching.stderr.readline()
    world.broker.start()
    out, errors = watching.communicate(timeout=PATIENCE_S)
    assert watching.returncode == 0 and "2 of 2 devices succeeded." in out, out + errors
    for name in world.gateways:
        world.statuses.await_state(name, "online")


def test_patience_has_an_end(desk, orders):
    desk("campaign", "start", orders("long", "--trial", "1 h"), "--gateway", "pi-1", "--yes", "--no-wait")
    assert desk.refused("watch", "long", "--gateway", "pi-1", "--timeout", "1 s", code=6) == "not-finished-in-time"
    desk("cancel", "long", "--gateway", "pi-1", code=None)


# --- waiting and reporting ---

def test_wait_and_report(desk, observer, orders):
    """In a pipeline: published, waited for where it arrives, and told in a ticket. pi-3 takes it, too, and has no device for it."""
    path = orders("pipeline", "--running", "<9", "--device", "smp-udp:d0", "--device", "smp-udp:d2", "--audience", "group:oslo")
    desk("publish", path, "--group", "oslo")
    out = observer("campaign", "wait", "pipeline", "--group", "oslo", "--appear", "1 min", "--timeout", f"{PATIENCE_S} s")
    assert "2 of 2 devices succeeded." in out
    assert {entry["gateway"]: entry["result"]["campaign"]["counts"]["total"] for entry in observer.json("campaign", "wait", "pipeline", "--group", "oslo")["gateways"]} == {
        "pi-1": 1, "pi-2": 1, "pi-3": 0}
    markdown = observer("campaign", "report", "pipeline", "--group", "oslo", "--format", "markdown")
    assert "| pi-1 | completed | 1 | 1 |" in markdown and "| pi-3 | in\\_progress | 0 | 0 |" in markdown
    rows = list(csv.DictReader(observer("campaign", "report", "pipeline", "--group", "oslo", "--format", "csv").splitlines()))
    assert [(row["gateway"], row["device"], row["result"]) for row in rows] == [("pi-1", "smp-udp:d0", "updated"), ("pi-2", "smp-udp:d2", "updated")]
    desk("cancel", "pipeline", "--gateway", "pi-3")
    desk("unpublish", "pipeline", "--group", "oslo")


def test_wait_ends_as_the_worst_does(desk, observer, orders):
    desk("campaign", "start", orders("gated", "--waves", "1,100%", "--gate", "first-wave"), "--group", "oslo", "--yes", "--no-wait")
    # pi-3 has one device only, and no second wave to wait for.
    assert "`gatewayctl continue gated`" in observer("campaign", "wait", "gated", "--group", "oslo", code=10)
    desk("continue", "gated", "--gateway", "pi-1")
    observer("cancel", "gated", "--gateway", "pi-2")
    observer("campaign", "wait", "gated", "--group", "oslo", code=11)


# --- profiles ---

def test_profiles(world, observer):
    out = observer("profile", "list")
    assert out.splitlines()[1].split()[:2] == ["acme", world.broker.url] and "all gateways" in out
    assert str(world.authority.file) in observer("profile", "show", "acme")
    assert observer.json("profile", "show", "acme")["broker"] == world.broker.url
    observer("profile", "show", "nobody", code=2)
    # What stands on the command line goes before the profile.
    assert "GATEWAY" in observer("gateways", "--profile", "acme", "--broker", world.broker.url)
    assert observer.refused("gateways", "--socket", "x", "--broker", world.broker.url, code=2) == "usage"


# --- the broker ---

def test_a_broker_that_is_not_the_right_one(world, desk, tmp_path):
    other = authority.Authority(tmp_path / "other", "another authority")
    assert desk.refused("gateways", "--ca-file", other.file, code=4) == "peer-certificate-untrusted"
    assert desk.refused("gateways", "--broker", world.broker.url.replace("localhost", "127.0.0.2"), code=4) in ("peer-certificate-wrong-host", "connection-refused")
    assert desk.refused("gateways", "--broker", f"mqtts://localhost:{broker.free_port()}", code=4) == "connection-refused"
    assert desk.refused("gateways", "--broker", "mqtt://broker.acme.example", code=2) == "broker-url-invalid"
    assert desk.refused("gateways", "--profile", "nobody", code=2) == "profile-unknown"
