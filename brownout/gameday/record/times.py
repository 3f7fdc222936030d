"""What the record shows of how fast a failure was detected and mitigated, and how that stands to the plan's goals."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes


class Noticed(Protocol):
    """That a failure was detected or mitigated."""

    @property
    def source(self) -> str:
        """`alert`, `person`; or `system`, where its service levels held again while the fault was on."""

    @property
    def after(self) -> float:
        """Since the fault."""


class Times(Protocol):
    """Of one experiment of a drill; None is what was not measured. Spans in seconds."""

    @property
    def step(self) -> int:
        """Its number in the drill."""

    @property
    def ttd(self) -> float | None:
        """From the fault to its detection."""

    @property
    def ttm(self) -> float | None:
        """From the fault to its mitigation."""

    @property
    def mitigated_by(self) -> Noticed | None:
        """What or who was first."""

    @property
    def recovery(self) -> float | None:
        """From the heal to the moment from which all was well."""

    @property
    def by_itself(self) -> bool | None:
        """Whether it recovered without a person."""


Measure = Callable[[Journal, Minutes, str], Sequence[Times]]
"""Gives the times of a drill, by its name, where they were measured."""


def unmeasured(_journal: Journal, _minutes: Minutes, _drill: str) -> Sequence[Times]:
    """Nothing was."""
    return ()


USUAL: Measure = unmeasured
"""How a drill's times are measured unless somebody says otherwise."""


def against(figure: float | None, goal: float) -> Literal["met", "missed", "not measured"]:
    """What came of a goal; never met without a figure."""
    if figure is None:
        return "not measured"
    return "met" if figure <= goal else "missed"
