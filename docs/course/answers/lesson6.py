"""Lesson 6, search and BLEU. One way to fill it in."""

import math
from collections import Counter
from collections.abc import Callable

Model = Callable[[list[str]], dict[str, float]]
"""Called with the words so far, it gives the probability of each word that may come next."""


# 1. Greedy search.
def greedy(model: Model) -> list[str]:
    """Return the words up to "</s>", which is not among them: each time the likeliest one."""
    words: list[str] = []
    while True:
        following = model(words)
        word = max(following, key=following.__getitem__)
        if word == "</s>":
            return words
        words = [*words, word]


# 2. Beam search.
def beam_search(model: Model, size: int) -> list[str]:
    """Return the words of the likeliest sentence on the beam, without its "</s>".

    Begin with one hypothesis, [] with a log-probability of 0. At each step continue every
    hypothesis that does not end in "</s>" by every word, and keep the `size` likeliest of these and
    of the finished ones. Stop when all that are kept are finished.
    """
    beam: list[tuple[float, list[str]]] = [(0.0, [])]
    while any(words[-1:] != ["</s>"] for _, words in beam):
        continued = []
        for log_prob, words in beam:
            if words[-1:] == ["</s>"]:
                continued.append((log_prob, words))
                continue
            for word, probability in model(words).items():
                continued.append((log_prob + math.log(probability), [*words, word]))
        beam = sorted(continued, reverse=True)[:size]
    return beam[0][1][:-1]


# 3. So that short sentences are not favoured.
def score(log_prob: float, length: int, alpha: float) -> float:
    """Return log_prob divided by the length penalty ((5 + length) / 6) to the power of alpha."""
    return float(log_prob / ((5 + length) / 6) ** alpha)


# 4. For BLEU: how many n-grams (n words in a row) of a translation are in the reference?
def matches(translation: list[str], reference: list[str], n: int) -> int:
    """Return their number; each n-gram counts at most as often as the reference has it."""
    in_translation = Counter(zip(*(translation[k:] for k in range(n)), strict=False))
    in_reference = Counter(zip(*(reference[k:] for k in range(n)), strict=False))
    return (in_translation & in_reference).total()


# 5. BLEU of a whole test text.
def bleu(translations: list[list[str]], references: list[list[str]]) -> float:
    """Return BLEU, from 0 to 100; a translation and its reference are lists of words.

    p_n, for n from 1 to 4, is the number of matches over that of all n-grams of the translations,
    both summed over all sentences first. c and r are the words of all translations and of all
    references. BLEU = 100 * min(1, e^(1 - r / c)) * (p_1 p_2 p_3 p_4)^(1/4)
    """
    pairs = [*zip(translations, references, strict=True)]
    product = 1.0
    for n in range(1, 5):
        found = sum(matches(translation, reference, n) for translation, reference in pairs)
        product *= found / sum(max(0, len(words) - n + 1) for words in translations)
    c, r = sum(map(len, translations)), sum(map(len, references))
    return 100 * min(1.0, math.exp(1 - r / c)) * float(product**0.25)
