"""The first signal stops a run in order, a third one leaves at once; what comes on the heels of one is the same."""

import os
import signal
from collections.abc import Iterator

import pytest

from brownout.errors import EXIT_ABORTED
from brownout.toolkit.signals import OrderlyExit


class Person:
    """Somebody who sends signals, when they say."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stopped: list[str] = []
        self.left: list[int] = []
        self.exit = OrderlyExit(self.stopped.append, clock=lambda: self.now, leave=self.left.append)

    def sends(self, number: signal.Signals, *, after: float) -> None:
        self.now += after
        os.kill(os.getpid(), number)


@pytest.fixture
def person() -> Iterator[Person]:
    found = Person()
    found.exit.claim()
    yield found
    found.exit.release()


def test_a_first_signal_stops_a_second_does_nothing_and_a_third_leaves_at_once(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    person.sends(signal.SIGINT, after=0.0)
    assert (person.stopped, person.left) == (["interrupted by SIGINT"], [])
    person.sends(signal.SIGTERM, after=0.5)
    assert "once more to leave at once" in capsys.readouterr().err
    assert (len(person.stopped), person.left) == (1, [])
    person.sends(signal.SIGINT, after=0.5)
    assert (len(person.stopped), person.left) == (1, [EXIT_ABORTED])


def test_a_parent_whose_threads_end_one_after_the_other_is_one_signal(person: Person) -> None:
    for _ in range(9):
        person.sends(signal.SIGTERM, after=0.05)
    assert (person.stopped, person.left) == (["interrupted by SIGTERM"], [])


def test_the_handlers_that_were_there_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    found = Person()
    found.exit.claim()
    found.exit.claim()
    assert signal.getsignal(signal.SIGTERM) != before
    found.exit.release()
    assert signal.getsignal(signal.SIGTERM) == before
