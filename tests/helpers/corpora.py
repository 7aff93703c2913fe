"""Sentences of made-up words."""

import random

SYLLABLES = ["ka", "lo", "mi", "sta", "ren", "tur", "el", "bo", "fi", "schu", "pan", "dre", "wog"]
SYLLABLES += ["xi", "qua", "jun", "he", "cyl", "väz"]


WORDS = SYLLABLES + [a + b for a in SYLLABLES for b in SYLLABLES[::3]]


def make_sentences(number: int, seed: int) -> list[str]:
    """Different sentences of made-up words."""
    choose = random.Random(seed)
    sentences: dict[str, None] = {}
    while len(sentences) < number:
        sentences[" ".join(choose.choices(WORDS, k=choose.randint(2, 5))) + "."] = None
    return list(sentences)
