"""What answers cost, and whose requests are turned away."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.probes.cost import cost
from brownout.probes.shed import shed
from brownout.units import Share
from tests.evidence.making import evenly, request, window

COSTS = st.sampled_from([None, 0.0, 0.001, 0.004, 0.02])


@given(st.lists(COSTS, max_size=60), st.sampled_from([0.001, 0.005, 0.01]))
def test_it_is_the_mean_of_what_the_answers_say(said: list[float | None], most: float) -> None:
    verdict = cost(window(request(n, n / 10, cost=one) for n, one in enumerate(said)), at_most=most)
    known = [one for one in said if one is not None]
    if len(known) < 20:
        assert verdict.outcome == "inconclusive"
        return
    mean = sum(known) / len(said)
    if mean > most:
        assert verdict.outcome == "failed"
        assert verdict.value == pytest.approx(mean)
    else:
        assert verdict.outcome == ("passed" if len(known) == len(said) else "inconclusive")


@given(st.lists(COSTS, min_size=20, max_size=60))
def test_a_dear_or_silent_answer_never_makes_it_pass(said: list[float | None]) -> None:
    requests = [request(n, n / 10, cost=one) for n, one in enumerate(said)]
    if cost(window(requests), at_most=0.005).outcome == "failed":
        assert cost(window([*requests, request(99, 9.0, cost=1.0)]), at_most=0.005).outcome == "failed"
        assert cost(window([*requests, request(99, 9.0, cost=None)]), at_most=0.005).outcome != "passed"


def test_it_tells_the_sum_and_the_dearest() -> None:
    dear = request(99, 9.0, cost=0.101)
    verdict = cost(window([*evenly(99, cost=0.001), dear]), at_most=0.005)
    assert (verdict.outcome, verdict.figure) == ("passed", "$0.002 per answer")
    assert verdict.why == "$0.2 in all, $0.101 the dearest"


TIERS = st.lists(st.tuples(st.sampled_from(["free", "pro"]), st.sampled_from([200, 429, 503, None])), max_size=80)


@given(TIERS, st.sampled_from([0.1, 0.3, 0.5]).map(Share))
def test_the_share_of_a_tier_that_is_shed(asked: list[tuple[str, int | None]], limit: Share) -> None:
    given = window(
        request(n, n / 10, tier=tier, status=status, outcome="ok" if status == 200 else "error")
        for n, (tier, status) in enumerate(asked)
    )
    of = [status for tier, status in asked if tier == "free"]
    most, least = shed(given, tier="free", at_most=limit), shed(given, tier="free", at_least=limit)
    if len(of) < 20:
        assert most.outcome == least.outcome == "inconclusive"
        return
    share = of.count(429) / len(of)
    assert most.value == least.value == share
    assert most.outcome == ("passed" if share <= limit else "failed")
    assert least.outcome == ("passed" if share >= limit else "failed")


def test_a_tier_that_is_never_to_be_shed() -> None:
    free = [request(100 + n, 5.0, tier="free", status=429, outcome="error") for n in range(20)]
    given = window([*evenly(50, tier="enterprise"), *free])
    verdict = shed(given, tier="enterprise", at_most=Share(0.0))
    assert (verdict.outcome, verdict.figure, verdict.why) == ("passed", "0 % of enterprise shed", "free 100 %")
    assert shed(given, tier="gold", at_most=Share(0.0)).outcome == "inconclusive"


@pytest.mark.parametrize("arguments", [{}, {"at_least": 0.0}, {"at_most": 1.0}, {"at_least": 0.5, "at_most": 0.5}])
def test_shedding_that_says_nothing_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"exactly one|asks for nothing"):
        shed(window(), tier="free", **arguments)


def test_a_limit_on_cost_must_be_above_nothing() -> None:
    with pytest.raises(ValueError, match="above 0"):
        cost(window(), at_most=0.0)
