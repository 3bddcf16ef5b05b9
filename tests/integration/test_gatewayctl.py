# SPDX-License-Identifier: Apache-2.0
"""gatewayctl against a daemon that is written here (what goes over the wire, what a person reads, exit codes), and against the real
one. Every request of the client and every answer of the daemon written here is held against the schemas."""

import array
import hashlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading

import pytest

import harness

sys.path.insert(0, str(harness.ROOT / "tests/schemas"))

import schema_tools  # noqa: E402

PATIENCE_S = harness.PATIENCE_S
NOW = "2026-11-21T00:00:00Z"
SHA = "ab" * 32
HASH = "cd" * 32


class Refusal(Exception):
    def __init__(self, name, text, advice=None, errors=None, code=-32000):
        super().__init__(text)
        data = {"name": name, "text": text}
        if advice:
            data["advice"] = advice
        if errors:
            data["errors"] = errors
        self.error = {"code": code, "message": text, "data": data}


class Hang(Exception):
    """The daemon does not answer."""


class HangUp(Exception):
    """The daemon closes the connection in place of an answer."""


class Daemon:
    """Speaks the protocol of the control socket, with the answers that the test gives it: by method a result, a Refusal, or a function
    of params and connection; such a function may also give a pair: the result, and what happens after it was sent."""

    def __init__(self, path, **answers):
        self.path = str(path)
        self.answers = {name.replace("__", "."): answer for name, answer in answers.items()}
        self.requests = []
        self.files = []
        self.problems = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(PATIENCE_S)

    def serve(self, connection):
        buffer, files = b"", []
        with connection:
            while True:
                data, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(16))
                for _, kind, payload in ancillary:
                    assert kind == socket.SCM_RIGHTS
                    files += array.array("i", payload)
                if not data:
                    return
                buffer += data
                while b"\n" in buffer:
                    line, _, buffer = buffer.partition(b"\n")
                    try:
                        self.answer(connection, json.loads(line), files)
                    except HangUp:
                        return

    def answer(self, connection, request, files):
        method, params = request["method"], request.get("params", {})
        self.requests.append((method, params))
        self.problems += [f"request {method} {p}" for p in schema_tools.problems("command", request)]
        self.problems += [f"request {method} {p}" for p in schema_tools.problems("command", params, method)]
        if files:
            fd = files.pop(0)
            self.files.append(os.read(fd, 1 << 20))
            os.close(fd)
        reply, afterwards = {"jsonrpc": "2.0", "id": request["id"], "gateway": "fake"}, None
        try:
            answer = self.answers[method]
            answer = answer(params, connection) if callable(answer) else answer
            if isinstance(answer, tuple):
                answer, afterwards = answer
            if isinstance(answer, Refusal):
                raise answer
            reply["result"] = answer
            self.problems += [f"reply {method} {p}" for p in schema_tools.problems("reply", answer, method)]
        except Refusal as refusal:
            reply["error"] = refusal.error
        except Hang:
            return
        self.problems += [f"reply {method} {p}" for p in schema_tools.problems("reply", reply)]
        try:
            send(connection, reply)
            if afterwards:
                afterwards()
        except BrokenPipeError:
            raise HangUp from None  # the client ended, which may be what the test is about

    def params(self, method):
        found = [params for name, params in self.requests if name == method]
        assert found, f"{method} was never called: {self.requests}"
        return found[-1]

    def methods(self):
        return [name for name, _ in self.requests]


def send(connection, message):
    connection.sendall(json.dumps(message).encode() + b"\n")


def notify(connection, method, **params):
    send(connection, {"jsonrpc": "2.0", "method": method, "params": {"gateway": "fake", **params}})


def event(connection, type_, seq=1, **more):
    notify(connection, "event", epoch="0123456789abcdef", seq=seq, time=NOW, time_credible=True, type=type_, **more)


class Ctl:
    def __init__(self, path):
        self.path = str(path)
        self.environment = {
            "GATEWAYD_SOCKET": self.path, "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "xterm-256color", "PATH": os.environ["PATH"],
            **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
        }

    def __call__(self, *words, code=0, stdin=None, **environment):
        result = subprocess.run([str(harness.GATEWAYCTL), *map(str, words)], env={**self.environment, **environment}, capture_output=True, text=True,
                                input=stdin, stdin=None if stdin else subprocess.DEVNULL, timeout=PATIENCE_S)
        assert result.returncode == code, f"{words} ended with {result.returncode}\n{result.stdout}\n{result.stderr}"
        self.errors = result.stderr
        return result.stdout

    def json(self, *words, code=0):
        return json.loads(self(*words, "--json", code=code))

    def begin(self, *words):
        return subprocess.Popen([str(harness.GATEWAYCTL), *map(str, words)], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def terminal(self, *words, typed="", code=0, **environment):
        """What somebody sees who runs it on a terminal of 100 columns and types this at its first question."""
        pid, fd = pty.fork()
        if pid == 0:
            os.environ.clear()
            os.environ.update({**self.environment, **environment})
            os.execv(str(harness.GATEWAYCTL), ["gatewayctl", *map(str, words)])
        import fcntl, struct, termios
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        seen = b""
        while True:
            assert select.select([fd], [], [], PATIENCE_S)[0], f"hangs after {seen.decode(errors='replace')}"
            try:
                data = os.read(fd, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
            if typed and seen.endswith(b"[y/N] "):
                os.write(fd, typed.encode())
                typed = ""
        os.close(fd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        text = seen.decode().replace("\r\n", "\n")
        assert status == code, f"{words} ended with {status}\n{text}"
        return text


@pytest.fixture
def daemon(tmp_path):
    running = []

    def begin(**answers):
        running.append(Daemon(tmp_path / "control.sock", **answers))
        return running[-1]

    yield begin
    for one in running:
        one.stop()
        assert not one.problems


@pytest.fixture
def ctl(tmp_path):
    return Ctl(tmp_path / "control.sock")


# --- objects of the protocol ---

def device(id_="smp-udp:kitchen", state="adopted", **more):
    driver, key = id_.split(":")
    return {"id": id_, "driver": driver, "key": key, "name": key, "state": state, "present": True,
            "model": {"effective": "acme,sensor-r2", "stated": "acme,sensor-r2", "conflict": False}, "labels": ["sensor"], "address": "192.0.2.7:1337",
            "version": "1.0.0", "last_seen": "2026-11-20T23:59:00Z", **more}


def counts(**more):
    names = ("total", "queued", "in_progress", "succeeded", "failed", "timed_out", "rejected", "canceled", "superseded")
    return {**dict.fromkeys(names, 0), **more}


def campaign(id_="c1", state="in_progress", **more):
    return {"id": id_, "revision": 1, "state": state, "source": "local", "principal": "uid:0", "digest": SHA, "accepted": NOW, "counts": counts(total=1, in_progress=1),
            "results": {}, **more}


def job(device_="smp-udp:kitchen", state="in_progress", **more):
    return {"device": device_, "state": state, "attempt": 1, "attempts": 5, "committed": False, "queued": NOW, **more}


def updated(device_="smp-udp:kitchen"):
    return job(device_, "succeeded", result="updated", proof="hash-active-confirmed", version_before="1.0.0", version_after="1.1.0",
               started=NOW, finished="2026-11-21T00:00:12Z")


def refused(device_="smp-udp:attic"):
    return job(device_, "failed", error={"name": "smp-swap-refused", "text": "image 0 still waits", "advice": "Compare the slots."}, notes=["142 chunks"])


def plan_entry(device_="smp-udp:kitchen", **more):
    return {"device": device_, "name": device_.split(":")[1], "verdict": "update", "model": "acme,sensor-r2", "work": "upload", "mode": "test-and-confirm",
            "upload_bytes": 205312, "duration_ms": 12000, "rollback_possible": True, "version_now": "1.0.0", "version_new": "1.1.0", "hash_new": HASH, **more}


def plan(*entries, warnings=()):
    verdicts = [entry["verdict"] for entry in entries]
    return {"id": "c1", "revision": 1, "mode": "test-and-confirm", "counts": {v: verdicts.count(v) for v in ("update", "wait", "reject", "unknown", "not-selected")},
            "devices": list(entries), "cut": False, "warnings": list(warnings), "waves": [{"wave": 1, "devices": len(entries)}], "unknown_durations": 0}


def document_of(campaign_id="c1"):
    return {"schema": "gatewayd/campaign/1", "id": campaign_id, "revision": 1, "artifacts": [{"size": 4, "sha256": SHA}], "devices": {"ids": ["smp-udp:kitchen"]}}


IMPORTED = {"artifact": {"sha256": SHA, "size_bytes": 205312, "received_bytes": 205312, "complete": True, "pinned": False, "created": NOW, "last_used": NOW}, "known": False,
            "package": {"format": "mcuboot", "version": "1.1.0", "compatible": [], "warnings": [],
                        "parts": [{"image": 0, "version": "1.1.0", "hash": HASH, "size_bytes": 205312, "encrypted": False}]}}


def subscribed(_params, _connection):
    return {"epoch": "0123456789abcdef", "oldest": 1, "newest": 1, "from": 2}


class Work:
    """A campaign that runs to its end as soon as it was started: the news, then these jobs."""

    def __init__(self, *jobs, end="completed", news=None):
        self.jobs, self.end, self.news = list(jobs), end, news
        self.id, self.over, self.listener = None, False, None

    def answers(self, *entries, **more):
        return {
            "device__get": lambda p, c: {"device": device(p["id"] if ":" in p["id"] else "smp-udp:" + p["id"])},
            "artifact__import": IMPORTED,
            "campaign__plan": plan(*(entries or [plan_entry()])),
            "campaign__start": self.start,
            "events__subscribe": self.subscribe,
            "campaign__get": self.get,
            **more,
        }

    def subscribe(self, params, connection):
        self.listener = connection
        return subscribed(params, connection)

    def start(self, params, _connection):
        self.id = params["document"]["id"]
        return {"campaign": campaign(self.id), "known": False}

    def get(self, params, connection):
        first, self.first_done = not getattr(self, "first_done", False), True
        if first and not self.over:
            return {"campaign": campaign(params["id"]), "document": document_of(params["id"]),
                    "jobs": [job(j["device"], "queued", attempt=0) for j in self.jobs]}, self.run
        return {"campaign": campaign(params["id"], self.end), "document": document_of(params["id"]), "jobs": self.jobs}

    def run(self):
        id_ = self.id or "c1"
        for seq, one in enumerate(self.jobs, 2):
            event(self.listener, "job-state", seq, campaign=id_, revision=1, device=one["device"], data={"state": "in_progress", "step": "upload", "attempt": 1})
            notify(self.listener, "progress", campaign=id_, revision=1, device=one["device"], step="upload", percent=50, done_bytes=1000, total_bytes=2000,
                   rate_bytes_s=35021, eta_ms=3000)
            event(self.listener, "job-result", seq, campaign=id_, revision=1, device=one["device"], data={k: one[k] for k in ("state", "result", "proof", "error") if k in one})
        if self.news:
            self.news(self.listener, id_)
        self.over = True
        event(self.listener, "campaign-state", 99, campaign=id_, revision=1, data={"state": self.end})


@pytest.fixture
def firmware(tmp_path):
    path = tmp_path / "app.bin"
    path.write_bytes(b"firmware")
    return path


# --- update ---

def test_update_one_device(daemon, ctl, firmware):
    fake = daemon(**Work(updated()).answers())
    out = ctl("update", "kitchen", firmware, "--compatible", "acme,sensor-r2", "--yes")
    assert fake.files == [b"firmware"]
    assert fake.methods() == ["device.get", "artifact.import", "campaign.plan", "events.subscribe", "campaign.start", "campaign.get", "campaign.get"]
    assert fake.params("artifact.import") == {"name": "app.bin"}
    document = fake.params("campaign.start")["document"]
    assert fake.params("campaign.plan")["document"] == document
    assert re.fullmatch(r"local-\d{8}T\d{6}-[0-9a-f]{8}", document.pop("id"))
    assert document == {"schema": "gatewayd/campaign/1", "revision": 1, "comment": "app.bin", "devices": {"ids": ["smp-udp:kitchen"]},
                        "artifacts": [{"size": 205312, "sha256": SHA, "compatible": ["acme,sensor-r2"]}]}
    assert "Plan: app.bin, version 1.1.0 (mcuboot), mode test-and-confirm; 1 device to update" in out
    assert "smp-udp:kitchen  acme,sensor-r2  1.0.0  1.1.0  upload 200 KiB  ~12 s  possible" in out
    # The first look may come behind the news that follow it at once; then there is nothing to say of the queue any more.
    assert re.search(r"Campaign \S+\n(smp-udp:kitchen: queued\n)?smp-udp:kitchen: upload\nsmp-udp:kitchen: updated, proof hash-active-confirmed\n\n", out)
    assert "smp-udp:kitchen  updated  hash-active-confirmed  1.0.0 -> 1.1.0  12 s" in out.replace("→", "->")


def test_update_with_every_option(daemon, ctl, firmware):
    fake = daemon(**Work(updated()).answers())
    ctl("update", "kitchen", firmware, "--mode", "confirm-only", "--trial", "1500ms", "--concurrency", 7, "--allow-downgrade", "--compatible", "a", "--compatible=b", "-y")
    document = fake.params("campaign.start")["document"]
    assert document["policy"] == {"trial": {"duration_s": 2}, "mode": "confirm-only", "concurrency": 7, "allow_downgrade": True}
    assert document["artifacts"][0]["compatible"] == ["a", "b"]


def test_update_several(daemon, ctl, firmware):
    work = Work(updated(), refused())
    listed = lambda p, c: {"devices": [device(), device("smp-udp:attic", "configured"), device("smp-udp:new", "discovered")], "counts":
                           {"devices": 3, "adopted": 1, "discovered": 1, "configured": 1}}
    fake = daemon(**work.answers(plan_entry(), plan_entry("smp-udp:attic"), device__list=listed))
    out = ctl("update", "--match", "*", firmware, "--compatible", "acme,sensor-r2", "--yes", code=1)
    assert fake.params("device.list")["match"] == "*"
    assert fake.params("campaign.start")["document"]["devices"] == {"ids": ["smp-udp:kitchen", "smp-udp:attic"]}
    assert "1 more match, but are not adopted and left out." in out
    assert "smp-udp:attic    failed   smp-swap-refused" in out
    assert "smp-swap-refused\n  smp-udp:attic: image 0 still waits\n    noted: 142 chunks\n  What to do: Compare the slots.\n" in out
    assert out.endswith("1 of 2 devices succeeded, 1 did not.\n")


def test_update_json(daemon, ctl, firmware):
    daemon(**Work(updated(), refused()).answers(plan_entry(), plan_entry("smp-udp:attic")))
    result = ctl.json("update", "kitchen", firmware, "--compatible", "x", "--yes", code=1)
    assert result["campaign"]["state"] == "completed"
    assert [j["state"] for j in result["jobs"]] == ["succeeded", "failed"]
    assert result["plan"]["counts"]["update"] == 2


def test_update_needs_a_word_for_the_hardware(daemon, ctl, firmware):
    fake = daemon(**Work(updated()).answers(plan_entry(needs_statement=True), device__list={"devices": [device()], "counts": {"devices": 1, "adopted": 1, "discovered": 0, "configured": 0}}))
    ctl("update", "kitchen", firmware, "--yes", code=3)
    assert "compatible-required" in ctl.errors and "--compatible MODEL" in ctl.errors
    ctl("update", "--match", "kitchen", firmware, "--yes", code=3)
    assert "compatible-required" in ctl.errors
    out = ctl.terminal("update", "--match", "kitchen", firmware, code=3)
    assert "compatible-required" in out and "[y/N]" not in out
    assert "campaign.start" not in fake.methods()
    out = ctl.terminal("update", "kitchen", firmware, typed="y\n")
    assert "By starting you state that it is made for smp-udp:kitchen." in out
    assert "campaign.start" in fake.methods()


@pytest.mark.parametrize("typed", ["n\n", "\n", "yesterday\n", "\x04"])
def test_anything_but_yes_changes_nothing(daemon, ctl, firmware, typed):
    fake = daemon(**Work(updated()).answers())
    out = ctl.terminal("update", "kitchen", firmware, typed=typed, code=7)
    assert "nothing was changed" in out
    assert "campaign.start" not in fake.methods()


def test_without_a_terminal_nobody_can_be_asked(daemon, ctl, firmware):
    fake = daemon(**Work(updated()).answers())
    ctl("update", "kitchen", firmware, code=2)
    assert "--yes" in ctl.errors
    assert "asks no question" in ctl.terminal("update", "kitchen", firmware, "--json", code=2)
    assert "campaign.start" not in fake.methods()


def test_bars_on_a_terminal(daemon, ctl, firmware):
    daemon(**Work(updated(), updated("smp-udp:attic")).answers(plan_entry(), plan_entry("smp-udp:attic")))
    out = ctl.terminal("update", "kitchen", firmware, "--yes", "--compatible", "x")
    assert "\033[32m" in out
    assert out.rstrip().endswith("2 of 2 devices succeeded.")
    plain = ctl.terminal("update", "kitchen", firmware, "--dry-run", NO_COLOR="1")
    assert "\033[" not in plain


def test_dry_run_and_no_wait(daemon, ctl, firmware):
    fake = daemon(**Work(updated()).answers())
    assert "Plan: app.bin" in ctl("update", "kitchen", firmware, "--dry-run")
    assert ctl.json("update", "kitchen", firmware, "--dry-run")["counts"]["update"] == 1
    assert "campaign.start" not in fake.methods()
    out = ctl("update", "kitchen", firmware, "--no-wait", "--yes")
    assert re.search(r"Started as local-\S+\. `gatewayctl watch local-", out)
    assert ctl.json("update", "kitchen", firmware, "--no-wait", "--yes")["known"] is False


def test_a_plan_in_which_nothing_can_be_done(daemon, ctl, firmware):
    entry = plan_entry(verdict="reject", reason="downgrade", text="it runs 1.2.0, the file is 1.1.0")
    fake = daemon(**Work().answers(entry))
    out = ctl("update", "kitchen", firmware, "--yes", code=3)
    assert "refused: downgrade" in out
    assert "smp-udp:kitchen: it runs 1.2.0, the file is 1.1.0 (downgrade)" in ctl.errors
    assert "--allow-downgrade" in ctl.errors
    failure = ctl.json("update", "kitchen", firmware, "--yes", code=3)
    assert failure["error"]["name"] == "downgrade" and failure["exit_code"] == 3
    assert "campaign.start" not in fake.methods()


def test_update_usage(ctl, firmware):
    for words in (("update", "kitchen"), ("update", "--match", "x", "y", firmware), ("update",)):
        ctl(*words, code=2)
    ctl("update", "kitchen", firmware, "--mode", "fast", code=2)
    assert "expected one of test-and-confirm|" in ctl.errors and "gatewayctl update --help" in ctl.errors


def test_update_with_a_file_that_is_none(daemon, ctl, tmp_path):
    daemon(**Work().answers())
    ctl("update", "kitchen", tmp_path / "nothing.bin", "--yes", code=3)
    assert "file-unreadable" in ctl.errors and "No such file" in ctl.errors
    ctl("update", "kitchen", tmp_path, "--yes", code=3)
    assert "is no regular file" in ctl.errors


def test_no_device_matches(daemon, ctl, firmware):
    answer = {"devices": [], "counts": {"devices": 0, "adopted": 0, "discovered": 0, "configured": 0}}
    fake = daemon(**Work().answers(device__list=answer))
    ctl("update", "--match", "x*", firmware, "--yes", code=3)
    assert "no-device-matches" in ctl.errors
    answer["devices"] = [device(state="discovered")]
    ctl("update", "--match", "x*", firmware, "--yes", code=3)
    assert "not-adopted" in ctl.errors and "device adopt" in ctl.errors
    assert fake.methods() == ["device.list", "device.list"]


def test_interrupted_the_work_goes_on(daemon, ctl, firmware):
    reached = threading.Event()
    work = Work(updated())
    work.run = reached.set  # nothing ever happens
    fake = daemon(**work.answers())
    process = ctl.begin("update", "kitchen", firmware, "--compatible", "x", "--yes")
    assert reached.wait(PATIENCE_S)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 6
    assert re.search(r"the work goes on.*\(interrupted\)\n  `gatewayctl watch local-\S+` shows it, `gatewayctl cancel local-\S+` ends it", errors)
    assert "campaign.cancel" not in fake.methods()


def test_not_finished_in_time(daemon, ctl, firmware):
    work = Work(updated())
    work.run = lambda: None
    daemon(**work.answers())
    ctl("update", "kitchen", firmware, "--compatible", "x", "--yes", "--timeout", "300ms", code=6)
    assert "not-finished-in-time" in ctl.errors and "gatewayctl watch" in ctl.errors


def test_a_daemon_that_restarts_is_waited_for(daemon, ctl, firmware):
    work = Work(updated())

    def vanish():
        work.over = True
        work.listener.shutdown(socket.SHUT_RDWR)

    work.run = vanish
    fake = daemon(**work.answers())
    ctl("update", "kitchen", firmware, "--compatible", "x", "--yes")
    assert "waiting for it" in ctl.errors
    assert fake.methods().count("events.subscribe") == 2


def test_paused_is_said(daemon, ctl, firmware):
    def news(listener, id_):
        event(listener, "campaign-state", 50, campaign=id_, revision=1, data={"state": "paused", "reason": "threshold"})

    daemon(**Work(updated(), news=news).answers())
    assert re.search(r"The campaign is paused \(threshold\); `gatewayctl resume local-", ctl("update", "kitchen", firmware, "--compatible", "x", "--yes"))


def test_canceled_is_no_success(daemon, ctl, firmware):
    canceled = job("smp-udp:kitchen", "canceled", error={"name": "canceled", "text": "by uid 0"})
    daemon(**Work(canceled, end="canceled").answers())
    out = ctl("update", "kitchen", firmware, "--compatible", "x", "--yes", code=1)
    assert "smp-udp:kitchen  canceled  canceled" in out


# --- rollback ---

def test_rollback(daemon, ctl):
    fake = daemon(**Work(updated()).answers(plan_entry(work="activate", version_now="1.1.0", version_new="1.0.0", upload_bytes=0)))
    out = ctl("rollback", "kitchen", "--yes", "--trial", "0")
    document = fake.params("campaign.start")["document"]
    del document["id"]
    assert document == {"schema": "gatewayd/campaign/1", "revision": 1, "comment": "back to the image in the other slot of smp-udp:kitchen",
                        "devices": {"ids": ["smp-udp:kitchen"]}, "rollback": "other-slot", "policy": {"trial": {"duration_s": 0}}}
    assert "activate: no upload needed" in out
    assert "artifact.import" not in fake.methods()
    out = ctl.terminal("rollback", "kitchen", typed="n\n", code=7)
    assert "Start? [y/N]" in out


# --- device ---

def test_device_list(daemon, ctl):
    pages = [{"devices": [device()], "next": "smp-udp:kitchen", "counts": {"devices": 3, "adopted": 1, "discovered": 1, "configured": 1}},
             {"devices": [device("smp-udp:lab", "configured", name="Labor für Küchen", last_result={"result": "failed", "error": "did-not-return", "time": NOW, "job": 1}),
                          device("smp-serial:000683-if02", "discovered", model={"effective": None, "conflict": False} and {"conflict": False})],
              "counts": {"devices": 3, "adopted": 1, "discovered": 1, "configured": 1}}]
    fake = daemon(device__list=lambda p, c: pages[1 if "after" in p else 0])
    out = ctl("device", "list", "--state", "adopted", "--driver", "smp-udp", "--label", "a", "--label", "b", "--match", "k*")
    assert fake.requests[0][1] == {"state": "adopted", "driver": "smp-udp", "labels": ["a", "b"], "match": "k*", "limit": 1000}
    assert fake.requests[1][1] == {**fake.requests[0][1], "after": "smp-udp:kitchen"}
    lines = out.splitlines()
    assert lines[0].split() == ["DEVICE", "NAME", "STATE", "MODEL", "VERSION", "LABELS", "ADDRESS", "SEEN", "LAST", "RESULT"]
    assert len(lines) == 4
    assert "Labor für Küchen" in lines[2] and "did-not-return" in lines[2]
    assert lines[0].index("STATE") == lines[2].index("configured") == lines[3].index("discovered")
    assert len(ctl.json("device", "list")["devices"]) == 3


def test_device_list_empty(daemon, ctl):
    daemon(device__list={"devices": [], "counts": {"devices": 0, "adopted": 0, "discovered": 0, "configured": 0}})
    assert "device scan" in ctl("device", "list")


def test_device_get(daemon, ctl):
    shown = device(model={"effective": None, "stated": "acme,r3", "adopted": "acme,r2", "conflict": True}, images=[
        {"image": 0, "slot": 0, "version": "1.0.0", "hash": HASH, "flags": ["active", "confirmed"], "slot_size_bytes": 491520}],
        attributes={"bootloader": "MCUboot, \033swap"}, rssi_dbm=-70, battery_percent=81, first_seen="2026-11-01T00:00:00Z", address_seen="192.0.2.8:1337")
    del shown["model"]["effective"]
    fake = daemon(device__get={"device": shown, "job": job(step="upload"), "campaign": "c1"})
    out = ctl("device", "get", "kitchen")
    assert fake.params("device.get") == {"id": "kitchen"}
    for text in ("conflict: acme,r3, acme,r2", "it states       acme,r3", "-70 dBm", "81 %", "bootloader        MCUboot, \\x1bswap", "in_progress: upload, campaign c1",
                 "    0     0  1.0.0    active confirmed    480 KiB  " + HASH, "seen at         192.0.2.8:1337"):
        assert text in out, out
    assert ctl.json("device", "get", "kitchen")["device"]["id"] == "smp-udp:kitchen"


def test_device_scan(daemon, ctl):
    fake = daemon(device__scan={"drivers": [{"name": "smp-udp", "scanned": True}], "devices": [device(state="discovered")]})
    out = ctl("device", "scan", "--driver", "smp-udp", "--duration", "2s")
    assert fake.params("device.scan") == {"driver": "smp-udp", "duration_ms": 2000}
    assert "smp-udp:kitchen" in out and "device adopt" in out
    fake.answers["device.scan"] = {"drivers": [{"name": "smp-serial", "scanned": False, "error": {"name": "port-permission", "text": "/dev/ttyACM0"}}], "devices": []}
    out = ctl("device", "scan", code=1)
    assert fake.params("device.scan") == {}
    assert "smp-serial: /dev/ttyACM0 (port-permission)" in out and "Nothing was heard" in out


def test_device_adopt(daemon, ctl):
    fake = daemon(device__adopt={"adopted": ["smp-udp:kitchen"], "unchanged": ["smp-udp:attic"]}, device__get={"device": device(state="discovered")})
    out = ctl("device", "adopt", "smp-udp:kitchen", "--model", "acme,sensor-r2", "--label", "a", "--label", "b", "--name", "Küche", "--address", "192.0.2.7:1")
    assert fake.requests == [("device.adopt", {"id": "smp-udp:kitchen", "model": "acme,sensor-r2", "labels": ["a", "b"], "name": "Küche", "address": "192.0.2.7:1"})]
    assert out == "smp-udp:kitchen is adopted.\nsmp-udp:attic was adopted already.\n"
    ctl("device", "adopt", "kitchen")
    assert fake.methods()[1:] == ["device.get", "device.adopt"]
    assert fake.params("device.adopt") == {"id": "smp-udp:kitchen"}
    ctl("device", "adopt", "--match", "smp-*")
    assert fake.params("device.adopt") == {"match": "smp-*"}
    for words in ((), ("kitchen", "--match", "x"), ("--match", "x", "--name", "y")):
        ctl("device", "adopt", *words, code=2)


def test_device_set(daemon, ctl):
    fake = daemon(device__set={"device": device()})
    ctl("device", "set", "kitchen", "--name", "", "--model", "acme,r2", "--labels", "a, b,c", "--address", "")
    assert fake.params("device.set") == {"id": "kitchen", "name": None, "model": "acme,r2", "address": None, "labels": ["a", "b", "c"]}
    ctl("device", "set", "kitchen", "--add-label", "a", "--remove-label", "b")
    assert fake.params("device.set") == {"id": "kitchen", "add_labels": ["a"], "remove_labels": ["b"]}
    ctl("device", "set", "kitchen", "--labels", "")
    assert fake.params("device.set") == {"id": "kitchen", "labels": []}
    ctl("device", "set", "kitchen", code=2)
    assert len(fake.requests) == 3


def test_device_forget(daemon, ctl):
    fake = daemon(device__forget={})
    assert ctl("device", "forget", "kitchen") == "kitchen is forgotten.\n"
    assert fake.params("device.forget") == {"id": "kitchen"}


def test_device_import(daemon, ctl, tmp_path):
    fake = daemon(device__import={"adopted": 2, "changed": 1, "unchanged": 0})
    csv = tmp_path / "list.csv"
    csv.write_text("id,name\nsmp-udp:kitchen,Küche\n")
    assert ctl("device", "import", csv, "--dry-run") == "Would be done: 2 adopted, 1 changed, 0 unchanged.\n"
    assert fake.params("device.import") == {"csv": "id,name\nsmp-udp:kitchen,Küche\n", "dry_run": True}
    assert ctl("device", "import", "-", stdin="smp-udp:attic\n") == "Done: 2 adopted, 1 changed, 0 unchanged.\n"
    assert fake.params("device.import") == {"csv": "smp-udp:attic\n"}
    fake.answers["device.import"] = Refusal("params-invalid", "the list has 2 mistakes", "Correct them.", [
        {"path": "line 3, column 2", "text": "no driver smp"}, {"path": "line 4, column 1", "text": "no id"}], -32602)
    ctl("device", "import", csv, code=3)
    assert ctl.errors == "gatewayctl: the list has 2 mistakes (params-invalid)\n  line 3, column 2: no driver smp\n  line 4, column 1: no id\n  Correct them.\n"
    assert len(ctl.json("device", "import", csv, code=3)["error"]["errors"]) == 2
    csv.write_text("x" * 1000001)
    ctl("device", "import", csv, code=3)
    assert "file-too-large" in ctl.errors
    csv.write_bytes("smp-udp:kitchen,Küche".encode("latin-1"))
    ctl("device", "import", csv, code=3)
    assert "list-invalid" in ctl.errors and "UTF-8" in ctl.errors


def test_device_diagnose(daemon, ctl):
    fake = daemon(device__diagnose={"device": device(), "findings": ["echo answered after 4 ms", "2 slots"], "result": {"result": "reported", "proof": "none"}})
    out = ctl("device", "diagnose", "kitchen")
    assert out == "- echo answered after 4 ms\n- 2 slots\nThe device answers.\n"
    fake.answers["device.diagnose"] = {"device": device(), "findings": [], "error": {"name": "smp-no-answer", "text": "no answer to 3 echoes", "advice": "Is it powered?"}}
    assert ctl("device", "diagnose", "kitchen", code=1) == "smp-no-answer: no answer to 3 echoes\n  Is it powered?\n"
    ctl("device", "diagnose", "kitchen", "--json", code=1)


# --- jobs, campaigns ---

def test_jobs(daemon, ctl):
    def get(params, _connection):
        jobs = [updated()] if params["id"] == "c2" else [job(step="upload", percent=40, eta_ms=4000), job("smp-udp:attic", "queued", reason="not-seen", attempt=0)]
        return {"campaign": campaign(params["id"]), "document": document_of(params["id"]), "jobs": jobs}

    fake = daemon(campaign__list={"campaigns": [campaign("c2"), campaign("c1")]}, campaign__get=get, device__get={"device": device()})
    out = ctl("jobs")
    assert fake.requests[0] == ("campaign.list", {"state": ["scheduled", "in_progress", "paused"], "limit": 1000})
    assert fake.requests[1] == ("campaign.get", {"id": "c2", "state": ["queued", "in_progress"], "limit": 1000})
    assert out.splitlines()[0].split() == ["CAMPAIGN", "DEVICE", "STATE", "STEP", "DONE", "LEFT", "RESULT", "OR", "REASON", "VERSION", "TOOK"]
    assert re.search(r"c1\s+smp-udp:kitchen\s+in_progress\s+upload\s+40 %\s+4 s", out)
    assert re.search(r"c1\s+smp-udp:attic\s+queued\s+not-seen", out)
    fake.requests.clear()
    ctl("jobs", "--finished", "--device", "kitchen")
    assert fake.requests[1:3] == [("campaign.list", {"limit": 1000}), ("campaign.get", {"id": "c2", "devices": ["smp-udp:kitchen"], "limit": 1000})]
    fake.requests.clear()
    assert [j["campaign"] for j in ctl.json("jobs", "--campaign", "c1", "--device", "smp-udp:gone")["jobs"]] == ["c1", "c1"]
    assert fake.requests == [("campaign.get", {"id": "c1", "devices": ["smp-udp:gone"], "limit": 1000})]


def test_no_jobs(daemon, ctl):
    daemon(campaign__list={"campaigns": []})
    assert "No job waits or runs" in ctl("jobs")
    assert ctl.json("jobs") == {"jobs": []}


def test_campaign_list(daemon, ctl):
    fake = daemon(campaign__list={"campaigns": [campaign("c2", "paused", reason="threshold", comment="spring"), campaign("c1", "completed", revision=3)]})
    out = ctl("campaign", "list")
    assert fake.params("campaign.list") == {"limit": 1000}
    assert re.search(r"c2 +paused \(threshold\) +1 +0 +0 +2026-11-21 00:00:00 +spring", out)
    assert "c1, revision 3" in out
    ctl("campaign", "list", "--unfinished")
    assert fake.params("campaign.list")["state"] == ["scheduled", "in_progress", "paused"]


def test_campaign_get(daemon, ctl):
    jobs = [updated(), {**refused(), "steps": [{"n": 1, "name": "upload", "attempt": 1, "entered": NOW}, {"n": 2, "name": "test", "attempt": 2, "entered": NOW}]}]
    fake = daemon(campaign__get={"campaign": campaign("c1", "completed", comment="TICKET-812", finished=NOW), "document": document_of(), "jobs": jobs})
    out = ctl("campaign", "get", "c1", "--revision", "2", "--steps")
    assert fake.params("campaign.get") == {"id": "c1", "revision": 2, "steps": True, "limit": 1000}
    for text in ("campaign    c1\n", "comment     TICKET-812\n", "smp-udp:attic: image 0 still waits", "\nsmp-udp:attic\n  2026-11-21 00:00:00  upload\n", "test (attempt 2)"):
        assert text in out, out
    assert ctl.json("campaign", "get", "c1")["campaign"]["id"] == "c1"


def test_campaign_report(daemon, ctl):
    report = {"schema": "gatewayd/report/1", "gateway": "fake", "epoch": "0123456789abcdef", "created": NOW, "campaign": campaign("c1", "completed"),
              "failures": [{"name": "did-not-return", "class": "terminal", "meaning": "It did not come back.", "advice": "Look at it.", "count": 2,
                            "devices": ["smp-udp:a", "smp-udp:b"], "cut": True}],
              "not_seen": {"count": 1, "devices": [{"device": "smp-udp:z"}], "cut": False}}
    fake = daemon(campaign__report=report)
    out = ctl("campaign", "report", "c1")
    assert fake.params("campaign.report") == {"id": "c1"}
    assert "did-not-return: 2 devices\n  meaning: It did not come back.\n  devices: smp-udp:a smp-udp:b ...\n  advice:  Look at it.\n" in out
    assert "not seen since: 1 device\n  devices: smp-udp:z\n" in out
    assert ctl.json("campaign", "report", "c1")["schema"] == "gatewayd/report/1"


def test_campaign_plan_and_start(daemon, ctl, tmp_path):
    path = tmp_path / "campaign.json"
    path.write_text(json.dumps(document_of()))
    not_selected = {"device": "smp-udp:attic", "name": "attic", "verdict": "not-selected", "member": "labels"}
    fake = daemon(**Work(updated()).answers(plan_entry(), not_selected))
    assert "smp-udp:attic" not in ctl("campaign", "plan", path)
    assert "not selected: devices.labels" in ctl("campaign", "plan", path, "--unselected")
    assert ctl.json("campaign", "plan", "-", code=3)["error"]["name"] == "document-invalid"
    assert ctl("campaign", "start", "-", "--no-wait", "--yes", stdin=json.dumps(document_of())).endswith("ends it.\n")
    assert fake.params("campaign.start") == {"document": document_of()}
    assert "smp-udp:kitchen: updated" in ctl("campaign", "start", path, "--yes")
    for text, place in (("{", "line 1"), ("[1]", "is a JSON object"), ('{"a":1,"a":2}', "line 1")):
        path.write_text(text)
        ctl("campaign", "start", path, "--yes", code=3)
        assert "document-invalid" in ctl.errors and place in ctl.errors


def test_pause_resume_retry(daemon, ctl):
    fake = daemon(campaign__pause={"campaign": campaign("c1", "paused", reason="person")}, campaign__resume={"campaign": campaign()},
                  campaign__retry={"campaign": campaign(), "retried": ["smp-udp:kitchen"]}, device__get={"device": device()})
    assert ctl("pause", "c1", "--reason", "lunch") == "c1 is paused (person).\n"
    assert fake.params("campaign.pause") == {"id": "c1", "reason": "lunch"}
    assert ctl("resume", "c1") == "c1 is in_progress.\n"
    assert ctl("retry", "c1", "--device", "kitchen", "--device", "smp-udp:attic", "--error", "did-not-return").startswith("1 queued again.")
    assert fake.params("campaign.retry") == {"id": "c1", "devices": ["smp-udp:kitchen", "smp-udp:attic"], "errors": ["did-not-return"]}
    ctl("retry", "c1")
    assert fake.params("campaign.retry") == {"id": "c1"}


def test_cancel_says_what_goes_on(daemon, ctl):
    fake = daemon(campaign__cancel={"campaign": campaign("c1", "canceled"), "stopped": ["smp-udp:a", "smp-udp:b"], "not_stopped": []})
    assert ctl("cancel", "c1") == "c1 is canceled; 2 stopped.\n"
    fake.answers["campaign.cancel"]["not_stopped"] = [{"device": "smp-udp:c", "step": "confirm", "reason": "not-cancelable"}]
    assert "smp-udp:c goes on (confirm): not-cancelable" in ctl("cancel", "c1", code=1)
    ctl("cancel", "c1", "--json", code=1)


# --- watch ---

def test_watch_a_campaign(daemon, ctl):
    daemon(**Work(updated()).answers())
    assert "smp-udp:kitchen  updated" in ctl("watch", "c1")


def test_watch_everything(daemon, ctl):
    def subscribe(params, connection):
        def news():
            event(connection, "campaign-state", 5, campaign="c1", revision=1, data={"state": "paused", "reason": "threshold"})
            event(connection, "job-state", 6, campaign="c1", revision=1, device="smp-udp:a", data={"state": "in_progress", "step": "upload", "reason": "busy"})
            event(connection, "job-result", 7, campaign="c1", revision=1, device="smp-udp:a", data={"state": "failed", "error": {"name": "downgrade", "text": "older \033[2J"}})
            event(connection, "device-adopted", 8, device="smp-udp:b", data={})
            notify(connection, "progress", campaign="c1", revision=1, device="smp-udp:a", percent=3)
            connection.shutdown(socket.SHUT_RDWR)
        return subscribed(params, connection), news

    fake = daemon(events__subscribe=subscribe, device__get={"device": device()})
    out = ctl("watch", "--from", "5", "--campaign", "c1", "--device", "kitchen", code=4)
    assert fake.params("events.subscribe") == {"device": "smp-udp:kitchen", "campaign": "c1", "from": 5}
    assert out.splitlines() == [
        "2026-11-21 00:00:00  c1  campaign is paused, threshold",
        "2026-11-21 00:00:00  c1  smp-udp:a in_progress: upload, waits: busy",
        "2026-11-21 00:00:00  c1  smp-udp:a failed: downgrade: older \\x1b[2J",
        "2026-11-21 00:00:00  smp-udp:b device-adopted",
    ]
    lines = [json.loads(line) for line in ctl("watch", "--json", "--progress", code=4).splitlines()]
    assert [line.get("method", "error") for line in lines[:5]] == ["event"] * 4 + ["progress"]
    assert lines[0]["params"]["seq"] == 5


def test_watch_ends_as_the_person_wants(daemon, ctl):
    reached = threading.Event()

    def subscribe(params, connection):
        return subscribed(params, connection), reached.set

    daemon(events__subscribe=subscribe)
    ctl("watch", "--timeout", "200ms")
    reached.clear()
    process = ctl.begin("watch")
    assert reached.wait(PATIENCE_S)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


# --- artifacts, packages ---

def test_artifacts(daemon, ctl, firmware):
    row = {**IMPORTED["artifact"], "format": "mcuboot", "version": "1.1.0", "pinned": True}
    half = {**row, "sha256": HASH, "complete": False, "received_bytes": 102656, "url": "https://fw.example/x"}
    fake = daemon(artifact__list={"artifacts": [row, half], "used_bytes": 307968, "quota_bytes": 1073741824}, artifact__import=IMPORTED, artifact__remove={"removed_bytes": 205312})
    out = ctl("artifact", "list")
    assert re.search(SHA + r" +200 KiB +in use +mcuboot +1\.1\.0", out) and "50 % received" in out and "301 KiB of 1.00 GiB used." in out
    out = ctl("artifact", "import", firmware)
    assert fake.files == [b"firmware"] and f"sha256      {SHA}\n" in out and f"image 0     1.1.0, 200 KiB, hash {HASH}\n" in out
    assert ctl("artifact", "remove", SHA) == "Removed, 200 KiB are free again.\n"
    assert fake.params("artifact.remove") == {"sha256": SHA}


def test_package_inspect(ctl, image, tmp_path):
    path, hash_ = image("1.2.3")
    out = ctl("package", "inspect", path)
    assert re.search(r"^format +mcuboot$", out, re.M) and hash_ in out and "(the file names no hardware)" in out
    assert ctl.json("package", "inspect", path)["parts"][0]["hash"] == hash_
    garbage = tmp_path / "garbage.bin"
    garbage.write_bytes(b"\x01\x02garbage" * 100)
    ctl("package", "inspect", garbage, code=3)
    assert "format-unknown" in ctl.errors and "010267617262616765" in ctl.errors
    garbage.write_bytes(b"")
    ctl("package", "inspect", garbage, code=3)
    assert "is empty" in ctl.errors
    path.write_bytes(path.read_bytes()[:-100])
    ctl("package", "inspect", path, code=3)
    assert "image-truncated" in ctl.errors


def test_package_signature(ctl, tmp_path):
    from cryptography.hazmat.primitives import serialization

    data = harness.ROOT / "tests/data/mcuboot"
    public = {}
    for name in ("ed25519", "p256"):
        key = serialization.load_pem_private_key((data / f"{name}.pem").read_bytes(), None)
        public[name] = tmp_path / f"{name}-public.pem"
        public[name].write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    signed = data / "app-1.1.0-ed25519.signed.bin"
    assert "ed25519-public.pem" in ctl("package", "inspect", signed, "--key", public["p256"], "--key", public["ed25519"])
    ctl("package", "inspect", signed, "--key", public["p256"], code=3)
    assert "image-key-unknown" in ctl.errors
    ctl("package", "inspect", data / "app-1.0.0-sha256.bin", "--key", public["p256"], code=3)
    assert "image-signature-missing" in ctl.errors


# --- gateway, doctor, audit, errors ---

HEALTH = {"status": "ok", "problems": [], "devices": {"devices": 3, "adopted": 1, "discovered": 1, "configured": 1}, "jobs": {"queued": 2, "in_progress": 1},
          "campaigns": {"scheduled": 0, "in_progress": 1, "paused": 0}, "store": {"size_bytes": 65536, "syncs": 3, "written_bytes": 4096},
          "artifacts": {"used_bytes": 1024, "quota_bytes": 2048, "free_bytes": 1048576}, "events": {"newest": 7, "undelivered": 0},
          "doors": [{"door": "mqtt", "peer": "broker.acme.example:8883", "state": "connected"}], "certificates": []}


def test_info(daemon, ctl):
    info = {"id": "pi-1", "version": "0.1.0", "abi": 1, "epoch": "0123456789abcdef", "groups": ["oslo"], "pid": 77, "uptime_ms": 3720000, "time": NOW, "time_credible": "timesync",
            "configuration": "/etc/gatewayd/gatewayd.conf", "state_dir": "/var/lib/gatewayd", "memory_bytes": 8388608,
            "plugins": [{"name": "smp", "version": "0.1.0", "summary": "SMP", "loaded": True},
                        {"name": "exec", "version": "0.1.0", "summary": "programs", "loaded": False, "error": {"name": "plugin-owner", "text": "belongs to uid 1000"}}],
            "drivers": [{"name": "smp-udp", "plugin": "smp", "summary": "over UDP", "auto_adopt": False, "can_scan": True, "started": True}], "formats": [{"name": "mcuboot", "summary": "x"}]}
    daemon(gateway__info=info)
    out = ctl("info")
    for text in ("gateway       pi-1", "running for   1 h 2 min", "clock         2026-11-21 00:00:00 (timesync)", "memory        8.00 MiB"):
        assert text in out, out
    assert re.search(r"exec +0\.1\.0 +plugin-owner +belongs to uid 1000", out) and re.search(r"smp-udp +smp +ready +over UDP", out)
    assert ctl.json("gateway", "info")["id"] == "pi-1"


def test_health_and_reload(daemon, ctl):
    fake = daemon(gateway__health=HEALTH, gateway__reload={"changed": [{"section": "policy", "key": "trial", "needs_restart": False},
                                                                         {"section": "gateway", "key": "id", "needs_restart": True}], "adopted": 4})
    out = ctl("gateway", "health")
    assert "jobs          queued 2, in_progress 1" in out and "door          mqtt connected (broker.acme.example:8883)" in out
    fake.answers["gateway.health"] = {**HEALTH, "status": "degraded", "problems": [{"name": "disk-full", "text": "3 MiB left", "advice": "Free some."}]}
    assert "disk-full: 3 MiB left\n  Free some.\n" in ctl("gateway", "health", code=1)
    assert ctl("gateway", "reload") == "[policy] trial\n[gateway] id: only after a restart\nConfiguration read: 2 changed, 4 devices newly adopted.\n"


def test_doctor(daemon, ctl):
    findings = [{"check": "disk", "level": "ok", "text": "3 GiB free"}, {"check": "clock", "level": "warning", "text": "nobody vouches for it", "remedy": "timedatectl"}]
    fake = daemon(gateway__diagnose={"findings": findings}, gateway__health=HEALTH)
    out = ctl("doctor")
    assert out == ("disk   ok       3 GiB free\nclock  warning  nobody vouches for it\n                Remedy: timedatectl\n\n2 checks, 1 warnings, 0 errors.\n")
    fake.answers["gateway.health"] = {**HEALTH, "status": "failing", "problems": [{"name": "store-failed", "text": "I/O error", "advice": "dmesg"}]}
    result = ctl.json("doctor", code=1)
    assert result["findings"][-1] == {"check": "store-failed", "level": "error", "text": "I/O error", "remedy": "dmesg"}
    fake.answers["gateway.diagnose"] = Refusal("permission-denied", "uid 1000 may not do this", "Join the group.")
    ctl("doctor", code=5)


def test_doctor_without_a_daemon(ctl, tmp_path):
    config = tmp_path / "gatewayd.conf"
    config.write_text(f"[gateway]\nid = x\nstate_dir = {tmp_path}\ncontrol_socket = {tmp_path}/control.sock\nplugin_dir = {harness.PLUGINS}\n")
    out = ctl("doctor", "--config", config, code=1)
    assert re.search(r"^daemon +error .*No such file or directory$", out, re.M)
    assert re.search(r"^plugins +ok", out, re.M), out
    config.write_text("[gateway]\nnonsense = 1\n")
    ctl("doctor", "--config", config, code=3)
    assert "config-invalid" in ctl.errors and "nonsense" in ctl.errors


def audit_row(seq, **more):
    return {"seq": seq, "time": NOW, "time_credible": seq != 2, "door": "socket", "principal": "uid:0", "command": "job", "device": "smp-udp:kitchen", "version_before": "1.0.0",
            "version_after": "1.1.0", "result": "updated", "digest": SHA, **more}


def test_audit(daemon, ctl):
    pages = {0: {"rows": [audit_row(1), audit_row(2)], "next": 3}, 3: {"rows": [audit_row(3)]}}
    fake = daemon(audit__query=lambda p, c: pages[p.get("from", 0)], audit__verify={"valid": True, "rows": 3, "newest": {"seq": 3, "digest": SHA}})
    out = ctl("audit")
    assert [params for _, params in fake.requests] == [{"limit": 1000}, {"from": 3, "limit": 1000}]
    assert len(out.splitlines()) == 4 and "2026-11-21 00:00:00 ?" in out.splitlines()[2]
    assert len(ctl("audit", "--last", "1").splitlines()) == 2
    assert ctl("audit", "--verify").endswith(f"The chain holds: 3 rows, the newest is 3 with digest {SHA}.\n")
    assert ctl("audit", "verify") == f"The chain holds: 3 rows, the newest is 3 with digest {SHA}.\n"
    fake.answers["audit.verify"] = {"valid": False, "rows": 3, "first_bad": 2, "text": "its digest does not fit"}
    assert "broken at row 2" in ctl("audit", "verify", code=1)
    assert ctl.json("audit", "--verify", code=1)["verify"]["first_bad"] == 2


def test_errors(ctl):
    out = ctl("errors", "smp-swap-refused")
    assert out.startswith("smp-swap-refused\n  The bootloader did not swap") and "What to do: " in out
    assert len(ctl.json("errors")["errors"]) > 100
    assert [e["name"] for e in ctl.json("errors", "downgrade")["errors"]] == ["downgrade"]
    ctl("errors", "downgrad", code=2)
    assert "did you mean downgrade?" in ctl.errors


# --- connection, rights ---

def test_no_daemon(ctl, tmp_path):
    ctl("jobs", code=4)
    assert "daemon-not-running" in ctl.errors and "systemctl status gatewayd" in ctl.errors
    assert ctl.json("device", "list", code=4)["error"]["name"] == "daemon-not-running"
    ctl("--socket", tmp_path / "elsewhere.sock", "jobs", code=4)
    assert "elsewhere.sock" in ctl.errors


def test_refusals_and_their_exit_codes(daemon, ctl):
    fake = daemon(campaign__resume=Refusal("campaign-unknown", "no campaign c9", "`gatewayctl campaign list` shows all."))
    ctl("resume", "c9", code=3)
    assert ctl.errors == "gatewayctl: no campaign c9 (campaign-unknown)\n  `gatewayctl campaign list` shows all.\n"
    fake.answers["campaign.resume"] = Refusal("permission-denied", "uid 1000 may not do this")
    ctl("resume", "c9", code=5)
    fake.answers["campaign.resume"] = Refusal("out-of-memory", "none left", code=-32603)
    ctl("resume", "c9", code=8)


def test_a_daemon_that_does_not_answer(daemon, ctl):
    def hang(_params, _connection):
        raise Hang

    def hang_up(_params, _connection):
        raise HangUp

    fake = daemon(device__list=hang)
    ctl("device", "list", "--timeout", "200ms", code=6)
    assert "reply-timeout" in ctl.errors
    fake.answers["device.list"] = hang_up
    ctl("device", "list", code=4)
    assert "closed the connection" in ctl.errors


@pytest.mark.parametrize("line", [b"SSH-2.0-OpenSSH_9.2\n", b'{"jsonrpc":"2.0"}\n', b"\xff\xfe\n", b'{"id":1,"result":7,"jsonrpc":"2.0"}\n'])
def test_something_else_answers(ctl, line):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(ctl.path)
        listener.listen(1)
        process = ctl.begin("jobs")
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(line)
        _, errors = process.communicate(timeout=PATIENCE_S)
        connection.close()
    assert process.returncode == 8 and "reply-invalid" in errors


def test_too_many_clients(ctl):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(ctl.path)
        listener.listen(1)
        process = ctl.begin("jobs")
        connection, _ = listener.accept()
        connection.recv(65536)
        send(connection, {"jsonrpc": "2.0", "id": None, **{"error": Refusal("too-many-clients", "32 clients are served already").error}})
        connection.close()
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4 and "too-many-clients" in errors


# --- help, completion ---

def test_help(ctl):
    manual = (harness.ROOT / "docs/GATEWAYCTL.md").read_text()
    out = ctl("--help")
    assert "device adopt" in out and "Exit codes" in out and "complete" not in out
    for words in ([line.split("  ")[1] for line in out.splitlines() if re.match(r"  [a-z]+( [a-z]+)?  +[A-Z]", line)]):
        text = ctl(*words.split(), "--help")
        assert text.startswith(f"gatewayctl {words}") and "--socket PATH" in text
        assert text == ctl("help", *words.split())
        assert words in manual, f"docs/GATEWAYCTL.md says nothing of {words}"
        for option in re.findall(r"^  (?:-y, )?--([a-z-]+)", text.partition("Options of every command")[0], re.M):
            assert f"--{option}" in manual, f"docs/GATEWAYCTL.md says nothing of {words} --{option}"
    assert ctl("--version").startswith("gatewayctl ")
    ctl(code=2)
    ctl("help", "nonsense", code=2)
    assert "device adopt" in ctl("device", "--help")


def test_completion(daemon, ctl):
    daemon(device__list={"devices": [device(), device("smp-udp:attic")], "counts": {"devices": 2, "adopted": 2, "discovered": 0, "configured": 0}},
           campaign__list={"campaigns": [campaign("local-1")]})

    def complete(*words):
        return ctl("complete", "--", *words).split()

    assert "update" in complete("") and "complete" not in complete("")
    assert complete("dev") == ["device"]
    assert complete("device", "ad") == ["adopt"]
    assert complete("update", "") == ["smp-udp:kitchen", "smp-udp:attic"]
    assert complete("update", "smp-udp:a") == ["smp-udp:attic"]
    assert complete("update", "smp-udp:attic", "") == ["/files"]
    assert complete("update", "--mode", "c") == ["confirm-only"]
    assert complete("update", "--comp") == ["--compatible"]
    assert complete("device", "get", "--js") == ["--json"]
    assert complete("pause", "") == ["local-1"]
    assert complete("errors", "smp-swap-r") == ["smp-swap-refused"]
    assert complete("jobs", "--device", "smp-udp:k") == ["smp-udp:kitchen"]
    assert complete("jobs", "") == []


def test_completion_without_a_daemon_is_quiet(ctl):
    assert ctl("complete", "--", "update", "") == ""
    assert ctl.errors == ""


def test_completion_in_bash(daemon, ctl):
    daemon(device__list={"devices": [device()], "counts": {"devices": 1, "adopted": 1, "discovered": 0, "configured": 0}})
    script = f"""
        source {harness.ROOT}/gatewayctl/gatewayctl.bash
        COMP_WORDS=({harness.GATEWAYCTL} device get smp) COMP_CWORD=3 COMP_LINE="gatewayctl device get smp" COMP_POINT=25
        _gatewayctl gatewayctl smp get
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    out = subprocess.run(["bash", "--norc", "-c", script], env=ctl.environment, capture_output=True, text=True, timeout=PATIENCE_S)
    assert out.stdout == "smp-udp:kitchen\n", out.stderr


# --- the real daemon ---

@pytest.fixture
def real(simulate, gateway):
    """real("--udp-count", "3", ...) -> (simulator, gateway, ctl)"""
    def begin(*arguments):
        simulator = simulate("--udp", "127.0.0.1:0", "--hardware-version", "acme,sensor-r2", *arguments)
        gw = gateway(simulator.sections())
        return simulator, gw, Ctl(gw.socket_path)

    return begin


def test_real_update_rollback_audit(real, image):
    simulator, _, client = real()
    path, hash_new = image("1.1.0", "--size", "60K")
    client("device", "scan", "--duration", "300ms")
    client("update", "d0", path, "--yes", code=3)
    assert "compatible-required" in client.errors
    out = client("update", "d0", path, "--compatible", "acme,sensor-r2", "--yes")
    assert re.search(r"smp-udp:d0 +updated +hash-active-confirmed +1\.0\.0 . 1\.1\.0", out)
    assert hash_new in client("device", "get", "d0")
    out = client("update", "d0", path, "--compatible", "acme,sensor-r2", "--yes")
    assert re.search(r"smp-udp:d0 +already +hash-active-confirmed", out)
    out = client("rollback", "d0", "--yes")
    assert "activate: no upload needed" in out and re.search(r"smp-udp:d0 +updated +hash-active-confirmed +1\.1\.0 . 1\.0\.0", out)
    assert [e["event"] for e in simulator.events(0) if e["event"] == "upload-complete"] == ["upload-complete"]
    out = client("audit", "--verify")
    assert "campaign.start" in out and "The chain holds" in out


def test_real_wrong_hardware(real, image):
    simulator, _, client = real()
    path, _ = image("1.1.0")
    client("device", "scan", "--duration", "300ms")
    client("update", "d0", path, "--compatible", "acme,sensor-r9", "--yes", code=3)
    assert "incompatible" in client.errors
    assert not simulator.events(0, "upload-start")


def test_real_several_one_refuses(real, image):
    _, _, client = real("--udp-count", "3", "--device", "1:refuse-swap")
    path, _ = image("1.1.0")
    client("device", "scan", "--duration", "300ms")
    result = client.json("update", "--match", "d*", path, "--compatible", "acme,sensor-r2", "--yes", code=1)
    assert {j["device"]: j["state"] for j in result["jobs"]} == {"smp-udp:d0": "succeeded", "smp-udp:d1": "failed", "smp-udp:d2": "succeeded"}
    id_ = result["campaign"]["id"]
    assert "smp-swap-refused: 1 device" in client("campaign", "report", id_)
    assert re.search(r"smp-udp:d1 +failed +smp-swap-refused", client("jobs", "--campaign", id_))
    assert client("jobs") == "No job waits or runs; --finished shows the others, too.\n"
    assert id_ in client("campaign", "list")


def test_real_on_a_terminal(real, image):
    _, _, client = real("--udp-count", "2", "--rate", "100000")
    path, _ = image("1.1.0", "--size", "200K")
    client("device", "scan", "--duration", "300ms")
    out = client.terminal("update", "d0", path, typed="y\n")
    assert "By starting you state that it is made for smp-udp:d0." in out
    assert "█" in out and "\033[1A\r\033[J" in out
    assert re.search(r"smp-udp:d0 +\S*updated", out)


def test_real_readings(real):
    _, gw, client = real()
    assert "test-gateway" in client("info") and "smp-udp" in client("info")
    client("gateway", "health")
    client("doctor", code=0 if gw.call("gateway.diagnose") and not [f for f in gw.call("gateway.diagnose")["findings"] if f["level"] == "error"] else 1)
    client("gateway", "reload")
    assert "The device answers." in client("device", "diagnose", "d0")
    client("device", "set", "d0", "--name", "Küche", "--add-label", "warm")
    assert re.search(r"smp-udp:d0 +Küche +configured", client("device", "list", "--label", "warm"))
    client("device", "forget", "d0", code=3)
    assert "device-configured" in client.errors
    client("device", "get", "nobody", code=3)
    assert "device-unknown" in client.errors
    assert "artifact list" not in client("artifact", "list")


def test_real_import_and_artifacts(real, image, tmp_path):
    _, _, client = real()
    csv = tmp_path / "list.csv"
    csv.write_text("id,name,model\nsmp-udp:new,New,\"acme,sensor-r2\"\n")
    client("device", "import", csv, "--dry-run")
    assert "1 adopted" in client("device", "import", csv)
    csv.write_text("id,color\nsmp-udp:new,red\n")
    client("device", "import", csv, code=3)
    assert "column" in client.errors
    path, _ = image("1.1.0")
    client("artifact", "import", path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert sha256 in client("artifact", "list")
    client("artifact", "remove", sha256)
    client("artifact", "remove", sha256, code=3)
    assert "artifact-unknown" in client.errors


def test_real_watch_pause_cancel(real, image):
    _, gw, client = real("--latency-ms", "20")
    path, _ = image("1.1.0", "--size", "200K")
    client("device", "scan", "--duration", "500ms")
    out = client("update", "d0", path, "--compatible", "acme,sensor-r2", "--yes", "--no-wait")
    id_ = re.search(r"Started as (\S+)\.", out).group(1)
    gw.wait_event(lambda p, m: p.get("type") == "job-state" and p["data"].get("step") == "upload", campaign=id_)
    assert "is paused" in client("pause", id_, "--reason", "lunch")
    client("watch", id_, "--timeout", "100ms", code=6)
    assert "resume" in client("watch", id_, "--timeout", "100ms", code=6)
    client("resume", id_)
    client("cancel", id_)
    out = client("watch", id_, code=1)
    assert re.search(r"smp-udp:d0 +canceled", out)
    client("resume", id_, code=3)
