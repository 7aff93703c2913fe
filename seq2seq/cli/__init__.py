"""The commands `translate` and `seq2seq`: they parse, call and print."""

import sys
from types import TracebackType


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


# Keep Ctrl-C quiet while a command is still being imported; later `reported_errors` handles it.
if sys.excepthook is sys.__excepthook__:
    sys.excepthook = _report
