# SPDX-License-Identifier: Apache-2.0
"""`cmake --install` puts everything where the unit, the daemon and the shell look for it."""

import os
import stat
import subprocess

import harness
import pytest

PROGRAM, FILE = 0o755, 0o644
INSTALLED = {
    "etc/gatewayd/gatewayd.conf": FILE,
    "usr/bin/gatewayctl": PROGRAM,
    "usr/sbin/gatewayd": PROGRAM,
    "usr/include/gatewayd/plugin.h": FILE,
    "usr/lib/gatewayd/plugins/exec.so": None,
    "usr/lib/gatewayd/plugins/smp.so": None,
    "usr/lib/systemd/system/gatewayd.service": FILE,
    "usr/lib/sysusers.d/gatewayd.conf": FILE,
    "usr/share/bash-completion/completions/gatewayctl": FILE,
    "usr/share/dbus-1/system.d/gatewayd.conf": FILE,
    "usr/share/doc/gatewayd/CONFIGURATION.md": FILE,
}


@pytest.fixture
def install(tmp_path):
    def run():
        subprocess.run(["cmake", "--install", str(harness.BUILD), "--prefix", "/usr"], env=dict(os.environ, DESTDIR=str(tmp_path)), check=True,
                       stdout=subprocess.DEVNULL)
        return tmp_path

    return run


def test_everything_is_in_its_place(install):
    root = install()
    found = {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()}
    for path, mode in INSTALLED.items():
        assert path in found and mode in (None, found[path]), path
    strange = {path for path in found if path not in INSTALLED and not path.startswith("usr/share/doc/gatewayd/")}
    assert not strange


def test_a_configuration_stays(install):
    path = install() / "etc/gatewayd/gatewayd.conf"
    path.write_text("[gateway]\nid = mine\n")
    install()
    assert path.read_text() == "[gateway]\nid = mine\n"


def test_the_installed_daemon_knows_the_places(install):
    """What the unit starts is what was installed, and it reads the file that was installed."""
    root = install()
    unit = (root / "usr/lib/systemd/system/gatewayd.service").read_text()
    for place in ("ExecStart=/usr/sbin/gatewayd\n", "Documentation=file:/usr/share/doc/gatewayd/CONFIGURATION.md\n"):
        assert place in unit
    told = subprocess.run([root / "usr/sbin/gatewayd", "--help"], capture_output=True, text=True, check=True).stdout
    assert "/etc/gatewayd/gatewayd.conf" in told
    assert "#plugin_dir = /usr/lib/gatewayd/plugins\n" in (root / "etc/gatewayd/gatewayd.conf").read_text()
