"""Translate batches in processes, each of which loads the models.

Threads could share the models, but between calls of ONNX Runtime the search is Python, which
runs one thread at a time. A text has the same translation, to the last bit, in any process.
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

_LOOK = 0.1  # seconds between checks of whether anyone still waits for a batch
_IGNORED = ("SIGINT", "SIGTERM")  # which a terminal or a service manager sends to all processes


def translate_batch(
    router: Router,
    direction: Direction,
    texts: Sequence[str],
    options: TranslateOptions,
    is_wanted: Callable[[], bool],
) -> list[Translation]:
    """Translate texts; raise `AbandonedError` as soon as nobody waits for them any longer."""

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
    """The processes that translate, as many as batches are translated at the same time.

    `translate` is called from several threads. As long as no process has loaded its models, the
    thread itself translates. Errors of a process are raised here; a process that dies is replaced.
    """

    def __init__(self, router: Router, load: Callable[[], Router]) -> None:
        """Take the models of this process, and a picklable function that loads those of others."""
        self._here = router
        self._load = load
        self._idle: list[_TranslatorProcess] = []
        self._lock = threading.Lock()
        self._startable = 0  # processes that may still be started

    def start(self, processes: int) -> None:
        """Start some processes; as many again are started when all of these are busy."""
        self._startable = processes
        self._idle += [_TranslatorProcess(self._load) for _ in range(processes)]

    def translate(
        self,
        direction: Direction,
        texts: Sequence[str],
        options: TranslateOptions,
        is_wanted: Callable[[], bool],
    ) -> list[Translation]:
        """Translate as `translate_batch` does; raise `Seq2SeqError` if the process dies."""
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
            raise Seq2SeqError("a translating process has died: is there enough memory?") from None
        with self._lock:
            self._idle.append(process)
        if isinstance(result, Exception):
            raise result
        return result

    def _take_ready(self) -> "_TranslatorProcess | None":
        """Take an idle process that has loaded its models, preferably the one used last.

        If no process is idle, start another one.
        """
        for process in reversed(self._idle):
            try:
                is_ready = process.is_ready()
            except (EOFError, OSError):  # it died while loading; another one would, too
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
    """A process that translates one batch at a time."""

    def __init__(self, load: Callable[[], Router]) -> None:
        context = get_context("spawn")  # a forked one would inherit the threads of ONNX Runtime
        self._connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, load), daemon=True)
        process.start()
        theirs.close()  # so that we notice when the process ends
        self.pid = process.pid
        self._is_ready = False

    def is_ready(self) -> bool:
        """Return whether it has loaded its models; raise `EOFError` or `OSError` if it died."""
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
        """Return the translations, or the error that the process raised.

        Raises `EOFError` or `OSError` if the process died.
        """
        self._connection.send((direction, texts, options))
        while not self._connection.poll(_LOOK):
            if not is_wanted():
                self._connection.send(None)
                break
        result: list[Translation] | Exception = self._connection.recv()
        return result

    def close(self) -> None:
        """End the process, after the batch in progress, if any."""
        self._connection.close()


def _serve(connection: Connection, load: Callable[[], Router]) -> None:
    """Load the models in a new process, report that, and translate until the other side closes.

    Each message is a batch, or None, which means that nobody waits for the last batch any longer.
    """
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)  # the server ends this process
    logging.getLogger("seq2seq").setLevel(logging.ERROR)  # the server logs the choice of models
    end_with_parent()
    try:
        router = load()
    except Seq2SeqError:
        return  # the server loaded the same models, and translates by itself

    def is_wanted() -> bool:
        return not connection.poll() or connection.recv() is not None

    try:
        connection.send(None)
        while True:
            if (batch := connection.recv()) is None:
                continue  # it arrived after the batch was done
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
