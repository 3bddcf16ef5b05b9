# SPDX-License-Identifier: Apache-2.0
"""The control channel: a JSON object a line over a Unix stream socket, or a datagram over UDP; an answer to each.

{"do": "subscribe"} on a stream makes the events come over it too, as lines with "event" in them.
"""
import json
import os
import socket

MAX_LINE = 65536
MAX_UNSENT = 1 << 20


def open_control(simulation, where):
    """`where` is udp:HOST:PORT or the path of a Unix socket."""
    if where.startswith("udp:"):
        return UdpControl(simulation, where[4:])
    return UnixControl(simulation, where)


def answer_to(simulation, text):
    try:
        request = json.loads(text)
    except ValueError as problem:
        return {"ok": False, "error": f"not JSON: {problem}"}
    return simulation.command(request)


class UdpControl:
    def __init__(self, simulation, where):
        host, _, port = where.rpartition(":")
        self.simulation = simulation
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind((host, int(port)))
        simulation.reactor.add(self.socket.fileno(), self._readable)

    def address(self):
        return "udp:%s:%d" % self.socket.getsockname()[:2]

    def _readable(self):
        try:
            data, peer = self.socket.recvfrom(MAX_LINE)
            self.socket.sendto(json.dumps(answer_to(self.simulation, data)).encode(), peer)
        except OSError:
            pass  # the asker is gone, or asks for more than a datagram holds

    def close(self):
        self.socket.close()


class UnixControl:
    def __init__(self, simulation, path):
        self.simulation, self.path = simulation, path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if os.path.exists(path):
            os.unlink(path)
        self.socket.bind(path)
        self.socket.listen(8)
        simulation.reactor.add(self.socket.fileno(), self._accept)

    def address(self):
        return self.path

    def _accept(self):
        try:
            connection, _ = self.socket.accept()
        except BlockingIOError:
            return
        Connection(self.simulation, connection)

    def close(self):
        self.socket.close()
        if os.path.exists(self.path):
            os.unlink(self.path)


class Connection:
    def __init__(self, simulation, connection):
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_UNSENT)
        self.simulation, self.socket = simulation, connection
        self._pending = b""
        self._subscribed = False
        simulation.reactor.add(connection.fileno(), self._readable)

    def _readable(self):
        try:
            data = self.socket.recv(MAX_LINE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._pending += data
        if not data or len(self._pending) > MAX_LINE:
            self.close()
            return
        *lines, self._pending = self._pending.split(b"\n")
        for line in lines:
            if line.strip():
                self._answer(line)

    def _answer(self, line):
        if b"subscribe" in line and not self._subscribed:
            try:
                wanted = json.loads(line)
            except ValueError:
                wanted = None
            if isinstance(wanted, dict) and wanted.get("do") == "subscribe":
                self._subscribed = True
                self.simulation.listeners.append(self._send)
                self._send('{"ok": true}\n')
                return
        self._send(json.dumps(answer_to(self.simulation, line)) + "\n")

    def _send(self, text):
        if self.socket is None:
            return
        try:
            data = text.encode()
            if self.socket.send(data) < len(data):
                self.close()
        except OSError:
            self.close()  # gone, or so slow that events would pile up here

    def close(self):
        if self._subscribed:
            self.simulation.listeners.remove(self._send)
            self._subscribed = False
        if self.socket:
            self.simulation.reactor.remove(self.socket.fileno())
            self.socket.close()
            self.socket = None
