"""Convert TOML and JSON tables to frozen dataclasses and back, checking the type of each value."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from seq2seq.errors import UsageError

T = TypeVar("T")

_LARGEST = 1 << 64  # integers must be below it
_KNOWN_ELSEWHERE = {
    "device": "a GPU is used where there is one; the environment variable CUDA_VISIBLE_DEVICES "
    "says which, and empty that none is.",
}
"""Settings that users know from other programs, with what to do instead."""

_LONGEST_SHOWN = 100  # characters


def from_table(cls: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """Make a `cls` from a TOML or JSON table; raise a `UsageError` that names the wrong key."""
    if not isinstance(table, Mapping):
        raise UsageError(f"'{where.rstrip('.')}' must be a table." if where else "not a table.")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            if hint := _KNOWN_ELSEWHERE.get(key):
                raise UsageError(f"unknown key '{where}{key}': {hint}")
            nearest = difflib.get_close_matches(key, fields, n=1, cutoff=0)
            raise UsageError(f"unknown key '{where}{key}'; did you mean '{where}{nearest[0]}'?")
    for key, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and key not in table:
            raise UsageError(f"'{where}{key}' is missing.")
    values = {key: _convert(hints[key], value, where + key) for key, value in table.items()}
    return cls(**values)


def to_table(config: Any) -> dict[str, Any]:
    """Convert settings to plain dictionaries and lists for JSON, without those that are None."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if item is not None}
        return [plain(item) for item in value] if isinstance(value, tuple) else value

    table = plain(dataclasses.asdict(config))
    assert isinstance(table, dict)
    return table


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            choices = ", ".join(map(repr, get_args(hint)))
            raise UsageError(f"'{where}' is {shown(value)}; it can be {choices}.")
        return value
    if origin in (types.UnionType, typing.Union):
        return _convert_union(get_args(hint), value, where)
    if origin is tuple and get_args(hint)[-1] is Ellipsis:
        return _convert_list(get_args(hint)[0], value, where)
    if origin is tuple:
        items = get_args(hint)
        if not isinstance(value, list) or len(value) != len(items):
            raise UsageError(f"'{where}' must be a list of {len(items)}.")
        return tuple(_convert(item, v, where) for item, v in zip(items, value, strict=True))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise UsageError(f"'{where}' must be a table.")
        item = get_args(hint)[1]
        return {key: _convert(item, v, f"{where}.{key}") for key, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_table(typing.cast(type[Any], hint), value, where + ".")
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise UsageError(f"'{where}' is a number too large for any setting.")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"'{where}' must be a finite number, not {shown(value)}.")
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        raise UsageError(f"'{where}' must be {names[hint]}, not {shown(value)}.")
    return value


def _convert_list(item: Any, value: Any, where: str) -> tuple[Any, ...]:
    """Convert a list to a tuple; a single table counts as a list of one."""
    if isinstance(value, Mapping):
        return (_convert(item, value, where),)
    if not isinstance(value, list):
        raise UsageError(f"'{where}' must be a table, or several of them.")
    return tuple(
        _convert(item, element, f"{where}.{number}") for number, element in enumerate(value)
    )


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    is_table, is_list = isinstance(value, Mapping), isinstance(value, list)
    for option in options:
        kind = dataclasses.is_dataclass(option), get_origin(option) is tuple
        if option is not type(None) and kind == (is_table, is_list):
            return _convert(option, value, where)
    raise UsageError(f"'{where}' cannot be {shown(value)}.")


def shown(value: object) -> str:
    """Return `repr(value)`, shortened if it is too long for a message."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits or brackets
        return f"a {type(value).__name__} that is too large to be shown"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]} ..."
