"""Diagrams of a model, drawn from its own settings: its parts, their connections and shapes.

In shapes, B is the number of sentences, S of source tokens and T of target tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from seq2seq.config.model_config import ModelConfig
from seq2seq.errors import UsageError
from seq2seq.inspection.numpy_model import Network
from seq2seq.inspection.svg import Canvas, Kind

_SOURCE = ("<2de>", "Where", "is", "it", "?")
_TARGET = ("Wo", "ist", "es", "?", "</s>")


class Part(NamedTuple):
    """A part of a model."""

    name: str
    does: str
    shape: str  # of its output
    parameters: int


def parts_of(network: Network) -> list[Part]:
    """List the parts of a model, in the order of the data, with their shapes and parameters."""
    config, sizes = network.config, network.shapes()
    h = config.hidden_size
    vocabulary = sizes["embedding.weight"][0]

    def count(*prefixes: str) -> int:
        return sum(prod(shape) for name, shape in sizes.items() if name.startswith(prefixes))

    states = len(network.cell.states)
    cell = _cell_name(config)
    parts = [
        Part("embedding", f"{vocabulary:,} subwords", f"(B, S, {h})", count("embedding.")),
        *(
            Part(
                f"encoder {number + 1}",
                f"{cell}, 2 x {h // 2}, both ways",
                f"(B, S, {h})",
                count(f"encoder.layers.{number}."),
            )
            for number in range(config.encoder_layers)
        ),
        Part("encoder norm", "layer norm", f"(B, S, {h})", count("encoder.norm.")),
        Part(
            "bridge",
            "last states to first states",
            f"{config.decoder_layers} x {states} x (B, {h})",
            count("decoder.bridge."),
        ),
    ]
    for number in range(config.decoder_layers):
        name = f"decoder {number + 1}"
        parts.append(Part(name, cell, f"(B, T, {h})", count(f"decoder.layers.{number}.")))
        if number == 0 and config.attention != "none":
            does = f"{config.heads} heads of {h // config.heads}"
            if config.attention != "multihead":
                does = f"{config.attention}, one head"
            size = count("decoder.attention.", "decoder.norm.")
            parts.append(Part("attention", does, f"(B, T, {h})", size))
    parts.append(Part("readout", "linear, tanh", f"(B, T, {h})", count("decoder.project.")))
    output = Part("softmax", "tied to the embedding", f"(B, T, {vocabulary:,})", vocabulary)
    return [*parts, output]


def _cell_name(config: ModelConfig) -> str:
    return config.own_cell[1] if config.own_cell else config.cell.upper()


def model_lines(network: Network) -> list[str]:
    """Return a table of the parts of a model, as lines of text."""
    parts = parts_of(network)
    rows = [(part.name, part.does, part.shape, f"{part.parameters:,}") for part in parts]
    rows.append(("all", "", "", f"{sum(part.parameters for part in parts):,}"))
    header = ("part", "what it is", "gives", "parameters")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(4)]
    return [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in (header, *rows)
    ]


def model_diagram(network: Network) -> Canvas:
    """Draw the parts of a model with shapes and parameters; encoder left, decoder right."""
    config, parts = network.config, parts_of(network)
    encoder = [part for part in parts if part.name.startswith(("embedding", "encoder"))]
    decoder = [part for part in parts if part.name.startswith(("decoder", "att", "read", "soft"))]
    [bridge] = (part for part in parts if part.name == "bridge")
    total = sum(part.parameters for part in parts)
    step, top = 92, 96
    height = top + step * max(len(encoder) + 1, len(decoder) + 2) + 30
    told = "; ".join(
        f"{part.name} ({part.does}) gives {part.shape}, {part.parameters:,} parameters"
        for part in parts
    )
    canvas = Canvas(
        1000,
        height,
        f"The model: {_cell_name(config)} encoder-decoder, {total:,} parameters",
        f"Boxes from the bottom up, encoder left and decoder right: {told}.",
    )
    canvas.text(500, 36, canvas.title, "title")
    left, right, bottom = 260, 740, height - 70

    def column(x: float, first: float, column_parts: Sequence[Part]) -> dict[str, float]:
        at = {}
        for number, part in enumerate(column_parts):
            y = first - step * number
            kind: Kind = "gate" if part.name == "attention" else "plain"
            _part_box(canvas, x, y, part, kind)
            if number:
                canvas.arrow((x, y + step - 34), (x, y + 34))
            at[part.name] = y
        return at

    canvas.text(left, bottom + 42, "source tokens (B, S)", "is-quiet")
    canvas.arrow((left, bottom + 32), (left, bottom - 6), kind="quiet")
    at = column(left, bottom - 40, encoder)
    canvas.text(right, bottom + 42, "target tokens so far (B, T)", "is-quiet")
    embedding = at["embedding"]
    canvas.box(right, embedding, 340, 40, "the same embedding")
    canvas.arrow((right, bottom + 32), (right, embedding + 20), kind="quiet")
    over = column(right, embedding - step, decoder)
    canvas.arrow((right, embedding - 20), (right, over["decoder 1"] + 34))
    canvas.text(right, over["softmax"] - 70, "next token", "is-quiet")
    canvas.arrow((right, over["softmax"] - 34), (right, over["softmax"] - 60), kind="quiet")
    top_left = at["encoder norm"]
    middle = 500
    if "attention" in over:
        y = over["attention"]
        canvas.arrow(
            (left + 170, top_left - 12), (middle + 14, top_left - 12), (middle + 14, y), (570, y)
        )
        canvas.text(middle, top_left - 30, "memory", "small")
    y = over["decoder 1"]
    canvas.arrow(
        (left + 170, top_left + 14),
        (middle - 24, top_left + 14),
        (middle - 24, y + 16),
        (570, y + 16),
        kind="state",
    )
    canvas.text(middle, y + 58, f"bridge\n{bridge.parameters:,}\nparameters", "small")
    return canvas


def _part_box(canvas: Canvas, x: float, y: float, part: Part, kind: Kind) -> None:
    canvas.box(
        x,
        y,
        340,
        68,
        f"{part.name}: {part.does}\ngives {part.shape}\n{part.parameters:,} parameters",
        kind,
    )


class _Shape(NamedTuple):
    """A panel of `shapes_diagram`: the steps that have an input, x, and those with an output, y."""

    name: str
    use: str
    comes_in: str
    goes_out: str


_SHAPES = (
    _Shape("one to one, aligned", "a tag for each word", "xxxx", "yyyy"),
    _Shape("many to one", "a language, a mood", "xxxx", "...y"),
    _Shape("one to many", "a text, a caption", "x...", "yyyy"),
    _Shape("many to many", "a translation", "xxx...", "...yyy"),
)


def shapes_diagram(network: Network) -> Canvas:
    """Draw the four shapes of sequence models."""
    canvas = Canvas(
        1180,
        330,
        "Four shapes of sequence models",
        "Four rows of cells, each cell handing its state to the next. One to one: an input and an "
        "output at every cell. Many to one: an input at every cell, one output at the last. One to "
        "many: one input at the first cell, an output at every cell. Many to many: inputs at the "
        "first cells, then outputs at the others.",
    )
    begin = 40
    for shape in _SHAPES:
        step = 58
        middle = begin + step * (len(shape.comes_in) - 1) / 2 + 10
        canvas.text(middle, 40, shape.name, "title")
        canvas.text(middle, 290, shape.use, "is-quiet")
        for number, (x_in, y_out) in enumerate(zip(shape.comes_in, shape.goes_out, strict=True)):
            x = begin + 10 + step * number
            canvas.box(x, 165, 40, 40, "h", "state")
            if number:
                canvas.arrow((x - step + 20, 165), (x - 20, 165), kind="state")
            if x_in == "x":
                canvas.arrow((x, 230), (x, 185))
                canvas.text(x, 246, "x")
            if y_out == "y":
                canvas.arrow((x, 145), (x, 104))
                canvas.text(x, 88, "y")
        begin += step * len(shape.comes_in) + 30
    return canvas


def unit_diagram(network: Network) -> Canvas:
    """Draw the recurrent unit, rolled and unrolled over time."""
    canvas = Canvas(
        1000,
        330,
        "The recurrent unit, rolled and unrolled",
        "Left, one unit: the input x comes in from below, the state h leaves above and comes back "
        "at the next step. Right, the same unit at four steps: each reads its x and the state of "
        "the step before, and all of them have the same weights W and U.",
    )
    canvas.text(140, 30, "rolled", "title")
    canvas.text(640, 30, "unrolled: the same weights at each step", "title")
    y = 165
    canvas.box(140, y, 110, 64, "tanh")
    canvas.arrow((140, 265), (140, y + 32))
    canvas.text(140, 285, "x")
    canvas.arrow((140, y - 32), (140, 80))
    canvas.text(140, 64, "h")
    canvas.arrow((140, 104), (235, 104), (235, y), (195, y), kind="state")
    canvas.text(252, 135, "U")
    canvas.text(158, 235, "W")
    canvas.text(345, y - 18, "h₀ = 0")
    for number in range(4):
        x = 440 + 155 * number
        canvas.arrow((x - 155 + 45 if number else 320, y), (x - 45, y), kind="state")
        canvas.box(x, y, 90, 64, "tanh")
        canvas.arrow((x, 265), (x, y + 32))
        canvas.text(x, 285, "x" + "₁₂₃₄"[number])
        canvas.text(x + 17, 235, "W")
        canvas.arrow((x, y - 32), (x, 80))
        canvas.text(x, 64, "h" + "₁₂₃₄"[number])
        if number:
            canvas.text(x - 70, y - 16, "U")
    canvas.arrow((440 + 155 * 3 + 45, y), (985, y), kind="state")
    return canvas


def lstm_diagram(network: Network) -> Canvas:
    """Draw the LSTM cell, with each gate where it acts in the equations."""
    canvas = Canvas(
        1000,
        560,
        "The LSTM cell",
        "The memory cell c runs along the top: it is multiplied by the forget gate f, and the "
        "product of the update gate u and the candidate g is added. Its tanh, multiplied by the "
        "output gate o, is the new state h'. All four are computed from the input x and the state "
        "h. The update gate is the one that most books call the input gate.",
    )
    canvas.text(500, 28, "The LSTM cell: c' = f * c + u * g,  h' = o * tanh(c')", "title")
    line, gates, join, out = 110, 330, 440, 215
    xs = {"f": 230, "u": 400, "g": 540, "o": 700}
    canvas.text(45, line, "c")
    canvas.arrow((60, line), (xs["f"] - 15, line), kind="state")
    canvas.arrow((xs["f"] + 15, line), (455, line), kind="state")
    canvas.arrow((485, line), (935, line), kind="state")
    canvas.text(958, line, "c'")
    canvas.circle(xs["f"], line, "×", "state")
    canvas.circle(470, line, "+", "state")
    canvas.text(xs["f"], line - 32, "keep")
    canvas.text(470, line - 32, "write")
    names = {
        "f": ("forget gate\nf = σ(...)", "gate"),
        "u": ("update gate\n(input gate)\nu = σ(...)", "gate"),
        "g": ("candidate\ng = tanh(...)", "plain"),
        "o": ("output gate\no = σ(...)", "gate"),
    }
    for name, (text, kind) in names.items():
        canvas.box(xs[name], gates, 125, 76, text, "gate" if kind == "gate" else "plain")
        canvas.arrow((xs[name], join), (xs[name], gates + 38))
    canvas.arrow((xs["f"], gates - 38), (xs["f"], line + 15), kind="gate")
    canvas.circle(470, out, "×")
    canvas.arrow((xs["u"], gates - 38), (xs["u"], out), (455, out), kind="gate")
    canvas.arrow((xs["g"], gates - 38), (xs["g"], out), (485, out))
    canvas.arrow((470, out - 15), (470, line + 15))
    canvas.box(830, 170, 70, 40, "tanh")
    canvas.arrow((830, line), (830, 150))
    canvas.circle(830, 250, "×")
    canvas.arrow((830, 190), (830, 235))
    canvas.arrow((xs["o"], gates - 38), (xs["o"], 250), (815, 250), kind="gate")
    canvas.text(762, 234, "show")
    canvas.arrow((830, 265), (830, join + 50), (935, join + 50), kind="state")
    canvas.text(958, join + 50, "h'")
    canvas.arrow((60, join), (xs["o"], join), has_head=False)
    canvas.text(45, join, "h")
    canvas.arrow((130, 520), (130, join), has_head=False)
    canvas.text(130, 537, "x")
    canvas.text(430, join + 30, "each is W x + b + U h + d, with weights of its own", "is-quiet")
    return canvas


def gru_diagram(network: Network) -> Canvas:
    """Draw the GRU, with each gate where it acts in the equations."""
    canvas = Canvas(
        1000,
        520,
        "The GRU",
        "The state h runs along the top: it is multiplied by the update gate z, and the candidate "
        "n, multiplied by 1 - z, is added, which gives the new state h'. The reset gate r decides "
        "how much of the state the candidate sees. All are computed from the input x and the "
        "state h.",
    )
    canvas.text(500, 28, "The GRU: h' = z * h + (1 - z) * n", "title")
    line, gates, join = 110, 310, 420
    r, z, n = 260, 470, 730
    canvas.text(45, line, "h")
    canvas.arrow((60, line), (z - 15, line), kind="state")
    canvas.arrow((z + 15, line), (n - 15, line), kind="state")
    canvas.arrow((n + 15, line), (935, line), kind="state")
    canvas.text(958, line, "h'")
    canvas.circle(z, line, "×", "state")
    canvas.text(z, line - 32, "keep")
    canvas.circle(n, line, "+", "state")
    canvas.text(n, line - 32, "overwrite")
    canvas.box(r, gates, 130, 76, "reset gate\nr = σ(...)", "gate")
    canvas.box(z, gates, 130, 76, "update gate\nz = σ(...)", "gate")
    canvas.box(n, gates, 200, 76, "candidate\nn = tanh(W x + b\n+ r * (U h + d))")
    canvas.arrow((z, gates - 38), (z, line + 15), kind="gate")
    canvas.circle(n, 200, "×")
    canvas.arrow((n, gates - 38), (n, 215))
    canvas.arrow((n, 185), (n, line + 15))
    canvas.arrow((z, 200), (n - 15, 200), kind="gate")
    canvas.text(605, 183, "1 - z")
    canvas.arrow(
        (r + 65, gates), (r + 95, gates), (r + 95, 378), (n - 60, 378), (n - 60, 348), kind="gate"
    )
    canvas.arrow((90, line), (90, join), (n, join), (n, gates + 38))
    for x in (r, z):
        canvas.arrow((x, join), (x, gates + 38))
    canvas.arrow((140, 485), (140, join), has_head=False)
    canvas.text(140, 502, "x")
    canvas.text(
        520, join + 30, "each gate is of W x + b + U h + d, with its own weights", "is-quiet"
    )
    return canvas


def encoder_decoder_diagram(network: Network) -> Canvas:
    """Draw the model unrolled over a sentence, with the attention at one target token."""
    config = network.config
    has_attention = config.attention != "none"
    canvas = Canvas(
        1180,
        470,
        "Encoder and decoder" + (", with attention" if has_attention else ""),
        f"Left, the encoder reads the tokens {' '.join(_SOURCE)} in both directions, in "
        f"{_layers(config.encoder_layers)}. Right, the decoder, of "
        f"{_layers(config.decoder_layers)}, begins with what the encoder ends in, and writes "
        f"{' '.join(_TARGET)}, a token at a time, each of which it reads before the next."
        + (" At each token it looks at all tokens of the source." if has_attention else ""),
    )
    canvas.text(300, 30, f"encoder: {_layers(config.encoder_layers)}, both ways", "title")
    canvas.text(880, 30, f"decoder: {_layers(config.decoder_layers)}", "title")
    y, low = 280, 380
    source = [90 + 105 * number for number in range(len(_SOURCE))]
    target = [680 + 105 * number for number in range(len(_TARGET))]
    for number, (x, token) in enumerate(zip(source, _SOURCE, strict=True)):
        canvas.box(x, y, 70, 50, "h" + "₁₂₃₄₅"[number], "state")
        canvas.arrow((x, low - 16), (x, y + 25))
        canvas.text(x, low, token)
        if number:
            canvas.arrow((x - 70, y - 9), (x - 35, y - 9))
            canvas.arrow((x - 35, y + 9), (x - 70, y + 9))
    canvas.arrow((source[-1] + 35, y), (target[0] - 35, y), kind="state")
    canvas.text(597, y + 24, "first state")
    for number, (x, token) in enumerate(zip(target, _TARGET, strict=True)):
        canvas.box(x, y, 70, 50, "s" + "₁₂₃₄₅"[number], "state")
        canvas.arrow((x, low - 16), (x, y + 25))
        canvas.text(x, low, "<s>" if number == 0 else _TARGET[number - 1])
        if number:
            canvas.arrow((x - 70, y), (x - 35, y), kind="state")
        canvas.arrow((x, y - 25), (x, 90))
        canvas.text(x, 72, token)
    canvas.text(880, 435, "what it has written it reads at the next step", "is-quiet")
    if has_attention:
        x, middle = target[1], 190
        canvas.box(595, middle, 110, 50, f"attention\n{config.heads} heads", "gate")
        for place in source:
            canvas.arrow(
                (place, y - 25),
                (place, middle),
                (540, middle),
                kind="gate",
                has_head=place == source[0],
            )
        canvas.arrow((650, middle - 8), (x - 4, middle - 8), kind="gate")
        canvas.arrow((x - 12, y - 25), (x - 12, middle + 10), (650, middle + 10), kind="quiet")
        canvas.text(715, middle + 30, "query", "small")
        canvas.text(725, middle - 24, "context", "small")
        canvas.text(300, middle - 20, "keys and values of every token", "small")
        canvas.text(
            300, 435, "the attention is asked anew at every step; here at the second", "is-quiet"
        )
    return canvas


def decoding_diagram(network: Network) -> Canvas:
    """Draw what the decoder reads in training (teacher forcing) and in translation."""
    canvas = Canvas(
        1180,
        470,
        "Teacher forcing and decoding",
        "Left, training: the decoder reads the reference, shifted by a token, whatever it says "
        "itself, and each answer is compared with the next word of the reference. Right, "
        "translation: it reads at each step what it has written at the step before, mistakes too.",
    )
    canvas.text(290, 30, "training: teacher forcing", "title")
    canvas.text(880, 30, "translation: it reads itself", "title")
    said = ("Wo", "war", "es", "?", "</s>")
    written = ("Wo", "war", "er", "?", "</s>")
    y, low = 220, 330
    for number in range(5):
        left, right = 80 + 105 * number, 675 + 105 * number
        right_word = said[number] == _TARGET[number]
        for x, token in ((left, said[number]), (right, written[number])):
            canvas.box(x, y, 70, 46, "s" + "₁₂₃₄₅"[number], "state")
            canvas.arrow((x, low - 16), (x, y + 23))
            canvas.arrow((x, y - 23), (x, 148))
            canvas.text(x, 130, token)
            if number:
                canvas.arrow((x - 70, y), (x - 35, y), kind="state")
        canvas.text(left, low, "<s>" if number == 0 else _TARGET[number - 1])
        canvas.text(left, 90, f"{'=' if right_word else '≠'} {_TARGET[number]}", "is-quiet")
        canvas.text(right, low, "<s>" if number == 0 else written[number - 1])
        if number:
            x = right - 105
            canvas.arrow(
                (x + 20, 130), (x + 52, 130), (x + 52, low), (right - 24, low), kind="gate"
            )
    canvas.text(290, 372, "the reference, shifted by one: <s> Wo ist es ?", "is-quiet")
    canvas.text(290, 415, "a wrong word is a loss, and is not read")
    canvas.text(880, 372, "its own words", "is-quiet")
    canvas.text(880, 415, "after a wrong word it goes on from there: hence beam search")
    return canvas


class _Hypothesis(NamedTuple):
    """A node of the tree in `beam_diagram`."""

    token: str
    parent: int  # index in `_TREE`; -1: the start
    step: int
    row: float
    is_kept: bool


_TREE = (
    _Hypothesis("Wo", -1, 1, 0, True),
    _Hypothesis("Wie", -1, 1, 2, True),
    _Hypothesis("Was", -1, 1, 3, False),
    _Hypothesis("ist", 0, 2, 0, True),
    _Hypothesis("war", 0, 2, 1, False),
    _Hypothesis("ist", 1, 2, 2, True),
    _Hypothesis("es", 3, 3, 0, True),
    _Hypothesis("er", 3, 3, 1, True),
    _Hypothesis("es", 5, 3, 2, False),
)


def beam_diagram(network: Network) -> Canvas:
    """Draw a beam of two as a tree that grows."""
    canvas = Canvas(
        1180,
        360,
        "Beam search with a beam of two: a tree that grows",
        "Three trees, of one, two and three steps. At each step every kept hypothesis is "
        "continued, the two best of all continuations are kept, and the others are dropped, "
        "dashed here. At the third step both kept ones continue the first; the second died out.",
    )
    canvas.text(590, 28, canvas.title, "title")
    for steps, begin in ((1, 50), (2, 285), (3, 665)):
        canvas.text(begin + 20 + 65 * steps, 68, f"step {steps}", "is-quiet")

        def at(node: _Hypothesis, begin: int = begin) -> tuple[float, float]:
            return begin + 135 * node.step, 110 + 58 * node.row

        canvas.text(begin, 170, "<s>")
        for node in _TREE:
            if node.step > steps:
                continue
            x, y = at(node)
            from_x, from_y = at(_TREE[node.parent]) if node.parent >= 0 else (begin - 15, 170)
            kind: Kind = "state" if node.is_kept else "quiet"
            canvas.arrow((from_x + 35, from_y), (x - 35, y), kind="plain" if node.is_kept else kind)
            canvas.box(x, y, 70, 38, node.token, kind)
    canvas.text(590, 330, "orange: kept, the two best of the step; dashed: dropped", "is-quiet")
    return canvas


def _layers(number: int) -> str:
    return "1 layer" if number == 1 else f"{number} layers"


DIAGRAMS: Mapping[str, Callable[[Network], Canvas]] = {
    "model": model_diagram,
    "shapes": shapes_diagram,
    "unit": unit_diagram,
    "lstm": lstm_diagram,
    "gru": gru_diagram,
    "encoder-decoder": encoder_decoder_diagram,
    "decoding": decoding_diagram,
    "beam": beam_diagram,
}
"""The functions that draw, by the name of the diagram."""


def diagram(network: Network, name: str) -> Canvas:
    """Draw one of the `DIAGRAMS`; raise a `UsageError` that lists them if `name` is not there."""
    if name not in DIAGRAMS:
        raise UsageError(f"there is no diagram {name!r}; there is {', '.join(DIAGRAMS)}.")
    return DIAGRAMS[name](network)
