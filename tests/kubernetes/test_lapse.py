"""A lease lapses when it was seen unchanged for its whole duration, by the watcher's own clock."""

from dataclasses import replace

from brownout.fixtures.kubernetes.lapse import GRACE, Lapses
from brownout.fixtures.kubernetes.ledger import Held

LEASE = Held("one", "1", "run", "holder", duration=5.0, renewed=0.0, fault="a fault", steps=())
OVER = LEASE.duration + GRACE


def test_a_lease_that_does_not_change_lapses_after_its_duration_and_no_sooner() -> None:
    lapses = Lapses()

    assert lapses.look([LEASE], now=100.0) == []
    assert lapses.look([LEASE], now=100.0 + OVER - 0.001) == []
    assert lapses.look([LEASE], now=100.0 + OVER) == [LEASE]


def test_a_lease_that_is_renewed_never_lapses_whatever_its_holders_clock_says() -> None:
    lapses = Lapses()

    for step in range(100):
        renewed = replace(LEASE, version=str(step), renewed=-1e9)
        assert lapses.look([renewed], now=step * 4.0) == []


def test_whoever_has_just_started_gives_everybody_their_time() -> None:
    assert Lapses().look([LEASE, replace(LEASE, name="two")], now=1e6) == []


def test_what_nobody_could_renew_because_the_server_was_away_is_not_held_against_its_holder() -> None:
    lapses = Lapses()
    lapses.look([LEASE], now=0.0)

    lapses.blind()

    assert lapses.look([LEASE], now=OVER) == []
    assert lapses.look([LEASE], now=2 * OVER) == [LEASE]


def test_a_lease_that_was_away_meanwhile_is_a_new_one() -> None:
    lapses = Lapses()
    lapses.look([LEASE], now=0.0)
    lapses.look([], now=1.0)

    assert lapses.look([LEASE], now=OVER) == []
