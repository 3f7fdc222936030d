"""Running out of memory: seen to have happened, and lived through."""

from collections.abc import Sequence

import pytest

from brownout.evidence import Requests, Sample, Window
from brownout.probes.oom_handled import oom_handled
from brownout.system import ServiceName
from brownout.units import Duration

WORKER = ServiceName("inference-1")
SOON = Duration(5.0)
COUNTER = "inference_out_of_memory_total"


def watched(
    ready: Sequence[bool], *, restarts: int = 0, refused: Sequence[float] = (0, 4, 9), by: str = "inference-1"
) -> Window:
    """A window in which the worker was seen to be ready or not, twice a second, and scraped once a second."""
    labels = (("service", "inference-1"),)
    told = [
        Sample(index / 2, "target", metric, labels, float(value))
        for index, is_ready in enumerate(ready)
        for metric, value in (("service_ready", is_ready), ("service_restarts_total", restarts))
    ]
    scraped = [Sample(float(second), by, COUNTER, (("engine", "0"),), float(v)) for second, v in enumerate(refused)]
    return Window("during", 0.0, len(ready) / 2, Requests.of(), (), (*told, *scraped))


def test_a_worker_that_refuses_and_lives_on_passes() -> None:
    verdict = oom_handled(watched([True] * 30), service=WORKER, within=SOON)
    assert (verdict.outcome, verdict.figure) == ("passed", "always ready, 9 allocations refused, 0 restarts")
    assert verdict.threshold == "ready within 5 s, after 0 restarts at most"


def test_a_worker_that_had_to_be_started_again_passes_only_where_that_is_allowed() -> None:
    window = watched([False] * 6 + [True] * 24, restarts=1, refused=())
    assert oom_handled(window, service=WORKER, within=SOON).outcome == "failed"
    verdict = oom_handled(window, service=WORKER, within=SOON, restarts_at_most=1)
    assert (verdict.outcome, verdict.figure) == ("passed", "ready after 3 s, 0 allocations refused, 1 restart")


@pytest.mark.parametrize("ready", [[False] * 20 + [True] * 10, [True] * 20 + [False] * 10])
def test_a_worker_that_is_back_too_late_or_not_at_all_fails(ready: list[bool]) -> None:
    assert oom_handled(watched(ready), service=WORKER, within=SOON).outcome == "failed"


@pytest.mark.parametrize("refused", [(), (7, 7, 7)])
def test_memory_that_never_ran_out_shows_nothing(refused: Sequence[float]) -> None:
    verdict = oom_handled(watched([True] * 30, refused=refused), service=WORKER, within=SOON)
    assert verdict.outcome == "inconclusive"
    assert verdict.why.startswith("inference-1 was not seen to run out of memory")


def test_what_another_replica_refused_says_nothing() -> None:
    assert oom_handled(watched([True] * 30, by="inference-2"), service=WORKER, within=SOON).outcome == "inconclusive"
    assert oom_handled(watched([True] * 30), service=ServiceName("inference-2"), within=SOON).why == (
        "nothing was recorded of inference-2; of these it was: inference-1"
    )


def test_a_window_that_ends_before_it_must_be_ready_is_inconclusive() -> None:
    assert oom_handled(watched([True] * 11), service=WORKER, within=SOON).outcome == "inconclusive"


def test_bounds_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="within must be above 0"):
        oom_handled(watched([]), service=WORKER, within=Duration(0.0))
    with pytest.raises(ValueError, match="restarts-at-most must be 0 or more"):
        oom_handled(watched([]), service=WORKER, within=SOON, restarts_at_most=-1)
