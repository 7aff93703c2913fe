"""What is spelled in bytes is UTF-8, whatever the model thinks of it."""

import numpy as np
import pytest
from helpers.tables import Ids, TableEngine, longest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seq2seq.config.model_config import SearchConfig
from seq2seq.search.beam import Hypothesis, beam_search
from seq2seq.search.constrained import Constraints, Phrase, constrained_search
from seq2seq.search.utf8 import BETWEEN, ByteRule
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

FIRST = 6  # the id of byte 0, behind the special ids and two words
BYTE_IDS = range(FIRST, FIRST + 256)
RULE = ByteRule(BYTE_IDS)
SPECIAL = (PAD_ID, BOS_ID, EOS_ID, UNK_ID)
WORDS = (4, 5)


def random_model(seed: int, sharpness: float):  # type: ignore[no-untyped-def]
    """Any distribution over two words and all bytes, those of several bytes a character first."""

    def model(source: Ids, prefix: Ids) -> NDArray[np.float32]:
        logits = np.random.default_rng([seed, *prefix]).normal(size=FIRST + 256) * sharpness
        logits[FIRST + 0x80 :] += 3.0
        return np.asarray(logits - np.log(np.exp(logits).sum()), np.float32)

    return model


def text_of(hypothesis: Hypothesis) -> str:
    """The text, a space for each word; raises `UnicodeDecodeError` where it is not UTF-8."""
    return b"".join(bytes([i - FIRST]) if i >= FIRST else b" " for i in hypothesis.ids).decode()


seeds = st.integers(0, 10_000)
few_bytes = st.lists(st.integers(0x80, 0xFF), max_size=12)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_may_be_spelled(text: str) -> None:
    state = BETWEEN
    for byte in text.encode():
        assert RULE.allowed(state, np.array([BYTE_IDS[byte]])).all()
        state = int(RULE.after(np.array(state), np.array(BYTE_IDS[byte])))
    assert state == BETWEEN


@given(st.lists(st.integers(0, 0xFF), max_size=6))
def test_what_may_be_spelled_is_utf8(spelled: list[int]) -> None:
    """Bytes are refused where Python's decoder refuses them, no earlier and no later."""
    state, allowed = BETWEEN, True
    for byte in spelled:
        allowed = allowed and bool(RULE.allowed(state, np.array([BYTE_IDS[byte]]))[0])
        state = int(RULE.after(np.array(state), np.array(BYTE_IDS[byte])))
    try:
        bytes(spelled).decode()
        is_whole = True
    except UnicodeDecodeError:
        is_whole = False
    assert (allowed and state == BETWEEN) == is_whole


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(1, 4), st.integers(1, 9), st.one_of(st.none(), few_bytes))
def test_a_search_finds_whole_characters(
    seed: int, beam_size: int, limit: int, few: list[int] | None
) -> None:
    """Whatever bytes a shortlist leaves it, and however little room."""
    candidates = None
    if few is not None:
        ids = (*SPECIAL, *WORDS, *sorted({BYTE_IDS[byte] for byte in few}))
        candidates = lambda source: ids  # noqa: E731
    engine = TableEngine(random_model(seed, 2.0), candidates)
    config = longest(limit, beam_size)
    sources = [(4,), (5, 4)]
    for hypotheses in beam_search(engine, sources, config, beam_size, byte_rule=RULE):
        assert hypotheses
        for hypothesis in hypotheses:
            text_of(hypothesis)


@settings(deadline=None, max_examples=60)
@given(seeds, st.sampled_from(["ü", "4", "aü", "語"]), st.integers(1, 6), st.booleans())
def test_a_constrained_search_finds_whole_characters(
    seed: int, term: str, extra: int, narrow: bool
) -> None:
    """Those of its phrases, too, and no phrase comes between the bytes of a character."""
    ids = tuple(BYTE_IDS[byte] for byte in term.encode())
    needs = Constraints((Phrase((4,), (0,), firm=2), Phrase(ids, (0,))))
    columns = (*SPECIAL, *WORDS, *sorted({*ids, BYTE_IDS[0xC3], BYTE_IDS[0xE3], BYTE_IDS[0x41]}))
    engine = TableEngine(random_model(seed, 2.0), (lambda source: columns) if narrow else None)
    config = SearchConfig(3, 1.0, max_length_ratio=0.01, max_length_extra=extra)
    [hypotheses] = constrained_search(engine, [(4, 5)], [needs], config, 3, byte_rule=RULE)
    assert hypotheses
    for hypothesis in hypotheses:
        assert term in text_of(hypothesis)
        text_of(hypothesis)


def test_a_search_without_the_rule_does_find_broken_characters() -> None:
    """What the tests above guard against happens."""
    engine = TableEngine(random_model(1, 2.0))
    [[hypothesis]] = beam_search(engine, [(4,)], longest(6, 1))
    with pytest.raises(UnicodeDecodeError):
        text_of(hypothesis)
