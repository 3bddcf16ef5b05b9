# SPDX-License-Identifier: Apache-2.0
"""gatewayd as a unit of a booted Debian 12: what systemd, journald and the kernel's users make of it. One container for all tests; each
test begins with a stopped daemon, an empty state directory and simulated devices of its own."""

import ctypes
import json
import os
import shutil
import time

import harness
import machine
import pytest

pytestmark = [pytest.mark.full, pytest.mark.skipif(os.geteuid() != 0, reason="only root can boot a container")]

UNIT = "gatewayd.service"
STATE = "/var/lib/gatewayd"


@pytest.fixture(scope="module")
def booted():
    one = machine.Machine()
    try:
        one.boot()
        one.after_boot = (one.show("ActiveState"), one.show("NRestarts"))
        for user in ("alice", "bob"):
            one.run("useradd", "--system", user)
        one.run("usermod", "-aG", "gatewayd", "alice")
        yield one
    finally:
        one.power_off()


@pytest.fixture
def box(booted):
    """The machine, with the unit as it is installed, and nothing left of the test before."""
    booted.run("systemctl", "stop", UNIT)
    booted.try_run("systemctl", "reset-failed", UNIT)
    shutil.rmtree(booted.path("/run/systemd/system/gatewayd.service.d"), ignore_errors=True)
    booted.run("systemctl", "daemon-reload")
    shutil.rmtree(booted.path(STATE), ignore_errors=True)
    booted.configure("")
    return booted


class Devices:
    """Simulated devices inside of the container."""

    def __init__(self, box, name, *arguments):
        self.box, self.name = box, name
        self.events_path = f"/run/{name}.jsonl"
        output = box.begin(name, f"{machine.SIMULATORS}/gatewayd-simulate", "--events", self.events_path, *arguments).stdout
        self.devices = []
        for line in output:
            message = json.loads(line)
            if "ready" in message:
                return
            self.devices.append(message)
        raise RuntimeError("the simulator ended")

    def sections(self, extra=""):
        text = ""
        for device in self.devices:
            text += f"[device d{device['device']}]\ndriver = smp-udp\naddress = {device['address']}:{device['port']}\n{extra}\n"
        return text

    def events(self, *names):
        lines = self.box.path(self.events_path).read_text().splitlines()
        return [event for event in map(json.loads, lines) if not names or event["event"] in names]


@pytest.fixture
def simulate(box):
    running = []

    def begin(*arguments):
        running.append(Devices(box, f"devices-{time.monotonic_ns()}", *arguments))
        return running[-1]

    yield begin
    for devices in running:
        box.end(devices.name)


class Orders(harness.Gateway):
    """The commands of harness.Gateway for a daemon that systemd runs."""

    def __init__(self, box):
        self.box = box

    def client(self):
        return self.box.client()


@pytest.fixture
def image(tmp_path):
    return lambda version, *arguments: harness.make_image(tmp_path / f"app-{version}.bin", version, *(arguments or ("--size", "24K")))


def start(box, text=""):
    box.configure(text)
    box.run("systemctl", "start", UNIT)
    return Orders(box)


def configuration(sections=""):
    return f"[gateway]\nid = box\n[policy]\ntrial = 100 ms\n{sections}"


def main_pid(box):
    return int(box.show("MainPID"))


# --- what was installed ---


def test_unit_is_sound(box):
    done = box.try_run("systemd-analyze", "verify", f"/usr/lib/systemd/system/{UNIT}")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_sandbox_is_tight(box):
    """systemd's own judgement: 0 is shut, 10 is open; below 3 is what it calls OK."""
    box.run("systemd-analyze", "security", "--no-pager", "--threshold=25", UNIT)


def test_completion_is_found(box):
    script = "source /usr/share/bash-completion/bash_completion; _completion_loader gatewayctl; complete -p gatewayctl"
    assert "gatewayctl" in box.run("bash", "-c", script)


# --- start, state, stop ---


def test_active_by_ready(box):
    start(box)
    assert box.show("Type") == "notify" and box.show("ActiveState") == "active" and box.show("SubState") == "running"
    assert box.show("StatusText") == "0 devices adopted; 0 campaigns, 0 jobs open, 0 running"
    assert 'Status: "0 devices adopted;' in box.run("systemctl", "status", "--no-pager", UNIT)
    assert Orders(box).call("gateway.info")["id"].startswith("testgateway-")


def test_state_belongs_to_gatewayd(box):
    start(box)
    found = box.run("find", STATE, "/run/gatewayd", "-printf", "%p %u:%g %m\\n").splitlines()
    rights = {path: (owner, mode) for path, owner, mode in map(str.split, found)}
    assert rights[STATE] == ("gatewayd:gatewayd", "700")
    assert rights["/run/gatewayd"] == ("gatewayd:gatewayd", "755")
    assert {owner for owner, _ in rights.values()} == {"gatewayd:gatewayd"}
    assert all(mode in ("600", "700") for path, (_, mode) in rights.items() if path.startswith(STATE))
    status = box.path(f"/proc/{main_pid(box)}/status").read_text()
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status


def test_came_up_with_the_boot(booted):
    assert booted.after_boot == ("active", "0")


def test_watchdog_is_fed(box):
    box.drop_in("watchdog", "[Service]\nWatchdogSec=1\n")
    start(box)
    seen = {box.show("WatchdogTimestampMonotonic")}
    box.await_unit(lambda: seen.add(box.show("WatchdogTimestampMonotonic")) or len(seen) > 3, "three pings")
    assert box.show("NRestarts") == "0"


def test_hanging_daemon_is_replaced(box):
    box.drop_in("watchdog", "[Service]\nWatchdogSec=1\nRestartSec=100ms\n")
    start(box)
    pid = main_pid(box)
    box.run("systemctl", "kill", "--kill-whom=main", "-s", "STOP", UNIT)
    box.await_unit(lambda: box.show("NRestarts") == "1" and box.show("ActiveState") == "active", "a restart")
    assert main_pid(box) != pid
    assert any("Watchdog timeout" in entry["MESSAGE"] for entry in box.journal(f"UNIT={UNIT}"))
    assert Orders(box).call("gateway.info")["pid"] == main_pid(box)


def test_killed_daemon_is_replaced(box):
    box.drop_in("restart", "[Service]\nRestartSec=100ms\n")
    start(box)
    box.run("systemctl", "kill", "--kill-whom=main", "-s", "KILL", UNIT)
    box.await_unit(lambda: box.show("NRestarts") == "1" and box.show("ActiveState") == "active", "a restart")


def test_stop_in_an_upload(box, simulate, image):
    """The upload goes on after the next start where it was, and the stop is one of its own will."""
    devices = simulate("--udp", "127.0.0.1:0", "--rate", "60000")
    path, hash_new = image("1.1.0", "--size", "200K")
    orders = start(box, configuration(devices.sections()))
    orders.begin(path, {"ids": ["smp-udp:d0"]})
    orders.wait_event(lambda params, method: method == "progress" and params.get("done_bytes", 0) > 20000, progress=True)
    began = time.monotonic()
    box.run("systemctl", "stop", UNIT)
    assert time.monotonic() - began < 6
    assert (box.show("Result"), box.show("ExecMainStatus"), box.show("ActiveState")) == ("success", "0", "inactive")
    assert not devices.events("upload-complete")
    box.run("systemctl", "start", UNIT)
    job = orders.jobs()["smp-udp:d0"]
    assert (job["state"], job["result"], job["hash_after"]) == ("succeeded", "updated", hash_new)
    starts = devices.events("upload-start", "upload-resume")
    assert [event["event"] for event in starts] == ["upload-start", "upload-resume"] and starts[1]["off"] > 20000
    box.await_unit(lambda: box.show("StatusText") == "1 devices adopted; 0 campaigns, 0 jobs open, 0 running", "the status line")


# --- configuration ---


def test_reload(box):
    orders = start(box, configuration())
    pid = main_pid(box)
    box.configure(configuration("[device late]\ndriver = smp-udp\naddress = 127.0.0.1:1\n"))
    box.run("systemctl", "reload", UNIT)
    box.await_unit(lambda: [device["id"] for device in orders.call("device.list")["devices"]] == ["smp-udp:late"], "the new device")
    assert (main_pid(box), box.show("ActiveState")) == (pid, "active")


def test_reload_with_mistakes_changes_nothing(box):
    orders = start(box, configuration("[device early]\ndriver = smp-udp\naddress = 127.0.0.1:1\n"))
    pid = main_pid(box)
    box.configure("[gateway]\nbogus = 1\n[limits]\njobs = many\n")
    box.run("systemctl", "reload", UNIT)
    wanted = [f"_PID={pid}", "GATEWAYD_ERROR=config-invalid", "PRIORITY=3"]
    box.await_unit(lambda: len(box.journal(*wanted)) == 3, "what is wrong, in the journal")
    texts = [entry["MESSAGE"] for entry in box.journal(*wanted)]
    assert "gatewayd.conf:2: [gateway] bogus" in texts[1] and "gatewayd.conf:4: [limits] jobs" in texts[2]
    assert (main_pid(box), box.show("ActiveState")) == (pid, "active")
    assert [device["id"] for device in orders.call("device.list")["devices"]] == ["smp-udp:early"]


@pytest.mark.parametrize("text", ["[gateway]\nbogus = 1\n", "[device x]\ndriver = smp-udp\naddress = 127.0.0.1\nbogus = 1\n", "[device x]\ndriver = none\n"])
def test_mistakes_do_not_loop(box, text):
    """failed is the end: with a restart before it the unit would be activating."""
    box.configure(text)
    since = box.run("date", "+%s.%N").strip()
    assert box.try_run("systemctl", "start", UNIT).returncode != 0
    assert [box.show(name) for name in ("ActiveState", "SubState", "ExecMainStatus", "NRestarts")] == ["failed", "failed", "78", "0"]
    entries = box.journal(f"_SYSTEMD_UNIT={UNIT}", "GATEWAYD_ERROR=config-invalid", f"--since=@{since}")
    assert entries and all("gatewayd.conf:" in entry["MESSAGE"] and entry["PRIORITY"] == "3" for entry in entries)


def test_unreadable_configuration(box):
    box.configure("")
    box.path("/etc/gatewayd/gatewayd.conf").chmod(0o600)
    try:
        since = box.run("date", "+%s.%N").strip()
        assert box.try_run("systemctl", "start", UNIT).returncode != 0
        assert [box.show(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")] == ["failed", "78", "0"]
        assert any("Permission denied" in entry["MESSAGE"] for entry in box.journal(f"_SYSTEMD_UNIT={UNIT}", f"--since=@{since}"))
    finally:
        box.path("/etc/gatewayd/gatewayd.conf").chmod(0o644)


def test_database_of_a_newer_gatewayd_does_not_loop(box):
    start(box)
    box.run("systemctl", "stop", UNIT)
    box.run("python3", "-c", f"import sqlite3; sqlite3.connect('{STATE}/gatewayd.db').execute('PRAGMA user_version = 9999')")
    assert box.try_run("systemctl", "start", UNIT).returncode != 0
    assert [box.show(name) for name in ("ActiveState", "SubState", "ExecMainStatus", "NRestarts")] == ["failed", "failed", "65", "0"]
    assert box.journal(f"_SYSTEMD_UNIT={UNIT}", "GATEWAYD_ERROR=store-newer", "PRIORITY=3")


# --- the journal ---


def test_journal_finds_the_entries_of_a_job(box, simulate, image):
    devices = simulate("--udp", "127.0.0.1:0", "--count", "2", "--device", "1:reject-image")
    orders = start(box, configuration(devices.sections()))
    path, _ = image("1.1.0")
    name = f"journal-{time.time_ns()}"
    orders.begin(path, {"ids": ["smp-udp:d0", "smp-udp:d1"]}, name, compatible=["simboard"])
    jobs = orders.jobs(name)
    assert jobs["smp-udp:d0"]["result"] == "updated" and jobs["smp-udp:d1"]["error"]["name"] == "smp-image-rejected"
    [entry] = box.journal("GATEWAYD_DEVICE=smp-udp:d1", f"GATEWAYD_CAMPAIGN={name}", "GATEWAYD_STEP=verify", "GATEWAYD_ERROR=smp-image-rejected")
    assert entry["PRIORITY"] == "4" and entry["SYSLOG_IDENTIFIER"] == "gatewayd" and entry["_SYSTEMD_UNIT"] == UNIT
    assert entry["MESSAGE"].startswith("smp-udp:d1: failed: image 0")
    done = box.journal("GATEWAYD_DEVICE=smp-udp:d0", f"GATEWAYD_CAMPAIGN={name}", "GATEWAYD_STEP=confirm")
    assert [(entry["MESSAGE"], "GATEWAYD_ERROR" in entry) for entry in done] == [("smp-udp:d0: succeeded: updated", False)]
    assert {entry.get("GATEWAYD_DEVICE") for entry in box.journal(f"GATEWAYD_CAMPAIGN={name}")} == {None, "smp-udp:d0", "smp-udp:d1"}


# --- who may what ---


def test_members_command_others_read(box):
    start(box, configuration("[device one]\ndriver = smp-udp\naddress = 127.0.0.1:1\n"))
    for user, code in (("root", 0), ("alice", 0), ("bob", 5)):
        read = box.as_user(user, "gatewayctl", "device", "list", "--json")
        assert read.returncode == 0 and "smp-udp:one" in read.stdout, (user, read)
        command = box.as_user(user, "gatewayctl", "device", "set", "smp-udp:one", "--name", user)
        assert command.returncode == code, (user, command)
        assert (Orders(box).call("device.get", {"id": "smp-udp:one"})["device"].get("name") == user) == (code == 0)


def test_doctor_without_the_daemon(box):
    """As root it looks with the eyes of the daemon's user."""
    start(box)
    box.run("systemctl", "stop", UNIT)
    done = box.try_run("gatewayctl", "doctor", "--json")
    assert done.returncode == 1, done
    assert "no gatewayd serves /run/gatewayd/control.sock" in done.stdout


# --- the world through the sandbox ---


def serial_device(simulate, box):
    devices = simulate("--pty", "/dev/ttyACM%d")
    tty = devices.devices[0]["path"]
    box.run("chown", "root:dialout", box.run("readlink", "-f", tty).strip())
    box.run("chmod", "0660", tty)
    return f"[device board]\ndriver = smp-serial\naddress = {tty}\n"


def test_serial_port_by_dialout(box, simulate, image):
    path, hash_new = image("1.1.0")
    orders = start(box, configuration(serial_device(simulate, box)))
    orders.begin(path, {"ids": ["smp-serial:board"]})
    job = orders.jobs()["smp-serial:board"]
    assert (job["state"], job["proof"], job["hash_after"]) == ("succeeded", "hash-active-confirmed", hash_new)


def test_serial_port_without_dialout(box, simulate):
    """It is that group that opens the port, and nothing else."""
    box.drop_in("groups", "[Service]\nSupplementaryGroups=\n")
    orders = start(box, configuration(serial_device(simulate, box)))
    assert orders.call("device.diagnose", {"id": "smp-serial:board"})["error"]["name"] == "port-permission"


def kernel_is_synchronised():
    """Does an NTP client keep this kernel's clock? adjtimex answers 5 (TIME_ERROR) when nobody does."""
    return ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256)) != 5


def test_clock_of_timesyncd(box):
    flag = box.path("/run/systemd/timesync/synchronized")
    orders = start(box)
    assert orders.call("gateway.info")["time_credible"] == ("kernel" if kernel_is_synchronised() else "plausible")
    flag.parent.mkdir(exist_ok=True)
    flag.touch()
    try:
        assert orders.call("gateway.info")["time_credible"] == "timesync"
    finally:
        flag.unlink()


SERVER = """
import http.server, os, ssl
os.chdir("/srv/firmware")
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass
server = http.server.HTTPServer(("127.0.0.1", 8443), Quiet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/srv/tls.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture
def web(box):
    """A server of firmware files; its certificate is the authority in /etc/gatewayd/ca.pem."""
    box.run("mkdir", "-p", "/srv/firmware")
    box.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", "/srv/tls.key", "-out", "/etc/gatewayd/ca.pem")
    box.path("/srv/tls.pem").write_text(box.path("/srv/tls.key").read_text() + box.path("/etc/gatewayd/ca.pem").read_text())
    name = f"web-{time.monotonic_ns()}"
    assert box.begin(name, "python3", "-c", SERVER).stdout.readline() == "ready\n"
    yield box.path("/srv/firmware")
    box.end(name)


def test_download(box, simulate, image, web):
    """Names, sockets, threads and TLS within the filter of system calls."""
    path, hash_new = image("1.1.0")
    shutil.copy(path, web / "app.bin")
    settings = "[trust]\nca_file = /etc/gatewayd/ca.pem\n[artifacts]\nallow_private = loopback\n"
    orders = start(box, configuration(settings + simulate("--udp", "127.0.0.1:0").sections()))
    artifact = {"sha256": harness.sha256_of(path), "size": path.stat().st_size, "url": "https://localhost:8443/app.bin", "compatible": ["simboard"]}
    orders.call("campaign.start", {"document": {"schema": "gatewayd/campaign/1", "id": "c1", "revision": 1, "artifacts": [artifact],
                                                "devices": {"ids": ["smp-udp:d0"]}}})
    job = orders.jobs()["smp-udp:d0"]
    assert (job["state"], job["hash_after"]) == ("succeeded", hash_new), job


def test_program_of_the_exec_driver(box, tmp_path):
    """A program writes where a drop-in lets it, as gatewayd's user and without any capability."""
    for folder in ("/usr/local/lib/gatewayd", "/srv/kitchen"):
        box.run("mkdir", "-p", folder)
    box.run("chown", "gatewayd:", "/srv/kitchen")
    shutil.copy(harness.ROOT / "plugins/exec/examples/folder-update", box.path("/usr/local/lib/gatewayd"))
    box.run("chmod", "755", "/usr/local/lib/gatewayd/folder-update")
    box.drop_in("paths", "[Service]\nReadWritePaths=/srv/kitchen\n")
    content = b"firmware " * 1000
    (tmp_path / "file").write_bytes(b"gatewayd-file/1\nversion: 1.2.0\ncompatible: acme,folder\n\n" + content)
    orders = start(box, configuration("[device kitchen]\ndriver = exec\nprogram = /usr/local/lib/gatewayd/folder-update\naddress = /srv/kitchen\n"
                                      "model = acme,folder\n"))
    orders.begin(tmp_path / "file", {"ids": ["exec:kitchen"]})
    job = orders.jobs()["exec:kitchen"]
    assert (job["state"], job["proof"]) == ("succeeded", "hash-active"), job
    assert box.path("/srv/kitchen/firmware").read_bytes() == content
    assert box.run("stat", "-c", "%U", "/srv/kitchen/firmware").strip() == "gatewayd"
