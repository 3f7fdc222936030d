"""Webhooks that are told of a drill, on a real server, and what becomes of the drill when they do not answer."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server

import pytest

from brownout.errors import EnvironmentProblem
from brownout.gameday.events import AbortAsked, DrillBegan, DrillEnded, Event, StepBegan, StepEnded
from brownout.gameday.notify import Webhook, WebhookNotifier, webhooks
from tests.gameday.plans import NOON, plan

SECRET = "T0000/B0000/not-for-your-eyes"
BEGAN = DrillBegan(
    drill="2027-06-06T12-00-00Z-sunday",
    plan=plan(title="A <Sunday> & a night"),
    target="embedded",
    instance="default",
    folder=Path("runs"),
    abort_holder="Grace",
    at=NOON,
)
DRILL: Sequence[Event] = (
    BEGAN,
    StepBegan(number=1, of=2, phase="first", experiment=Path("one.yaml"), at=NOON),
    StepEnded(number=1, outcome="failed", folder=None, at=NOON),
    AbortAsked(by="Grace", why="customers call", at=NOON),
    DrillEnded(outcome="aborted", said="aborted by Grace", at=NOON),
)


@dataclass
class Receiver:
    """A webhook on this machine; answers with these statuses in turn, with the last one for good."""

    statuses: list[int]
    url: str = ""
    told: list[dict[str, object]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    """Set where it answers; else it keeps whoever asks waiting until it is."""

    def webhook(self, name: str = "SLACK_WEBHOOK_URL") -> Webhook:
        return Webhook(name, self.url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver([200])
    one.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            one.paths.append(self.path)
            one.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            one.hold.wait(60)
            status = one.statuses.pop(0) if len(one.statuses) > 1 else one.statuses[0]
            self.send_response(status)
            self.send_header("content-length", "0")
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.url = f"http://127.0.0.1:{server.server_address[1]}/services/{SECRET}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield one
    one.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


def played(*told: Webhook, events: Sequence[Event] = DRILL, attempt: float = 20.0, closing: float = 60.0) -> list[str]:
    """Play a drill, and return what could not be delivered."""
    said: list[str] = []

    async def play() -> None:
        async with WebhookNotifier(told, tell=said.append, attempt=attempt, pauses=(0, 0), closing=closing) as one:
            for event in events:
                await one.on(event)

    asyncio.run(play())
    return said


def test_a_drill_tells_its_start_its_abort_and_its_end_as_slack_reads_it(receiver: Receiver) -> None:
    assert played(receiver.webhook()) == []
    assert [one["text"] for one in receiver.told] == [
        "Game day begins: A &lt;Sunday&gt; &amp; a night",
        "Game day is aborted: A &lt;Sunday&gt; &amp; a night",
        "Game day is over, aborted: A &lt;Sunday&gt; &amp; a night",
    ]
    first, abort, end = (one["blocks"] for one in receiver.told)
    assert first == [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": "Game day begins: A <Sunday> & a night", "emoji": False},
        },
        {
            "type": "section",
            "text": {
                "type": "mrkdwn",
                "text": "Drill: 2027-06-06T12-00-00Z-sunday\nBreaks: embedded (instance default), 2 experiments\n"
                "Commander: Ada; the abort is held by Grace\nGoals: detect within 5 min, mitigate within 15 min",
                "verbatim": True,
            },
        },
    ]
    assert "customers call" in str(abort)
    assert "1. one.yaml: failed" in str(end)


def test_it_is_tried_three_times(receiver: Receiver) -> None:
    receiver.statuses = [500, 429, 200]
    assert played(receiver.webhook(), events=DRILL[:1]) == []
    assert len(receiver.told) == 3


@pytest.mark.parametrize(
    ("status", "tries", "says"),
    [(500, 3, "it answered 500 (3 tries)"), (404, 1, "it answered 404"), (302, 1, "it answered 302")],
)
def test_one_that_refuses_is_said_by_its_variable_and_no_more(
    receiver: Receiver, status: int, tries: int, says: str
) -> None:
    receiver.statuses = [status]
    assert played(receiver.webhook(), events=DRILL[:1]) == [
        f"the webhook of SLACK_WEBHOOK_URL was not told of the start: {says}"
    ]
    assert receiver.paths == [f"/services/{SECRET}"] * tries


def test_one_that_is_not_there_is_said(receiver: Receiver) -> None:
    with closing(create_server(("127.0.0.1", 0))) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}"
    said = played(Webhook("A", url), Webhook("B", f"http://[::1]:1/{SECRET}"), receiver.webhook(), events=DRILL[:1])
    assert sorted(said) == [
        f"the webhook of {name} was not told of the start: no connection (3 tries)" for name in ("A", "B")
    ]
    assert len(receiver.told) == 1


def test_one_that_hangs_holds_up_neither_the_drill_nor_the_others(receiver: Receiver) -> None:
    receiver.hold.clear()
    said: list[str] = []

    async def play() -> None:
        # It listens and answers nothing at all.
        with closing(create_server(("127.0.0.1", 0))) as deaf:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
            async with WebhookNotifier(
                [Webhook("DEAF", url), receiver.webhook("SLOW")], tell=said.append, attempt=60, closing=0.3
            ) as one:
                for event in DRILL:
                    await one.on(event)
                assert said == []

    asyncio.run(play())
    late = "the drill was over before it answered"
    assert sorted(said) == sorted(
        f"the webhook of {name} was not told of the {what}: {late}"
        for name in ("DEAF", "SLOW")
        for what in ("start", "abort", "end")
    )


def test_one_that_does_not_answer_in_time_is_said(receiver: Receiver) -> None:
    receiver.hold.clear()
    said = played(receiver.webhook(), events=DRILL[:1], attempt=0.2)
    assert said == ["the webhook of SLACK_WEBHOOK_URL was not told of the start: no answer within 200 ms (3 tries)"]


def test_its_url_is_nowhere(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.statuses = [500, 500, 500, 200]
    said = played(receiver.webhook())
    assert len(said) == 1
    assert "not-for-your-eyes" not in "".join([*said, caplog.text, repr(receiver.webhook()), *capsys.readouterr()])


def test_others_log_as_they_did(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    played(receiver.webhook())
    caplog.set_level(logging.INFO)
    logging.getLogger("httpx").info("somebody else's")
    assert caplog.messages == ["somebody else's"]
    assert logging.getLogger("httpx").filters == []


def test_urls_come_from_the_environment_and_what_is_wrong_with_one_is_said_without_it() -> None:
    url = f"https://hooks.example.com/{SECRET}"
    assert webhooks(["A", "B"], {"A": url, "B": f" {url}\n"}) == [Webhook("A", url), Webhook("B", url)]
    with pytest.raises(EnvironmentProblem) as refused:
        webhooks(["A", "B", "C"], {"A": f"ftp://{SECRET}", "B": "", "C": f"https:///{SECRET}"})
    assert str(refused.value).splitlines() == [
        "notify: what A holds is no URL of http or https",
        "notify: the environment variable B is not set: it is to hold the webhook's URL",
        "notify: what C holds is no URL of http or https",
    ]
