"""Errors that a user can act on: one sentence, an exit code, no traceback."""


class Seq2SeqError(Exception):
    """An error that a user can act on. Its message says what is wrong, where, and what to do."""

    exit_code = 1


class UsageError(Seq2SeqError):
    """An error in the command line, a recipe or an argument, raised before any work is done."""

    exit_code = 2


def require_extra(module: str, what: str, extra: str) -> None:
    """Raise `Seq2SeqError` if `module`, which `what` needs, is not installed.

    `extra` is the optional dependency group that installs it.
    """
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise Seq2SeqError(f"{what} needs {module}: pip install 'seq2seq[{extra}]'")
