"""The speed and BLEU of seq2seq beside those of OpenNMT-py, on the same test set and vocabulary.

`python scripts/benchmarks/benchmark_opennmt.py table --run runs/multi30k
--model fp32.s2s --model int8.s2s`
does everything: OpenNMT-py gets a virtual environment of its own, an LSTM of the same dimensions
is trained there on the corpus of the run, cut by the run's SentencePiece model, and both translate
the run's test set by turns. What is done already is not done again.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from seq2seq.bleu_chrf import corpus_bleu
from seq2seq.cli.exit import reported_errors
from seq2seq.config.model_config import ModelConfig
from seq2seq.corpus import ParallelText, prepare
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.tokenizer import UNK_ID, Tokenizer
from seq2seq.translation.translator import Translator

if TYPE_CHECKING:
    from seq2seq.training.run_dir import RunDir

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_NAME = "benchmark_opennmt"
_PEER = "OpenNMT-py==3.5.1"
# What it needs to train and translate; the package itself goes in with --no-deps, because it asks
# for torch below 2.3, and for a server and more besides.
_NEEDED = (
    "torch==2.13.0",
    "numpy<3",
    "configargparse",
    "pyahocorasick",
    "pyonmttok>=1.37,<2",
    "pyyaml",
    "rapidfuzz",
    "regex",
    "sacrebleu",
)
# It imports every transform of text that it has, wanted or not. These two are large and serve
# transforms that are not used here: empty modules do.
_EMPTY_MODULES = ("fasttext", "spacy")

_BATCH = 64  # sentences side by side, as in `seq2seq.translation.translator`
_BEAMS = (5, 1)
_SPECIAL = ("<unk>", "<blank>", "<s>", "</s>")

WorkOption = Annotated[
    Path, typer.Option(help="The folder for OpenNMT-py's environment, data, log and checkpoints.")
]
PythonOption = Annotated[
    str,
    typer.Option(
        show_default="the one that runs this",
        help="The Python for its environment: 3.11 or 3.12, for which it has wheels.",
    ),
]
RunOption = Annotated[Path, typer.Option(help="A seq2seq training run: corpus, vocabulary, shape.")]
StepsOption = Annotated[int, typer.Option(min=100, help="Steps to train OpenNMT-py for.")]
SeedOption = Annotated[int, typer.Option(min=0, help="The seed of its training.")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="CPU threads, of either system.")]

_WORK = Path("runs/opennmt")
_STEPS = 8000


@app.callback()
def _commands() -> None:
    """Speed and BLEU beside OpenNMT-py; each command first does what is missing before it."""


@app.command()
@reported_errors(_NAME)
def setup(work: WorkOption = _WORK, python: PythonOption = sys.executable) -> None:
    """Make OpenNMT-py's own virtual environment; needs the network or a local index of wheels.

    On Linux, pip takes a torch with CUDA libraries of several gigabytes. For the CPU build set
    PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu before.
    """
    Work(work).set_up(python)


@app.command()
@reported_errors(_NAME)
def train(
    run: RunOption,
    work: WorkOption = _WORK,
    steps: StepsOption = _STEPS,
    seed: SeedOption = 1,
    threads: ThreadsOption = 1,
    python: PythonOption = sys.executable,
) -> None:
    """Train OpenNMT-py on the corpus of a seq2seq run, and choose its best checkpoint.

    The model has the cell, the layers and the dimensions of the run's, input feeding and general
    attention; its optimiser is Adam, with a moving average of the weights. Of its eight
    checkpoints, the one with the best greedy BLEU on the validation text is chosen. 8,000 steps of
    Multi30k take about an hour on one core. A training that was cut short begins anew.
    """
    place = Work(work)
    chosen = _train(place, _open(run), steps, seed, threads, python)
    if chosen.steps != steps:
        raise UsageError(
            f"{work}: holds a training of {chosen.steps:,} steps; choose another with --work."
        )
    print(f"OpenNMT-py: {chosen}; {place.checkpoint(chosen.step)}")


@app.command()
@reported_errors(_NAME)
def table(
    run: RunOption,
    model: Annotated[
        list[Path], typer.Option(help="A model directory of the run; give it again for another.")
    ],
    work: WorkOption = _WORK,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds over all systems.")] = 3,
    threads: ThreadsOption = 1,
) -> None:
    """Translate the run's test set with both systems by turns and print the medians.

    Every turn is a fresh process, on the same core where the system can bind it. Imports and
    loading do not count. OpenNMT-py's time is its own (`-report_time`): from text that is cut into
    pieces already to pieces. Ours is that of `Translator.translate`: from text to text, cutting and
    joining included. Both sort the sentences by length and search 64 side by side. Tokens are the
    pieces of the translations, without the end symbol; BLEU is over the joined text. A ratio is the
    median of those of the rounds, lowest and highest behind it.
    """
    folder = _open(run)
    for path in model:
        _check_model(path, folder)
    tests = prepare(folder.recipe().corpus).test
    if not tests:
        raise UsageError(f"{run}: its recipe names no test corpus to translate.")
    test = tests[0].text
    place = Work(work)
    chosen = _train(place, folder, _STEPS, 1, threads, sys.executable)
    tokenizer = Tokenizer.load(folder.tokenizer_file)
    cores = _bind(threads)
    turns: dict[tuple[int, str], list[Turn]] = {}
    for number in range(rounds):
        for beam_size in _BEAMS:
            _say(f"round {number + 1} of {rounds}, beam {beam_size}")
            peer = place.translate("test", place.checkpoint(chosen.step), beam_size, threads)
            turns.setdefault((beam_size, "OpenNMT-py"), []).append(peer.decoded(tokenizer))
            for path in model:
                ours = _translate_apart(path, list(test.source), beam_size, threads)
                turns.setdefault((beam_size, str(path)), []).append(ours)
    print(
        f"{cores}, {len(test):,} sentences, {_BATCH} side by side, medians of {rounds} rounds\n"
        f"{_PEER.replace('==', ' ')}, {_NEEDED[0].replace('==', ' ')}: {chosen}\n"
    )
    print(_table(turns, test.target))


@app.command(hidden=True)
@reported_errors(_NAME)
def translate(model: Path, beam_size: int, threads: int) -> None:
    """Translate the JSON list of sentences on stdin; a turn of `table` in its own process."""
    sentences = json.load(sys.stdin)
    translator = Translator(model, threads)
    started = time.perf_counter()
    translations = translator.translate(sentences, beam_size=beam_size)
    seconds = time.perf_counter() - started
    hypotheses = [part.hypothesis for translation in translations for part in translation.parts]
    tokens = sum(len(hypothesis.ids) for hypothesis in hypotheses if hypothesis is not None)
    texts = [translation.text for translation in translations]
    json.dump(asdict(Turn(seconds, tokens, texts)), sys.stdout)


@dataclass(frozen=True)
class Turn:
    """One translation of a text; the texts of OpenNMT-py are ids until `decoded`."""

    seconds: float
    tokens: int
    texts: list[str]

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds

    def decoded(self, tokenizer: Tokenizer) -> Self:
        """Return the turn with text in place of ids."""
        ids = ([int(w) if w.isdigit() else UNK_ID for w in text.split()] for text in self.texts)
        return replace(self, texts=[tokenizer.decode(sentence).strip() for sentence in ids])


@dataclass(frozen=True)
class Chosen:
    """The checkpoint of OpenNMT-py that translates the validation text best."""

    step: int
    steps: int  # of the whole training
    minutes: float
    bleu: dict[str, float]  # greedy, on the validation text, by step

    def __str__(self) -> str:
        return (
            f"{self.steps:,} steps in {self.minutes:.0f} minutes; step {self.step:,} "
            f"validated best, greedy BLEU {self.bleu[str(self.step)]:.2f}"
        )


@dataclass(frozen=True)
class Work:
    """The folder of OpenNMT-py: `env/`, `data/`, `checkpoints/`, `train.yaml`, `train.log`."""

    path: Path

    @property
    def python(self) -> Path:
        """The Python of its environment."""
        return self.path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def data(self) -> Path:
        """Ids in files, `train.src` to `test.tgt`, their vocabulary and SentencePiece model."""
        return self.path / "data"

    @property
    def log(self) -> Path:
        """What OpenNMT-py said while it trained."""
        return self.path / "train.log"

    @property
    def best(self) -> Path:
        """Which checkpoint is the best, as `Chosen`; there when all is trained and validated."""
        return self.path / "best.json"

    def checkpoint(self, step: int) -> Path:
        """Where OpenNMT-py saves the model of a step."""
        return self.path / "checkpoints" / f"model_step_{step}.pt"

    def set_up(self, python: str) -> None:
        """Make the environment, unless it is there and whole."""
        done = self.path / "env" / "packages"
        packages = "\n".join((_PEER, *_NEEDED))
        if done.is_file() and done.read_text() == packages:
            return
        _say(f"making an environment for {_PEER} in {done.parent}")
        self.path.mkdir(parents=True, exist_ok=True)
        log = self.path / "setup.log"
        log.unlink(missing_ok=True)
        pip = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check"]
        _run([python, "-m", "venv", "--clear", str(done.parent)], log, "making the environment")
        _run([*pip, *_NEEDED], log, "pip")
        _run([*pip, "--no-deps", _PEER], log, "pip")
        where = [str(self.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        packages_folder = Path(_run(where, log, "asking for the environment's folder"))
        for name in _EMPTY_MODULES:
            (packages_folder / f"{name}.py").touch()
        _run([str(self.python), "-c", "import onmt.bin.translate"], log, "importing OpenNMT-py")
        done.write_text(packages)

    def encode(self, run: "RunDir") -> None:
        """Write corpus and vocabulary as ids, unless they are there.

        Ids stand for the pieces so that no character of theirs can break a line in two.
        """
        tokenizer = Tokenizer.load(run.tokenizer_file)
        done = self.data / "tokenizer.model"
        if done.is_file():
            if done.read_bytes() != tokenizer.model:
                raise UsageError(
                    f"{self.path}: holds data of another run; choose another folder with --work."
                )
            return
        corpus = prepare(run.recipe().corpus)
        self.data.mkdir(parents=True, exist_ok=True)
        for name, texts in (
            ("train", corpus.train),
            ("valid", corpus.valid),
            ("test", corpus.test),
        ):
            for direction, text in texts[:1]:
                sources = tokenizer.encode_sources(text.source, direction.target)
                _write_ids(self.data / f"{name}.src", sources)
                _write_ids(self.data / f"{name}.tgt", tokenizer.encode(text.target))
        # OpenNMT-py takes what it does not find for number 0. It looks for a mark of its own that
        # this vocabulary lacks, and were number 0 its padding it would find that mark everywhere.
        words = [*_SPECIAL, *map(str, range(len(_SPECIAL), len(tokenizer)))]
        _write_lines(self.data / "vocab", words)
        done.write_bytes(tokenizer.model)

    def train(self, model: ModelConfig, words: int, steps: int, seed: int, threads: int) -> None:
        """Train, unless the last checkpoint is there."""
        if self.checkpoint(steps).is_file():
            return
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)
        settings = self._settings(model, words, steps, seed)
        # JSON is YAML.
        (self.path / "train.yaml").write_text(json.dumps(settings, indent=1) + "\n")
        _say(f"OpenNMT-py trains for {steps:,} steps, and tells of them in {self.log}")
        self.log.unlink(missing_ok=True)
        config = str(self.path / "train.yaml")
        command = [str(self.python), "-u", "-m", "onmt.bin.train", "-config", config]
        _run(command, self.log, "OpenNMT-py's training", threads)

    def choose(self, valid: ParallelText, tokenizer: Tokenizer, threads: int) -> Chosen:
        """Translate the validation text with every checkpoint, and keep note of the best one."""
        checkpoints = (self.path / "checkpoints").glob("model_step_*.pt")
        steps = sorted(int(file.stem.rpartition("_")[2]) for file in checkpoints)
        bleu = {}
        for step in steps:
            _say(f"validating OpenNMT-py, step {step:,}")
            turn = self.translate("valid", self.checkpoint(step), 1, threads)
            bleu[step] = corpus_bleu(turn.decoded(tokenizer).texts, valid.target, "de")
        seconds = re.findall(r" (\d+) sec;", self.log.read_text(encoding="utf-8"))
        chosen = Chosen(
            max(bleu, key=bleu.__getitem__),
            steps[-1],
            int(seconds[-1]) / 60 if seconds else 0.0,
            {str(step): score for step, score in bleu.items()},
        )
        self.best.write_text(json.dumps(asdict(chosen), indent=1) + "\n")
        return chosen

    def translate(self, name: str, checkpoint: Path, beam_size: int, threads: int) -> Turn:
        """Translate the encoded text `name` as an ordinary user would, by its own command."""
        log = self.path / "translate.log"
        log.unlink(missing_ok=True)
        output = self.path / f"{name}.out"
        options = {
            "-model": checkpoint,
            "-src": self.data / f"{name}.src",
            "-output": output,
            "-beam_size": beam_size,
            "-batch_size": _BATCH,
            "-batch_type": "sents",
        }
        command = [str(self.python), "-m", "onmt.bin.translate", "-report_time"]
        command += [str(part) for option in options.items() for part in option]
        said = _run(command, log, "OpenNMT-py's translation", threads)
        lines = output.read_text(encoding="utf-8").splitlines()
        tokens = sum(len(line.split()) for line in lines)
        # It tells the seconds to a tenth, its speed more exactly.
        speed = re.search(r"Tokens per second: ([\d.]+)", said)
        if speed is None:
            raise Seq2SeqError(f"{log}: OpenNMT-py did not report its time.")
        return Turn(tokens / float(speed[1]), tokens, lines)

    def _settings(self, model: ModelConfig, words: int, steps: int, seed: int) -> dict[str, Any]:
        """Write the configuration of OpenNMT-py."""

        def text(name: str) -> Mapping[str, str]:
            return {f"path_{side}": str(self.data / f"{name}.{side}") for side in ("src", "tgt")}

        return {
            "data": {"corpus": text("train"), "valid": text("valid")},
            "save_data": str(self.data),
            "src_vocab": str(self.data / "vocab"),
            "tgt_vocab": str(self.data / "vocab"),
            "share_vocab": True,
            "src_vocab_size": words,
            "tgt_vocab_size": words,
            "encoder_type": "brnn",
            "decoder_type": "rnn",
            "rnn_type": model.cell.upper(),
            "input_feed": 1,
            "global_attention": "general",
            "enc_layers": model.encoder_layers,
            "dec_layers": model.decoder_layers,
            "hidden_size": model.hidden_size,
            "word_vec_size": model.hidden_size,
            "share_embeddings": True,
            "share_decoder_embeddings": True,
            "dropout": [0.3],
            "label_smoothing": 0.1,
            "optim": "adam",
            "learning_rate": 0.002,
            "learning_rate_decay": 0.5,
            "start_decay_steps": steps // 2,
            "decay_steps": steps // 10,
            "max_grad_norm": 1.0,
            "average_decay": 0.002,
            "normalization": "tokens",
            "batch_type": "tokens",
            "batch_size": 1000,
            "valid_batch_size": 2000,
            "bucket_size": 16384,
            "num_workers": 0,
            "train_steps": steps,
            "valid_steps": steps // 8,
            "save_checkpoint_steps": steps // 8,
            "keep_checkpoint": 20,
            "report_every": 50,
            "seed": seed,
            "save_model": str(self.path / "checkpoints" / "model"),
        }


def _open(path: Path) -> "RunDir":
    from seq2seq.training.run_dir import RunDir  # brings torch, which a turn does not need

    run = RunDir.open(path)
    cell = run.recipe().model.cell
    if cell == "rnn":
        raise UsageError(f"{path}: OpenNMT-py has LSTM and GRU cells, no plain ones as this run.")
    return run


def _check_model(path: Path, run: "RunDir") -> None:
    """Before hours are spent: a model directory that is whole, and of the same vocabulary."""
    if Translator(path, 1).tokenizer.model != run.tokenizer_file.read_bytes():
        raise UsageError(f"{path}: has another vocabulary than {run.path}; export that run.")


def _train(work: Work, run: "RunDir", steps: int, seed: int, threads: int, python: str) -> Chosen:
    """Everything up to the best checkpoint, as far as it is missing."""
    work.set_up(python)
    work.encode(run)
    if work.best.is_file():
        return Chosen(**json.loads(work.best.read_text()))
    recipe, tokenizer = run.recipe(), Tokenizer.load(run.tokenizer_file)
    work.train(recipe.model, len(tokenizer), steps, seed, threads)
    return work.choose(prepare(recipe.corpus).valid[0].text, tokenizer, threads)


def _translate_apart(path: Path, sentences: list[str], beam_size: int, threads: int) -> Turn:
    """Run a turn of seq2seq in a process of its own."""
    command = [sys.executable, __file__, "translate", str(path), str(beam_size), str(threads)]
    done = subprocess.run(
        command,
        input=json.dumps(sentences),
        stdout=subprocess.PIPE,
        env=_environment(threads),
        encoding="utf-8",
    )
    if done.returncode:
        raise Seq2SeqError(f"{path}: its translation ended with exit code {done.returncode}.")
    return Turn(**json.loads(done.stdout))


def _run(command: Sequence[str], log: Path, what: str, threads: int = 1) -> str:
    """Run a command; return what it says, which is appended to `log` too."""
    with log.open("ab") as file:
        start = file.tell()
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=_environment(threads),
        )
    said = log.read_bytes()[start:].decode(errors="replace").strip()
    if done.returncode:
        reason = said.splitlines()[-1].rstrip(".") if said else f"exit code {done.returncode}"
        raise Seq2SeqError(f"{what} failed: {reason}; all of it is in {log}.")
    return said


def _environment(threads: int) -> dict[str, str]:
    pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # Its checkpoints are pickles, which torch has refused to read by default since 2.6.
    return {**os.environ, **dict.fromkeys(pools, str(threads))} | {
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"
    }


def _bind(threads: int) -> str:
    """Bind this process, and so all that it starts, to as many cores; says what it did."""
    counted = f"{threads} thread{'s' if threads > 1 else ''}"
    if not hasattr(os, "sched_setaffinity"):
        return f"{counted}, bound to no core"
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    os.sched_setaffinity(0, cores)
    return f"{counted} on core {', '.join(map(str, cores))}"


def _table(turns: Mapping[tuple[int, str], Sequence[Turn]], references: Sequence[str]) -> str:
    """Write a row for each beam and system; ratios of tokens/s are within each round."""
    width = max(len(name) for _, name in turns)
    lines = [f"beam  {'':<{width}}   BLEU  sentences/s  tokens/s  ratio"]
    for (beam_size, name), own in turns.items():
        seconds = statistics.median(turn.seconds for turn in own)
        peer = turns[beam_size, "OpenNMT-py"]
        ratios = sorted(a.speed / b.speed for a, b in zip(own, peer, strict=True))
        ratio = f"{statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        lines.append(
            f"{beam_size:4}  {name:<{width}}  {corpus_bleu(own[0].texts, references, 'de'):5.2f}  "
            f"{len(references) / seconds:11,.1f}  {own[0].tokens / seconds:8,.0f}  "
            f"{ratio if own is not peer else '    1'}"
        )
    return "\n".join(lines)


def _write_ids(path: Path, ids: Sequence[Sequence[int]]) -> None:
    _write_lines(path, [" ".join(map(str, sentence)) for sentence in ids])


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
