# SPDX-License-Identifier: Apache-2.0
"""Devices that a program updates (plugins/exec): the example of its README, and programs that do everything wrong."""

import hashlib
import os
import select
import shutil
import time

import harness
import pytest

EXAMPLE = harness.ROOT / "plugins/exec/examples/folder-update"


@pytest.fixture
def wrapped(tmp_path):
    """wrapped("1.2.0", b"...") -> (path, hash of the image) in the format of plugins/common/wrapped"""

    def make(version="1.2.0", content=b"firmware " * 1000, compatible="acme,folder"):
        path = tmp_path / f"file-{version}"
        path.write_bytes(f"gatewayd-file/1\nversion: {version}\ncompatible: {compatible}\n\n".encode() + content)
        return path, hashlib.sha256(content).hexdigest()

    return make


class Device:
    """A section whose program is a shell script; `body` is what it does in the step upload."""

    def __init__(self, folder, body, describe='{"step":"upload"}', mode=0o755):
        self.folder = folder
        self.program = folder / "program"
        self.calls = folder / "calls"
        self.gate = folder / "gate"  # the program tells something through it, and so that it has come so far
        os.mkfifo(self.gate)
        self.fd = os.open(self.gate, os.O_RDWR | os.O_NONBLOCK)
        lines = "; ".join(f"echo '{line}'" for line in describe.split("\n"))
        self.program.write_text(f"""#!/bin/sh
here={folder}
end() {{ echo "{{\\"end\\":$1}}"; exit 0; }}
case $1 in
describe) {lines}; end '"next"' ;;
esac
echo "$1 $GW_RESUMED $GW_BLOB" >>$here/calls
{body}
""")
        self.program.chmod(mode)

    def section(self, extra=""):
        return f"[device meter]\ndriver = exec\nprogram = {self.program}\nmodel = acme,folder\n{extra}\n"

    def hear(self):
        """The next word that the program wrote into the gate."""
        assert select.select([self.fd], [], [], harness.PATIENCE_S)[0], "the program did not come so far"
        return os.read(self.fd, 4096).decode().split()

    def called(self):
        return [line.split() for line in self.calls.read_text().splitlines()]


@pytest.fixture
def device(tmp_path):
    made = []

    def make(body, **options):
        folder = tmp_path / "device"
        folder.mkdir()
        made.append(Device(folder, body, **options))
        return made[-1]

    yield make
    for one in made:
        os.close(one.fd)


def await_death(pid):
    try:
        fd = os.pidfd_open(int(pid)) if hasattr(os, "pidfd_open") else None
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], harness.PATIENCE_S)[0], f"{pid} lives on"
    finally:
        os.close(fd)


def await_reason(gw, reason):
    """Waiting is state, not an event."""
    deadline = time.monotonic() + harness.PATIENCE_S
    while gw.call("campaign.get", {"id": "c1"})["jobs"][0].get("reason") != reason:
        assert time.monotonic() < deadline, gw.log()[-3000:]
        time.sleep(0.02)


def start_again(gw):
    """A child that was being made when the daemon was killed has the daemon's lock for a moment longer than the daemon."""
    deadline = time.monotonic() + harness.PATIENCE_S
    while True:
        try:
            return gw.start()
        except RuntimeError as error:
            if "store-locked" not in str(error) or time.monotonic() > deadline:
                raise


def run_one(gateway, device, path, extra="", **policy):
    gw = gateway(device.section(extra))
    gw.begin(path, {"ids": ["exec:meter"]}, **(policy or {"attempts": 1}))
    return gw, gw.jobs()["exec:meter"]


def example(tmp_path):
    """The program of the README, installed as its README says, and the folder that is its device."""
    program = tmp_path / "folder-update"
    shutil.copy(EXAMPLE, program)
    program.chmod(0o755)
    folder = tmp_path / "kitchen"
    return folder, f"[device kitchen]\ndriver = exec\nprogram = {program}\naddress = {folder}\nmodel = acme,folder\n"


def test_the_example_updates_a_folder(gateway, wrapped, tmp_path):
    folder, section = example(tmp_path)
    folder.mkdir()
    (folder / "firmware").write_bytes(b"old")
    (folder / "version").write_text("1.1.0\n")
    path, image_hash = wrapped("1.2.0", os.urandom(300_000))
    gw = gateway(section)
    gw.begin(path, {"ids": ["exec:kitchen"]})
    job = gw.jobs()["exec:kitchen"]
    assert (job["state"], job["result"], job["proof"]) == ("succeeded", "updated", "hash-active")
    assert [step["name"] for step in job["steps"]] == ["upload", "activate", "verify"]
    assert (job["version_before"], job["version_after"], job["hash_after"]) == ("1.1.0", "1.2.0", image_hash)
    assert harness.sha256_of(folder / "firmware") == image_hash
    gw.begin(path, {"ids": ["exec:kitchen"]}, name="c2")
    job = gw.jobs("c2")["exec:kitchen"]
    assert (job["state"], job["result"], job["proof"]) == ("succeeded", "already", "hash-active")


def test_the_example_waits_for_an_absent_folder(gateway, wrapped, tmp_path):
    folder, section = example(tmp_path)
    path, _ = wrapped()
    gw = gateway(section)
    gw.begin(path, {"ids": ["exec:kitchen"]})
    await_reason(gw, "not-seen")
    folder.mkdir()
    assert gw.jobs()["exec:kitchen"]["result"] == "updated"


def test_the_example_is_killed_with_the_daemon_at_every_step(gateway, wrapped, tmp_path):
    """After each kill the job goes on at that step; what was done is looked at, not done again."""
    folder, section = example(tmp_path)
    folder.mkdir()
    path, image_hash = wrapped("1.2.0", os.urandom(100_000))
    gw = gateway(section)
    gw.begin(path, {"ids": ["exec:kitchen"]})
    for step in ("upload", "activate", "verify"):
        try:
            gw.wait_event(lambda params, method: f"'{step}'" in str(params) or "completed" in str(params), progress=True)
        finally:
            gw.kill()
        start_again(gw)
    job = gw.jobs()["exec:kitchen"]
    assert (job["state"], job["result"], job["hash_after"]) == ("succeeded", "updated", image_hash)
    assert not (folder / "firmware.new").exists()


@pytest.mark.parametrize("body, name, words", [
    ("kill -SEGV $$", "exec-crashed", "signal 11"),
    ("echo 'no such bus' >&2; exit 3", "exec-failed", "exit code 3: no such bus"),
    ("echo hello; end '\"next\"'", "exec-bad-output", "hello"),
    ("echo '{\"progress\":5,\"total\":4}'; end '\"next\"'", "exec-bad-output", "progress"),
    ("while :; do echo '{\"note\":\"I know\"}'; done", "exec-too-much-output", "bytes"),
    ("while :; do printf x; done", "exec-bad-output", "16384"),
    ("echo '{\"note\":\"done, I think\"}'", "exec-no-result", "no line"),
    ("end '\"next\"'", "exec-bad-output", "last step"),
    ("end '\"fail\",\"error\":\"acme-broken\",\"text\":\"it smokes\"'", "acme-broken", "it smokes"),
    ("end '\"fail\"'; exit 0", "exec-failed", "no reason"),
    ("i=0; while :; do i=$((i+1)); done", "exec-crashed", "signal 9"),
])
def test_a_program_that_misbehaves_is_a_failed_step(gateway, device, wrapped, body, name, words):
    path, _ = wrapped()
    one = device(body)
    gw, job = run_one(gateway, one, path, "output = 64K\ncpu = 1 s")
    assert (job["state"], job["error"]["name"]) == ("failed", name), gw.log()[-3000:]
    assert words in job["error"]["text"]
    gw.stop()  # and the daemon is as before


def test_a_step_that_hangs_is_killed_with_its_grandchildren(gateway, device, wrapped):
    path, _ = wrapped()
    one = device("sleep 1000 & echo $! $$ >$here/gate; wait")
    _, job = run_one(gateway, one, path, "timeout = 300 ms")
    assert (job["state"], job["error"]["name"]) == ("failed", "exec-timeout")
    for pid in one.hear():
        await_death(pid)


def test_progress_is_a_sign_of_life(gateway, device, wrapped):
    """Longer than the timeout, but never silent for so long."""
    path, _ = wrapped()
    one = device("for i in 1 2 3 4 5 6 7 8; do echo \"{\\\"progress\\\":$i,\\\"total\\\":8}\"; sleep 0.1; done; "
                 "end '\"done\",\"result\":\"sent-unproven\",\"proof\":\"none\"'")
    _, job = run_one(gateway, one, path, "timeout = 600 ms")
    assert (job["state"], job["result"], job["proof"]) == ("succeeded", "sent-unproven", "none")


def test_a_failed_attempt_is_followed_by_another(gateway, device, wrapped):
    path, _ = wrapped()
    one = device("[ $GW_ATTEMPT = 2 ] || exit 1; end '\"done\",\"result\":\"updated\",\"proof\":\"version-read\"'")
    _, job = run_one(gateway, one, path, attempts=2)
    assert (job["state"], job["result"]) == ("succeeded", "updated")
    assert [call[0] for call in one.called()] == ["upload", "upload"]


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_program_that_others_can_change_is_not_run(gateway, device, wrapped, mode):
    path, _ = wrapped()
    one = device("end '\"next\"'", mode=mode)
    _, job = run_one(gateway, one, path)
    assert (job["state"], job["error"]["name"]) == ("failed", "exec-not-safe")
    assert not one.calls.exists()


def test_a_folder_that_others_can_change_is_not_safe(gateway, device, wrapped):
    path, _ = wrapped()
    one = device("end '\"next\"'")
    one.folder.chmod(0o777)
    _, job = run_one(gateway, one, path)
    assert (job["state"], job["error"]["name"]) == ("failed", "exec-not-safe")


def test_a_program_that_is_not_there(gateway, device, wrapped):
    path, _ = wrapped()
    one = device("end '\"next\"'")
    one.program.unlink()
    _, job = run_one(gateway, one, path)
    assert (job["state"], job["error"]["name"]) == ("failed", "exec-not-found")


def test_an_interpreter_that_is_not_there(gateway, device, wrapped):
    path, _ = wrapped()
    one = device("end '\"next\"'")
    one.program.write_text("#!/no/such/shell\n")
    _, job = run_one(gateway, one, path)
    assert (job["state"], job["error"]["name"]) == ("failed", "exec-not-found")


HANGS_ONCE = """
if [ $1 = upload ]; then echo '{"blob":"half"}'; end '"next"'; fi
[ -e $here/again ] && end '"done","result":"updated","proof":"version-read"'
touch $here/again
echo $$ >$here/gate
sleep 1000 & wait
"""


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_daemon_goes_in_the_middle_of_a_step(gateway, device, wrapped, how):
    """It goes on at that step, with what the step before it left."""
    path, _ = wrapped()
    one = device(HANGS_ONCE, describe='{"step":"upload"}\n{"step":"reset"}')
    gw = gateway(one.section())
    gw.begin(path, {"ids": ["exec:meter"]})
    (pid,) = one.hear()
    getattr(gw, how)()
    await_death(pid)
    start_again(gw)
    job = gw.jobs()["exec:meter"]
    assert (job["state"], job["result"]) == ("succeeded", "updated"), gw.log()[-3000:]
    assert one.called() == [["upload", "0"], ["reset", "0", "half"], ["reset", "1", "half"]]


def test_a_program_may_end_in_peace_when_the_daemon_stops(gateway, device, wrapped):
    path, _ = wrapped()
    one = device("""
[ $GW_RESUMED = 0 ] || end '"done","result":"updated","proof":"version-read"'
trap 'echo safe >$here/gate; exit 0' TERM
echo ready >$here/gate
sleep 1000 & wait
""")
    gw = gateway(one.section())
    gw.begin(path, {"ids": ["exec:meter"]})
    assert one.hear() == ["ready"]
    gw.stop()
    assert one.hear() == ["safe"]
    gw.start()
    assert gw.jobs()["exec:meter"]["result"] == "updated"


def test_cancel_ends_the_program(gateway, device, wrapped):
    path, _ = wrapped()
    one = device("echo $$ >$here/gate; exec sleep 1000")
    gw = gateway(one.section())
    gw.begin(path, {"ids": ["exec:meter"]})
    (pid,) = one.hear()
    gw.call("campaign.cancel", {"id": "c1"})
    assert gw.jobs()["exec:meter"]["state"] == "canceled"
    await_death(pid)


def test_behind_the_point_of_no_return_a_job_is_not_canceled(gateway, device, wrapped):
    path, _ = wrapped()
    one = device("""
echo "committed $GW_COMMITTED" >$here/gate
while [ ! -e $here/go ]; do sleep 0.05; done
end '"done","result":"updated","proof":"version-read"'
""", describe='{"step":"activate","commits":true}')
    gw = gateway(one.section())
    gw.begin(path, {"ids": ["exec:meter"]})
    assert one.hear() == ["committed", "1"]
    gw.call("campaign.cancel", {"id": "c1"})
    (one.folder / "go").touch()
    state = gw.follow(until=lambda campaign: campaign["counts"].get("succeeded") == 1)
    assert state["jobs"][0]["result"] == "updated"


def test_what_the_program_is_told(gateway, device, wrapped):
    content = b"exactly this"
    path, image_hash = wrapped("3.2.1", content)
    one = device("""
cat >$here/question
cat <&3 >$here/image
ls /proc/self/fd >$here/descriptors
env >$here/environment
pwd >$here/place
{ ulimit -v; ulimit -n; ulimit -f; ulimit -t; ulimit -c; } >$here/limits
end '"done","result":"updated","proof":"version-read"'
""")
    run_one(gateway, one, path, 'address = bus 7\noptions = "--slow  yes"\nmemory = 128M\nfiles = 20\nfile_size = 1M\ncpu = 2500 ms')
    question = harness.json.loads((one.folder / "question").read_text())
    assert question == {
        "step": "upload", "protocol": 1, "operation": "update", "attempt": 1, "resumed": False, "committed": False,
        "device": {"key": "meter", "address": "bus 7", "model": "acme,folder", "options": "--slow  yes"},
        "order": {"mode": "test-and-confirm", "trial_s": 1, "trial_checks": 2, "rollback": False, "allow_downgrade": False,
                  "image": {"image": 0, "hash": image_hash, "version": "3.2.1", "sha256": image_hash, "size": len(content)}}}
    assert (one.folder / "image").read_bytes() == content
    assert (one.folder / "descriptors").read_text().split()[:4] == ["0", "1", "2", "3"]
    environment = dict(line.split("=", 1) for line in (one.folder / "environment").read_text().splitlines())
    assert environment["GW_OPTIONS"] == "--slow  yes" and environment["GW_HASH"] == image_hash
    assert "NOTIFY_SOCKET" not in environment
    assert (one.folder / "place").read_text() == "/\n"
    assert (one.folder / "limits").read_text().split() == ["131072", "20", "2048", "3", "0"]


def test_what_the_program_tells(gateway, device, wrapped):
    path, image_hash = wrapped()
    one = device("""
echo '{"learned":{"version":"1.2.0","name":"meter in the cellar","battery_percent":80,"attributes":{"bus":"7"}}}'
echo '{"note":"bus was slow"}'
echo '{"target":{"key":"display","state":"failed","error":"acme-dark","text":"no answer"}}'
end '"done","result":"updated","proof":"version-read"'
""")
    gw, job = run_one(gateway, one, path)
    assert "bus was slow" in str(job)
    assert "acme-dark" in str(job)
    found = gw.call("device.get", {"id": "exec:meter"})["device"]
    assert (found["version"], found["battery_percent"]) == ("1.2.0", 80)


def test_diagnose(gateway, device, wrapped):
    one = device("""
echo '{"note":"terminator missing"}'
end '"next"'
""", describe='{"step":"upload"}\n{"step":"diagnose"}')
    gw = gateway(one.section())
    answer = gw.call("device.diagnose", {"id": "exec:meter"})
    assert "terminator missing" in answer["findings"]
    assert one.called() == [["diagnose", "0"]]


def test_a_file_for_other_hardware_is_refused(gateway, device, wrapped):
    path, _ = wrapped(compatible="acme,other")
    one = device("end '\"next\"'")
    _, job = run_one(gateway, one, path)
    assert (job["state"], job["error"]["name"]) == ("rejected", "incompatible")
    assert not one.calls.exists()
