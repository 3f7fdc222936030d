"""What the control room knows of a drill, from its events alone."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from brownout.gameday.events import (
    AbortAsked,
    DrillBegan,
    DrillEnded,
    Event,
    Marked,
    Noted,
    Paused,
    StepBegan,
    StepEnded,
    StepTold,
)
from brownout.gameday.room.board import ENTRIES, SAMPLES, Board
from brownout.gameday.rows import Mark, Note
from tests.gameday.plans import NOON, plan
from tests.gameday.room.drills import FAULT, tick

T0 = NOON.timestamp()


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def began() -> list[Event]:
    start = DrillBegan(
        drill="d1", plan=plan(), target="embedded", instance="default", folder=Path("/r"), abort_holder="Grace", at=NOON
    )
    return [start, StepBegan(number=1, of=2, phase="first", experiment=Path("/x/one.yaml"), at=at(1))]


def told(seconds: float, what: Mapping[str, Any]) -> Event:
    return StepTold(number=1, told=what, at=at(seconds))


def shown(*events: Event) -> dict[str, Any]:
    async def take() -> dict[str, Any]:
        board = Board(plan())
        for event in [*began(), *events]:
            await board.on(event)
        return board.shown()

    return asyncio.run(take())


def test_what_is_broken_and_until_when_is_known_from_a_tick() -> None:
    now = shown(told(2, tick(1, broken=False)), told(3, tick(7, broken=True)))
    assert now["faults"] == [{"title": FAULT, "until": T0 + 3 + 42.0}]
    assert {one["name"]: one["state"] for one in now["breakers"]}["vector-db"] == "open"
    assert now["figures"]["errors"] == 1.0
    assert now["figures"]["ttft_p95"] == 0.96
    assert (now["steps"][0]["state"], now["steps"][0]["broken"], now["steps"][0]["whole"]) == ("running", T0 + 3, None)


def test_what_was_healed_is_whole_before_the_next_tick() -> None:
    now = shown(told(3, tick(7, broken=True)), told(4, {"event": "note", "at": 9.0, "text": f"{FAULT}: healed"}))
    assert now["faults"] == []
    assert now["steps"][0]["whole"] == T0 + 4
    again = shown(told(3, tick(7, broken=True)), told(4, tick(8, broken=False)), told(5, tick(9, broken=True)))
    assert (again["steps"][0]["broken"], again["steps"][0]["whole"]) == (T0 + 3, None)


def test_a_step_that_ended_has_nothing_broken_whatever_was_told_last() -> None:
    now = shown(
        told(3, tick(7, broken=True)),
        AbortAsked(by="Grace", why="smoke", at=at(4)),
        StepEnded(number=1, outcome="aborted", folder=None, at=at(5)),
    )
    assert (now["faults"], now["figures"]) == ([], None)
    assert now["abort"] == {"by": "Grace", "why": "smoke", "at": T0 + 4}
    assert (now["steps"][0]["state"], now["steps"][0]["whole"]) == ("aborted", T0 + 5)
    assert now["steps"][1]["state"] == "to come"


def test_of_several_who_noticed_the_first_counts() -> None:
    marks = [
        Mark(1, "detected", "person", "Grace", at(9)),
        Mark(1, "detected", "alert", "BudgetBurns", at(7)),
        Mark(1, "detected", "person", "Ada", at(8)),
        Mark(99, "detected", "alert", "Stray", at(1)),
    ]
    now = shown(told(3, tick(7, broken=True)), *(Marked(mark=one) for one in marks))
    assert now["steps"][0]["detected"] == {"by": "BudgetBurns", "source": "alert", "at": T0 + 7}
    assert now["steps"][0]["mitigated"] is None


def test_nobody_notices_a_fault_that_is_not_there_yet() -> None:
    early = Mark(1, "detected", "person", "Ada", at(2))
    before = Mark(1, "detected", "alert", "BudgetBurns", at(20), since=at(5))
    now = shown(Marked(mark=early), told(10, tick(7, broken=True)), Marked(mark=before))
    assert now["steps"][0]["detected"] is None
    assert [one["text"] for one in now["log"] if one["kind"] == "detected"] == [
        "experiment 1: before its fault; it does not count"
    ] * 2


def test_a_pause_is_shown_until_the_next_experiment_begins() -> None:
    paused = Paused(until=at(60), at=at(10))
    assert shown(paused)["pause"] == T0 + 60
    following = StepBegan(number=2, of=2, phase="first", experiment=Path("two.yaml"), at=at(60))
    assert shown(paused, following)["pause"] is None
    assert shown(paused, DrillEnded(outcome="aborted", said=None, at=at(20)))["pause"] is None


def test_it_holds_no_more_than_a_page_can_show() -> None:
    notes = [Noted(note=Note(at(n), "Joan", "x" * 5000)) for n in range(ENTRIES + 50)]
    now = shown(*notes, *(told(n, tick(n, broken=False)) for n in range(SAMPLES + 50)))
    assert (len(now["log"]), len(now["samples"])) == (ENTRIES, SAMPLES)
    assert max(len(one["text"]) for one in now["log"]) <= 600


def test_whoever_waits_for_news_is_told_of_them() -> None:
    async def take() -> int:
        board = Board(plan())
        waiting = asyncio.create_task(board.newer_than(board.version))
        await asyncio.sleep(0)
        assert not waiting.done()
        await board.on(began()[0])
        return await waiting

    assert asyncio.run(take()) == 1
