"""What is in a parallel text and what is wrong with it, in one pass over its pairs.

Sentences are compared with their white space normalised. Lengths are compared in UTF-8 bytes: the
same content takes about as many in most scripts, whereas words do not exist in some, and Chinese
has a third of the characters of English.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

from seq2seq.corpus.reading import ParallelText

Problem = Literal["empty", "identical", "length_ratio", "duplicate", "leakage"]
Action = Literal["kept", "dropped"]

PROBLEMS: tuple[Problem, ...] = get_args(Problem)
DESCRIPTIONS: Mapping[Problem, str] = {
    "empty": "empty side",
    "identical": "identical sides",
    "length_ratio": "extreme length ratio",
    "duplicate": "repeated pair",
    "leakage": "held-out sentence",
}


@dataclass(frozen=True)
class Finding:
    """How many pairs have a problem, the first of their line numbers, and what became of them.

    `action` is None where nothing was to become of them: in a mere check, and in held-out texts.
    """

    count: int
    lines: tuple[int, ...]
    action: Action | None = None

    @classmethod
    def of(cls, indices: Sequence[int], action: Action | None = None) -> Self:
        return cls(len(indices), tuple(index + 1 for index in indices[:3]), action)


@dataclass(frozen=True)
class SideStatistics:
    """Size of one side; `longest` is in words, and words are what white space separates."""

    words: int
    characters: int
    longest: int

    @classmethod
    def of(cls, sentences: Iterable[str]) -> Self:
        words = characters = longest = 0
        for sentence in sentences:
            length = len(sentence.split())
            words += length
            characters += len(sentence)
            longest = max(longest, length)
        return cls(words, characters, longest)


@dataclass(frozen=True)
class TextReport:
    """One parallel text: its size, and the problems that it has. Others are absent."""

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
        problems: Mapping[Problem, Sequence[int]],
        dropping: Iterable[Problem] | None = None,
    ) -> Self:
        """The report on `text` with these problems, of which those in `dropping` are dropped.

        Without `dropping` nothing is to become of them.
        """
        dropped = set(dropping or ())
        actions: dict[Problem, Action] = {}
        if dropping is not None:
            actions = {problem: "dropped" if problem in dropped else "kept" for problem in problems}
        return cls(
            text.name,
            len(text),
            SideStatistics.of(text.source),
            SideStatistics.of(text.target),
            {
                problem: Finding.of(indices, actions.get(problem))
                for problem, indices in problems.items()
                if indices
            },
            len({index for problem in dropped for index in problems[problem]}),
        )

    def lines(self) -> list[str]:
        """The report for a reader, at most 80 columns wide save for a long name."""
        dropped = f", {self.dropped:,} of them dropped" if self.dropped else ""
        lines = [f"{self.name}: {self.pairs:,} pairs{dropped}"]
        for label, side in (("source", self.source), ("target", self.target)):
            mean = side.words / self.pairs if self.pairs else 0.0
            lines.append(
                f"  {label}  {side.characters:,} characters, {side.words:,} words "
                f"(mean {mean:.1f}, longest {side.longest:,})"
            )
        for problem, finding in self.findings.items():
            first = ", ".join(str(line) for line in finding.lines)
            more = " ..." if finding.count > len(finding.lines) else ""
            action = f", {finding.action}" if finding.action else ""
            lines.append(
                f"  {finding.count:>9,}  {DESCRIPTIONS[problem]}{action} (line {first}{more})"
            )
        if not self.findings:
            lines.append("  no problems found")
        return lines


@dataclass(frozen=True)
class CorpusReport:
    """The texts of a corpus, the training text first."""

    texts: tuple[TextReport, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The report for a reader."""
        return [line for text in self.texts for line in text.lines()]

    def to_json(self) -> dict[str, Any]:
        """The report for a program: dictionaries, lists, text and numbers."""
        table = asdict(self)
        for text in table["texts"]:
            for finding in text["findings"].values():
                finding["lines"] = list(finding["lines"])
        return {"texts": list(table["texts"])}


def check(
    text: ParallelText, held_out: Iterable[ParallelText] = (), max_length_ratio: float = 9.0
) -> TextReport:
    """What is in `text` and what is wrong with it; see `find_problems`."""
    return TextReport.of(text, find_problems(text, held_out, max_length_ratio))


def find_problems(
    text: ParallelText, held_out: Iterable[ParallelText] = (), max_length_ratio: float = 9.0
) -> dict[Problem, list[int]]:
    """The indices of the pairs with each problem; a pair can have several.

    A duplicate is every occurrence of a pair after its first. A pair leaks when either of its sides
    is, on the same side, in a text of `held_out`.
    """
    held_sources, held_targets = set[str](), set[str]()
    for other in held_out:
        held_sources.update(map(_normalise, other.source))
        held_targets.update(map(_normalise, other.target))

    problems: dict[Problem, list[int]] = {problem: [] for problem in PROBLEMS}
    seen = set[tuple[str, str]]()
    for index, (source, target) in enumerate(zip(text.source, text.target, strict=True)):
        source, target = pair = _normalise(source), _normalise(target)
        if pair in seen:
            problems["duplicate"].append(index)
        seen.add(pair)
        if not (source and target):
            problems["empty"].append(index)
            continue
        if source == target:
            problems["identical"].append(index)
        if _ratio(source, target) > max_length_ratio:
            problems["length_ratio"].append(index)
        if source in held_sources or target in held_targets:
            problems["leakage"].append(index)
    return problems


def _normalise(sentence: str) -> str:
    normalised = " ".join(sentence.split())
    return sentence if normalised == sentence else normalised  # one object where they are equal


def _ratio(source: str, target: str) -> float:
    lengths = len(source.encode()), len(target.encode())
    return max(lengths) / min(lengths)
