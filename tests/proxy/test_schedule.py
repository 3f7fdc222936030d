"""Strength that changes with time: the plan by itself, and at work on a real proxy."""

import random
import time
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.proxy.client import ControlError
from brownout.proxy.schedule import Play, Schedule, Shape
from tests.proxy.virtual import VirtualScheduler
from tests.proxy.wire import PATIENCE_S, Control, Servers, dial, receive


def schedule(shape: Shape, *, period: int = 1_000, seed: int = 0) -> Schedule:
    return Schedule(shape=shape, of="latency", start=100, end=300, period_ms=period, seed=seed)


def played(plan: Schedule, seconds: float) -> list[tuple[float, float]]:
    clock = VirtualScheduler()
    seen: list[tuple[float, float]] = []
    play = Play(plan, clock, lambda value: seen.append((round(clock.now(), 6), value)))
    clock.advance(seconds)
    play.stop()
    clock.advance(60)
    return seen


def test_a_ramp_rises_evenly_and_then_stays() -> None:
    seen = played(schedule(Shape.RAMP), 5)
    assert seen[0] == (0, 100)
    assert seen[-1] == (1.0, 300)
    assert len(seen) == 21
    assert all(value == pytest.approx(100 + 200 * at) for at, value in seen)


def test_a_square_wave_begins_with_its_second_value_and_changes_twice_in_a_period() -> None:
    assert played(schedule(Shape.SQUARE), 1.9) == [(0, 300), (0.5, 100), (1.0, 300), (1.5, 100)]


def test_a_random_strength_is_drawn_anew_for_each_period_and_is_the_same_for_the_same_seed() -> None:
    seen = played(schedule(Shape.RANDOM, seed=4), 9.5)
    assert [at for at, _ in seen] == list(range(10))
    assert len({value for _, value in seen}) == 10
    assert all(100 <= value <= 300 for _, value in seen)
    assert seen == played(schedule(Shape.RANDOM, seed=4), 9.5)
    assert seen != played(schedule(Shape.RANDOM, seed=5), 9.5)


@given(
    shape=st.sampled_from(list(Shape)),
    period=st.integers(20, 5_000),
    elapsed=st.integers(0, 50_000),
    seed=st.integers(),
)
def test_the_value_stays_within_its_bounds_and_the_next_change_lies_ahead(
    shape: Shape, period: int, elapsed: int, seed: int
) -> None:
    plan = schedule(shape, period=period, seed=seed)
    assert 100 <= plan.value(elapsed) <= 300
    change = plan.next_change(elapsed)
    if change is None:
        assert plan.value(elapsed) == plan.value(elapsed + 10**6)
    else:
        assert elapsed < change <= elapsed + max(period, 50)
        if shape is not Shape.RAMP:
            between = random.Random(seed).randrange(elapsed, change)
            assert plan.value(between) == plan.value(elapsed)


def test_a_ramp_of_latency_is_felt_and_shown(control: Control, servers: Servers) -> None:
    with control.connect(servers.echo()) as client:
        plan = {"shape": "ramp", "of": "latency", "period": 1_000}
        best: list[float] = []
        # A busy machine may miss the lower half of a ramp.
        while not best or (min(best) >= 0.1 and len(best) < 10):
            control.client.add_toxic("link", type="latency", attributes={"latency": 200}, schedule=plan)
            shown = control.client.toxics("link")[0]
            assert shown["schedule"] == plan | {"from": 0, "to": 200, "seed": 0}
            start = time.monotonic()
            took = []
            while time.monotonic() - start < 1.2:
                sent = time.monotonic()
                client.sendall(b"x")
                assert receive(client, 1) == b"x"
                took.append(time.monotonic() - sent)
            assert took[-1] >= 0.2
            assert control.client.toxics("link")[0]["attributes"]["latency"] == 200
            control.client.remove_toxic("link", "latency_downstream")
            best.append(min(took))
        assert min(best) < 0.1


def answered(port: int) -> bool:
    try:
        with dial(port) as client:
            client.sendall(b"x")
            return receive(client, 1) == b"x"
    except OSError:
        return False


def test_a_square_wave_of_toxicity_makes_the_link_come_and_go(control: Control, servers: Servers) -> None:
    port = control.link(servers.echo())
    control.client.add_toxic(
        "link", type="reset_peer", schedule={"shape": "square", "of": "toxicity", "period": 400, "to": 1.0}
    )
    seen: list[bool] = []
    deadline = time.monotonic() + PATIENCE_S
    while [works for works, _ in groupby(seen)][-4:] != [False, True, False, True]:
        assert time.monotonic() < deadline, seen
        seen.append(answered(port))
    control.client.remove_toxic("link", "reset_peer_downstream")
    time.sleep(0.5)  # longer than the period: it must not come back
    assert answered(port)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"shape": "saw", "of": "latency", "period": 100}, "the shape of a schedule can be: ramp, square, random"),
        ({"shape": "ramp", "period": 100}, "missing required field: schedule.of"),
        ({"shape": "ramp", "of": "latency"}, "missing required field: schedule.period"),
        ({"shape": "ramp", "of": "rate", "period": 100}, "not of 'rate'"),
        ({"shape": "ramp", "of": "latency", "period": 1}, "20 ms at least"),
        ({"shape": "ramp", "of": "latency", "period": 100, "to": -1}, "must not be negative"),
        ({"shape": "ramp", "of": "toxicity", "period": 100, "to": 2}, "between 0 and 1"),
        ({"shape": "ramp", "of": "latency", "period": 100, "form": 1}, "unknown field 'form'"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(control: Control, plan: dict[str, object], said: str) -> None:
    control.link(1)
    with pytest.raises(ControlError, match=said) as refused:
        control.client.add_toxic("link", type="latency", attributes={"latency": 5}, schedule=plan)
    assert refused.value.status == 400
    assert control.client.toxics("link") == []
