"""The results of a sweep: a table of the candidates' scores over their seeds, best first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seq2seq.bleu_chrf import bleu, corpus_bleu, corpus_chrf
from seq2seq.config.model_config import Direction
from seq2seq.config.recipe import ValidationMetric
from seq2seq.corpus import DirectedText
from seq2seq.corpus.readers import read_lines
from seq2seq.errors import Seq2SeqError
from seq2seq.evaluation.seeds import Spread, paired_p_values
from seq2seq.experiments.grid import Candidate
from seq2seq.experiments.trials import held_out_texts, is_done, translations_file
from seq2seq.training.run_dir import RunDir
from seq2seq.training.training_metrics import read_validations

_NAME_WIDTH = 26  # columns of a terminal


@dataclass(frozen=True)
class CandidateScore:
    """The scores of a candidate on one text, over its seeds."""

    name: str
    seeds: int
    bleu: Spread
    chrf: Spread
    perplexity: Spread | None  # teacher-forced, over all directions; None on a test set
    p_bleu: float | None = None  # against the best candidate; None for the best itself
    p_chrf: float | None = None


@dataclass(frozen=True)
class ScoreTable:
    """The scores of all candidates on one text, in the order of their overall rank."""

    direction: Direction
    test: str
    sentences: int
    rows: tuple[CandidateScore, ...]
    signature: str  # of BLEU

    @property
    def title(self) -> str:
        """The direction and the text of the scores."""
        return f"{self.direction}, {self.sentences:,} sentences of {self.test}"

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table for a terminal of 80 columns."""
        yield self.title
        yield ""
        yield f"{'':{_NAME_WIDTH}}{'n':>2}{'BLEU':>14}{'p':>7}{'chrF':>14}{'p':>7}" + (
            f"{'ppl':>8}" if self._has_perplexity else ""
        )
        for row in self.rows:
            name = row.name
            if len(name) >= _NAME_WIDTH:
                yield name
                name = ""
            yield (
                f"{name:{_NAME_WIDTH}}{row.seeds:>2}{row.bleu!s:>14}{_p(row.p_bleu):>7}"
                f"{row.chrf!s:>14}{_p(row.p_chrf):>7}"
                + ("" if row.perplexity is None else f"{row.perplexity.mean:>8.2f}")
            ).rstrip()

    def markdown(self) -> Iterator[str]:
        """Yield the lines of the table in Markdown."""
        perplexity = " perplexity |" if self._has_perplexity else ""
        yield f"{self.title}:"
        yield ""
        yield f"| | seeds | BLEU | p | chrF | p |{perplexity}"
        yield "|---|---|---|---|---|---|" + ("---|" if perplexity else "")
        for row in self.rows:
            last = "" if row.perplexity is None else f" {row.perplexity} |"
            name = row.name.replace("|", r"\|")
            yield (
                f"| {name} | {row.seeds} | {row.bleu} | {_p(row.p_bleu)} | {row.chrf} "
                f"| {_p(row.p_chrf)} |{last}"
            )
        yield ""
        yield f"BLEU: `{self.signature}`"

    def latex(self) -> Iterator[str]:
        """Yield the lines of the table in LaTeX, with rules of the package booktabs."""
        perplexity = self._has_perplexity
        yield f"% {self.title}; BLEU: {self.signature}"
        yield rf"\begin{{tabular}}{{lrrrrr{'r' if perplexity else ''}}}"
        yield r"\toprule"
        yield "& seeds & BLEU & $p$ & chrF & $p$" + (" & perplexity" if perplexity else "") + r" \\"
        yield r"\midrule"
        for row in self.rows:
            cells = [_escaped(row.name), str(row.seeds), str(row.bleu), _p(row.p_bleu)]
            cells += [str(row.chrf), _p(row.p_chrf)]
            cells += [] if row.perplexity is None else [str(row.perplexity)]
            yield " & ".join(cell.replace("±", r"$\pm$") for cell in cells) + r" \\"
        yield r"\bottomrule"
        yield r"\end{tabular}"

    @property
    def _has_perplexity(self) -> bool:
        return any(row.perplexity is not None for row in self.rows)


def validation_tables(candidates: Sequence[Candidate], folder: Path) -> list[ScoreTable]:
    """Score the trained candidates on the validation sets; return a table for each direction.

    The candidates are ranked by the recipe's `training.metric`, averaged over directions and seeds.
    p-values are against the first. Raises `Seq2SeqError` if nothing is trained.
    """
    trained = [
        (candidate, [trial for trial in candidate.trials if is_done(trial, folder)])
        for candidate in candidates
    ]
    trained = [(candidate, trials) for candidate, trials in trained if trials]
    if not trained:
        raise Seq2SeqError("every run failed, and there is nothing to compare.")
    perplexities = {
        candidate.name: Spread.of([_perplexity(trial.run(folder)) for trial in trials])
        for candidate, trials in trained
    }
    texts = held_out_texts(trained[0][1][0], "valid")
    outputs = {
        candidate.name: [
            _outputs([trial.run(folder) for trial in trials], "valid", text) for text in texts
        ]
        for candidate, trials in trained
    }
    tables = [
        _table(text, {name: runs[number] for name, runs in outputs.items()}, perplexities)
        for number, text in enumerate(texts)
    ]
    metric = trained[0][0].recipe.training.metric
    order = sorted(outputs, key=lambda name: _rank(name, tables, metric), reverse=True)
    return [
        _ranked(table, text, {name: outputs[name][number] for name in order})
        for number, (table, text) in enumerate(zip(tables, texts, strict=True))
    ]


def test_tables(finalist: Candidate, folder: Path) -> list[ScoreTable]:
    """Score the finalist on the test sets, which its runs must have translated already."""
    trials = [trial for trial in finalist.trials if is_done(trial, folder)]
    runs = [trial.run(folder) for trial in trials]
    return [
        _table(text, {finalist.name: _outputs(runs, "test", text)}, {})
        for text in held_out_texts(trials[0], "test")
    ]


def _perplexity(run: Path) -> float:
    """Return the perplexity of a run's best validation."""
    return float(read_validations(RunDir(run).metrics_file)[-1]["perplexity"])


def _outputs(runs: Sequence[Path], part: str, text: DirectedText) -> list[list[str]]:
    files = [translations_file(run, part, text.direction) for run in runs]
    outputs = [[*read_lines(file)] for file in files]
    for file, lines in zip(files, outputs, strict=True):
        if len(lines) != len(text.text):
            raise Seq2SeqError(
                f"{file} has {len(lines):,} lines, and {text.text.name} {len(text.text):,} now; "
                "the corpus has changed: choose another folder with -o."
            )
    return outputs


def _table(
    directed: DirectedText, outputs: dict[str, list[list[str]]], perplexities: dict[str, Spread]
) -> ScoreTable:
    """Score the translations of a text from each candidate and seed."""
    direction, text = directed
    references = [*text.target]
    language = direction.target
    rows = [
        CandidateScore(
            name,
            len(runs),
            Spread.of([corpus_bleu(lines, references, language) for lines in runs]),
            Spread.of([corpus_chrf(lines, references) for lines in runs]),
            perplexities.get(name),
        )
        for name, runs in outputs.items()
    ]
    metric = bleu(language)
    metric.corpus_score(references[:1], [references[:1]])  # so the signature has the references
    signature = str(metric.get_signature())
    return ScoreTable(direction, text.name, len(references), tuple(rows), signature)


def _ranked(
    table: ScoreTable, directed: DirectedText, outputs: dict[str, list[list[str]]]
) -> ScoreTable:
    """Sort the rows in the order of `outputs`, and test each against the first."""
    direction, text = directed
    p_values = paired_p_values([*outputs.values()], [*text.target], direction.target)
    rows = {row.name: row for row in table.rows}
    best, *challengers = [rows[name] for name in outputs]
    tested = [
        replace(row, p_bleu=p_value["BLEU"], p_chrf=p_value["chrF"])
        for row, p_value in zip(challengers, p_values, strict=True)
    ]
    return replace(table, rows=(best, *tested))


def _rank(name: str, tables: Sequence[ScoreTable], metric: ValidationMetric) -> float:
    rows = [row for table in tables for row in table.rows if row.name == name]
    match metric:
        case "bleu":
            return sum(row.bleu.mean for row in rows)
        case "chrf":
            return sum(row.chrf.mean for row in rows)
        case "perplexity":
            return -sum(row.perplexity.mean for row in rows if row.perplexity)


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _escaped(text: str) -> str:
    """Escape the special characters of LaTeX."""
    names = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(names.get(c, rf"\{c}" if c in "&%$#_{}" else c) for c in text)
