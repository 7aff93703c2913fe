"""Reports on parallel text, its size and its problems, as text or JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from seq2seq.corpus.filters import PROBLEMS, Examination, Problem, SideStatistics, examine
from seq2seq.corpus.readers import ParallelText

Action = Literal["kept", "dropped"]

DESCRIPTIONS: Mapping[Problem, str] = {
    "empty": "empty side",
    "identical": "identical sides",
    "length_ratio": "extreme length ratio",
    "duplicate": "repeated pair",
    "leakage": "held-out sentence",
}


@dataclass(frozen=True)
class Finding:
    """The number of pairs with a problem, the first of their line numbers, and what was done.

    `action` is None if nothing was to be done: in a mere check, and in held-out texts.
    """

    count: int
    lines: tuple[int, ...]
    action: Action | None = None


@dataclass(frozen=True)
class TextReport:
    """The size of a parallel text, and the problems that were found in it."""

    name: str
    pairs: int
    source: SideStatistics
    target: SideStatistics
    findings: Mapping[Problem, Finding] = field(default_factory=dict)
    dropped: int = 0

    @classmethod
    def of(
        cls,
        text: ParallelText,
        examination: Examination,
        dropping: Iterable[Problem] | None = None,
    ) -> Self:
        """Report on `text`, from which pairs with a problem in `dropping` are dropped.

        Without `dropping`, the text is only checked.
        """
        dropped = set(dropping or ())
        findings = dict[Problem, Finding]()
        for problem in PROBLEMS:
            if count := examination.count(problem):
                lines = tuple(index + 1 for index in examination.first(problem, 3))
                action: Action = "dropped" if problem in dropped else "kept"
                findings[problem] = Finding(count, lines, None if dropping is None else action)
        return cls(
            text.name,
            len(text),
            examination.source,
            examination.target,
            findings,
            examination.count(*dropped),
        )

    def lines(self) -> list[str]:
        """Return the report as lines of at most 80 columns, except for a long name."""
        dropped = f", {self.dropped:,} of them dropped" if self.dropped else ""
        lines = [f"{self.name}: {self.pairs:,} pair{'' if self.pairs == 1 else 's'}{dropped}"]
        for label, side in (("source", self.source), ("target", self.target)):
            mean = side.words / self.pairs if self.pairs else 0.0
            lines.append(
                f"  {label}  {side.characters:,} characters, {side.words:,} words "
                f"(mean {mean:.1f}, longest {side.longest:,})"
            )
        for problem, finding in self.findings.items():
            first = ", ".join(map(str, finding.lines))
            more = " ..." if finding.count > len(finding.lines) else ""
            action = f", {finding.action}" if finding.action else ""
            lines.append(
                f"  {finding.count:>9,}  {DESCRIPTIONS[problem]}{action} (line {first}{more})"
            )
        return lines if self.findings else [*lines, "  no problems found"]


@dataclass(frozen=True)
class CorpusReport:
    """Reports on the texts of a corpus, the training text first."""

    texts: tuple[TextReport, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        return [line for text in self.texts for line in text.lines()]

    def to_json(self) -> dict[str, Any]:
        """Return the report as dictionaries, lists, text and numbers, for JSON."""
        table = asdict(self)
        for text in table["texts"]:
            for finding in text["findings"].values():
                finding["lines"] = list(finding["lines"])
        return {"texts": list(table["texts"])}


def check(
    text: ParallelText, held_out: Iterable[ParallelText] = (), max_length_ratio: float = 9.0
) -> TextReport:
    """Report the size of `text` and its problems; see `examine`."""
    return TextReport.of(text, examine(text, held_out, max_length_ratio))
