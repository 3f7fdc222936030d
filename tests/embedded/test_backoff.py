"""The waits before a restart grow up to a cap, and begin anew after a stable stretch."""

from hypothesis import given
from hypothesis import strategies as st

from brownout.fixtures.embedded.supervisor.backoff import Backoff, Policy


def test_the_waits_double_up_to_the_cap() -> None:
    backoff = Backoff(Policy())
    assert [backoff.after(0.0) for _ in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_service_that_ran_for_long_enough_begins_anew() -> None:
    backoff = Backoff(Policy(first=1.0, cap=30.0, stable=60.0))
    assert [backoff.after(ran) for ran in (0.0, 59.9, 60.0, 0.0)] == [1.0, 2.0, 1.0, 2.0]


@given(st.lists(st.floats(0.0, 200.0), max_size=30))
def test_no_wait_is_shorter_than_the_first_or_longer_than_the_cap(ran: list[float]) -> None:
    policy = Policy(first=0.5, cap=7.0, stable=60.0)
    backoff = Backoff(policy)
    waits = [backoff.after(seconds) for seconds in ran]
    assert all(policy.first <= wait <= policy.cap for wait in waits)
    assert all(wait == policy.first for wait, seconds in zip(waits, ran, strict=True) if seconds >= policy.stable)
