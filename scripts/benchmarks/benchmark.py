"""How fast and how large things are here, and how that was measured.

`python scripts/benchmarks/benchmark.py train` measures training steps, in float32 and bfloat16 by
turns;
`... corpus` what it takes to prepare a corpus and to feed training with it;
`... translate` the model that ships, or another one; `... models RUN` the model of a run in every
form that it can be exported in; `... start` how soon `translate` answers; `... size` how much an
installation takes.
"""

import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.metadata import Distribution, distributions, version
from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from benchmark_engine import Measurement, Task, measure_apart
from rich.console import Console
from rich.progress import track

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.cli.exit import reported_errors
from seq2seq.config.model_config import SearchConfig
from seq2seq.config.recipe import Recipe
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.translation.translator import Translator

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

SENTENCES = Path("data/sample/test.en")
_REPOSITORY = Path(__file__).resolve().parents[2]
_BEAMS = (1, 5)
_SENTENCE = "Where is the station?"
_ALONE = 200  # sentences of the measurement one by one
_NAME = "benchmark"
_MEGABYTE = 1e6

_CONSOLE = Console(stderr=True)
_bar = partial(
    track,
    console=_CONSOLE,
    disable=not _CONSOLE.is_terminal,
    transient=True,
    refresh_per_second=1,  # drawing takes time from what is measured
)


@app.callback()
def _commands() -> None:
    """Benchmarks; each prints its figures and how they were measured."""


@app.command()
@reported_errors(_NAME)
def train(
    rounds: Annotated[int, typer.Option(help="Epochs over the batches, each precision.")] = 5,
    batch_tokens: Annotated[int, typer.Option(help="Budget of a batch.")] = 2500,
    vocabulary_size: Annotated[int, typer.Option(help="V, subwords.")] = 6000,
    hidden_size: Annotated[int, typer.Option(help="H.")] = 256,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 takes all.")] = 0,
    processes: Annotated[
        int, typer.Option(min=1, help="Compare one process with so many, a core each.")
    ] = 1,
) -> None:
    """Target tokens a second of the training steps of a run, from the batch to the moving average.

    The pairs are random ids with the lengths of image captions (13 to 14 subwords a side,
    deviation 4), dropout 0.3, word dropout 0.1, label smoothing 0.1, 2 + 2 layers.
    Each round runs the same 20 batches in float32 and in bfloat16; the figures are medians over
    the rounds.
    """
    _require_torch("train")
    from benchmark_train import measure_processes, measure_training

    bar = partial(_bar, description="training")
    if processes > 1:
        measure_processes(processes, rounds, batch_tokens, vocabulary_size, hidden_size, bar)
        return
    measure_training(rounds, batch_tokens, vocabulary_size, hidden_size, threads, bar)


@app.command()
@reported_errors(_NAME)
def corpus(
    recipe: Annotated[Path | None, typer.Argument(help="Of the corpus.")] = None,
    seconds: Annotated[float, typer.Option(help="CPU seconds of drawing batches.")] = 10.0,
    duplicates: Annotated[
        int, typer.Option(min=1, help="Without a recipe: find those among so many hashes.")
    ] = 10_000_000,
) -> None:
    """CPU seconds of preparing a corpus, and target tokens a CPU second of what feeds training.

    Without a recipe, those of finding duplicates among random hashes.
    """
    _require_torch("corpus")
    from benchmark_corpus import measure_corpus, measure_duplicates

    if recipe:
        measure_corpus(Recipe.load(recipe), seconds)
    else:
        measure_duplicates(duplicates)


@app.command()
@reported_errors(_NAME)
def translate(
    model: Annotated[Path, typer.Option(help="A model directory.")] = DEFAULT_MODEL,
    text: Annotated[Path, typer.Option(help="Sentences, one a line.")] = SENTENCES,
    rounds: Annotated[int, typer.Option(help="Rounds over the sentences.")] = 3,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Time for a sentence alone, and sentences a second side by side.

    Each sentence is translated alone, then all together, with beam 1 and 5 by turns; the figures
    are medians over all sentences and rounds.
    """
    from seq2seq.corpus import read_lines

    translator = Translator(model, threads)
    translator.translate(["Hello!"])
    sentences = read_lines(text)
    alone: dict[int, list[float]] = {beam_size: [] for beam_size in _BEAMS}
    together: dict[int, list[float]] = {beam_size: [] for beam_size in _BEAMS}
    for _, beam_size in _bar(list(product(range(rounds), _BEAMS)), "translating"):
        translate = partial(translator.translate, beam_size=beam_size)
        for sentence in sentences:
            alone[beam_size].append(_seconds(partial(translate, [sentence])))
        together[beam_size].append(_seconds(partial(translate, sentences)))
    print(
        f"{threads} threads, {len(sentences)} sentences, medians of {rounds} rounds\n\n"
        "beam  one sentence  together"
    )
    for beam_size in _BEAMS:
        one = statistics.median(alone[beam_size]) * 1e3
        rate = len(sentences) / statistics.median(together[beam_size])
        print(f"{beam_size:4}  {one:9.2f} ms  {rate:,.0f} sentences/s")


@dataclass(frozen=True)
class Subject:
    """A form of the model that `models` compares."""

    name: str
    path: Path  # a model directory; the training run for the torch engine
    prune: float | None = None


@dataclass(frozen=True)
class Setting:
    """What all forms are compared in."""

    threads: int
    alone: bool
    beam_size: int


Found = dict[tuple[Subject, Setting], list[Measurement]]


@app.command()
@reported_errors(_NAME)
def models(
    run: Annotated[Path, typer.Argument(help="The folder of a training run.")],
    corpus: Annotated[
        str | None,
        typer.Option(
            help="The test set, a prefix or TSV file.", show_default="the test set of the recipe"
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds over everything.")] = 5,
    threads: Annotated[
        list[int], typer.Option(min=1, help="CPU threads; give it again for another number.")
    ] = [1, 2],  # noqa: B006
    prune: Annotated[float, typer.Option(help="Nats, for the form with pruning.")] = 3.0,
    sentences: Annotated[
        int | None, typer.Option(min=1, help="Only so many sentences.", show_default="all")
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="Where the exported models stay.", show_default="nowhere"),
    ] = None,
) -> None:
    """BLEU, speed and memory of one trained model: with torch, and in all exported forms.

    Every measurement is a fresh process. In a round all forms come by turns, in each setting; the
    figures are medians over the rounds.
    """
    _require_torch("models")
    from seq2seq.corpus import read_parallel
    from seq2seq.training.run_dir import RunDir

    SearchConfig(prune=prune)  # an error comes before minutes of work
    available = _cores()
    if max(threads) > available:
        raise UsageError(f"--threads {max(threads)} needs as many cores; here it has {available}.")
    recipe = RunDir.open(run).recipe().corpus[0]
    source = corpus if corpus is not None else recipe.test
    if source is None:
        raise UsageError(f"{run}: its recipe names no test set; give one with --corpus.")
    text = read_parallel(source, recipe.source_language, recipe.target_language)
    test, references = list(text.source[:sentences]), list(text.target[:sentences])
    settings = [Setting(*chosen) for chosen in product(threads, (True, False), _BEAMS)]
    found: Found = {}
    with tempfile.TemporaryDirectory() if work is None else nullcontext(work) as folder:
        subjects = _export(run, Path(folder), prune)
        order = list(product(range(rounds), settings, subjects))
        for _, setting, subject in _bar(order, "translating"):
            task = Task(
                str(subject.path),
                test[:_ALONE] if setting.alone else test,
                setting.alone,
                setting.beam_size,
                subject.prune,
                setting.threads,
            )
            found.setdefault((subject, setting), []).append(measure_apart(task))
        model_sizes = [_folder_size(subject.path) for subject in subjects[1:]]

    pinned = "pinned to a core a thread" if hasattr(os, "sched_setaffinity") else "not pinned"
    print(
        f"{run}, {text.name}, {len(test):,} sentences\n"
        f"torch {version('torch')}, onnxruntime {version('onnxruntime')}, "
        f"medians of {rounds} rounds by turns\n"
        f"each measurement a process of its own, {pinned}\n"
        f"batch 1: the first {min(_ALONE, len(test))} sentences, one a call; batch 64: all\n"
        "from text to text, loading not counted; MB: peak of the process\n"
        f"ratio: speed to that of torch, median of the rounds; pruning: {prune} nats"
    )
    sizes = ["", *(f"{size / _MEGABYTE:.1f} MB" for size in model_sizes)]
    language = recipe.target_language
    _print_quality(subjects, sizes, references, language, threads[0], found)
    for number, alone in product(threads, (True, False)):
        _print_speed(subjects, number, alone, found)


def _export(run: Path, folder: Path, prune: float) -> list[Subject]:
    """Export the run's model in each form to `folder`; return them, the torch one first."""
    from seq2seq.training.exporter import export_run

    full, small, short = (folder / f"{name}.s2s" for name in ("fp32", "int8", "shortlist"))
    export_run(run, full, precision="fp32")
    export_run(run, small, shortlist=False)
    export_run(run, short)
    return [
        Subject("torch fp32", run),
        Subject("ONNX fp32", full),
        Subject("ONNX int8", small),
        Subject("+ shortlist", short),
        Subject("+ pruning", short, prune),
    ]


def _print_quality(
    subjects: Sequence[Subject],
    sizes: Sequence[str],
    references: Sequence[str],
    language: str,
    threads: int,
    found: Found,
) -> None:
    """BLEU on the whole test set. It is the same in all rounds."""
    from seq2seq.bleu_chrf import corpus_bleu

    print("\nBLEU         beam 1  beam 5     folder")
    for subject, size in zip(subjects, sizes, strict=True):
        row = f"{subject.name:<11}"
        for beam_size in _BEAMS:
            texts = found[subject, Setting(threads, False, beam_size)][0].texts
            row += f"  {corpus_bleu(texts, references, language):6.2f}"
        print(f"{row}  {size:>9}".rstrip())


def _print_speed(subjects: Sequence[Subject], threads: int, alone: bool, found: Found) -> None:
    """Write a table for a number of threads and a size of batch."""
    title = f"{threads} thread{'s' * (threads > 1)}, batch {1 if alone else 64}"
    print(f"\n{title:<24}beam {_BEAMS[0]}{'beam ' + str(_BEAMS[1]):>33}")
    print(" " * 11 + "  sent./s  tokens/s   ratio   MB" * len(_BEAMS))
    for subject in subjects:
        row = f"{subject.name:<11}"
        for beam_size in _BEAMS:
            setting = Setting(threads, alone, beam_size)
            mine, first = found[subject, setting], found[subjects[0], setting]
            pairs = zip(mine, first, strict=True)
            row += (
                f"  {statistics.median(len(turn.texts) / turn.seconds for turn in mine):7,.1f}"
                f"  {statistics.median(turn.tokens / turn.seconds for turn in mine):8,.0f}"
                f"  {statistics.median(peer.seconds / turn.seconds for turn, peer in pairs):6.2f}"
                f"  {statistics.median(turn.peak for turn in mine) / _MEGABYTE:3.0f}"
            )
        print(row)


@dataclass(frozen=True)
class Turn:
    """One run of a command, from its start as a process to its end."""

    seconds: float
    peak: int  # bytes


@app.command()
@reported_errors(_NAME)
def start(
    model: Annotated[
        Path | None, typer.Option(help="A model directory.", show_default="the model that ships")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds over the commands.")] = 21,
) -> None:
    """How long `translate` takes for a sentence, as a whole process, beside imports of others.

    The commands come by turns, after a round that does not count; the figures are medians.
    """
    program = _translate_program()
    options = [] if model is None else ["-m", str(model)]
    commands = {"translate": [*program, *options, _SENTENCE]}
    modules = ["numpy", "torch"] if _has_torch() else ["numpy"]
    for module in modules:
        commands[f"import {module}"] = [sys.executable, "-c", f"import {module}"]
    turns: dict[str, list[Turn]] = {name: [] for name in commands}
    for number in _bar(range(rounds + 1), "starting"):
        for name, words in commands.items():
            turn = _time_process(words)
            if number > 0:
                turns[name].append(turn)

    ours = turns["translate"]
    folder = DEFAULT_MODEL if model is None else model
    peak = statistics.median(turn.peak for turn in ours)
    print(
        f'{Path(program[-1]).name} "{_SENTENCE}"\n'
        f"{folder.name}, {_folder_size(folder) / _MEGABYTE:.1f} MB; "
        f"whole processes, medians of {rounds} rounds by turns\n\n"
        f"translate     {_median_ms(ours):5.0f} ms, {peak / _MEGABYTE:.0f} MB at the peak"
    )
    for module in modules:
        theirs = turns[f"import {module}"]
        pairs = zip(ours, theirs, strict=True)
        ratio = statistics.median(mine.seconds / peer.seconds for mine, peer in pairs)
        print(
            f"import {module}  {_median_ms(theirs):5.0f} ms; "
            f"translate takes {ratio:.2f} times as long"
        )
    if "torch" not in modules:
        print("import torch  not installed here")


def _translate_program() -> list[str]:
    """How `translate` is started here."""
    script = Path(sys.executable).with_name("translate")
    if script.exists():
        return [str(script)]
    return [sys.executable, "-P", "-m", "seq2seq.cli.translate"]


def _time_process(words: Sequence[str]) -> Turn:
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    # On Linux the peak is at least that of this process, which is light.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Seq2SeqError(f"{words[0]} ended with exit code {process.returncode}.")
    return Turn(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def _median_ms(turns: Sequence[Turn]) -> float:
    return statistics.median(turn.seconds for turn in turns) * 1e3


@app.command()
@reported_errors(_NAME)
def size() -> None:
    """Measure what `pip install .` adds to an empty virtual environment, without extras."""
    with tempfile.TemporaryDirectory() as folder, _CONSOLE.status("installing"):
        where = {"base": folder}
        packages = Path(sysconfig.get_path("purelib", "venv", where))
        python = str(Path(sysconfig.get_path("scripts", "venv", where)) / "python")
        _call([sys.executable, "-m", "venv", folder])
        before = {package.name for package in distributions(path=[str(packages)])}
        size_before = _folder_size(packages)
        # -I: what PYTHONPATH has is not installed.
        pip = [python, "-I", "-m", "pip", "--disable-pip-version-check", "--quiet"]
        _call([*pip, "install", str(_REPOSITORY)])
        total = _folder_size(packages) - size_before
        sizes = {
            package.name: _package_size(package)
            for package in distributions(path=[str(packages)])
            if package.name not in before
        }
    print(
        f"Python {platform.python_version()}, {sysconfig.get_platform()}: "
        f"{len(sizes)} packages, {total / _MEGABYTE:.1f} MB installed, the largest:\n"
    )
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True)[:5]:
        print(f"{name:<16}  {sizes[name] / _MEGABYTE:6.1f} MB")


def _call(words: Sequence[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise Seq2SeqError(f"{' '.join(words)} failed: {said}")


def _package_size(package: Distribution) -> int:
    files = (Path(str(package.locate_file(file))) for file in package.files or ())
    return sum(file.stat().st_size for file in files if file.is_file())


def _folder_size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _require_torch(command: str) -> None:
    if not _has_torch():
        raise Seq2SeqError(f"{command} needs torch: pip install 'seq2seq[train]'")


if __name__ == "__main__":
    app()
