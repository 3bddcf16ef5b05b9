# SPDX-License-Identifier: Apache-2.0
"""A small SMP client over a connection of central.py: to prove simulated devices, and to say what a link carries."""

import hashlib
import struct
import time

import cbor2

READ, WRITE = 0, 2
HEADER = struct.Struct(">BBHHBB")
OS, IMAGE = 0, 1
PATIENCE_S = 5


class NoAnswer(Exception):
    """Nothing came, or the link is gone (`gone`)."""

    def __init__(self, gone):
        self.gone = gone
        super().__init__("the link is gone" if gone else "no answer")


def packed(group, command, payload, operation, sequence):
    body = cbor2.dumps(payload)
    return HEADER.pack(1 << 3 | operation, 0, len(body), group, sequence, command) + body


def upload_payloads(data, chunk):
    """Of a whole upload, each message at most `chunk` bytes long."""
    off = 0
    while off < len(data):
        payload = {"off": off, "data": b""}
        if off == 0:
            payload.update({"len": len(data), "sha": hashlib.sha256(data).digest()})
        room = chunk - HEADER.size - len(cbor2.dumps(payload)) - 3
        payload["data"] = data[off:off + room]
        off += len(payload["data"])
        yield payload


class SmpCentral:
    def __init__(self, connection):
        self.connection = connection
        self.sequence = 0
        self._received = b""

    @property
    def piece(self):
        """Largest write; BlueZ as the peripheral does not get longer ones."""
        return min(self.connection.mtu - 3, 510)

    def send(self, message):
        for start in range(0, len(message), self.piece):
            self.connection.send(message[start:start + self.piece])

    def post(self, group, command, payload=None, operation=READ):
        """Sends a request; answers its sequence number."""
        self.sequence = (self.sequence + 1) % 256
        self.send(packed(group, command, payload or {}, operation, self.sequence))
        return self.sequence

    def take(self, patience_s=PATIENCE_S):
        """(sequence number, payload) of the next answer."""
        while len(self._received) < HEADER.size or len(self._received) < HEADER.size + HEADER.unpack_from(self._received)[2]:
            data = self.connection.receive(patience_s)
            if not data:
                self._received = b""
                raise NoAnswer(data is not None)
            self._received += data
        fields = HEADER.unpack_from(self._received)
        end = HEADER.size + fields[2]
        payload, self._received = cbor2.loads(self._received[HEADER.size:end]), self._received[end:]
        return fields[4], payload

    def ask(self, group, command, payload=None, operation=READ, patience_s=PATIENCE_S):
        wanted = self.post(group, command, payload, operation)
        while True:
            sequence, answer = self.take(patience_s)
            if sequence == wanted:
                return answer

    def parameters(self):
        return self.ask(OS, 6)

    def images(self):
        return self.ask(IMAGE, 0)["images"]

    def upload(self, data, message_size=None, window=1, patience_s=PATIENCE_S):
        """`window` messages in flight. Answers seconds; NoAnswer when one is not answered."""
        payloads = list(upload_payloads(data, message_size or self.parameters()["buf_size"]))
        began, sent, done = time.monotonic(), 0, 0
        while done < len(payloads):
            while sent < len(payloads) and sent - done < window:
                self.post(IMAGE, 1, payloads[sent], WRITE)
                sent += 1
            _, answer = self.take(patience_s)
            expected = payloads[done]["off"] + len(payloads[done]["data"])
            assert answer.get("off") == expected, (answer, expected)
            done += 1
        return time.monotonic() - began

    def test(self, image_hash):
        return self.ask(IMAGE, 0, {"hash": image_hash, "confirm": False}, WRITE)

    def confirm(self):
        return self.ask(IMAGE, 0, {"confirm": True}, WRITE)

    def reset(self):
        return self.ask(OS, 5, {}, WRITE)
