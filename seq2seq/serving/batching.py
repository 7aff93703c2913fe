"""Texts of several requests are worked on together, since a batch takes little longer than a text.

A worker that is free takes what waits, up to a full batch. It does not wait for more: under load
texts come while it is at work, and with 64 clients batches were no larger for waiting 5 or 20 ms.
Requests take turns, some texts at a time: one of a thousand texts does not keep another of one text
waiting for all of them. Large requests have workers of their own, since one long text is not
divided and may take half a minute.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from seq2seq.serving.middleware import RefusedError

Key = TypeVar("Key")
"""What texts must have in common to be worked on together."""
Result = TypeVar("Result")

_TURN = 8  # texts of a request, before it is another's turn
_BATCH_CHARACTERS = 10_000  # so that a batch of long texts does not keep others waiting
_LARGE = 2_000  # characters of a request; a small one waits only for as small ones


class AbandonedError(Exception):
    """Nobody waits for the work any more."""


@dataclass(frozen=True)
class BatchSettings:
    """How texts are joined."""

    size: int = 128  # texts; twice what is searched side by side, so that it finds like lengths
    is_shared: bool = True  # a batch may have texts of several requests
    workers: int = 1  # batches at one time, and as many of large requests


@dataclass(eq=False)
class _Job(Generic[Key, Result]):
    """The texts of one request."""

    key: Key
    texts: Sequence[str]
    done: "asyncio.Future[list[Result]]"
    results: dict[int, Result] = field(default_factory=dict)  # by the number of the text
    taken: int = 0  # texts

    @property
    def all_taken(self) -> bool:
        return self.taken == len(self.texts)

    def put(self, number: int, result: Result) -> None:
        self.results[number] = result
        if len(self.results) == len(self.texts) and not self.done.done():
            self.done.set_result([self.results[number] for number in range(len(self.texts))])

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Lane(Generic[Key, Result]):
    """Requests that wait for the same workers."""

    def __init__(self) -> None:
        self.jobs: deque[_Job[Key, Result]] = deque()  # that have texts nobody has taken
        self.filled = asyncio.Event()  # there is such a job

    def add(self, job: _Job[Key, Result]) -> None:
        self.jobs.append(job)
        self.filled.set()

    def remove(self, job: _Job[Key, Result]) -> None:
        if job in self.jobs:
            self.jobs.remove(job)


class Batcher(Generic[Key, Result]):
    """Runs `work` in threads, on texts of one key at a time.

    It is also given a function that says whether anyone still waits for them, and may raise
    `AbandonedError` when nobody does.

    async with batcher.running():
        results = await batcher.run(key, texts)

    `observe` is called with the size of each batch.
    """

    def __init__(
        self,
        work: Callable[[Key, Sequence[str], Callable[[], bool]], Sequence[Result]],
        settings: BatchSettings,
        capacity: int,
        observe: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._work = work
        self._settings = settings
        self._capacity = capacity
        self._observe = observe
        self._small = _Lane[Key, Result]()
        self._large = _Lane[Key, Result]()

    @property
    def waiting(self) -> int:
        """The number of requests with texts that nobody has begun."""
        return len(self._small.jobs) + len(self._large.jobs)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With its workers at work."""
        lanes = [self._small, self._large] * self._settings.workers
        pool = ThreadPoolExecutor(len(lanes), thread_name_prefix="translate")
        workers = [asyncio.create_task(self._serve(pool, lane)) for lane in lanes]
        try:
            yield
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, key: Key, texts: Sequence[str]) -> list[Result]:
        """The result for each text; raises `RefusedError` where too many requests wait.

        Where it is cancelled, texts that nobody has begun are left. A batch that is begun goes on
        with all of its texts as long as anyone waits for one of them.
        """
        if not texts:
            return []
        if self.waiting >= self._capacity:
            raise RefusedError(503, "Too many requests are waiting, try again later", retry_after=1)
        job = _Job[Key, Result](key, texts, asyncio.get_running_loop().create_future())
        lane = self._large if sum(map(len, texts)) > _LARGE else self._small
        lane.add(job)
        try:
            return await job.done
        finally:
            lane.remove(job)

    async def _serve(self, pool: ThreadPoolExecutor, lane: _Lane[Key, Result]) -> None:
        while True:
            await lane.filled.wait()
            if batch := self._take(lane):
                self._observe(len(batch))
                await self._run(pool, batch)

    def _take(self, lane: _Lane[Key, Result]) -> list[tuple[_Job[Key, Result], int]]:
        """The texts of the next batch, by job and number."""
        batch = list[tuple[_Job[Key, Result], int]]()
        others = deque[_Job[Key, Result]]()  # that do not fit
        room = _BATCH_CHARACTERS
        while lane.jobs and room > 0 and len(batch) < self._settings.size:
            job = lane.jobs.popleft()
            if batch and not self._fits(job, batch[0][0]):
                others.append(job)
                continue
            turn = min(_TURN, self._settings.size - len(batch))
            for number in range(job.taken, min(job.taken + turn, len(job.texts))):
                if batch and len(job.texts[number]) > room:
                    lane.jobs.appendleft(job)
                    room = 0
                    break
                room -= len(job.texts[number])
                batch.append((job, number))
                job.taken += 1
            else:
                if not job.all_taken:
                    lane.jobs.append(job)
        lane.jobs.extendleft(reversed(others))
        if not lane.jobs:
            lane.filled.clear()
        return batch

    def _fits(self, job: _Job[Key, Result], first: _Job[Key, Result]) -> bool:
        """Whether it may be in the batch that this one has begun."""
        return job is first or (self._settings.is_shared and job.key == first.key)

    async def _run(
        self, pool: ThreadPoolExecutor, batch: Sequence[tuple[_Job[Key, Result], int]]
    ) -> None:
        loop = asyncio.get_running_loop()
        key = batch[0][0].key
        texts = [job.texts[number] for job, number in batch]

        def is_wanted() -> bool:
            """Whether anyone still waits; asked from the thread that works."""
            return not all(job.done.done() for job, _ in batch)

        try:
            results = await loop.run_in_executor(pool, self._work, key, texts, is_wanted)
        except AbandonedError:
            return
        except Exception as error:
            if len(batch) == 1:
                batch[0][0].fail(error)
                return
            for one in batch:  # so that only the request at fault fails
                if not one[0].done.done():
                    await self._run(pool, [one])
            return
        for (job, number), result in zip(batch, results, strict=True):
            job.put(number, result)
