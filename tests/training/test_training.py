"""Training runs: what they learn, and what they leave behind."""

import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.training_runs import (
    ROW_STEPS,
    Recorder,
    assert_same_run,
    checkpoint_names,
    complaint,
    contents,
    interrupted_run,
    make_small,
    newest,
    read_metrics,
    with_corpus,
    with_model,
    with_training,
)

from seq2seq.config.model_config import Attention, Cell, Direction
from seq2seq.config.recipe import Recipe, Schedule
from seq2seq.corpus.batches import Batch
from seq2seq.errors import UsageError
from seq2seq.evaluation.test_sets import open_translator
from seq2seq.inspection.training_history import read_history
from seq2seq.tokenizer import Tokenizer
from seq2seq.training import trainer as trainer_module
from seq2seq.training.checkpoint import load_checkpoint
from seq2seq.training.optimizer_step import (
    Learner,
    StepResult,
    can_use_bfloat16,
    learning_rate,
    uses_bfloat16,
)
from seq2seq.training.reporter import open_reporter
from seq2seq.training.run_dir import RunDir
from seq2seq.training.trainer import Outcome, train
from seq2seq.training.validation import Validation

EN_DE = Direction("en", "de")


def rank(row: dict[str, Any]) -> tuple[float, float, float]:
    """What the best validation has the greatest of: BLEU, then chrF, then the likelihood."""
    return round(row["bleu"], 2), round(row["chrf"], 2), -row["nll"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.mark.slow
def test_every_pair_is_trained_on_once_an_epoch(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[int] = []
    learn = Learner.train_step

    def watch(learner: Learner, batch: Batch, *settings: Any) -> StepResult:
        lines.extend(batch.lines.tolist())
        return learn(learner, batch, *settings)

    monkeypatch.setattr(Learner, "train_step", watch)
    train(recipe, tmp_path / "run", Recorder(interrupt_after=5))
    train(recipe, tmp_path / "run", Recorder(interrupt_after=9), resume=True)
    train(recipe, tmp_path / "run", Recorder(), resume=True)
    epochs = [lines[:80], lines[80:160], lines[160:]]
    for epoch in epochs:
        assert sorted(epoch) == list(range(80))
    assert epochs[0] != epochs[1]


@pytest.mark.slow
def test_the_average_follows_the_weights(recipe: Recipe, tmp_path: Path) -> None:
    recipe = with_training(recipe, epochs=1, validate_every=1, keep_checkpoints=99, ema_decay=0.3)
    train(recipe, tmp_path / "run", Recorder())
    weights, averages = [], []
    for name in checkpoint_names(tmp_path / "run"):
        _, tensors = load_checkpoint(tmp_path / "run" / "checkpoints" / name)
        weights.append(tensors["model/embedding.weight"])
        averages.append(tensors["average/embedding.weight"])
    for step in range(1, len(weights)):
        decay = min(0.3, step / (9 + step))
        expected = decay * averages[step - 1] + (1 - decay) * weights[step]
        torch.testing.assert_close(averages[step], expected, rtol=1e-5, atol=1e-6)


def test_what_a_run_leaves_behind(recipe: Recipe, tmp_path: Path) -> None:
    run, display = tmp_path / "runs" / "mine", Recorder()
    outcome = train(recipe, run, display)
    assert {path.name for path in run.iterdir()} == {
        "SHA256SUMS",
        "best.safetensors",
        "checkpoints",
        "lock",
        "metrics.jsonl",
        "recipe.json",
        "tokenizer.model",
    }
    rows = read_metrics(run)
    steps = len(display.losses)
    assert [row["step"] for row in rows if row["kind"] == "train"] == [
        *range(ROW_STEPS, steps + 1, ROW_STEPS)
    ]
    validations = [row for row in rows if row["kind"] == "valid"]
    assert [row["epoch"] for row in validations] == [1, 2, 3]
    assert validations[-1]["step"] == steps
    for row in rows:
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
    best = max(validations, key=rank)
    assert outcome == Outcome(best["bleu"], best["chrf"], stopped_by=0)
    assert RunDir.open(run).recipe() == recipe

    [last] = checkpoint_names(run)[-1:]
    assert last == f"step-{steps:08d}"
    assert len(checkpoint_names(run)) == recipe.training.keep_checkpoints
    position, _ = load_checkpoint(run / "checkpoints" / last)
    assert (position.epoch, position.batch, position.step) == (3, 0, steps)
    assert position.finished
    assert position.metrics_bytes == (run / "metrics.jsonl").stat().st_size


def test_rows_add_up(recipe: Recipe, tmp_path: Path) -> None:
    display = Recorder()
    train(recipe, tmp_path / "run", display)
    rows = [row for row in read_metrics(tmp_path / "run") if row["kind"] == "train"]
    window = display.losses[:ROW_STEPS]
    assert min(window) <= rows[0]["loss"] <= max(window)
    for row in rows:
        assert row["nll"] == pytest.approx(row["loss"], rel=0.1)
        assert 0 <= row["padding_share"] < 1
        assert row["gradient_norm"] > 0
        assert 0 < row["learning_rate"] <= recipe.training.learning_rate


def test_the_best_model_is_the_average_that_validated_best(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(with_training(recipe, keep_checkpoints=9), run, Recorder())
    rows = [row for row in read_metrics(run) if row["kind"] == "valid"]
    best = max(rows, key=rank)
    _, tensors = load_checkpoint(run / "checkpoints" / f"step-{best['step']:08d}")
    model, tokenizer, _ = RunDir.open(run).best_model()
    assert not model.training
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, tensors[f"average/{name}"])
    assert not torch.equal(tensors["average/output_bias"], tensors["model/output_bias"])
    assert len(tokenizer) == recipe.tokenizer.vocabulary_size


@pytest.mark.slow
def test_a_copy_task_is_learned(recipe: Recipe, tmp_path: Path) -> None:
    recipe = with_training(
        recipe, epochs=10, learning_rate=0.01, dropout=0.0, word_dropout=0.0, ema_decay=0.9
    )
    recipe = replace(recipe, tokenizer=replace(recipe.tokenizer, sampling=0.0))
    display = Recorder()
    train(with_model(recipe, hidden_size=32), tmp_path / "run", display)
    first, last = display.losses[:10], display.losses[-10:]
    assert sum(last) < 0.7 * sum(first)
    perplexities = [
        row["perplexity"] for row in read_metrics(tmp_path / "run") if row["kind"] == "valid"
    ]
    assert perplexities[-1] < 0.7 * perplexities[0]


KINDS: list[tuple[Cell, Attention]] = [
    ("lstm", "none"),
    ("gru", "multihead"),
    ("gru", "none"),
    ("rnn", "multihead"),
    ("rnn", "none"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "attention"), KINDS)
def test_every_cell_trains(
    cell: Cell, attention: Attention, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = with_training(recipe, epochs=5, learning_rate=0.01, dropout=0.0, word_dropout=0.0)
    display = Recorder()
    train(with_model(recipe, cell=cell, attention=attention), tmp_path / "run", display)
    assert sum(display.losses[-5:]) < 0.9 * sum(display.losses[:5])


def test_resuming_a_finished_run_changes_nothing(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    outcome = train(recipe, run, Recorder())
    before = contents(run)
    display = Recorder()
    assert train(recipe, run, display, resume=True) == outcome
    assert display.losses == []
    assert contents(run) == before


def test_two_runs_of_a_seed_are_one(recipe: Recipe, tmp_path: Path) -> None:
    losses = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        display = Recorder(interrupt_after=5)
        train(with_training(recipe, seed=seed), tmp_path / name, display)
        losses.append(display.losses)
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.slow
def test_a_long_validation_line_counts_for_bleu_alone(recipe: Recipe, tmp_path: Path) -> None:
    for language in ("en", "de"):
        with (tmp_path / f"valid.{language}").open("a", encoding="utf-8") as file:
            file.write("ka lo mi. " * 500 + "\n")
    display = Recorder()
    train(with_training(recipe, epochs=1), tmp_path / "run", display)
    assert any("training.max_length (1) count for BLEU" in message for message in display.messages)
    [row] = [row for row in read_metrics(tmp_path / "run") if row["kind"] == "valid"]
    assert row["perplexity"] > 1


@pytest.mark.slow
def test_validation_leaves_training_alone(recipe: Recipe, tmp_path: Path) -> None:
    losses = []
    for every in (0, 2):
        display = Recorder()
        train(with_training(recipe, validate_every=every), tmp_path / str(every), display)
        losses.append(display.losses)
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_validation_every_few_steps(recipe: Recipe, tmp_path: Path) -> None:
    display = Recorder()
    train(with_training(recipe, validate_every=5), tmp_path / "run", display)
    steps = [row["step"] for row in read_metrics(tmp_path / "run") if row["kind"] == "valid"]
    last = len(display.losses)
    assert steps == sorted({*range(5, last + 1, 5), last})


def test_training_stops_when_validation_no_longer_rises(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([3.0, 5.0, 5.0, 4.0, 9.0])
    monkeypatch.setattr(
        trainer_module, "validate", lambda *_: Validation(1.0, {EN_DE: next(scores)}, {EN_DE: 9.0})
    )
    recipe = with_training(recipe, epochs=9, validate_every=3, patience=2)
    display = Recorder()
    outcome = train(recipe, tmp_path / "run", display)
    assert outcome == Outcome(5.0, 9.0, stopped_by=0)
    assert len(display.losses) == 12
    assert display.messages[-1] == "stopped early: no improvement in 2 validations."
    position, _ = load_checkpoint(tmp_path / "run" / "checkpoints" / "step-00000012")
    assert position.finished
    resumed = Recorder()
    assert train(recipe, tmp_path / "run", resumed, resume=True) == outcome
    assert resumed.losses == []


def test_a_run_is_not_overwritten(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, Recorder(interrupt_after=1))
    assert complaint(lambda: train(recipe, run, Recorder()), UsageError) == (
        f"{run}: there is a run already; add --resume to continue it, "
        "or choose another folder with -o."
    )


def test_nothing_to_resume(recipe: Recipe, tmp_path: Path) -> None:
    attempt = lambda: train(recipe, tmp_path / "none", Recorder(), resume=True)  # noqa: E731
    assert complaint(attempt) == (
        f"{tmp_path / 'none'}: not a training run (it has no recipe.json)."
    )
    assert not (tmp_path / "none").exists()


def test_a_run_is_not_resumed_with_another_recipe(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, Recorder(interrupt_after=1))
    before = contents(run)
    other = with_training(recipe, dropout=0.25)
    message = complaint(lambda: train(other, run, Recorder(), resume=True), UsageError)
    assert message == (
        f"{run} was started with training.dropout = 0.2, not 0.25; resume with the same recipe, "
        f"or start another run from its weights: --init-from {run} -o FOLDER."
    )
    named = replace(recipe, tokenizer=replace(recipe.tokenizer, path="x.model"))
    message = complaint(lambda: train(named, run, Recorder(), resume=True), UsageError)
    assert "was started with tokenizer.path = None, not 'x.model'; " in message
    assert message.endswith("or start another run.")  # with another tokenizer its weights are none
    assert contents(run) == before


def test_what_is_wrong_with_a_recipe_leaves_no_run(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    too_large = replace(recipe, tokenizer=replace(recipe.tokenizer, vocabulary_size=5000))
    missing = replace(recipe, tokenizer=replace(recipe.tokenizer, path=str(tmp_path / "x.model")))
    no_corpus = with_corpus(recipe, train=str(tmp_path / "none"))
    too_long = with_training(recipe, max_length=1)
    for wrong, reason in (
        (too_large, "tokenizer.vocabulary_size = 5000 does not fit this corpus"),
        (missing, "x.model: cannot be read"),
        (no_corpus, "none.en"),
        (too_long, "training pairs is longer than training.max_length = 1."),
    ):
        assert reason in complaint(lambda wrong=wrong: train(wrong, run, Recorder()))  # type: ignore[misc]
        assert not run.exists()
    train(recipe, run, Recorder(interrupt_after=1))


def test_a_folder_that_cannot_be_made(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = tmp_path / "file" / "run"
    assert complaint(lambda: train(recipe, run, Recorder())) == (
        f"{run}: cannot be written: Not a directory."
    )


def test_a_tokenizer_can_be_given(recipe: Recipe, tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "given.model"
    path.write_bytes(tokenizer.model)
    recipe = replace(recipe, tokenizer=replace(recipe.tokenizer, path=str(path)))
    train(recipe, tmp_path / "run", Recorder(interrupt_after=1))
    assert (tmp_path / "run" / "tokenizer.model").read_bytes() == tokenizer.model
    # The run has its own copy now.
    path.unlink()
    train(recipe, tmp_path / "run", Recorder(interrupt_after=1), resume=True)

    for name in ("train", "valid"):
        shutil.copy(tmp_path / f"{name}.de", tmp_path / f"{name}.fr")
    path.write_bytes(tokenizer.model)
    french = with_corpus(recipe, target_language="fr")
    assert complaint(lambda: train(french, tmp_path / "x", Recorder())) == (
        "the tokenizer has no tag for the language 'fr'; train a tokenizer with this pair of "
        "languages (leave tokenizer.path out)."
    )


def test_a_run_without_a_model(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted_run(recipe, run)
    assert complaint(RunDir.open(run).best_model) == (f"{run}: the run has no validated model yet.")
    (run / "best.safetensors").write_bytes(b"")
    assert complaint(RunDir.open(run).best_model).startswith(
        f"{run / 'best.safetensors'}: damaged: "
    )
    (run / "SHA256SUMS").unlink()
    (run / "recipe.json").write_text("[]")
    assert complaint(RunDir.open(run).best_model) == (
        f"{run / 'recipe.json'}: not a run's recipe: not a table."
    )


def test_the_best_model_translates_alone_as_together(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe, run, Recorder())
    translator = open_translator(run)
    texts = ["ka lo sta mi.", "tur.", "el bo fi.", "ren ka."]
    together = [translation.text for translation in translator.translate(texts * 20)]
    alone = [translator.translate([text])[0].text for text in texts]
    assert together == alone * 20


@pytest.mark.parametrize(
    ("step", "progress", "expected"),
    [
        (0, 0.0, 0.1),
        (4, 0.0, 0.5),
        (9, 0.0, 1.0),
        (99, 0.0, 1.0),
        (99, 0.25, (1 + math.sqrt(0.5)) / 2),
        (99, 0.5, 0.5),
        (99, 1.0, 0.0),
        (4, 0.5, 0.25),
    ],
)
def test_the_learning_rate_warms_up_and_cools_down(
    step: int, progress: float, expected: float
) -> None:
    rate = learning_rate("cosine", 3e-3, step, 10, progress)
    assert rate == pytest.approx(3e-3 * expected, abs=1e-12)


def test_the_learning_rate_without_warm_up() -> None:
    assert learning_rate("cosine", 3e-3, 0, 0, 0.0) == 3e-3


@pytest.mark.parametrize(
    ("schedule", "halfway", "end"),
    [
        ("cosine", 0.5, 0.0),
        ("linear", 0.5, 0.0),
        ("constant", 1.0, 1.0),
        ("plateau", 1.0, 1.0),
        ("inverse_square_root", math.sqrt(0.2), math.sqrt(0.1)),
    ],
)
def test_each_schedule_falls_from_its_peak_as_its_name_says(
    schedule: Schedule, halfway: float, end: float
) -> None:
    assert learning_rate(schedule, 1.0, 9, 10, 0.0) == 1.0
    assert learning_rate(schedule, 1.0, 49, 10, 0.5) == pytest.approx(halfway)
    assert learning_rate(schedule, 1.0, 99, 10, 1.0) == pytest.approx(end)


@pytest.mark.slow
def test_a_run_with_a_sampled_softmax_resumes_to_the_bit(recipe: Recipe, tmp_path: Path) -> None:
    sampled = with_training(recipe, sampled_words=20)
    train(sampled, tmp_path / "whole", Recorder())
    interrupted_run(sampled, tmp_path / "resumed")
    train(sampled, tmp_path / "resumed", Recorder(), resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "resumed")


def test_the_last_tenth_of_a_run_has_the_full_softmax(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples: list[int] = []
    learn = Learner.train_step

    def recorded(
        learner: Learner, batch: Batch, rate: float, step: int, sampled_words: int
    ) -> StepResult:
        samples.append(sampled_words)
        return learn(learner, batch, rate, step, sampled_words)

    monkeypatch.setattr(Learner, "train_step", recorded)
    train(with_training(recipe, sampled_words=20), tmp_path / "run", Recorder())
    full = samples.index(0)
    assert set(samples[:full]) == {20}
    assert set(samples[full:]) == {0}
    assert 0 < len(samples) - full <= math.ceil(len(samples) / 10)


def test_the_learning_rate_of_a_run_falls_to_nothing(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path / "run", Recorder())
    rates = [
        row["learning_rate"]
        for row in read_metrics(tmp_path / "run")
        if row["kind"] == "train" and row["step"] > recipe.training.warmup_steps
    ]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.1 * recipe.training.learning_rate


def test_precision_is_as_the_recipe_says() -> None:
    cpu = torch.device("cpu")
    assert uses_bfloat16(cpu, "bfloat16")
    assert not uses_bfloat16(cpu, "float32")
    assert isinstance(uses_bfloat16(cpu, "auto"), bool)


def test_bfloat16_is_refused_before_anything_is_written_where_no_lstm_runs_in_it(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_kernel(*_: object) -> None:
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(torch.nn.LSTM, "forward", no_kernel)
    with pytest.raises(UsageError, match="'bfloat16', which this processor does not compute"):
        train(with_training(recipe, precision="bfloat16"), tmp_path / "run", Recorder())
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(
    not can_use_bfloat16(torch.device("cpu")), reason="this processor has no bfloat16"
)
def test_bfloat16_trains(recipe: Recipe, tmp_path: Path) -> None:
    display = Recorder()
    train(with_training(recipe, precision="bfloat16"), tmp_path / "run", display)
    assert any("; cpu, bfloat16, " in message for message in display.messages)
    assert all(map(math.isfinite, display.losses))
    _, tensors = load_checkpoint(newest(tmp_path / "run"))
    floating = {t.dtype for t in tensors.values() if t.is_floating_point()}
    assert floating == {torch.float32}


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_the_display_of_a_log_and_of_a_terminal(
    quiet: bool,
    terminal: bool,
    recipe: Recipe,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with open_reporter(quiet) as display:
        train(with_training(recipe, epochs=1), tmp_path / "run", display)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("validation BLEU" in captured.err) == (not quiet)
    assert ("tok/s" in captured.err) == (terminal and not quiet)
    if not terminal:
        assert "\x1b" not in captured.err
        assert "\r" not in captured.err


def test_a_changed_corpus_is_another_run(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted_run(recipe, run)
    assert isinstance(recipe.corpus[0].train, str)
    for language in ("en", "de"):
        path = Path(f"{recipe.corpus[0].train}.{language}")
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert "has changed" in complaint(lambda: train(recipe, run, Recorder(), resume=True))


def test_of_equal_scores_the_likelier_model_is_best(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        likelihoods = iter([3.0, 2.0, 2.5])
        patch.setattr(
            trainer_module,
            "validate",
            lambda *_: Validation(next(likelihoods), {EN_DE: 1.0}, {EN_DE: 9.0}),
        )
        train(recipe, run, Recorder())
    position, _ = load_checkpoint(newest(run))
    assert (position.best_nll, position.validations_since_best) == (2.0, 1)


def test_where_bleu_is_0_throughout_chrf_chooses_the_best_checkpoint(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The likelihood would choose another one."""
    run = tmp_path / "run"
    validations = iter([(1.0, 11.0), (3.0, 12.0), (2.0, 10.0)])

    def validate(*_: object) -> Validation:
        nll, chrf = next(validations)
        return Validation(nll, {EN_DE: 0.0}, {EN_DE: chrf})

    monkeypatch.setattr(trainer_module, "validate", validate)
    outcome = train(recipe, run, Recorder())
    assert (outcome.best_bleu, outcome.best_chrf) == (0, 12)
    position, _ = load_checkpoint(newest(run))
    assert (position.best_nll, position.validations_since_best) == (3.0, 1)
    history = read_history(run)
    assert history.best is history.validations[1]
