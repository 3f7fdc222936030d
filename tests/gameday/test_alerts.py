"""Alertmanager's webhook: what counts as a mark, what is refused, and with what words."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from brownout.errors import EnvironmentProblem
from brownout.gameday.alerts import MAX_BODY, TOKEN, routes, token_from
from brownout.gameday.plan import Detection
from brownout.gameday.rows import Mark
from tests.gameday.plans import NOON, Ticking

SECRET = "a-token-of-this-drill"
STARTS = NOON - timedelta(seconds=2)


def alert(name: str = "AvailabilityBurnsFast", **changes: Any) -> dict[str, Any]:
    """As Alertmanager 0.25 sends one."""
    standard = {
        "status": "firing",
        "labels": {"alertname": name, "severity": "page", "slo": "availability"},
        "annotations": {"summary": "It burns", "team": "platform"},
        "startsAt": "2027-06-06T11:59:58.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": "c5d1a7a7e8f2b1a0",
    }
    return {**standard, **changes}


def notification(*alerts: Any, **changes: Any) -> dict[str, Any]:
    standard = {
        "receiver": "drill",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
    }
    return {**standard, **changes}


class Drill:
    """What the routes are mounted in."""

    def __init__(self, detection: Detection | None = None) -> None:
        self.marks: list[Mark] = []
        self.step: int | None = 1
        self.now = Ticking()
        self.problem: Exception | None = None
        found = routes(self._mark, step=lambda: self.step, now=self.now, token=SECRET, detection=detection)
        self._app = Starlette(routes=list(found))

    async def _mark(self, mark: Mark) -> None:
        if self.problem is not None:
            raise self.problem
        self.marks.append(mark)

    def post(
        self, body: Any, *, token: str | None = f"Bearer {SECRET}", content: bytes | None = None
    ) -> httpx.Response:
        headers = {} if token is None else {"authorization": token.encode()}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://drill") as client:
                sent = json.dumps(body).encode() if content is None else content
                return await client.post("/alerts", content=sent, headers=headers)

        return asyncio.run(ask())


def test_an_alert_that_fires_is_a_mark_of_when_it_came_in_and_says_since_when_it_fires() -> None:
    drill = Drill()
    answer = drill.post(notification(alert()))
    assert (answer.status_code, answer.json()) == (200, {"marked": ["AvailabilityBurnsFast"], "ignored": {}})
    since = datetime(2027, 6, 6, 11, 59, 58, 123456, tzinfo=UTC)
    assert drill.marks == [Mark(1, "detected", "alert", "AvailabilityBurnsFast", NOON, since=since)]


def test_what_is_sent_again_is_no_second_mark_but_what_fires_again_is() -> None:
    drill = Drill()
    drill.post(notification(alert()))
    drill.now.at += timedelta(minutes=5)
    again = drill.post(notification(alert(), alert("FirstTokenBurnsFast")))
    assert again.json() == {
        "marked": ["FirstTokenBurnsFast"],
        "ignored": {"AvailabilityBurnsFast": "it was heard of before"},
    }
    drill.post(notification(alert(status="resolved")))
    drill.step = 2
    drill.post(notification(alert(startsAt="2027-06-06T12:10:00+00:00")))
    assert [(mark.step, mark.by) for mark in drill.marks] == [
        (1, "AvailabilityBurnsFast"),
        (1, "FirstTokenBurnsFast"),
        (2, "AvailabilityBurnsFast"),
    ]


def test_an_alert_from_before_the_first_experiment_does_not_become_a_mark_later() -> None:
    drill = Drill()
    drill.step = None
    assert drill.post(notification(alert())).json()["ignored"] == {"AvailabilityBurnsFast": "no experiment has begun"}
    drill.step = 1
    drill.post(notification(alert()))
    assert drill.marks == []


def test_what_is_resolved_detects_nothing() -> None:
    drill = Drill()
    assert drill.post(notification(alert(status="resolved"))).status_code == 200
    assert drill.marks == []


@pytest.mark.parametrize(
    ("detection", "marked"),
    [
        (Detection(), ["AvailabilityBurnsFast", "Watchdog"]),
        (Detection(alerts=("Watchdog",)), ["Watchdog"]),
        (Detection(matching={"slo": "availability", "team": "platform"}), ["AvailabilityBurnsFast", "Watchdog"]),
        (Detection(matching={"severity": "ticket"}), []),
        (Detection(alerts=("Watchdog",), matching={"severity": "ticket"}), []),
    ],
)
def test_the_plan_says_which_alerts_count(detection: Detection, marked: list[str]) -> None:
    drill = Drill(detection)
    drill.post(notification(alert(), alert("Watchdog")))
    assert [mark.by for mark in drill.marks] == marked


@pytest.mark.parametrize("token", [None, "Bearer wrong", SECRET, f"Basic {SECRET}", "Bearer ", f"Bearer {SECRET}é"])
def test_without_the_token_nothing_is_told(token: str | None) -> None:
    drill = Drill()
    answer = drill.post(notification(alert()), token=token)
    assert (answer.status_code, answer.headers["www-authenticate"], drill.marks) == (401, "Bearer", [])
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "expected a JSON object"),
        ({}, "version '4'; got null"),
        (notification(alert(), version="3"), "version '4'; got \"3\""),
        (notification(alert(), alerts=None), "alerts: expected a list; got null"),
        (notification("fire"), 'alerts[0]: expected an object; got "fire"'),
        (notification(alert(), alert(status="loud")), "alerts[1].status: expected firing or resolved"),
        (notification(alert(labels={"alertname": 7})), "alerts[0].labels: expected an object of texts"),
        (notification(alert(startsAt="yesterday")), "alerts[0].startsAt: expected a time such as 2027-01-31T10:00:00Z"),
        (notification(alert(startsAt="2027-06-06T11:59:58")), "alerts[0].startsAt: expected a time"),
    ],
)
def test_what_is_no_notification_is_refused_whole_and_says_why(body: Any, says: str) -> None:
    drill = Drill()
    answer = drill.post(body)
    assert (answer.status_code, drill.marks) == (400, [])
    assert says in answer.json()["error"]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"status": st.sampled_from(["firing", "resolved"]) | JSON},
            optional={
                "labels": JSON | st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
                "annotations": JSON,
                "startsAt": JSON | st.datetimes().map(lambda at: f"{at.isoformat()}Z"),
            },
        )
        | JSON
    )
)
def test_whatever_is_sent_is_taken_or_refused_and_breaks_nothing(alerts: list[Any]) -> None:
    drill = Drill()
    answer = drill.post(notification(*alerts))
    assert answer.status_code in (200, 400)
    assert (answer.status_code == 200) or not drill.marks


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    answer = Drill().post(None, content=content)
    assert (answer.status_code, answer.json()) == (400, {"error": "expected JSON"})


def test_what_is_too_large_is_refused() -> None:
    answer = Drill().post(None, content=b" " * (MAX_BODY + 1))
    assert (answer.status_code, answer.json()) == (413, {"error": f"a notification has at most {MAX_BODY} bytes"})


def test_a_mark_that_could_not_be_written_down_is_taken_when_it_is_sent_again() -> None:
    drill = Drill()
    drill.problem = EnvironmentProblem("the disk is full")
    assert drill.post(notification(alert())).status_code == 503
    drill.problem = RuntimeError("something else")
    assert drill.post(notification(alert())).status_code == 500
    drill.problem = None
    drill.post(notification(alert()))
    assert len(drill.marks) == 1


def test_a_name_from_outside_is_made_safe_to_show() -> None:
    drill = Drill()
    drill.post(notification(alert("red\x1b[31m\nalert" + "x" * 500), alert(labels={})))
    first, second = (mark.by for mark in drill.marks)
    assert first.startswith("red\ufffd[31m alert")
    assert len(first) == 120
    assert second == "an alert without a name"


def test_the_token_is_given_or_not_and_a_poor_one_is_refused() -> None:
    assert token_from({}) is None
    assert token_from({TOKEN: SECRET}) == SECRET
    for poor in ("", "short", "with spaces in the middle", "ümlaut" * 4):
        with pytest.raises(EnvironmentProblem, match="at least 16 printable") as refused:
            token_from({TOKEN: poor})
        assert not poor or poor not in str(refused.value)
