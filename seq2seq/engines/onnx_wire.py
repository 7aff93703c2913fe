"""Writes ONNX models, byte for byte as `onnx.helper` would, as far as our graphs need it.

The package onnx is not used, since importing it takes longer than a translation. Each function
returns a serialised message of `onnx.proto`
(<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>), where the field numbers come from;
fields are in the order of their numbers.

A protocol buffer message is a sequence of fields: each is a tag, number * 8 + type, and a value. An
integer is a varint, 7 bits per byte, lowest first; text, bytes and messages are preceded by their
length. See <https://protobuf.dev/programming-guides/encoding/>.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Attribute = int | float | Sequence[int] | bytes
"""The value of an attribute; bytes are a serialised graph."""

FLOAT, UINT8, INT8, INT64 = 1, 2, 3, 7
"""Values of TensorProto.DataType."""

_TYPES: Mapping[np.dtype[Any], int] = {
    np.dtype(np.float32): FLOAT,
    np.dtype(np.uint8): UINT8,
    np.dtype(np.int8): INT8,
    np.dtype(np.int64): INT64,
}
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_GRAPH, _ATTRIBUTE_INTS = 1, 2, 5, 7
_EXTERNAL = 1  # TensorProto.DataLocation

_VARINT, _LENGTH, _FIXED32 = 0, 2, 5  # wire types


def model(graph: bytes, ir_version: int, opsets: Mapping[str, int]) -> bytes:
    """Return a ModelProto; `opsets` maps operator domains to versions."""
    versions = (text(1, domain) + integer(2, version) for domain, version in opsets.items())
    return integer(1, ir_version) + message(7, graph) + _messages(8, versions)


def graph(
    name: str,
    nodes: Iterable[bytes],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
    initializers: Iterable[bytes] = (),
) -> bytes:
    """Return a GraphProto."""
    return (
        _messages(1, nodes)
        + text(2, name)
        + _messages(5, initializers)
        + _messages(11, inputs)
        + _messages(12, outputs)
    )


def node(
    operator: str,
    inputs: Iterable[str],
    outputs: Iterable[str],
    domain: str = "",
    **attributes: Attribute,
) -> bytes:
    """Return a NodeProto."""
    return (
        b"".join([text(1, name) for name in inputs])
        + b"".join([text(2, name) for name in outputs])
        + text(4, operator)
        + _messages(5, (_attribute(name, attributes[name]) for name in sorted(attributes)))
        + (text(7, domain) if domain else b"")
    )


def value(name: str, type_: int | None = None, shape: Sequence[int | str] = ()) -> bytes:
    """Return a ValueInfoProto: an input or output; without `type_` it is inferred.

    A string in `shape` names a size that is not known in advance.
    """
    if type_ is None:
        return text(1, name)
    sizes = (integer(1, size) if isinstance(size, int) else text(2, size) for size in shape)
    tensor_type = integer(1, type_) + message(2, _messages(1, sizes))
    return text(1, name) + message(2, message(1, tensor_type))


def tensor(name: str, array: NDArray[Any]) -> bytes:
    """Return a TensorProto that contains its data."""
    return _tensor(name, array.dtype, array.shape) + message(9, array.tobytes())


def outside_tensor(
    name: str, type_: type[np.generic], shape: Sequence[int], location: str
) -> bytes:
    """Return a TensorProto whose data are external, in the file `location`."""
    place = text(1, "location") + text(2, location)
    return _tensor(name, np.dtype(type_), shape) + message(13, place) + integer(14, _EXTERNAL)


def _tensor(name: str, type_: np.dtype[Any], shape: Sequence[int]) -> bytes:
    sizes = b"".join([integer(1, size) for size in shape])
    return sizes + integer(2, _TYPES[type_]) + text(8, name)


def _attribute(name: str, value: Attribute) -> bytes:
    """Return an AttributeProto."""
    if isinstance(value, int):
        content, kind = integer(3, value), _ATTRIBUTE_INT
    elif isinstance(value, float):
        content, kind = single(2, value), _ATTRIBUTE_FLOAT
    elif isinstance(value, bytes):
        content, kind = message(6, value), _ATTRIBUTE_GRAPH
    else:
        content = b"".join([integer(8, number) for number in value])
        kind = _ATTRIBUTE_INTS
    return text(1, name) + content + integer(20, kind)


def _messages(number: int, values: Iterable[bytes]) -> bytes:
    return b"".join([message(number, value) for value in values])


def integer(number: int, value: int) -> bytes:
    """Write a field of type int32, int64 or an enumeration."""
    return _varint(number << 3 | _VARINT) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def single(number: int, value: float) -> bytes:
    """Write a field of type float."""
    return _varint(number << 3 | _FIXED32) + struct.pack("<f", value)


def text(number: int, value: str) -> bytes:
    """Write a field of type string."""
    return message(number, value.encode())


def message(number: int, value: bytes) -> bytes:
    """Write a field that is a message, or of type bytes."""
    if number < 16 and len(value) < 0x80:  # the usual case: both numbers are one byte
        return bytes((number << 3 | _LENGTH, len(value))) + value
    return _varint(number << 3 | _LENGTH) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Encode a value from 0 to 2 ** 64 - 1."""
    if value < 0x80:
        return _ONE_BYTE[value]
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


_ONE_BYTE = [bytes([value]) for value in range(0x80)]
