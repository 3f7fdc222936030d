"""What the journal remembers, of drills that ended and of one that was killed."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from brownout import process
from brownout.errors import InvalidInput
from brownout.gameday.governance import Override, Refusal
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.rows import NewDrill
from brownout.gameday.status import as_text, now_open, to_json
from brownout.process import ProcessId
from tests.gameday.plans import NOON

HOUR = timedelta(hours=1)
GONE = ProcessId(1, "another boot/1")


def new(
    name: str = "d1",
    *,
    plan: str = "sunday",
    target: str = "embedded",
    instance: str = "default",
    of: ProcessId | None = None,
) -> NewDrill:
    return NewDrill(
        id=name,
        plan=plan,
        title="A Sunday night",
        source="title: A Sunday night",
        target=target,
        instance=instance,
        folder="/runs/d1",
        commander="Ada",
        abort_holder="Grace",
        process=process.current() if of is None else of,
        review_within=48 * 3600,
        scheduled=NOON,
        started=NOON,
    )


def test_a_drill_is_running_until_it_ends_and_then_waits_for_its_review() -> None:
    with Journal.open() as journal:
        journal.begin(new(), [(Refusal("blackout", "the launch"), Override("blackout", "Ada", "it was put off"))])
        assert journal.drill("d1").state == "running"
        journal.begin_step("d1", 1, phase="first", experiment="one.yaml", at=NOON)
        journal.end_step("d1", 1, outcome="failed", folder="/runs/d1/one", at=NOON + HOUR)
        journal.end("d1", outcome="failed", said=None, at=NOON + HOUR)
    with Journal.open() as again:
        drill = again.drill("d1")
        assert (drill.state, drill.outcome, drill.ended) == ("over", "failed", NOON + HOUR)
        assert drill.review_due == NOON + 49 * HOUR
        assert not drill.overdue(NOON + 49 * HOUR)
        assert drill.overdue(NOON + 50 * HOUR)
        (step,) = again.steps("d1")
        assert (step.experiment, step.outcome, step.folder) == ("one.yaml", "failed", "/runs/d1/one")
        (override,) = again.overrides("d1")
        assert (override.rule, override.by, override.why, override.refusal) == (
            "blackout",
            "Ada",
            "it was put off",
            "the launch",
        )
        again.review("d1", by="Joan", at=NOON + 2 * HOUR)
        assert not again.drill("d1").overdue(NOON + 50 * HOUR)
        assert again.drill("d1").reviewed_by == "Joan"


def test_a_drill_whose_process_is_gone_was_interrupted_until_somebody_has_looked() -> None:
    with Journal.open() as journal:
        journal.begin(new(of=GONE), [])
        (past,) = journal.past(plan="other", target="embedded", instance="default")
        assert past.state == "interrupted"
        with pytest.raises(InvalidInput, match="cannot have been reviewed: it is interrupted"):
            journal.review("d1", by="Joan", at=NOON)
        journal.look("d1", by="Grace", at=NOON + HOUR)
        drill = journal.drill("d1")
        assert (drill.state, drill.outcome, drill.said, drill.looked_by) == ("over", "aborted", "interrupted", "Grace")
        with pytest.raises(InvalidInput, match="was not interrupted: it is over"):
            journal.look("d1", by="Grace", at=NOON + HOUR)


def test_a_killed_process_leaves_an_interrupted_drill() -> None:
    child = """
import sys, time
sys.path.insert(0, ".")
from brownout.gameday.journal import Journal
from tests.gameday.test_journal import new
Journal.open().begin(new(), [])
print("begun", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        with Journal.open() as journal:
            assert journal.drill("d1").state == "running"
            running.kill()
            running.wait()
            assert journal.drill("d1").state == "interrupted"


def test_what_the_rules_have_to_know_is_of_this_plan_or_of_this_instance_of_this_target() -> None:
    with Journal.open() as journal:
        journal.begin(new("d1", target="a"), [])
        journal.begin(new("d2", plan="monday"), [])
        journal.begin(new("d3", plan="monday", target="a"), [])
        journal.begin(new("d4", plan="monday", instance="second"), [])
        past = journal.past(plan="sunday", target="embedded", instance="default")
        assert [(one.id, one.here) for one in past] == [("d1", False), ("d2", True)]


def test_the_last_check_in_of_each_counts() -> None:
    with Journal.open() as journal:
        journal.check_in("sunday", "Grace", NOON)
        journal.check_in("sunday", "Grace", NOON + HOUR)
        journal.check_in("monday", "Ada", NOON)
        assert journal.checked_in("sunday") == {"Grace": NOON + HOUR}


def test_a_follow_up_is_open_until_it_is_done() -> None:
    with Journal.open() as journal:
        journal.begin(new(), [])
        number = journal.follow_up("d1", "alert earlier", owner="Hedy", due=date(2027, 6, 10), at=NOON)
        (one,) = journal.follow_ups()
        assert not one.overdue(date(2027, 6, 10))
        assert one.overdue(date(2027, 6, 11))
        journal.close_follow_up(number, drill="d1", by="Hedy", at=NOON)
        assert not journal.follow_ups(drill="d1")[0].overdue(date(2027, 6, 11))
        with pytest.raises(InvalidInput, match="has no open follow-up 1"):
            journal.close_follow_up(number, drill="d1", by="Hedy", at=NOON)


def test_an_unknown_drill_is_told_with_those_there_are() -> None:
    with Journal.open() as journal:
        with pytest.raises(InvalidInput, match="there has been none yet"):
            journal.drill("d1")
        journal.begin(new("2027-sunday"), [])
        with pytest.raises(InvalidInput, match=r"did you mean '2027-sunday'\?"):
            journal.follow_up("2027-sundae", "x", owner="y", due=None, at=NOON)


def test_status_shows_what_is_open_and_what_is_overdue() -> None:
    with Journal.open() as journal, Minutes.open() as minutes:
        assert as_text(now_open(journal, minutes, NOON)) == "Nothing is open."
        journal.begin(new("d1"), [])
        journal.begin(new("d2", of=GONE), [])
        journal.begin(new("d3"), [])
        journal.end("d3", outcome="passed", said=None, at=NOON)
        journal.follow_up("d3", "alert earlier", owner="Hedy", due=date(2027, 6, 10), at=NOON)
        found = now_open(journal, minutes, datetime(2027, 6, 12, tzinfo=UTC))
    assert found.overdue
    assert [line.split()[0] for line in as_text(found).splitlines()] == ["running", "INTERRUPTED", "OVERDUE", "OVERDUE"]
    told = to_json(found)
    assert (told["running"], told["interrupted"], told["overdue"]) == (["d1"], ["d2"], True)


def test_status_tells_of_starts_that_were_refused_since_the_plan_s_last_drill() -> None:
    week = timedelta(days=7)
    with Journal.open() as journal, Minutes.open() as minutes:
        for plan, at in (
            ("sunday", NOON - week),
            ("sunday", NOON + HOUR),
            ("monday", NOON - week),
            ("old", NOON - 5 * week),
        ):
            refusals = [Refusal("window", "too early"), Refusal("commander", "nobody leads")]
            minutes.refuse(plan, target="embedded", instance="default", refusals=refusals, at=at)
        journal.begin(new("d1"), [])
        found = now_open(journal, minutes, NOON + 2 * HOUR)
    assert as_text(found).splitlines()[1:] == [
        "refused      monday at 2027-05-30 12:00 UTC: window: too early; commander: nobody leads",
        "refused      sunday at 2027-06-06 13:00 UTC: window: too early; commander: nobody leads",
    ]
    assert not found.overdue
    assert [(one["plan"], one["rule"]) for one in to_json(found)["refused"]] == [  # type: ignore[attr-defined]
        (plan, rule) for plan in ("monday", "sunday") for rule in ("window", "commander")
    ]
