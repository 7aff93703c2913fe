"""The description of the API as OpenAPI 3.0, https://spec.openapis.org/oas/v3.0.3."""

from importlib.metadata import version
from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_NUMBER: dict[str, Any] = {"type": "number"}
_INTEGER: dict[str, Any] = {"type": "integer"}
_FORMS = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
_KEY = {"api_key": _TEXT}
_LANGUAGES = {"source": _TEXT, "target": _TEXT}
_DETECTION = {"type": "object", "properties": {"language": _TEXT, "confidence": _NUMBER}}


def description() -> dict[str, Any]:
    """Return the JSON for `GET /openapi.json`."""
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "seq2seq",
            "description": "Translation, with the API of LibreTranslate.",
            "version": version("seq2seq"),
        },
        "security": [{}, {"bearer": []}],
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/translate": _post(
                "Translate a text or a list of texts",
                {
                    "q": _one_or_more(_TEXT),
                    **_LANGUAGES,
                    "format": {"type": "string", "enum": ["text", "html"]},
                    "alternatives": _INTEGER,
                    **dict.fromkeys(("alignment", "confidence", "notes"), _FLAG),
                },
                ["q", "source", "target"],
                _translation(),
            ),
            "/translate_file": _post(
                "Translate a document",
                {"file": {"type": "string", "format": "binary"}, **_LANGUAGES},
                ["file", "source", "target"],
                _object(translatedFileUrl=_TEXT),
                forms=("multipart/form-data",),
            ),
            "/download_file/{name}": _get(
                "Fetch a document that was translated", None, "application/octet-stream", ["name"]
            ),
            "/detect": _post(
                "Identify the language of a text",
                {"q": _one_or_more(_TEXT)},
                ["q"],
                _list(_DETECTION),
            ),
            "/suggest": _post(
                "Suggest a better translation",
                {"q": _TEXT, "s": _TEXT, **_LANGUAGES},
                ["q", "s", "source", "target"],
                _object(success=_FLAG),
            ),
            "/explain": _post(
                "Step through the translation of a sentence, as an HTML page",
                {"q": _TEXT, **_LANGUAGES, "sentence": _INTEGER},
                ["q", "source", "target"],
                _object(sentences=_list(_TEXT), page=_TEXT),
            ),
            "/languages": _get(
                "List the languages, and what each is translated into",
                _list(_object(code=_TEXT, name=_TEXT, targets=_list(_TEXT))),
            ),
            "/frontend/settings": _get("Tell what a page has to know", {"type": "object"}),
            "/health": _get("Tell that the server answers", _object(status=_TEXT)),
            "/metrics": _get("Figures for Prometheus", None, "text/plain"),
            "/openapi.json": _get("This description", {"type": "object"}),
            "/docs": _get("This description, as a page to try it on", None, "text/html"),
            "/": _get("The page", None, "text/html"),
        },
    }


def _translation() -> dict[str, Any]:
    """Describe the fields of `seq2seq.serving.response.translate_response`."""
    fields = {
        "translatedText": _TEXT,
        "detectedLanguage": _DETECTION,
        "alternatives": _list(_TEXT),
        "alignment": _list({**_list(_INTEGER), "minItems": 2, "maxItems": 2}),
        "confidence": {**_NUMBER, "nullable": True},
        "notes": _list(_TEXT),
    }
    properties = {name: _one_or_more(field) for name, field in fields.items()}
    return {**_object(**properties), "required": ["translatedText"]}


def _one_or_more(schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a value that is a list if the request has a list of texts."""
    return {"anyOf": [schema, _list(schema)]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _answers(answer: Any, kind: str) -> dict[str, Any]:
    error = {"application/json": {"schema": _object(error=_TEXT)}}
    return {
        "200": {"description": "Done", "content": {kind: {"schema": answer or _TEXT}}},
        "default": {"description": "Refused, and why", "content": error},
    }


def _get(
    summary: str,
    answer: Any,
    kind: str = "application/json",
    places: tuple[str, ...] | list[str] = (),
) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in places
    ]
    operation = {"summary": summary, "responses": _answers(answer, kind)}
    return {"get": {**operation, **({"parameters": parameters} if parameters else {})}}


def _post(
    summary: str,
    fields: dict[str, Any],
    required: list[str],
    answer: Any,
    forms: tuple[str, ...] = _FORMS,
) -> dict[str, Any]:
    schema = {"type": "object", "properties": {**fields, **_KEY}, "required": required}
    content = {form: {"schema": schema} for form in forms}
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": content},
            "responses": _answers(answer, "application/json"),
        }
    }
