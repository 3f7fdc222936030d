"""What became of the documents that were stored while the run lasted."""

from collections.abc import Sequence
from dataclasses import dataclass

from brownout.evidence.model import FaultSpan, Write
from brownout.report.figures import AFTER, BEFORE, BROKEN, WHOLE, merged

MOST = 10
"""Documents that are told of one by one."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The documents that were meant to be stored in one part of the run."""

    part: str
    asked: int
    acknowledged: int
    refused: int
    unknown: int
    """The client gave up, or the run ended first."""
    once: int
    """Of those acknowledged: how many the system held exactly once at the end."""
    lost: int
    repeated: int
    uncounted: int


@dataclass(frozen=True, slots=True)
class Written:
    """All of them, part by part, and those that are not as they should be, the earliest first."""

    parts: tuple[Stored, ...]
    wrong: tuple[Write, ...]
    """Acknowledged and not held exactly once."""

    @property
    def told(self) -> tuple[Write, ...]:
        return self.wrong[:MOST]


def written(writes: Sequence[Write], faults: Sequence[FaultSpan], *, end: float) -> Written | None:
    """Sum them up; None where nothing was written. `end` is the run's, in its seconds."""
    if not writes:
        return None
    spans = merged(faults, end=end)
    groups: dict[str, list[Write]] = {}
    for write in writes:
        groups.setdefault(_part(write.intended, spans), []).append(write)
    ordered = [name for name in (WHOLE, BEFORE, BROKEN, AFTER) if name in groups]
    wrong = sorted((one for one in writes if _kept(one) and one.copies not in (None, 1)), key=lambda one: one.intended)
    return Written(tuple(_stored(name, groups[name]) for name in ordered), tuple(wrong))


def _part(at: float, spans: Sequence[tuple[float, float]]) -> str:
    """Between two faults as while broken, as the checks have it."""
    if not spans:
        return WHOLE
    return BEFORE if at < spans[0][0] else BROKEN if at < spans[-1][1] else AFTER


def _stored(part: str, writes: Sequence[Write]) -> Stored:
    copies = [one.copies for one in writes if _kept(one)]
    refused = sum(one.outcome == "refused" for one in writes)
    return Stored(
        part=part,
        asked=len(writes),
        acknowledged=len(copies),
        refused=refused,
        unknown=len(writes) - len(copies) - refused,
        once=copies.count(1),
        lost=copies.count(0),
        repeated=sum(one is not None and one > 1 for one in copies),
        uncounted=copies.count(None),
    )


def _kept(write: Write) -> bool:
    """Whether the system is held to it."""
    return write.outcome == "acknowledged"
