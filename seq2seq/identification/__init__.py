"""Which language is this? Many characters in, one answer out: the many-to-one sequence model.

A bidirectional LSTM reads the characters of a text, and what it knows at the end is the answer.
`text` turns text into numbers, `network` is the model as its equations in NumPy, `words` sees that
a text is in none of its languages, `identifier` loads and asks them; `examples` and `training`
(torch) make one, `evaluation` says how good it is.
"""

from seq2seq.identification.identifier import (
    LEFT_AS_UNKNOWN,
    SURE,
    LanguageIdentifier,
    source_of,
)

__all__ = ["LEFT_AS_UNKNOWN", "SURE", "LanguageIdentifier", "source_of"]
