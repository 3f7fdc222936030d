"""Who holds the abort in the control room, and whether they are still there.

A holder is a person and a page. The page is heard of every few seconds; where it is not for 15 s, nobody is there who
could abort, and the drill ends by itself. Nothing here reads a clock: it is told how much time has passed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from brownout.errors import InvalidInput

BEAT_EVERY = 3.0
"""Seconds between two beats of a page: four may be lost."""
PATIENCE = 15.0
"""Seconds without one after which the holder is lost."""
LONGEST_LOOK = 1.0
"""Seconds that count at most between two looks. Where this machine slept or was too busy to listen, beats may lie in
wait: that is no silence of the holder's."""


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds the abort."""

    who: str
    page: str = ""
    offered: str | None = None
    """Whom they want to hand it over to; they hold it until it is taken."""


class Heartbeat:
    """Of one drill."""

    def __init__(self, may: Sequence[str], *, patience: float = PATIENCE) -> None:
        """
        Args:
            may: who may hold the abort, by name.
            patience: seconds of silence after which the holder is lost.
        """
        self.may = tuple(may)
        self.patience = patience
        self.held: Held | None = None
        """None until somebody has taken it; then there is always one, if only one that was lost."""
        self.silence = 0.0
        """Seconds since the holder's page was last heard of."""

    def take(self, who: str, page: str) -> None:
        """From now on this page is the holder's. Whoever holds it already may do so with another page.

        Raises:
            InvalidInput: they may not, or somebody else holds it and has not offered it to them.
        """
        if who not in self.may:
            msg = f"the plan does not let {who!r} hold the abort"
            raise InvalidInput(msg, value=who, allowed=self.may)
        if self.held is not None and who not in (self.held.who, self.held.offered):
            msg = f"{self.held.who} holds the abort, and has to hand it over first"
            raise InvalidInput(msg)
        self.held, self.silence = Held(who, page), 0.0

    def offer(self, page: str, to: str) -> None:
        """Hand it over: `to` may take it now.

        Raises:
            InvalidInput: the page is not the holder's, or `to` may not hold it.
        """
        if self.held is None or page != self.held.page:
            msg = "only who holds the abort can hand it over"
            raise InvalidInput(msg)
        if to not in self.may or to == self.held.who:
            msg = f"the abort cannot be handed over to {to!r}"
            raise InvalidInput(msg, value=to, allowed=[one for one in self.may if one != self.held.who])
        self.held = Held(self.held.who, page, to)

    def beat(self, page: str) -> bool:
        """A page was heard of; whether it is the holder's: no other one counts."""
        if self.held is None or page != self.held.page:
            return False
        self.silence = 0.0
        return True

    def pass_(self, seconds: float) -> str | None:
        """Time has passed since the last look; why the drill must end, or None."""
        if self.held is None:
            return None
        self.silence += min(seconds, LONGEST_LOOK)
        if self.silence < self.patience:
            return None
        return f"{self.held.who}, who holds the abort, was not heard of for {self.patience:g} s"
