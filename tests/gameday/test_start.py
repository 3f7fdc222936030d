"""From a plan's file to a drill that was played, or to every reason why it was not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from brownout.errors import EnvironmentProblem, InvalidInput
from brownout.gameday.abort import Abort
from brownout.gameday.desk import Desk
from brownout.gameday.drill import Played, Tell
from brownout.gameday.events import Event, Watcher
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.start import Opened, Start, start
from tests.gameday.plans import TEXT, Ticking, written

SUNDAY = datetime(2027, 6, 13, 1, 30, tzinfo=UTC)
"""Half past three in Berlin, on the second Sunday of June."""

HEALED = "all was whole 31 ms later"


@dataclass
class QuickStage:
    """A stage on which experiments take a quarter of an hour of no time at all, and end as a test says."""

    clock: Ticking
    codes: list[int] = field(default_factory=list)
    on_play: Callable[[], object] = lambda: None
    on_pause: Callable[[], object] = lambda: None
    did: list[str] = field(default_factory=list)
    tells: Sequence[Mapping[str, Any]] = ()
    scale: float = 1.0

    async def play(self, experiment: Path, *, abort: Abort, tell: Tell) -> Played:
        self.did.append(experiment.name)
        self.on_play()
        for told in self.tells:
            await tell(told)
        if abort.asked is not None:
            return Played(4, Path("/runs") / experiment.stem, HEALED)
        self.clock.at += timedelta(minutes=15)
        return Played(self.codes.pop(0) if self.codes else 0, Path("/runs") / experiment.stem)

    async def pause(self, seconds: float) -> None:
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
    abort: Abort | None = None
    """Of the drill that goes on."""

    def start(self, *, if_due: bool = False, overrides: Any = (), watched: Sequence[Opened] = ()) -> int:
        return asyncio.run(self.started(self.stage, if_due=if_due, overrides=overrides, watched=watched))

    async def started(
        self, stage: QuickStage, *, if_due: bool = False, overrides: Any = (), watched: Sequence[Opened] = ()
    ) -> int:
        asked = Start(
            file=self.path,
            instance="default",
            runs_dir=self.path.parent / "runs",
            overrides=overrides,
            if_due=if_due,
        )
        self.abort = Abort(self.clock)
        return await start(
            asked,
            now=self.clock,
            say=self.said.append,
            stage=lambda *_: stage,
            abort=self.abort,
            watched=watched,
        )

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


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("on_play", f"experiment 1 of 2 (one.yaml) was aborted by Grace: smoke; {HEALED}"),
        ("on_pause", "stopped before experiment 2 of 2 (two.yaml) by Grace: smoke"),
    ],
)
def test_an_abort_ends_the_drill_wherever_it_is(day: Day, when: str, said: str) -> None:
    def abort() -> None:
        assert day.abort is not None
        assert day.abort.ask("Grace", "smoke")
        assert not day.abort.ask("Ada", "too late: the first one counts")

    setattr(day.stage, when, abort)
    assert day.start() == 4
    drill, _, _ = day.drill()
    assert (drill.state, drill.outcome, drill.said) == ("over", "aborted", said)
    assert "two.yaml" not in day.stage.did


def test_an_abort_condition_ends_the_drill_and_says_which(day: Day) -> None:
    day.stage.tells = [{"event": "note", "at": 7.5, "text": "ABORTED: availability below 10%"}]
    day.stage.codes = [4]
    assert day.start() == 4
    drill, _, _ = day.drill()
    assert "experiment 1 of 2 (one.yaml) was aborted by one.yaml: availability below 10%" in drill.said


def test_a_drill_that_was_aborted_before_it_began_leaves_nothing(day: Day) -> None:
    async def aborted() -> int:
        asked = Start(file=day.path, instance="default", runs_dir=day.path.parent / "runs")
        abort = Abort(day.clock)
        abort.ask("whoever is at the terminal", "interrupted by SIGINT")
        return await start(asked, now=day.clock, say=day.said.append, stage=lambda *_: day.stage, abort=abort)

    assert asyncio.run(aborted()) == 4
    assert not day.stage.did
    with Journal.open() as journal:
        assert not journal.drills()


@dataclass
class Kept:
    """A watcher that keeps what it is told, and fails where a test wants it to."""

    told: list[Event] = field(default_factory=list)
    fails: bool = False

    async def on(self, event: Event) -> None:
        self.told.append(event)
        if self.fails:
            msg = "no network"
            raise OSError(msg)


def test_all_watchers_are_told_everything_in_order_and_none_of_them_ends_the_drill(day: Day) -> None:
    watchers = [Kept(fails=True), Kept()]

    @asynccontextmanager
    async def watched(_desk: Desk) -> AsyncIterator[Sequence[Watcher]]:
        yield watchers

    day.stage.tells = [{"event": "tick", "rate": 20.0}]
    assert day.start(watched=[watched]) == 0
    expected = ["DrillBegan"] + ["StepBegan", "StepTold", "StepEnded", "Paused"] * 2 + ["DrillEnded"]
    expected.pop(-2)
    assert [type(one).__name__ for one in watchers[1].told] == expected
    assert watchers[0].told == watchers[1].told
    assert "Kept failed: OSError: no network" in day.said


def test_nothing_is_broken_before_all_that_the_drill_waits_for_has_happened(day: Day) -> None:
    @asynccontextmanager
    async def watched(desk: Desk) -> AsyncIterator[Sequence[Watcher]]:
        async def ready() -> None:
            assert not day.stage.did
            desk.abort.ask("the control room", "nobody came")

        desk.waits_for.append(ready)
        yield ()

    assert day.start(watched=[watched]) == 4
    assert not day.stage.did
    drill, steps, _ = day.drill()
    assert drill.said == "stopped before experiment 1 of 2 (one.yaml) by the control room: nobody came"
    assert not steps


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

    class Contested(QuickStage):
        async def play(self, experiment: Path, *, abort: Abort, tell: Tell) -> Played:
            with pytest.raises(EnvironmentProblem, match="is in use by run") as caught:
                await day.started(QuickStage(day.clock))
            told.append(str(caught.value))
            return await super().play(experiment, abort=abort, tell=tell)

    day.stage = Contested(day.clock)
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
