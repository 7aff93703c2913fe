"""A Transformer beside seq2seq's LSTM: same corpus, vocabulary, batches and number of parameters.

`python scripts/benchmarks/train_transformer.py train --run runs/multi30k`
trains PyTorch's own Transformer on the batches of a run, and
`python scripts/benchmarks/train_transformer.py table --run runs/multi30k --model int8.s2s`
translates the run's test set with it and with the exported run by turns. CTranslate2 decodes for
the Transformer, as its users would have it: `pip install 'ctranslate2>=4.5,<5'`. Without hours of
training, `speed` compares the time of an untrained one.
"""

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seq2seq.bleu_chrf import corpus_bleu, score
from seq2seq.cli.exit import reported_errors
from seq2seq.corpus import ParallelText, prepare
from seq2seq.corpus.batches import Batch, make_batch
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.nn.dropout import Dropout
from seq2seq.tokenizer import BOS_ID, EOS_ID, UNK_ID, Tokenizer
from seq2seq.training.loss import smoothed_cross_entropy
from seq2seq.training.optimizer_step import autocast, learning_rate
from seq2seq.training.run_dir import RunDir
from seq2seq.training.training_pairs import TrainingPairs
from seq2seq.training.validation import HeldOut
from seq2seq.translation.translator import Translator

if TYPE_CHECKING:
    from ctranslate2 import Translator as PeerTranslator

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_NAME = "train_transformer"
_SEARCH_BATCH = 64  # sentences side by side, as in `seq2seq.translation.translator`
_BEAMS = (5, 1)
_POSITIONS = 512
_AVERAGED = (1, 3, 5, 10)  # last checkpoints; validation chooses
_PENALTIES = (0.0, 0.6, 1.0, 1.4)  # exponents of the length; validation chooses
_CHECKED = 50  # pairs, when a model has been converted
_CPU = torch.device("cpu")

RunOption = Annotated[Path, typer.Option(help="A seq2seq training run: corpus, vocabulary.")]
WorkOption = Annotated[Path, typer.Option(help="The folder of the Transformer's training.")]
RoundsOption = Annotated[int, typer.Option(min=1, help="Rounds over all systems.")]
AloneOption = Annotated[
    int, typer.Option(min=1, help="So many sentences are also translated one by one.")
]
_WORK = Path("runs/transformer")

Translate = Callable[[list[str], int], list[str]]
"""From sentences and a beam size to translations."""


@dataclass(frozen=True)
class Settings:
    """The shape of the Transformer and how it is trained; the batches are the run's.

    4 + 4 layers with dropout 0.3 are what small Transformers on Multi30k have; 192 units give 5.3
    million parameters with 10,000 subwords. Warm-up and the inverse square root are those of
    Vaswani et al. (2017), with norms before each part (Xiong et al. 2020).
    """

    units: int = 192
    feed_forward: int = 512
    layers: int = 4  # of each, encoder and decoder
    heads: int = 4
    dropout: float = 0.3
    learning_rate: float = 2e-3  # its peak
    warmup_steps: int = 1000
    label_smoothing: float = 0.1
    clip_norm: float = 1.0


class Transformer(nn.Module):
    """Encoder and decoder of PyTorch, with one embedding for source, target and softmax."""

    def __init__(self, settings: Settings, vocabulary_size: int) -> None:
        super().__init__()
        units, dropout = settings.units, settings.dropout
        common: dict[str, Any] = {
            "d_model": units,
            "nhead": settings.heads,
            "dim_feedforward": settings.feed_forward,
            "dropout": dropout,
            "batch_first": True,
            "norm_first": True,
        }
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**common),
            settings.layers,
            nn.LayerNorm(units),
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(**common), settings.layers, nn.LayerNorm(units)
        )
        for parameter in self.parameters():
            if parameter.dim() > 1:  # else all layers would begin with the weights of the first
                nn.init.xavier_uniform_(parameter)
        self.embedding = nn.Embedding(vocabulary_size, units)
        nn.init.normal_(self.embedding.weight, std=units**-0.5)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("positions", sinusoids(_POSITIONS, units), persistent=False)
        for module in list(self.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Dropout):  # the same masks, drawn faster on a CPU
                    setattr(module, name, Dropout(dropout))

    def forward(self, src: Tensor, lengths: Tensor, tgt_in: Tensor, kept: Tensor) -> Tensor:
        """Teacher forcing: src (B, S), lengths (B,), tgt_in (B, T) -> (P, H) at the kept positions.

        `kept` (P,) are row numbers of a (B * T, H) view.
        """
        padding = torch.arange(src.shape[1]) >= lengths.unsqueeze(1)  # (B, S)
        size = tgt_in.shape[1]
        future = torch.ones(size, size, dtype=torch.bool).triu(1)
        memory = self.encoder(self._embed(src), src_key_padding_mask=padding)
        decoded: Tensor = self.decoder(
            self._embed(tgt_in), memory, tgt_mask=future, memory_key_padding_mask=padding
        )
        return decoded.flatten(0, 1).index_select(0, kept)

    def _embed(self, ids: Tensor) -> Tensor:
        """ids (B, T) -> (B, T, H)"""
        scaled = self.embedding(ids) * math.sqrt(self.embedding.embedding_dim)
        embedded: Tensor = self.dropout(scaled + self.get_buffer("positions")[: ids.shape[1]])
        return embedded


def summed_loss(model: Transformer, batch: Batch, smoothing: float) -> tuple[Tensor, Tensor]:
    """Sum the loss and the negative log-likelihood over a batch."""
    real = np.arange(batch.tgt_out.shape[1]) < batch.tgt_lengths[:, None]  # (B, T)
    src, lengths, tgt_in, kept, targets = map(
        torch.from_numpy,
        (batch.src, batch.src_lengths, batch.tgt_in, np.flatnonzero(real), batch.tgt_out[real]),
    )
    readout = model(src, lengths, tgt_in, kept)
    return smoothed_cross_entropy(
        readout, model.embedding.weight, model.output_bias, targets, smoothing
    )


def sinusoids(positions: int, units: int) -> Tensor:
    """Compute the encodings of positions (positions, units) of Vaswani et al. (2017), 3.5."""
    rates = torch.exp(torch.arange(0, units, 2) * (-math.log(10_000.0) / units))
    angles = torch.arange(positions).unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


@app.callback()
def _commands() -> None:
    """Train a Transformer as large as the LSTM of a run, and compare the two."""


@app.command()
@reported_errors(_NAME)
def train(
    run: RunOption,
    work: WorkOption = _WORK,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs in all.")] = 24,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Train a Transformer on the batches of a run; goes on where it was interrupted.

    The same seed and vocabulary give the same batches in the same order, and so as many target
    tokens an epoch, as the run had. Each epoch ends with the perplexity on the validation text, a
    line of `metrics.jsonl`, and weights that `table` averages.
    """
    torch.set_num_threads(threads)
    Training(work, RunDir.open(run), Settings(), seed).run(epochs)


@app.command()
@reported_errors(_NAME)
def table(
    run: RunOption,
    model: Annotated[
        list[Path], typer.Option(help="A model directory of the run; give it again for another.")
    ],
    work: WorkOption = _WORK,
    rounds: RoundsOption = 3,
    alone: AloneOption = 200,
) -> None:
    """Translate the run's test set with all systems by turns on one thread and print the medians.

    Time is that of the processor, which other programs on the same core lengthen less than that of
    the clock, and runs from text to text. What imports and loading take does not count.
    """
    folder = RunDir.open(run)
    corpus = prepare(folder.recipe().corpus)
    if not corpus.test:
        raise UsageError(f"{run}: its recipe names no test corpus to translate.")
    direction, test = corpus.test[0]
    tokenizer = Tokenizer.load(folder.tokenizer_file)
    choice = choose(work, tokenizer, corpus.valid[0].text, direction.target)
    print(f"Transformer: {choice}\n")
    systems: dict[str, Translate] = {}
    for precision in ("float32", "int8"):
        peer = Peer(work, tokenizer, direction.target, precision, choice.penalty)
        systems[f"Transformer, CTranslate2, {precision}"] = peer.translate
    for path in model:
        systems[f"seq2seq, {path}"] = _ours(path, tokenizer)
    turns = _turns(systems, list(test.source), rounds, alone)
    print(_table(turns, list(test.target), direction.target))


@app.command()
@reported_errors(_NAME)
def speed(
    model: Annotated[Path, typer.Option(help="A model directory.")],
    src: Annotated[Path, typer.Option(help="Sentences, one on each line.")],
    rounds: RoundsOption = 3,
    alone: AloneOption = 50,
) -> None:
    """Compare the speed of a model with that of a Transformer which has not been trained.

    A step of the search takes as long with any weights. An untrained Transformer does not know when
    to end, so it takes as many steps as the model does: sentences of similar length are 64 side by
    side. Its vocabulary is the model's. Time is measured as by `table`.
    """
    translator = Translator(model, 1)
    tokenizer, language = translator.tokenizer, translator.direction.target
    sentences = src.read_text(encoding="utf-8").splitlines()
    translations = tokenizer.encode(_ours(model, tokenizer)(sentences, 1))
    lengths = {
        sentence: len(ids) + 1  # EOS counts: it is a step, too
        for sentence, ids in zip(sentences, translations, strict=True)
    }
    torch.manual_seed(1)
    transformer = Transformer(Settings(), len(tokenizer))
    count = sum(parameter.numel() for parameter in transformer.parameters())
    print(f"Transformer: {count:,} parameters, {len(tokenizer):,} subwords\n")
    systems: dict[str, Translate] = {}
    with TemporaryDirectory() as folder:
        for precision in ("float32", "int8"):
            convert(transformer.state_dict(), len(tokenizer), Path(folder), precision)
            peer = Peer(Path(folder), tokenizer, language, precision, 1.0)
            systems[f"Transformer, CTranslate2, {precision}"] = _of_lengths(peer, lengths)
        systems[f"seq2seq, {model}"] = _ours(model, tokenizer)
        turns = _turns(systems, sentences, rounds, alone)
    print("| | beam | sentences/s, batch 64 | batch 1 |\n|---|---|---|---|")
    for (beam_size, name), own in turns.items():
        print(f"| {name} | {beam_size} | {_speeds(own)} |")


def _of_lengths(peer: "Peer", lengths: Mapping[str, int]) -> Translate:
    """Make a function that translates each sentence into as many subwords as `lengths` says."""

    def translate(sentences: list[str], beam_size: int) -> list[str]:
        by_length = sorted(sentences, key=lengths.__getitem__)
        texts = []
        for first in range(0, len(by_length), _SEARCH_BATCH):
            batch = by_length[first : first + _SEARCH_BATCH]
            length = round(statistics.mean(map(lengths.__getitem__, batch)))
            texts += peer.translate(batch, beam_size, length)
        return texts

    return translate


class Training:
    """A Transformer in training, in a folder: `state.pt`, `metrics.jsonl`, `epoch-01.safetensors`.

    It is what the Transformer has of `seq2seq.training.trainer.Trainer`.
    """

    def __init__(self, work: Path, run: RunDir, settings: Settings, seed: int) -> None:
        self._work, self._settings = work, settings
        self._recipe, self._tokenizer = run.recipe(), Tokenizer.load(run.tokenizer_file)
        corpus = prepare(self._recipe.corpus)
        self._pairs = TrainingPairs(corpus.train, self._tokenizer, self._recipe, corpus.weights)
        valid = corpus.valid[0]
        self._held_out = HeldOut.of(valid, self._tokenizer, self._recipe.training)
        torch.manual_seed(seed)
        self.model = Transformer(settings, len(self._tokenizer))
        self._optimizer = torch.optim.Adam(
            self.model.parameters(), betas=(0.9, 0.98), eps=1e-9, fused=True
        )
        self._epoch = self._step = self._tokens = 0
        self._seconds = 0.0  # of the processor
        self._state = work / "state.pt"
        if self._state.is_file():
            self._restore()

    def run(self, epochs: int) -> None:
        """Train until so many epochs are done, and save after each."""
        self._work.mkdir(parents=True, exist_ok=True)
        count = sum(parameter.numel() for parameter in self.model.parameters())
        _say(f"{count:,} parameters, {len(self._pairs):,} pairs, {torch.get_num_threads()} threads")
        while self._epoch < epochs:
            started, loss, tokens = time.process_time(), 0.0, 0
            for batch in self._batches():
                loss += self._train_step(batch)
                tokens += batch.tokens
            self._seconds += time.process_time() - started
            self._epoch, self._tokens = self._epoch + 1, self._tokens + tokens
            self._save(loss / tokens)

    def _batches(self) -> Iterator[Batch]:
        """Yield the batches of an epoch, as the run had them."""
        for number in range(self._pairs.buffers):
            buffer = self._pairs.buffer(self._epoch, number)
            yield from (buffer[i] for i in range(len(buffer)))

    def _train_step(self, batch: Batch) -> float:
        """Train on a batch; return its loss, summed over the tokens."""
        settings = self._settings
        rate = learning_rate(
            "inverse_square_root", settings.learning_rate, self._step, settings.warmup_steps, 0.0
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        self._optimizer.zero_grad(set_to_none=True)
        with autocast(_CPU, self._recipe.training.precision):
            loss, _ = summed_loss(self.model, batch, settings.label_smoothing)
        torch.autograd.backward(loss / batch.tokens)
        nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        self._optimizer.step()
        self._step += 1
        return loss.item()

    def _save(self, loss: float) -> None:
        """Validate, write the weights and what `_restore` needs."""
        self.model.eval()
        with torch.inference_mode():
            nll = sum(
                summed_loss(self.model, batch, 0.0)[1].item() for batch in self._held_out.batches
            )
        perplexity = math.exp(nll / sum(batch.tokens for batch in self._held_out.batches))
        row = {
            "epoch": self._epoch,
            "step": self._step,
            "target_tokens": self._tokens,
            "cpu_minutes": round(self._seconds / 60, 2),
            "loss": round(loss, 4),
            "valid_perplexity": round(perplexity, 3),
        }
        _say(json.dumps(row))
        save_file(self.model.state_dict(), self._work / f"epoch-{self._epoch:02}.safetensors")
        with (self._work / "metrics.jsonl").open("a", encoding="utf-8") as metrics:
            metrics.write(json.dumps(row) + "\n")
        state = {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "progress": [self._epoch, self._step, self._tokens, self._seconds],
        }
        torch.save(state, self._state.with_suffix(".new"))
        self._state.with_suffix(".new").replace(self._state)

    def _restore(self) -> None:
        state = torch.load(self._state, weights_only=True)
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self._epoch, self._step, self._tokens, self._seconds = state["progress"]


@dataclass(frozen=True)
class Choice:
    """What validation chose: how many checkpoints are averaged, and the length penalty."""

    epochs: int
    target_tokens: int
    cpu_minutes: float
    averaged: int
    penalty: float
    bleu: float  # of the validation text, beam 5

    def __str__(self) -> str:
        return (
            f"{self.epochs} epochs, {self.target_tokens:,} target tokens in {self.cpu_minutes:.0f} "
            f"CPU minutes; the mean of the last {self.averaged} checkpoints with length penalty "
            f"{self.penalty} validates best, BLEU {self.bleu:.2f}"
        )


def choose(work: Path, tokenizer: Tokenizer, valid: ParallelText, language: str) -> Choice:
    """Choose what is averaged by greedy BLEU and the penalty by BLEU of beam 5, on `valid`.

    The models are then in `work`, converted for CTranslate2. What has been chosen already for as
    many epochs is not chosen again.
    """
    checkpoints = sorted(work.glob("epoch-*.safetensors"))
    if not checkpoints:
        raise Seq2SeqError(f"{work}: holds no checkpoint; train first.")
    last = json.loads((work / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    progress = {name: last[name] for name in ("target_tokens", "cpu_minutes")}
    file = work / "choice.json"
    if file.is_file():
        choice = Choice(**json.loads(file.read_text(encoding="utf-8")))
        if choice.epochs == len(checkpoints):
            return choice

    def bleu(beam_size: int, penalty: float) -> float:
        peer = Peer(work, tokenizer, language, "float32", penalty)
        return corpus_bleu(
            peer.translate(list(valid.source), beam_size), list(valid.target), language
        )

    by_number = {}
    for number in (number for number in _AVERAGED if number <= len(checkpoints)):
        convert(_mean(checkpoints[-number:]), len(tokenizer), work, "float32")
        by_number[number] = bleu(1, 0.0)
        _say(f"mean of the last {number}: greedy BLEU {by_number[number]:.2f}")
    averaged = max(by_number, key=by_number.__getitem__)
    for precision in ("float32", "int8"):
        convert(_mean(checkpoints[-averaged:]), len(tokenizer), work, precision)
    _require_same(work, tokenizer, valid, language, _mean(checkpoints[-averaged:]))
    by_penalty = {penalty: bleu(5, penalty) for penalty in _PENALTIES}
    for penalty, reached in by_penalty.items():
        _say(f"length penalty {penalty}: BLEU {reached:.2f}")
    penalty = max(by_penalty, key=by_penalty.__getitem__)
    choice = Choice(
        len(checkpoints), **progress, averaged=averaged, penalty=penalty, bleu=by_penalty[penalty]
    )
    file.write_text(json.dumps(asdict(choice)), encoding="utf-8")
    return choice


def _require_same(
    work: Path, tokenizer: Tokenizer, valid: ParallelText, language: str, weights: dict[str, Tensor]
) -> None:
    """Raise `Seq2SeqError` unless CTranslate2 finds some pairs as likely as PyTorch does."""
    sources = tokenizer.encode_sources(list(valid.source)[:_CHECKED], language)
    targets = tokenizer.encode(list(valid.target)[:_CHECKED])
    model = Transformer(Settings(), len(tokenizer)).eval()
    model.load_state_dict(weights)
    batch = make_batch([*range(len(sources))], sources, targets)
    with torch.inference_mode():
        nll = summed_loss(model, batch, 0.0)[1].item()
    converted = Peer(work, tokenizer, language, "float32", 0.0)
    converted_nll = converted.negative_log_likelihood(sources, targets)
    if abs(nll - converted_nll) > 1e-4 * batch.tokens:
        raise Seq2SeqError(
            f"the conversion for CTranslate2 is wrong: {converted_nll:.3f} nats, not {nll:.3f}."
        )


def _mean(checkpoints: Sequence[Path]) -> dict[str, Tensor]:
    """Average weights."""
    weights = [load_file(path) for path in checkpoints]
    return {name: torch.stack([each[name] for each in weights]).mean(dim=0) for name in weights[0]}


def convert(weights: dict[str, Tensor], vocabulary_size: int, work: Path, precision: str) -> None:
    """Write a model for CTranslate2, `work`/`precision`; ids stand for the pieces."""
    from ctranslate2.specs import TransformerSpec

    settings = Settings()
    model = Transformer(settings, vocabulary_size)
    model.load_state_dict(weights)
    spec = TransformerSpec.from_config(
        (settings.layers, settings.layers), settings.heads, pre_norm=True
    )
    encodings = sinusoids(_POSITIONS, settings.units).numpy()
    words = model.embedding.weight.detach().numpy()
    for side in (spec.encoder, spec.decoder):
        side.position_encodings.encodings = encodings
    spec.encoder.embeddings[0].weight = words
    spec.decoder.embeddings.weight = words
    spec.decoder.projection.weight = words
    spec.decoder.projection.bias = model.output_bias.detach().numpy()
    _set(spec.encoder.layer_norm, model.encoder.norm)
    _set(spec.decoder.layer_norm, model.decoder.norm)
    for own, layer in zip(spec.encoder.layer, model.encoder.layers, strict=True):
        _set_attention(own.self_attention, layer.self_attn, layer.norm1)
        _set_feed_forward(own.ffn, layer, layer.norm2)
    for own, layer in zip(spec.decoder.layer, model.decoder.layers, strict=True):
        _set_attention(own.self_attention, layer.self_attn, layer.norm1)
        _set_attention(own.attention, layer.multihead_attn, layer.norm2)
        _set_feed_forward(own.ffn, layer, layer.norm3)
    ids = [str(number) for number in range(vocabulary_size)]
    spec.register_source_vocabulary(ids)
    spec.register_target_vocabulary(ids)
    spec.config.unk_token = str(UNK_ID)
    spec.config.bos_token = spec.config.decoder_start_token = str(BOS_ID)
    spec.config.eos_token = str(EOS_ID)
    spec.validate()
    spec.optimize(quantization=precision)
    folder = work / precision
    folder.mkdir(exist_ok=True)
    spec.save(str(folder))


def _set(spec: Any, module: Any) -> None:
    """Copy weight and bias of a linear layer; of a norm they are called gamma and beta."""
    weight, bias = module.weight.detach().numpy(), module.bias.detach().numpy()
    if isinstance(module, nn.LayerNorm):
        spec.gamma, spec.beta = weight, bias
    else:
        spec.weight, spec.bias = weight, bias


def _set_attention(spec: Any, module: Any, norm: nn.LayerNorm) -> None:
    """Copy an attention: one matrix for query, key and value, or one for query and one for both."""
    weight, bias = module.in_proj_weight.detach().numpy(), module.in_proj_bias.detach().numpy()
    units = weight.shape[1]
    cuts = [slice(None)] if len(spec.linear) == 2 else [slice(units), slice(units, None)]
    for linear, rows in zip(spec.linear, cuts, strict=False):
        linear.weight, linear.bias = weight[rows], bias[rows]
    _set(spec.linear[-1], module.out_proj)
    _set(spec.layer_norm, norm)


def _set_feed_forward(spec: Any, layer: Any, norm: nn.LayerNorm) -> None:
    _set(spec.linear_0, layer.linear1)
    _set(spec.linear_1, layer.linear2)
    _set(spec.layer_norm, norm)


class Peer:
    """The Transformer in CTranslate2, on one thread."""

    def __init__(
        self, work: Path, tokenizer: Tokenizer, language: str, precision: str, penalty: float
    ) -> None:
        try:
            import ctranslate2
        except ImportError:
            raise Seq2SeqError(
                "CTranslate2 is not installed: pip install 'ctranslate2>=4.5,<5'"
            ) from None
        self._tokenizer, self._language, self._penalty = tokenizer, language, penalty
        self._translator: PeerTranslator = ctranslate2.Translator(
            str(work / precision), compute_type=precision, inter_threads=1, intra_threads=1
        )

    def translate(
        self, sentences: list[str], beam_size: int, length: int | None = None
    ) -> list[str]:
        """Translate text to text, 64 sentences side by side; into `length` subwords if given."""
        sources = self._tokenizer.encode_sources(sentences, self._language)
        lengths = {"min_decoding_length": length, "max_decoding_length": length}
        results = self._translator.translate_batch(
            [[str(number) for number in source] for source in sources],
            max_batch_size=_SEARCH_BATCH,
            beam_size=beam_size,
            length_penalty=self._penalty,
            **(lengths if length is not None else {}),
        )
        hypotheses = ([int(word) for word in result.hypotheses[0]] for result in results)
        return [self._tokenizer.decode(ids).strip() for ids in hypotheses]

    def negative_log_likelihood(self, sources: list[list[int]], targets: list[list[int]]) -> float:
        """Sum over the tokens of `targets`, EOS counted."""
        sides = [[[str(number) for number in ids] for ids in side] for side in (sources, targets)]
        return -sum(sum(scored.log_probs) for scored in self._translator.score_batch(*sides))


def _ours(path: Path, tokenizer: Tokenizer) -> Translate:
    translator = Translator(path, 1)
    if translator.tokenizer.model != tokenizer.model:
        raise UsageError(f"{path}: has another vocabulary than the run; export that run.")

    def translate(sentences: list[str], beam_size: int) -> list[str]:
        return [each.text for each in translator.translate(sentences, beam_size=beam_size)]

    return translate


@dataclass(frozen=True)
class Turn:
    """One translation of the test set by one system."""

    texts: list[str]
    together: float  # sentences a CPU second, 64 side by side
    alone: float  # the same, one by one


def _turns(
    systems: Mapping[str, Translate], sentences: list[str], rounds: int, alone: int
) -> dict[tuple[int, str], list[Turn]]:
    """Let the systems translate by turns; the turns of each beam size and system."""
    turns: dict[tuple[int, str], list[Turn]] = {}
    for number in range(rounds):
        for beam_size in _BEAMS:
            _say(f"round {number + 1} of {rounds}, beam {beam_size}")
            for name, translate in systems.items():
                turn = _turn(translate, sentences, beam_size, alone)
                turns.setdefault((beam_size, name), []).append(turn)
    return turns


def _turn(
    translate: Translate,
    sentences: list[str],
    beam_size: int,
    alone: int,
) -> Turn:
    started = time.process_time()
    texts = translate(sentences, beam_size)
    together = time.process_time() - started
    some = sentences[:alone]
    started = time.process_time()
    for sentence in some:
        translate([sentence], beam_size)
    one_by_one = time.process_time() - started
    return Turn(texts, len(sentences) / together, len(some) / one_by_one)


def _table(turns: dict[tuple[int, str], list[Turn]], references: list[str], language: str) -> str:
    """Write a Markdown row for each system and beam: BLEU, and medians of the speed."""
    lines = [
        "| | beam | BLEU | Moses' tokens, lower-cased | sentences/s, batch 64 | batch 1 |",
        "|---|---|---|---|---|---|",
    ]
    for (beam_size, name), own in turns.items():
        scores = {
            metric.name: metric.score
            for metric in score(own[0].texts, references, language, tokenize="moses")
        }
        lines.append(
            f"| {name} | {beam_size} | {scores['BLEU']:.2f} | {scores['BLEU, Moses tokens']:.2f} "
            f"| {_speeds(own)} |"
        )
    return "\n".join(lines)


def _speeds(turns: Sequence[Turn]) -> str:
    """Write the medians of the speed as two cells of a table, lowest and highest behind them."""
    cells = []
    for speeds in ([turn.together for turn in turns], [turn.alone for turn in turns]):
        median = statistics.median(speeds)
        cells.append(f"{median:,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})")
    return " | ".join(cells)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
