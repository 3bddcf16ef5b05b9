# SPDX-License-Identifier: Apache-2.0
"""The daemon as a program: its options, its configuration, what systemd sees, a full disk, a wrong clock, and callers of every kind."""

import contextlib
import hashlib
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

import pytest

import harness
from scenes import outcome
from tls_server import Server

DEVICE = "smp-udp:d0"
CONFIRMED = ("succeeded", "updated", "hash-active-confirmed", None)


def run(*arguments, **options):
    return subprocess.run([str(harness.GATEWAYD), *[str(a) for a in arguments]], capture_output=True, text=True, timeout=30, **options)


# --- options and configuration


def test_version_and_help():
    assert run("--version").stdout.startswith("gatewayd ")
    help_text = run("--help")
    assert help_text.returncode == 0
    for option in ("--config", "--check-config", "--diagnose", "--version", "--help"):
        assert option in help_text.stdout
    assert run("--nonsense").returncode == 64
    assert run("word").returncode == 64


def test_every_mistake_at_once(gateway):
    gw = gateway(start=False)
    assert run("--check-config", "--config", gw.config).returncode == 0
    text = gw.config.read_text() + """
[policy2]
[device kitchen]
driver = smp-udo
[device hall]
driver = smp-udp
adress = 127.0.0.1:1337
[artifacts]
quota = many
reserve = 1M
reserve = 2M
[limits]
jobs = 0
colour = blue
"""
    gw.config.write_text(text)
    lines = {line.strip(): number for number, line in enumerate(text.splitlines(), 1)}
    for code, output in [(r.returncode, r.stdout + r.stderr) for r in (run("--check-config", "--config", gw.config), run("--config", gw.config))]:
        assert code == 78
        for mistake in ("quota = many", "reserve = 2M", "jobs = 0", "colour = blue"):
            assert f"{gw.config}:{lines[mistake]}" in output, output
        assert "policy2" in output
    # What only plugins know is checked as well, where the file itself has no mistakes.
    gw.write_config("[device kitchen]\ndriver = smp-udo\naddress = 127.0.0.1:1\n[device hall]\ndriver = smp-udp\nadress = 127.0.0.1:1337\n")
    checked = run("--check-config", "--config", gw.config)
    assert checked.returncode == 78 and "smp-udo" in checked.stderr + checked.stdout and "adress" in checked.stderr + checked.stdout
    assert run("--check-config", "--config", "/nonexistent.conf").returncode == 78


def test_diagnose_without_a_daemon(gateway):
    gw = gateway(start=False)
    answer = run("--diagnose", "--config", gw.config)
    assert answer.returncode == 0
    findings = json.loads(answer.stdout)
    assert harness.schema_tools.problems("reply", findings, "gateway.diagnose") == []
    assert {"state", "clock", "plugins", "ports"} <= {finding["check"] for finding in findings["findings"]}


def test_reload(gateway):
    gw = gateway()
    gw.write_config(settings="[limits]\njobs = 7\n[artifacts]\nquota = 133M\n")
    changed = gw.call("gateway.reload")["changed"]
    assert {(c["section"], c["key"], c["needs_restart"]) for c in changed} == {("limits", "jobs", True), ("artifacts", "quota", False)}
    assert gw.call("artifact.list")["quota_bytes"] == 133 << 20
    gw.write_config(settings="[artifacts]\nquota = some\n")
    with pytest.raises(harness.RpcError) as refused:
        gw.call("gateway.reload")
    assert refused.value.name == "config-invalid" and str(gw.config) in refused.value.mistakes[0]["path"]
    gw.write_config(settings="[artifacts]\nquota = 144M\n")
    gw.process.send_signal(signal.SIGHUP)
    messages = await_notify(gw, "READY=1")
    assert "RELOADING=1" in "\n".join(messages)
    assert gw.call("artifact.list")["quota_bytes"] == 144 << 20


def await_notify(gw, wanted, timeout_s=20):
    messages, deadline = [], time.monotonic() + timeout_s
    while not any(wanted in message for message in messages):
        assert select.select([gw.notify], [], [], max(0, deadline - time.monotonic()))[0], (wanted, messages)
        messages.append(gw.notify.recv(4096).decode())
    return messages


def test_what_systemd_sees(simulate, gateway, image):
    simulator = simulate("--udp", "127.0.0.1:0", "--latency-ms", 20)
    gw = gateway(simulator.sections(), start=False).start(environment={"WATCHDOG_USEC": "400000"})
    await_notify(gw, "WATCHDOG=1")
    path, _ = image("1.1.0")
    gw.begin(path, {"ids": [DEVICE]})
    await_notify(gw, "STATUS=1 devices adopted; 1 campaigns, 1 jobs open")
    gw.jobs()
    await_notify(gw, "0 jobs open")
    process = gw.process
    process.send_signal(signal.SIGTERM)
    await_notify(gw, "STOPPING=1")
    assert process.wait(10) == 0


# --- the state directory


def test_second_daemon(gateway):
    gw = gateway()
    second = run("--config", gw.config)
    assert second.returncode == 69 and "store-locked" in second.stderr
    assert gw.call("gateway.health")["status"] in ("ok", "degraded")


def test_database_of_a_newer_version(gateway):
    gw = gateway()
    gw.stop()
    database = next(gw.state.glob("*.db"))
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.commit()
    before = hashlib.sha256(database.read_bytes()).digest()
    refused = run("--config", gw.config)
    assert refused.returncode not in (0, 1) and "store-newer" in refused.stderr
    assert hashlib.sha256(database.read_bytes()).digest() == before


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MiB; only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6M", "gatewayd-test", folder], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def begin_download(gw, server, data, name="c1"):
    server.files["/app.bin"] = data
    gw.call("campaign.start", {"document": {
        "schema": "gatewayd/campaign/1", "id": name, "revision": 1, "devices": {"ids": [DEVICE]},
        "artifacts": [{"url": server.url("/app.bin"), "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}]}})


def await_reason(gw, reason, campaign="c1"):
    deadline = time.monotonic() + 20
    job = {}
    while job.get("reason") != reason and time.monotonic() < deadline:  # that it waits is no event
        job = gw.call("campaign.get", {"id": campaign})["jobs"][0]
    assert (job["state"], job.get("reason")) == ("queued", reason)


def test_full_disk(simulate, gateway, image, small_disk, tmp_path):
    server = Server(tmp_path / "server")
    simulator = simulate("--udp", "127.0.0.1:0")
    path, _ = image("1.1.0", "--size", "400K")
    gw = gateway(simulator.sections(), f"[artifacts]\nallow_private = loopback\nreserve = 1M\nquota = 4M\nmax_size = 2M\n[trust]\nca_file = {server.certificate}\n",
                 start=False)
    gw.config.write_text(gw.config.read_text().replace(f"state_dir = {gw.state}", f"state_dir = {small_disk}/state"))
    gw.start()
    filler = small_disk / "filler"
    room = shutil.disk_usage(small_disk).free
    filler.write_bytes(bytes(room - (1200 << 10)))
    try:
        with pytest.raises(harness.RpcError) as refused:
            gw.import_file(path)
        assert refused.value.name == "disk-full"
        begin_download(gw, server, pathlib.Path(path).read_bytes())
        await_reason(gw, "disk-full")
        assert server.requests == []
        filler.unlink()
        assert outcome(gw.jobs()[DEVICE]) == CONFIRMED
    finally:
        gw.stop()
        server.stop()


# --- the clock


def test_clock_of_1970(simulate, gateway, image, tmp_path):
    """What needs no clock is done, a download waits and says why, and goes on when the clock is right."""
    shim, flag = tmp_path / "clock_shim.so", tmp_path / "1970"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, harness.ROOT / "tests/integration/clock_shim.c", "-ldl"], check=True)
    flag.touch()
    server = Server(tmp_path / "server")
    simulator = simulate("--udp", "127.0.0.1:0")
    first, _ = image("1.1.0")
    second, _ = image("1.2.0")
    gw = gateway(simulator.sections(), f"[artifacts]\nallow_private = loopback\nreserve = 0\n[trust]\nca_file = {server.certificate}\n", start=False)
    gw.start(environment={"LD_PRELOAD": str(shim), "GATEWAYD_TEST_CLOCK": str(flag)})
    try:
        assert gw.call("gateway.info")["time_credible"] == "not-credible"
        gw.begin(first, {"ids": [DEVICE]}, name="local")
        assert outcome(gw.jobs("local")[DEVICE]) == CONFIRMED
        begin_download(gw, server, pathlib.Path(second).read_bytes())
        await_reason(gw, "clock-not-credible")
        assert server.requests == []
        assert "clock-not-credible" in {problem["name"] for problem in gw.call("gateway.health")["problems"]}
        flag.unlink()
        assert outcome(gw.jobs()[DEVICE]) == CONFIRMED
        assert gw.call("audit.verify")["valid"]
    finally:
        gw.stop()
        server.stop()


# --- callers


GARBAGE = [
    b"", b"hello", b"{", b"[]", b"null", b"{}", b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"2.0","id":1}', b'[{"jsonrpc":"2.0","id":1,"method":"gateway.info"}]',
    b'{"jsonrpc":"2.0","id":1,"method":"gateway.info","id":2}', b'{"jsonrpc":"2.0","id":1,"method":"gateway.info"} x', b"\xff\xfe\x00\x01", b"\x00",
    b'{"jsonrpc":"2.0","id":1,"method":"' + b"a" * 5000 + b'"}', b"[" * 1000 + b"]" * 1000, b'{"jsonrpc":"1.0","id":1,"method":"gateway.info"}',
    b'{"jsonrpc":"2.0","id":1.5,"method":"gateway.info"}', b'{"jsonrpc":"2.0","id":{},"method":"gateway.info"}', b'{"jsonrpc":"2.0","id":1,"method":7}',
    b'{"jsonrpc":"2.0","id":1,"method":"nothing.here"}', b'{"jsonrpc":"2.0","id":1,"method":"device.get","params":{"id":7,"more":1}}',
    b'{"jsonrpc":"2.0","id":1,"method":"artifact.import","params":{}}',
]


def test_garbage_on_the_control_socket(gateway):
    gw = gateway()
    client = gw.client()
    n_answers = 0
    for line in GARBAGE:
        client.send_line(line)
    client.send_line(json.dumps({"jsonrpc": "2.0", "id": "end", "method": "gateway.info"}).encode())
    while True:
        message = client.read_line()
        if message.get("id") == "end":
            break
        assert message["error"]["data"]["name"] in ("request-invalid", "method-unknown", "params-invalid"), message
        n_answers += 1
    assert n_answers >= len(GARBAGE) - 1  # an empty line may be passed over
    client.close()
    assert gw.log().count("warning:") <= 3  # said once, not for every line


def test_endless_line(gateway):
    gw = gateway()
    other = gw.client()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(gw.socket_path))
        connection.settimeout(20)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(64):
                connection.sendall(b"x" * (1 << 20))
            connection.sendall(b"\n")
        answers = b""
        with contextlib.suppress(ConnectionResetError):
            answers = connection.recv(65536)
        assert not answers or b"request-invalid" in answers or b"document-too-large" in answers
    assert other.call("gateway.info")["id"] == "test-gateway"
    status = pathlib.Path(f"/proc/{gw.process.pid}/status").read_text()
    memory = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert memory < 64 << 10 or "asan" in str(harness.BUILD) or "sanitize" in str(harness.BUILD)
    other.close()


def test_callers_that_vanish(gateway):
    """Requests whose caller does not wait for the answer, and half a line, of many callers."""
    gw = gateway()
    chance = random.Random(7)
    for _ in range(200):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(gw.socket_path))
            line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": chance.choice(["gateway.health", "device.list", "events.subscribe"])}).encode() + b"\n"
            with contextlib.suppress(BrokenPipeError):  # one too many is cut off, perhaps before it speaks
                connection.sendall(line[:chance.randrange(len(line) + 1)])
    assert gw.call("gateway.info")["id"] == "test-gateway"


ASK = """
import json, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
stream = connection.makefile("rw")
for method, params in json.loads(sys.argv[2]):
    stream.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + chr(10))
    stream.flush()
    answer = json.loads(stream.readline())
    print(answer.get("error", {}).get("data", {}).get("name", "ok"))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")
def test_other_users_only_read(gateway, simulate):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gatewayd-test-"))
    folder.chmod(0o755)
    simulator = simulate("--udp", "127.0.0.1:0")
    gw = harness.Gateway(folder, simulator.sections()).start()
    document = {"schema": "gatewayd/campaign/1", "id": "c", "revision": 1, "rollback": "other-slot", "devices": {"all": True}}
    allowed = [("gateway.info", {}), ("gateway.health", {}), ("device.list", {}), ("campaign.list", {}), ("artifact.list", {}),
               ("campaign.plan", {"document": document})]
    denied = [("campaign.start", {"document": document}), ("campaign.cancel", {"id": "c"}), ("device.scan", {}), ("device.forget", {"id": DEVICE}),
              ("device.diagnose", {"id": DEVICE}), ("artifact.remove", {"sha256": "00" * 32}), ("gateway.reload", {}), ("audit.verify", {}), ("audit.query", {})]

    def ask(calls, *identity):
        answer = subprocess.run(["setpriv", *identity, "/usr/bin/python3", "-c", ASK, gw.socket_path, json.dumps(calls)], capture_output=True, text=True,
                                timeout=60, check=True)
        return answer.stdout.split()

    try:
        nobody = ("--reuid=65534", "--regid=65534", "--clear-groups")
        assert ask(allowed, *nobody) == ["ok"] * len(allowed)
        assert ask(denied, *nobody) == ["permission-denied"] * len(denied)
        # A member of control_group may do what root may.
        assert "permission-denied" not in ask([("gateway.reload", {}), ("audit.verify", {})], "--reuid=65534", "--regid=65534", "--groups=0")
        assert gw.call("campaign.list")["campaigns"] == []
    finally:
        gw.stop()
        shutil.rmtree(folder)
