"""Batch the texts of several requests, since a batch takes little longer than a single text.

A free worker takes what is in the queue, up to a full batch. It does not wait for more: under load
texts arrive while it works, and with 64 clients waiting 5 or 20 ms made batches no larger. Requests
take turns, some texts at a time, so that a request of a thousand texts does not delay another of
one text. Large requests have separate workers, since a single long text is not divided and may take
half a minute.
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
"""What texts must have in common to be in one batch."""
Result = TypeVar("Result")

_TURN = 8  # texts taken from a request before the next request has its turn
_BATCH_CHARACTERS = 10_000  # so that a batch of long texts does not delay others
_LARGE = 2_000  # characters of a request; smaller requests wait for smaller ones only


class AbandonedError(Exception):
    """Raised by work whose results nobody waits for any longer."""


@dataclass(frozen=True)
class BatchSettings:
    """The settings of batching."""

    size: int = 128  # texts; twice what is searched at once, so that similar lengths come together
    is_shared: bool = True  # a batch may have texts of several requests
    workers: int = 1  # batches at the same time, and as many again for large requests


@dataclass(eq=False)
class _Job(Generic[Key, Result]):
    """The texts of one request."""

    key: Key
    texts: Sequence[str]
    done: "asyncio.Future[list[Result]]"
    results: dict[int, Result] = field(default_factory=dict)  # by the number of the text
    taken: int = 0  # number of texts that were put into batches

    @property
    def is_taken(self) -> bool:
        return self.taken == len(self.texts)

    def put(self, number: int, result: Result) -> None:
        self.results[number] = result
        if len(self.results) == len(self.texts) and not self.done.done():
            self.done.set_result([self.results[number] for number in range(len(self.texts))])

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Queue(Generic[Key, Result]):
    """The queue of one set of workers."""

    def __init__(self) -> None:
        self.jobs: deque[_Job[Key, Result]] = deque()  # with texts that are not in a batch yet
        self.filled = asyncio.Event()  # set while there is a job

    def add(self, job: _Job[Key, Result]) -> None:
        self.jobs.append(job)
        self.filled.set()

    def remove(self, job: _Job[Key, Result]) -> None:
        if job in self.jobs:
            self.jobs.remove(job)


class Batcher(Generic[Key, Result]):
    """Run `work` in threads, on batches of texts with the same key.

    `work(key, texts, is_wanted)` returns a result for each text. It may call `is_wanted()` to see
    whether anyone still waits for them, and raise `AbandonedError` if not. At most `capacity`
    requests may be in the queue. `observe` is called with the size of each batch.

    async with batcher.running():
        results = await batcher.run(key, texts)
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
        self._small = _Queue[Key, Result]()
        self._large = _Queue[Key, Result]()

    @property
    def waiting(self) -> int:
        """Return the number of requests in the queue with texts that nobody has begun."""
        return len(self._small.jobs) + len(self._large.jobs)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start the workers, and stop them at the end."""
        queues = [self._small, self._large] * self._settings.workers
        pool = ThreadPoolExecutor(len(queues), thread_name_prefix="translate")
        workers = [asyncio.create_task(self._serve(pool, queue)) for queue in queues]
        try:
            yield
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, key: Key, texts: Sequence[str]) -> list[Result]:
        """Return the result for each text; raise `RefusedError` if too many requests wait.

        If the call is cancelled, its texts leave the queue. A batch in progress goes on with all
        its texts as long as anyone waits for one of them.
        """
        if not texts:
            return []
        if self.waiting >= self._capacity:
            raise RefusedError(503, "Too many requests are waiting, try again later", retry_after=1)
        job = _Job[Key, Result](key, texts, asyncio.get_running_loop().create_future())
        queue = self._large if sum(map(len, texts)) > _LARGE else self._small
        queue.add(job)
        try:
            return await job.done
        finally:
            queue.remove(job)

    async def _serve(self, pool: ThreadPoolExecutor, queue: _Queue[Key, Result]) -> None:
        while True:
            await queue.filled.wait()
            if batch := self._take(queue):
                self._observe(len(batch))
                await self._run(pool, batch)

    def _take(self, queue: _Queue[Key, Result]) -> list[tuple[_Job[Key, Result], int]]:
        """Return the texts of the next batch, each as its job and its number in the job."""
        batch = list[tuple[_Job[Key, Result], int]]()
        skipped = deque[_Job[Key, Result]]()  # with another key
        room = _BATCH_CHARACTERS
        while queue.jobs and room > 0 and len(batch) < self._settings.size:
            job = queue.jobs.popleft()
            if batch and not self._fits(job, batch[0][0]):
                skipped.append(job)
                continue
            turn = min(_TURN, self._settings.size - len(batch))
            for number in range(job.taken, min(job.taken + turn, len(job.texts))):
                if batch and len(job.texts[number]) > room:
                    queue.jobs.appendleft(job)
                    room = 0
                    break
                room -= len(job.texts[number])
                batch.append((job, number))
                job.taken += 1
            else:
                if not job.is_taken:
                    queue.jobs.append(job)
        queue.jobs.extendleft(reversed(skipped))
        if not queue.jobs:
            queue.filled.clear()
        return batch

    def _fits(self, job: _Job[Key, Result], first: _Job[Key, Result]) -> bool:
        """Return whether a job may be in the batch that `first` has begun."""
        return job is first or (self._settings.is_shared and job.key == first.key)

    async def _run(
        self, pool: ThreadPoolExecutor, batch: Sequence[tuple[_Job[Key, Result], int]]
    ) -> None:
        loop = asyncio.get_running_loop()
        key = batch[0][0].key
        texts = [job.texts[number] for job, number in batch]

        def is_wanted() -> bool:
            """Return whether anyone still waits; called in the thread that works."""
            return not all(job.done.done() for job, _ in batch)

        try:
            results = await loop.run_in_executor(pool, self._work, key, texts, is_wanted)
        except AbandonedError:
            return
        except Exception as error:
            if len(batch) == 1:
                batch[0][0].fail(error)
                return
            for job, number in batch:  # so that only the request at fault fails
                if not job.done.done():
                    await self._run(pool, [(job, number)])
            return
        for (job, number), result in zip(batch, results, strict=True):
            job.put(number, result)
