"""Damage documents of every format in every way we could think of: no reader falls over.

    PYTHONPATH=tests python tests/stress/fuzz_documents.py --count 1000 --seed 1

Each case is a small sound document with damage, or one that somebody made who means ill. A child
process reads it, puts translations in, and reads the result again. It may end with a document or
with one sentence. A traceback, a signal, more than ten seconds of computing or too much memory is a
fault, and so is a file that is written or a connection that is tried. A case depends on seed and
number alone: `--only 17` repeats it. Linux and macOS.
"""

import os
import random
import re
import resource
import select
import signal
import stat
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Annotated, NamedTuple, NoReturn
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import typer
from helpers.sample_documents import SAMPLES, XLIFF_2
from helpers.zipped_documents import parts_of, zipped

from seq2seq.cli.exit import reported_errors
from seq2seq.documents.document import UnitTranslation
from seq2seq.documents.formats import FORMATS, format_named, open_document
from seq2seq.errors import Seq2SeqError

_FAULTS = ("traceback", "signal", "slow", "memory", "reached out", "output")
OUTCOMES = ("translated", "refused", *_FAULTS)
_NAME = "fuzz_documents"
_XML = ("xliff", "tmx", "android", "html")
_ZIPPED = ("docx", "odt", "epub")
_REACHING = ("socket.", "subprocess.", "urllib.", "os.system", "os.exec", "os.mkdir", "os.symlink")
_MOST_MESSAGE = 300  # characters of a sentence

Damage = Callable[[bytes, random.Random, int], bytes]
"""Returns a damaged document; the last is about how many bytes may be added."""


# Any document


def truncate(data: bytes, rng: random.Random, size: int) -> bytes:
    """It ends early: anywhere, or next to a sign that means something."""
    signs = [match.end() for match in re.finditer(rb"[<>\"'{}\[\]\\:&#\xc3]", data)]
    return data[: rng.choice(signs) if signs and rng.random() < 0.5 else rng.randrange(len(data))]


def flip(data: bytes, rng: random.Random, size: int) -> bytes:
    """Some bytes are others."""
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 2, 20])):
        damaged[rng.randrange(len(data))] = rng.choice([0, 10, 34, 60, 92, rng.randrange(256)])
    return bytes(damaged)


def cut(data: bytes, rng: random.Random, size: int) -> bytes:
    """A piece is missing, or stands somewhere else."""
    start, stop = sorted(rng.randrange(len(data)) for _ in "ab")
    rest = data[:start] + data[stop:]
    place = rng.randrange(len(rest) + 1)
    return rng.choice([rest, rest[:place] + data[start:stop] + rest[place:]])


def repeat(data: bytes, rng: random.Random, size: int) -> bytes:
    """A piece, a line or a key is there again and again."""
    lines = data.splitlines(keepends=True)
    piece = rng.choice(lines) if rng.random() < 0.7 else data[rng.randrange(len(data)) :]
    place = data.find(piece) + len(piece)
    return data[:place] + piece * rng.choice([1, 2, size // len(piece)]) + data[place:]


def null(data: bytes, rng: random.Random, size: int) -> bytes:
    """Signs that no text has."""
    signs = [b"\0", b"\x1b[31m", b"\x7f", b"\xef\xbf\xbe", b"\xe2\x80\xa8", b"\x0c", b"\r"]
    odd = rng.choice(signs)
    place = rng.randrange(len(data) + 1)
    return data[:place] + odd * rng.choice([1, 1, 1000]) + data[place:]


def encode(data: bytes, rng: random.Random, size: int) -> bytes:
    """The bytes are in another encoding than they should be, or in none."""
    text = data.decode("latin-1" if data.startswith(b"PK") else "utf-8")
    codecs = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "utf-8-sig", "utf-7"]
    codec = rng.choice(codecs)
    surrogate = text.replace("é", "\ud83d").encode("utf-8", "surrogatepass")
    label = rng.choice([b"UTF-16", b"utf-7", b"rot13", b"zip", b"x" * 99])
    declared = re.sub(rb"(?i)utf-8", label, data)
    return rng.choice([text.encode(codec, "replace"), surrogate, declared, b"\xc0\xaf" + data])


def exchange(data: bytes, rng: random.Random, size: int) -> bytes:
    """It is a document of another format, or none."""
    others = [*SAMPLES.values(), XLIFF_2.encode(), b"", b"\n", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n"]
    return rng.choice([*others, rng.randbytes(1000), b"\x1f\x8b\x08" + rng.randbytes(100)])


def number(data: bytes, rng: random.Random, size: int) -> bytes:
    """A number is huge."""
    numbers = [*re.finditer(rb"\d+", data)]
    match = rng.choice(numbers) if numbers else None
    huge = rng.choice([b"9" * 20, b"9" * 5000, b"1e999999", b"-1", b"0x" + b"f" * 99, b"9" * size])
    return data[: match.start()] + huge + data[match.end() :] if match else huge + data


def nest(data: bytes, rng: random.Random, size: int) -> bytes:
    """Something is inside of itself, up to a million times."""
    opener = rng.choice(
        [
            b"<a>", b"<b><i>", b"[", b"{", b"(", b'{"a":', b'[["', b"{n, plural, other {", b"> ",
            b"- ", b"* ", b"1. ", b"**", b"*a ", b"`", b"![", b"[](", b"<!--", b"<![CDATA[", b"&",
            b"&lt;", b"a: ", b"? ", b"!!a ", b"&a ", b"\\", b'"', b"'", b'""', b"$", b"${", b"<?",
            b"<!", b"</b>", b"~~", b"_a_ ", b"| a ", b"# ", b"  ", b"\t", b"<i>a", b"%(", b"{{",
            b"|", b": ", b"[^1]",
        ]
    )  # fmt: skip
    place = rng.choice([0, rng.randrange(len(data) + 1), len(data)])
    times = rng.choice([300, 5_000, 1_000_000])
    return data[:place] + opener * min(times, size // len(opener)) + data[place:]


def stretch(data: bytes, rng: random.Random, size: int) -> bytes:
    """A line is endless, or there are lines without end."""
    letters = [*map(str.encode, ("a", "é", "漢", "a-", "a.b", "1,", " "))]
    words = [*letters, b"word ", b"The dog sleeps. "]
    ends = [b"\n", b"\r\n", b"\n\n", b"<br>", b"\\n", b"a\n", b"\n1\n", b"x=1\n", b"- a\n", b"#~\n"]
    piece = rng.choice([*words, *ends])
    place = data.find(b"red") if rng.random() < 0.7 else rng.randrange(len(data) + 1)
    return data[:place] + piece * (size // len(piece)) + data[place:]


# XML and YAML


def entities(data: bytes, rng: random.Random, size: int) -> bytes:
    """Entities that grow, or lead outside; and what else is declared."""
    laughs = b'<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12)
    )
    declared = rng.choice(
        [
            laughs,
            b'<!ENTITY a11 "%b">' % (b"x" * size),
            b'<!ENTITY a11 SYSTEM "file:///etc/passwd">',
            b'<!ENTITY a11 SYSTEM "http://127.0.0.1:9/x">',
            b'<!ENTITY %% p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;',
            b'<!ENTITY % p "x"> %p;',
            b'<!ATTLIST b a CDATA "x">',
            b"<!ELEMENT a " + b"(" * 100_000 + b"a>",
        ]
    )
    outside = rng.choice([b"", b' SYSTEM "http://127.0.0.1:9/x.dtd"', b' PUBLIC "x" "/etc/passwd"'])
    head = re.match(rb"\s*(<\?xml[^>]*>)?\s*", data)
    assert head
    kind = b"<!DOCTYPE a%b [%b]>" % (outside, declared)
    body = data[head.end() :].replace(b"red", b"&a11;" * rng.choice([1, 1000]))
    return head[0] + kind + body


def attributes(data: bytes, rng: random.Random, size: int) -> bytes:
    """A tag has many attributes, the same one twice, or a value without end."""
    names = b"".join(b' a%d="x"' % number for number in range(min(100_000, size // 10)))
    long = b' a="%b"' % (b"x" * size)
    added = rng.choice([names, long, b' a="1" a="2"', b" xmlns=''", b" x:y='z'"])
    tags = [match.end() for match in re.finditer(rb"<[a-zA-Z]\w*", data)]
    place = rng.choice(tags) if tags else 0
    return data[:place] + added + data[place:]


def aliases(data: bytes, rng: random.Random, size: int) -> bytes:
    """YAML that grows, runs code, or refers to itself."""
    bomb = b"a0: &a0 [x, x]\n" + b"".join(
        b"a%d: &a%d [%b]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 40)
    )
    odd = [b"a: !!python/object/apply:os.system ['touch here']\n", b"a: &a [*a]\n", b"<<: *a\n"]
    return rng.choice([bomb, data + bomb, *odd, b"%YAML 9.9\n---\n" + data, data + b"---\n" + data])


# Zip files


def bomb(data: bytes, rng: random.Random, size: int) -> bytes:
    """It would be unpacked to far more than it is."""
    parts = parts_of(data)
    name = rng.choice([*parts])
    zeros = bytes(100 * size)
    elements = b"<a>" + b"<b/>" * (7 * size) + b"</a>"
    nested = zipped({"a.zip": zipped({"a": zeros})})
    makers: list[Callable[[], bytes]] = [
        lambda: zipped({**parts, "x": zeros}),
        lambda: zipped({**parts, name: zeros[: 30 * size]}),
        lambda: zipped({**parts, name: elements}),
        lambda: zipped({**parts, name: b"<a>" + b"x" * (30 * size) + b"</a>"}),
        lambda: zipped({**parts, "x.zip": nested}),
        lambda: overlapping(data, 1000),
        lambda: zipped({**parts, **{f"{n}": b"" for n in range(20_000)}}),
    ]
    return rng.choice(makers)()


def overlapping(data: bytes, times: int) -> bytes:
    """Many entries of the directory that share the bytes of one part."""
    with ZipFile(BytesIO(data)) as archive:
        place = archive.start_dir
        entries = b""
        for count in range(times):
            info = archive.infolist()[count % len(archive.infolist())]
            name = b"%d/%b" % (count, info.filename.encode())
            entries += struct.pack(
                "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, info.CRC, info.compress_size,
                info.file_size, len(name), 0, 0, 0, 0, 0, info.header_offset,
            ) + name  # fmt: skip
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, times, times, len(entries), place, 0)
    return data[:place] + entries + end


def names(data: bytes, rng: random.Random, size: int) -> bytes:
    """Parts whose names climb or collide, that are links, that are missing or empty."""
    parts = parts_of(data)
    name = rng.choice([*parts])
    if rng.random() < 0.3:
        return zipped({key: part for key, part in parts.items() if key != name} or {"a": b""})
    packed = BytesIO(zipped({**parts, name: rng.choice([b"", parts[name]])}))
    climbing = ["../x", "/etc/x", "a/../../x", "C:\\x", "..\\x"]
    odd = rng.choice([*climbing, "x\0y", "a" * 60_000, "é", ".", ""])
    with ZipFile(packed, "a", ZIP_DEFLATED) as archive:
        info = ZipInfo(odd)
        if rng.random() < 0.5:  # a symbolic link
            info = ZipInfo(rng.choice(["link", "word/media"]))
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, b"/etc/passwd")
    return packed.getvalue()


def directory(data: bytes, rng: random.Random, size: int) -> bytes:
    """The directory lies: sizes, checksums, places, flags, ways of packing."""
    damaged = bytearray(data)
    entries = [match.start() for match in re.finditer(b"PK\1\2", data)]
    heads = [match.start() for match in re.finditer(b"PK\3\4", data)]
    for _ in range(rng.choice([1, 2, 5])):
        entry, field = rng.choice(entries), rng.choice([6, 8, 10, 16, 20, 24, 28, 30, 32, 42])
        if rng.random() < 0.3:
            entry, field = rng.choice(heads), rng.choice([6, 8, 14, 18, 22, 26, 28])
        value = rng.choice([0, 1, 99, 0xFFFF, 0xFFFFFFFF, rng.getrandbits(32)])
        if field in (6, 8, 10, 26, 28, 30, 32):
            struct.pack_into("<H", damaged, entry + field, value & 0xFFFF)
        else:
            struct.pack_into("<L", damaged, entry + field, value)
    return bytes(damaged)


def inside(data: bytes, rng: random.Random, size: int) -> bytes:
    """A part is damaged as a document of XML may be."""
    parts = parts_of(data)
    name = rng.choice([*parts])
    damage = rng.choice([*_ANY, entities, attributes])
    return zipped({**parts, name: damage(parts[name] or b"a", rng, size)})


def outside(data: bytes, rng: random.Random, size: int) -> bytes:
    """What a part refers to is elsewhere."""
    parts = parts_of(data)
    places = [b"http://127.0.0.1:9/x", b"file:///etc/passwd", b"../../etc/passwd", b"/etc/passwd"]
    place = rb"\1" + rng.choice(places)
    reference = re.compile(rb'((?:full-path|href|Target|PartName|src)=")[^"]*')
    return zipped({name: reference.sub(place, part) for name, part in parts.items()})


_ANY = (truncate, flip, cut, repeat, null, encode, exchange, number, nest, stretch)


def damages(format_name: str) -> tuple[Damage, ...]:
    """Return what can be done to a document of a format."""
    if format_name in _ZIPPED:
        own: tuple[Damage, ...] = (bomb, names, directory, inside, inside, inside, outside)
        return (truncate, flip, cut, exchange, *own)
    markup = (entities, attributes) if format_name in _XML else ()
    return (*_ANY, *markup, *((aliases,) if format_name == "yaml" else ()))


class Case(NamedTuple):
    """A hostile document."""

    format_name: str
    damage: str
    data: bytes


def make_case(number: int, seed: int, size: int, format_name: str = "") -> Case:
    """Make the document number so and so; formats take turns."""
    rng = random.Random(f"{seed} {number}")
    name = format_name or FORMATS[number % len(FORMATS)].name
    sound = XLIFF_2.encode() if name == "xliff" and rng.random() < 0.5 else SAMPLES[name]
    damage = rng.choice(damages(name))
    data = damage(sound, rng, size)
    if rng.random() < 0.2 and data and name not in _ZIPPED:
        data = rng.choice([truncate, flip])(data, rng, size)
    return Case(name, damage.__name__, data)


# What readers make of it


def attempt(case: Case) -> tuple[str, str]:
    """Return the outcome, "translated", "refused" or "output", and what was told.

    Anything else that a reader raises is let through.
    """
    form = format_named(case.format_name)
    try:
        document = open_document(case.data, form, "en", "de")
        same = document.render([None] * len(document.units))
        translations = [UnitTranslation(unit.text.upper()) for unit in document.units]
        rendered = document.render(translations)
    except Seq2SeqError as error:
        told = str(error)
        is_sentence = told.isprintable() and told.endswith(".") and len(told) < _MOST_MESSAGE
        return "refused" if is_sentence else "output", told
    if same != case.data:
        return "output", "without translations it is not the same"
    try:
        open_document(rendered, form, "en", "de")
    except Seq2SeqError as error:
        return "output", f"what was written is refused: {error}"
    return "translated", ""


class Result(NamedTuple):
    """What came of a case."""

    outcome: str
    seconds: float  # of computing
    peak: int  # bytes
    told: str


def run(case: Case, memory: int, seconds: int) -> Result:
    """Try a case in a child process, and judge it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_child(case, writer, memory, seconds)
    os.close(writer)
    parts = list[bytes]()
    deadline = time.monotonic() + 60 * seconds  # for what waits and does not compute
    while select.select([reader], [], [], max(0, deadline - time.monotonic()))[0]:
        part = os.read(reader, 65536)
        if not part:
            break
        parts.append(part)
    else:
        os.kill(child, signal.SIGKILL)
    os.close(reader)
    _, status, usage = os.wait4(child, 0)
    outcome, _, told = b"".join(parts).decode(errors="replace").partition("\n")
    code = os.waitstatus_to_exitcode(status)
    if code:
        is_slow = code in (-signal.SIGXCPU, -signal.SIGKILL)
        outcome, told = "slow" if is_slow else "signal", f"signal {-code}"
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Result(outcome, usage.ru_utime + usage.ru_stime, peak, told)


def _be_child(case: Case, writer: int, memory: int, seconds: int) -> NoReturn:
    """Try a case within limits, and write what came of it."""
    reached = list[str]()

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and {*"wax+"} & {*str(arguments[1])}
        if writes or event.startswith(_REACHING):
            reached.append(f"{event} {arguments!r}"[:200])

    try:
        sys.addaudithook(watch)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (memory, hard))
        try:
            outcome, told = attempt(case)
        except MemoryError:
            outcome, told = "memory", traceback.format_exc()[-1000:]
        except BaseException:
            outcome, told = "traceback", traceback.format_exc()[-1500:]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        if reached:
            outcome, told = "reached out", "; ".join(reached)
        os.write(writer, f"{outcome}\n{told[:10_000]}".encode(errors="replace"))
        os._exit(0)
    finally:
        os._exit(1)


@reported_errors(_NAME)
def main(
    count: Annotated[int, typer.Option(min=1, help="How many cases.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed, other cases.")] = 1,
    only: Annotated[int | None, typer.Option(help="Just the case of this number.")] = None,
    format_name: Annotated[str, typer.Option("--format", help="Just this format.")] = "",
    size: Annotated[int, typer.Option(help="Bytes that large cases have.")] = 300_000,
    megabytes: Annotated[int, typer.Option(help="What a case may take.")] = 1000,
    seconds: Annotated[int, typer.Option(help="What a case may compute.")] = 10,
) -> None:
    """Print how many cases of each format ended how; exit code 1 where there was a fault."""
    if not hasattr(os, "fork"):
        raise Seq2SeqError("this needs os.fork, which Windows does not have.")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, sample in SAMPLES.items():  # imports what a child needs
        assert open_document(sample, format_named(name), "en", "de").units
    table: dict[str, Counter[str]] = {name: Counter() for name in SAMPLES}
    slowest, largest = (0.0, -1), (0, -1)
    for number in range(count) if only is None else [only]:
        case = make_case(number, seed, size, format_name)
        result = run(case, _address_space() + megabytes * 1_000_000, seconds)
        table[case.format_name][result.outcome] += 1
        slowest = max(slowest, (result.seconds, number))
        largest = max(largest, (result.peak, number))
        if result.outcome in _FAULTS or only is not None:
            print(
                f"case {number}, {case.format_name}, {case.damage}, {len(case.data):,} bytes: "
                f"{result.outcome} after {result.seconds:.1f} s, {result.peak / 1e6:.0f} MB; "
                f"{result.told.strip()}",
                file=sys.stderr,
            )
    _print_table(table)
    faults = sum(row[outcome] for row in table.values() for outcome in _FAULTS)
    print(
        f"slowest {slowest[0]:.1f} s (case {slowest[1]}), largest {largest[0] / 1e6:.0f} MB "
        f"(case {largest[1]}), {faults} faults"
    )
    if faults:
        sys.exit(1)


def _address_space() -> int:
    """Return the bytes of address space that this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _print_table(table: Mapping[str, Counter[str]]) -> None:
    rows = {**table, "all": sum(table.values(), Counter())}
    print(f"{'':<12}{'cases':>6}" + "".join(f"{outcome:>12}" for outcome in OUTCOMES))
    for name, row in rows.items():
        if row:
            cells = "".join(f"{row[outcome]:>12,}" for outcome in OUTCOMES)
            print(f"{name:<12}{row.total():>6,}{cells}")


if __name__ == "__main__":
    typer.run(main)
