"""Measures what `translate` loses of real catalogues: keys, placeholders, tags and links.

    python tests/acceptance/measure_catalogues.py /usr/share/locale/de --entries 10000

takes the catalogues of a folder (`.po`, `.pot`, `.mo`, `.json`, `.arb`, `strings.xml`, `.xlf`,
`.properties`), in an order that the seed decides. With `--rewrite` the texts of those that are
gettext are also written as each of the other formats. What a translated catalogue has is read by
other libraries, and compared by patterns that know nothing of the product. Nothing is kept.
"""

import json
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Annotated, NamedTuple
from xml.etree import ElementTree

import javaproperties
import polib
import typer

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.documents.formats import format_named, format_of, open_document
from seq2seq.errors import Seq2SeqError
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.translate_document import translate_document
from seq2seq.translation.translator import Translator

_EXAMPLES = 20  # of what is lost, for each kind
_REWRITTEN = 200  # texts in a catalogue that is written by this script
_XLIFF = "{urn:oasis:names:tc:xliff:document:1.2}"
_SCANNERS = {
    "placeholders": re.compile(
        r"""(?<!\d)%(?:\d+\$)?[-+#0']*(?:\*|\d+)?(?:\.(?:\*|\d+))?
        (?:hh|h|ll|l|q|L|j|z|t)?[diouxXeEfFgGcsSp@]
        |%\(\w+\)[a-z]|\$\{\w+\}|\{\{\s*\w+\s*\}\}|(?<![{$])\{\w*\}(?!\})""",
        re.VERBOSE,
    ),
    "tags": re.compile(r"</?[a-z][\w-]*(?:\s+[\w:-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'))*\s*/?>"),
    "links": re.compile(r"https?://[\w./?=&%~+-]*[\w/]"),
}
_NUMBER_OF_ARGUMENT = re.compile(r"^%\d+\$")

Texts = Mapping[str, str]  # by key


class Side(NamedTuple):
    """How a catalogue is read by another library: its sources, and what stands in their place."""

    sources: Callable[[bytes], Texts]
    translations: Callable[[bytes], Texts]


def main(
    folder: Annotated[Path, typer.Argument(help="Of catalogues whose texts are --from.")],
    model: Annotated[Path, typer.Option("-m", "--model")] = DEFAULT_MODEL,
    beam_size: Annotated[int | None, typer.Option(min=1)] = None,
    source: Annotated[str, typer.Option("-f", "--from")] = "en",
    target: Annotated[str, typer.Option("-t", "--to")] = "de",
    entries: Annotated[int, typer.Option(help="After so many, no more catalogues.")] = 10_000,
    rewrite: Annotated[bool, typer.Option(help="In other formats, too.")] = False,
    seed: int = 1,
) -> None:
    """Print one JSON object for each format and one for all; exit code 1 if anything is lost."""
    translator = Translator(model, threads=1, source=source, target=target)
    options = TranslateOptions(source=source, target=target, beam_size=beam_size)
    totals = dict[str, Counter[str]]()
    examples = Counter[str]()
    started = time.process_time()
    for name, format_name, data in catalogues(folder, rewrite, random.Random(seed)):
        if sum(total["entries"] for total in totals.values()) >= entries:
            break
        total = totals.setdefault(format_name, Counter(catalogues=0))
        total["catalogues"] += 1
        for kind, example in lost(data, format_name, translator, options, total):
            total[f"{kind} lost"] += 1
            examples[kind] += 1
            if examples[kind] <= _EXAMPLES:
                shown = {"lost": kind, "catalogue": name, **example}
                typer.echo(json.dumps(shown, ensure_ascii=False))
        typer.echo(f"{name}: {sum(total['entries'] for total in totals.values())}", err=True)
    seconds = time.process_time() - started
    for format_name, total in totals.items():
        typer.echo(json.dumps({"format": format_name, **total}))
    together = sum(totals.values(), Counter())
    rate = round(together["entries"] / seconds, 1)
    typer.echo(json.dumps({"format": "all", **together, "entries per second of CPU": rate}))
    raise typer.Exit(any(count for kind, count in together.items() if kind.endswith(" lost")))


def catalogues(
    folder: Path, rewrite: bool, draw: random.Random
) -> Iterator[tuple[str, str, bytes]]:
    """Yield the name of each catalogue, its format, and its bytes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    draw.shuffle(paths)
    for path in paths:
        data = path.read_bytes()
        if path.suffix == ".mo":
            data, format_name = _unpacked(path), "po"
        else:
            try:
                format_name = format_of(path).name
            except Seq2SeqError:
                continue
        if not data or format_name not in SIDES:
            continue
        yield path.name, format_name, data
        if rewrite and format_name == "po":
            texts = [*dict.fromkeys(SIDES["po"].sources(data).values())]
            for start in range(0, len(texts), _REWRITTEN):
                for other, write in _WRITERS.items():
                    part = {f"key_{n}": text for n, text in enumerate(texts[start:][:_REWRITTEN])}
                    yield f"{path.name} from {start}", other, write(part)


def lost(
    data: bytes,
    format_name: str,
    translator: BaseTranslator,
    options: TranslateOptions,
    total: Counter[str],
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what a catalogue loses when it is translated; count what it has in `total`."""
    sources = SIDES[format_name].sources(data)
    try:
        form = format_named(format_name)
        document = open_document(data, form, options.source, options.target or "")
        translations = translate_document(document, translator, options)
        rendered = document.render(translations)
    except Seq2SeqError as error:
        yield "catalogues", {"error": str(error)}
        return
    try:
        written = SIDES[format_name].translations(rendered)
    except (ValueError, OSError, ElementTree.ParseError) as error:
        yield "catalogues", {"unreadable": str(error)}
        return
    total["entries"] += len(sources)
    for key, text in sources.items():
        if key not in written:
            yield "keys", {"key": key}
            continue
        if not written[key]:  # its translation is the same, which gettext writes as none
            total["left as they are"] += 1
            continue
        for kind, scanner in _SCANNERS.items():
            right = (text, *_plural_of(key, sources)) if format_name == "po" else (text,)
            allowed = [_counted(scanner, each) for each in right]
            total[kind] += allowed[0].total()
            if _counted(scanner, written[key]) not in allowed:
                yield kind, {"source": text, "translation": written[key]}


def _plural_of(key: str, sources: Texts) -> list[str]:
    """Return the plural of a singular of gettext.

    Where the first form is also that of 0, as in French, it needs the number that the plural has.
    """
    stem, _, form = key.rpartition(" ")
    return [sources[f"{stem} 1"]] if form == "0" and f"{stem} 1" in sources else []


def _counted(scanner: re.Pattern[str], text: str) -> Counter[str]:
    found = (match[0] for match in scanner.finditer(text.replace("%%", "")))
    return Counter(_NUMBER_OF_ARGUMENT.sub("%", each) for each in found)


# What other libraries read


def _unpacked(path: Path) -> bytes:
    """Return a compiled catalogue as the text that msgunfmt makes of it, without translations."""
    done = subprocess.run(["msgunfmt", path], capture_output=True)
    if done.returncode:
        return b""
    catalogue = polib.pofile(done.stdout.decode("utf-8", "replace"))
    catalogue.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    for entry in catalogue:
        entry.msgstr = ""
        entry.msgstr_plural = dict.fromkeys(entry.msgstr_plural and (0, 1), "")
    return str(catalogue).encode()


def _po_sources(data: bytes) -> Texts:
    return _po(data, lambda entry, form: entry.msgid_plural if form else entry.msgid)


def _po_translations(data: bytes) -> Texts:
    return _po(
        data,
        lambda entry, form: entry.msgstr_plural[form] if entry.msgid_plural else entry.msgstr,
    )


def _po(data: bytes, text_of: Callable[[polib.POEntry, int], str]) -> Texts:
    return {
        f"{entry.msgctxt!r} {entry.msgid!r} {form}": text_of(entry, form)
        for entry in polib.pofile(data.decode())
        if entry.msgid and not entry.obsolete
        for form in ((0, 1) if entry.msgid_plural else (0,))
    }


def _json(data: bytes) -> Texts:
    texts = dict[str, str]()

    def visit(path: str, value: object) -> None:
        if isinstance(value, str):
            texts[path] = value
        elif isinstance(value, dict):
            for key, inner in value.items():
                visit(f"{path}.{key}", inner)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                visit(f"{path}.{number}", inner)

    visit("", json.loads(data))
    return texts


def _android(data: bytes) -> Texts:
    root = ElementTree.fromstring(data)
    elements = [(string.get("name", ""), string) for string in root.iter("string")]
    elements += [
        (f"{outer.get('name')} {item.get('quantity', number)}", item)
        for outer in root
        for number, item in enumerate(outer.iter("item"))
    ]
    return {name: _inside(element) for name, element in elements}


def _inside(element: ElementTree.Element) -> str:
    """Return the text of an element, with its tags."""
    inner = [ElementTree.tostring(child, encoding="unicode") for child in element]
    return "".join([element.text or "", *inner])


def _xliff(name: str) -> Callable[[bytes], Texts]:
    def read(data: bytes) -> Texts:
        root = ElementTree.fromstring(data)
        return {
            unit.get("id", ""): _inside(part)
            for unit in root.iter(f"{_XLIFF}trans-unit")
            for part in [unit.find(f"{_XLIFF}{name}")]
            if part is not None
        }

    return read


def _xliff_translations(data: bytes) -> Texts:
    """Return the targets; where one is missing, the text is its own translation."""
    return {**_xliff("source")(data), **_xliff("target")(data)}


def _properties(data: bytes) -> Texts:
    texts: Texts = javaproperties.loads(data.decode("latin-1"))
    return texts


SIDES = {
    "po": Side(_po_sources, _po_translations),
    "json": Side(_json, _json),
    "android": Side(_android, _android),
    "xliff": Side(_xliff("source"), _xliff_translations),
    "properties": Side(_properties, _properties),
}


# What other libraries write


def _to_json(texts: Texts) -> bytes:
    return json.dumps(texts, ensure_ascii=False, indent=2).encode()


def _to_android(texts: Texts) -> bytes:
    root = ElementTree.Element("resources")
    for key, text in texts.items():
        escaped = re.sub(r"""([\\'"])""", r"\\\1", text).replace("\n", "\\n")
        string = ElementTree.SubElement(root, "string", name=key)
        string.text = re.sub(r"\A(?=[@?])", r"\\", escaped)
    return ElementTree.tostring(root, encoding="unicode").encode()


def _to_xliff(texts: Texts) -> bytes:
    ElementTree.register_namespace("", _XLIFF.strip("{}"))
    root = ElementTree.Element(f"{_XLIFF}xliff", version="1.2")
    attributes = {"source-language": "en", "original": "x", "datatype": "plaintext"}
    file = ElementTree.SubElement(root, f"{_XLIFF}file", attributes)
    body = ElementTree.SubElement(file, f"{_XLIFF}body")
    for key, text in texts.items():
        unit = ElementTree.SubElement(body, f"{_XLIFF}trans-unit", id=key)
        ElementTree.SubElement(unit, f"{_XLIFF}source").text = text
    return ElementTree.tostring(root, encoding="unicode").encode()


def _to_properties(texts: Texts) -> bytes:
    written = StringIO()
    javaproperties.dump(texts, written, timestamp=False)
    return written.getvalue().encode("latin-1")


_WRITERS: Mapping[str, Callable[[Texts], bytes]] = {
    "json": _to_json,
    "android": _to_android,
    "xliff": _to_xliff,
    "properties": _to_properties,
}


if __name__ == "__main__":
    typer.run(main)
