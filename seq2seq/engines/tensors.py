"""Tensors out of a safetensors file from a stranger."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

_TYPES = {
    "F16": np.float16,
    "F32": np.float32,
    "I8": np.int8,
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
}


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """All tensors, by name; raises `ValueError`, which tells why, where they cannot be used."""
    try:
        stored = dict(deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ValueError(f"not a whole safetensors file: {error}") from None
    return {name: _array(name, **part) for name, part in stored.items()}


def _array(name: str, dtype: str, shape: list[int], data: bytearray) -> NDArray[Any]:
    if dtype not in _TYPES:
        raise ValueError(f"'{name}' holds {dtype}, which no model has")
    try:
        array = np.frombuffer(data, _TYPES[dtype]).reshape(shape)
    except ValueError:  # too many dimensions
        raise ValueError(f"'{name}' has a shape that cannot be used") from None
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"'{name}' holds numbers that are not finite")
    return array
