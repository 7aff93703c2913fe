"""Damage model directories in every way we could think of: `translate` never falls over.

    python tests/stress/fuzz_models.py --model seq2seq/models/en-de.s2s --count 2000 --seed 1

Each case is a copy of a model directory with one kind of damage, half of them with checksums that
fit, as from someone who means ill. A child process loads it and translates two sentences. It may
answer with two lines, or with one sentence on stderr and exit code 1; a traceback, a signal, more
than ten seconds or too much memory is a fault. A case depends on seed and number alone: `--only 17`
repeats it, and `--keep` leaves the folders of faulty cases. Linux and macOS.
"""

import io
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn
from safetensors.numpy import load_file, save

import seq2seq.bundled
import seq2seq.translation.translator
from seq2seq.cli import translate
from seq2seq.cli.exit import reported_errors
from seq2seq.errors import Seq2SeqError
from seq2seq.model_dir import read as model_folder
from seq2seq.tokenizer import EOS_ID

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
SENTENCES = ("Where is the station?", "The old cat sees a mouse.")
OUTCOMES = ("translated", "refused", "traceback", "signal", "hang", "memory", "output")
_FAULTS = OUTCOMES[2:]
_ADDRESS_SPACE = 4 << 30  # bytes
_NAME = "fuzz_models"
_BINARY = ("weights.safetensors", "shortlist.safetensors", "tokenizer.model")

Damage = Callable[[Path, random.Random, Path], None]
"""Damages a folder; the last is another model, for parts of it."""


def truncate(folder: Path, rng: random.Random, other: Path) -> None:
    """A file ends early, at the first bytes or anywhere."""
    file = some_file(folder, rng)
    data = file.read_bytes()
    file.write_bytes(data[: rng.choice([0, 1, 7, 8, 9, 100, rng.randrange(len(data))])])


def flip(folder: Path, rng: random.Random, other: Path) -> None:
    """A few bits, mostly near the beginning or the end, where the structure is."""

    def change(data: bytearray) -> None:
        for _ in range(rng.choice([1, 3, 30])):
            data[near_an_end(len(data), rng)] ^= 1 << rng.randrange(8)

    edit(some_file(folder, rng), change)


def overwrite(folder: Path, rng: random.Random, other: Path) -> None:
    """Bytes become others: random, all ones, or digits."""

    def change(data: bytearray) -> None:
        for _ in range(rng.choice([1, 3, 30])):
            data[near_an_end(len(data), rng)] = rng.choice([255, 0, 127, 48 + rng.randrange(10)])

    edit(some_file(folder, rng), change)


def swap(folder: Path, rng: random.Random, other: Path) -> None:
    """Two blocks change places."""

    def change(data: bytearray) -> None:
        size = rng.choice([1, 4, 64, 1024])
        a, b = (near_an_end(len(data), rng) for _ in range(2))
        first, second = data[a : a + size], data[b : b + size]
        data[a : a + size], data[b : b + size] = second, first

    edit(some_file(folder, rng), change)


def splice(folder: Path, rng: random.Random, other: Path) -> None:
    """The beginning of one file and the end of another, or of another model's."""
    file, source = some_file(folder, rng), some_file(rng.choice([folder, other]), rng)
    data, tail = file.read_bytes(), source.read_bytes()
    cut = rng.choice([0.0, rng.random(), 1.0])
    file.write_bytes(data[: rng.randrange(len(data))] + tail[int(cut * len(tail)) :])


def delete(folder: Path, rng: random.Random, other: Path) -> None:
    """A file, or a piece of one."""
    if rng.random() < 0.3:
        some_file(folder, rng).unlink()
        return

    def change(data: bytearray) -> None:
        start = near_an_end(len(data), rng)
        del data[start : start + rng.choice([1, 4, 1000])]

    edit(some_file(folder, rng), change)


def duplicate(folder: Path, rng: random.Random, other: Path) -> None:
    """A piece of a file comes twice, or the whole file."""

    def change(data: bytearray) -> None:
        start = rng.choice([0, near_an_end(len(data), rng)])
        size = rng.choice([1, 100, 10_000, len(data)])
        data[start:start] = data[start : start + size]

    edit(some_file(folder, rng), change)


def zero(folder: Path, rng: random.Random, other: Path) -> None:
    """A stretch of zeros."""

    def change(data: bytearray) -> None:
        start = rng.choice([0, near_an_end(len(data), rng)])
        stretch = data[start : start + rng.choice([1, 8, 1000, len(data)])]
        data[start : start + len(stretch)] = bytes(len(stretch))

    edit(some_file(folder, rng), change)


def oversize(folder: Path, rng: random.Random, other: Path) -> None:
    """The header of a safetensors file is said to be larger than it is; or a file is, sparse."""
    file = some_file(folder, rng)
    if file.suffix == ".safetensors" and rng.random() < 0.7:
        size = rng.choice([1 << 63, (1 << 64) - 1, 1 << 32, 100 << 20, rng.randrange(1 << 20)])
        edit(file, lambda data: data.__setitem__(slice(0, 8), size.to_bytes(8, "little")))
    else:
        with file.open("r+b") as stream:
            stream.truncate(rng.choice([1 << 24, 1 << 28, 1 << 34]))  # takes no room on disk


def exchange(folder: Path, rng: random.Random, other: Path) -> None:
    """Files of another model, or two of this one with each other's name."""
    if rng.random() < 0.3:
        first, second = some_file(folder, rng), some_file(folder, rng)
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
        return
    names = [file.name for file in sorted(other.iterdir()) if file.name != model_folder.CARD]
    for name in rng.sample(names, rng.randint(1, len(names) - 1)):
        shutil.copyfile(other / name, folder / name)


def link(folder: Path, rng: random.Random, other: Path) -> None:
    """A file is a link: to a device, a file of the system, itself, nothing, a folder, another."""
    file = some_file(folder, rng)
    copy = file.rename(folder / "copy")
    targets = [
        "copy",
        str(copy),
        "/dev/zero",
        "/dev/null",
        "/dev/stdin",
        "/etc/passwd",
        "/etc/shadow",
        "/",
        ".",
    ]
    targets += [file.name, "nothing", "../../../etc/passwd", "/proc/self/mem", "/proc/self/maps"]
    targets += [str(other / file.name), str((other / file.name).parent), "README.md"]
    file.symlink_to(rng.choice(targets))


def special(folder: Path, rng: random.Random, other: Path) -> None:
    """A named pipe, a folder or a file that nobody may read in the place of a file."""
    file = some_file(folder, rng)
    kind = rng.randrange(3)
    if kind == 0:
        file.chmod(0)
        return
    file.unlink()
    if kind == 1:
        os.mkfifo(file)
    else:
        file.mkdir()


ODD_VALUES: list[Any] = [
    *json.loads(
        """[0, 1, 2, 3, 4, 5, 16, 64, 100, 1000, 100000, 1000000000, 2147483648,
        9223372036854775808, -1, 0.0, 0.5, -0.5, 1e-300, 1e300, NaN, Infinity, -Infinity, true,
        false, null, "", "a", "lstm", "gru", "rnn", "none", "fp32", "int8", "\\u0000",
        "\\ud800", "\\n", "\\u001b[31m", "../../etc/passwd", "/etc/passwd", [], {}, [1],
        {"a": 1}]"""
    ),
    *(10**400, 10**4299, -(10**40), "x" * 10**5),
]


def setting(folder: Path, rng: random.Random, other: Path) -> None:
    """Some settings have odd values, their sections included."""
    file = folder / model_folder.CONFIG
    table = json.loads(file.read_text(encoding="utf-8"))
    for _ in range(rng.choice([1, 1, 2])):
        section = rng.choice([table, *(one for one in table.values() if isinstance(one, dict))])
        if section:
            section[rng.choice(sorted(section))] = rng.choice(ODD_VALUES)
    if rng.random() < 0.8:  # or no more than the version would be looked at
        table["format_version"] = model_folder.FORMAT_VERSION
    file.write_text(json.dumps(table), encoding="utf-8")


def search(folder: Path, rng: random.Random, other: Path) -> None:
    """Large numbers for the search, and often a model that never wants to end a sentence."""
    file = folder / model_folder.CONFIG
    table = json.loads(file.read_text(encoding="utf-8"))
    table["search"] = {
        "beam_size": rng.choice([1, 1, 2, 5, 5, 50, 100, 1000]),
        "length_penalty": rng.choice([0.0, 1.0, 10.0]),
        "max_length_ratio": rng.choice([0.01, 1.0, 2.0, 2.0, 3.8, 100.0]),
        "max_length_extra": rng.choice([1, 10, 100, 190, 1000, 10**9]),
        "max_source_length": rng.choice([2, 10, 10, 50, 120, 10_000]),
    }
    if rng.random() < 0.7:
        file_of_weights = folder / model_folder.WEIGHTS
        weights = load_file(file_of_weights)
        weights["output_bias"][EOS_ID] = -1e6
        data = save(weights)
        file_of_weights.write_bytes(data)
        table["checksums"][model_folder.WEIGHTS] = sha256(data).hexdigest()
    file.write_text(json.dumps(table), encoding="utf-8")


def keys(folder: Path, rng: random.Random, other: Path) -> None:
    """Keys are missing, unknown, repeated or lead elsewhere; lists lie in lists."""
    file = folder / model_folder.CONFIG
    text = file.read_text(encoding="utf-8")
    table = json.loads(text)
    kind = rng.randrange(5)
    if kind == 0:
        depth = rng.choice([100, 900, 2000, 20_000, 100_000])
        opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
        table["model"] = "nested"
        nested = opening * depth + "1" + closing * depth
        file.write_text(json.dumps(table).replace('"nested"', nested), encoding="utf-8")
        return
    if kind == 1:
        name = rng.choice([*table, *table["model"]])
        file.write_text(text.replace(f'"{name}"', f'"{rng.choice(sorted(table))}"'), "utf-8")
        return
    section = rng.choice([table, *(one for one in table.values() if isinstance(one, dict))])
    if kind == 2:
        del section[rng.choice(sorted(section))]
    else:
        paths = ("../README.md", "/etc/passwd", "weights.safetensors/../x", "a\nb", "y" * 10**5, "")
        section[rng.choice(paths)] = rng.choice(ODD_VALUES)
    file.write_text(json.dumps(table), encoding="utf-8")


def header(folder: Path, rng: random.Random, other: Path) -> None:
    """The header of a safetensors file: types, shapes and places that are not so."""
    files = [file for file in sorted(folder.glob("*.safetensors")) if file.stat().st_size > 8]
    file = rng.choice(files)
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + size])
    names = sorted(table)
    for _ in range(rng.choice([1, 2])):
        tensor = table[rng.choice(names)]
        kind = rng.randrange(5)
        if kind == 0:
            types = "F16 F32 F64 BF16 I8 U8 BOOL I64 F8_E4M3 F4 C64 X"
            tensor["dtype"] = rng.choice(types.split())
        elif kind == 1:
            shapes = [[], [0], [-1], [1 << 62, 4], [*tensor["shape"], 1], [1] * 100]
            tensor["shape"] = rng.choice([*shapes, tensor["shape"][::-1]])
        elif kind == 2:
            tensor["data_offsets"] = rng.choice(
                [[0, 0], [0, 1 << 62], [8, 0], table[rng.choice(names)]["data_offsets"], [-1, 4]]
            )
        elif kind == 3:
            table[rng.choice(["x", "\n", "/etc/passwd", "\x1b[2J", "z" * 10**5])] = dict(tensor)
        else:
            table["__metadata__"] = rng.choice([{"a": "b" * 10**6}, {"a": 1}, [], None])
    text = json.dumps(table).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


def numbers(folder: Path, rng: random.Random, other: Path) -> None:
    """Weights that are not finite, huge, tiny, negative or random; a shortlist of any ids."""
    files = sorted(folder.glob("*.safetensors"))
    file = rng.choice(files)
    data = bytearray(file.read_bytes())
    size = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + size])
    values = (float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e-45, -1.0, 1.0, 1e4, 1e-9)
    patterns = [struct.pack("<f", value) for value in values]
    patterns += [bytes(4), b"\xff" * 4, b"\x80" * 4, b"\x7f" * 4, b"\xff\x7b" * 2, b"\x01\x00" * 2]
    for name in rng.sample(sorted(table), min(len(table), rng.choice([1, 1, 5, len(table)]))):
        start, end = (8 + size + offset for offset in table[name]["data_offsets"])
        if rng.random() < 0.3:
            data[start:end] = rng.randbytes(end - start)
        else:
            data[start:end] = (rng.choice(patterns) * ((end - start) // 4 + 1))[: end - start]
    file.write_bytes(data)


def pieces(folder: Path, rng: random.Random, other: Path) -> None:
    """The tokenizer: pieces that are long, odd or many, and settings that its trainer has not."""
    file = folder / model_folder.TOKENIZER
    data = file.read_bytes()
    if rng.random() < 0.3:  # the same number of pieces, some of them with other letters
        changed = bytearray(data)
        starts = [match.end() for match in re.finditer(rb"\x0a.\x0a(?=.[^<])", data[:-600])]
        for start in rng.sample(starts, rng.choice([1, 30, len(starts)])):
            size = data[start]
            content = rng.choice([rng.randbytes(size), b"\xff" * size, b" " * size])
            changed[start + 1 : start + 1 + size] = content
        data = bytes(changed)
    specifications = data.index(b"\x12", len(data) - 600) if rng.random() < 0.5 else len(data)
    added = bytearray()
    for _ in range(rng.choice([1, 10, 1000])):
        odd = [b"", b"\0", b"\xff", rng.randbytes(4), b"a" * 300, b"\n", b"x" * 10**6]
        letters = rng.choice(odd) if rng.random() < 0.5 else b"%x" % rng.getrandbits(40)
        score = struct.pack("<f", rng.choice([0.0, -1e30, 5.5, float("nan"), float("-inf")]))
        kind = bytes([0x18, rng.randrange(9)]) if rng.random() < 0.5 else b""
        added += field(1, field(1, letters) + b"\x15" + score + kind)
        if len(added) > 1 << 22:
            break
    table = (64).to_bytes(4, "little") + rng.randbytes(64) + b"abc\0"
    settings = [field(3, field(2, table)), field(5, field(2, table)), field(4, rng.randbytes(9))]
    settings += [field(2, bytes([0x18, rng.randrange(6)])), field(2, field(44, b"\xff\n")), b""]
    settings += [
        field(2, field(rng.randrange(1, 60), b"a" * 5)),
        field(3, rng.randbytes(5)),
        field(2, varint(rng.choice([24, 35]) << 3) + bytes([rng.randrange(2)])),
        field(3, b"".join(bytes([number << 3, rng.randrange(2)]) for number in (3, 4, 5))),
    ]
    if rng.random() < 0.5:
        added = bytearray()
    file.write_bytes(data[:specifications] + added + data[specifications:] + rng.choice(settings))


def field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """A whole number of a protocol buffer."""
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


KINDS: tuple[Damage, ...] = (
    *(truncate, flip, overwrite, swap, splice, delete, duplicate, zero, oversize, exchange, link),
    *(special, setting, search, keys, header, numbers, pieces),
)


def some_file(folder: Path, rng: random.Random) -> Path:
    """One of the files that are read; none that was made endless or leads elsewhere."""
    files = [folder / name for name in (*_BINARY, model_folder.CONFIG)]
    return rng.choice([file for file in files if is_small(file) and not file.is_symlink()])


def is_small(file: Path) -> bool:
    """Whether it is safe to read it whole here."""
    return file.is_file() and file.stat().st_size <= 1 << 25


def edit(file: Path, change: Callable[[bytearray], object]) -> None:
    """Change the bytes of a file."""
    data = bytearray(file.read_bytes())
    change(data)
    file.write_bytes(data)


def near_an_end(size: int, rng: random.Random) -> int:
    """A place in so many bytes."""
    within = rng.choice([16, 1000, size])
    place = rng.randrange(min(size, within))
    return place if rng.random() < 0.7 else size - 1 - place


def seal(folder: Path) -> None:
    """Write checksums that fit, as far as there are files to read and a config to write to."""
    file = folder / model_folder.CONFIG
    try:
        table = json.loads(file.read_bytes()) if is_small(file) else None
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(table, dict) or not isinstance(table.get("checksums"), dict):
        return
    for name in _BINARY:
        if is_small(folder / name):
            with suppress(OSError):  # of what a link leads to
                table["checksums"][name] = sha256((folder / name).read_bytes()).hexdigest()
    if file.is_symlink():
        file.unlink()
    file.write_text(json.dumps(table), encoding="utf-8")


@dataclass(frozen=True)
class Result:
    """What a child process did."""

    outcome: str
    seconds: float
    peak: int  # bytes
    told: str  # what it wrote to stderr


def run(folder: Path, memory: int, seconds_allowed: float) -> Result:
    """Load and translate in a child process, and judge it."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        reader, writer = os.pipe()
        started = time.perf_counter()
        child = os.fork()
        if child == 0:
            os.close(reader)
            be_child(folder, output.fileno(), errors.fileno())
        os.close(writer)  # the child's copy is closed as it ends
        finished = bool(select.select([reader], [], [], seconds_allowed)[0])
        os.close(reader)
        if not finished:
            os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - started
        output.seek(0)
        errors.seek(0)
        said, told = output.read(), errors.read().decode(errors="replace")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    code = os.waitstatus_to_exitcode(status)
    if not finished:
        outcome = "hang"
    elif code < 0:
        outcome = "signal"
    elif "Traceback" in told:
        outcome = "traceback"
    elif peak > memory:
        outcome = "memory"
    elif code == 0 and said.count(b"\n") == len(SENTENCES) and not told:
        outcome = "translated"
    elif code == 1 and told.count("\n") == 1 and told[-2:] in (".\n", "?\n"):
        outcome = "refused"
    else:
        outcome = "output"
    return Result(outcome, seconds, peak, told)


def be_child(folder: Path, output: int, errors: int) -> NoReturn:
    """The command `translate` in a process that was forked."""
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(os.fdopen(number, "wb"), write_through=True) for number in (1, 2)
        )
        words = ["-m", str(folder), "--threads", "1", "--quiet", *SENTENCES]
        with reported_errors("translate"):
            translate.app(words, prog_name="translate")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def case(
    number: int, seed: int, bases: list[Path], folder: Path, kinds: Sequence[Damage] = KINDS
) -> str:
    """Make the damaged copy number so and so at `folder`; gives the kind of damage."""
    rng = random.Random(f"{seed} {number}")
    damage = kinds[number % len(kinds)]
    # Half of the cases with the model that was given, the others with the small ones.
    base = bases[0] if rng.random() < 0.5 else rng.choice(bases)
    other = rng.choice([one for one in bases if one != base])
    shutil.copytree(base, folder)
    for _ in range(rng.choice([1, 1, 1, 2])):
        try:
            damage(folder, rng, other)
        except Exception:  # after the first damage there may be nothing left to damage
            break
    if number // len(kinds) % 2:
        seal(folder)
    return damage.__name__


@reported_errors(_NAME)
def main(
    model: Annotated[Path, typer.Option(help="A model directory.")] = seq2seq.bundled.DEFAULT_MODEL,
    count: Annotated[int, typer.Option(min=1, help="How many cases.")] = 2000,
    seed: Annotated[int, typer.Option(help="Another seed, other cases.")] = 1,
    only: Annotated[int | None, typer.Option(help="Just the case of this number.")] = None,
    megabytes: Annotated[int, typer.Option(help="What a case may take at its peak.")] = 512,
    kind: Annotated[str, typer.Option(help="Just this kind of damage, such as pieces.")] = "",
    seconds: Annotated[float, typer.Option(help="What a case may take.")] = 10,
    keep: Annotated[Path | None, typer.Option(help="Leave folders of faulty cases here.")] = None,
) -> None:
    """Print how many cases of each kind ended how; exit code 1 where there was a fault."""
    if not hasattr(os, "fork"):
        raise Seq2SeqError("this needs os.fork, which Windows does not have.")
    # Of children too. More than what is allowed; it only keeps the machine from harm.
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    console = Console(stderr=True)
    bases = [model.resolve(), *(GOLDEN / name for name in ("int8", "fp32"))]
    kinds = [damage for damage in KINDS if kind in ("", damage.__name__)]
    if not kinds:
        raise Seq2SeqError(f"there is no kind {kind!r}.")
    table: dict[str, Counter[str]] = {damage.__name__: Counter() for damage in kinds}
    slowest, largest = 0.0, 0
    # Refreshed by hand: a thread of its own would be there when a child is forked.
    bar = Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
        disable=not console.is_terminal,
    )
    with tempfile.TemporaryDirectory() as work, bar:
        task = bar.add_task("damaging", total=count)
        for number in range(count) if only is None else [only]:
            folder = Path(work) / "model.s2s"
            name = case(number, seed, bases, folder, kinds)
            result = run(folder, megabytes * 1_000_000, seconds)
            table[name][result.outcome] += 1
            slowest, largest = max(slowest, result.seconds), max(largest, result.peak)
            if result.outcome in _FAULTS or only is not None:
                told = result.told if only is not None else result.told[-300:]
                print(
                    f"case {number}, {name}: {result.outcome} after {result.seconds:.1f} s, "
                    f"{result.peak / 1e6:.0f} MB; {told.strip()}",
                    file=sys.stderr,
                )
            if result.outcome in _FAULTS and keep is not None:
                shutil.copytree(folder, keep / str(number), symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(folder)
            bar.update(task, advance=1, refresh=True)

    rows = {**table, "all": sum(table.values(), Counter())}
    print(f"{'':<10}{'cases':>8}" + "".join(f"{outcome:>12}" for outcome in OUTCOMES))
    for name, found in rows.items():
        cells = "".join(f"{found[outcome]:>12,}" for outcome in OUTCOMES)
        print(f"{name:<10}{found.total():>8,}{cells}")
    faults = sum(rows["all"][outcome] for outcome in _FAULTS)
    print(f"slowest {slowest:.1f} s, largest {largest / 1e6:.0f} MB, {faults} faults")
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    # What every child needs is imported once; none of it starts a thread.
    import onnxruntime  # noqa: F401

    typer.run(main)
