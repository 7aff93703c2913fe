"""Two translations of the same test sets side by side, in the manner of compare-mt (Neubig 2019).

`systems` has them translated, `scores` tests whether one is better and where, `words` counts the
words that each gets right, repeats and leaves out; `comparing` puts it all together.
"""

from seq2seq.evaluation.comparison import Comparison, compare, compare_systems
from seq2seq.evaluation.sides import Both

__all__ = ["Both", "Comparison", "compare", "compare_systems"]
