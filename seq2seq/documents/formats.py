"""The table of document formats, with look-ups."""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from seq2seq.documents.document import Document
from seq2seq.errors import Seq2SeqError, UsageError


class Format(NamedTuple):
    """A format of documents."""

    name: str  # as given to an option
    suffixes: tuple[str, ...]  # endings of file names, in lower case
    module: str  # in `seq2seq.documents`; has `read(data, source, target) -> Document`
    title: str  # for messages


FORMATS: tuple[Format, ...] = (
    Format("text", (".txt", ".text"), "plain_text", "plain text"),
    Format("html", (".html", ".htm", ".xhtml"), "html_page", "HTML"),
    Format("po", (".po", ".pot"), "po", "gettext"),
    Format("srt", (".srt",), "subtitles", "SubRip"),
    Format("vtt", (".vtt",), "subtitles", "WebVTT"),
    Format("json", (".json", ".arb"), "json_document", "JSON of translations"),
    Format("yaml", (".yml", ".yaml"), "yaml_document", "YAML of translations"),
    Format("xliff", (".xlf", ".xliff"), "xliff", "XLIFF"),
    Format("tmx", (".tmx",), "tmx", "TMX"),
    Format("android", ("strings.xml", "plurals.xml", "arrays.xml"), "android_strings", "Android"),
    Format("markdown", (".md", ".markdown", ".mdown"), "markdown_document", "Markdown"),
    Format("properties", (".properties",), "properties", "Java properties"),
    Format("strings", (".strings",), "apple_strings", "Apple strings"),
    Format("csv", (".csv", ".tsv", ".tab"), "csv_document", "CSV and TSV"),
    Format("jsonl", (".jsonl", ".ndjson"), "jsonl_document", "JSON Lines"),
    Format("docx", (".docx", ".docm", ".dotx"), "docx", "Word"),
    Format("odt", (".odt", ".ott", ".fodt"), "odt", "LibreOffice"),
    Format("epub", (".epub",), "epub", "EPUB"),
)


def format_of(path: Path) -> Format:
    """Return the format of a file by the ending of its name; raise `UsageError` if there is none.

    The longest ending wins, so `strings.xml` may be another format than `.xml`.
    """
    name = path.name.lower()
    ends = {
        suffix: known for known in FORMATS for suffix in known.suffixes if name.endswith(suffix)
    }
    if not ends:
        suffix = path.suffix or path.name
        raise UsageError(
            f"{path}: no format has the ending {suffix!r}; name one with --format: {_names()}."
        )
    return ends[max(ends, key=len)]


def format_named(name: str) -> Format:
    """Return the format with a name; raise `UsageError` if there is none."""
    for known in FORMATS:
        if known.name == name.lower():
            return known
    raise UsageError(f"there is no format {name!r}; there are {_names()}.")


def open_document(
    data: bytes, form: Format, source: str | None, target: str, column: str | None = None
) -> Document:
    """Read a document; raise `Seq2SeqError` if it is not in the given format.

    `source` and `target` are language codes; `source` is None if the language of each text is
    identified. If the user names a `column` of a table, it is translated in place.
    """
    try:
        module = import_module(f"seq2seq.documents.{form.module}")
    except ModuleNotFoundError as error:
        raise Seq2SeqError(
            f"{form.title} needs {error.name}: pip install 'seq2seq[documents]'"
        ) from None
    columns = () if column is None else ((column,),)
    document: Document = module.read(data, source, target, *columns)
    return document


def _names() -> str:
    return ", ".join(known.name for known in FORMATS)
