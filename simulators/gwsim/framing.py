# SPDX-License-Identifier: Apache-2.0
"""SMP on a serial console: base64 lines with markers, length and CRC (section 5.2 of the SMP document)."""
import binascii

FIRST, NEXT = b"\x06\x09", b"\x04\x14"
RAW_PER_LINE = 93
MAX_LINE = 128


def crc16(data):
    return binascii.crc_hqx(data, 0)


def encode_lines(message):
    packet = (len(message) + 2).to_bytes(2, "big") + message + crc16(message).to_bytes(2, "big")
    lines = []
    for start in range(0, len(packet), RAW_PER_LINE):
        body = binascii.b2a_base64(packet[start:start + RAW_PER_LINE], newline=False)
        lines.append((FIRST if start == 0 else NEXT) + body + b"\n")
    return lines


def encoded_size(message_size):
    packet = message_size + 4
    full, rest = divmod(packet, RAW_PER_LINE)
    return full * 127 + (3 + -(-rest // 3) * 4 if rest else 0)


class Decoder:
    """Bytes in, messages out; log text, damaged and foreign lines are dropped and counted."""

    def __init__(self, max_packet):
        self.max_packet = max_packet
        self.noise = 0
        self.damaged = 0
        self._line = bytearray()
        self._overlong = False
        self._packet = None

    def feed(self, data):
        """[(message, number of bytes of `data` up to its end)]"""
        found, start = [], 0
        while True:
            end = data.find(b"\n", start)
            if end < 0:
                self._append(data[start:])
                return found
            self._append(data[start:end])
            message = self._end_of_line()
            if message is not None:
                found.append((message, end + 1))
            start = end + 1

    def _append(self, piece):
        if len(self._line) + len(piece) > MAX_LINE:
            self._overlong = True
            self._line.clear()
        elif not self._overlong:
            self._line += piece

    def _end_of_line(self):
        line, overlong = bytes(self._line).rstrip(b"\r"), self._overlong
        self._line.clear()
        self._overlong = False
        marker = line[:2]
        if overlong or marker not in (FIRST, NEXT):
            self.noise += bool(line) or overlong
            return None
        if marker == FIRST:
            self._packet = bytearray()
        elif self._packet is None:
            self.damaged += 1
            return None
        return self._add(line[2:])

    def _add(self, body):
        try:
            self._packet += binascii.a2b_base64(body, strict_mode=True)
        except binascii.Error:
            return self._drop()
        packet = self._packet
        if len(packet) < 2:
            return self._drop()
        length = packet[0] << 8 | packet[1]
        if length < 2 or length + 2 > self.max_packet or len(packet) > length + 2:
            return self._drop()
        if len(packet) < length + 2:
            return None
        self._packet = None
        if crc16(packet[2:]):
            return self._drop()
        return bytes(packet[2:-2])

    def _drop(self):
        self._packet = None
        self.damaged += 1
        return None
