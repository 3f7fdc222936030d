"""From a plan's file to a drill that was played, or to every reason why it was not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from brownout.errors import EnvironmentProblem, InvalidInput
from brownout.gameday.drill import Played
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.start import Start, start
from tests.gameday.plans import TEXT, Ticking, written

SUNDAY = datetime(2027, 6, 13, 1, 30, tzinfo=UTC)
"""Half past three in Berlin, on the second Sunday of June."""


@dataclass
class QuickStage:
    """A stage on which experiments take a quarter of an hour of no time at all, and end as a test says."""

    clock: Ticking
    codes: list[int] = field(default_factory=list)
    on_play: Callable[[], object] = lambda: None
    on_pause: Callable[[], object] = lambda: None
    did: list[str] = field(default_factory=list)

    def play(self, experiment: Path) -> Played:
        self.did.append(experiment.name)
        self.on_play()
        self.clock.at += timedelta(minutes=15)
        return Played(self.codes.pop(0) if self.codes else 0, Path("/runs") / experiment.stem)

    def pause(self, seconds: float) -> None:
        self.did.append(f"pause {seconds:g}")
        self.on_pause()
        self.clock.at += timedelta(seconds=seconds)

    def say(self, text: str) -> None: ...


@dataclass
class Day:
    """A plan's file, a clock, and somebody who has checked in."""

    path: Path
    clock: Ticking
    stage: QuickStage
    said: list[str] = field(default_factory=list)

    def start(self, *, if_due: bool = False, overrides: Any = (), stage: QuickStage | None = None) -> int:
        asked = Start(
            file=self.path,
            instance="default",
            runs_dir=self.path.parent / "runs",
            overrides=overrides,
            if_due=if_due,
        )
        return start(asked, now=self.clock, say=self.said.append, stage=lambda _folder, _target: stage or self.stage)

    def drill(self) -> Any:
        with Journal.open() as journal:
            (drill,) = journal.drills()
            return drill, journal.steps(drill.id), journal.overrides(drill.id)


@pytest.fixture
def day(tmp_path: Path) -> Day:
    clock = Ticking(SUNDAY)
    text = TEXT.replace("- one.yaml", "- {run: one.yaml, pause: 1m}")
    found = Day(written(tmp_path, text), clock, QuickStage(clock))
    with Journal.open() as journal:
        journal.check_in("sunday", "Grace", SUNDAY)
    return found


def test_experiments_are_played_in_order_with_their_pauses_and_written_down(day: Day) -> None:
    assert day.start() == 0
    # No pause after the last one: there is nothing to wait for.
    assert day.stage.did == ["one.yaml", "pause 60", "two.yaml"]
    drill, steps, overrides = day.drill()
    assert (drill.state, drill.outcome, drill.abort_holder, drill.commander) == ("over", "passed", "Grace", "Ada")
    assert drill.scheduled == SUNDAY.replace(hour=1, minute=0)
    assert drill.review_due == drill.ended + timedelta(hours=24)
    assert [(one.phase, one.experiment, one.outcome, one.folder) for one in steps] == [
        ("first", "one.yaml", "passed", "/runs/one"),
        ("first", "two.yaml", "passed", "/runs/two"),
    ]
    assert not overrides


@pytest.mark.parametrize(("codes", "code", "outcome"), [([1, 0], 1, "failed"), ([0, 3], 3, "inconclusive")])
def test_a_finding_does_not_end_a_drill(day: Day, codes: list[int], code: int, outcome: str) -> None:
    day.stage.codes = codes
    assert day.start() == code
    drill, steps, _ = day.drill()
    assert drill.outcome == outcome
    assert len(steps) == 2


@pytest.mark.parametrize(("code", "outcome", "words"), [(4, "aborted", "was aborted"), (2, "error", "could not run")])
def test_an_aborted_experiment_ends_the_drill(day: Day, code: int, outcome: str, words: str) -> None:
    day.stage.codes = [code]
    assert day.start() == code
    assert day.stage.did == ["one.yaml"]
    drill, _, _ = day.drill()
    assert (drill.state, drill.outcome, drill.said) == ("over", outcome, f"experiment 1 of 2 (one.yaml) {words}")


@pytest.mark.parametrize("when", ["on_play", "on_pause"])
def test_ctrl_c_aborts_the_drill_wherever_it_is(day: Day, when: str) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    setattr(day.stage, when, interrupt)
    assert day.start() == 4
    drill, _, _ = day.drill()
    assert (drill.state, drill.outcome) == ("over", "aborted")
    assert "two.yaml" not in day.stage.did


def test_nothing_starts_after_the_window(day: Day) -> None:
    day.clock.at = SUNDAY.replace(hour=2, minute=50)
    assert day.start() == 4
    drill, _, _ = day.drill()
    assert drill.said == "the window closed before experiment 2 of 2 (two.yaml)"


def test_a_refused_start_plays_nothing_and_leaves_nothing(day: Day) -> None:
    day.clock.at = SUNDAY - timedelta(days=1)
    with pytest.raises(InvalidInput, match="the drill is refused") as caught:
        day.start()
    assert [line.strip().split(":")[0] for line in str(caught.value).splitlines()[1:]] == ["abort-holder", "window"]
    assert not day.stage.did
    assert not (day.path.parent / "runs").exists()
    with Journal.open() as journal:
        assert not journal.drills()
    with Minutes.open() as minutes:
        refused = minutes.refused(plan="sunday")
    assert [(one.rule, one.target, one.at) for one in refused] == [
        (rule, "embedded", SUNDAY - timedelta(days=1)) for rule in ("abort-holder", "window")
    ]


def test_a_drill_of_which_one_experiment_cannot_run_does_not_begin(day: Day) -> None:
    second = day.path.with_name("two.yaml")
    second.write_text(second.read_text("utf-8").replace("to: vector-db", "to: moon"), "utf-8")
    with pytest.raises(InvalidInput, match=r"two\.yaml:.*'moon'"):
        day.start()
    assert not day.stage.did
    with Journal.open() as journal, Minutes.open() as minutes:
        assert not journal.drills()
        assert [one.rule for one in minutes.refused()] == ["experiments"]


def test_an_override_stands_in_the_journal(day: Day) -> None:
    day.path.write_text(day.path.read_text("utf-8").replace("rollback: heal, then look\n", ""), "utf-8")
    assert day.start(overrides=[("rollback", "Ada", "we know it by heart")]) == 0
    _, _, (override,) = day.drill()
    assert (override.rule, override.by, override.why) == ("rollback", "Ada", "we know it by heart")
    assert any(line.startswith("OVERRIDDEN by Ada (we know it by heart): rollback:") for line in day.said)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (("rolback", "Ada", "x"), r"unknown rule 'rolback'; did you mean 'rollback'\?"),
        (("interrupted", "Ada", "x"), "nobody can override 'interrupted'"),
        (("rollback", "Mallory", "x"), "'Mallory' is none of the people"),
        (("rollback", "Ada", " "), "expected a reason"),
    ],
)
def test_an_override_needs_a_rule_a_person_and_a_reason(day: Day, override: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        day.start(overrides=[override])
    assert not day.stage.did


def test_of_two_starts_on_one_target_one_wins_and_the_other_says_who_holds_it(day: Day) -> None:
    told = []

    def second() -> None:
        with pytest.raises(EnvironmentProblem, match="is in use by run") as caught:
            day.start(stage=QuickStage(day.clock))
        told.append(str(caught.value))

    day.stage.on_play = second
    assert day.start() == 0
    drill, _, _ = day.drill()
    assert len(told) == 2
    assert all(drill.id in one and "a target has one game day at a time" in one for one in told)
    with Minutes.open() as minutes:
        assert [one.rule for one in minutes.refused()] == ["running", "running"]


def test_a_date_is_drilled_once(day: Day) -> None:
    assert day.start() == 0
    with Journal.open() as journal:
        journal.review(journal.drills()[0].id, by="Joan", at=day.clock())
    day.clock.at = SUNDAY + timedelta(minutes=40)
    with pytest.raises(InvalidInput, match="started: drill 2027-06-13T01-30-00Z-sunday was started for"):
        day.start()


def test_a_review_that_is_overdue_refuses_the_next_drill(day: Day) -> None:
    assert day.start() == 0
    day.clock.at = datetime(2027, 7, 18, 1, 30, tzinfo=UTC)
    with pytest.raises(
        InvalidInput, match="review: the review of drill 2027-06-13T01-30-00Z-sunday has been due since"
    ):
        day.start(overrides=[("window", "Ada", "x"), ("blackout", "Ada", "x"), ("abort-holder", "Ada", "x")])


@pytest.mark.parametrize("at", [SUNDAY - timedelta(days=7), SUNDAY + timedelta(hours=2)])
def test_an_engine_s_start_on_another_day_is_no_failure(day: Day, at: datetime) -> None:
    day.clock.at = at
    assert day.start(if_due=True) == 0
    assert "no drill now" in day.said[0]
    assert not day.stage.did
    with Minutes.open() as minutes:
        assert not minutes.refused()


def test_an_engine_s_start_that_people_have_prevented_is_one(day: Day) -> None:
    with Journal.open() as journal:
        journal.check_in("sunday", "Grace", SUNDAY - timedelta(days=1))
    day.clock.at = SUNDAY + timedelta(days=28)  # The second Sunday of July lies in a blackout.
    assert day.start(if_due=True) == 0
    day.clock.at = datetime(2027, 8, 8, 1, 30, tzinfo=UTC)
    with pytest.raises(InvalidInput, match="abort-holder"):
        day.start(if_due=True)
    with Minutes.open() as minutes:
        assert [one.rule for one in minutes.refused()] == ["abort-holder"]


def test_an_interrupted_drill_holds_every_other_one_on_its_target_up(day: Day) -> None:
    from tests.gameday.test_journal import GONE, new

    with Journal.open() as journal:
        journal.begin(new("d1", plan="monday", of=GONE), [])
    with pytest.raises(InvalidInput, match="interrupted: drill d1 was interrupted"):
        day.start()
    with Journal.open() as journal:
        journal.look("d1", by="Grace", at=day.clock())
    assert day.start() == 0
