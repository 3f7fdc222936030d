"""What workers say of their utilisation, and whom it keeps out."""

from fakes import FakeClock

from target_stack.backpressure import Backpressure
from target_stack.tier import TIERS


def levels(clock: FakeClock, backpressure: Backpressure) -> list[bool]:
    """Whether each tier is let in, enterprise first."""
    return [backpressure.sheds(tier) is None for tier in TIERS]


def test_free_is_shed_at_once_pro_when_that_was_not_enough_and_enterprise_never(clock: FakeClock) -> None:
    backpressure = Backpressure(clock, hold=2, patience=3, enabled=True)
    assert levels(clock, backpressure) == [True, True, True]
    backpressure.said_high(retry_after=None)
    assert levels(clock, backpressure) == [True, True, False]
    assert backpressure.sheds("free") == 2
    clock.advance(1.5)
    backpressure.said_high(retry_after=None)
    clock.advance(1.5)
    assert levels(clock, backpressure) == [True, False, False]
    assert backpressure.level == 2
    for _ in range(100):
        backpressure.said_high(retry_after=None)
        clock.advance(1)
    assert backpressure.sheds("enterprise") is None


def test_everybody_is_let_in_again_when_no_worker_says_so_any_more(clock: FakeClock) -> None:
    backpressure = Backpressure(clock, hold=2, patience=1, enabled=True)
    backpressure.said_high(retry_after=5)
    clock.advance(4.5)
    assert backpressure.sheds("pro") == 0.5
    clock.advance(0.5)
    assert levels(clock, backpressure) == [True, True, True]
    backpressure.said_high(retry_after=0)
    assert levels(clock, backpressure) == [True, True, False], "a new word begins with the free tier again"


def test_switched_off_it_sheds_nobody(clock: FakeClock) -> None:
    backpressure = Backpressure(clock, hold=2, patience=0, enabled=False)
    backpressure.said_high(retry_after=60)
    assert levels(clock, backpressure) == [True, True, True]
