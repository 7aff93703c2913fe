"""HTML: split it into texts to translate, and put their translations in place.

Block elements separate texts; so do adjacent inline elements, as in `<a>Home</a><a>News</a>`, which
would be read as one word. Other inline elements stay in the text, as tags `<g1>` that the
translator puts around the corresponding words. Everything else stays byte for byte: tags with their
attributes, comments, scripts, styles, `pre` and `code`, white space between blocks, and text whose
translation equals the text.
`code`, white space between blocks, and text whose translation is the text itself.

No HTML library is used, since none gives the byte positions that this requires.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

from seq2seq.documents.html_tokens import (
    FOREIGN,
    RAW,
    SPACE,
    Token,
    TokenKind,
    attributes,
    names,
    tokens,
)
from seq2seq.documents.tagged_text import Mark, Role, TaggedText

_SPACES = re.compile(f"[{SPACE}]+")
_BLOCKS = names("""
    address article aside base blockquote body br button caption center col colgroup datalist dd
    details dialog dir div dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4
    h5 h6 head header hgroup hr html label legend li link listing main menu meta nav noembed
    noframes noscript ol optgroup option p plaintext pre script search section select style summary
    table tbody td template textarea tfoot th thead title tr ul xmp
    """)
_INDICES = frozenset(("sub", "sup"))  # belong to the word before, even in another element
_KEPT = names("code kbd pre samp var") | RAW | FOREIGN  # not translated, with all their content
_QUOTES = {'"': "&quot;", "'": "&#39;"}


class HtmlFragment:
    """A piece of HTML, or a whole page, valid or not."""

    def __init__(self, markup: str, read_tokens: Callable[[str], Iterator[Token]] = tokens) -> None:
        self._parts = [*_parts(read_tokens(markup))]
        segments = (part for part in self._parts if isinstance(part, _Segment))
        self.texts: Sequence[str] = [segment.text for segment in segments]

    def render(self, translations: Sequence[str]) -> str:
        """Return the HTML with each text replaced by its translation."""
        remaining = iter(translations)
        return "".join(
            part.render(next(remaining)) if isinstance(part, _Segment) else part
            for part in self._parts
        )


class _Segment:
    """A text within a block, with its inline elements as pairs of tags and single marks."""

    def __init__(self, run: Sequence[Token]) -> None:
        self._raw = "".join(token.raw for token in run)
        raw_texts = [token.raw for token in run if token.kind is TokenKind.TEXT]
        bare, text = "".join(raw_texts), "".join(map(html.unescape, raw_texts))
        self._escapes = {
            quote: escape
            for quote, escape in _QUOTES.items()
            if text.count(quote) > bare.count(quote)  # it was a character reference
        }
        partners = _partners(run)
        self._tagged = TaggedText([_part(run, place, partners) for place in range(len(run))])
        self.text = self._tagged.text

    def render(self, translation: str) -> str:
        """Return the translation as markup, with each tag of the source once."""
        if translation == self.text or not translation.strip(SPACE):
            return self._raw
        return "".join(
            part.raw if isinstance(part, Mark) else self._escape(part)
            for part in self._tagged.parts(translation)
        )

    def _escape(self, text: str) -> str:
        text = html.escape(text, quote=False).replace("\N{NO-BREAK SPACE}", "&nbsp;")
        for quote, escape in self._escapes.items():
            text = text.replace(quote, escape)
        return text


def _part(run: Sequence[Token], place: int, partners: Mapping[int, int]) -> str | Mark:
    """Turn a token into a part of the tagged text."""
    token = run[place]
    if token.kind is TokenKind.TEXT:
        return _SPACES.sub(" ", html.unescape(token.raw))
    if place not in partners:
        return Mark(token.raw)
    return Mark(token.raw, Role.OPENS if partners[place] > place else Role.CLOSES)


def _parts(all_tokens: Iterator[Token]) -> Iterator[str | _Segment]:
    """Yield segments and the markup between them; joined, they are the document."""
    run: list[Token] = []
    for token in kept_whole(all_tokens):
        if token.name in _BLOCKS:
            yield from _divided(run)
            yield token.raw
            run = []
        else:
            run.append(token)
    yield from _divided(run)


def _divided(block: Sequence[Token]) -> Iterator[str | _Segment]:
    """Yield the segments of a block and the markup around them."""
    if not any(_has(str.isalpha, token) for token in block):
        yield "".join(token.raw for token in block)
        return
    run = [part for token in _marks_whole(block) for part in _without_edges(token)]
    partners = _partners(run)
    cuts = (
        _around(_unpaired(run, partners))
        | {*_neighbours(run)}
        | _around(_links_of_a_row(run, partners))
    )
    cuts |= _around(_cut_through(partners, cuts, len(run)))
    for start, stop in pairwise(sorted({0, *cuts, len(run)})):
        part = run[start:stop]
        inner = _around(_around_all_letters(part))
        for begin, end in pairwise(sorted({0, *inner, len(part)})):
            yield from _trimmed(part[begin:end])


def _around(places: Iterable[int]) -> set[int]:
    """Return the places to cut at, so that each token at `places` is alone."""
    return {cut for place in places for cut in (place, place + 1)}


def _cut_through(partners: Mapping[int, int], cuts: set[int], length: int) -> Iterator[int]:
    """Yield the positions of the tags of elements that have a cut inside."""
    cuts_up_to = [*accumulate(place in cuts for place in range(length + 1))]
    for start, end in partners.items():
        if start < end and cuts_up_to[end] > cuts_up_to[start]:
            yield from (start, end)


def _neighbours(run: Sequence[Token]) -> Iterator[int]:
    """Yield where an element begins with a word right after another one ended with a word."""
    border: int | None = None  # start of an element that follows the end of another one
    has_ended = False  # whether an element has ended since the last text
    last = ""
    for place, token in enumerate(run):
        if token.kind is TokenKind.TEXT:
            text = html.unescape(token.raw)
            if border is not None and last.isalnum() and text[:1].isalnum():
                yield border
            last, border, has_ended = text[-1:], None, False
        elif token.kind is TokenKind.END:
            has_ended = True
        elif token.kind is TokenKind.START and token.name in _INDICES:
            has_ended = False
        elif token.kind is TokenKind.START and has_ended and border is None:
            border = place


def _links_of_a_row(run: Sequence[Token], partners: Mapping[int, int]) -> set[int]:
    """Return the tags of all links, if there are several and no letter is outside of them."""
    links = {place for place in partners if run[place].name == "a"}
    depth = 0
    for place, token in enumerate(run):
        if place in links:
            depth += 1 if token.kind is TokenKind.START else -1
        elif not depth and _has(str.isalpha, token):
            return set()
    return links if len(links) > 2 else set()


def _around_all_letters(run: Sequence[Token]) -> Iterator[int]:
    """Yield the tags of elements that contain every letter and full stop of the run.

    A number directly beside the element may be outside, as in `1-<i>` and `</b>: 5 €`. Text
    outside, such as an arrow, a bracket or that number, is not translated.
    """
    words = [place for place, token in enumerate(run) if _has(_is_of_sentence, token)]
    filled = [place for place, token in enumerate(run) if _has(str.isalnum, token)]
    if words and filled:
        for start, end in _partners(run).items():
            holds_words = start < words[0] and words[-1] < end
            if holds_words and start - 1 <= filled[0] and filled[-1] <= end + 1:
                yield from (start, end)


def _trimmed(run: Sequence[Token]) -> Iterator[str | _Segment]:
    """Yield the markup before the text, the text, and the markup after it."""
    filled = [
        place
        for place, token in enumerate(run)
        if token.kind in (TokenKind.START, TokenKind.END) or _has(_is_ink, token)
    ]
    has_letters = any(_has(str.isalpha, token) for token in run)
    start, stop = (filled[0], filled[-1] + 1) if has_letters else (0, 0)
    yield "".join(token.raw for token in run[:start])
    if has_letters:
        yield _Segment(run[start:stop])
    yield "".join(token.raw for token in run[stop:])


def _without_edges(token: Token) -> Iterator[Token]:
    """Split white space at both ends of a text into separate tokens."""
    if token.kind is not TokenKind.TEXT:
        yield token
        return
    bare = token.raw.strip(SPACE)
    before, _, after = token.raw.partition(bare) if bare else (token.raw, "", "")
    for part in (before, bare, after):
        if part:
            yield Token(TokenKind.TEXT, part)


def _marks_whole(run: Sequence[Token]) -> Iterator[Token]:
    """Join the tokens of an element without letters or digits, and of an index of one word."""
    partners = _partners(run)

    def inside(counts: Sequence[int]) -> bool:
        return counts[end] > counts[place]

    alphanumeric, letters, spaces = (
        [*accumulate((_has(kind, token) for token in run), initial=0)]
        for kind in (str.isalnum, str.isalpha, SPACE.__contains__)
    )
    unpaired = _unpaired(run, partners)
    astray = [*accumulate((place in unpaired for place in range(len(run))), initial=0)]
    place = 0
    while place < len(run):
        end = partners.get(place, place)
        is_index = run[place].name in _INDICES and not (inside(letters) and inside(spaces))
        if end > place and not inside(astray) and (is_index or not inside(alphanumeric)):
            yield Token(TokenKind.ATOM, "".join(token.raw for token in run[place : end + 1]))
            place = end
        else:
            yield run[place]
        place += 1


def _has(is_wanted: Callable[[str], bool], token: Token) -> bool:
    """Return whether a token is text with a character for which `is_wanted` is true."""
    return token.kind is TokenKind.TEXT and any(map(is_wanted, html.unescape(token.raw)))


def _is_of_sentence(letter: str) -> bool:
    return letter.isalpha() or letter in ".!?…。！？"


def _is_ink(letter: str) -> bool:
    return letter not in SPACE


def _partners(run: Sequence[Token]) -> dict[int, int]:
    """Map the position of each start tag to that of its end tag, and the reverse.

    Tags that are not properly nested have no partner.
    """
    partners = dict[int, int]()
    open_ = list[int]()
    unclosed = Counter[str]()  # open tags by name
    for place, token in enumerate(run):
        if token.kind is TokenKind.START:
            open_.append(place)
            unclosed[token.name] += 1
        elif token.kind is TokenKind.END and unclosed[token.name]:
            crossed = -1
            while run[open_[-1]].name != token.name:
                crossed = open_.pop()
                unclosed[run[crossed].name] -= 1
            start = open_.pop()
            unclosed[token.name] -= 1
            if crossed < 0:
                partners[start], partners[place] = place, start
    return partners


def _unpaired(run: Sequence[Token], partners: Mapping[int, int]) -> set[int]:
    """Return the positions of tags without a partner."""
    return {
        place
        for place, token in enumerate(run)
        if token.kind in (TokenKind.START, TokenKind.END) and place not in partners
    }


def kept_whole(tokens_: Iterator[Token]) -> Iterator[Token]:
    """Join the tokens of each element that is not translated, up to its end tag or the end."""
    for token in tokens_:
        if token.kind is not TokenKind.START or not is_kept(token):
            yield token
            continue
        raw = [token.raw]
        depth, open_blocks = 1, 0  # open elements of the same name, open blocks inside
        while depth and (inner := next(tokens_, None)):
            raw.append(inner.raw)
            step = {TokenKind.START: 1, TokenKind.END: -1}.get(inner.kind, 0)
            if inner.name == token.name:
                depth += step if step > 0 or not open_blocks else 0
            elif inner.name in _BLOCKS and token.name not in _BLOCKS:
                open_blocks = max(0, open_blocks + step)
        yield Token(TokenKind.ATOM, "".join(raw), token.name)


def is_kept(start: Token) -> bool:
    """Return whether the element of a start tag is not translated."""
    if start.name in _KEPT:
        return True
    if "translate" not in start.raw.lower():
        return False
    values = attributes(start.raw)
    classes = _SPACES.split(values.get("class", ""))
    return values.get("translate", "").lower() == "no" or "notranslate" in map(str.lower, classes)
