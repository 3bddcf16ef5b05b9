# SPDX-License-Identifier: Apache-2.0
"""The MQTT door over TLS as etc/mosquitto sets a broker up: one listener for passwords, one for client certificates; and what a refused certificate is called."""

import subprocess
import time

import pytest

import harness
from mqtt_broker import CONFIG, Broker, free_port

OWN = "gatewayd/v1/gw/test-gateway"


def openssl(*arguments):
    subprocess.run(["openssl", *[str(a) for a in arguments]], check=True, capture_output=True)


class Authority:
    def __init__(self, folder, name="ca"):
        folder.mkdir(exist_ok=True)
        self.folder, self.key, self.certificate = folder, folder / f"{name}.key", folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out", self.certificate,
                "-subj", f"/CN=test {name}", "-days", "30")

    def issue(self, name, alternative=None, days=10):
        key, request, certificate, extensions = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem", "ext"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "keyUsage=digitalSignature\n")
        # Signed with a date of its own where it must be over already.
        dates = ["-days", days] if days > 0 else ["-not_before", "20200101000000Z", "-not_after", "20200201000000Z"]
        if days > 0:
            openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-extfile", extensions, "-out",
                    certificate, *dates)
        else:
            self._issue_expired(request, extensions, certificate)
        key.chmod(0o600)
        return key, certificate

    def _issue_expired(self, request, extensions, certificate):
        """`openssl ca` is the one command of OpenSSL 3.0 that takes both dates."""
        (self.folder / "index.txt").write_text("")
        (self.folder / "serial").write_text("1000\n")
        configuration = self.folder / "ca.conf"
        configuration.write_text(f"""[ca]
default_ca = d
[d]
database = {self.folder}/index.txt
serial = {self.folder}/serial
new_certs_dir = {self.folder}
default_md = sha256
policy = p
[p]
commonName = supplied
""")
        openssl("ca", "-batch", "-config", configuration, "-cert", self.certificate, "-keyfile", self.key, "-in", request, "-extfile", extensions,
                "-out", certificate, "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-notext")


# What Debian's package has as /etc/mosquitto/mosquitto.conf.
DEBIAN = """
pid_file {0}/mosquitto.pid
persistence true
persistence_location {0}/
log_dest file {0}/log
include_dir {0}/conf.d
user root
"""


class TlsBroker(Broker):
    """The configuration of etc/mosquitto as it is, with other paths and ports, included by Debian's; and one listener without TLS."""

    def __init__(self, folder, authority, server):
        self.ports = {"password": free_port(), "certificate": free_port()}
        self.replacements = {"listener 8883": f"listener {self.ports['password']} 127.0.0.1", "listener 8884": f"listener {self.ports['certificate']} 127.0.0.1",
                             "/etc/mosquitto/certs/ca.pem": authority.certificate, "/etc/mosquitto/certs/broker.pem": server[1],
                             "/etc/mosquitto/certs/broker.key": server[0], "/etc/mosquitto/": f"{folder}/", "gatewayd.passwd": "passwd", "gatewayd.acl": "acl"}
        super().__init__(folder)

    def _configuration(self, options):
        text = CONFIG.read_text()
        for old, new in self.replacements.items():
            assert old in text
            text = text.replace(old, str(new))
        (self.folder / "conf.d").mkdir()
        (self.folder / "conf.d/gatewayd.conf").write_text(f"{text}\nlistener {self.port} 127.0.0.1\n")
        return DEBIAN.format(self.folder)

    def section(self, kind, ca, extra=""):
        lines = f"[mqtt]\nurl = mqtts://127.0.0.1:{self.ports[kind]}\nca_file = {ca}\nkeepalive = 5 s\n{extra}"
        if kind == "password":
            lines += self.settings().partition("\n")[2].partition("\n")[2].partition("progress")[0]
        return lines


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "pki")


@pytest.fixture
def broker(tmp_path, authority):
    running = []

    def begin(alternative="IP:127.0.0.1", days=10):
        one = TlsBroker(tmp_path / "broker", authority, authority.issue("broker", alternative, days))
        running.append(one)
        return one

    yield begin
    for one in running:
        one.stop(kill=True)


def problem_of(gw, name):
    """The door's, once it is this one."""
    end = time.monotonic() + harness.PATIENCE_S
    while True:
        names = [problem["name"] for problem in gw.call("gateway.health")["problems"]]
        if name in names:
            return name
        assert time.monotonic() < end, (names, gw.log())


def status_of(broker):
    monitor = broker.client("monitor")
    monitor.subscribe(f"{OWN}/status")
    return monitor.take(lambda message: message.json["state"] == "online").json


def test_with_a_password(broker, authority, gateway):
    one = broker()
    gw = gateway(settings=one.section("password", authority.certificate))
    assert status_of(one)["gateway"] == "test-gateway"
    assert gw.call("gateway.health")["doors"][0]["state"] == "connected"


def test_with_a_client_certificate(broker, authority, gateway):
    one = broker()
    key, certificate = authority.issue("test-gateway")
    gateway(settings=one.section("certificate", authority.certificate, f"client_cert = {certificate}\nclient_key = {key}\n"))
    assert status_of(one)["gateway"] == "test-gateway"


def test_a_certificate_with_another_name_may_nothing(broker, authority, gateway):
    one = broker()
    key, certificate = authority.issue("pi-b")
    gw = gateway(settings=one.section("certificate", authority.certificate, f"client_cert = {certificate}\nclient_key = {key}\n"))
    end = time.monotonic() + harness.PATIENCE_S
    while "broker-acl-missing" not in gw.log():
        assert time.monotonic() < end, gw.log()


def test_without_a_client_certificate(broker, authority, gateway):
    one = broker()
    gw = gateway(settings=one.section("certificate", authority.certificate))
    problem_of(gw, "client-certificate-refused")


def test_an_authority_that_is_not_trusted(broker, tmp_path, gateway):
    one = broker()
    gw = gateway(settings=one.section("password", Authority(tmp_path / "other").certificate))
    problem_of(gw, "peer-certificate-untrusted")


def test_another_host(broker, authority, gateway):
    one = broker("DNS:broker.example")
    gw = gateway(settings=one.section("password", authority.certificate))
    problem_of(gw, "peer-certificate-wrong-host")


def test_a_certificate_that_has_expired(broker, authority, gateway):
    one = broker(days=-1)
    gw = gateway(settings=one.section("password", authority.certificate))
    problem_of(gw, "peer-certificate-expired")
    assert "2020-02-01" in gw.log()


def test_a_port_without_tls(broker, authority, gateway):
    one = broker()
    section = one.section("password", authority.certificate).replace(str(one.ports["password"]), str(one.port))
    problem_of(gateway(settings=section), "tls-handshake-failed")


def test_files_that_cannot_be_read(broker, authority, gateway, tmp_path):
    one = broker()
    gw = gateway(settings=one.section("password", tmp_path / "no-such-file"))
    problem_of(gw, "ca-unreadable")
    gw.stop()
    section = one.section("password", authority.certificate)
    (one.folder / "test-gateway.password").chmod(0o644)
    gw.write_config(settings=section)
    gw.start()
    problem_of(gw, "credentials-unreadable")


def test_a_broker_that_goes_silent(broker, authority, gateway):
    """Stopped in its tracks it sends neither data nor an end: the keepalive finds out."""
    import signal

    one = broker()
    gw = gateway(settings=one.section("password", authority.certificate))
    status_of(one)
    one.signal(signal.SIGSTOP)
    try:
        problem_of(gw, "broker-silent")
    finally:
        one.signal(signal.SIGCONT)
    end = time.monotonic() + harness.PATIENCE_S
    while gw.call("gateway.health")["doors"][0]["state"] != "connected":
        assert time.monotonic() < end
