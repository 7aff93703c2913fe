"""Hostile text against `translate`: no traceback, no hang, one line out for each line in.

`python tests/stress/fuzz_text.py --count 10000 --seed 1` makes texts of many kinds and sends
them three ways: most to a `Translator` in this process, some as the lines of a file or pipe to the
command, some as its arguments. It prints a table by kind, the totals last, and ends with 1 unless
all is well. Each failure is named on stderr with what makes it again: the same seed makes the
same texts. The last column is the CPU time of the slowest text in this process.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from threading import Thread
from typing import IO, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.cli.exit import reported_errors
from seq2seq.translation.translator import Translator

_NAME = "fuzz_text"
_SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
_COMMAND = [sys.executable, "-m", "seq2seq.cli.translate", "--threads", "1"]
_LONGEST_ARGUMENT = 100_000  # bytes; Linux takes 131,071
_LONGEST = 4_000  # characters, but for white space; letters take half a second then
_LINES = 40  # of a stream at most
_ARGUMENTS = 4  # of a process at most
_PORTION = 1000  # bytes that a pipe gets at once: lines arrive cut anywhere

_CONSOLE = Console(stderr=True)

# Texts

Bit = Callable[[Random], str]
"""Makes a piece of hostile text."""


@cache
def _sentences() -> tuple[str, ...]:
    paths = sorted(_SAMPLE.glob("*.en"))
    return tuple(line for path in paths for line in path.read_text("utf-8").splitlines())


def _sentence(rng: Random) -> str:
    return rng.choice(_sentences())


def _size(rng: Random, most: int) -> int:
    """1 to `most`, each order of magnitude as likely as the others."""
    return int(most ** rng.random())


def _one_of(*bits: str) -> Bit:
    return lambda rng: rng.choice(bits)


def _between(*ranges: tuple[int, int]) -> Bit:
    """Characters of the ranges, ends included."""

    def make(rng: Random) -> str:
        first, last = rng.choice(ranges)
        return chr(rng.randint(first, last))

    return make


def _repeated(bit: Bit, most: int) -> Bit:
    """The same again and again, or new each time."""

    def make(rng: Random) -> str:
        number = _size(rng, most)
        if rng.random() < 0.5:
            return bit(rng) * number
        return "".join(bit(rng) for _ in range(number))

    return make


def _wild_bytes(rng: Random) -> str:
    """Bytes as Python reads them from a shell: those that are not UTF-8 become half surrogates."""
    return rng.randbytes(_size(rng, 30)).decode("utf-8", "surrogateescape")


def _broken_bytes(rng: Random) -> str:
    """UTF-8 that was cut, overlong or out of range."""
    bad = [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xff"]
    bad += [b"\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80"]
    return rng.choice(bad).decode("utf-8", "surrogateescape")


def _stack(rng: Random) -> str:
    marks = _between((0x300, 0x36F), (0x483, 0x489), (0x1AB0, 0x1ACE), (0x20D0, 0x20F0))
    return rng.choice("aeuxß 1") + "".join(marks(rng) for _ in range(_size(rng, 300)))


def _emoji(rng: Random) -> str:
    one = _between((0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF), (0x2600, 0x27BF))
    joiner = rng.choice(["\u200d", "\ufe0f\u200d", "\U0001f3fd\u200d", "\ufe0f", "\u20e3", ""])
    flag = "".join(chr(rng.randint(0x1F1E6, 0x1F1FF)) for _ in range(rng.randint(1, 3)))
    chain = joiner.join(one(rng) for _ in range(_size(rng, 12)))
    return rng.choice([chain, chain + joiner, joiner + chain, flag])


def _escape(rng: Random) -> str:
    code = ";".join(str(rng.randint(0, 120)) for _ in range(rng.randint(0, 3)))
    return rng.choice(["\x1b[", "\x9b", "\x1b]0;", "\x1bP"]) + code + rng.choice("mJHKhl\x07\\")


_LINE_ENDS = ("\r", "\r\n", "\n", "\n\r", "\u2028", "\u2029", "\x85", "\v", "\f")
_SPACES = (" ", "\u00a0", "\u1680", *map(chr, range(0x2000, 0x200B)), "\u202f", "\u205f", "\u3000")
_SYMBOLS = (
    *("<ph0>", "<ph15>", "<ph16>", "<2de>", "<2en>", "<2xx>", "<s>", "</s>", "<unk>", "<pad>"),
    *("<0x41>", "<0x0A>", "<0x00>", "<0xFF>", "<mask>", "<ph0", "ph0>", "<<ph0>>", "\u2581<s>"),
)
_MARKUP = (
    *("<b>bold</b>", "&amp;", "&#x0A;", '{"a": 1}', "%s%n", "$(reboot)", "`id`", "\\n", "\\", "'"),
    *("https://example.org/?q=1&r=%20#x", "a@example.org", "${HOME}", "\\frac{1}{2}", "--help"),
)

_BITS: Mapping[str, Bit] = {
    "NUL": _one_of("\0"),
    "half surrogates": _between((0xD800, 0xDFFF)),
    "wild bytes": _wild_bytes,
    "broken UTF-8": _broken_bytes,
    "bidi": _between((0x202A, 0x202E), (0x2066, 0x2069), (0x200E, 0x200F), (0x61C, 0x61C)),
    "right to left": _between((0x5D0, 0x5EA), (0x620, 0x64A), (0x10900, 0x1091B)),
    "all planes": _between(*((p << 16, (p << 16) + 0xFFFF) for p in range(1, 17)), (0, 0xD7FF)),
    "noncharacters": _between((0xFDD0, 0xFDEF), *((p + 0xFFFE, p + 0xFFFF) for p in (0, 1 << 20))),
    "private use": _between((0xE000, 0xF8FF), (0xF0000, 0xFFFFD), (0x100000, 0x10FFFD)),
    "unassigned": _between((0x30000, 0x3FFFD), (0xE0000, 0xE0FFF), (0x378, 0x379)),
    "marks": _stack,
    "compatibility": _between(
        (0xFB00, 0xFDFF), (0xFF00, 0xFFEF), (0x2100, 0x218F), (0x1100, 0x11FF)
    ),
    "other scripts": _between((0x400, 0x4FF), (0x900, 0xDFF), (0x3040, 0x30FF), (0x4E00, 0x9FFF)),
    "emoji": _emoji,
    "line ends": _one_of(*_LINE_ENDS, *map(chr, range(0x1C, 0x20))),
    "tabs": _one_of("\t", " \t ", "\t\t"),
    "byte order marks": _one_of("\ufeff", "\ufffe", "\ufeff\ufeff"),
    "white space": _repeated(_one_of(*_SPACES), 20_000),
    "invisible": _one_of("\u200b", "\u200c", "\u200d", "\u2060", "\u00ad", "\u180e", "\u3164"),
    "long words": _repeated(_between((97, 122), (97, 97), (0xC0, 0x17F)), 2_000),
    "long scripts": _repeated(_between((0x4E00, 0x9FFF), (0xE01, 0xE2E)), 500),
    "U+2581": _one_of("\u2581", "\u2581\u2581", " \u2581 "),
    "symbols": _one_of(*_SYMBOLS),
    "|||": _one_of("|||", " ||| ", "||| -0.5", "0 ||| "),
    "control": _between((0, 0x1F), (0x7F, 0x9F)),
    "escapes": _escape,
    "numbers": _one_of(*"0123456789.,+-/%", "1e308", "½", "٣", "Ⅷ", "−5", "0x1F"),
    "punctuation": _repeated(_one_of(*".,;:!?…-–()[]\"'„“«»/\\。、！"), 3_000),
    "markup": _one_of(*_MARKUP),
    "case": _one_of("ß", "ẞ", "İ", "ı", "ſ", "ǅ", "ΣΑΣ", "ﬀ", "ŉ", "MiXeD", "SHOUTING"),
    "ordinary": _sentence,
    "long": lambda rng: " ".join(_sentence(rng) for _ in range(_size(rng, 200))),
    "empty": lambda rng: "",
}
_ALONE = ("ordinary", "long", "empty")  # need no sentence around them
KINDS = (*_BITS, "mixture")


def make_text(kind: str, rng: Random) -> str:
    """A text of that kind."""
    if kind == "mixture":
        kinds = rng.choices([*_BITS], k=rng.randint(2, 8))
        text = rng.choice(["", " ", "\t"]).join(_around(_BITS[kind], rng) for kind in kinds)
    elif kind in _ALONE:
        text = _BITS[kind](rng)
    else:
        text = _around(_BITS[kind], rng)
    return text if kind == "white space" else text[:_LONGEST]


def _around(bit: Bit, rng: Random) -> str:
    """Hostile bits alone, or strewn into a sentence, between its words or anywhere."""
    if rng.random() < 0.25:
        return _repeated(bit, 40)(rng) if rng.random() < 0.5 else bit(rng)
    words = _sentence(rng)
    parts: Sequence[str] = words.split(" ") if rng.random() < 0.5 else words
    glue = " " if isinstance(parts, list) else ""
    strewn = list(parts)
    for _ in range(_size(rng, 5)):
        strewn.insert(rng.randint(0, len(strewn)), bit(rng))
    return glue.join(strewn)


def to_bytes(text: str) -> bytes:
    """As a shell or a file has it; half surrogates are not UTF-8 there either."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


# What came of them


@dataclass(frozen=True)
class Tally:
    """What came of the texts of one kind."""

    inputs: int = 0
    tracebacks: int = 0
    hangs: int = 0
    wrong_lines: int = 0  # a wrong number of lines, or lines that are none
    wrong_exits: int = 0  # another exit code or message than there should be
    slowest: float = 0.0  # CPU seconds, of those in this process

    def __add__(self, other: "Tally") -> "Tally":
        sums = (a + b for a, b in zip(self.counts, other.counts, strict=True))
        return replace(Tally(*sums), slowest=max(self.slowest, other.slowest))

    @property
    def counts(self) -> tuple[int, ...]:
        """The inputs, and what went wrong."""
        return (self.inputs, self.tracebacks, self.hangs, self.wrong_lines, self.wrong_exits)

    @property
    def is_clean(self) -> bool:
        """Whether all went well."""
        return not any(self.counts[1:])


class Hang(BaseException):
    """Not an `Exception`, so that nobody catches it on the way."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _may_stand_for(source: str, translation: str) -> bool:
    """Whether it is one line of UTF-8, and blank where the source is."""
    try:
        translation.encode()
    except UnicodeEncodeError:
        return False
    is_line = "\n" not in translation and "\r" not in translation
    return is_line and bool(translation.strip()) == bool(source.strip())


def try_here(translator: Translator, text: str, n_best: int, patience: float) -> tuple[Tally, str]:
    """A text in this process, and what to say if it went wrong."""
    started = time.process_time()
    try:
        with _time_limit(patience):
            [translation] = translator.translate([text], n_best=n_best)
    except Hang:
        return Tally(1, hangs=1), "no translation"
    except Exception:
        return Tally(1, tracebacks=1), traceback.format_exc()
    good = all(_may_stand_for(text, candidate.text) for candidate in translation.candidates)
    seconds = time.process_time() - started
    return Tally(
        1, wrong_lines=int(not good), slowest=seconds
    ), f"translated as {_short(translation.text)}"


def try_stream(model: Path, data: bytes, through_pipe: bool, patience: float) -> tuple[Tally, str]:
    """The lines of `data` on stdin, from a file or a pipe."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()  # nothing follows the last line end
    sources = _readable(lines)
    complaint = f"stdin, line {len(sources) + 1}: byte " if len(sources) < len(lines) else ""
    ended = _run(["--quiet", "-m", str(model)], data, through_pipe, patience)
    return _judge(ended, len(lines), sources, complaint)


def try_arguments(model: Path, texts: Sequence[str], patience: float) -> tuple[Tally, str]:
    """The texts as arguments of one process."""
    given = [to_bytes(text.replace("\0", ""))[:_LONGEST_ARGUMENT] for text in texts]
    ended = _run(["--quiet", "-m", str(model), "--", *given], b"", False, patience)
    sources = [argument.decode("utf-8", "surrogateescape") for argument in given]
    return _judge(ended, len(texts), sources)


def _ends_alike(one: str, other: str) -> bool:
    return one.endswith("\r") == other.endswith("\r")


def _bare(line: str) -> str:
    return line.removesuffix("\r")


def _readable(lines: Iterable[bytes]) -> list[str]:
    """The lines before the first one that is not UTF-8."""
    good = []
    for line in lines:
        try:
            good.append(line.decode())
        except UnicodeDecodeError:
            break
    return good


@dataclass(frozen=True)
class Ended:
    """A process that did, or was ended."""

    code: int
    output: bytes
    errors: str
    hung: bool


def _judge(
    ended: Ended, inputs: int, sources: Sequence[str], complaint: str = ""
) -> tuple[Tally, str]:
    """The `sources` must be translated, and a `complaint` end the process, if there is one."""
    what = f"exit code {ended.code}, {_short(ended.errors)}, {_short(ended.output)}"
    if "Traceback" in ended.errors:
        return Tally(inputs, tracebacks=1), f"{what}\n{ended.errors}"
    if ended.hung:
        return Tally(inputs, hangs=1), what
    said = ended.errors.startswith(f"translate: {complaint}") and ended.errors.count("\n") == 1
    right_exit = (ended.code == 1 and said) if complaint else (ended.code, ended.errors) == (0, "")
    lines = ended.output.split(b"\n")
    if not lines[-1]:
        lines.pop()  # nothing follows the last line end
    found = _readable(lines)
    right_lines = (
        len(lines) == len(sources)
        and len(found) == len(lines)
        and all(map(_ends_alike, sources, found))
        and all(map(_may_stand_for, map(_bare, sources), map(_bare, found)))
    )
    return Tally(inputs, 0, 0, int(not right_lines), int(not right_exit)), what


def _run(options: Sequence[str | bytes], data: bytes, through_pipe: bool, patience: float) -> Ended:
    with (
        tempfile.TemporaryFile() as source,
        tempfile.TemporaryFile() as sink,
        tempfile.TemporaryFile() as complaints,
    ):
        source.write(data)
        source.seek(0)
        command = [*_COMMAND, *options]
        stdin = subprocess.PIPE if through_pipe else source
        with subprocess.Popen(command, stdin=stdin, stdout=sink, stderr=complaints) as process:
            if process.stdin:
                Thread(target=_feed, args=(process.stdin, data), daemon=True).start()
            hung = not _ends(process, sink.fileno(), patience)
        sink.seek(0)
        complaints.seek(0)
        errors = complaints.read().decode("utf-8", "replace")
        return Ended(process.returncode, sink.read(), errors, hung)


def _feed(pipe: IO[bytes], data: bytes) -> None:
    with suppress(BrokenPipeError):  # it ended at a line that is not UTF-8
        for start in range(0, len(data), _PORTION):
            pipe.write(data[start : start + _PORTION])
            pipe.flush()
    with suppress(BrokenPipeError):
        pipe.close()


def _ends(process: "subprocess.Popen[bytes]", sink: int, patience: float) -> bool:
    """Wait for the end of a process; one that writes nothing for too long is killed."""
    size, since = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(0.01)
        if os.fstat(sink).st_size != size:
            size, since = os.fstat(sink).st_size, time.monotonic()
        if time.monotonic() - since > patience:
            process.kill()
            return False
    return True


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 300 else f"{shown[:300]}... ({len(shown):,})"


# The command


@dataclass
class Campaign:
    """The texts of a seed, sent in each way, and what came of them so far."""

    model: Path
    seed: int
    patience: float
    advance: Callable[[int], object]  # is told how many more texts are done
    tallies: dict[str, Tally] = field(default_factory=lambda: dict.fromkeys(KINDS, Tally()))

    def here(self, number: int) -> None:
        """So many texts, in this process."""
        translator = Translator(self.model, threads=1)
        for index in range(number):
            kind, rng = self._turn("here", index)
            text = make_text(kind, rng)
            n_best = rng.choice([1, 1, 1, 3])
            self._note(
                kind, f"here {index}", text, try_here(translator, text, n_best, self.patience)
            )

    def streams(self, number: int) -> None:
        """So many lines or some more, in streams that have one kind each beside the ordinary."""
        index = 0
        while number > 0:
            kind, rng = self._turn("stream", index)
            lines = min(number, rng.randint(1, _LINES))
            share = rng.choice([0.05, 1.0])
            kinds = [kind if rng.random() < share else "ordinary" for _ in range(lines)]
            line_end = rng.choice(["\n", "\n", "\r\n"])
            data = to_bytes(line_end.join(make_text(kind, rng) for kind in kinds))
            data += rng.choice([b"\n", b""])
            through_pipe = rng.random() < 0.5
            result = try_stream(self.model, data, through_pipe, self.patience)
            self._note(kind, f"stream {index}", data, result, lines)
            number -= lines
            index += 1

    def arguments(self, number: int) -> None:
        """So many texts, as arguments of processes."""
        index = 0
        while number > 0:
            kind, rng = self._turn("arguments", index)
            texts = [make_text(kind, rng) for _ in range(min(number, rng.randint(1, _ARGUMENTS)))]
            result = try_arguments(self.model, texts, self.patience)
            self._note(kind, f"arguments {index}", texts, result, len(texts))
            number -= len(texts)
            index += 1

    def _turn(self, way: str, index: int) -> tuple[str, Random]:
        return KINDS[index % len(KINDS)], Random(f"{self.seed} {way} {index}")

    def _note(
        self, kind: str, case: str, given: object, result: tuple[Tally, str], texts: int = 1
    ) -> None:
        tally, what = result
        self.tallies[kind] += tally
        self.advance(texts)
        if not tally.is_clean:
            _CONSOLE.print(
                f"seed {self.seed}, {case}, {kind}: {_short(given)}: {what}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def _table(tallies: Mapping[str, Tally]) -> str:
    names = ("kind", "inputs", "tracebacks", "hangs", "wrong lines", "wrong exits", "slowest")
    total = sum(tallies.values(), Tally())
    lines = ["{:<16}{:>9}{:>12}{:>8}{:>13}{:>13}{:>10}".format(*names)]
    for kind, tally in [*tallies.items(), ("total", total)]:
        counts = "{:>9,}{:>12,}{:>8,}{:>13,}{:>13,}".format(*tally.counts)
        lines.append(f"{kind:<16}{counts}{tally.slowest:>8.2f} s")
    return "\n".join(lines)


@reported_errors(_NAME)
def fuzz(
    count: Annotated[int, typer.Option(min=1, help="Texts.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Another one, other texts.")] = 1,
    model: Annotated[Path, typer.Option(help="A model directory.")] = DEFAULT_MODEL,
    patience: Annotated[
        float, typer.Option(help="Seconds without a line are a hang; more on a busy machine.")
    ] = 10.0,
) -> None:
    """Send hostile texts to a translator, and end with 1 unless each becomes one line."""
    in_arguments, in_streams = count // 50, count // 5
    with Progress(console=_CONSOLE, transient=True, disable=not _CONSOLE.is_terminal) as bar:
        task = bar.add_task("texts", total=count)
        campaign = Campaign(model, seed, patience, lambda texts: bar.advance(task, texts))
        campaign.arguments(in_arguments)
        campaign.streams(in_streams)
        campaign.here(count - in_arguments - in_streams)
    print(_table(campaign.tallies))
    if not all(tally.is_clean for tally in campaign.tallies.values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(fuzz)
