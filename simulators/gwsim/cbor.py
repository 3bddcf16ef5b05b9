# SPDX-License-Identifier: Apache-2.0
"""CBOR as an SMP server writes it: maps and lists of indefinite length (Zephyr's habit) or of definite length."""
import struct

import cbor2


class CborError(ValueError):
    """The payload of a request is not one CBOR map."""


def head(major, number):
    major <<= 5
    if number < 24:
        return bytes((major | number,))
    if number < 0x100:
        return bytes((major | 24, number))
    if number < 0x10000:
        return struct.pack(">BH", major | 25, number)
    if number < 0x100000000:
        return struct.pack(">BI", major | 26, number)
    return struct.pack(">BQ", major | 27, number)


def encode(value, definite=False):
    out = bytearray()
    _encode(out, value, definite)
    return bytes(out)


def _encode(out, value, definite):
    if value is True or value is False:
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        out += head(0, value) if value >= 0 else head(1, -1 - value)
    elif isinstance(value, str):
        text = value.encode()
        out += head(3, len(text)) + text
    elif isinstance(value, (bytes, bytearray)):
        out += head(2, len(value)) + value
    elif isinstance(value, (dict, list)):
        _encode_container(out, value, definite)
    else:
        raise TypeError(f"cannot encode {type(value).__name__}")


def _encode_container(out, value, definite):
    is_map = isinstance(value, dict)
    if definite:
        out += head(5 if is_map else 4, len(value))
    else:
        out.append(0xBF if is_map else 0x9F)
    for item in value:
        _encode(out, item, definite)
        if is_map:
            _encode(out, value[item], definite)
    if not definite:
        out.append(0xFF)


def decode_map(payload):
    """The map of a request. No payload at all counts as an empty map."""
    if not payload:
        return {}
    try:
        value = cbor2.loads(payload)
    except Exception as problem:  # cbor2 reports bad input through many exception types
        raise CborError(str(problem)) from None
    if not isinstance(value, dict):
        raise CborError("not a map")
    return value
