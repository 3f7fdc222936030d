"""Who holds the abort, and when they are lost: on no clock at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.errors import InvalidInput
from brownout.gameday.room.heartbeat import Heartbeat

GRACE, ADA, OTHER = "grace-page", "ada-page", "other-page"


def held() -> Heartbeat:
    one = Heartbeat(("Grace", "Ada"))
    one.take("Grace", GRACE)
    return one


def passed(one: Heartbeat, seconds: float) -> str | None:
    """So much time, looked at four times a second."""
    lost = None
    for _ in range(round(seconds * 4)):
        lost = lost or one.pass_(0.25)
    return lost


def test_nobody_is_lost_before_somebody_holds_it() -> None:
    assert passed(Heartbeat(("Grace",)), 60.0) is None


def test_a_holder_who_is_heard_of_every_few_seconds_is_there() -> None:
    one = held()
    for _ in range(20):
        assert passed(one, 14.75) is None
        assert one.beat(GRACE)


def test_one_who_is_not_heard_of_for_fifteen_seconds_is_lost() -> None:
    one = held()
    assert passed(one, 14.75) is None
    assert one.pass_(0.25) == "Grace, who holds the abort, was not heard of for 15 s"


def test_only_the_holder_s_page_counts() -> None:
    one = held()
    assert passed(one, 14.0) is None
    assert not one.beat(ADA)
    assert not one.beat(OTHER)
    assert passed(one, 1.0) is not None


@given(st.floats(1.0, 3600.0))
def test_time_in_which_nobody_here_listened_is_no_silence(seconds: float) -> None:
    one = held()
    assert one.pass_(seconds) is None
    assert one.silence == 1.0
    assert one.beat(GRACE)


def test_who_may_not_hold_it_cannot_take_it() -> None:
    with pytest.raises(InvalidInput, match=r"does not let 'Grcae' hold the abort; did you mean 'Grace'\?"):
        Heartbeat(("Grace", "Ada")).take("Grcae", GRACE)


def test_it_is_taken_from_nobody_who_has_not_handed_it_over() -> None:
    one = held()
    with pytest.raises(InvalidInput, match="Grace holds the abort, and has to hand it over first"):
        one.take("Ada", ADA)
    with pytest.raises(InvalidInput, match="only who holds the abort can hand it over"):
        one.offer(ADA, "Ada")
    one.offer(GRACE, "Ada")
    # Still the holder's until it is taken.
    assert not one.beat(ADA)
    assert one.beat(GRACE)
    one.take("Ada", ADA)
    assert (one.beat(GRACE), one.beat(ADA)) == (False, True)
    assert passed(one, 15.0) == "Ada, who holds the abort, was not heard of for 15 s"


@pytest.mark.parametrize("to", ["Mallory", "Grace"])
def test_it_is_handed_over_to_another_one_who_may_hold_it(to: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be handed over"):
        held().offer(GRACE, to)


def test_a_holder_may_go_on_with_another_page() -> None:
    one = held()
    one.take("Grace", OTHER)
    assert (one.beat(GRACE), one.beat(OTHER)) == (False, True)
