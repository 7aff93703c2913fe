"""What `import seq2seq` offers: the names that stay stable, and translators as values."""

import asyncio
import dataclasses
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import pytest
from helpers.engines import copying

import seq2seq
from seq2seq.translation.base import TranslateKeywords

GOLDEN = Path(__file__).parent / "golden" / "int8"
NAMES = [
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


def test_the_list_of_public_names_is_held() -> None:
    assert seq2seq.__all__ == NAMES == dir(seq2seq)
    for name in NAMES:
        assert getattr(seq2seq, name) is not None
    assert seq2seq.__version__ == version("seq2seq")
    with pytest.raises(AttributeError, match="has no attribute 'shipped'"):
        seq2seq.shipped  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, seq2seq; print(*(m for m in sys.modules if m.startswith('seq2seq.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_keywords_are_the_fields_of_the_options() -> None:
    fields = [field.name for field in dataclasses.fields(seq2seq.TranslateOptions)]
    assert [*TranslateKeywords.__annotations__] == fields


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="beam"):
        copying().translate(["kalo"], beam=3)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        copying().glossary = None  # type: ignore[attr-defined]


def test_a_translator_is_pickled_by_the_path_of_its_model() -> None:
    translator = seq2seq.Translator(GOLDEN, 1)
    data = pickle.dumps(translator)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert again.direction == translator.direction
    text = ["the old man saw the dog"]
    expected = [translation.text for translation in translator.translate(text)]
    assert [translation.text for translation in again.translate(text)] == expected
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        [translation] = pool.submit(translator.translate, text).result()
    assert [translation.text] == expected


def test_a_translator_over_an_engine_of_this_process_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="loaded from a model directory"):
        pickle.dumps(copying())


def test_the_event_loop_goes_on_while_a_text_is_translated() -> None:
    translator, threads = copying(), set[int]()

    async def translate() -> list[str]:
        translations = await translator.translate_async(
            ["kalo", "wog. Sta."], unit="sentence", on_part=lambda _: threads.add(_thread())
        )
        return [translation.text for translation in translations]

    assert asyncio.run(translate()) == ["kalo", "wog. Sta."]
    assert threads
    assert _thread() not in threads


def _thread() -> int:
    return threading.get_ident()


def test_a_text_that_is_repeated_in_a_call_is_searched_once() -> None:
    translator = copying()
    translations = translator.translate(["kalo", "wog", "kalo", "kalo"])
    assert [translation.text for translation in translations] == ["kalo", "wog", "kalo", "kalo"]
    assert translations[0] is translations[2] is translations[3]
