"""Which replica gets the next request, and how a pool learns who is there."""

import asyncio
import itertools
from dataclasses import dataclass

from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from target_stack.clock import SystemClock
from target_stack.replicas import HealthChecks, ReplicaPool


@dataclass
class Replica:
    name: str
    outstanding: int = 0


def pool(*replicas: Replica, failures: int = 2, enabled: bool = True) -> ReplicaPool[Replica]:
    made = ReplicaPool(replicas, failures=failures, enabled=enabled)
    for replica in replicas:
        made.checked(replica.name, healthy=True)
    return made


def names(replicas: list[Replica]) -> list[str]:
    return [replica.name for replica in replicas]


def test_the_one_with_the_fewest_requests_comes_first() -> None:
    one, two, three = Replica("one", 3), Replica("two", 1), Replica("three", 2)
    assert names(pool(one, two, three).order()) == ["two", "three", "one"]


def test_equals_take_turns() -> None:
    equals = pool(Replica("one"), Replica("two"), Replica("three"))
    assert [equals.order()[0].name for _ in range(6)] == ["one", "two", "three"] * 2


def test_nobody_is_called_before_a_check_has_succeeded() -> None:
    fresh = ReplicaPool([Replica("one")], failures=3, enabled=True)
    assert fresh.order() == []
    fresh.checked("one", healthy=True)
    assert names(fresh.order()) == ["one"]


def test_failed_checks_in_a_row_take_a_replica_out_and_one_that_succeeds_brings_it_back() -> None:
    two = pool(Replica("one"), Replica("two"), failures=2)
    two.checked("one", healthy=False)
    two.checked("one", healthy=True)
    two.checked("one", healthy=False)
    assert two.ready("one")
    two.checked("one", healthy=False)
    assert not two.ready("one")
    assert names(two.order()) == ["two"]
    two.checked("one", healthy=True)
    assert len(two.order()) == 2


def test_without_health_checks_everyone_is_called() -> None:
    blind = ReplicaPool([Replica("one"), Replica("two", 1)], failures=2, enabled=False)
    assert names(blind.order()) == ["one", "two"]


def test_where_only_one_may_be_called_it_is_a_ready_one_if_there_is_any() -> None:
    two = pool(Replica("one"), Replica("two", 5), failures=1)
    two.checked("one", healthy=False)
    assert two.first().name == "two"
    two.checked("two", healthy=False)
    assert two.first().name == "one"


@given(
    loads=st.lists(st.integers(0, 3), min_size=1, max_size=5),
    down=st.sets(st.integers(0, 4)),
    requests=st.integers(1, 30),
)
def test_an_order_holds_every_ready_replica_once_by_load_and_requests_spread_evenly(
    loads: list[int], down: set[int], requests: int
) -> None:
    replicas = [Replica(str(n), load) for n, load in enumerate(loads)]
    some = pool(*replicas, failures=1)
    for n in down & set(range(len(replicas))):
        some.checked(str(n), healthy=False)
    ready = [replica for n, replica in enumerate(replicas) if n not in down]
    for _ in range(requests):
        order = some.order()
        assert sorted(names(order)) == sorted(names(ready))
        assert [one.outstanding for one in order] == sorted(one.outstanding for one in order)
        if order:
            order[0].outstanding += 1
    if ready and requests >= 4 * len(ready):
        assert max(one.outstanding for one in ready) - min(one.outstanding for one in ready) <= 1


def test_checks_are_made_at_their_interval_and_a_lost_replica_is_told_once() -> None:
    one = ReplicaPool([Replica("one")], failures=2, enabled=True)
    answers = iter([False, True, True, False, False, False, True])
    began: list[float] = []
    lost: list[int] = []
    clock = SystemClock()

    async def check() -> bool:
        began.append(clock.monotonic())
        try:
            return next(answers)
        except StopIteration:
            raise asyncio.CancelledError from None

    async def run() -> None:
        checks = HealthChecks(one, {"one": check}, clock, interval=0.03, on_lost=lambda _: lost.append(len(began)))
        await asyncio.wait_for(asyncio.gather(checks.run(), return_exceptions=True), 60)

    asyncio.run(run())
    assert lost == [5]
    assert one.ready("one")
    assert all(after - before > 0.025 for before, after in itertools.pairwise(began))


def test_a_slow_check_does_not_delay_the_next_by_its_own_length() -> None:
    clock = FakeClock()
    one = ReplicaPool([Replica("one")], failures=2, enabled=True)
    calls = 0

    async def check() -> bool:
        nonlocal calls
        calls += 1
        clock.advance(10)
        if calls == 3:
            raise asyncio.CancelledError
        return True

    async def run() -> None:
        checks = HealthChecks(one, {"one": check}, clock, interval=10, on_lost=lambda _: None)
        await asyncio.wait_for(asyncio.gather(checks.run(), return_exceptions=True), 60)

    asyncio.run(run())
    assert calls == 3
