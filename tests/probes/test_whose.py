"""Checks of one tier's requests, or of one stream's: as if the others were not there."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout import registry
from brownout.evidence import Recording, Request, Window
from brownout.parameters import parameters_of
from brownout.probe import Verdict
from brownout.probes.availability import availability
from brownout.probes.compare import compare
from brownout.probes.shed import shed
from brownout.system import LoadName, TierName
from brownout.units import Share
from tests.evidence.making import evenly, window
from tests.probes.test_every_probe import SENSIBLE
from tests.probes.windows import windows

FREE, SPIKE = TierName("free"), LoadName("spike")
JUDGING_REQUESTS = [
    *("availability", "compare", "cost", "degradation", "disclosed", "error_rate", "goodput", "quality", "recovered"),
    *("slo", "staleness", "total", "tpot", "ttft"),
]


def only(window: Window, wanted: Callable[[Request], bool]) -> Window:
    kept = window.requests.where([wanted(each) for each in window.requests])
    return replace(window, requests=kept)


@pytest.mark.parametrize("name", JUDGING_REQUESTS)
@given(given=windows(), marks=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=60, max_size=60))
def test_a_check_of_one_tier_or_stream_judges_their_requests_alone(
    name: str, given: Window, marks: Sequence[tuple[bool, bool]]
) -> None:
    marked = window(
        replace(each, tier="free" if free else "pro", load="spike" if spike else None)
        for each, (free, spike) in zip(given.requests, marks, strict=False)
    )
    probe: Callable[..., Verdict] = registry.probes().get(name)
    arguments: dict[str, Any] = SENSIBLE[name]

    free = only(marked, lambda each: each.tier == "free")
    spike = only(marked, lambda each: each.load == "spike")
    assert probe(marked, **arguments, tier=FREE) == probe(free, **arguments)
    assert probe(marked, **arguments, load=SPIKE) == probe(spike, **arguments)
    assert probe(marked, **arguments, tier=FREE, load=SPIKE) == probe(
        only(free, lambda each: each.load == "spike"), **arguments
    )


def test_every_probe_that_takes_a_tier_takes_a_stream_as_well() -> None:
    taking = {
        name: {one.name for one in parameters_of(registry.probes().get(name)) if one.type in (TierName, LoadName)}
        for name in registry.probes().names()
    }
    judging = {name: found for name, found in taking.items() if found}
    assert judging.keys() == {*JUDGING_REQUESTS, "shed"}
    assert all(found == {"tier", "load"} for found in judging.values())


def test_a_tier_is_compared_with_itself_before_the_fault() -> None:
    before = window([*evenly(100, tier="free", ttft=1.0), *evenly(100, tier="pro", ttft=0.1)])
    now = replace(window([*evenly(100, tier="free", ttft=1.0), *evenly(100, tier="pro", ttft=0.3)]), baseline=before)

    assert compare(now, measure="ttft", p95=1.5, tier=FREE).outcome == "passed"
    assert compare(now, measure="ttft", p95=1.5, tier=TierName("pro")).value == pytest.approx(3.0)


def test_shedding_is_that_of_the_stream_where_one_is_named() -> None:
    spike = evenly(30, tier="free", status=429, outcome="error", load="spike")
    quiet = evenly(30, tier="free", load="quiet")

    assert shed(window([*spike, *quiet]), tier=FREE, at_least=Share(0.9), load=SPIKE).outcome == "passed"
    assert shed(window([*spike, *quiet]), tier=FREE, at_least=Share(0.9)).outcome == "failed"


def test_shedding_that_does_not_say_when_to_come_back_is_none_where_that_is_asked_for() -> None:
    told = evenly(15, tier="free", status=429, outcome="error", retry_after=30.0)
    silent = evenly(15, tier="free", status=429, outcome="error")

    assert shed(window([*told, *silent]), tier=FREE, at_least=Share(0.9)).value == 1.0
    assert shed(window([*told, *silent]), tier=FREE, at_least=Share(0.9), retry_after=True).value == 0.5


def test_a_request_that_waits_counts_for_its_tier_and_its_stream_while_it_waits() -> None:
    recording = Recording()
    for number in range(40):
        spike = number % 2 == 0
        recording.request_started(number, 0.0, tier="free" if spike else "pro", load="spike" if spike else None)
    live = recording.live_window(10.0, 5.0)

    assert availability(live, below=Share(0.5), tier=FREE).samples == 20
    assert availability(live, below=Share(0.5), load=SPIKE).outcome == "passed"
    assert availability(live, below=Share(0.5), tier=TierName("enterprise")).outcome == "inconclusive"
