"""Whoever tells a drill something, and whoever is told of it, as `chaos gameday run` brings them together."""

import asyncio
import re
from contextlib import AsyncExitStack

import httpx
import pytest

from brownout.cli import _drill
from brownout.errors import EnvironmentProblem
from brownout.gameday.abort import Abort
from brownout.gameday.alerts import TOKEN
from brownout.gameday.desk import Desk
from brownout.gameday.events import DrillBegan, DrillEnded, Marked, StepBegan
from brownout.gameday.minutes import Minutes
from brownout.gameday.plan import Detection, GameDay
from tests.gameday.plans import NOON, Ticking, plan
from tests.gameday.room.drills import Kept
from tests.gameday.test_alerts import SECRET, alert, notification
from tests.gameday.test_notify import BEGAN, DRILL, Receiver, receiver

__all__ = ["receiver"]
NAME = "2027-06-06T12-00-00Z-sunday"


def desk_of(planned: GameDay, minutes: Minutes, said: list[str]) -> Desk:
    now = Ticking()
    return Desk(NAME, planned, abort=Abort(now), minutes=minutes, now=now, say=said.append)


def test_an_alert_that_comes_to_the_control_room_is_marked_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TOKEN, SECRET)
    kept = Kept()

    async def drill(desk: Desk) -> tuple[httpx.Response, httpx.Response]:
        async with AsyncExitStack() as opened, httpx.AsyncClient(trust_env=False) as client:
            desk.watchers += [kept, *await opened.enter_async_context(_drill._room(0)(desk))]
            told = re.search(r"http://127\.0\.0\.1:\d+", capsys.readouterr().out)
            assert told is not None
            await desk.tell(StepBegan(number=1, of=1, phase="first", experiment=BEGAN.folder / "one.yaml", at=NOON))
            body, headers = notification(alert(), alert("Unrelated")), {"authorization": f"Bearer {SECRET}"}
            refused = await client.post(f"{told[0]}/alerts", json=body)
            return refused, await client.post(f"{told[0]}/alerts", json=body, headers=headers)

    with Minutes.open() as minutes:
        counted = plan(detection=Detection(alerts=("AvailabilityBurnsFast",)))
        refused, taken = asyncio.run(drill(desk_of(counted, minutes, [])))
        (mark,) = minutes.marks(NAME)
    assert (refused.status_code, taken.status_code) == (401, 200)
    assert taken.json()["marked"] == ["AvailabilityBurnsFast"]
    assert (mark.step, mark.source, mark.by) == (1, "alert", "AvailabilityBurnsFast")
    assert [one for one in kept.told if isinstance(one, Marked)] == [Marked(mark=mark)]


def test_webhooks_hear_of_the_drill_and_what_they_did_not_hear_of_is_in_the_minutes(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.statuses = [200, 403]
    monkeypatch.setenv("SLACK_WEBHOOK_URL", receiver.url)

    async def drill(desk: Desk) -> None:
        async with _drill._notified(desk) as watchers:
            desk.watchers += watchers
            for event in DRILL:
                if isinstance(event, DrillBegan | DrillEnded):
                    await desk.tell(event)

    with Minutes.open() as minutes:
        asyncio.run(drill(desk_of(plan(notify=("SLACK_WEBHOOK_URL",)), minutes, [])))
        (note,) = minutes.notes(NAME)
    assert len(receiver.told) == 2
    assert note.what == "the webhook of SLACK_WEBHOOK_URL was not told of the end: it answered 403"
    assert note.what in capsys.readouterr().out


def test_a_webhook_without_its_url_is_told_before_the_drill_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)

    async def drill(desk: Desk) -> None:
        async with _drill._notified(desk):
            raise AssertionError

    with Minutes.open() as minutes, pytest.raises(EnvironmentProblem, match="SLACK_WEBHOOK_URL is not set"):
        asyncio.run(drill(desk_of(plan(notify=("SLACK_WEBHOOK_URL",)), minutes, [])))
