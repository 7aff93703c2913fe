"""From a training run to the model folder that ships."""

import json
from pathlib import Path
from typing import Any

from seq2seq.config import Recipe, WeightPrecision
from seq2seq.corpus import read_parallel
from seq2seq.decoding.export import export_folder
from seq2seq.errors import Seq2SeqError
from seq2seq.training.pairs import encode_pairs
from seq2seq.training.run import RunFolder


def export_run(
    run: Path,
    output: Path,
    card: Path | None = None,
    precision: WeightPrecision = "int8",
    shortlist: bool = True,
    corpus: str | None = None,
) -> int:
    """Write the best model of `run` as the model folder `output`; returns its size in bytes.

    `card` is the model card (Markdown); without one a card is written from the recipe. 8 bits need
    sentence pairs, see `seq2seq.decoding.quantisation`: those of the training corpus, or of
    `corpus`, a prefix or TSV file.
    """
    folder = RunFolder.open(run)
    model, tokenizer, recipe = folder.best_model()
    languages = recipe.corpus.source_language, recipe.corpus.target_language
    ids = None
    if precision == "int8":
        source = recipe.corpus.train if corpus is None else corpus
        try:
            pairs = encode_pairs(read_parallel(source, *languages), tokenizer, languages[1])
        except Seq2SeqError as error:
            if corpus is not None:
                raise
            raise Seq2SeqError(
                f"{error} 8 bits need the training corpus: name it with --corpus, or export with "
                "--precision fp32."
            ) from None
        if not any(pairs.targets):
            raise Seq2SeqError(f"{source}: every {languages[1]} line is blank; 8 bits need text.")
        ids = pairs.sources, pairs.targets
    if card is None:
        text = _card(folder, recipe, sum(weight.numel() for weight in model.parameters()))
    else:
        try:
            text = card.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Seq2SeqError(f"{card}: cannot be read: {error}.") from None
    export_folder(
        {name: tensor.numpy() for name, tensor in model.state_dict().items()},
        recipe.model,
        tokenizer,
        *languages,
        recipe.search,
        text,
        output,
        ids,
        shortlist,
    )
    return sum(file.stat().st_size for file in output.iterdir())


def _card(folder: RunFolder, recipe: Recipe, parameters: int) -> str:
    """What is known without being told: languages, shape, data, validation BLEU."""
    corpus, model = recipe.corpus, recipe.model
    best = _best_validation(folder.metrics_file)
    train = corpus.train if isinstance(corpus.train, str) else corpus.train.dataset
    return (
        f"# {corpus.source_language} to {corpus.target_language}\n\n"
        f"A translation model made with seq2seq.\n\n"
        f"- Model: {model.cell} encoder-decoder, attention {model.attention}, "
        f"{model.encoder_layers}+{model.decoder_layers} layers of {model.hidden_size}, "
        f"{parameters:,} parameters\n"
        f"- Training corpus: `{train}`; whoever ships this model states its licence here\n"
        f"- Validation: BLEU {best['bleu']:.2f} (greedy, sacreBLEU, detokenised, cased), "
        f"perplexity {best['perplexity']:.2f} after {best['step']:,} steps\n"
        f"- Seed: {recipe.training.seed}\n"
    )


def _best_validation(metrics: Path) -> dict[str, Any]:
    """The row of the best validation in `metrics.jsonl`."""
    try:
        rows = [json.loads(row) for row in metrics.read_text(encoding="utf-8").splitlines()]
        validations = [row for row in rows if row["kind"] == "valid"]
        # By the rule that chose the weights, see Trainer: two decimals, then the likelier one.
        return max(validations, key=lambda row: (round(row["bleu"], 2), -row["nll"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Seq2SeqError(
            f"{metrics}: no validation in it can be read ({error}); give a card with --card."
        ) from None
