# SPDX-License-Identifier: Apache-2.0
"""[notify]: a program and a webhook are told what needs a person, and nothing ever waits for them."""

import json
import os
import select

import pytest

import harness
from authority import Authority
from fleet_server import FleetServer

import schema_tools

DEVICE = "smp-udp:d0"


class Told:
    """A program that hands on what it reads, a line a notice, through a pipe that the test reads."""

    def __init__(self, folder, rest=""):
        self.fifo = folder / "told"
        os.mkfifo(self.fifo)
        self.fd = os.open(self.fifo, os.O_RDWR)
        self.buffer = b""
        self.path = folder / "notice"
        self.write(rest)

    def write(self, rest=""):
        self.path.write_text(f"#!/bin/sh\n{{ cat; echo; }} > {self.fifo}\n{rest}\n")
        self.path.chmod(0o700)

    def next(self, timeout_s=harness.PATIENCE_S):
        while b"\n" not in self.buffer:
            assert select.select([self.fd], [], [], timeout_s)[0], "nobody was told"
            self.buffer += os.read(self.fd, 65536)
        line, _, self.buffer = self.buffer.partition(b"\n")
        notice = json.loads(line)
        problems = schema_tools.problems("notice", notice)
        assert not problems, problems
        return notice

    def is_quiet(self):
        return not self.buffer and not select.select([self.fd], [], [], 0)[0]


@pytest.fixture
def told(tmp_path):
    one = Told(tmp_path)
    yield one
    os.close(one.fd)


@pytest.fixture
def device(simulate):
    return simulate("--udp", "127.0.0.1:0")


def test_a_program_is_told(told, device, gateway, image):
    gw = gateway(device.sections(), f"[notify]\ncommand = {told.path}\non = paused completed\n")
    gw.begin(image("1.1.0")[0], {"ids": [DEVICE]}, "c1", compatible=["simboard"])
    notice = told.next()
    assert (notice["notice"], notice["gateway"], notice["event"]["campaign"]) == ("completed", "test-gateway", "c1")
    assert notice["text"] == "test-gateway: campaign c1 is completed: 1 devices, 1 succeeded"
    assert notice["campaign"]["counts"]["succeeded"] == 1 and notice["failures"] == []
    gw.follow("c1")
    assert told.is_quiet()


def test_failures_with_their_advice(told, device, gateway, image):
    gw = gateway(device.sections(), f"[notify]\ncommand = {told.path}\non = completed, job-failed, paused\n")
    gw.begin(image("1.1.0")[0], {"ids": [DEVICE]}, "c1", compatible=["other-board"])
    first, second = told.next(), told.next()
    assert (first["notice"], first["event"]["device"]) == ("job-failed", DEVICE)
    assert first["text"].startswith(f"test-gateway: campaign c1: {DEVICE} is rejected with incompatible")
    assert second["notice"] == "completed" and [(f["name"], f["count"]) for f in second["failures"]] == [("incompatible", 1)]
    assert second["failures"][0]["advice"]


def test_paused_by_a_person_and_an_earlier_history(told, device, gateway, image):
    settings = f"[notify]\ncommand = {told.path}\n"
    gw = gateway(device.sections())
    path, _ = image("1.1.0")
    gw.begin(path, {"ids": [DEVICE]}, "before", compatible=["simboard"])
    gw.follow("before")
    gw.stop()
    gw.write_config(device.sections(), settings)
    gw.start()
    gw.begin(image("1.2.0", "--size", "300K")[0], {"ids": [DEVICE]}, "c1", compatible=["simboard"])
    gw.call("campaign.pause", {"id": "c1"})
    notice = told.next()  # and not what was before [notify] was set
    assert (notice["notice"], notice["event"]["campaign"]) == ("paused", "c1") and "(person" in notice["text"]
    gw.call("campaign.cancel", {"id": "c1"})
    gw.follow("c1")


def test_a_program_that_fails_holds_nothing_up(told, device, gateway, image):
    told.write("echo 'the pager is broken' >&2\nexit 3")
    gw = gateway(device.sections(), f"[notify]\ncommand = {told.path}\n")
    gw.begin(image("1.1.0")[0], {"ids": [DEVICE]}, "c1", compatible=["simboard"])
    notices = [told.next() for _ in range(4)]  # tried so often, with the same notice
    assert len({notice["event"]["seq"] for notice in notices}) == 1
    gw.begin(image("1.2.0")[0], {"ids": [DEVICE]}, "c2", compatible=["simboard"])
    assert told.next()["event"]["campaign"] == "c2"
    told.write()
    gw.begin(image("1.3.0")[0], {"ids": [DEVICE]}, "c3", compatible=["simboard"])
    assert told.next()["event"]["campaign"] == "c3"
    gw.follow("c3")
    gw.stop()
    log = gw.log()
    assert "ended with 3: the pager is broken" in log and "error=notify-command-failed]" in log


def test_a_program_that_hangs_is_ended(told, device, gateway, image):
    told.write("exec sleep 1000")
    gw = gateway(device.sections(), f"[notify]\ncommand = {told.path}\ntimeout = 1 s\n")
    gw.begin(image("1.1.0")[0], {"ids": [DEVICE]}, "c1", compatible=["simboard"])
    told.next()
    told.next()  # the first one was ended
    told.write()
    assert gw.follow("c1")["campaign"]["counts"]["succeeded"] == 1
    told.next()
    gw.stop()
    assert "error=notify-timeout]" in gw.log()


def test_a_notice_outlives_the_daemon(told, device, gateway, image):
    told.write("exec sleep 1000")
    gw = gateway(device.sections(), f"[notify]\ncommand = {told.path}\n")
    gw.begin(image("1.1.0")[0], {"ids": [DEVICE]}, "c1", compatible=["simboard"])
    first = told.next()
    gw.kill()
    told.write()
    gw.start()
    assert told.next()["event"] == first["event"]


def test_a_program_that_others_may_change_is_not_run(told, device, gateway, image):
    told.path.chmod(0o777)
    gw = gateway(device.sections(), f"[notify]\ncommand = {told.path}\n", start=False)
    gw.start(follow_log=True)
    gw.begin(image("1.1.0")[0], {"ids": [DEVICE]}, "c1", compatible=["simboard"])
    assert gw.await_log("nobody was told by command")
    assert told.is_quiet()
    assert "error=exec-not-safe]" in gw.log()


def test_a_webhook(device, gateway, image, tmp_path):
    authority = Authority(tmp_path / "authority")
    server = FleetServer(authority, token="s3cret")
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    server.plans["/notice"] = [(500, [])]
    try:
        gw = gateway(device.sections(), f"[notify]\nwebhook = {server.url('/notice')}\nbearer_file = {token}\nca_file = {authority.path}\n")
        gw.begin(image("1.1.0")[0], {"ids": [DEVICE]}, "c1", compatible=["simboard"])
        server.await_(lambda: server.notices)
        assert [status for _, _, status in server.asked("/notice", "POST")] == [500, 200]
        assert not schema_tools.problems("notice", server.notices[0])
        assert server.notices[0]["notice"] == "completed"
        seen = [c for c in gw.call("gateway.health")["certificates"] if c["use"] == "notify"]
        assert [(c["peer"], c["days_left"]) for c in seen] == [(f"127.0.0.1:{server.port}", 29)]
    finally:
        server.stop()
