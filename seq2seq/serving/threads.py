"""Work that may take long, so that the event loop goes on meanwhile."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from anyio import to_thread

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


async def in_thread(
    work: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Result:
    """What `work` returns. Who waits for it and is cancelled is free at once; it ends unheard.

    Unlike a thread of `asyncio.to_thread` it does not keep a server that stops waiting either.
    """
    return await to_thread.run_sync(lambda: work(*arguments, **named), abandon_on_cancel=True)
