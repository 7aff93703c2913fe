"""The pictures as text: heat maps of shaded blocks, tables and trees, in 80 columns."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size

from seq2seq.inspection.activations import Attention, Gates, Panel
from seq2seq.inspection.neurons import NamedUnits
from seq2seq.inspection.search_tree import Node, SearchTree

if TYPE_CHECKING:
    from seq2seq.inspection.gradients import GradientReport  # imports torch

WIDTH = 80

_SHADES = " ░▒▓█"
_LABEL = 20  # the greatest width of a row's name
_HEADING = 12  # the greatest length of a column's name
_GROUPS = 16  # rows for a single place: its units, or groups of them if there are more
_NAME = 28  # width of the column with the names of cells
_SEED = 7  # width of the column of a seed

Floats = NDArray[np.floating[Any]]


def attention_lines(attention: Attention) -> Iterator[str]:
    """Yield a map of the mean over the heads, with the strongest source token after each row."""
    mean = attention.mean
    strongest = [f"{row.max():4.0%} {label(attention.source[row.argmax()])}" for row in mean]
    heads = "head" if len(attention.heads) == 1 else "mean of heads"
    numbers = ", ".join(map(str, attention.heads))
    yield f"attention, {heads} {numbers}; rows: target tokens; columns: source tokens"
    yield from heat_map(_labels(attention.target), _labels(attention.source), mean, strongest)
    yield _scale(0, 1)


def gates_lines(gates: Gates) -> Iterator[str]:
    """Yield the mean over the units at each place; for a single place, its units in groups."""
    if len(gates.panels) == 1:
        [panel] = gates.panels
        groups = np.array_split(panel.order, min(_GROUPS, len(panel.order)))
        values = np.stack([panel.values[:, group].mean(axis=1) for group in groups])
        names = [f"{len(group)} units" for group in groups]
        yield f"{panel.place}; rows: means of groups of sorted units; columns: tokens"
        yield from _unsigned(names, _labels(gates.tokens(panel.place)), values, panel.place.is_gate)
        return
    for part, tokens in (("encoder", gates.source), ("decoder", gates.target)):
        for is_gate in (True, False):
            panels = [
                panel
                for panel in gates.panels
                if (panel.place.part, panel.place.is_gate) == (part, is_gate)
            ]
            if panels:
                names = [_brief(str(panel.place)) for panel in panels]
                yield from _means(part, names, _labels(tokens), panels)


def _means(
    part: str, names: Sequence[str], tokens: Sequence[str], panels: Sequence[Panel]
) -> Iterator[str]:
    """Yield a row for each panel: the mean of the absolute values, since states have a sign."""
    values = np.stack([abs(panel.values).mean(axis=1) for panel in panels])
    is_gate = panels[0].place.is_gate
    largest = 1.0 if is_gate else float(values.max())
    what = "how open each gate is" if is_gate else "how large each state is, without its sign"
    yield f"{part}: {what}, mean over its units"
    yield from heat_map(names, tokens, values / largest)
    yield _scale(0, largest)


def _unsigned(
    names: Sequence[str], tokens: Sequence[str], values: Floats, is_gate: bool
) -> Iterator[str]:
    largest = 1.0 if is_gate else float(abs(values).max())
    low = 0.0 if is_gate else -largest
    yield from heat_map(names, tokens, (values - low) / (largest - low))
    yield _scale(low, largest)


def units_lines(named: NamedUnits) -> Iterator[str]:
    """Yield each unit with its evidence, then the properties without a unit."""
    for unit in named.units:
        yield f"{unit.score:+.2f}  {unit}"
        yield (
            f"       mean {unit.mean_with:.2f} at {unit.tokens_with:,} tokens, "
            f"{unit.mean_without:.2f} at {unit.tokens_without:,}"
        )
        for example in unit.examples:
            yield f"       {example.value:6.2f}  {example.text}"
        for example in unit.counterexamples:
            yield f"   but {example.value:6.2f}  {example.text}"
    yield from (f"       {name}: {reason}" for name, reason in named.unnamed.items())


def search_lines(tree: SearchTree) -> Iterator[str]:
    """Yield a line for each hypothesis: its token, its log-probability, and what became of it.

    This does not use rich's tree, which indents every level: forty tokens would take 160 columns.
    """
    yield f"beam {tree.beam_size}; ln p of each hypothesis; * is the way to the translation"
    yield "<s>"
    for line in _branches(tree, None, ""):
        yield line if cell_len(line) <= WIDTH else f"{set_cell_size(line, WIDTH - 1)}…"


def _branches(tree: SearchTree, number: int | None, indent: str) -> Iterator[str]:
    """Yield the lines of all that extends a node; an only child is not indented further."""
    children = tree.children(number)
    if number is not None and len(children) == 1:
        [child] = children
        yield f"{indent}{'*' if child.best else ' '}{_told(child)}"
        yield from _branches(tree, child.number, indent)
        return
    for child in children:
        is_last = child is children[-1]
        yield f"{indent}{'└' if is_last else '├'}{'*' if child.best else ' '}{_told(child)}"
        yield from _branches(tree, child.number, f"{indent}{' ' if is_last else '│'}")


def _told(node: Node) -> str:
    if node.score is not None:
        return f"{label(node.token)} {node.total:.2f}, finished, score {node.score:.2f}"
    outcomes = {
        "kept": "",
        "beaten": ", dropped: cannot win",
        "pruned": ", dropped: pruned",
        "outside": ", dropped: the beam is full",
    }
    return f"{label(node.token)} {node.total:.2f}{outcomes[node.outcome]}"


def gradients_lines(report: "GradientReport") -> Iterator[str]:
    """Yield a row for each variant: its gradient at some distances, and its memory.

    With several seeds, yield tables with a column for each seed instead, see `_seeds_lines`.
    """
    settings = report.settings
    if len(settings.seeds) > 1:
        yield from _seeds_lines(report)
        return
    distances = [1, settings.distance // 10, settings.distance // 2, settings.distance]
    heading = "".join(f"{steps:>9}" for steps in distances)
    yield f"|d loss / d x_t|, nats, at a distance of  {heading}"
    for variant in report.variants:
        for trained in (False, True):
            norms = report.norms(variant, trained=trained)
            if len(norms):
                when = "trained" if trained else "initial"
                if trained:
                    when += f", delay {report.limits(variant, settings.seeds[0])[0]}"
                numbers = "".join(f"{norms[0, steps]:>9.0e}" for steps in distances)
                yield f"{variant:<20} {when:<18}   {numbers}"
    yield ""
    yield from _memory_lines(report)


def _memory_lines(report: "GradientReport") -> Iterator[str]:
    yield f"{'one symbol remembered':<24}{'learnt up to':>14}{'failed at':>12}{'right there':>14}"
    for variant in dict.fromkeys(result.variant for result in report.memory):
        learnt, failed = report.limits(variant, report.settings.seeds[0])
        last = [result for result in report.memory if result.variant == variant][-1]
        right = f"{last.accuracy:.0%}" if failed else "-"
        yield f"{variant:<24}{learnt or '-':>14}{failed or '-':>12}{right:>14}"


def _seeds_lines(report: "GradientReport") -> Iterator[str]:
    """Yield three tables with a column for each seed: gradients before and after training, memory.

    If the seeds do not fit into one row, the tables are repeated for the next ones.
    """
    near, far = report.inner_distances
    yield f"what a step leaves of the gradient |d loss / d x_t|, from distance {near} to {far}"
    tables: dict[str, Callable[[str, int], float | None]] = {
        "before training": partial(report.factor_per_step, trained=False),
        "after training": partial(report.factor_per_step, trained=True),
        "longest delay learnt": lambda variant, seed: report.limits(variant, seed)[0],
    }
    across = (WIDTH - _NAME) // _SEED
    for begin in range(0, len(report.settings.seeds), across):
        seeds = report.settings.seeds[begin : begin + across]
        for title, value in tables.items():
            numbers = "".join(f"{seed:>{_SEED}}" for seed in seeds)
            yield f"{f'{title}; seed':<{_NAME}}{numbers}"
            for variant in report.variants:
                row = "".join(f"{_brief_number(value(variant, seed)):>{_SEED}}" for seed in seeds)
                yield f"  {variant:<{_NAME - 2}}{row}"


def _brief_number(value: float | None) -> str:
    """Format a whole number, a fraction with two decimals, or None as a dash."""
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Floats,
    notes: Sequence[str] = (),
) -> Iterator[str]:
    """Yield values (R, C) in [0, 1] as shades; a map that is too wide comes in several pieces.

    The names of columns are written downwards; `notes` are written after the rows.
    """
    wide = min(_LABEL, max(map(cell_len, rows)))
    behind = min(_LABEL, max(map(cell_len, notes), default=0))
    room = WIDTH - wide - 1 - (behind + 1 if notes else 0)
    cell = 2 if 2 * len(columns) <= room else 1
    across = room // cell
    for begin in range(0, len(columns), across):
        names = columns[begin : begin + across]
        for letters in _downwards(names):
            yield (
                " " * (wide + 1) + "".join(set_cell_size(letter, cell) for letter in letters)
            ).rstrip()
        for number, name in enumerate(rows):
            shades = "".join(cell * _shade(value) for value in values[number, begin:][:across])
            note = f" {set_cell_size(notes[number], behind)}" if notes else ""
            yield f"{set_cell_size(name, wide)} {shades}{note}".rstrip()


def _downwards(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield lines with one letter of each name; all names end on the last line."""
    short = [name[:_HEADING] for name in names]
    height = max(map(len, short))
    for letters in zip(*(name.rjust(height) for name in short), strict=True):
        yield list(letters)


def _labels(tokens: Iterable[str]) -> list[str]:
    return [label(token) for token in tokens]


def _shade(value: float) -> str:
    return _SHADES[min(int(value * len(_SHADES)), len(_SHADES) - 1)]


def _scale(low: float, high: float) -> str:
    steps = np.linspace(low, high, len(_SHADES) + 1)
    return "  ".join(
        f"{shade}{shade} {begin:.2g} to {end:.2g}"
        for shade, begin, end in zip(_SHADES, steps[:-1], steps[1:], strict=True)
    )


def _brief(name: str) -> str:
    """Shorten a name, so that layer, direction and gate fit in front of a row."""
    for word, letters in (
        ("encoder ", "enc"),
        ("decoder ", "dec"),
        ("forwards", "→"),
        ("backwards", "←"),
    ):
        name = name.replace(word, letters)
    return name


def label(token: str, most: int = 14) -> str:
    """Format a subword for readers, cut to `most` characters.

    `▁dog` becomes dog, and `s`, which continues a word, becomes ·s.
    """
    text = token.removeprefix("▁") or "space"
    if text == token and token[0].isalnum():
        text = f"·{text}"
    return text if len(text) <= most else f"{text[: most - 1]}…"
