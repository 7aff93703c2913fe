"""How a command ends: one sentence on stderr and an exit code; a traceback means a fault of ours.

Exit codes: 0 done, 1 failure, 2 wrong usage, 130 Ctrl-C, 141 nobody reads the output any more.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from seq2seq.errors import Seq2SeqError

INTERRUPTED = 130  # 128 + SIGINT, as a shell counts
_BROKEN_PIPE = 141  # 128 + SIGPIPE


@contextmanager
def reported_errors(program: str) -> Iterator[None]:
    """Around a command: errors end the process as told above."""
    if sys.stderr is None:  # closed; what is said there must not go to stdout or a file instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk or a lost reader can still be told
    except Seq2SeqError as error:
        _tell(f"{program}: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # as in `translate -i book.txt | head -1`
        _give_up_output()
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _tell(f"{program}: {where}{error.strerror or error}.")
        _give_up_output()
        sys.exit(1)
    except ImportError as error:
        # A compiled module that is interrupted while it is loaded says so in its own way.
        if not isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise
        sys.exit(INTERRUPTED)


def log_to_stderr(program: str, quiet: bool) -> None:
    """Show what the library logs, a line each."""
    import logging  # takes as long to import as the command itself

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{program}: %(message)s"))
    log = logging.getLogger("seq2seq")
    log.handlers = [handler]
    log.setLevel(logging.CRITICAL if quiet else logging.INFO)


def _tell(message: str) -> None:
    with suppress(OSError):  # where stderr is full itself
        print(message, file=sys.stderr, flush=True)


def _give_up_output() -> None:
    """Python flushes stdout once more as it ends, and that must not fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(code: int = 0) -> NoReturn:
    """End a process that has written all it had to, at once.

    Taking Python and ONNX Runtime apart would take longer than to translate a sentence.
    """
    os._exit(code)
