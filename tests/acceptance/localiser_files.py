"""The files of a localiser: each is translated by one command, and opened by what its users use.

    PYTHONPATH=tests python tests/acceptance/localiser_files.py [--keep FOLDER]

Prints a table: the file, how many texts it has, the program, and whether that accepts the
translation. Exit code 1 if one does not, or a placeholder or tag is lost. A program that is not
installed is named. The files are made here; nothing is kept without `--keep`.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from helpers.zipped_documents import docx
from measure_catalogues import SIDES

from seq2seq.documents.formats import format_of, open_document

_NOUNS = ("dog", "house", "train", "garden", "key", "book", "teacher", "window", "letter", "child")
_SIZES = ("red", "old", "small", "new", "big")
_VERBS = ("is not here.", "is old.", "was in the city.", "is on the table.", "sleeps.", "fell.")
_SENTENCES = [
    f"The {adjective} {noun} {verb}" for verb in _VERBS for noun in _NOUNS for adjective in _SIZES
]
_PLACEHOLDER = re.compile(r"%[sd]|\{\w+\}|\{\{\w+\}\}|</?\w+[^<>]*>")


def _po() -> str:
    head = (
        'msgid ""\nmsgstr ""\n"Language: de\\n"\n"MIME-Version: 1.0\\n"\n'
        '"Content-Type: text/plain; charset=UTF-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n'
        '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n'
    )
    plain = [
        f'#: main.c:{n}\nmsgid "{text}"\nmsgstr ""\n' for n, text in enumerate(_SENTENCES[:30])
    ]
    formats = [
        f'#, c-format\nmsgid "The file %s has %d {noun}s."\nmsgstr ""\n' for noun in _NOUNS[:8]
    ]
    others = [
        'msgctxt "menu"\nmsgid "_Open"\nmsgstr ""\n',
        '#, c-format\nmsgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""\n',
    ]
    return "\n".join([head, *plain, *formats, *others])


def _android() -> str:
    strings = "".join(
        f'    <string name="text_{n}">{text}</string>\n' for n, text in enumerate(_SENTENCES[:10])
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<resources xmlns:xliff="urn:oasis:names:tc:xliff:document:1.2">
{strings}    <string name="hello">Hello <b><xliff:g id="n">%1$s</xliff:g></b>, it\\'s late!</string>
    <string name="id" translatable="false">seq2seq</string>
    <plurals name="files">
        <item quantity="one">%d file is open.</item>
        <item quantity="other">%d files are open.</item>
    </plurals>
    <string-array name="days"><item>Today</item><item>Tomorrow</item></string-array>
</resources>
"""


def _json() -> str:
    tree = {
        "menu": {"open": "Open the file", "close": "Close the window"},
        "greeting": "Hello {{name}}, how are you?",
        "files": "{count, plural, one {# file is open} other {# files are open}}",
        "invitation": "{gender, select, female {She is here.} other {They are here.}}",
        "texts": _SENTENCES[:8],
        "empty": "",
        "number": 12,
    }
    return json.dumps(tree, ensure_ascii=False, indent=2) + "\n"


def _xliff() -> str:
    units = "".join(
        f'<trans-unit id="{n}"><source>{text}</source></trans-unit>\n'
        for n, text in enumerate(_SENTENCES[:10])
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
<file original="app" datatype="plaintext" source-language="en" target-language="de"><body>
{units}<trans-unit id="inline"><source>The <g id="1">red</g> dog<x id="2"/></source></trans-unit>
<trans-unit id="keep" translate="no"><source>seq2seq</source></trans-unit>
</body></file></xliff>
"""


def _xliff2() -> str:
    units = "".join(
        f'<unit id="u{n}"><segment><source>{text}</source></segment></unit>\n'
        for n, text in enumerate(_SENTENCES[:10])
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="de">
<file id="f">
{units}<unit id="inline"><segment>
<source>The <pc id="1">red</pc> dog<ph id="2"/></source>
</segment></unit>
</file></xliff>
"""


def _properties() -> str:
    lines = [f"text.{n} = {text}" for n, text in enumerate(_SENTENCES[:10])]
    return "\n".join(["# texts", *lines, "hello = Hello {0}, it''s late!", ""])


def _tmx() -> str:
    units = "".join(
        f'<tu tuid="{n}"><tuv xml:lang="en"><seg>{text}</seg></tuv></tu>\n'
        for n, text in enumerate(_SENTENCES)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<tmx version="1.4"><header creationtool="x" creationtoolversion="1" segtype="sentence"
o-tmf="x" adminlang="en" srclang="en" datatype="plaintext"/><body>
{units}</body></tmx>
"""


def _srt() -> str:
    cues = [
        f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{text}\n"
        for n, text in enumerate(_SENTENCES[:20], 1)
    ]
    return "\n".join(cues)


_README = """---
title: My program
---

# My program

The **red** dog reads [a book](https://example.org/book "A book") and runs `make install`.

![A picture of the dog](dog.png)

> He is in the garden.

1. Open the file.
2. Close the window.
   - [x] The letter is *here*.[^1]

| Name | Use |
|------|-----|
| Key  | It opens the house. |

```sh
make install  # Open the file
```

The area is $x^2$.

[^1]: I wrote it yesterday.
"""
_HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>My holiday</title>
<meta name="description" content="We are going to the sea."><style>p { color: #123 }</style></head>
<body><h1>My holiday</h1>
<p title="Good morning!">We are going to <b>the sea</b>.<br>I lost my key.</p>
<ul><li>A red <a href="house.html">house</a></li><li>An old garden</li></ul>
<img src="dog.png" alt="A small dog"><input placeholder="Your name"><pre>I lost my key.</pre>
<script>if (a < b) { document.title = "x"; }</script></body></html>
"""


def _docx() -> bytes:
    bold = "<w:r><w:rPr><w:b/></w:rPr><w:t>red dog</w:t></w:r>"
    note = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    start = '<w:r><w:t xml:space="preserve">The </w:t></w:r>'
    rest = '<w:r><w:t xml:space="preserve"> is not here.</w:t></w:r>'
    cells = "".join(
        f"<w:tc><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>" for text in ("My name", "A letter")
    )
    return docx(
        f"<w:p>{start}{bold}{rest}{note}</w:p><w:tbl><w:tr>{cells}</w:tr></w:tbl>"
        "<w:p><w:r><w:t>I lost my key.</w:t></w:r></w:p>",
        notes='<w:footnote w:id="2"><w:p><w:r><w:t>It is in the garden.</w:t></w:r></w:p>'
        "</w:footnote>",
    )


FILES: Mapping[str, bytes] = {
    **{
        name: text.encode()
        for name, text in {
            "app.po": _po(),
            "strings.xml": _android(),
            "app.json": _json(),
            "app.xlf": _xliff(),
            "app2.xlf": _xliff2(),
            "app.properties": _properties(),
            "memory.tmx": _tmx(),
            "film.srt": _srt(),
            "README.md": _README,
            "page.html": _HTML,
        }.items()
    },
    "report.docx": _docx(),
}

_XMLLINT = ("xmllint", "--noout")
_WITH = (sys.executable, "-c")
PROGRAMS: Mapping[str, Sequence[str]] = {  # the file comes last
    ".po": ("msgfmt", "-c", "-o", "/dev/null"),
    ".xml": _XMLLINT,
    ".json": (sys.executable, "-m", "json.tool"),
    ".xlf": _XMLLINT,
    ".properties": (*_WITH, "import javaproperties, sys; javaproperties.load(open(sys.argv[1]))"),
    ".tmx": _XMLLINT,
    ".srt": (*_WITH, "import pysubs2, sys; assert len(pysubs2.load(sys.argv[1])) == 20"),
    ".md": (*_WITH, "import mistune, sys; mistune.html(open(sys.argv[1]).read())"),
    ".html": ("chromium", "--headless", "--no-sandbox", "--dump-dom"),
    ".docx": ("soffice", "--headless", "--convert-to", "pdf", "--outdir"),  # and a folder
}


class Row(NamedTuple):
    """What came of a file."""

    name: str
    texts: int
    changed: int  # of them
    program: str
    verdict: str

    @property
    def is_good(self) -> bool:
        """Whether the file was translated, and nothing was refused or lost."""
        return self.verdict in ("accepted", "not installed") and self.changed > 0


def check(name: str, folder: Path) -> Row:
    """Translate a file by one command, and let its program open the translation."""
    source, target = folder / name, folder / "de" / name
    source.write_bytes(FILES[name])
    target.parent.mkdir(exist_ok=True)
    words = ["-i", source, "-o", target, "-f", "en", "-t", "de", "--threads", "1", "--quiet"]
    done = _run([sys.executable, "-m", "seq2seq.cli.translate", *map(str, words)])
    if done.returncode:
        return Row(name, 0, 0, "translate", done.stderr.strip())
    before, after = (_texts(name, path.read_bytes()) for path in (source, target))
    changed = sum(text not in after for text in before)
    program = PROGRAMS[target.suffix]
    label = program[0] if program[0] != sys.executable else " ".join(program[1:])
    label = re.sub(r"-c import (\w+).*", r"\1", label).replace("-m ", "")
    lost = _lost(name, source.read_bytes(), target.read_bytes())
    if lost:
        return Row(name, len(before), changed, label, f"lost: {', '.join(lost)}")
    if not shutil.which(program[0]):
        return Row(name, len(before), changed, label, "not installed")
    into = [str(target.parent)] if target.suffix == ".docx" else []
    opened = _run([*program, *into, str(target)])
    is_there = target.suffix != ".docx" or target.with_suffix(".pdf").exists()
    good = not opened.returncode and is_there
    return Row(
        name, len(before), changed, label, "accepted" if good else opened.stderr.strip()[-200:]
    )


def _texts(name: str, data: bytes) -> list[str]:
    """Return the texts of a document; of a catalogue its translations, where it has them."""
    document = open_document(data, format_of(Path(name)), "en", "de")
    return [unit.translation or unit.text for unit in document.units]


def _lost(name: str, before: bytes, after: bytes) -> list[str]:
    """Return the keys, placeholders and tags that another library does not find again."""
    form = format_of(Path(name)).name
    if form not in SIDES or name == "app2.xlf":
        return []
    sources, translations = SIDES[form].sources(before), SIDES[form].translations(after)
    lost = [key for key in sources if key not in translations]
    for key in sources.keys() & translations.keys():
        wanted, given = (
            Counter(_PLACEHOLDER.findall(text)) for text in (sources[key], translations[key])
        )
        lost += (wanted - given).elements()
    return lost


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True)


def main(
    keep: Annotated[Path | None, typer.Option(help="Leave the files in this folder.")] = None,
    only: Annotated[str, typer.Option(help="Just this file.")] = "",
) -> None:
    """Translate each file and print a table; exit code 1 if one is not accepted."""
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    print(f"{'file':<16}{'texts':>6}{'translated':>12}  {'program':<16}")
    rows = list[Row]()
    with nullcontext(keep) if keep else tempfile.TemporaryDirectory() as folder:
        for name in FILES if not only else [only]:
            row = check(name, Path(folder))
            rows.append(row)
            print(f"{row.name:<16}{row.texts:>6}{row.changed:>12}  {row.program:<16}{row.verdict}")
    raise typer.Exit(not all(row.is_good for row in rows))


if __name__ == "__main__":
    typer.run(main)
