# SPDX-License-Identifier: Apache-2.0
"""A real mosquitto: TLS, client certificates whose name is the user, an ACL."""

import getpass
import pathlib
import shutil
import socket
import subprocess
import threading

LOCALHOST = "127.0.0.1"
ACL = pathlib.Path(__file__).resolve().parents[2] / "etc/mosquitto/gatewayd.acl"


def free_port():
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return probe.getsockname()[1]


def _swallow(stream):
    for _ in stream:
        pass


class Broker:
    """acl: lines of mosquitto's acl_file, else those that are shipped. A gateway's or a person's name is that of its certificate."""

    def __init__(self, folder, authority, acl=None, settings=""):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = authority
        self.port = free_port()
        self.url = f"mqtts://localhost:{self.port}"
        self.process = None
        certificate, key = authority.issue("broker", ["localhost", LOCALHOST])
        lines = [f"listener {self.port} {LOCALHOST}", f"cafile {authority.file}", f"certfile {certificate}", f"keyfile {key}", "require_certificate true",
                 "use_identity_as_username true", "log_type all", "log_dest stderr", "persistence true", f"persistence_location {self.folder}/",
                 "max_queued_messages 100000", f"user {getpass.getuser()}"]  # started by root it would give its rights up otherwise
        (self.folder / "acl").write_text(ACL.read_text() if acl is None else acl)
        lines.append(f"acl_file {self.folder}/acl")
        self.configuration = self.folder / "mosquitto.conf"
        self.configuration.write_text("\n".join([*lines, settings, ""]))

    def start(self):
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = subprocess.Popen([program, "-c", str(self.configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        errors="replace")
        said = []
        for line in self.process.stderr:
            said.append(line)
            if "running" in line:
                break
        else:
            raise RuntimeError("mosquitto did not start:\n" + "".join(said))
        threading.Thread(target=_swallow, args=(self.process.stderr,), daemon=True).start()
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process.stderr.close()
            self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait(30)
        self.process = None
