"""Export a training run as a model directory."""

from dataclasses import dataclass
from pathlib import Path

from seq2seq.bleu_chrf import bleu_tokenizer
from seq2seq.calibration import calibrate
from seq2seq.confidence import Calibration
from seq2seq.config.model_config import Direction, WeightPrecision
from seq2seq.config.recipe import Recipe
from seq2seq.corpus import directed_texts, read_parallel, read_validation
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.files import read_bounded
from seq2seq.model_dir.read import read_config
from seq2seq.model_dir.write import Corpora, export_model_dir
from seq2seq.nn.recurrent import computes_as_built_in
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.run_dir import RunDir
from seq2seq.training.training_metrics import Row, read_validations
from seq2seq.training.training_pairs import encode_pairs
from seq2seq.translation.translator import Translator

_LARGEST_CARD = 1 << 20  # bytes
_MOST_PAIRS = 300_000  # per direction: enough to learn which words translate which
_FEW_PAIRS = 20_000
"""Number of pairs in a direction below which they do not cover the vocabulary."""


@dataclass(frozen=True)
class Exported:
    """The model directory that was written."""

    size: int  # bytes
    shortlist: bool
    calibrated: bool


def export_run(
    run: Path,
    output: Path,
    card: Path | None = None,
    precision: WeightPrecision = "int8",
    shortlist: bool = True,
    corpus: str | None = None,
) -> Exported:
    """Write the best model of `run` as the model directory `output`.

    `card` is the model card (Markdown); without it, a card is written from the recipe. 8 bits need
    sentence pairs, see `seq2seq.engines.quantization`: those of the training corpus, or of
    `corpus`, a prefix or TSV file. If a model was fine-tuned on few pairs, it gets no shortlist,
    since the pairs lack most words that the model knows. Confidence is calibrated on the validation
    corpus, if that is available.
    """
    run_dir = RunDir.open(run)
    if run_dir.recipe().model.own_cell:
        raise UsageError(
            f"{run}: a run with a cell of your own cannot be exported, only lstm, gru and rnn; use "
            f"the run as it is: seq2seq evaluate {run} --cell {run_dir.cell_file}"
        )
    if setting := run_dir.recipe().model.not_exported:
        raise UsageError(
            f"{run}: exported models do not have {setting}; use the run as it is: seq2seq evaluate "
            f"{run} -o FILE"
        )
    model, tokenizer, recipe = run_dir.best_model()
    if recipe.model.kernels == "reference" and not computes_as_built_in(recipe.model.cell):
        raise UsageError(
            f"{run}: seq2seq/nn/cells.py was changed, and an exported model computes its "
            f"{recipe.model.cell} as it was; use the run as it is: seq2seq evaluate {run}."
        )
    corpora = _corpora(recipe, tokenizer, corpus) if precision == "int8" else None
    if corpora is None or (corpus is None and run_dir.parent() and _smallest(corpora) < _FEW_PAIRS):
        shortlist = False
    if card is None:
        text = _card(run_dir, recipe, sum(weight.numel() for weight in model.parameters()))
    else:
        try:
            text = read_bounded(card, _LARGEST_CARD).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise Seq2SeqError(f"{card}: cannot be read: {error}.") from None
    export_model_dir(
        {name: tensor.numpy() for name, tensor in model.state_dict().items()},
        recipe.model,
        tokenizer,
        recipe.directions,
        recipe.search,
        text,
        output,
        corpora,
        shortlist,
        lambda made: _calibrations(made, recipe),
    )
    size = sum(file.stat().st_size for file in output.iterdir())
    return Exported(size, shortlist, bool(read_config(output).calibrations))


def _smallest(corpora: Corpora) -> int:
    return min(len(sources) for sources, _ in corpora.values())


def _calibrations(model: Path, recipe: Recipe) -> list[Calibration]:
    """Calibrate on the validation corpus; return [] if it is not on this machine."""
    try:
        texts = read_validation(recipe.corpus)
    except Seq2SeqError:
        return []
    return calibrate(Translator(model), texts)


def _corpora(recipe: Recipe, tokenizer: Tokenizer, corpus: str | None) -> Corpora:
    """Encode the training corpora of `recipe`, or `corpus` in place of its only one."""
    if corpus is not None and len(recipe.corpus) > 1:
        raise UsageError(
            "--corpus replaces the corpus of a run that has one, and this run has several."
        )
    corpora = dict[Direction, tuple[list[list[int]], list[list[int]]]]()
    named = [(config, source) for config in recipe.corpus for source in config.training_sources]
    for config, source in named if corpus is None else [(recipe.corpus[0], corpus)]:
        try:
            text = read_parallel(source, config.source_language, config.target_language)
        except Seq2SeqError as error:
            if corpus is not None:
                raise
            raise Seq2SeqError(
                f"{error} 8 bits need the training corpus: name it with --corpus, or export with "
                "--precision fp32."
            ) from None
        for direction, directed in directed_texts(config, text):
            pairs = encode_pairs(directed.sample(_MOST_PAIRS), tokenizer, direction.target)
            if not any(pairs.targets):
                raise Seq2SeqError(
                    f"{source}: every {direction.target} line is blank; 8 bits need text."
                )
            sources, targets = corpora.setdefault(direction, ([], []))
            sources += pairs.sources
            targets += pairs.targets
    return corpora


def _card(run_dir: RunDir, recipe: Recipe, parameters: int) -> str:
    """Write a model card from what the run knows: languages, shape, data, validation BLEU."""
    model = recipe.model
    best = _best_validation(run_dir.metrics_file)
    sources = [source for corpus in recipe.corpus for source in corpus.training_sources]
    train = ", ".join(
        f"`{source if isinstance(source, str) else source.dataset}`" for source in sources
    )
    directions = ", ".join(f"{each.source} to {each.target}" for each in recipe.directions)
    parent = run_dir.parent()
    tokenizers = " and ".join(
        dict.fromkeys(bleu_tokenizer(direction.target) for direction in recipe.directions)
    )
    chrf = f"chrF {best['chrf']:.2f}, " if "chrf" in best else ""
    tuned = (
        f"- Fine-tuned from: `{parent.path}`, whose licence and attribution hold for this model "
        f"too (SHA-256 of its weights: `{parent.sha256}`)\n"
        if parent
        else ""
    )
    return (
        f"# {directions}\n\n"
        f"A translation model made with seq2seq.\n\n"
        f"- Model: {model.cell} encoder-decoder, attention {model.attention}, "
        f"{model.encoder_layers}+{model.decoder_layers} layers of {model.hidden_size}, "
        f"{parameters:,} parameters\n"
        f"{tuned}"
        f"- Training corpus: {train}; whoever ships this model states its licence here\n"
        f"- Validation: BLEU {best['bleu']:.2f} (greedy, sacreBLEU with {tokenizers}, "
        f"detokenised, cased), {chrf}"
        f"perplexity {best['perplexity']:.2f} after {best['step']:,} steps\n"
        f"- Seed: {recipe.training.seed}\n"
    )


def _best_validation(metrics: Path) -> Row:
    """Return the row of the best validation in `metrics.jsonl`."""
    try:
        return read_validations(metrics)[-1]
    except Seq2SeqError as error:
        raise Seq2SeqError(f"{str(error).rstrip('.')}; give a card with --card.") from None
