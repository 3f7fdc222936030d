"""Which of the requests that a failure could befall it does befall."""

from dataclasses import dataclass

from brownout.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """All of them, unless something is said; with several things said, those that all of them select.

    Raises:
        InvalidInput: a value that makes no sense.
    """

    first: int | None = None
    """The first so many only."""
    every: int | None = None
    """Every second, third, ... only: with 3 the third, the sixth, ..."""
    share: float | None = None
    """That share of them, above 0 and up to 1, at random."""

    def __post_init__(self) -> None:
        if self.first is not None and self.first < 1:
            raise InvalidInput(f"first must be at least 1, not {self.first}")
        if self.every is not None and self.every < 1:
            raise InvalidInput(f"every must be at least 1, not {self.every}")
        if self.share is not None and not 0 < self.share <= 1:
            raise InvalidInput(f"share must be above 0 and at most 1, not {self.share}")

    def takes(self, number: int, draw: float) -> bool:
        """Whether the request of that number, counted from 1, is one. `draw`: drawn for it evenly from [0, 1)."""
        lucky = self.share is None or draw < self.share
        in_time = self.first is None or number <= self.first
        return lucky and in_time and (self.every is None or number % self.every == 0)
