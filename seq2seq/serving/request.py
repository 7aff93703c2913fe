"""Read and check requests. Names, defaults and messages are LibreTranslate's.

https://docs.libretranslate.com/guides/api_usage
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from anyio import to_thread
from python_multipart.multipart import parse_options_header
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from seq2seq.serving.middleware import Limits, RefusedError, read_body

_MAX_FIELDS = 100  # maximum number of fields in a form, besides texts
_MAX_NAME = 50  # maximum length of the name of a language or format
_FIELD_NAMES = frozenset(
    {"q", "s", "source", "target", "format", "alternatives", "api_key", "secret"}
    | {"alignment", "confidence", "notes", "sentence"}  # not in LibreTranslate
)
_LANGUAGES = """
af Afrikaans, ar Arabic, az Azerbaijani, be Belarusian, bg Bulgarian, bn Bengali, br Breton,
bs Bosnian, ca Catalan, cs Czech, cy Welsh, da Danish, de German, el Greek, en English,
eo Esperanto, es Spanish, et Estonian, eu Basque, fa Persian, fi Finnish, fo Faroese, fr French,
fy Frisian, ga Irish, gd Scottish Gaelic, gl Galician, he Hebrew, hi Hindi, hr Croatian,
hu Hungarian, hy Armenian, ia Interlingua, id Indonesian, io Ido, is Icelandic, it Italian,
ja Japanese, ka Georgian, kk Kazakh, ko Korean, la Latin, lb Luxembourgish, lt Lithuanian,
lv Latvian, mk Macedonian, mn Mongolian, mr Marathi, ms Malay, mt Maltese, nb Norwegian Bokmål,
nl Dutch, nn Norwegian Nynorsk, no Norwegian, oc Occitan, pl Polish, pt Portuguese, ro Romanian,
ru Russian, sk Slovak, sl Slovenian, sq Albanian, sr Serbian, sv Swedish, sw Swahili, ta Tamil,
th Thai, tl Tagalog, tr Turkish, tt Tatar, uk Ukrainian, ur Urdu, uz Uzbek, vi Vietnamese,
yi Yiddish, zh Chinese
"""
_LANGUAGE_NAMES = dict(entry.strip().split(" ", 1) for entry in _LANGUAGES.split(","))

Fields = Mapping[str, Any]


def language_name(code: str) -> str:
    """Return the English name of a language, or its code if the name is not known."""
    return _LANGUAGE_NAMES.get(code, code)


@dataclass(frozen=True)
class TranslateRequest:
    """A request of `POST /translate`."""

    texts: tuple[str, ...]
    is_list: bool  # whether the response must be lists
    source: str  # a language, or "auto"
    target: str
    is_html: bool = False
    alternatives: int = 0
    alignment: bool = False  # this and the next two are not in LibreTranslate
    confidence: bool = False
    notes: bool = False


@dataclass(frozen=True)
class FileRequest:
    """A request of `POST /translate_file`."""

    name: str  # given by the client, so it may be anything
    data: bytes
    source: str  # a language, or "auto"
    target: str


@dataclass(frozen=True)
class ExplainRequest:
    """A request of `POST /explain`, about one sentence of a text."""

    text: str
    sentence: int  # from 1
    source: str  # a language, or "auto"
    target: str


@dataclass(frozen=True)
class Suggestion:
    """A request of `POST /suggest`."""

    text: str
    translation: str
    source: str
    target: str


async def read_fields(request: Request, limits: Limits) -> Fields:
    """Return the fields of a JSON object or a form, with those of the URL; raise `RefusedError`."""
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1")
    if charset.strip().lower() not in ("utf-8", "utf8"):  # before anything is decoded
        raise RefusedError(400, "Invalid request: the charset must be UTF-8")
    body = await read_body(request, limits)
    query = request.query_params.multi_items()
    # In a thread: a body of percent signs takes a second to parse.
    return await to_thread.run_sync(
        _parse, kind.decode("latin-1"), parameters, query, body, limits, abandon_on_cancel=True
    )


async def read_file_fields(request: Request, limits: Limits) -> Fields:
    """Return the fields of a form with a file, which is a pair of its name and its bytes."""
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise RefusedError(400, "Invalid request: missing file parameter")
    body = await read_body(request, limits, limits.file_bytes + limits.body_bytes)
    boundary = parameters.get(b"boundary", b"")
    query = request.query_params.multi_items()

    def parse() -> Fields:
        return dict([*query, *_read_multipart(boundary, body, limits, files=1)])

    return await to_thread.run_sync(parse, abandon_on_cancel=True)


def _parse(
    kind: str,
    parameters: Mapping[bytes, bytes],
    query: list[tuple[str, str]],
    body: bytes,
    limits: Limits,
) -> Fields:
    if kind == "application/json" or kind.endswith("+json"):
        fields = {**dict(query), **_read_json(body, limits)}
    else:
        is_multipart = kind == "multipart/form-data"
        pairs = (
            _read_multipart(parameters.get(b"boundary", b""), body, limits)
            if is_multipart
            else _read_form(body, limits)
        )
        fields = _merge([*query, *pairs])
    unknown = next((name for name in fields if name not in _FIELD_NAMES), None)
    if unknown is not None:
        raise RefusedError(400, f"Invalid request: unknown parameter {_short(unknown)}")
    return fields


def _merge(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the fields of a form; several `q` become a list."""
    fields: dict[str, Any] = {}
    texts = [value for name, value in pairs if name == "q"]
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields | {"q": texts} if len(texts) > 1 else fields


def read_texts(fields: Fields, limits: Limits) -> tuple[str, ...]:
    """Return the texts of a request, where `q` is a text or a list; raise `RefusedError`."""
    q = _required(fields, "q")
    texts = q if isinstance(q, list) else [q]
    if not all(isinstance(text, str) for text in texts):
        raise RefusedError(400, "Invalid request: q is not a string or a list of strings")
    check_size(len(texts), limits.texts)
    check_size(sum(map(len, texts)), limits.characters)
    return tuple(map(_valid, texts))


def read_translate_request(fields: Fields, limits: Limits) -> TranslateRequest:
    """Return what to translate, and how; raise `RefusedError`."""
    texts = read_texts(fields, limits)
    source, target = (_short(_required(fields, name)) for name in ("source", "target"))
    format_ = _short(fields.get("format") or "text")
    if format_ not in ("text", "html"):
        raise RefusedError(400, f"{format_} format is not supported")
    try:
        alternatives = max(0, int(fields.get("alternatives") or 0))
    except (TypeError, ValueError, OverflowError):
        message = "Invalid request: alternatives parameter is not a number"
        raise RefusedError(400, message) from None
    return TranslateRequest(
        texts,
        isinstance(fields["q"], list),
        source,
        target,
        format_ == "html",
        alternatives,
        _is_true(fields, "alignment"),
        _is_true(fields, "confidence"),
        _is_true(fields, "notes"),
    )


def read_file_request(fields: Fields, limits: Limits) -> FileRequest:
    """Return which file to translate, and how; raise `RefusedError`."""
    file = _required(fields, "file")
    if isinstance(file, str):
        raise RefusedError(400, "Invalid request: file is not a file")
    name, data = file
    if not name or not data:
        raise RefusedError(400, "Invalid request: empty file")
    if len(data) > limits.file_bytes:
        raise RefusedError(413, f"Invalid request: the file exceeds {limits.file_bytes} bytes")
    source, target = (_short(_required(fields, name)) for name in ("source", "target"))
    return FileRequest(_valid(name), data, source, target)


def read_explain_request(fields: Fields, limits: Limits) -> ExplainRequest:
    """Return which sentence to explain; raise `RefusedError`."""
    text = _required(fields, "q")
    if not isinstance(text, str):
        raise RefusedError(400, "Invalid request: q is not a string")
    check_size(len(text), limits.characters)
    source, target = (_short(_required(fields, name)) for name in ("source", "target"))
    try:
        sentence = int(fields.get("sentence") or 1)
    except (TypeError, ValueError, OverflowError):
        raise RefusedError(400, "Invalid request: sentence is not a number") from None
    return ExplainRequest(_valid(text), sentence, source, target)


def read_suggestion(fields: Fields, limits: Limits) -> Suggestion:
    """Return a suggestion; raise `RefusedError`."""
    text, translation = (_required(fields, name) for name in ("q", "s"))
    if not (isinstance(text, str) and isinstance(translation, str)):
        raise RefusedError(400, "Invalid request: q or s is not a string")
    check_size(len(text) + len(translation), limits.characters)
    source, target = (_short(_required(fields, name)) for name in ("source", "target"))
    return Suggestion(_valid(text), _valid(translation), source, target)


def _read_json(body: bytes, limits: Limits) -> dict[str, Any]:
    # Half a million lists take a second, and a thread would not help: the parser holds the GIL.
    if body.count(b"[") + body.count(b"{") > limits.characters + _MAX_FIELDS:
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
            max_num_fields=limits.texts + _MAX_FIELDS,
        )
    except UnicodeDecodeError:
        raise RefusedError(400, "Invalid request: the form is not UTF-8") from None
    except ValueError:
        raise RefusedError(400, "Invalid request: too many fields") from None
    return [(name, _unix_lines(value)) for name, value in pairs]


def _read_multipart(
    boundary: bytes, body: bytes, limits: Limits, files: int = 0
) -> list[tuple[str, Any]]:
    """Return the fields of a form; for a file, its name and its bytes."""
    try:
        if not files:
            body.decode("utf-8")
    except UnicodeDecodeError:
        raise RefusedError(400, "Invalid request: the form is not UTF-8") from None

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    # Only the boundary is passed on, so that no other parameter affects how the form is read.
    kind = b'multipart/form-data; boundary="%b"' % boundary.replace(b'"', b"")
    parser = Request({"type": "http", "headers": [(b"content-type", kind)]}, receive)

    async def read() -> list[tuple[str, Any]]:
        async with parser.form(
            max_files=files, max_fields=limits.texts + _MAX_FIELDS, max_part_size=limits.body_bytes
        ) as form:
            return [
                (name, value)
                if isinstance(value, str)
                else (name, (value.filename or "", await value.read()))
                for name, value in form.multi_items()
            ]

    try:
        pairs = asyncio.run(read())
    except (MultiPartException, ValueError, KeyError) as error:
        raise RefusedError(400, "Invalid request: the form cannot be read") from error
    return [
        (name, _unix_lines(value) if isinstance(value, str) else value) for name, value in pairs
    ]


def _required(fields: Fields, name: str) -> Any:
    value = fields.get(name)
    if not value:
        raise RefusedError(400, f"Invalid request: missing {name} parameter")
    return value


def check_size(size: int, limit: int) -> None:
    """Raise `RefusedError` if a request has more texts or characters than are allowed."""
    if size > limit:
        raise RefusedError(400, f"Invalid request: request ({size}) exceeds text limit ({limit})")


def _is_true(fields: Fields, name: str) -> bool:
    value = fields.get(name)
    value = value.lower() if isinstance(value, str) else value
    if value in (True, "true", "1"):
        return True
    if value in (None, False, "false", "0", ""):
        return False
    raise RefusedError(400, f"Invalid request: {name} is neither true nor false")


def _unix_lines(text: str) -> str:
    r"""Replace `\r\n`, which browsers send for each line end in a form."""
    return text.replace("\r\n", "\n")


def _short(value: Any) -> str:
    """Return a value as a short text that an error message may quote."""
    try:
        return _valid(str(value)[:_MAX_NAME])
    except RecursionError:  # nested lists, too deep for `str` though not for the parser
        raise RefusedError(400, "Invalid JSON format") from None


def _valid(text: str) -> str:
    """Replace lone surrogates, which JSON can contain and UTF-8 cannot."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
