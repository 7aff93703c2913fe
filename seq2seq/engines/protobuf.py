"""The wire format of protocol buffers: small messages are written and read.

A message is its fields, one after the other: a tag, number * 8 + type, and the value. A whole
number is a varint, 7 bits a byte, the lowest first; text, bytes and messages have their length
before them. See <https://protobuf.dev/programming-guides/encoding/>.
"""

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def integer(number: int, value: int) -> bytes:
    """A field of type int32, int64 or an enumeration."""
    return _varint(number << 3 | _VARINT) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def single(number: int, value: float) -> bytes:
    """A field of type float."""
    return _varint(number << 3 | _FIXED32) + struct.pack("<f", value)


def text(number: int, value: str) -> bytes:
    """A field of type string."""
    return message(number, value.encode())


def message(number: int, value: bytes) -> bytes:
    """A field that is a message, or of type bytes."""
    if number < 16 and len(value) < 0x80:  # as nearly always: both numbers are one byte
        return bytes((number << 3 | _LENGTH, len(value))) + value
    return _varint(number << 3 | _LENGTH) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """value, 0 to 2 ** 64 - 1"""
    if value < 0x80:
        return _ONE_BYTE[value]
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


_ONE_BYTE = [bytes([value]) for value in range(0x80)]


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message, number and value; raises `ValueError` where it is not whole.

    Numbers of a fixed size are given as their bytes.
    """
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _read_varint(data, position)
            yield number, value
            continue
        if kind == _LENGTH:
            size, position = _read_varint(data, position)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"there is no type {kind}")
        if size > len(data) - position:
            raise ValueError("it ends amid a field")
        yield number, data[position : position + size]
        position += size


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at `position`, and where the next byte is."""
    value = 0
    for shift, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, position + shift + 1
    raise ValueError("it ends amid a number")
