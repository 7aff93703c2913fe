"""What a request asks for, checked. Names, defaults and messages are LibreTranslate's.

https://docs.libretranslate.com/guides/api_usage
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from seq2seq.serving.limits import Limits, RefusedError, read_body

_FIELDS = 100  # the most that a form may have, other than texts
_LONGEST_NAME = 50  # characters of a language or format; no name of either is longer

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Ask:
    """A request to translate."""

    texts: tuple[str, ...]
    is_list: bool  # and so is the answer
    source: str  # a language, or "auto"
    target: str
    is_html: bool = False
    alternatives: int = 0
    alignment: bool = False  # this and the next two LibreTranslate does not know
    confidence: bool = False
    notes: bool = False


async def read_fields(request: Request, limits: Limits) -> Fields:
    """The fields of a JSON object or a form; raises `RefusedError`."""
    body = await read_body(request, limits)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return _read_json(body, limits)
    pairs: list[tuple[str, Any]] = [*request.query_params.multi_items()]
    if kind == "multipart/form-data":
        pairs += await _read_multipart(request, body, limits)
    else:
        # In a thread: what is all percent signs takes a second, and lets nobody else have it.
        pairs += await asyncio.to_thread(_read_form, body, limits)
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name == "q" and name in fields:  # several texts
            fields[name] = [*_listed(fields[name]), value]
        else:
            fields.setdefault(name, value)
    return fields


def read_texts(fields: Fields, limits: Limits) -> tuple[str, ...]:
    """The texts of a request, whether `q` is one or a list of them; raises `RefusedError`."""
    given = _required(fields, "q")
    texts = _listed(given)
    if not all(isinstance(text, str) for text in texts):
        raise RefusedError(400, "Invalid request: q is not a string or a list of strings")
    _check_size(len(texts), limits.texts)
    _check_size(sum(map(len, texts)), limits.characters)
    return tuple(map(_valid, texts))


def read_ask(fields: Fields, limits: Limits) -> Ask:
    """What is to be translated, and how; raises `RefusedError`."""
    texts = read_texts(fields, limits)
    source, target = (_short(_required(fields, name)) for name in ("source", "target"))
    form = _short(fields.get("format") or "text")
    if form not in ("text", "html"):
        raise RefusedError(400, f"{form} format is not supported")
    try:
        alternatives = max(0, int(fields.get("alternatives") or 0))
    except (TypeError, ValueError, OverflowError):
        message = "Invalid request: alternatives parameter is not a number"
        raise RefusedError(400, message) from None
    return Ask(
        texts,
        isinstance(fields["q"], list),
        source,
        target,
        form == "html",
        alternatives,
        _is_true(fields.get("alignment")),
        _is_true(fields.get("confidence")),
        _is_true(fields.get("notes")),
    )


def _read_json(body: bytes, limits: Limits) -> Fields:
    # Half a million lists take a second, and no thread helps, since the parser never lets go.
    if body.count(b"[") + body.count(b"{") > limits.characters + _FIELDS:
        raise RefusedError(400, "Invalid JSON format")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(400, "Invalid JSON format") from None
    if not isinstance(fields, dict):
        raise RefusedError(400, "Invalid JSON format")
    return fields


def _read_form(body: bytes, limits: Limits) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=limits.texts + _FIELDS,
        )
    except ValueError:
        raise RefusedError(400, "Invalid request: too many fields") from None
    return [(name, _unix_lines(value)) for name, value in pairs]


async def _read_multipart(request: Request, body: bytes, limits: Limits) -> list[tuple[str, str]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    parser = Request(request.scope, receive)
    try:
        async with parser.form(
            max_files=0, max_fields=limits.texts + _FIELDS, max_part_size=limits.body_bytes
        ) as form:
            pairs = form.multi_items()
    except (HTTPException, ValueError, KeyError) as error:
        raise RefusedError(400, "Invalid request: the form cannot be read") from error
    return [(name, _unix_lines(value)) for name, value in pairs if isinstance(value, str)]


def _required(fields: Fields, name: str) -> Any:
    value = fields.get(name)
    if not value:
        raise RefusedError(400, f"Invalid request: missing {name} parameter")
    return value


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise RefusedError(400, f"Invalid request: request ({size}) exceeds text limit ({limit})")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_true(value: Any) -> bool:
    return value.lower() in ("true", "1") if isinstance(value, str) else bool(value)


def _unix_lines(text: str) -> str:
    """Browsers send every line end of a form as two characters."""
    return text.replace("\r\n", "\n")


def _short(value: Any) -> str:
    """As text, which an error may repeat."""
    return _valid(str(value)[:_LONGEST_NAME])


def _valid(text: str) -> str:
    """Half surrogate pairs, which JSON can write, have no UTF-8 to answer in."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
