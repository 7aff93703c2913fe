"""What one request may take, and how one that asks for more is refused."""

import asyncio
from dataclasses import dataclass

from starlette.requests import Request


@dataclass(frozen=True)
class Limits:
    """The bounds of a server; they hold for each request unless they say otherwise."""

    characters: int = 50_000  # of all texts together
    texts: int = 1_000  # in a list
    body_bytes: int = 1 << 20
    read_seconds: float = 10.0  # until the head of a request is here, and again for its body
    translate_seconds: float = 30.0
    waiting: int = 128  # requests whose texts nobody has begun to translate
    connections: int = 512


class RefusedError(Exception):
    """A request that is not answered: its status and one sentence."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after  # seconds


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body, never more of it in memory than allowed; raises `RefusedError`."""
    too_large = RefusedError(413, f"Invalid request: the body exceeds {limits.body_bytes} bytes")
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > limits.body_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.read_seconds):
            async for chunk in request.stream():  # of any size announced, or of none
                body += chunk
                if len(body) > limits.body_bytes:
                    raise too_large
    except TimeoutError:
        message = f"The body did not arrive within {limits.read_seconds:g} seconds"
        raise RefusedError(408, message) from None
    return bytes(body)
