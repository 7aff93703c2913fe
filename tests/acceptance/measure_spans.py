"""Spans in all manner of places, and what `translate` makes of them. For `measure_guards`.

They are found by patterns of this module's own, which know nothing of the product.
"""

import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seq2seq.translation.translator import Translator

_EXAMPLES = 10
_KINDS: dict[str, tuple[str, ...]] = {  # § is a number
    "{{double}}": ("{{item_§}}", "{{ user.name§ }}", "{{n§|upper}}"),
    "{single}": ("{name§}", "{§}", "{price§:.2f}", "{items[§]}", "{}"),
    "%s": ("%s", "%d", "%§$s", "%.2f", "%(name§)s", "%5d", "%@", "%lu"),
    "URL": (
        "https://example.org/a/§?b=§&c=d",
        "http://example.org",
        "https://example.org/wiki/Bank_(§)",
        "www.example.org/§/",
        "https://user@example.org:8080/~a/§.html#b-c",
    ),
    "e-mail": ("user.§@mail.example.org", "first+last-§@example.co.uk"),
    "<tag>": ("<br/>", '<img src="/i/§.png" alt="a b">', '<x id="§"/>', "<br>"),
    "`code`": ("`f(§, x)`", "`git commit -m {x§}`", "`a.b§`", "``x ` y§``", "`<b>%s</b>`"),
    "${variable}": ("${VAR_§}", "${user.name§}", "${x§:-none}"),
}
_PAIRS = (
    ("<b>", "</b>"),
    ("<i>", "</i>"),
    ('<a href="https://example.org/p/§?a=1&b={{x§}}">', "</a>"),
    ('<span class="a b" data-n="§">', "</span>"),
)
_AROUND = (
    *("§", "§", "§", "(§)", "(see §).", '"§"', '"§",', "“§”", "„§“.", "'§'", "«§»", "[§]", "**§**"),
    *("§,", "§.", "§:", "§;", "§!", "§?", "§…", "— §", "(a) §", "§ (§)", "§, §", "§ §", "*§*."),
)
_JOINED = (
    "§'s",
    "§%",
    "§-based",
    "pre-§",
    "§/day",
    "x=§",
    "#§",
    "§§",
    "§/§",
    "§:§",
    "§°",
    "(§)s",
    "§MB",
)
_SCANNERS = {  # in this order: what is inside of another span is a part of it
    "`code`": re.compile(r"(?<!`)(`+)(?!`)[^\n]+?(?<!`)\1(?!`)"),
    "<tag>": re.compile(r"</?[a-z][^<>\n]*>"),
    "{{double}}": re.compile(r"\{\{[^{}\n]*\}\}"),
    "${variable}": re.compile(r"\$\{[^{}\n]*\}"),
    "{single}": re.compile(r"\{[^{}\n]*\}"),
    "URL": re.compile(
        r"(?:https?://|www\.)(?:[^\s<>()\[\]\"“”„«»\0]|\([^\s()]*\))*(?:[\w/=&%#~-]|\([^\s()]*\))"
    ),
    "e-mail": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "%s": re.compile(r"%(?:\(\w+\))?(?:\d+\$)?[-+#0]*\d*(?:\.\d+)?(?:hh?|ll?)?[sdiufgxX@]"),
}
_TAG_NAME = re.compile(r"</?(\w+)")
_EMPTIED = re.compile(r"<([a-z]+)(?: [^<>]*)?></\1>")


class Span(NamedTuple):
    """What must survive, as a reader of the text finds it."""

    kind: str
    text: str
    joined: bool  # to a letter or digit


@dataclass
class Damage:
    """How many spans of a kind were in the sources, and what became of them."""

    spans: int = 0
    lost: int = 0
    changed: int = 0  # one is lost, and one that was never there has come
    doubled: int = 0
    new: int = 0
    joined: int = 0  # to a word, as the source has it nowhere; told, but no fault: {x}'s is {x}s

    @property
    def faults(self) -> int:
        """How many are not as they were."""
        return self.lost + self.changed + self.doubled + self.new


def scan(text: str) -> Iterator[Span]:
    """The spans of `text`, a kind after another."""
    for kind, scanner in _SCANNERS.items():
        for match in scanner.finditer(text):
            beside = text[max(match.start() - 1, 0) : match.start()], text[match.end() :][:1]
            yield Span(kind, match[0], any(map(str.isalnum, beside)))
        text = scanner.sub(lambda match: "\0" * len(match[0]), text)


def measure_spans(
    translator: Translator, sentences: Sequence[str], number: int, draw: random.Random
) -> dict[str, object]:
    """Sentences with spans in all manner of places."""
    damage = {kind: Damage() for kind in _KINDS}
    examples: list[tuple[str, str]] = []
    misnested = emptied = 0
    lines = [_with_spans(sentences[i % len(sentences)], i, draw) for i in range(number)]
    started = time.perf_counter()
    done = translator.translate_lines(lines, keep_parts=False)
    for line, one in zip(lines, done, strict=True):
        before = sum(each.faults for each in damage.values())
        ours, theirs = [*scan(line)], [*scan(one.text)]
        for kind, found in damage.items():
            _compare(
                [s for s in ours if s.kind == kind], [s for s in theirs if s.kind == kind], found
            )
        crossed = _nested(ours) and not _nested(theirs)
        misnested += crossed
        emptied += len(_EMPTIED.findall(one.text)) > len(_EMPTIED.findall(line))
        damaged = sum(each.faults for each in damage.values()) > before
        if (crossed or damaged) and len(examples) < _EXAMPLES:
            examples.append((line, one.text))
    seconds = time.perf_counter() - started
    total = {name: sum(vars(one)[name] for one in damage.values()) for name in vars(Damage())}
    return {
        "sentences": len(lines),
        "sentences/s": round(len(lines) / seconds, 1),
        **total,
        "tags misnested": misnested,
        "tags emptied": emptied,
        "by kind": {kind: vars(one) for kind, one in damage.items()},
        "examples": examples,
        "faults": sum(one.faults for one in damage.values()) + misnested,
    }


def _compare(ours: list[Span], theirs: list[Span], damage: Damage) -> None:
    mine, other = (Counter(span.text for span in side) for side in (ours, theirs))
    missing, extra = mine - other, other - mine
    doubled = sum(count for text, count in extra.items() if text in mine)
    strange = extra.total() - doubled
    changed = min(missing.total(), strange)
    damage.spans += len(ours)
    damage.lost += missing.total() - changed
    damage.changed += changed
    damage.doubled += doubled
    damage.new += strange - changed
    if ours and ours[0].kind != "<tag>":  # those stand at words
        damage.joined += max(sum(s.joined for s in theirs) - sum(s.joined for s in ours), 0)


def _nested(spans: list[Span]) -> bool:
    """Whether each tag is closed, and no other one in between."""
    opened: list[str] = []
    for span in spans:
        if span.kind != "<tag>":
            continue
        name = _TAG_NAME.findall(span.text)[0]
        if span.text.startswith("</"):
            if not opened or opened.pop() != name:
                return False
        elif not (span.text.endswith("/>") or name in ("br", "img")):
            opened.append(name)
    return not opened


def _with_spans(sentence: str, number: int, draw: random.Random) -> str:
    """`sentence` with spans at words, in words, around words, at both ends, and side by side."""
    put: list[str] = []

    def filled(form: str) -> str:
        put.append(form.replace("§", str(number * 20 + len(put))))
        return put[-1]

    words = (sentence.upper() if draw.random() < 0.04 else sentence).split()
    for _ in range(draw.choice((0, 1, 1, 1, 2, 2, 3, 4, 10))):
        kind = draw.choice([*_KINDS])
        if kind == "<tag>" and draw.random() < 0.7:
            begin, end = sorted(draw.choices(range(len(words)), k=2))
            opening, closing = map(filled, draw.choice(_PAIRS))
            stop = len(words[end].rstrip(".,!?")) if draw.random() < 0.5 else len(words[end])
            words[end] = words[end][:stop] + closing + words[end][stop:]
            words[begin] = opening + words[begin]
            continue
        ends_open = kind in ("URL", "e-mail")  # what is joined to one is a part of it
        form = draw.choice(_AROUND if ends_open or draw.random() < 0.6 else _JOINED)
        if kind == "`code`":
            form = form.replace("§§", "§ §")  # side by side they are other code
        own = draw.choice(_KINDS[kind])
        again = draw.random() < 0.2  # the same span twice
        span = filled(own)
        spans = [span if again or not i else filled(own) for i in range(form.count("§"))]
        put += spans[1:] if again else []
        parts = form.split("§")
        token = parts[0] + "".join(one + part for one, part in zip(spans, parts[1:], strict=True))
        place = draw.choice((0, len(words), draw.randint(0, len(words))))
        if place == len(words) and words[-1][-1] in ".!?" and draw.random() < 0.5:
            words[-1], token = words[-1][:-1], token + words[-1][-1]
        words.insert(place, token)
    line = " ".join(word for word in words if word)
    missed = Counter(put) - Counter(span.text for span in scan(line))
    if missed:
        raise AssertionError(f"the scan does not find {[*missed]} in {line!r}")
    return line
