"""Batches translated on processes: the same answers, and what happens when one fails or dies."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.serving import FakeIdentifier, post_json
from starlette.testclient import TestClient

from seq2seq.config.model_config import Direction
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.serving.app import Settings, create_app
from seq2seq.serving.batching import AbandonedError, BatchSettings
from seq2seq.serving.middleware import Limits
from seq2seq.serving.translator_processes import TranslatorProcesses
from seq2seq.translation.base import TranslateOptions
from seq2seq.translation.router import Router

pytestmark = pytest.mark.slow  # each process loads what it needs

MODEL = Path(__file__).parents[1] / "golden" / "int8"
DIRECTION = Direction("en", "de")
OPTIONS = TranslateOptions(unit="sentence")
LONG = "the old man saw the dog. " * 2000


def load() -> Router:
    return Router([MODEL], threads=1)


def wanted() -> bool:
    return True


@pytest.fixture
def processes() -> Any:
    started = TranslatorProcesses(load)
    yield started
    started.close()


def translate(processes: TranslatorProcesses, *texts: str) -> list[str]:
    translations = processes.translate(DIRECTION, texts, OPTIONS, wanted)
    return [translation.text for translation in translations]


def test_requests_at_the_same_time_get_the_answers_that_threads_give() -> None:
    words = ("the dog", "the cat", "the man", "the old man")
    texts = [[f"{a} saw {b}."] * (1 + n % 3) for a in words for n, b in enumerate(words)]

    def answers(with_processes: bool) -> list[object]:
        app = create_app(
            load(),
            FakeIdentifier(),
            Settings(
                Limits(translate_seconds=600),
                BatchSettings(size=4, workers=2),
                log=lambda line: None,
            ),
            TranslatorProcesses(load) if with_processes else None,
        )
        with TestClient(app) as opened, ThreadPoolExecutor(len(texts)) as threads:
            asking = (threads.submit(post_json, opened, "/translate", q=text) for text in texts)
            return [answer.result().json() for answer in [*asking]]

    assert answers(with_processes=True) == answers(with_processes=False)


def test_a_process_that_dies_is_told_and_replaced(processes: TranslatorProcesses) -> None:
    expected = translate(processes, "the dog")
    [process] = processes._idle
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Seq2SeqError, match="a process that translates has died"):
        translate(processes, "the dog")
    assert translate(processes, "the dog") == expected


def test_what_nobody_waits_for_is_stopped_and_the_next_batch_is_whole(
    processes: TranslatorProcesses,
) -> None:
    expected = translate(processes, "the dog")
    started = time.process_time()
    with pytest.raises(AbandonedError):
        processes.translate(DIRECTION, [LONG], OPTIONS, lambda: False)
    assert time.process_time() - started < 5
    assert len(processes._idle) == 1
    assert translate(processes, "the dog") == expected


def test_a_stop_that_comes_after_the_end_does_not_stop_the_next_batch(
    processes: TranslatorProcesses,
) -> None:
    expected = translate(processes, "the dog")
    processes._idle[0]._connection.send(None)
    assert translate(processes, "the dog") == expected


@pytest.mark.parametrize(
    ("model", "target", "error"), [("nowhere", "de", Seq2SeqError), (MODEL, "fi", UsageError)]
)
def test_what_a_process_fails_with_is_raised(
    model: str | Path, target: str, error: type[Exception]
) -> None:
    processes = TranslatorProcesses(partial(Router, [model], threads=1))
    for _ in range(2):
        with pytest.raises(error):
            processes.translate(Direction("en", target), ["the dog"], OPTIONS, wanted)
    assert len(processes._idle) == 1
    processes.close()
