"""What a user can act on: one sentence, an exit code, no traceback."""


class Seq2SeqError(Exception):
    """A failure whose text is one clear sentence: what is wrong, where, and what to do."""

    exit_code = 1


class UsageError(Seq2SeqError):
    """The command line or the recipe is wrong, before any work was done."""

    exit_code = 2
