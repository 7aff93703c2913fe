"""How a command ends: one sentence on stderr and an exit code; a traceback means a fault of ours.

Exit codes: 0 done, 1 failure, 2 wrong usage, 130 Ctrl-C, 141 nobody reads the output any more.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from seq2seq.errors import Seq2SeqError

_INTERRUPTED = 130  # 128 + SIGINT, as a shell counts
_BROKEN_PIPE = 141  # 128 + SIGPIPE


@contextmanager
def reported_errors(program: str) -> Iterator[None]:
    """Around a command: errors end the process as told above."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk or a lost reader can still be told
    except Seq2SeqError as error:
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:  # as in `translate -i book.txt | head -1`
        _give_up_output()
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{program}: {where}{error.strerror or error}.", file=sys.stderr)
        _give_up_output()
        sys.exit(1)


def _give_up_output() -> None:
    """Python flushes stdout once more as it ends, and that must not fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave() -> NoReturn:
    """End a process that has written all it had to, at once.

    Taking Python and ONNX Runtime apart would take longer than to translate a sentence.
    """
    os._exit(0)
