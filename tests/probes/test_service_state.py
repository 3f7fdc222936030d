"""The state of a service, as the target tells it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Requests, Sample, Window
from brownout.probes.service_state import service_state
from brownout.system import ServiceName
from brownout.units import Duration

DB = ServiceName("vector-db")
EVERY = 0.5
START = 20.0


def watched(**services: Sequence[bool]) -> Window:
    """A window in which each service was seen to be ready or not, twice a second; they are up throughout."""
    samples = [
        Sample(START + index * EVERY, "target", metric, (("service", name.replace("_", "-")),), float(value))
        for name, ready in services.items()
        for index, is_ready in enumerate(ready)
        for metric, value in (("service_ready", is_ready), ("service_up", True))
    ]
    longest = max(map(len, services.values()), default=0)
    return Window("during", START, START + longest * EVERY, Requests.of(), (), tuple(samples))


def test_a_service_that_is_as_it_should_be_at_every_look_passes() -> None:
    verdict = service_state(watched(vector_db=[True] * 20), service=DB, state="ready")
    assert (verdict.outcome, verdict.figure, verdict.threshold) == ("passed", "vector-db was ready throughout", "ready")
    assert (verdict.value, verdict.limit, verdict.samples) == (0.0, 0.0, 20)


def test_one_look_that_differs_fails_unless_it_has_time_to_settle() -> None:
    window = watched(vector_db=[False] * 5 + [True] * 15)
    assert service_state(window, service=DB, state="ready").outcome == "failed"
    verdict = service_state(window, service=DB, state="ready", within=Duration(3.0))
    assert (verdict.outcome, verdict.figure) == ("passed", "vector-db was ready from 2.5 s on")
    assert (verdict.value, verdict.limit) == (2.5, 3.0)
    assert service_state(window, service=DB, state="ready", within=Duration(2.0)).outcome == "failed"


def test_a_service_that_runs_without_being_ready_is_up_and_unready() -> None:
    window = watched(vector_db=[False] * 20)
    outcomes = {state: service_state(window, service=DB, state=state).outcome for state in ("up", "down", "ready")}  # type: ignore[arg-type]
    assert outcomes == {"up": "passed", "down": "failed", "ready": "failed"}
    assert service_state(window, service=DB, state="unready").outcome == "passed"
    assert service_state(window, service=DB, state="ready").figure == "vector-db was not ready at the end"


def test_of_replicas_the_worst_decides() -> None:
    window = watched(inference_1=[True] * 20, inference_2=[True] * 10 + [False] * 10)
    verdict = service_state(window, service=ServiceName("inference"), state="ready")
    assert (verdict.outcome, verdict.figure) == ("failed", "inference-2 was not ready at the end")
    assert service_state(window, service=ServiceName("inference-1"), state="ready").outcome == "passed"


def test_too_few_looks_tell_nothing() -> None:
    verdict = service_state(watched(vector_db=[True] * 2), service=DB, state="ready")
    assert (verdict.outcome, verdict.why) == ("inconclusive", "2 looks at vector-db; at least 3 are needed to tell")
    late = service_state(watched(vector_db=[True] * 8), service=DB, state="ready", within=Duration(3.0))
    assert late.why == "2 looks at vector-db after the first 3 s; at least 3 are needed to tell"
    stranger = service_state(watched(cache=[True] * 20), service=DB, state="ready")
    assert stranger.why == "nothing was recorded of vector-db; of these it was: cache"


def test_no_time_to_settle_is_refused() -> None:
    with pytest.raises(ValueError, match="within must be above 0"):
        service_state(watched(), service=DB, state="ready", within=Duration(0.0))


@given(ready=st.lists(st.booleans(), min_size=12, max_size=40), within=st.integers(1, 4))
def test_the_verdict_is_that_of_looking_at_each_answer_from_then_on(ready: list[bool], within: int) -> None:
    window = watched(vector_db=ready)
    verdict = service_state(window, service=DB, state="ready", within=Duration(float(within)))
    late = [one for index, one in enumerate(ready) if index * EVERY >= within]
    assert verdict.outcome == ("passed" if all(late) else "failed")


@given(ready=st.lists(st.booleans(), min_size=4, max_size=40), at=st.integers(0, 39))
def test_one_more_look_that_differs_never_makes_it_pass(ready: list[bool], at: int) -> None:
    arguments: dict[str, Any] = {"service": DB, "state": "ready", "within": Duration(2.0)}
    before = service_state(watched(vector_db=ready), **arguments).outcome
    worse = list(ready)
    worse[at % len(ready)] = False
    if before == "failed":
        assert service_state(watched(vector_db=worse), **arguments).outcome == "failed"
