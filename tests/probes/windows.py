"""Windows for probes, and the property that every one of them must have."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from brownout.evidence import Request, Window
from brownout.probe import Verdict
from tests.evidence.making import request, window

MOMENTS = st.integers(0, 79).map(lambda eighths: eighths / 8)
"""Within 10 s. Powers of two, as are the latencies, so that no sum or difference of them is rounded."""
LATENCIES = st.sampled_from([None, 0.125, 0.25, 0.5, 1.0])
LEVELS = st.sampled_from([None, 0, 0, 0, 1, 2])
OUTCOMES = st.sampled_from(["ok"] * 12 + ["error", "timeout", "cut", "refused", "pending"])


@st.composite
def windows(draw: st.DrawFn, most: int = 60) -> Window:
    """Up to `most` requests within 10 s, in which each of the things that probes look at varies."""
    return window(
        request(
            number,
            draw(MOMENTS),
            outcome=draw(OUTCOMES),
            ttft=draw(LATENCIES),
            total=draw(LATENCIES),
            level=draw(LEVELS),
            tpot=draw(LATENCIES),
            error_source=draw(st.sampled_from([None, "provider", "own_system", "rate_limit"])),
            warnings=draw(st.sampled_from([(), ("degraded",)])),
        )
        for number in range(draw(st.integers(0, most)))
    )


def never_better_for_a_bad_one(probe: Callable[..., Verdict], before: Window, bad: Request, **arguments: Any) -> None:
    """Adding a bad request may make a verdict worse or more certain, but never a pass out of a failure."""
    after = window([*before.requests, bad], start=before.start, end=before.end, history=before.history)
    if probe(before, **arguments).outcome == "failed":
        assert probe(after, **arguments).outcome == "failed"


def shifted(before: Window, by: float) -> Window:
    """The same window, later in the run."""

    def later(moment: float | None) -> float | None:
        return None if moment is None else moment + by

    moved = [
        replace(
            each,
            intended=each.intended + by,
            sent=each.sent + by,
            first_token=later(each.first_token),
            done=later(each.done),
        )
        for each in before.requests
    ]
    history = [replace(each, at=each.at + by) for each in before.history]
    return window(moved, start=before.start + by, end=before.end + by, history=history)
