"""The commands `translate` and `seq2seq`: they parse, call and print."""

import sys
from types import TracebackType


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


# For Ctrl-C while a command is still being imported; from then on `reported_errors` sees to it.
if sys.excepthook is sys.__excepthook__:
    sys.excepthook = _report
