"""How a command ends: one sentence on stderr and an exit code; a traceback means a fault of ours.

Exit codes: 0 done, 1 failure, 2 wrong usage, 130 Ctrl-C, 141 nobody reads the output any more.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from seq2seq.errors import Seq2SeqError

_INTERRUPTED = 130  # 128 + SIGINT, as a shell counts
_BROKEN_PIPE = 141  # 128 + SIGPIPE


@contextmanager
def reported_errors(program: str) -> Iterator[None]:
    """Around an app, or as the decorator of a command: errors end the process as told above."""
    try:
        yield
    except Seq2SeqError as error:
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # As in `translate -i book.txt | head -1`. Python flushes stdout once more as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{program}: {where}{error.strerror or error}.", file=sys.stderr)
        sys.exit(1)
