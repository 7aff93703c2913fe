"""seq2seq: train, ship and understand recurrent machine translation.

from seq2seq import Translator

for translation in Translator().translate(["Where is the station?", "Good morning!"]):
    print(translation.text, translation.score)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seq2seq.errors import Seq2SeqError, UsageError
    from seq2seq.translation.result import Translation
    from seq2seq.translation.translator import Translator

__all__ = ["Seq2SeqError", "Translation", "Translator", "UsageError"]


def __getattr__(name: str) -> Any:
    # On first use (PEP 562), so that `translate --help` does not wait for NumPy.
    if name in ("Translation", "Translator"):
        from seq2seq.translation import translator

        return getattr(translator, name)
    if name in ("Seq2SeqError", "UsageError"):
        from seq2seq import errors

        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
