"""Disclosure: what is degraded must say so, and what contradicts itself is the worst."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Request, Transition, Window
from brownout.probes.disclosed import disclosed
from brownout.units import Share
from tests.evidence.making import evenly, request, window
from tests.probes.windows import MOMENTS, never_better_for_a_bad_one, windows

SHARES = st.sampled_from([0.5, 0.9, 1.0]).map(Share)
SAYING: dict[str, Any] = {
    "level": 1,
    "retrieval": "cached",
    "retrieval_quality": "medium",
    "warnings": ("from the cache",),
}


@given(windows(), SHARES)
def test_it_is_the_share_of_degraded_answers_with_a_level_and_a_warning(given: Window, share: Share) -> None:
    verdict = disclosed(given, share=share)
    # These windows' level 0 answers are all fresh, so a level and its warnings are all there is.
    degraded = [each for each in given.requests if each.outcome == "ok" and each.level != 0]
    saying = [each for each in degraded if each.level is not None and each.warnings]
    if not degraded or (len(degraded) < 20 and not (share == Share(1.0) and len(saying) < len(degraded))):
        assert verdict.outcome == "inconclusive"
        return
    assert verdict.outcome == ("passed" if len(saying) / len(degraded) >= share else "failed")
    assert verdict.samples == len(degraded)


SILENT: list[tuple[str, dict[str, Any]]] = [
    ("named no level", {"level": None}),
    ("had a level above 0 and no warning", {"level": 2}),
    ("claimed level 0 and named no retrieval", {"retrieval": None}),
    ("claimed level 0 with 'keyword' retrieval", {"retrieval": "keyword"}),
    ("claimed level 0 with 'cached' retrieval", {"retrieval": "cached"}),
    ("claimed level 0 with retrieval quality 'low'", {"retrieval_quality": "low"}),
    ("claimed level 0 with retrieval quality 'none'", {"retrieval_quality": "none"}),
    ("claimed level 0 without a call to vector-db", {"attempts": {"llm-primary": 1}}),
]


@pytest.mark.parametrize(("why", "changes"), SILENT)
def test_an_answer_that_hides_its_degradation_is_found(why: str, changes: dict[str, Any]) -> None:
    attempts: dict[str, Any] = {"attempts": {"vector-db": 1, "llm-primary": 1}}
    honest = evenly(40, **SAYING, **attempts)
    verdict = disclosed(window([*honest, request(99, 5.0, **(attempts | changes))]))
    assert (verdict.outcome, verdict.why) == ("failed", f"1 answer {why}")
    assert disclosed(window(honest)).outcome == "passed"


@given(windows(), MOMENTS, st.sampled_from([changes for _, changes in SILENT]), SHARES)
def test_a_silent_answer_never_makes_it_pass(given: Window, at: float, changes: dict[str, Any], share: Share) -> None:
    never_better_for_a_bad_one(disclosed, given, request(999, at, **changes), share=share)


def partition(requests: list[Request]) -> Window:
    return window(
        requests, history=[Transition(0.0, "vector-db", None, "closed"), Transition(2.0, "vector-db", "closed", "open")]
    )


def test_a_stack_that_claims_level_0_throughout_a_partition_is_found_out_by_its_own_attempts() -> None:
    before = evenly(20, end=2.0, attempts={"vector-db": 1, "llm-primary": 1})
    silent = [request(100 + n, 2.0 + n / 20, attempts={"llm-primary": 1}) for n in range(100)]
    verdict = disclosed(partition([*before, *silent]))
    assert (verdict.outcome, verdict.why) == ("failed", "100 answers claimed level 0 without a call to vector-db")


def test_a_stack_that_claims_level_0_while_its_breaker_is_open_is_found_out_without_attempts() -> None:
    verdict = disclosed(partition(evenly(100, total=0.05)))
    # Those of the first two seconds may have been answered before it opened.
    assert (verdict.outcome, verdict.why) == (
        "failed",
        "80 answers claimed level 0 while the breaker of vector-db was open",
    )


def test_an_answer_that_a_breaker_opened_on_is_not_accused() -> None:
    requests = [*evenly(30, **SAYING), request(99, 1.9, total=5.0)]
    assert disclosed(partition(requests)).outcome == "passed"


def test_a_stack_that_does_not_count_such_calls_is_not_accused_of_making_none() -> None:
    requests = [*evenly(30, **SAYING), *evenly(30, attempts={"llm-primary": 1})]
    assert disclosed(window(requests)).outcome == "passed"


def test_calls_that_the_steady_state_counted_and_nobody_makes_any_more_are_missed() -> None:
    before = window(evenly(100, attempts={"vector-db": 1, "llm-primary": 1}))
    silent = window(
        [*evenly(30, **SAYING, attempts={"llm-primary": 1}), *evenly(100, attempts={"llm-primary": 1})], baseline=before
    )
    verdict = disclosed(silent)
    assert (verdict.outcome, verdict.why) == ("failed", "100 answers claimed level 0 without a call to vector-db")


def test_another_stacks_name_for_its_store_can_be_given() -> None:
    fresh = evenly(30, attempts={"qdrant": 1})
    silent = evenly(30, attempts={"llm": 1})
    assert disclosed(window([*fresh, *silent]), store="qdrant").outcome == "failed"
    assert disclosed(window([*fresh, *silent])).outcome == "inconclusive"


def test_where_nothing_was_degraded_nothing_had_to_be_disclosed() -> None:
    verdict = disclosed(window(evenly(100)))
    assert verdict.outcome == "inconclusive"
    assert verdict.why == "nothing was degraded, so nothing had to be disclosed"


def test_a_stack_that_states_no_retrieval_at_all_is_not_accused_for_it() -> None:
    requests = [*evenly(30, level=1, retrieval=None, warnings=("cached",)), *evenly(30, retrieval=None)]
    assert disclosed(window(requests)).outcome == "passed"


def test_few_degraded_answers_that_all_say_so_are_too_few_to_tell() -> None:
    assert disclosed(window(evenly(19, **SAYING))).outcome == "inconclusive"


def test_an_empty_window_is_inconclusive_and_a_share_of_nothing_is_refused() -> None:
    assert disclosed(window()).outcome == "inconclusive"
    with pytest.raises(ValueError, match="above 0%"):
        disclosed(window(), share=Share(0.0))
