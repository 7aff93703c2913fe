"""One to one, aligned: an answer for each word. Restore the case and punctuation of a text.

    python docs/examples/one_to_one.py --cell gru

    tags       Capital    lower     lower .     Capital
                  ^         ^          ^           ^
    backwards    h1 <----- h2 <------ h3 <------- h4
    forwards     h1 -----> h2 ------> h3 -------> h4
                  ^         ^          ^           ^
    words        sie      wohnt      hier          er

A word gets its tag from two states: what was read before it, and what comes after it. A sentence
ends where the next one begins, so a reader from left to right alone would have to guess. There are
as many tags as words, which no translation can promise: that is what the other shapes are for.

Words are known by sight here, and in the sample corpus nearly all that come were seen before. Real
text has new ones every day; there their letters should be read, as in many_to_one.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from textwrap import fill
from typing import NamedTuple

import torch
import typer
from common import (
    CellOption,
    SeedOption,
    StepsOption,
    begin,
    learn,
    print_table,
    read_sample,
    side_by_side,
)
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.cli.exit import reported_errors
from seq2seq.config.model_config import Cell
from seq2seq.nn.recurrent import RecurrentLayer, reverse_rows

CASES = ("lower", "Capital", "UPPER")
MARKS = ("", ",", ".", "?", "!")
PAD, UNKNOWN = 0, 1
IGNORED = -100  # the tag of padding, for which there is no loss

_BATCH = 32  # texts


class Text(NamedTuple):
    """Words without case and marks, and these as tags: number of the case * 5 + of the mark."""

    words: list[str]
    tags: list[int]


class Measures(NamedTuple):
    """How well words were tagged, from 0 to 1."""

    tags: float  # the share of words whose tag is right
    capitals: float  # F1 of all words that are not in lower case
    marks: float  # F1
    by_tag: dict[int, float]  # of the words that have each tag the share that got it


class Tagger(nn.Module):
    """A layer in each direction; a tag is chosen by both of their states."""

    def __init__(self, cell: Cell, words: Iterable[str], size: int = 64) -> None:
        super().__init__()
        self.ids = {word: number for number, word in enumerate(words, start=UNKNOWN + 1)}
        self.embedding = nn.Embedding(len(self.ids) + 2, size, padding_idx=PAD)
        self.forwards = RecurrentLayer(cell, size, size)
        self.backwards = RecurrentLayer(cell, size, size)
        self.output = nn.Linear(2 * size, len(CASES) * len(MARKS))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids (B, T), lengths (B,) -> the scores of the tags (B, T, A)."""
        x = self.embedding(ids)  # (B, T, X)
        rows = reverse_rows(lengths, ids.shape[1])
        reading, _ = self.forwards(x)  # (B, T, H)
        against, _ = self.backwards(x.flatten(0, 1).index_select(0, rows).view_as(x))
        against = against.flatten(0, 1).index_select(0, rows).view_as(reading)
        scores: Tensor = self.output(torch.cat([reading, against], dim=-1))
        return scores

    @torch.no_grad()
    def tag(self, words: Sequence[str]) -> list[int]:
        """The likeliest tag of each word."""
        ids, lengths = side_by_side([[self.ids.get(word, UNKNOWN) for word in words]])
        tags: list[int] = self(ids, lengths)[0].argmax(dim=-1).tolist()
        return tags


def take_apart(text: str) -> Text:
    """Lower-cased words, and tags from which `put_together` makes the text again."""
    found = Text([], [])
    for written in text.split():
        word = written.rstrip("".join(MARKS)) or written
        # A letter by itself, such as I, is a Capital like any other.
        case = 2 if len(word) > 1 and word.isupper() else int(word[0].isupper())
        found.words.append(word.lower())
        found.tags.append(case * len(MARKS) + MARKS.index(written[len(word) :][:1]))
    return found


def put_together(words: Sequence[str], tags: Sequence[int]) -> str:
    """The text that has these tags."""
    cased = [(word, word[0].upper() + word[1:], word.upper()) for word in words]
    numbers = [divmod(tag, len(MARKS)) for tag in tags]
    parts = zip(cased, numbers, strict=True)
    return " ".join(forms[case] + MARKS[mark] for forms, (case, mark) in parts)


def in_a_row(texts: Sequence[Text]) -> Text:
    """Several sentences, with nothing that says where one ends."""
    words, tags = zip(*texts, strict=True)
    return Text([*chain(*words)], [*chain(*tags)])


def measure(tagging: Callable[[list[str]], list[int]], texts: Iterable[Text]) -> Measures:
    """Compare the tags that are found with those that were taken away."""
    pairs = [
        pair for text in texts for pair in zip(tagging(text.words), text.tags, strict=True)
    ]  # found, wanted
    numbers = Counter(wanted for _, wanted in pairs)
    right = Counter(wanted for found, wanted in pairs if found == wanted)
    return Measures(
        right.total() / len(pairs),
        _f1([(found // len(MARKS), wanted // len(MARKS)) for found, wanted in pairs]),
        _f1([(found % len(MARKS), wanted % len(MARKS)) for found, wanted in pairs]),
        {tag: right[tag] / number for tag, number in numbers.items()},
    )


def _f1(pairs: Sequence[tuple[int, int]]) -> float:
    """2 P R / (P + R) of all that is not 0: twice what is right, by what is found or wanted."""
    right = sum(found == wanted != 0 for found, wanted in pairs)
    number = sum((found != 0) + (wanted != 0) for found, wanted in pairs)
    return 2 * right / number if number else 1.0


@reported_errors("one_to_one")
def main(
    cell: CellOption = "lstm", steps: StepsOption = 1500, seed: SeedOption = 1
) -> dict[str, Measures]:
    """Learn to restore case and punctuation; restore those of held-out text."""
    random = begin(seed)
    train = [[take_apart(text) for text in part] for part in read_sample("train").values()]
    test = [
        in_a_row([take_apart(text) for text in part[first : first + 3]])
        for part in read_sample("test").values()
        for first in range(0, len(part), 3)
    ]
    usual = defaultdict[str, Counter[int]](Counter)  # how often each word has which tags
    for text in chain(*train):
        for word, tag in zip(*text, strict=True):
            usual[word][tag] += 1
    model = Tagger(cell, usual)

    def loss() -> Tensor:
        texts = [
            in_a_row(random.sample(random.choice(train), random.randint(1, 3)))
            for _ in range(_BATCH)
        ]
        # Some words are hidden, so that it learns what to do about one that it does not know.
        rows = [
            [model.ids[word] if random.random() > 0.02 else UNKNOWN for word in text.words]
            for text in texts
        ]
        tags, _ = side_by_side([text.tags for text in texts], IGNORED)
        return functional.cross_entropy(model(*side_by_side(rows, PAD)).mT, tags)

    learn(model, loss, steps)
    results = {
        "majority": measure(lambda words: [0] * len(words), test),
        "by word": measure(lambda words: [_most_frequent(usual[word]) for word in words], test),
        cell: measure(model.tag, test),
    }
    columns = results.values()
    rows = {
        "F1 of capitals": [column.capitals for column in columns],
        "F1 of marks": [column.marks for column in columns],
        "right tags": [one.tags for one in columns],
    }
    for tag, number in sorted(Counter(tag for text in test for tag in text.tags).items()):
        case, mark = divmod(tag, len(MARKS))
        name = f"  {CASES[case]} {MARKS[mark]}"
        rows[f"{name:<12}{number:6,} words"] = [one.by_tag[tag] for one in columns]
    print_table("held-out sentences, three in a row", results, rows)
    for text in (test[0], test[-1]):
        restored = put_together(text.words, model.tag(text.words))
        for title, shown in (("typed", " ".join(text.words)), ("restored", restored)):
            print(fill(f"{title:<10}{shown}", 80, subsequent_indent=" " * 10))
    return results


def _most_frequent(counts: Counter[int]) -> int:
    return max(counts, key=counts.__getitem__, default=0)


if __name__ == "__main__":
    typer.run(main)
