"""Batches translated on processes: the same answers, and what happens when one fails or dies."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from helpers.serving import FakeIdentifier, post_json, until
from starlette.testclient import TestClient

from seq2seq.config.model_config import Direction
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.serving.app import Settings, create_app
from seq2seq.serving.batching import AbandonedError, BatchSettings
from seq2seq.serving.middleware import Limits
from seq2seq.serving.translator_processes import TranslatorProcesses
from seq2seq.translation.base import BaseTranslator, TranslateOptions
from seq2seq.translation.router import Router

pytestmark = pytest.mark.slow  # each process loads what it needs

MODEL = Path(__file__).parents[1] / "golden" / "int8"
DIRECTION = Direction("en", "de")
OPTIONS = TranslateOptions(unit="sentence")
LONG = "the old man saw the dog. " * 2000


def load() -> Router:
    return Router([MODEL], threads=1)


def load_when_open(gate: Path) -> Router:
    until(gate.exists)
    return load()


def wanted() -> bool:
    return True


class NoRouter(Router):
    """What must not be asked to translate: a process has to."""

    def route(self, source: str | None = None, target: str | None = None) -> BaseTranslator:
        raise AssertionError("the server translates by itself")


@pytest.fixture
def processes() -> Iterator[TranslatorProcesses]:
    """One process, which has loaded its model."""
    started = TranslatorProcesses(NoRouter([MODEL]), load)
    started.start(1)
    until(started._idle[0].is_ready)
    yield started
    started.close()


def translate(processes: TranslatorProcesses, *texts: str) -> list[str]:
    translations = processes.translate(DIRECTION, texts, OPTIONS, wanted)
    return [translation.text for translation in translations]


def test_requests_at_the_same_time_get_the_answers_that_threads_give() -> None:
    words = ("the dog", "the cat", "the man", "the old man")
    texts = [[f"{a} saw {b}."] * (1 + n % 3) for a in words for n, b in enumerate(words)]

    def answers(router: Router, processes: TranslatorProcesses | None) -> list[object]:
        app = create_app(
            router,
            FakeIdentifier(),
            Settings(
                Limits(translate_seconds=600),
                BatchSettings(size=4, workers=2),
                log=lambda line: None,
            ),
            processes,
        )
        with TestClient(app) as opened, ThreadPoolExecutor(len(texts)) as threads:
            if processes:
                started = [*processes._idle]
                until(lambda: all(process.is_ready() for process in started))
            asking = (threads.submit(post_json, opened, "/translate", q=text) for text in texts)
            return [answer.result().json() for answer in [*asking]]

    processes = TranslatorProcesses(NoRouter([MODEL]), load)
    assert answers(load(), processes) == answers(load(), None)


def test_a_process_that_dies_is_told_and_replaced(processes: TranslatorProcesses) -> None:
    expected = translate(processes, "the dog")
    [process] = processes._idle
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(Seq2SeqError, match="a translating process has died"):
        translate(processes, "the dog")
    until(processes._idle[0].is_ready)
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


def test_what_a_process_fails_with_is_raised(processes: TranslatorProcesses) -> None:
    for _ in range(2):
        with pytest.raises(UsageError):
            processes.translate(Direction("en", "fi"), ["the dog"], OPTIONS, wanted)
    assert len(processes._idle) == 1


def test_until_processes_have_loaded_the_server_translates(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    processes = TranslatorProcesses(load(), partial(load_when_open, gate))
    processes.start(1)
    [first] = processes._idle
    expected = translate(processes, "the dog")
    assert processes._idle == [first]
    gate.touch()
    until(first.is_ready)
    assert translate(processes, "the dog") == expected
    processes.close()


def test_without_processes_that_can_load_the_server_translates() -> None:
    processes = TranslatorProcesses(load(), partial(Router, ["nowhere"], threads=1))
    processes.start(1)
    until(lambda: processes._take_ready() is None and not processes._idle)
    assert translate(processes, "the dog")
    processes.close()
