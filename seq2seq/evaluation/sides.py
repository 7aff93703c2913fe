"""What comes twice, for A and for B, and numbers in classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

Side = Literal["a", "b"]


@dataclass(frozen=True)
class Both(Generic[T_co]):
    """The same of A and of B."""

    a: T_co
    b: T_co

    def each(self, function: Callable[[T_co], U]) -> "Both[U]":
        """What `function` makes of both."""
        return Both(function(self.a), function(self.b))


class Range(NamedTuple):
    """Whole numbers from `least` to `most`; None: and all above."""

    least: int
    most: int | None

    def __str__(self) -> str:
        if self.most is None:
            return f"{self.least}+"
        return f"{self.least}" if self.least == self.most else f"{self.least}-{self.most}"


def range_of(number: int, ranges: Sequence[Range]) -> Range:
    """The first of ascending `ranges` that reaches as far as `number`."""
    return next(one for one in ranges if one.most is None or number <= one.most)
