"""What a request asks for, checked. Names, defaults and messages are LibreTranslate's.

https://docs.libretranslate.com/guides/api_usage
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from seq2seq.serving.limits import Limits, RefusedError, read_body
from seq2seq.serving.threads import in_thread

_FIELDS = 100  # the most that a form may have, other than texts
_LONGEST_NAME = 50  # characters of a language or format; no name of either is longer
_KNOWN = frozenset(
    {"q", "source", "target", "format", "alternatives", "api_key", "secret"}
    | {"alignment", "confidence", "notes"}  # which LibreTranslate does not know
)

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
    """The fields of a JSON object or a form, those of the address too; raises `RefusedError`."""
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1")
    if charset.strip().lower() not in ("utf-8", "utf8"):  # before anything is decoded
        raise RefusedError(400, "Invalid request: the charset must be UTF-8")
    body = await read_body(request, limits)
    named = request.query_params.multi_items()
    # What is all percent signs takes a second.
    return await in_thread(_parse, kind.decode("latin-1"), parameters, named, body, limits)


def _parse(
    kind: str,
    parameters: Mapping[bytes, bytes],
    named: list[tuple[str, str]],  # in the address
    body: bytes,
    limits: Limits,
) -> Fields:
    if kind == "application/json" or kind.endswith("+json"):
        fields = {**dict(named), **_read_json(body, limits)}
    else:
        is_multipart = kind == "multipart/form-data"
        pairs = (
            _read_multipart(parameters.get(b"boundary", b""), body, limits)
            if is_multipart
            else _read_form(body, limits)
        )
        fields = _joined([*named, *pairs])
    unknown = next((name for name in fields if name not in _KNOWN), None)
    if unknown is not None:
        raise RefusedError(400, f"Invalid request: unknown parameter {_short(unknown)}")
    return fields


def _joined(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The fields of a form; several texts are a list."""
    fields: dict[str, Any] = {}
    texts = [value for name, value in pairs if name == "q"]
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields | {"q": texts} if len(texts) > 1 else fields


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
        _is_true(fields, "alignment"),
        _is_true(fields, "confidence"),
        _is_true(fields, "notes"),
    )


def _read_json(body: bytes, limits: Limits) -> dict[str, Any]:
    # Half a million lists take a second, and no thread helps, since the parser never lets go.
    if body.count(b"[") + body.count(b"{") > limits.characters + _FIELDS:
        raise RefusedError(400, "Invalid JSON format")
    try:
        fields = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise RefusedError(400, "Invalid JSON format") from None
    if not isinstance(fields, dict):
        raise RefusedError(400, "Invalid JSON format")
    return fields


def _read_form(body: bytes, limits: Limits) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=limits.texts + _FIELDS,
        )
    except UnicodeDecodeError:
        raise RefusedError(400, "Invalid request: the form is not UTF-8") from None
    except ValueError:
        raise RefusedError(400, "Invalid request: too many fields") from None
    return [(name, _unix_lines(value)) for name, value in pairs]


def _read_multipart(boundary: bytes, body: bytes, limits: Limits) -> list[tuple[str, str]]:
    try:
        body.decode("utf-8")  # there are no files in it
    except UnicodeDecodeError:
        raise RefusedError(400, "Invalid request: the form is not UTF-8") from None

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    # The boundary alone, so that nothing else a client writes chooses how the form is read.
    kind = b'multipart/form-data; boundary="%b"' % boundary.replace(b'"', b"")
    parser = Request({"type": "http", "headers": [(b"content-type", kind)]}, receive)

    async def read() -> list[tuple[str, Any]]:
        async with parser.form(
            max_files=0, max_fields=limits.texts + _FIELDS, max_part_size=limits.body_bytes
        ) as form:
            return form.multi_items()

    try:
        pairs = asyncio.run(read())
    except (MultiPartException, ValueError, KeyError) as error:
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


def _is_true(fields: Fields, name: str) -> bool:
    value = fields.get(name)
    written = value.lower() if isinstance(value, str) else value
    if written in (True, "true", "1"):
        return True
    if written in (None, False, "false", "0", ""):
        return False
    raise RefusedError(400, f"Invalid request: {name} is neither true nor false")


def _unix_lines(text: str) -> str:
    """Browsers send every line end of a form as two characters."""
    return text.replace("\r\n", "\n")


def _short(value: Any) -> str:
    """As text, which an error may repeat."""
    try:
        return _valid(str(value)[:_LONGEST_NAME])
    except RecursionError:  # lists in lists, which were read where less was on the stack
        raise RefusedError(400, "Invalid JSON format") from None


def _valid(text: str) -> str:
    """Half surrogate pairs, which JSON can write, have no UTF-8 to answer in."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
