"""Draw pictures with matplotlib, for screens and black-and-white print; no display is needed.

Each function draws the data of another module of this package; `Picture.render` returns the file.
"""

import html
import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from seq2seq.inspection.activations import Attention, Gates, Panel
from seq2seq.inspection.neurons import SelectiveUnit
from seq2seq.inspection.reliability import Reliability, reliability_lines
from seq2seq.inspection.search_tree import Node, SearchTree
from seq2seq.inspection.svg import image_tag
from seq2seq.inspection.terminal import label
from seq2seq.inspection.training_history import GateNames, Row, TrainingHistory, runs_lines

if TYPE_CHECKING:
    from seq2seq.inspection.gradients import GradientReport  # imports torch

_GREY = "Greys"  # from white to black: the order survives any printer and colour blindness
_LEGIBLE = 5.0  # points
_UNIT = 0.0288  # inches of height for a unit in a map of gates: at least three pixels on a screen
_SETTINGS: Any = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "font.family": "sans-serif",
    "font.size": 8,
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud, in all scripts
    "svg.hashsalt": "seq2seq",  # so that the same data give the same file
    "text.parse_math": False,  # a $ is a dollar
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, and a description in words for people who cannot see it."""

    figure: Figure
    title: str
    description: str

    def __post_init__(self) -> None:
        """Enlarge text that would be smaller than 11 points on a screen 1,200 pixels wide."""
        least = _points(self.figure)
        with _style():  # matplotlib may create the ticks only here
            for axes in self.figure.axes:
                axes.tick_params(labelsize=least)
            for text in self.figure.findobj(Text):
                assert isinstance(text, Text)
                text.set_fontsize(max(least, text.get_fontsize()))

    def render(self, format_: str) -> bytes:
        """Return the file in the format html, png or svg; HTML is a page with the SVG in it."""
        if format_ == "html":
            return self._page().encode()
        metadata: dict[str, Any] = {"Title": self.title, "Description": self.description}
        if format_ == "svg":
            metadata["Date"] = None  # so that the same data give the same file
        buffer = BytesIO()
        with _style():
            self.figure.savefig(
                buffer, format=format_, dpi=150, bbox_inches="tight", metadata=metadata
            )
        data = buffer.getvalue()
        # matplotlib ends each line of a path with a space, which adds up to some kilobytes.
        return data.replace(b" \n", b"\n") if format_ == "svg" else data

    def _repr_svg_(self) -> str:
        """Return what a notebook shows for the picture."""
        svg = self.render("svg").decode()
        return svg[svg.index("<svg ") :]

    def _repr_html_(self) -> str:
        """Return the same for notebooks that prefer HTML."""
        return image_tag(self._repr_svg_(), self.description)

    def _page(self) -> str:
        title, description = html.escape(self.title), html.escape(self.description)
        svg = self._repr_svg_().removeprefix("<svg ")
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f"<title>{title}</title>\n"
            "<style>body{font-family:sans-serif;margin:2em}figure{margin:0}"
            "svg{max-width:100%;height:auto}figcaption{max-width:60em}</style>\n"
            f"</head>\n<body>\n<h1>{title}</h1>\n<figure>\n"
            f'<svg role="img" aria-label="{description}" {svg}\n'
            f"<figcaption>{description}</figcaption>\n</figure>\n</body>\n</html>\n"
        )


def _points(figure: Figure) -> float:
    """Return the minimum font size, which is 11 points on a screen of 1,200 pixels, 96 per inch.

    It is at most 12 points: very wide figures, of long sentences, do not fit such a screen anyway.
    """
    return min(12.0, 11 * 96 * figure.get_figwidth() / 1200)


@contextmanager
def _style() -> Iterator[None]:
    """Use the settings above while a figure is drawn or saved, whatever the user's own are."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def attention_picture(attention: Attention) -> Picture:
    """Draw a large map of the mean over the heads, and beside it a small one of each head."""
    with _style():
        heads, rows, columns = attention.weights.shape
        across = math.ceil(math.sqrt(heads)) if heads > 1 else 0
        down = math.ceil(heads / across) if across else 1
        cell = 0.5 if max(rows, columns) <= 20 else 0.32  # inches
        width, height = columns * cell + 1, rows * cell + 1  # of the large map
        figure = Figure(figsize=(width * (1 + across / down) + 1, height), layout="constrained")
        grid = figure.add_gridspec(down, across + 1, width_ratios=[down] + [1] * across)
        name = "mean of the heads" if heads > 1 else f"head {attention.heads[0]}"
        axes = [figure.add_subplot(grid[:, 0])]
        image = _attention_map(axes[0], attention, attention.mean, name, 17 * cell)
        for index, number in enumerate(attention.heads if across else ()):
            axes.append(figure.add_subplot(grid[index // across, 1 + index % across]))
            weights = attention.weights[index]
            _attention_map(axes[-1], attention, weights, f"head {number}", 0)
        bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01, aspect=40)
        bar.set_label("attention weight (%); each row sums to 100")
    strongest = ", ".join(
        f"{label(target)} at {label(attention.source[row.argmax()])} ({row.max():.0%})"
        for target, row in zip(attention.target, attention.mean, strict=True)
    )
    return Picture(
        figure,
        f"Attention: {attention.translation}",
        "Heat map of attention weights. Rows: target tokens; columns: source tokens. Each target "
        f"token looks most at, in the mean of the shown heads: {strongest}.",
    )


def _attention_map(
    axes: Axes, attention: Attention, weights: NDArray[np.floating[Any]], title: str, size: float
) -> AxesImage:
    """Draw one map; `size` is that of the numbers in its cells, in points, or 0 for no numbers."""
    image = axes.imshow(100 * weights, cmap=_GREY, vmin=0, vmax=100)
    _name_ticks(axes, "x", attention.source, max(size, _LEGIBLE))
    _name_ticks(axes, "y", attention.target, max(size, _LEGIBLE))
    axes.set(title=title, xlabel="source token (subword)", ylabel="target token (subword)")
    for spine in axes.spines.values():
        spine.set_visible(True)
    for (row, column), weight in np.ndenumerate(weights):
        if weight >= 0.01 and size:
            colour = "white" if weight > 0.55 else "black"
            text = f"{100 * weight:.0f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    return image


def gates_picture(gates: Gates, units: Sequence[SelectiveUnit] = ()) -> Picture:
    """Draw a map of each gate and layer (units down, tokens across), and below selective units."""
    layers = list(dict.fromkeys(panel.place.layer_name for panel in gates.panels))
    names = list(dict.fromkeys(panel.place.gate for panel in gates.panels))
    with _style():
        single = len(gates.panels) == 1
        longest = max(len(gates.source), len(gates.target))
        wide = max(4.5 if single else 2.2, 0.19 * longest)
        units_down = {panel.place.layer_name: len(panel.order) for panel in gates.panels}
        tall = [max(3.0, _UNIT * units_down[layer] + 1.0) for layer in layers]
        strips_down = math.ceil(len(units) / 2)
        heights = [sum(tall) + 0.5, 2.1 * strips_down]
        figure = Figure(
            figsize=(max(wide * len(names) + 1.5, 9.5 if units else 0), sum(heights)),
            layout="constrained",
        )
        maps: Figure | SubFigure = figure
        if units:
            maps, below = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
            strips = below.subplots(strips_down, 2, squeeze=False).ravel()
            for axes in strips[len(units) :]:
                axes.set_axis_off()
            for axes, unit in zip(strips, units, strict=False):
                _unit_strip(axes, gates, unit)
        _gate_maps(maps, gates, layers, names, tall)
    told = "".join(f" {unit} (score {unit.score:+.2f})." for unit in units)
    means = "; ".join(
        f"{panel.place} {panel.values.mean():.2f}" for panel in gates.panels if panel.place.is_gate
    )
    return Picture(
        figure,
        f"Gates: {gates.translation}",
        "Heat maps of gates and states over the tokens, a row for each unit, units in the order "
        "of the token where each is highest: the diagonal is the order's, what lies off it is the "
        f"model's.{f' Mean of each gate: {means}.' if means else ''}{told}",
    )


def _gate_maps(
    figure: Figure | SubFigure,
    gates: Gates,
    layers: Sequence[str],
    names: Sequence[str],
    heights: Sequence[float],
) -> None:
    grid = figure.subplots(len(layers), len(names), squeeze=False, height_ratios=heights)
    states = [abs(panel.values).ravel() for panel in gates.panels if not panel.place.is_gate]
    largest = float(np.quantile(np.concatenate(states), 0.99)) if states else 1.0
    images: dict[bool, AxesImage] = {}
    for panel in gates.panels:
        axes = grid[layers.index(panel.place.layer_name), names.index(panel.place.gate)]
        limits = (0.0, 1.0) if panel.place.is_gate else (-largest, largest)
        images[panel.place.is_gate] = axes.imshow(
            panel.values[:, panel.order].T,
            cmap=_GREY,
            vmin=limits[0],
            vmax=limits[1],
            aspect="auto",
            interpolation="nearest",
        )
        _label_gate_map(axes, gates, panel)
    for is_gate, image in images.items():
        bar = figure.colorbar(image, ax=grid, location="bottom", shrink=0.5, aspect=50, pad=0.01)
        bar.set_label("gate (0 shut, 1 open)" if is_gate else "state (no unit; grey is 0)")


def _label_gate_map(axes: Axes, gates: Gates, panel: Panel) -> None:
    gate = (
        "update (input)"
        if (panel.place.gate, gates.cell) == ("update", "lstm")
        else panel.place.gate
    )
    axes.set_title(f"{panel.place.layer_name}\n{gate}")
    _name_ticks(axes, "x", gates.tokens(panel.place))
    axes.set_yticks([0, len(panel.order) - 1], ["1", str(len(panel.order))])
    subplot = axes.get_subplotspec()
    if subplot is not None and subplot.is_first_col():
        axes.set_ylabel("unit (by peak)", labelpad=-3)


def _unit_strip(axes: Axes, gates: Gates, unit: SelectiveUnit) -> None:
    """Draw one unit over the tokens of the sentence, with the evidence in the title."""
    values = gates.of_unit(unit.place, unit.unit)
    axes.bar(range(len(values)), values, color="0.35", edgecolor="black", width=0.8)
    _name_ticks(axes, "x", gates.tokens(unit.place))
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel("gate" if unit.place.is_gate else "state")
    if unit.place.is_gate:
        axes.set_ylim(0, 1)
    axes.set_title(
        f"{unit} (score {unit.score:+.2f})\nmean {unit.mean_with:.2f} at {unit.tokens_with:,} "
        f"tokens, {unit.mean_without:.2f} at {unit.tokens_without:,}; {unit.examples[0].text}",
        fontsize=7,
        loc="left",
    )


def search_picture(tree: SearchTree) -> Picture:
    """Draw the tree: steps from left to right, hypotheses from top to bottom by rank."""
    with _style():
        last = max(node.step for node in tree.nodes)
        at = _positions(tree)
        lowest = min(y for _, y in at.values())
        figure = Figure(figsize=(1.1 * (last + 1) + 0.6, 0.5 * (1 - lowest) + 1.6))
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set_xlim(-0.5, last + 0.5)
        axes.set_ylim(lowest - 2.2, 1.2)
        _node_text(axes, (0.0, 0.0), "<s>", "black", "bold")
        for step in range(1, last + 1):
            axes.text(step, 0.85, f"{step}", ha="center", fontsize=8)
        axes.text(-0.45, 0.85, "step", ha="left", fontsize=8)
        axes.text(-0.45, -1.0, "kept,\nbest first", ha="left", va="center")
        axes.text(-0.45, -tree.beam_size - 0.4, "dropped", ha="left", va="center", color="0.4")
        for node in tree.nodes:
            begin = (0.0, 0.0) if node.parent is None else at[node.parent]
            _draw_node(axes, node, begin, at[node.number])
        axes.legend(
            handles=_LEGEND,
            title="Below a token: ln p of the hypothesis so far (nats); score: that over the "
            "length penalty",
            loc="lower center",
            ncols=4,
            frameon=False,
            handlelength=3,
        )
    kept = sum(node.outcome in ("kept", "finished") for node in tree.nodes)
    best = " ".join(label(node.token) for node in tree.nodes if node.best)
    return Picture(
        figure,
        f"Search: {tree.translation}",
        f"Tree of a beam search with beam {tree.beam_size}: {kept} hypotheses kept in {last} "
        "steps, and some of those dropped, with the natural logarithm of each one's probability. "
        f"The best, {best}, has the score {tree.score:.2f}.",
    )


_BEST: dict[str, Any] = {"color": "black", "linewidth": 2.2}
_KEPT: dict[str, Any] = {"color": "black", "linewidth": 0.8}
_DROPPED: dict[str, Any] = {"color": "0.55", "linewidth": 0.7, "linestyle": (0, (3, 2))}
_LEGEND = [
    Line2D([], [], label="the translation", **_BEST),
    Line2D([], [], label="kept", **_KEPT),
    Line2D([], [], label="dropped", **_DROPPED),
    Line2D([], [], marker="s", markerfacecolor="0.85", label="finished, score", **_KEPT),
]


def _positions(tree: SearchTree) -> dict[int, tuple[float, float]]:
    """Return where to draw each node: x is its step, y its rank, dropped nodes below kept ones."""
    at: dict[int, tuple[float, float]] = {}
    ranks: dict[tuple[int, bool], int] = {}
    for node in tree.nodes:  # best first within a step
        kept = node.outcome in ("kept", "finished")
        rank = ranks[node.step, kept] = ranks.get((node.step, kept), -1) + 1
        at[node.number] = node.step, -float(rank if kept else tree.beam_size + 0.4 + rank)
    return at


def _draw_node(
    axes: Axes, node: Node, begin: tuple[float, float], end: tuple[float, float]
) -> None:
    dropped = node.outcome not in ("kept", "finished")
    style = _BEST if node.best else _DROPPED if dropped else _KEPT
    axes.plot(
        [begin[0] + 0.36, end[0] - 0.36], [begin[1], end[1]], zorder=3 if node.best else 1, **style
    )
    number = f"{node.total:.2f}" if node.score is None else f"score {node.score:.2f}"
    reason = {"beaten": "\ncannot win", "pruned": "\npruned"}.get(node.outcome, "")
    text = f"{label(node.token)}\n{number}{reason}"
    colour = "0.4" if dropped else "black"
    face = "0.85" if node.outcome == "finished" else "white"
    _node_text(axes, end, text, colour, "bold" if node.best else "normal", face)


def _node_text(
    axes: Axes,
    at: tuple[float, float],
    text: str,
    colour: str,
    weight: str,
    face: str = "white",
) -> None:
    box = {"boxstyle": "round,pad=0.15", "facecolor": face, "edgecolor": "none"}
    axes.text(
        *at,
        text,
        ha="center",
        va="center",
        fontsize=6.5,
        color=colour,
        fontweight=weight,
        bbox=box,
        zorder=4,
        linespacing=0.95,
    )


_LINES: Sequence[dict[str, Any]] = [
    {"color": colour, "linestyle": style, "marker": marker, "linewidth": 1.5, "markersize": 4.5}
    for colour, style, marker in (
        ("#000000", "-", "o"),
        ("#e69f00", "-", "s"),
        ("#0072b2", "--", "^"),
        ("#56b4e9", "--", "v"),
        ("#d55e00", "-.", "D"),
        ("#009e73", "-", "x"),
        ("#a0527f", ":", "P"),
        ("#0072b2", "-.", "*"),
        ("#e69f00", (0, (5, 1)), "<"),
        ("#000000", (0, (3, 1, 1, 1)), ">"),
        ("#56b4e9", ":", "p"),
        ("#d55e00", "--", "d"),
    )
]
"""Colours by Okabe & Ito (2008), which the colour-blind can tell apart; dashes and markers do the
same in grey.
"""


def gradients_picture(report: "GradientReport") -> Picture:
    """Draw the gradient over distance, before and after training, and the memory of the cells.

    Each kind of cell has a column, so that no chart has too many lines. With several seeds, each is
    a thin line, and their median is a thick one.
    """
    settings = report.settings
    lines = dict(zip(report.variants, itertools.cycle(_LINES), strict=False))
    kinds: dict[str, list[str]] = {}
    for variant in lines:
        kinds.setdefault(variant.split(",")[0], []).append(variant)
    whens = {False: "at initialisation", True: "trained"}
    with _style():
        figure = Figure(figsize=(4 * max(2, len(kinds)), 11), layout="constrained")
        above, memory = figure.subfigures(2, 1, height_ratios=(2.4, 1), squeeze=False)[:, 0]
        panels = above.subplots(2, len(kinds), sharex=True, sharey=True, squeeze=False)
        for row, (trained, when) in zip(panels, whens.items(), strict=True):
            for axes, (kind, variants) in zip(row, kinds.items(), strict=True):
                for variant in variants:
                    norms = report.norms(variant, trained=trained)
                    name = variant.removeprefix(f"{kind}, ")
                    _draw_seeds(axes, norms, {"label": name, **lines[variant]})
                axes.set(title=f"{kind}, {when}", yscale="log")
                axes.minorticks_off()
                axes.grid(color="0.9")
            row[0].set_ylabel("|d loss / d x_t| (nats)")
            row[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0e}")
        for axes in panels[1]:
            axes.set_xlabel("distance T - t (steps)")
        lowest = min(report.norms(variant, trained=False).min() for variant in lines)
        highest = max(curve.norms.max() for curve in report.curves)
        panels[0, 0].set_ylim(lowest / 2, 2 * highest)
        for axes in panels.flat:
            _label_lines(axes)
        _draw_memory(memory.subplots(), report, lines)
    several = f", median of {len(settings.seeds)} seeds" if settings.seeds[1:] else ""
    medians = {name: _median(report.norms(name, trained=False)) for name in lines}
    told = " ".join(
        f"{name}: {norms[1]:.1e} at distance 1, {norms[-1]:.1e} at {settings.distance}."
        for name, norms in medians.items()
    )
    remembered = " ".join(
        f"{name} learnt a delay of {', '.join(map(str, _learnt(report, name)))}." for name in lines
    )
    return Picture(
        figure,
        "The vanishing gradient",
        f"Gradient of the loss by the input, over distance, at initialisation{several}. {told} "
        f"Memory of one symbol, a number for each seed. {remembered}",
    )


def _draw_seeds(axes: Axes, norms: NDArray[np.float64], style: Mapping[str, Any]) -> None:
    """Draw the norms (N, D + 1) of N seeds as thin lines, and their median as a thick one."""
    if not len(norms):
        return
    last = norms.shape[1] - 1
    distances = [
        distance
        for distance in range(last + 1)
        if len(norms) == 1 or distance % 10 == 0 or last - distance < 4
    ]  # with several seeds, fewer points for a smaller file
    axes.plot(distances, _median(norms[:, distances]), markevery=0.25, **style)
    if len(norms) > 1:
        thin = {"color": style["color"], "linestyle": style["linestyle"], "linewidth": 0.7}
        axes.plot(distances, norms[:, distances].T, label="_seed", **thin)


def _median(norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median (D + 1,) of norms (N, D + 1), taken on a logarithmic scale."""
    middle: NDArray[np.float64] = np.exp(np.median(np.log(norms), axis=0))
    return middle


def _learnt(report: "GradientReport", variant: str) -> list[int]:
    """Return the longest delay that each seed learnt; 0 if it learnt none."""
    return [report.limits(variant, seed)[0] or 0 for seed in report.settings.seeds]


def _draw_memory(
    axes: Axes, report: "GradientReport", lines: Mapping[str, Mapping[str, Any]]
) -> None:
    """Draw a row for each variant, with a point for each seed at the longest delay it learnt."""
    settings = report.settings
    delays = [0, *settings.delays]
    several = len(settings.seeds) > 1
    for row, (variant, style) in enumerate(lines.items()):
        longest = _learnt(report, variant)
        look = {"color": style["color"], "marker": style["marker"], "linestyle": "none"}
        for place, delay in enumerate(delays):
            if number := longest.count(delay):
                across = place + 0.08 * (np.arange(number) - (number - 1) / 2)
                axes.plot(across, [row] * number, markersize=7, **look)
    axes.set(
        title=f"Memory: the longest delay learnt in at most {settings.steps} steps of training"
        f"{'; a point for each seed' if several else ''}",
        xlabel=f"delay (steps{', with distractors' if settings.distractors else ''})",
        xlim=(-0.5, len(settings.delays) + 0.5),
        ylim=(len(lines) - 0.5, -0.5),
    )
    axes.set_xticks(range(len(delays)), ["none", *map(str, settings.delays)])
    axes.set_yticks(range(len(lines)), [*lines])
    axes.grid(color="0.9")


def _label_lines(axes: Axes) -> None:
    """Write the name of each line beside its right end, joined in its colour, without overlaps."""
    lines = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    if not lines:
        return
    ends = []
    for line in lines:
        points = np.asarray(line.get_xydata())
        bottom, top = axes.get_ylim()
        ends.append(points[(points[:, 1] >= bottom) & (points[:, 1] <= top)][-1])
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = np.array([to_axes.transform(end)[1] for end in ends])
    order, gap = np.argsort(heights), min(0.09, 1 / len(lines))
    places = heights[order]
    for number in range(1, len(places)):  # move names up, and down again if that is too far
        places[number] = max(places[number], places[number - 1] + gap)
    places[-1] = min(places[-1], 1.0)
    for number in reversed(range(len(places) - 1)):
        places[number] = min(places[number], places[number + 1] - gap)
    for number, place in zip(order, places, strict=True):
        axes.annotate(
            str(lines[number].get_label()),
            ends[number],
            (1.03, place),
            textcoords="axes fraction",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": lines[number].get_color(),
                "linewidth": 0.7,
                "relpos": (0, 0.5),
            },
        )


_FIGURES = {
    "mean": ("mean", "0 closed, 1 open", 1),
    "open": ("nearly open", "share above 0.9 (%)", 100),
    "closed": ("nearly closed", "share below 0.1 (%)", 100),
    "saturated": ("saturated", "share, |h| above 0.9 (%)", 100),
}
"""Statistics of a gate over units and tokens: (name in the title, axis label, factor of values)."""


def reliability_picture(measured: Reliability) -> Picture:
    """Draw quality against confidence, and below it the number of sentences in each bin."""
    x, y, errors = (
        [getattr(part, name) for part in measured.bins]
        for name in ("confidence", "quality", "standard_error")
    )
    with _style():
        figure = Figure(figsize=(5, 5), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.plot([0, 1], [0, 1], "k:", label="perfect calibration")
        label = "mean of a bin ± standard error"
        above.errorbar(x, y, errors, fmt="ko-", capsize=3, label=label)
        above.set(ylabel="sentence chrF / 100", ylim=(0, 1))
        above.legend()
        centres = [(part.low + part.high) / 2 for part in measured.bins]
        below.bar(centres, [part.sentences for part in measured.bins], 0.08, color="0.5")
        below.set(xlabel="confidence", ylabel="sentences", xlim=(0, 1))
    summary, *lines = reliability_lines(measured)
    figure.suptitle(summary)
    return Picture(figure, f"Confidence, {measured.direction}", "\n".join((summary, *lines)))


def training_picture(history: TrainingHistory) -> Picture:
    """Draw loss, BLEU and learning rate over the steps, and below them the gates of each layer."""
    names = history.gate_names
    down = len(names.figures)
    with _style():
        figure = Figure(figsize=(13, 3.8 + 3.0 * down), layout="constrained")
        # Six columns can be divided among three curves, and among the one to three gates of a cell.
        grid = figure.add_gridspec(1 + down, 6, height_ratios=[3.6] + [3.0] * down)
        loss, bleu, rate = (figure.add_subplot(grid[0, 2 * n : 2 * n + 2]) for n in range(3))
        _draw_loss(loss, history)
        _draw_bleu(bleu, history)
        _draw_rate(rate, history)
        for row in history.rollbacks:
            _mark_rollback((loss, bleu, rate), row["step"])
        wide = 6 // max(1, len(names.gates))
        for y, name in enumerate(names.figures, 1):
            places = (grid[y, wide * x : wide * (x + 1)] for x in range(len(names.gates)))
            _draw_gates([figure.add_subplot(place) for place in places], name, names, history.gates)
        for axes in figure.axes:
            _count_steps(axes, history.steps)
        if names.layers:
            handles, layers = figure.axes[-1].get_legend_handles_labels()
            figure.legend(handles, layers, loc="outside lower center", ncols=5, handlelength=4)
    return Picture(figure, f"Training: {history.name}", _tell_training(history))


def runs_picture(histories: Sequence[TrainingHistory]) -> Picture:
    """Draw the validations of several runs in the same plots, with a line for each run."""
    panels = (
        ("bleu", "Validation BLEU, greedy", "BLEU (of 100)"),
        ("nll", "Validation loss", "-ln p (nats per target token)"),
    )
    with _style():
        figure = Figure(figsize=(13, 4.5), layout="constrained")
        for axes, (key, title, unit) in zip(figure.subplots(1, 2), panels, strict=True):
            for history, line in zip(histories, itertools.cycle(_LINES), strict=False):
                rows = history.validations
                style = line | {"markevery": _every(rows)}
                axes.plot(*_series(rows, key), label=history.name, **style)
            axes.set(title=title, ylabel=unit)
            _count_steps(axes, max(history.steps for history in histories))
        lines, labels = axes.get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=4, handlelength=4)
    names = ", ".join(history.name for history in histories)
    return Picture(figure, f"Training: {names}", "\n".join(runs_lines(histories)))


def _count_steps(axes: Axes, steps: int) -> None:
    axes.set_xlim(-0.03 * steps, max(1, 1.03 * steps))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("step (batches learnt)")
    axes.grid(color="0.9")


def _series(rows: Sequence[Row], key: str) -> tuple[list[int], list[float]]:
    return [row["step"] for row in rows], [row[key] for row in rows]


def _draw_loss(axes: Axes, history: TrainingHistory) -> None:
    losses, likelihoods = (_series(history.train, key) for key in ("loss", "nll"))
    if losses != likelihoods:
        axes.plot(*losses, color="0.6", linewidth=1.3, label="training, what is learnt (smoothed)")
    axes.plot(*likelihoods, color="black", linewidth=0.8, label="training, -ln p")
    style = _LINES[2] | {"markevery": _every(history.validations)}
    axes.plot(*_series(history.validations, "nll"), label="validation, -ln p", **style)
    axes.set(title="Loss", ylabel="loss (nats per target token)")
    axes.legend(frameon=False)


def _draw_bleu(axes: Axes, history: TrainingHistory) -> None:
    rows, several = history.validations, len(history.directions) > 1
    for name, line in zip(history.directions, itertools.cycle(_LINES), strict=False):
        told = [row for row in rows if name in row.get("bleu_by_direction", {})]
        steps = [row["step"] for row in told]
        values = [row["bleu_by_direction"][name] for row in told]
        axes.plot(steps, values, label=name, markevery=_every(told), **line)
    if several or not history.directions:
        axes.plot(*_series(rows, "bleu"), color="black", linewidth=2.5, label="mean")
    if history.best:
        at = history.best["step"], history.best["bleu"]
        circle: dict[str, Any] = {"markersize": 10, "markerfacecolor": "none", "color": "black"}
        axes.plot(*at, marker="o", linestyle="none", label=f"best, {at[1]:.2f}", **circle)
        if several:  # too many entries to fit inside without hiding lines
            axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.19))
        else:
            axes.legend(frameon=False, loc="lower right")
    else:
        axes.text(0.5, 0.5, "no validation yet", ha="center", transform=axes.transAxes)
    axes.set(title="Validation BLEU, greedy", ylabel="BLEU (of 100)")


def _draw_rate(axes: Axes, history: TrainingHistory) -> None:
    axes.plot(*_series(history.train, "learning_rate"), color="black", linewidth=1.3)
    axes.set(title="Learning rate", ylabel="learning rate (no unit)", ylim=(0, None))


def _mark_rollback(curves: Sequence[Axes], step: int) -> None:
    for axes in curves:
        axes.axvline(step, color="0.4", linestyle=":", linewidth=1)
    beside: dict[str, Any] = {"xytext": (-2, 3), "textcoords": "offset points"}
    curves[-1].annotate("went back", (step, 0), rotation=90, ha="right", color="0.3", **beside)


def _draw_gates(across: Sequence[Axes], name: str, names: GateNames, rows: Sequence[Row]) -> None:
    """Draw one statistic: a chart for each gate, a line for each layer, all to the same scale."""
    title, unit, factor = _FIGURES[name]
    steps = [row["step"] for row in rows]
    for axes, gate in zip(across, names.gates, strict=True):
        for layer, line in zip(names.layers, itertools.cycle(_LINES), strict=False):
            values = [factor * row["gates"][layer][gate][name] for row in rows]
            axes.plot(steps, values, label=layer, markevery=_every(rows), **line)
        axes.set(title=f"{_gate_name(gate, names)}, {title}", ylabel=unit)
    # The axis reaches at least 2%, so that shares of a few thousandths do not look large.
    top = 1.0 if name == "mean" else max(2.0, *(axes.dataLim.y1 for axes in across))
    for axes in across:
        axes.set_ylim(-0.03 * top, 1.05 * top)


def _gate_name(gate: str, names: GateNames) -> str:
    if gate == "hidden":
        return "hidden state"
    return "update (input) gate" if gate == "update" and "forget" in names.gates else f"{gate} gate"


def _every(rows: Sequence[Row]) -> int:
    """Return the number of points per marker, so that markers do not hide the line."""
    return 1 + len(rows) // 20


def _tell_training(history: TrainingHistory) -> str:
    told = [f"Curves over {history.steps:,} training steps ({history.epochs} epochs)."]
    if history.train:
        first, last = history.train[0], history.train[-1]
        highest = max(row["learning_rate"] for row in history.train)
        told.append(
            f"Training loss from {first['loss']:.2f} to {last['loss']:.2f} nats per token; "
            f"learning rate at most {highest:.2g}, at the end {last['learning_rate']:.2g}."
        )
    if history.best:
        first, last = history.validations[0], history.validations[-1]
        told.append(
            f"Validation BLEU from {first['bleu']:.2f} to {last['bleu']:.2f}, best "
            f"{history.best['bleu']:.2f} at step {history.best['step']:,}."
        )
        if len(history.directions) > 1:
            bleus = history.best["bleu_by_direction"].items()
            told.append(f"There {', '.join(f'{name} {bleu:.2f}' for name, bleu in bleus)}.")
    for row in history.rollbacks:
        told.append(f"Went back from step {row['failed_step']:,} to {row['step']:,}.")
    if history.gates:
        kind = history.gate_names.figures[0]  # mean or saturated
        layers = (
            f"{layer} {', '.join(f'{gate} {figures[kind]:.2f}' for gate, figures in gates.items())}"
            for layer, gates in history.gates[-1]["gates"].items()
        )
        told.append(f"At the last validation, {kind}: {'; '.join(layers)}.")
    return " ".join(told)


def _name_ticks(
    axes: Axes, axis: Literal["x", "y"], tokens: Sequence[str], size: float = 7.0
) -> None:
    """Set a tick for each token."""
    names = [label(token) for token in tokens]
    if axis == "x":
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    else:
        axes.set_yticks(range(len(names)), names, fontsize=size)
