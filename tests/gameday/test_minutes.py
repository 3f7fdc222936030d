"""What people and alerts made of a drill, as it is remembered."""

from datetime import timedelta

from brownout.gameday.governance import Refusal
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.rows import Mark, Note, RefusedStart
from tests.gameday.plans import NOON

LATER = NOON + timedelta(seconds=90)


def test_what_was_noted_and_marked_is_read_again_in_the_order_in_which_it_happened() -> None:
    person = Mark(1, "detected", "person", "Hedy", LATER)
    alert = Mark(1, "detected", "alert", "AvailabilityBurnsFast", NOON, since=NOON - timedelta(seconds=1.5))
    with Minutes.open() as minutes:
        minutes.mark("d1", person)
        minutes.mark("d1", alert)
        minutes.mark("d2", Mark(1, "mitigated", "person", "Hedy", NOON))
        minutes.note("d1", "the second region takes over", by="Ada", at=NOON)
    with Minutes.open() as again:
        assert again.marks("d1") == [alert, person]
        assert again.notes("d1") == [Note(NOON, "Ada", "the second region takes over")]
        assert again.notes("d2") == []


def test_a_refused_start_is_remembered_with_every_reason_beside_what_the_journal_has() -> None:
    why = [Refusal("runbook", "there is none"), Refusal("window", "this is no time for it")]
    with Journal.open(), Minutes.open() as minutes:
        minutes.refuse("sunday", target="embedded", instance="default", refusals=why, at=NOON)
        found = minutes.refused(plan="sunday")
        assert found == [RefusedStart("sunday", "embedded", "default", NOON, one.rule, one.why) for one in why]
        assert minutes.refused() == found
        assert minutes.refused(plan="monday") == []
