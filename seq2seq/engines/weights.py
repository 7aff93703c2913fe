"""The tensors of a model folder: what `weights.safetensors` holds and the graphs read.

G gates: 4 of an LSTM (input, forget, output, candidate), 3 of a GRU (reset, update, candidate), 1
of a plain cell. H hidden, h = H / 2 one direction of the encoder, V vocabulary. A product with X
inputs and Y outputs has a weight (Y, X) and mostly a bias (Y,).

With 8 bits (precision "int8") its weight lies as the kernel reads it, (X, Y), and has a `scale`
(Y,) and for each of its inputs a `step`, the width of one of the 255 values that an input can take.
The steps are in the weights already: output = (quantised input @ weight) * scale + bias.
"""

from typing import NamedTuple

import numpy as np

from seq2seq.config.model_config import ModelConfig, WeightPrecision

Shape = tuple[int, ...]

OUTPUT = "output.weight"
"""The embedding as (H, V) in 8 bits: made on loading a model without a shortlist, not stored."""

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


class Tensor(NamedTuple):
    """Type and shape of one tensor in memory."""

    type: type[np.floating | np.integer]
    shape: Shape


def layout(
    model: ModelConfig, vocabulary_size: int, precision: WeightPrecision = "fp32"
) -> dict[str, Tensor]:
    """Names, types and shapes of all tensors."""
    size = model.hidden_size
    tensors = {
        "embedding.weight": Tensor(np.float32, (vocabulary_size, size)),
        "output_bias": Tensor(np.float32, (vocabulary_size,)),
        "encoder.norm.weight": Tensor(np.float32, (size,)),
        "encoder.norm.bias": Tensor(np.float32, (size,)),
    }
    if model.attention == "multihead":
        tensors["decoder.norm.weight"] = Tensor(np.float32, (size,))
        tensors["decoder.norm.bias"] = Tensor(np.float32, (size,))
    if precision == "int8":
        tensors["embedding.weight"] = Tensor(np.int8, (vocabulary_size, size))
        tensors["embedding.scale"] = Tensor(np.float32, (vocabulary_size,))
        tensors[OUTPUT] = Tensor(np.int8, (size, vocabulary_size))
    for name, (inputs, columns, rows, biased) in products(model).items():
        if precision == "int8":
            tensors[f"{name}.weight"] = Tensor(np.int8, (columns, rows))
            tensors[f"{name}.scale"] = Tensor(np.float32, (rows,))
            for number in range(inputs):
                tensors[f"{name}.step.{number}"] = Tensor(np.float32, ())
        else:
            tensors[f"{name}.weight"] = Tensor(np.float32, (rows, columns))
        if biased:
            tensors[f"{name}.bias"] = Tensor(np.float32, (rows,))
    return tensors


class Product(NamedTuple):
    """A product with a weight: `inputs` vectors side by side, `columns` = X numbers in all."""

    inputs: int
    columns: int
    rows: int  # Y
    biased: bool = True


def products(model: ModelConfig) -> dict[str, Product]:
    """All products with a weight, by name, but for the embedding's."""
    size, half = model.hidden_size, model.hidden_size // 2
    gates = GATES[model.cell]
    # A GRU's reset gate lies between the product with its state and the sum: two products.
    separate = model.cell == "gru"
    found: dict[str, Product] = {}
    for layer in range(model.encoder_layers):
        name = f"encoder.layers.{layer}"
        found[f"{name}.input"] = Product(1, size, 2 * gates * half)  # both directions
        for direction in ("forwards", "backwards"):
            found[f"{name}.{direction}"] = Product(1, half, gates * half, biased=separate)
    for layer in range(model.decoder_layers):
        name = f"decoder.layers.{layer}"
        if separate:
            found[f"{name}.input"] = Product(1, size, gates * size)
            found[f"{name}.hidden"] = Product(1, size, gates * size)
        else:
            found[name] = Product(2, 2 * size, gates * size)
    parts = 2 if model.cell == "lstm" else 1
    found["decoder.bridge"] = Product(1, size, model.decoder_layers * parts * size)
    if model.attention == "multihead":
        found["decoder.attention.key_value"] = Product(1, size, 2 * size, biased=False)
        found["decoder.attention.query"] = Product(1, size, size, biased=False)
        found["decoder.attention.output"] = Product(1, size, size, biased=False)
        found["decoder.project"] = Product(2, 2 * size, size)
    else:
        found["decoder.project"] = Product(1, size, size)
    return found
