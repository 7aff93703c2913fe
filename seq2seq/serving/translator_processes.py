"""Translate batches on processes, each with the models for itself.

Threads would share the models, but the search is Python between calls of ONNX Runtime, and Python
runs one thread at a time. A text has the same translation, to the last bit, on any process.
"""

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection

from seq2seq.config.model_config import Direction
from seq2seq.errors import Seq2SeqError
from seq2seq.process_pool import end_with_parent
from seq2seq.serving.batching import AbandonedError
from seq2seq.translation.base import TranslateOptions
from seq2seq.translation.result import Translation
from seq2seq.translation.router import Router

_LOOK = 0.1  # seconds between two looks at whether anyone still waits for a batch
_IGNORED = ("SIGINT", "SIGTERM")  # which a terminal or a service manager sends to all processes


def translate_batch(
    router: Router,
    direction: Direction,
    texts: Sequence[str],
    options: TranslateOptions,
    is_wanted: Callable[[], bool],
) -> list[Translation]:
    """Translate texts; raise `AbandonedError` as soon as nobody waits for them any more."""

    def check(_: str) -> None:
        if not is_wanted():
            raise AbandonedError

    translations: list[Translation] = []
    route = router.route(direction.source, direction.target)
    for translation in route.stream(texts, replace(options, on_part=check)):
        translations.append(translation)
        check("")
    return translations


class TranslatorProcesses:
    """As many processes as batches are translated at the same time.

    `translate` is called from several threads. Where no process has loaded its models yet, the
    thread translates by itself. What a process fails with is raised; one that dies is replaced.
    """

    def __init__(self, router: Router, load: Callable[[], Router]) -> None:
        """Take the models of this process, and what loads them in the others: picklable."""
        self._here = router
        self._load = load
        self._idle: list[_TranslatorProcess] = []
        self._lock = threading.Lock()
        self._startable = 0  # processes that may start yet

    def start(self, processes: int) -> None:
        """Start so many processes; as many again start when all of these are at work."""
        self._startable = processes
        self._idle += [_TranslatorProcess(self._load) for _ in range(processes)]

    def translate(
        self,
        direction: Direction,
        texts: Sequence[str],
        options: TranslateOptions,
        is_wanted: Callable[[], bool],
    ) -> list[Translation]:
        """See `translate_batch`; raise `Seq2SeqError` where the process dies."""
        with self._lock:
            process = self._take_ready()
        if process is None:
            return translate_batch(self._here, direction, texts, options, is_wanted)
        try:
            result = process.translate(direction, texts, options, is_wanted)
        except (EOFError, OSError):
            process.close()
            with self._lock:
                self._idle.append(_TranslatorProcess(self._load))
            raise Seq2SeqError(
                "a process that translates has died: is there enough memory?"
            ) from None
        with self._lock:
            self._idle.append(process)
        if isinstance(result, Exception):
            raise result
        return result

    def _take_ready(self) -> "_TranslatorProcess | None":
        """Take an idle process that has loaded its models; the last one that was used, if it can.

        Start one where there is none idle.
        """
        for process in reversed(self._idle):
            try:
                is_ready = process.is_ready()
            except (EOFError, OSError):  # it has died; another one would, too
                self._idle.remove(process)
                process.close()
                continue
            if is_ready:
                self._idle.remove(process)
                return process
        if not self._idle and self._startable:
            self._startable -= 1
            self._idle.append(_TranslatorProcess(self._load))
        return None

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            for process in self._idle:
                process.close()
            self._idle.clear()
            self._startable = 0


class _TranslatorProcess:
    """A process that translates a batch at a time."""

    def __init__(self, load: Callable[[], Router]) -> None:
        context = get_context("spawn")  # a forked one would inherit the threads of ONNX Runtime
        self._connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, load), daemon=True)
        process.start()
        theirs.close()  # so that its end shows here
        self.pid = process.pid
        self._is_ready = False

    def is_ready(self) -> bool:
        """Tell whether it has loaded its models; raise `EOFError` or `OSError` if it has died."""
        if not self._is_ready and self._connection.poll():
            self._connection.recv()
            self._is_ready = True
        return self._is_ready

    def translate(
        self,
        direction: Direction,
        texts: Sequence[str],
        options: TranslateOptions,
        is_wanted: Callable[[], bool],
    ) -> list[Translation] | Exception:
        """Return the translations or what the process failed with; raise `EOFError` or `OSError`.

        These two mean that it has died.
        """
        self._connection.send((direction, texts, options))
        while not self._connection.poll(_LOOK):
            if not is_wanted():
                self._connection.send(None)
                break
        result: list[Translation] | Exception = self._connection.recv()
        return result

    def close(self) -> None:
        """End the process: after the batch that it is at, if any."""
        self._connection.close()


def _serve(connection: Connection, load: Callable[[], Router]) -> None:
    """Be a process: load the models, say so, and translate what comes until the other side closes.

    What comes is a batch, or None: nobody waits for the batch of before any more.
    """
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)  # the server ends it
    logging.getLogger("seq2seq").setLevel(logging.ERROR)  # the server itself says what it chooses
    end_with_parent()
    try:
        router = load()
    except Seq2SeqError:
        return  # the server has loaded the same, and goes on by itself

    def is_wanted() -> bool:
        return not connection.poll() or connection.recv() is not None

    try:
        connection.send(None)
        while True:
            if (batch := connection.recv()) is None:
                continue  # it came after the last translation
            try:
                direction, texts, options = batch
                result: list[Translation] | Exception = translate_batch(
                    router, direction, texts, options, is_wanted
                )
            except Exception as error:
                result = error
            connection.send(result)
    except (EOFError, OSError):
        return
