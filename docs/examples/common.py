"""What the lessons share: the sample corpus, repeatable chance, a loop that learns, a table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from seq2seq.config.model_config import Cell
from seq2seq.corpus import read_lines

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
LANGUAGES = ("en", "de")

_LINES = 6  # of losses that are printed
_WARMUP = 20  # steps

CellOption = Annotated[Cell, typer.Option("--cell", help="Which cell reads and remembers.")]
StepsOption = Annotated[int, typer.Option(min=1, help="Batches to learn from.")]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed gives the same numbers.")]


def read_sample(part: str) -> dict[str, list[str]]:
    """The sentences of `train`, `valid` or `test`, by language."""
    return {language: list(read_lines(SAMPLE / f"{part}.{language}")) for language in LANGUAGES}


def begin(seed: int) -> Random:
    """Chance that is the same every time; one thread, whose sums have one order."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return Random(seed)


def side_by_side(rows: Sequence[Sequence[int]], padding: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of ids with padding on the right (B, T), and how long each is (B,)."""
    ids = [torch.tensor(row) for row in rows]
    lengths = torch.tensor([len(row) for row in rows])
    return nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=padding), lengths


def learn(model: nn.Module, loss_of_a_batch: Callable[[], Tensor], steps: int) -> None:
    """Take so many steps of Adam, and print what the loss comes to.

    `loss_of_a_batch` draws a batch and gives its mean loss. The learning rate rises for some steps
    and then falls to nothing, so that the last steps settle what the first ones found.
    """
    optimizer = torch.optim.Adam(model.parameters())
    said, losses = max(1, -(-steps // _LINES)), list[float]()
    model.train()
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = 5e-3 * min(step / _WARMUP, 1 - (step - 1) / steps)
        loss = loss_of_a_batch()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if step % said == 0 or step == steps:
            print(f"step {step:5,}  loss {sum(losses) / len(losses):.3f}", flush=True)
            losses.clear()
    model.eval()


def print_table(
    title: str, columns: Iterable[str], rows: Mapping[str, Iterable[float]], form: str = ".1%"
) -> None:
    """A row for each name; `form` is how its numbers are written."""
    cells = {title: [*columns]} | {
        name: [format(number, form) for number in numbers] for name, numbers in rows.items()
    }
    names = max(map(len, cells))
    width = min(12, (80 - names) // len(cells[title]))
    print()
    for name, row in cells.items():
        print(f"{name:<{names}}" + "".join(f"{cell:>{width}}" for cell in row))
    print()
