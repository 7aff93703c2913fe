"""How a command ends: with one sentence on stderr and an exit code; a traceback is always a bug.

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 Ctrl-C, 141 the reader closed the output.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from seq2seq.errors import Seq2SeqError

INTERRUPTED = 130  # 128 + SIGINT, the exit code that a shell reports
_BROKEN_PIPE = 141  # 128 + SIGPIPE


@contextmanager
def reported_errors(program: str) -> Iterator[None]:
    """Report errors of a command on stderr, and end the process with one of the exit codes above.

    `program` begins each message.
    """
    if sys.stderr is None:  # closed: print(file=None) would write the messages to stdout
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, so that a full disk or a closed pipe is still reported
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
        # A compiled module that Ctrl-C interrupts while it loads may raise ImportError.
        if not isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise
        sys.exit(INTERRUPTED)


def log_to_stderr(program: str, quiet: bool) -> None:
    """Print the library's log messages on stderr, one per line; only critical ones if `quiet`."""
    import logging  # takes as long to import as the command itself

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{program}: %(message)s"))
    log = logging.getLogger("seq2seq")
    log.handlers = [handler]
    log.setLevel(logging.CRITICAL if quiet else logging.INFO)


def _tell(message: str) -> None:
    with suppress(OSError):  # stderr may be a full disk, too
        print(message, file=sys.stderr, flush=True)


def _give_up_output() -> None:
    """Discard further output, since Python flushes stdout again at exit, which would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(code: int = 0) -> NoReturn:
    """End the process at once, after all output is written.

    A normal exit of Python and ONNX Runtime would take longer than translating a sentence.
    """
    os._exit(code)
