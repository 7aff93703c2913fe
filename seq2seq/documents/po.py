"""Gettext catalogues (PO) and their templates (POT).

https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from seq2seq.documents.document import Document, State, TextUnit, UnitTranslation
from seq2seq.documents.encoding import Encoding, decode
from seq2seq.documents.format_string import FormatString, is_in_value
from seq2seq.documents.gettext_formats import formats_of
from seq2seq.documents.gettext_plurals import numbers_of_forms, plural_forms
from seq2seq.documents.icu_document import with_messages
from seq2seq.errors import Seq2SeqError
from seq2seq.text.protected_spans import span_pattern

_TOKEN = re.compile(
    r"""(?P<space> \s++ )
    | (?P<comment> \# [^\n]*+ \n? )
    | " (?P<string> (?: [^"\\\n]++ | \\[^\n] )*+ ) "
    | (?P<keyword> msgctxt | msgid_plural | msgid | msgstr (?: \[ \d{1,2} \] )? | domain ) (?! \w )
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"((?:\\[0-7]{1,3}|\\x[0-9a-fA-F]{2})+)|\\(.)", re.DOTALL)
_BYTE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3}))")
_MEANINGS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPES = str.maketrans(
    {"\\": r"\\", '"': r"\""} | {letter: f"\\{name}" for name, letter in _MEANINGS.items()}
)
_SOFT_BREAK = re.compile(r"(?<=\S)[ ]?\n(?=[^\W\d_A-Z])")
_WORD = re.compile(r"\S*\s*")
_MNEMONIC = re.compile(  # before a word, or within the first word of a short label: `E_xit`
    r"(?<!\S)[_&~](?=[^\W\d_])(?!\w*;)"
    r"|\A[^\W\d_]{1,20}[_&~](?=[a-z][^\W\d_]*(?:[ ][^\W\d_]+)?\W*\Z)"
)
_LIMIT = re.compile(r"max-length:(\d{1,6})")
_MACHINE, _MEMORY = "# Machine translation", "# From the memory"  # beginnings of our comments
_WIDTH = 79  # columns of a line, as gettext writes it
_LEAST_WRAPPED = 40  # characters in the longest line of a text that was wrapped by hand
_LONGEST_LABEL = 60  # characters in a text that may have a mnemonic
_FLAG = re.compile(r"[^,\s#]+")


@dataclass
class _Entry:
    """A message, with the places of its parts in the file."""

    start: int  # of its first keyword
    line: int
    comments: list[re.Match[str]]
    strings: dict[str, list[re.Match[str]]] = field(default_factory=dict)  # by keyword

    def value(self, keyword: str) -> str:
        return "".join(_unescape(match["string"]) for match in self.strings.get(keyword, ()))

    @property
    def is_header(self) -> bool:
        return not self.value("msgid") and "msgctxt" not in self.strings

    @property
    def has_plural(self) -> bool:
        return "msgid_plural" in self.strings

    @property
    def forms(self) -> list[str]:
        """The keywords of its translations."""
        return [keyword for keyword in self.strings if keyword.startswith("msgstr")]

    @cached_property
    def flags(self) -> list[str]:
        return [
            flag
            for comment in self.comments
            if comment[0].startswith("#,")
            for flag in _FLAG.findall(comment[0])
        ]

    @property
    def state(self) -> State:
        if not all(map(self.value, self.forms)):
            return State.UNTRANSLATED
        return State.NEEDS_REVIEW if "fuzzy" in self.flags else State.TRANSLATED


class _Message:
    """A text of an entry, singular or plural, in the form for the translator."""

    def __init__(self, text: str, flags: Sequence[str]) -> None:
        body = text.strip()
        self._before, _, self._after = text.partition(body) if body else (text, "", "")
        formats = formats_of(flags)
        mnemonic = _mnemonic(body)
        if mnemonic is not None and is_in_value(body, mnemonic, formats):
            mnemonic = None  # Lisp's `~a`
        self._mnemonic = body[mnemonic : mnemonic + 2] if mnemonic is not None else ""
        if mnemonic is not None:
            body = body[:mnemonic] + body[mnemonic + 1 :]
        longest = max(map(len, body.split("\n")))
        joined = _SOFT_BREAK.sub(" ", body) if longest >= _LEAST_WRAPPED else body
        self._width = longest if joined != body else 0
        self._format = FormatString(joined, formats)
        self.text = self._format.text

    def shown(self, translation: str) -> str:
        """Return an existing translation in the same form as `text`."""
        text = translation.strip()
        mnemonic = _mnemonic(text) if self._mnemonic else None
        if mnemonic is not None:
            text = text[:mnemonic] + text[mnemonic + 1 :]
        return self._format.shown(_SOFT_BREAK.sub(" ", text) if self._width else text)

    def restore(self, translation: str) -> tuple[str, bool]:
        """Return a translation in the form of the catalogue, and whether a program may use it."""
        text, is_safe = self._format.restore(translation.strip())
        if self._width:
            text = "\n".join(part for line in text.split("\n") for part in _wrap(line, self._width))
        if self._mnemonic:
            text = _with_mnemonic(text, self._mnemonic)
        return self._before + text + self._after, is_safe


class _Edit(NamedTuple):
    """A replacement for a part of the file."""

    start: int
    end: int
    text: str


class _PoFile:
    """A catalogue, with one unit for each message, two if it has a plural."""

    def __init__(self, text: str, encoding: Encoding, target: str) -> None:
        self._text, self._encoding, self._target = text, encoding, target
        self._end = "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"
        entries = [*_entries(text)]
        self._header = next((entry for entry in entries if entry.is_header), None)
        self._entries = [entry for entry in entries if not entry.is_header]
        self._wraps = not any(map(_is_unwrapped, text.splitlines()))
        self._messages = [
            (entry, keyword, _Message(entry.value(keyword), entry.flags))
            for entry in self._entries
            for keyword in ("msgid", "msgid_plural")
            if any(map(str.isalpha, entry.value(keyword)))
        ]
        self.units = [self._unit(*message) for message in self._messages]

    def _unit(self, entry: _Entry, keyword: str, message: _Message) -> TextUnit:
        forms = entry.forms
        form = forms[-1] if keyword == "msgid_plural" else forms[0]
        context = entry.value("msgctxt")
        limit = next(filter(None, map(_LIMIT.fullmatch, entry.flags)), None)
        return TextUnit(
            text=message.text,
            translation=message.shown(entry.value(form)),
            state=entry.state,
            context=f"line {entry.line}" + (f", {context[:60]!r}" if context else ""),
            max_length=int(limit[1]) if limit else None,
        )

    def render(self, translations: Sequence[UnitTranslation | None]) -> bytes:
        by_entry = defaultdict[int, _Translated](dict)  # by the start of the entry
        is_complete = True
        for message, translation in zip(self._messages, translations, strict=True):
            entry, keyword, _ = message
            if translation:
                by_entry[entry.start][keyword] = message[2], translation
            elif entry.state is not State.UNTRANSLATED:
                is_complete = False
        changed = {
            start
            for start, translated in by_entry.items()
            if any(
                translation.text.strip() not in ("", message.text)
                for message, translation in translated.values()
            )
        }
        if not changed:
            return self._encoding.encode(self._text)
        header = _Header(self._header, self._target, is_complete)
        edits = list[_Edit]()
        for entry in self._entries:
            if entry.start in changed:
                edits += self._edits(entry, by_entry[entry.start], header.forms)
            elif entry.has_plural and len(entry.forms) != len(header.forms):
                edits += self._empty_forms(entry, header.forms)
        text = _edited(self._text, [*self._header_edits(header), *edits])
        try:
            return self._encoding.encode(text)
        except UnicodeEncodeError:  # the encoding cannot write the target language
            header.charset = "UTF-8"
            return _edited(self._text, [*self._header_edits(header), *edits]).encode()

    def _edits(
        self, entry: _Entry, translated: "_Translated", forms: Sequence[Sequence[int]]
    ) -> Iterator[_Edit]:
        """Yield the edits that translate and mark an entry; `forms` are its numbers by form."""
        restored = {
            keyword: message.restore(translation.text)
            for keyword, (message, translation) in translated.items()
        }
        texts = {keyword: text for keyword, (text, _) in restored.items()}
        state = State.TRANSLATED
        if not all(is_safe for _, is_safe in restored.values()) or any(
            translation.state is not State.TRANSLATED for _, translation in translated.values()
        ):
            state = State.NEEDS_REVIEW
        yield from self._marks(
            entry, state, [translation for _, translation in translated.values()]
        )
        if entry.has_plural:
            yield self._plural_edit(entry, _plural(entry, texts, forms))
        else:
            strings = entry.strings["msgstr"]
            text = self._quoted("msgstr", texts["msgid"])
            yield _Edit(strings[0].start(), strings[-1].end(), text)

    def _empty_forms(self, entry: _Entry, forms: Sequence[Sequence[int]]) -> Iterator[_Edit]:
        """Yield the edit that gives an empty plural as many forms as the language has."""
        if entry.state is State.UNTRANSLATED:
            yield self._plural_edit(entry, [""] * len(forms))

    def _plural_edit(self, entry: _Entry, texts: Sequence[str]) -> _Edit:
        first, last = entry.strings[entry.forms[0]][0], entry.strings[entry.forms[-1]][-1]
        keywords = (f"msgstr[{number}]" for number, _ in enumerate(texts))
        lines = (
            f"{keyword} {self._quoted(keyword, text)}"
            for keyword, text in zip(keywords, texts, strict=True)
        )
        start = self._text.rindex("msgstr", 0, first.start())
        return _Edit(start, last.end(), self._end.join(lines))

    def _marks(
        self, entry: _Entry, state: State, translations: Sequence[UnitTranslation]
    ) -> Iterator[_Edit]:
        """Yield the edits to an entry's comments that record its state."""
        needs_review = state is State.NEEDS_REVIEW
        note_place = entry.comments[0].start() if entry.comments else entry.start
        flags_place = entry.start
        has_flags = False
        for comment in entry.comments:
            text = comment[0]
            if text.startswith((_MACHINE, _MEMORY)):
                yield _Edit(comment.start(), comment.end(), "")
                note_place = max(note_place, comment.end())
            elif text.startswith("# "):
                note_place = comment.end()
            elif text.startswith("#,"):
                flags = [flag for flag in _FLAG.findall(text) if flag != "fuzzy"]
                flags = ["fuzzy", *flags] if needs_review and not has_flags else flags
                has_flags = True
                if "fuzzy" in flags or "fuzzy" in text:
                    line = f"#, {', '.join(flags)}{self._end}" if flags else ""
                    yield _Edit(comment.start(), comment.end(), line)
            elif text.startswith("#|"):
                flags_place = min(flags_place, comment.start())
                if not needs_review:
                    yield _Edit(comment.start(), comment.end(), "")
        if needs_review:
            yield _Edit(note_place, note_place, _machine_note(translations) + self._end)
            if not has_flags:
                yield _Edit(flags_place, flags_place, f"#, fuzzy{self._end}")

    def _header_edits(self, header: "_Header") -> Iterator[_Edit]:
        """Yield the edits that complete the header: language, plural forms and encoding."""
        has_plurals = any(entry.has_plural for entry in self._entries)
        entry, lines = self._header, header.lines(has_plurals)
        if entry is None:
            text = "".join(self._end + f'"{_escape(line)}"' for line in lines)
            yield _Edit(0, 0, f'msgid ""{self._end}msgstr ""{text}{self._end}{self._end}')
            return
        for comment in entry.comments:
            if comment[0].startswith("#,") and "fuzzy" in entry.flags:
                flags = ", ".join(flag for flag in entry.flags if flag != "fuzzy")
                yield _Edit(comment.start(), comment.end(), f"#, {flags}{self._end}" * bool(flags))
        strings = entry.strings["msgstr"]
        if lines != _lines_of(entry.value("msgstr")):
            text = self._end.join(f'"{_escape(line)}"' for line in ("", *lines))
            yield _Edit(strings[0].start(), strings[-1].end(), text)

    def _quoted(self, keyword: str, text: str) -> str:
        """Write a text as the strings after a keyword, wrapped as gettext does."""
        escaped = _escape(text)
        fits = len(keyword) + len(escaped) + 3 <= _WIDTH
        if "\n" not in text[:-1] and (fits or not self._wraps):
            return f'"{escaped}"'
        lines = _lines_of(text)
        pieces = [
            piece
            for line in lines
            for piece in (_pieces(line, _WIDTH - 2) if self._wraps else [_escape(line)])
        ]
        return self._end.join(f'"{piece}"' for piece in ("", *pieces))


_Translated = dict[str, tuple[_Message, UnitTranslation]]  # by keyword


class _Header:
    """The header of a catalogue after translation."""

    def __init__(self, entry: _Entry | None, target: str, is_complete: bool) -> None:
        """Set up the header; `is_complete`: no old translation stays, the language may change."""
        self._text = entry.value("msgstr") if entry else ""
        self._target = target.replace("-", "_")
        language = _field(self._text, "Language")
        is_other = bool(language) and _base(language) != _base(target)
        self._is_replaced = (is_other and is_complete) or not language
        declared = numbers_of_forms(_field(self._text, "Plural-Forms"))
        keeps_forms = declared is not None and not (is_other and is_complete)
        self._plural_forms = "" if keeps_forms else plural_forms(target)
        self.forms = (declared if keeps_forms else numbers_of_forms(self._plural_forms)) or []
        self.charset = "UTF-8" if "charset=CHARSET" in self._text or not entry else ""

    def lines(self, has_plurals: bool) -> list[str]:
        """Return its lines, including their ends."""
        changed = {"Language": self._target} if self._is_replaced else {}
        if has_plurals and self._plural_forms:
            changed["Plural-Forms"] = self._plural_forms
        if self.charset:
            changed["Content-Type"] = f"text/plain; charset={self.charset}"
        lines = list[str]()
        for line in _lines_of(self._text):
            name = line.partition(":")[0]
            lines.append(f"{name}: {changed.pop(name)}\n" if name in changed else line)
        return [*lines, *(f"{name}: {value}\n" for name, value in changed.items())]


def read(data: bytes, source: str | None, target: str) -> Document:
    """Read a catalogue or a template, in the encoding that its header declares.

    ICU messages, as Lingui writes them, are translated branch by branch.
    """
    declared = re.search(rb'"Content-Type:[^"\n]{0,80}charset=([\w.:-]{1,40})', data)
    charset = declared[1].decode() if declared else ""
    text, encoding = decode(data, "" if charset == "CHARSET" else charset)
    return with_messages(_PoFile(text, encoding, target))


def _entries(text: str) -> Iterator[_Entry]:
    """Yield the entries of a catalogue; raise `Seq2SeqError` if it is not one."""
    lines = [match.end() for match in re.finditer("\n", text)]
    comments = list[re.Match[str]]()
    entry: _Entry | None = None
    strings: list[re.Match[str]] | None = None  # of the current keyword
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        line = bisect_right(lines, place) + 1
        if token is None:
            raise Seq2SeqError(f"line {line} is not PO.")
        place = token.end()
        keyword = token["keyword"]
        if token["comment"] is not None:
            if token[0].startswith("#~"):  # an entry that is no longer in use
                comments = []
            else:
                comments.append(token)
        elif token["string"] is not None:
            if strings is None:
                raise Seq2SeqError(f"line {line} is not PO: a string has no keyword.")
            strings.append(token)
        elif keyword:
            keyword = keyword.replace(" ", "")
            begins = keyword == "msgctxt" or (
                keyword == "msgid" and (entry is None or "msgid" in entry.strings)
            )
            if begins or keyword == "domain":
                if entry:
                    yield _whole(entry)
                entry = _Entry(token.start(), line, comments) if begins else None
                comments = []
            if entry is None and keyword != "domain":
                raise Seq2SeqError(f"line {line} is not PO: {keyword} has no msgid before it.")
            strings = entry.strings.setdefault(keyword, []) if entry else []
    if entry:
        yield _whole(entry)
    elif text.strip() and not comments:
        raise Seq2SeqError("has no msgid.")


def _whole(entry: _Entry) -> _Entry:
    """Return the entry; raise `Seq2SeqError` if a part is missing."""
    expected = "msgstr[0]" if entry.has_plural else "msgstr"
    for keyword in ("msgid", expected):
        if not entry.strings.get(keyword):
            raise Seq2SeqError(f"line {entry.line} is not PO: the entry has no {keyword}.")
    if not all(entry.strings.values()):
        raise Seq2SeqError(f"line {entry.line} is not PO: a keyword has no string.")
    return entry


def _plural(entry: _Entry, texts: dict[str, str], forms: Sequence[Sequence[int]]) -> list[str]:
    """Return the text of each plural form.

    The form of 1 gets the singular; if other numbers share that form, only if it shows the number.
    """
    singular = texts.get("msgid", entry.value("msgid"))
    plural = texts.get("msgid_plural", entry.value("msgid_plural"))
    says_number = entry.value("msgid").count("%") == entry.value("msgid_plural").count("%")
    return [
        singular
        if 1 in numbers and len(forms) > 1 and (says_number or len(numbers) == 1)
        else plural
        for numbers in forms
    ]


def _is_unwrapped(line: str) -> bool:
    """Return whether a line is longer than gettext would write it."""
    is_string = line.startswith(('"', "msg")) and " " in line.partition('"')[2].strip()
    return is_string and len(line) > _WIDTH + 2


def _machine_note(translations: Sequence[UnitTranslation]) -> str:
    """Return the comment on translations that need review."""
    known = [found.confidence for found in translations if found.confidence is not None]
    notes = [*dict.fromkeys(note for found in translations for note in found.notes)]
    if notes and all(found.match is not None for found in translations):
        notes[0] = f"# {notes[0][0].upper()}{notes[0][1:]}"
    else:
        notes = [f"{_MACHINE}, confidence {min(known):.2f}" if known else _MACHINE, *notes]
    return " ".join("; ".join(notes).split()) + "."


def _mnemonic(text: str) -> int | None:
    """Return the index of the mark before the access key of a label, as in `_Open`, or None."""
    matches = [*_MNEMONIC.finditer(text)] if len(text) <= _LONGEST_LABEL else []
    if len(matches) != 1 or "\n" in text or (not text[0].isupper() and text[0] not in "_&~"):
        return None
    place = matches[0].end() - 1
    return place if text.count(text[place]) == 1 else None


def _with_mnemonic(text: str, mnemonic: str) -> str:
    """Mark the access key in a label, or else its first letter, but not within placeholders."""
    mark, letter = mnemonic[0], mnemonic[1]
    words = span_pattern().sub(lambda span: " " * len(span[0]), text)
    matches = (place for place, other in enumerate(words) if other.lower() == letter.lower())
    letters = (place for place, other in enumerate(words) if other.isalpha())
    place = next(chain(matches, letters), None)
    return text if place is None else f"{text[:place]}{mark}{text[place:]}"


def _unescape(raw: str) -> str:
    if "\\" not in raw:
        return raw

    def meaning(match: re.Match[str]) -> str:
        if match[1]:
            codes = (
                int(byte[1], 16) if byte[1] else int(byte[2], 8)
                for byte in _BYTE.finditer(match[1])
            )
            return bytes(code & 255 for code in codes).decode("utf-8", "replace")
        return _MEANINGS.get(match[2], match[2])

    return _ESCAPE.sub(meaning, raw)


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)


def _lines_of(text: str) -> list[str]:
    """Split a text into lines, including their ends."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _pieces(line: str, width: int) -> Iterator[str]:
    """Yield a line as escaped pieces of at most this width, cut after white space."""
    piece = ""
    for word in filter(None, _WORD.findall(line)):
        escaped = _escape(word)
        if piece and len(piece) + len(escaped) > width:
            yield piece
            piece = ""
        piece += escaped
    yield piece


def _wrap(line: str, width: int) -> Iterator[str]:
    """Wrap a line to at most this width."""
    piece = ""
    for word in filter(None, _WORD.findall(line)):
        if piece.strip() and len(piece) + len(word.rstrip()) > width:
            yield piece.rstrip()
            piece = ""
        piece += word
    yield piece


def _edited(text: str, edits: Sequence[_Edit]) -> str:
    parts, done = list[str](), 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        parts += text[done : edit.start], edit.text
        done = edit.end
    return "".join(parts) + text[done:]


def _field(header: str, name: str) -> str:
    match = re.search(rf"(?m)^{name}:(.*)$", header)
    return match[1].strip() if match else ""


def _base(language: str) -> str:
    """Return a language without its region."""
    return re.split("[-_@.]", language.lower())[0]
