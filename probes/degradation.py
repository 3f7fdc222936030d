"""From which rung of the degradation ladder the answers came."""

from typing import Unpack

from brownout.evidence import Window
from brownout.probe import Verdict, probe
from brownout.units import Duration, Share, format_seconds

from ._counting import answers, check_share
from ._settling import judge_settling
from ._whose import Whose, chosen

NEARLY_ALL = Share(0.99)


@probe
def degradation(
    window: Window,
    *,
    level: int | None = None,
    at_least: int | None = None,
    share: Share = NEARLY_ALL,
    within: Duration | None = None,
    **whose: Unpack[Whose],
) -> Verdict:
    """The share of answers that say they came from a level; an answer that names none counts against it.

    Requests without an answer are `availability`'s business and count nowhere here.

    Args:
        level: answers of exactly this level count.
        at_least: answers of this level or a higher (worse) one count. State exactly one of the two.
        share: how many must.
        within: the share need not hold from the start, but from some moment no later than this until the window's end.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    if (level is None) == (at_least is None):
        msg = "degradation needs exactly one of level and at-least"
        raise ValueError(msg)
    if (level or at_least or 0) < 0:
        msg = "a degradation level is 0 or above"
        raise ValueError(msg)
    check_share("share", share)
    if within is not None and within <= 0:
        msg = "within must be above 0"
        raise ValueError(msg)
    given = answers(window)
    levels = given.level
    if at_least is None:
        fits = [one == level for one in levels]
    else:
        fits = [one is not None and one >= at_least for one in levels]

    def last(number: int) -> str:
        said = "naming no level" if levels[number] is None else f"of level {levels[number]}"
        return f"last answer {said} at {format_seconds(given[number].intended - window.start)}"

    return judge_settling(
        window,
        given.intended,
        fits,
        share=share,
        within=within,
        what="answers",
        fitting=f"at level {level}" if level is not None else f"at level {at_least} or above",
        last=last,
    )
