"""Breakers: a state throughout, or a state come to in time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Transition, Window
from brownout.probes.breaker import breaker
from brownout.units import Duration
from tests.evidence.making import window

STATES = ("closed", "open", "half-open")
FIRST = Transition(0.0, "vector-db", None, "closed", "first seen")


def changes(*moments: tuple[float, str], first: Transition | None = FIRST) -> list[Transition]:
    """A consistent history: each transition starts where the last one ended."""
    history = [] if first is None else [first]
    for at, new in moments:
        history.append(Transition(at, "vector-db", history[-1].new if history else "closed", new, "5 failures"))
    return history


def during(history: list[Transition], *, start: float = 10.0, end: float = 30.0) -> Window:
    return window(start=start, end=end, history=[each for each in history if each.at < end])


@st.composite
def histories(draw: st.DrawFn) -> list[Transition]:
    moments = sorted(draw(st.lists(st.integers(1, 35).map(float), unique=True, max_size=8)))
    state, found = "closed", []
    for at in moments:
        state = draw(st.sampled_from([other for other in STATES if other != state]))
        found.append((at, state))
    return changes(*found)


def state_at(history: list[Transition], moment: float) -> str:
    return [each.new for each in history if each.at <= moment][-1]


@given(histories(), st.sampled_from(STATES))
def test_a_state_holds_throughout_where_it_holds_at_every_moment(history: list[Transition], state: Any) -> None:
    moments = [10.0 + n / 2 for n in range(40)]
    expected = all(state_at(history, moment) == state for moment in moments)
    assert breaker(during(history), dependency="vector-db", state=state).outcome == ("passed" if expected else "failed")


@given(histories(), st.sampled_from(STATES), st.sampled_from([3.0, 8.0, 20.0, 25.0]))
def test_it_becomes_where_some_moment_in_time_has_that_state(
    history: list[Transition], becomes: Any, within: Any
) -> None:
    outcome = breaker(during(history), dependency="vector-db", becomes=becomes, within=within).outcome
    moments = [10.0 + n / 2 for n in range(40)]
    had = [moment - 10.0 for moment in moments if state_at(history, moment) == becomes]
    if state_at(history, 10.0) == becomes and becomes != "closed":
        assert outcome == "inconclusive"
        return
    if state_at(history, 10.0) == becomes:
        # Already there: it must stay until `within`, or come back by then.
        left = [moment - 10.0 for moment in moments if state_at(history, moment) != becomes]
        if left and left[0] <= within:
            had = [after for after in had if after > left[0]]
    if had and had[0] <= within:
        assert outcome == "passed"
    else:
        assert outcome == ("failed" if had or within <= 20.0 else "inconclusive")


def test_a_breaker_that_opens_in_time_passes_and_says_when() -> None:
    verdict = breaker(during(changes((11.4, "open"))), dependency="vector-db", becomes="open", within=Duration(5.0))
    assert (verdict.outcome, verdict.figure, verdict.threshold) == ("passed", "opened after 1.4 s", "opened within 5 s")
    assert (verdict.limit, verdict.unit, verdict.why) == (5.0, "s", "5 failures")
    assert verdict.value == pytest.approx(1.4)


def test_a_breaker_that_opens_late_fails_and_says_when() -> None:
    verdict = breaker(during(changes((17.2, "open"))), dependency="vector-db", becomes="open", within=Duration(5.0))
    assert (verdict.outcome, verdict.figure) == ("failed", "opened after 7.2 s")


def test_a_breaker_that_never_opens_fails() -> None:
    verdict = breaker(during(changes()), dependency="vector-db", becomes="open", within=Duration(5.0))
    assert (verdict.outcome, verdict.figure) == ("failed", "closed after 20 s")


def test_a_breaker_that_was_open_before_the_fault_proves_nothing() -> None:
    verdict = breaker(during(changes((3.0, "open"))), dependency="vector-db", becomes="open", within=Duration(5.0))
    assert verdict.outcome == "inconclusive"
    assert "before the window began" in verdict.why


def test_a_breaker_that_is_closed_and_stays_so_has_closed() -> None:
    verdict = breaker(during(changes()), dependency="vector-db", becomes="closed", within=Duration(5.0))
    assert (verdict.outcome, verdict.figure) == ("passed", "closed from the start")


def test_a_closed_breaker_that_opens_again_must_close_again_in_time() -> None:
    history = changes((12.0, "open"), (18.0, "closed"))
    assert breaker(during(history), dependency="vector-db", becomes="closed", within=Duration(5.0)).outcome == "failed"
    verdict = breaker(during(history), dependency="vector-db", becomes="closed", within=Duration(10.0))
    assert (verdict.outcome, verdict.figure) == ("passed", "closed after 8 s")


def test_a_window_too_short_to_wait_for_it_is_inconclusive() -> None:
    verdict = breaker(during(changes(), end=13.0), dependency="vector-db", becomes="open", within=Duration(5.0))
    assert verdict.outcome == "inconclusive"


def test_a_breaker_that_was_never_seen_is_inconclusive_and_names_those_seen() -> None:
    history = [Transition(0.0, name, None, "closed") for name in ("vector-db", "cache")]
    verdict = breaker(during(history), dependency="vectordb", state="closed")
    assert verdict.outcome == "inconclusive"
    assert verdict.why == "no breaker of vectordb was seen; those seen: cache, vector-db"


def test_a_breaker_first_seen_by_its_transition_was_in_the_state_that_it_left() -> None:
    history = changes((12.0, "open"), first=None)
    assert breaker(during(history), dependency="vector-db", becomes="open", within=Duration(5.0)).outcome == "passed"
    assert breaker(during(history), dependency="vector-db", state="open").outcome == "failed"


def test_a_breaker_first_seen_open_may_have_been_open_before() -> None:
    history = [Transition(12.0, "vector-db", None, "open")]
    assert (
        breaker(during(history), dependency="vector-db", becomes="open", within=Duration(5.0)).outcome == "inconclusive"
    )


def test_another_dependencys_breaker_does_not_count() -> None:
    history = [*changes(), Transition(0.0, "cache", None, "closed"), Transition(11.0, "cache", "closed", "open")]
    assert breaker(during(history), dependency="vector-db", becomes="open", within=Duration(5.0)).outcome == "failed"
    assert breaker(during(history), dependency="vector-db", state="closed").outcome == "passed"


def test_an_empty_window_is_inconclusive_even_where_the_state_is_known() -> None:
    assert breaker(during(changes(), end=10.0), dependency="vector-db", state="closed").outcome == "inconclusive"


# -- rules -------------------------------------------------------------------------------------------------------------


@given(histories(), st.sampled_from(STATES))
def test_it_stays_where_every_moment_after_the_first_in_that_state_has_it(
    history: list[Transition], stays: Any
) -> None:
    states = [state_at(history, 10.0 + n / 2) for n in range(40)]
    expected = stays in states and set(states[states.index(stays) :]) == {stays}
    assert breaker(during(history), dependency="vector-db", stays=stays).outcome == ("passed" if expected else "failed")


def test_a_breaker_that_comes_back_and_stays_has_stayed() -> None:
    history = changes((5.0, "open"), (18.0, "half-open"), (19.0, "closed"))
    verdict = breaker(during(history), dependency="vector-db", stays="closed")
    assert (verdict.outcome, verdict.figure) == ("passed", "closed after 9 s, and stayed so")
    again = changes((5.0, "open"), (19.0, "closed"), (25.0, "open"))
    assert breaker(during(again), dependency="vector-db", stays="closed").figure == "opened after 15 s"
    assert breaker(during(changes()), dependency="vector-db", stays="closed").figure == "closed throughout"


@given(histories())
def test_it_flaps_where_it_is_open_closed_and_open_again(history: list[Transition]) -> None:
    verdict = breaker(during(history), dependency="vector-db", never_flaps=True)
    seen = "".join(each.new[0] for each in history if 10 < each.at < 30 and each.new != "half-open")
    assert verdict.value == seen.replace("cc", "c").count("co")
    assert verdict.outcome == ("failed" if "co" in seen else "passed")


def test_a_failed_probe_is_no_flap() -> None:
    history = changes((11.0, "open"), (15.0, "half-open"), (15.5, "open"), (20.0, "half-open"), (21.0, "closed"))
    assert breaker(during(history), dependency="vector-db", never_flaps=True).outcome == "passed"
    assert breaker(during(history), dependency="vector-db", disciplined=True).outcome == "passed"


@given(histories())
def test_discipline_is_that_of_the_state_machine(history: list[Transition]) -> None:
    verdict = breaker(during(history), dependency="vector-db", disciplined=True)
    steps = [(str(each.old), each.new) for each in history if 10 < each.at < 30]
    allowed = {("closed", "open"), ("open", "half-open"), ("half-open", "closed"), ("half-open", "open")}
    if not all(step in allowed for step in steps):
        assert verdict.outcome == "failed"
    elif any(new == "half-open" for _, new in steps):
        assert verdict.outcome == "passed"
    else:
        assert verdict.outcome == "inconclusive"


def test_a_breaker_that_closes_without_a_probe_has_no_discipline() -> None:
    verdict = breaker(during(changes((11.0, "open"), (15.0, "closed"))), dependency="vector-db", disciplined=True)
    assert (verdict.outcome, verdict.figure) == ("failed", "from open to closed after 5 s")


def test_the_stretch_open_may_have_begun_before_the_window() -> None:
    history = changes((7.0, "open"), (13.0, "half-open"), (13.2, "open"), (18.0, "half-open"), (18.1, "closed"))
    early = breaker(during(history), dependency="vector-db", disciplined=True, open_at_least=Duration(5.0))
    assert (early.outcome, early.figure) == ("failed", "open for 4.8 s at least")
    fair = breaker(during(history), dependency="vector-db", disciplined=True, open_at_least=Duration(4.0))
    assert (fair.outcome, fair.limit) == ("passed", 4.0)


def test_a_transition_that_nobody_recorded_leaves_its_discipline_open() -> None:
    history = [*changes((11.0, "open")), Transition(15.0, "vector-db", "half-open", "closed")]
    verdict = breaker(during(history), dependency="vector-db", disciplined=True)
    assert (verdict.outcome, verdict.why) == (
        "inconclusive",
        "between open and half-open a transition was not recorded",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"state": "open", "becomes": "open"},
        {"state": "open", "within": 5.0},
        {"becomes": "open", "within": 0.0},
        {"stays": "open", "never_flaps": True},
        {"stays": "open", "open_at_least": 1.0},
        {"disciplined": True, "open_at_least": 0.0},
    ],
)
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"exactly one|goes with"):
        breaker(window(end=0.0), dependency="vector-db", **arguments)
