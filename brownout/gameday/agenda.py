"""The next dates of several plans together, and what speaks against each of them."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from brownout.errors import InvalidInput
from brownout.gameday.blackouts import closures
from brownout.gameday.facts import target_of
from brownout.gameday.plan import GameDay
from brownout.gameday.schedule import occurrences

_HORIZON = timedelta(days=3653)


@dataclass(frozen=True, slots=True)
class Date:
    """One date of one plan."""

    plan: GameDay
    start: datetime
    end: datetime
    """Of the window."""
    blackouts: tuple[str, ...]
    conflicts: tuple[str, ...]
    """Other plans that are due on the same target while this window is open."""

    @property
    def stands(self) -> bool:
        """Whether the drill may be, as far as the calendar knows."""
        return not self.blackouts


def agenda(plans: Sequence[GameDay], after: datetime, *, count: int) -> Sequence[Date]:
    """The next `count` dates after a moment, in order.

    Raises:
        InvalidInput: an experiment or a calendar file cannot be read, or two plans have one name.
        EnvironmentProblem: the extra is not installed.
    """
    for name, again in Counter(plan.name for plan in plans).items():
        if again > 1:
            msg = f"{again} of these plans are called {name!r}: the journal would not tell one from the other"
            raise InvalidInput(msg)
    targets = {plan.name: target_of(plan) for plan in plans}
    merged = heapq.merge(*(_dates(plan, after) for plan in plans), key=lambda one: one[:2])
    found = [one for one, _ in zip(merged, range(count), strict=False)]
    return [
        Date(
            plan,
            start,
            end,
            tuple(one.why for one in closures(plan.blackouts, start, end, zone=plan.schedule.zone)),
            tuple(
                other
                for begins, other, ends, _ in found
                if other != name and targets[other] == targets[name] and begins < end and start < ends
            ),
        )
        for start, name, end, plan in found
    ]


def _dates(plan: GameDay, after: datetime) -> Iterator[tuple[datetime, str, datetime, GameDay]]:
    for one in occurrences(plan.schedule, after, before=after + _HORIZON):
        yield one.start, plan.name, one.end, plan
