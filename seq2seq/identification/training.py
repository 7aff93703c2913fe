"""Train a language identifier: the model of `network` in torch, and the training loop."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.errors import Seq2SeqError
from seq2seq.identification.alphabet import Alphabet, clean
from seq2seq.identification.examples import Example, Examples
from seq2seq.identification.identifier import as_tensors
from seq2seq.identification.network import Network
from seq2seq.identification.word_table import table_of
from seq2seq.nn.recurrent import RecurrentLayer, reverse_rows

_RARE = 2e-6  # characters with at most this share of a language's text are not learnt
_READ_FOR_CHARACTERS = 50_000  # sentences per language
_SORTED_TOGETHER = 16  # batches that are sorted together, so that each has similar lengths
_WARMUP = 100  # steps
_DROPOUT = 0.1
_LARGEST_GRADIENT = 1.0
_CALIBRATION_EXAMPLES = 3_000  # from the validation text, to choose the temperature


@dataclass(frozen=True)
class IdentifierConfig:
    """The size of the network, and the settings of its training."""

    embedding_size: int = 32
    hidden_size: int = 128
    steps: int = 8_000
    batch_size: int = 128
    learning_rate: float = 5e-3
    seed: int = 1
    threads: int = 1


class ManyToOne(nn.Module):
    """The model of `Network` in torch, for training."""

    def __init__(self, characters: int, languages: int, config: IdentifierConfig) -> None:
        super().__init__()
        size, hidden = config.embedding_size, config.hidden_size
        self.embedding = nn.Embedding(characters + 1, size)
        self.capital = nn.Parameter(torch.zeros(size))
        self.forwards = RecurrentLayer("lstm", size, hidden)
        self.backwards = RecurrentLayer("lstm", size, hidden)
        self.dropout = nn.Dropout(_DROPOUT)
        self.output = nn.Linear(2 * hidden, languages)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits (B, L) for ids (B, T) of lengths (B,)."""
        known = self.embedding.num_embeddings
        x = self.embedding(ids % known) + (ids // known).unsqueeze(-1) * self.capital  # (B, T, X)
        x = self.dropout(x)
        rows = reverse_rows(lengths, ids.shape[1])
        forward, _ = self.forwards(x)  # (B, T, H)
        backward, _ = self.backwards(x.flatten(0, 1).index_select(0, rows).view_as(x))
        ends = torch.arange(len(ids)), lengths - 1
        last = torch.cat([forward[ends], backward[ends]], dim=-1)  # (B, 2 H)
        logits: Tensor = self.output(self.dropout(last))
        return logits

    def network(self, temperature: float = 1.0) -> Network:
        """Convert the weights to NumPy, scaled so that logits are divided by `temperature`."""
        fused = [self.forwards.fused, self.backwards.fused]
        parts = {
            "embedding": self.embedding.weight,
            "capital": self.capital,
            "input": torch.stack([layer.weight_ih_l0 for layer in fused]),
            "hidden": torch.stack([layer.weight_hh_l0 for layer in fused]),
            "bias": torch.stack([layer.bias_ih_l0 + layer.bias_hh_l0 for layer in fused]),
            "output": self.output.weight / temperature,
            "output_bias": self.output.bias / temperature,
        }
        return Network(**{name: part.detach().numpy() for name, part in parts.items()})


def train(
    sentences: Mapping[str, Sequence[str]],
    valid: Mapping[str, Sequence[str]],
    names: Sequence[str],
    config: IdentifierConfig,
    report: Callable[[int, float, int], None] = lambda step, loss, characters: None,
) -> bytes:
    """Train a model for the languages of `sentences`; return the contents of its file.

    `sentences` and `valid` hold texts by language; `names` replace other names in the examples.
    `report(step, loss, characters)` is called after each step. The same seed gives the same file
    on the same machine, with the same build of torch and number of threads. Raises `Seq2SeqError`
    for fewer than two languages.
    """
    languages = list(sentences)
    if len(languages) < 2:
        raise Seq2SeqError("an identifier needs texts in at least two languages.")
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    random = Random(config.seed)
    alphabet = Alphabet(characters_of(sentences.values()))
    model = ManyToOne(len(alphabet.characters), len(languages), config)
    _learn(model, _batches(Examples(sentences, names), alphabet, config, random), config, report)
    temperature = _temperature(model, Examples(valid, names), alphabet, config)
    network = model.network(temperature)
    words = np.stack([table_of(texts) for texts in sentences.values()])
    return save(as_tensors(languages, alphabet.characters, network, words))


def characters_of(texts: Iterable[Sequence[str]]) -> list[str]:
    """List the characters to learn, in lower case, the most frequent first."""
    kept = Counter[str]()
    for sentences in texts:
        every = max(1, math.ceil(len(sentences) / _READ_FOR_CHARACTERS))
        counts = Counter[str]()
        for sentence in sentences[::every]:
            counts.update(clean(sentence).lower())
        total = counts.total()
        frequent = (item for item in counts.items() if item[1] > _RARE * total)
        kept.update(dict(frequent))
    return sorted(kept, key=lambda character: (-kept[character], character))


Batch = tuple[Tensor, Tensor, Tensor]
"""The ids (B, T), the lengths (B,) and the numbers of the languages (B,) of B examples."""


def _batches(
    examples: Examples, alphabet: Alphabet, config: IdentifierConfig, random: Random
) -> Iterator[Batch]:
    """Yield batches without end, each of texts of similar length."""
    while True:
        drawn = _drawn(examples, config.batch_size * _SORTED_TOGETHER, random)
        drawn.sort(key=lambda example: len(example.text))
        firsts = list(range(0, len(drawn), config.batch_size))
        random.shuffle(firsts)
        for first in firsts:
            yield _batch(drawn[first : first + config.batch_size], alphabet)


def _drawn(examples: Examples, number: int, random: Random) -> list[Example]:
    """Draw examples, clean them, and leave out those without letters."""
    drawn = (examples.draw(random) for _ in range(number))
    cleaned = [Example(clean(text), language) for text, language in drawn]
    return [example for example in cleaned if example.text]


def _batch(examples: Sequence[Example], alphabet: Alphabet) -> Batch:
    ids, lengths = alphabet.encode_batch([example.text for example in examples])
    languages = torch.tensor([example.language for example in examples])
    return torch.from_numpy(ids), torch.from_numpy(lengths), languages


def _learn(
    model: ManyToOne,
    batches: Iterator[Batch],
    config: IdentifierConfig,
    report: Callable[[int, float, int], None],
) -> None:
    """Train with Adam, and a learning rate that warms up and then falls linearly towards 0."""
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    model.train()
    for step in range(1, config.steps + 1):
        ids, lengths, languages = next(batches)
        rate = min(step / _WARMUP, 1 - (step - 1) / config.steps)
        optimizer.param_groups[0]["lr"] = config.learning_rate * rate
        loss = functional.cross_entropy(model(ids, lengths), languages)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
        optimizer.step()
        report(step, loss.item(), int(lengths.sum()))
    model.eval()


@torch.no_grad()
def _temperature(
    model: ManyToOne, examples: Examples, alphabet: Alphabet, config: IdentifierConfig
) -> float:
    """Find the temperature that fits the validation texts best (Guo et al. 2017)."""
    drawn = _drawn(examples, _CALIBRATION_EXAMPLES, Random(config.seed))
    drawn.sort(key=lambda example: len(example.text))
    parts = [
        _batch(drawn[first : first + config.batch_size], alphabet)
        for first in range(0, len(drawn), config.batch_size)
    ]
    logits = torch.cat([model(ids, lengths) for ids, lengths, _ in parts])
    languages = torch.cat([numbers for _, _, numbers in parts])
    candidates = [1.02**n for n in range(-60, 61)]  # 0.3 to 3.3
    return min(
        candidates,
        key=lambda candidate: functional.cross_entropy(logits / candidate, languages).item(),
    )
