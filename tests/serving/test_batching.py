"""Which texts are worked on together, and in which order."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers.serving import (
    PATHS,
    TIMEOUT,
    FakeIdentifier,
    FakeTranslator,
    client,
    until,
    waiting_requests,
)

from seq2seq.serving.app import Settings
from seq2seq.serving.batching import Batcher, BatchSettings
from seq2seq.serving.middleware import Limits, RefusedError


def batches(
    settings: BatchSettings, requests: Sequence[tuple[str, Sequence[str]]], capacity: int = 100
) -> list[tuple[str, list[str]]]:
    """What is worked on together when all `requests`, keys and texts, come at once."""

    def work(key: str, texts: Sequence[str], is_wanted: Callable[[], bool]) -> list[str]:
        done.append((key, [*texts]))
        return [f"{key} {text}" for text in texts]

    async def run() -> None:
        batcher = Batcher(work, settings, capacity)
        async with batcher.running():
            found = await asyncio.gather(*(batcher.run(key, texts) for key, texts in requests))
        assert found == [[f"{key} {text}" for text in texts] for key, texts in requests]

    done: list[tuple[str, list[str]]] = []
    asyncio.run(run())
    return done


def test_texts_of_several_requests_are_joined() -> None:
    requests = [("x", ["a"]), ("y", ["b"]), ("x", ["c", "d"]), ("x", []), ("y", ["e"])]
    assert batches(BatchSettings(), requests) == [("x", ["a", "c", "d"]), ("y", ["b", "e"])]


def test_a_batch_is_of_bounded_size() -> None:
    assert batches(BatchSettings(size=1), [("x", ["a", "b"])]) == [("x", ["a"]), ("x", ["b"])]
    long = "l" * 9_000
    found = batches(BatchSettings(), [("x", ["a", long, long, "b"])])
    assert [texts for _, texts in found] == [["a", long], [long, "b"]]


def test_requests_take_turns() -> None:
    many = [str(number) for number in range(20)]
    found = batches(BatchSettings(size=10), [("x", many), ("x", ["a"]), ("y", ["b"])])
    assert [texts for _, texts in found] == [[*many[:8], "a", "8"], ["b"], many[9:19], ["19"]]


def test_without_sharing_a_request_has_its_batch_to_itself() -> None:
    settings = BatchSettings(size=10, is_shared=False)
    many = [str(number) for number in range(20)]
    found = batches(settings, [("x", many), ("x", ["a", "b"]), ("x", ["c"])])
    assert [texts for _, texts in found] == [many[:10], ["a", "b"], ["c"], many[10:]]


def test_what_is_left_of_a_request_that_failed_is_not_worked_on() -> None:
    def work(key: str, texts: Sequence[str], is_wanted: Callable[[], bool]) -> Sequence[str]:
        done.append([*texts])
        if "crash" in texts:
            raise RuntimeError("crash")
        return texts

    async def run() -> None:
        batcher = Batcher(work, BatchSettings(), capacity=2)
        async with batcher.running():
            asked = (batcher.run("x", texts) for texts in (["crash", "a"], ["b"]))
            found = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(found[0], RuntimeError)
        assert found[1] == ["b"]

    done: list[list[str]] = []
    asyncio.run(run())
    assert done == [["crash", "a", "b"], ["crash"], ["b"]]


def test_small_requests_do_not_wait_for_large_ones() -> None:
    def work(key: str, texts: Sequence[str], is_wanted: Callable[[], bool]) -> Sequence[str]:
        if len(texts[0]) > 1:
            begun.set()
            assert gate.wait(TIMEOUT)
        return texts

    async def run() -> None:
        batcher = Batcher(work, BatchSettings(workers=1), capacity=1)
        async with batcher.running():
            large = asyncio.create_task(batcher.run("x", ["l" * 40_000]))
            await asyncio.to_thread(begun.wait, TIMEOUT)
            for _ in range(3):
                assert await batcher.run("x", ["s"]) == ["s"]
            gate.set()
            assert await large == ["l" * 40_000]

    begun, gate = threading.Event(), threading.Event()
    asyncio.run(run())


def test_what_nobody_waits_for_is_not_begun() -> None:
    def work(key: str, texts: Sequence[str], is_wanted: Callable[[], bool]) -> Sequence[str]:
        done.append([*texts])
        assert gate.wait(TIMEOUT)
        return texts

    async def run() -> None:
        batcher = Batcher(work, BatchSettings(), capacity=1)
        async with batcher.running():
            first = asyncio.create_task(batcher.run("x", ["a"]))
            while not done:
                await asyncio.sleep(0.01)
            second = asyncio.create_task(batcher.run("x", ["b"]))
            await asyncio.sleep(0.01)
            with pytest.raises(RefusedError, match="waiting"):
                await batcher.run("x", ["c"])
            second.cancel()
            await asyncio.wait([second])
            gate.set()
            assert await first == ["a"]
            assert await batcher.run("x", ["d"]) == ["d"]

    gate = threading.Event()
    done: list[list[str]] = []
    asyncio.run(run())
    assert done == [["a"], ["d"]]


def test_requests_under_load_are_joined_over_http() -> None:
    translator = FakeTranslator()
    translator.gate.clear()
    with client(translator=translator) as opened, ThreadPoolExecutor(20) as threads:

        def post(text: str) -> Any:
            body = {"q": text, "source": "en", "target": "de"}
            return threads.submit(opened.post, "/translate", json=body)

        answers = [post("first")]
        until(lambda: len(translator.calls) == 1)
        answers += [post(f"text {number}") for number in range(19)]
        until(lambda: waiting_requests(opened) == 19)
        translator.gate.set()
        found = [answer.result(TIMEOUT).json()["translatedText"] for answer in answers]
    assert found == ["FIRST", *(f"TEXT {number}" for number in range(19))]
    assert [len(texts) for *_, texts in translator.calls] == [1, 19]


def test_too_many_waiting_requests_are_refused() -> None:
    translator = FakeTranslator()
    translator.gate.clear()
    settings = Settings(Limits(waiting=2), log=lambda line: None)
    with client(settings, translator) as opened, ThreadPoolExecutor(8) as threads:
        body = {"q": "a", "source": "en", "target": "de"}

        def post() -> Any:
            return threads.submit(opened.post, "/translate", json=body)

        first = post()
        until(lambda: len(translator.calls) == 1)
        accepted = [post(), post()]
        until(lambda: waiting_requests(opened) == 2)
        refusal = opened.post("/translate", json=body)
        assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "1")
        translator.gate.set()
        assert all(future.result(TIMEOUT).status_code == 200 for future in (first, *accepted))


class SlowIdentifier(FakeIdentifier):
    """Finds nothing before its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.calls: list[int] = []

    def identify_batch(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """As many calls as there are batches."""
        self.calls.append(len(texts))
        assert self.gate.wait(TIMEOUT)
        return super().identify_batch(texts)


def test_too_many_texts_whose_language_is_asked_are_refused() -> None:
    identifier = SlowIdentifier()
    settings = Settings(Limits(waiting=2), BatchSettings(workers=1), log=lambda line: None)
    with (
        client(settings, identifier=identifier) as opened,
        ThreadPoolExecutor(8) as threads,
    ):
        body = {"q": "der hund", "source": "auto", "target": "en"}
        accepted = [threads.submit(opened.post, "/detect", json=body)]
        until(lambda: identifier.calls == [1])
        accepted += [threads.submit(opened.post, path, json=body) for path in PATHS]
        until(lambda: waiting_requests(opened) == 2)
        for path in PATHS:
            refusal = opened.post(path, json=body)
            assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "1")
        known = opened.post("/translate", json={"q": "a", "source": "en", "target": "de"})
        assert known.status_code == 200  # it does not wait for them
        identifier.gate.set()
        assert all(future.result(TIMEOUT).status_code == 200 for future in accepted)
    assert identifier.calls == [1, 2]
