"""seq2seq: train, run and understand recurrent machine translation.

from seq2seq import Translator

for translation in Translator().translate(["Where is the station?", "Good morning!"]):
    print(translation.text, translation.score)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import version

    from seq2seq.bundled import bundled_models
    from seq2seq.errors import Seq2SeqError, UsageError
    from seq2seq.identification.identifier import LanguageIdentifier
    from seq2seq.search.sampling import Sampling
    from seq2seq.text.glossary import Glossary, Term
    from seq2seq.translation.base import TranslateOptions
    from seq2seq.translation.parallel import ParallelTranslator
    from seq2seq.translation.result import Candidate, Translation
    from seq2seq.translation.router import Router
    from seq2seq.translation.translation_memory import MemoryTranslator, TranslationMemory
    from seq2seq.translation.translator import Translator

    __version__ = version("seq2seq")

__all__ = [
    "Candidate",
    "Glossary",
    "LanguageIdentifier",
    "MemoryTranslator",
    "ParallelTranslator",
    "Router",
    "Sampling",
    "Seq2SeqError",
    "Term",
    "TranslateOptions",
    "Translation",
    "TranslationMemory",
    "Translator",
    "UsageError",
    "__version__",
    "bundled_models",
]

_MODULES = {
    "Candidate": "translation.result",
    "Glossary": "text.glossary",
    "LanguageIdentifier": "identification.identifier",
    "MemoryTranslator": "translation.translation_memory",
    "ParallelTranslator": "translation.parallel",
    "Router": "translation.router",
    "Sampling": "search.sampling",
    "Seq2SeqError": "errors",
    "Term": "text.glossary",
    "TranslateOptions": "translation.base",
    "Translation": "translation.result",
    "TranslationMemory": "translation.translation_memory",
    "Translator": "translation.translator",
    "UsageError": "errors",
    "bundled_models": "bundled",
}


def __getattr__(name: str) -> Any:
    # Import names on first use (PEP 562), so that `translate --help` does not wait for NumPy.
    if name in _MODULES:
        return getattr(import_module(f"seq2seq.{_MODULES[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("seq2seq")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
