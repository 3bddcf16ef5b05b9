# SPDX-License-Identifier: Apache-2.0
"""The tests' side of a conversation: packs requests, unpacks answers. With a device in memory, or over a transport."""
import hashlib
import struct

import cbor2

READ, WRITE = 0, 2
HEADER = struct.Struct(">BBHHBB")


def request(group, command, payload=None, operation=READ, sequence=1, version=1):
    body = cbor2.dumps({} if payload is None else payload)
    return HEADER.pack(version << 3 | operation, 0, len(body), group, sequence, command) + body


def chunks(data, chunk=256, **first):
    """Payloads of a whole upload."""
    payload = {"off": 0, "len": len(data), "sha": hashlib.sha256(data).digest(), **first, "data": data[:chunk]}
    yield payload
    for off in range(chunk, len(data), chunk):
        yield {"off": off, "data": data[off:off + chunk]}


class Talk:
    def __init__(self, make, options, index=0):
        self.events = []
        self.now = 1000.0
        self.sequence = 0
        self.version = 1
        self.device = make(index, options, lambda device, kind, facts: self.events.append((kind, facts)), self.now)

    def raw(self, message):
        """Answers that come at once."""
        return [answer for _, _, answer in self.device.receive(self.now, message)]

    def wait(self, seconds):
        """Lets time pass; the answers that come meanwhile."""
        self.now += seconds
        return [answer for _, _, answer in self.device.run(self.now)]

    def message(self, group, command, payload=None, operation=READ):
        self.sequence = (self.sequence + 1) % 256
        return request(group, command, payload, operation, self.sequence, self.version)

    def ask(self, group, command, payload=None, operation=READ, patience=0.0):
        """The decoded answer, None when none came within `patience` seconds of simulated time."""
        answers = self.raw(self.message(group, command, payload, operation))
        deadline = self.now + patience
        while not answers and self.device.wake() is not None and self.device.wake() <= deadline:
            answers = self.wait(max(self.device.wake() - self.now, 0))
        if not answers:
            self.now = deadline
            return None
        assert len(answers) == 1
        return self.decode(answers[0])

    def decode(self, answer):
        fields = HEADER.unpack_from(answer)
        assert fields[2] == len(answer) - 8 and fields[4] == self.sequence
        self.answer_version = fields[0] >> 3
        return cbor2.loads(answer[8:])

    def state(self):
        return self.ask(1, 0)["images"]

    def slots(self):
        """{(image, slot): (version, letters of the flags that are true)}"""
        names = {"pending": "p", "confirmed": "c", "active": "a", "permanent": "P"}
        return {(entry.get("image", 0), entry["slot"]):
                (entry["version"], "".join(letter for name, letter in names.items() if entry.get(name)))
                for entry in self.state()}

    def upload(self, data, chunk=256, patience=1000.0, **first):
        answer = None
        for payload in chunks(data, chunk, **first):
            answer = self.ask(1, 1, payload, WRITE, patience)
            if answer is None or "off" not in answer or answer["off"] != payload["off"] + len(payload["data"]):
                break
        return answer

    def test(self, image_hash, confirm=False):
        return self.ask(1, 0, {"hash": image_hash, "confirm": confirm}, WRITE)

    def confirm(self):
        return self.ask(1, 0, {"confirm": True}, WRITE)

    def reset(self, seconds=100.0, **arguments):
        answer = self.ask(0, 5, arguments, WRITE)
        self.wait(seconds)
        return answer

    def names(self):
        return [name for name, _ in self.events]
