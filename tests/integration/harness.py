# SPDX-License-Identifier: Apache-2.0
"""What every integration test stands on: the real daemon, the simulated devices, and a client of the control socket written apart
from gatewayctl. Nothing here waits for a time to pass: readiness comes by sd_notify, progress by events, ends by process exit."""

import array
import collections
import functools
import hashlib
import json
import os
import pathlib
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GW_BUILD_DIR", ROOT / "build/dev"))
SIMULATE = ROOT / "simulators/gatewayd-simulate"
MAKE_IMAGE = ROOT / "simulators/make-image"
GATEWAYD = BUILD / "gatewayd/gatewayd"
GATEWAYCTL = BUILD / "gatewayctl/gatewayctl"
PLUGINS = BUILD / "plugins"
PATIENCE_S = 60  # after this a test is hanging, not slow

sys.path.insert(0, str(ROOT / "tests/schemas"))

import schema_tools  # noqa: E402


@functools.cache
def _validator(definition):
    return schema_tools.validator("reply", definition)


def hold_against_schema(message, method=None):
    """Every line that the daemon writes to a test is what schemas/reply.schema.json says."""
    checks = [(None, message)]
    if "result" in message and method:
        checks.append(("" if method == "campaign.report" else method, message["result"]))
    elif "method" in message:
        checks.append((message["method"], message["params"]))
    for definition, part in checks:
        problems = schema_tools.problems("report", part) if definition == "" else [
            f"{error.json_path}: {error.message}" for error in _validator(definition).iter_errors(part)]
        assert not problems, (definition, problems)


class RpcError(Exception):
    def __init__(self, error):
        self.code = error["code"]
        self.data = error.get("data", {})
        self.name = self.data.get("name", "")
        self.mistakes = self.data.get("errors", [])
        super().__init__(f"{self.name}: {error['message']} {self.mistakes}")


class Hanging(Exception):
    """A campaign that does not come to where a test wants it; state: its last campaign.get."""

    def __init__(self, text, state):
        super().__init__(text)
        self.state = state


class Client:
    """One connection to the control socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.buffer = b""
        self.next_id = 0
        self.methods = {}
        self.notifications = collections.deque()
        self.answers = {}

    def close(self):
        self.socket.close()

    def send_line(self, line, fd=None):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
        data = line + b"\n"
        sent = self.socket.sendmsg([data], ancillary)
        self.socket.sendall(data[sent:])

    def read_line(self, timeout_s=PATIENCE_S):
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError("the daemon does not answer")
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the daemon closed the connection")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        message = json.loads(line)
        hold_against_schema(message, self.methods.pop(message.get("id"), None))
        return message

    def start(self, method, params=None, fd=None):
        self.next_id += 1
        request = {"jsonrpc": "2.0", "id": self.next_id, "method": method}
        if params is not None:
            request["params"] = params
        self.methods[self.next_id] = method
        self.send_line(json.dumps(request).encode(), fd)
        return self.next_id

    def answered(self, number):
        """Whether the answer is there; does not wait."""
        while number not in self.answers and (b"\n" in self.buffer or select.select([self.socket], [], [], 0)[0]):
            message = self.read_line()
            if "id" in message:
                self.answers[message["id"]] = message
        return number in self.answers

    def finish(self, number, timeout_s=PATIENCE_S):
        while number not in self.answers:
            message = self.read_line(timeout_s)
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self.notifications.append(message)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    def call(self, method, params=None, fd=None, timeout_s=PATIENCE_S):
        return self.finish(self.start(method, params, fd), timeout_s)

    def notification(self, timeout_s=PATIENCE_S):
        if self.notifications:
            return self.notifications.popleft()
        return self.read_line(timeout_s)


def _copy_lines(stream, path, lines):
    with open(path, "ab") as file:
        for line in stream:
            file.write(line)
            file.flush()
            lines.put(line.decode(errors="replace"))
    lines.put(None)


class Gateway:
    """A state directory, a configuration, and the daemon that runs on them, again and again if need be."""

    def __init__(self, folder, devices="", settings="", wrapper=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket_path = self.folder / "control.sock"
        self.state = self.folder / "state"
        self.config = self.folder / "gatewayd.conf"
        self.wrapper = list(wrapper)
        self.process = None
        self.log_path = self.folder / "gatewayd.log"
        self.write_config(devices, settings)

    def write_config(self, devices="", settings=""):
        self.config.write_text(f"""
[gateway]
id = test-gateway
state_dir = {self.state}
control_socket = {self.socket_path}
control_group = {os.popen('id -gn').read().strip()}
plugin_dir = {PLUGINS}
[log]
level = debug
[policy]
trial = 100 ms
{settings}
{devices}
""")

    def start(self, environment=None, wait=True, follow_log=False):
        """follow_log: await_log() is possible; the log file is written then as well. Or a queue, which gets every line, then None."""
        notify_path = str(self.folder / "notify.sock")
        if os.path.exists(notify_path):
            os.unlink(notify_path)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(notify_path)
        env = dict(os.environ, NOTIFY_SOCKET=notify_path, **(environment or {}))
        log = open(self.log_path, "ab")
        stderr = subprocess.PIPE if follow_log else log
        self.process = subprocess.Popen([*self.wrapper, str(GATEWAYD), "--config", str(self.config)], env=env, stderr=stderr, stdout=log)
        if follow_log:
            self.lines = queue.SimpleQueue() if follow_log is True else follow_log
            threading.Thread(target=_copy_lines, args=(self.process.stderr, self.log_path, self.lines), daemon=True).start()
        log.close()
        if wait:
            self._wait_ready(notify)
        self.notify = notify
        return self

    def _wait_ready(self, notify):
        poller = select.poll()
        pidfd = os.pidfd_open(self.process.pid) if hasattr(os, "pidfd_open") else None
        poller.register(notify, select.POLLIN)
        if pidfd is not None:
            poller.register(pidfd, select.POLLIN)
        try:
            while True:
                ready = poller.poll(PATIENCE_S * 1000)
                if not ready:
                    raise TimeoutError("gatewayd is not ready\n" + self.log()[-4000:])
                for fd, _ in ready:
                    if fd == notify.fileno() and b"READY=1" in notify.recv(4096):
                        return
                    if fd == pidfd and not select.select([notify], [], [], 0)[0]:
                        raise RuntimeError(f"gatewayd ended with {self.process.wait()}\n" + self.log()[-4000:])
        finally:
            if pidfd is not None:
                os.close(pidfd)

    def await_log(self, text):
        """Reads on in the log until a line holds the text; answers the line, None when the daemon ended before."""
        while True:
            line = self.lines.get(timeout=PATIENCE_S)
            if line is None or text in line:
                return line

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def client(self):
        return Client(self.socket_path)

    def call(self, method, params=None, fd=None):
        client = self.client()
        try:
            return client.call(method, params, fd)
        finally:
            client.close()

    def stop(self, expected=0):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(PATIENCE_S)
            if expected is not None:
                assert code == expected, f"gatewayd ended with {code}\n" + self.log()[-6000:]
        self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self.process = None

    def import_file(self, path):
        with open(path, "rb") as file:
            return self.call("artifact.import", {"name": pathlib.Path(path).name}, fd=file.fileno())

    def begin(self, path, devices, name="c1", compatible=None, **policy):
        """Imports a file and starts a campaign for these devices; answers the campaign."""
        sha256 = self.import_file(path)["artifact"]["sha256"]
        artifact = {"sha256": sha256, "size": os.path.getsize(path)}
        if compatible:
            artifact["compatible"] = compatible
        document = {"schema": "gatewayd/campaign/1", "id": name, "revision": 1, "artifacts": [artifact], "devices": devices}
        if policy:
            document["policy"] = policy
        return self.call("campaign.start", {"document": document})["campaign"]

    def follow(self, campaign="c1", until=lambda campaign: campaign["state"] in ("completed", "canceled", "superseded", "expired"), patience_s=PATIENCE_S):
        """Waits by events until the campaign is as wanted; answers campaign.get."""
        client = self.client()
        end = time.monotonic() + patience_s
        state = None
        try:
            client.call("events.subscribe", {"campaign": campaign})
            while True:
                state = client.call("campaign.get", {"id": campaign, "steps": True})
                if until(state["campaign"]):
                    return state
                client.notification(max(0, end - time.monotonic()))
        except TimeoutError:
            still = [f"{job['device']} {job['state']} {job.get('step')} {job.get('reason')} {job.get('error')}"
                     for job in state["jobs"] if job["state"] in ("queued", "in_progress")]
            raise Hanging(f"not over after {patience_s} s: {state['campaign']}\n" + "\n".join(still), state) from None
        finally:
            client.close()

    def jobs(self, campaign="c1"):
        return {job["device"]: job for job in self.follow(campaign)["jobs"]}

    def record(self):
        """All numbered events from the first on, in order; holds them to be without gap or double."""
        client = self.client()
        try:
            answer = client.call("events.subscribe", {"from": 1})
            events = [client.notification()["params"] for _ in range(answer["newest"])]
        finally:
            client.close()
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        return events

    def wait_event(self, wanted, campaign="c1", start=1, progress=False):
        """The first notification for which wanted(params) holds, from the beginning of the record unless start says otherwise."""
        client = self.client()
        try:
            params = {"campaign": campaign, "progress": progress}
            if start:
                params["from"] = start
            client.call("events.subscribe", params)
            while True:
                message = client.notification()
                if wanted(message["params"], message["method"]):
                    return message["params"]
        finally:
            client.close()


class Simulator:
    """Simulated devices in one process."""

    def __init__(self, folder, *arguments):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.control_path = self.folder / "sim.sock"
        self.events_path = self.folder / "events.jsonl"
        command = [sys.executable if "/usr/bin" in sys.executable else "/usr/bin/python3", str(SIMULATE), "--control", str(self.control_path),
                   "--events", str(self.events_path), "--die-with-parent", *[str(a) for a in arguments]]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.devices = []
        for line in self.process.stdout:
            message = json.loads(line)
            if "ready" in message:
                break
            if "device" in message:
                self.devices.append(message)
        else:
            raise RuntimeError(f"the simulator ended with {self.process.wait()}")

    def sections(self, name="d{}", extra=""):
        """[device] sections of a configuration, one for each simulated device."""
        text = ""
        for device in self.devices:
            text += f"[device {name.format(device['device'])}]\n"
            if device["transport"] == "udp":
                text += f"driver = smp-udp\naddress = {device['address']}:{device['port']}\n"
            else:
                text += f"driver = smp-serial\naddress = {device['path']}\n"
            text += extra + "\n"
        return text

    def control(self, **message):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.control_path))
            connection.sendall(json.dumps(message).encode() + b"\n")
            answer = json.loads(connection.makefile().readline())
        assert answer["ok"], answer
        return answer

    def events(self, device=None, name=None):
        lines = self.events_path.read_text().splitlines() if self.events_path.exists() else []
        found = [json.loads(line) for line in lines]
        return [e for e in found if (device is None or e["device"] == device) and (name is None or e["event"] == name)]

    def watch(self):
        """A generator of events from now on."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.control_path))
        connection.sendall(b'{"do":"subscribe"}\n')
        stream = connection.makefile()
        assert json.loads(stream.readline())["ok"]
        return (json.loads(line) for line in stream)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
        self.process.stdout.close()


def make_image(path, version="1.1.0", *arguments):
    """An unsigned MCUboot image; answers its path and image hash."""
    out = subprocess.run(["/usr/bin/python3", str(MAKE_IMAGE), "--version", version, "-o", str(path), *[str(a) for a in arguments]],
                         capture_output=True, text=True, check=True).stdout
    return pathlib.Path(path), json.loads(out)["hash"]


def sha256_of(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def make_package(path, *files, board=None):
    """A dfu_application.zip of files given as IMAGE:FILE."""
    arguments = [part for file in files for part in ("--file", file)] + (["--board", board] if board else [])
    subprocess.run(["/usr/bin/python3", str(MAKE_IMAGE), "--package", str(path), *arguments], capture_output=True, text=True, check=True)
    return pathlib.Path(path)
