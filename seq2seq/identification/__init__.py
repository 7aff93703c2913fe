"""Language identification with a many-to-one sequence model: many characters in, one answer out.

A bidirectional LSTM reads the characters of a text, and its last states give the answer. `alphabet`
turns text into ids, `network` has the equations of the model in NumPy, `word_table` recognises
texts in none of the model's languages, and `identifier` puts these together. `examples` and
`training` (torch) train a model, `evaluation` measures how good it is.
"""

from seq2seq.identification.identifier import (
    LEFT_AS_UNKNOWN,
    SURE,
    LanguageIdentifier,
    source_of,
)

__all__ = ["LEFT_AS_UNKNOWN", "SURE", "LanguageIdentifier", "source_of"]
