"""Recorders against a real HTTP server whose answers the test decides."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, cast

import httpx
import pytest

from brownout.clock import RunClock
from brownout.evidence.model import Event, Sample, Transition
from brownout.recorders import Presence, _polling, follow_breakers, follow_metrics, follow_services
from brownout.recorders._polling import RecorderFailed, poll
from brownout.recorders.platform import follow_happenings, follow_readings
from brownout.target import Happening, Reading, ServiceState, Source, Target

PATIENCE = 60.0
METRICS = """\
# TYPE circuit_breaker_state gauge
circuit_breaker_state{dependency="vector-db"} 2.0
# TYPE ttft_seconds histogram
ttft_seconds_bucket{le="0.1"} 3
ttft_seconds_bucket{le="+Inf"} 4
ttft_seconds_count 4
ttft_seconds_sum 0.9
# TYPE process_cpu_seconds counter
process_cpu_seconds_total 1.0
"""


class Hurried(RunClock):
    """A clock on which every wait is over at once."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, at: float) -> None:
        await asyncio.sleep(0)
        self.time = max(self.time, at)


def served(
    respond: Callable[[str, str], tuple[int, str]], use: Callable[[str, httpx.AsyncClient], Coroutine[Any, Any, None]]
) -> None:
    """Serve `respond(path, head) -> (status, body)` and run `use(base_url, client)`."""

    async def work() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                status, body = respond(head.split(" ")[1], head.lower())
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode()
                )
                await writer.drain()
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, httpx.AsyncClient(trust_env=False) as client:
            await use(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", client)

    asyncio.run(work())


def test_breaker_events_are_recorded_once_with_their_own_times() -> None:
    asked: list[str] = []
    clock = RunClock()
    events = [
        {"seq": 1, "at": clock.started_at - 9, "kind": "breaker", "dependency": "a", "from": None, "to": "closed"},
        {"seq": 2, "at": clock.started_at + 0.25, "kind": "breaker", "dependency": "a", "from": "closed", "to": "open"},
        {"seq": 3, "at": clock.started_at + 0.3, "kind": "something-else"},
    ]
    seen: list[Transition] = []
    done = asyncio.Event()

    def respond(path: str, head: str) -> tuple[int, str]:
        asked.append(path)
        assert "authorization: bearer admin" in head
        after = int(path.partition("after=")[2])
        if len(asked) == 3:
            done.set()
        return 200, json.dumps({"next": 3, "events": [event for event in events if event["seq"] > after]})

    async def use(url: str, client: httpx.AsyncClient) -> None:
        source = Source("breaker-events", "gateway", f"{url}/events", token="admin")
        task = asyncio.create_task(follow_breakers(source, client=client, clock=clock, add=seen.append, every=0.01))
        await asyncio.wait_for(done.wait(), PATIENCE)
        task.cancel()

    served(respond, use)

    assert [(t.dependency, t.old, t.new) for t in seen] == [("a", None, "closed"), ("a", "closed", "open")]
    # What was so before the run is so at its start.
    assert seen[0].at == 0.0
    assert seen[1].at == pytest.approx(0.25)
    assert asked[1].endswith("after=3")


def test_metrics_are_recorded_without_buckets_and_the_interpreters_own() -> None:
    seen: list[Sample] = []
    done = asyncio.Event()

    def respond(path: str, head: str) -> tuple[int, str]:
        if seen:
            done.set()
        return 200, METRICS

    async def use(url: str, client: httpx.AsyncClient) -> None:
        source = Source("prometheus", "gateway", f"{url}/metrics")
        task = asyncio.create_task(follow_metrics(source, client=client, clock=RunClock(), add=seen.append, every=0.01))
        await asyncio.wait_for(done.wait(), PATIENCE)
        task.cancel()

    served(respond, use)

    assert {(s.metric, s.labels, s.value) for s in seen} == {
        ("circuit_breaker_state", (("dependency", "vector-db"),), 2.0),
        ("ttft_seconds_count", (), 4.0),
        ("ttft_seconds_sum", (), 0.9),
    }


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        '{"next": 1, "events": 3}',
        '{"events": []}',
        '{"next": 1, "events": [{"seq": "x"}]}',
        '{"next": 1, "events": [3]}',
        '{"next": 1, "events": [{}]}',
        '{"next": 1, "events": [{"seq": 1, "kind": "breaker", "dependency": "a", "to": "half_open", "at": 1}]}',
    ],
)
def test_a_source_that_answers_nonsense_breaks_its_recorder(body: str) -> None:
    async def use(url: str, client: httpx.AsyncClient) -> None:
        source = Source("breaker-events", "gateway", f"{url}/events")
        with pytest.raises(RecorderFailed, match="gateway's breakers saw nothing for"):
            await follow_breakers(source, client=client, clock=Hurried(), add=lambda _: None, every=1)

    served(lambda path, head: (200, body), use)


def test_a_service_that_began_anew_is_read_from_its_first_event() -> None:
    clock = RunClock()
    seen: list[Transition] = []
    done = asyncio.Event()
    asked = 0

    def event(seq: int, to: str) -> dict[str, Any]:
        return {"seq": seq, "at": clock.started_at + seq, "kind": "breaker", "dependency": "a", "to": to}

    def respond(path: str, head: str) -> tuple[int, str]:
        nonlocal asked
        asked += 1
        after = int(path.partition("after=")[2])
        events = [event(1, "closed"), event(2, "open")] if asked == 1 else [event(1, "half-open")]
        if asked == 4:
            done.set()
        return 200, json.dumps({"next": len(events), "events": [one for one in events if one["seq"] > after]})

    async def use(url: str, client: httpx.AsyncClient) -> None:
        source = Source("breaker-events", "gateway", f"{url}/events")
        task = asyncio.create_task(follow_breakers(source, client=client, clock=clock, add=seen.append, every=0.01))
        await asyncio.wait_for(done.wait(), PATIENCE)
        task.cancel()

    served(respond, use)

    assert [transition.new for transition in seen] == ["closed", "open", "half-open"]


def test_a_look_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_polling, "PATIENCE", 0.05)

    async def look() -> None:
        await asyncio.Event().wait()

    async def work() -> None:
        async with asyncio.timeout(10):
            await poll(look, every=0.01, clock=RunClock(), name="the void")

    with pytest.raises(RecorderFailed, match=r"the void saw nothing for .*: a look did not end within 0\.05 s"):
        asyncio.run(work())


@pytest.mark.parametrize(("looks", "said"), [(0, "never saw anything"), (1, "was blind at the end")])
def test_a_recorder_that_is_ended_while_its_look_hangs_says_so(
    looks: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_polling, "SLACK", 0.0)
    clock = Hurried()

    async def work() -> None:
        hanging = asyncio.Event()
        left = looks

        async def look() -> None:
            nonlocal left
            if left:
                left -= 1
                return
            hanging.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(poll(look, every=0.01, clock=clock, name="the void"))
        await hanging.wait()
        clock.time += 0.1
        task.cancel()
        await task

    with pytest.raises(RecorderFailed, match=f"{said}: TimeoutError: its look did not end"):
        asyncio.run(work())


def test_a_source_that_is_away_for_a_while_is_forgiven() -> None:
    answers = 0
    done = asyncio.Event()

    def respond(path: str, head: str) -> tuple[int, str]:
        nonlocal answers
        answers += 1
        if answers == 30:
            done.set()
        # Away for nine looks of a second each, then there for one.
        return (200 if answers % 10 == 0 else 503), METRICS

    async def use(url: str, client: httpx.AsyncClient) -> None:
        source = Source("prometheus", "gateway", f"{url}/metrics")
        task = asyncio.create_task(follow_metrics(source, client=client, clock=Hurried(), add=lambda _: None, every=1))
        await asyncio.wait(
            {task, asyncio.create_task(done.wait())}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE
        )
        assert not task.done()
        task.cancel()
        # Its last looks may have failed, which it says when it is ended.
        await asyncio.gather(task, return_exceptions=True)

    served(respond, use)


def test_a_recorder_that_is_ended_while_it_is_blind_says_so() -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()

    def respond(path: str, head: str) -> tuple[int, str]:
        asked.put_nowait(path)
        return 503, ""

    async def use(url: str, client: httpx.AsyncClient) -> None:
        source = Source("prometheus", "gateway", f"{url}/metrics")
        task = asyncio.create_task(
            follow_metrics(source, client=client, clock=RunClock(), add=lambda _: None, every=0.05)
        )
        # When it asks again it has had its first answer.
        for _ in range(2):
            await asyncio.wait_for(asked.get(), PATIENCE)
        task.cancel()
        with pytest.raises(RecorderFailed, match="never saw anything: Unreadable: gateway answered 503"):
            await task

    served(respond, use)


def test_a_recorder_of_a_service_that_is_known_to_be_down_misses_nothing() -> None:
    presence = Presence()
    presence.seen(ServiceState("gateway", None, up=False, ready=False, restarts=0, since=0.0))
    clock = Hurried()

    async def use(url: str, client: httpx.AsyncClient) -> None:
        source = Source("prometheus", "gateway", f"{url}/metrics")
        task = asyncio.create_task(
            follow_metrics(
                source,
                client=client,
                clock=clock,
                add=lambda _: None,
                away=lambda: presence.away("gateway"),
                every=1,
            )
        )
        async with asyncio.timeout(PATIENCE):
            while clock.now() < 60:  # noqa: ASYNC110 - it is the recorder that moves this clock
                await asyncio.sleep(0.01)
        assert not task.done()
        # Up again, and it still says nothing: that counts.
        presence.seen(ServiceState("gateway", 7, up=True, ready=True, restarts=1, since=1.0))
        with pytest.raises(RecorderFailed, match="saw nothing for"):
            await asyncio.wait_for(task, PATIENCE)

    served(lambda path, head: (503, ""), use)
    assert not presence.away("nobody")


def test_states_of_services_are_recorded_and_restarts_told_at_their_own_times() -> None:
    clock = RunClock()
    zero = clock.started_at
    told = [
        ServiceState("db", 1, up=True, ready=True, restarts=0, since=zero - 9),
        ServiceState("db", None, up=False, ready=False, restarts=0, since=zero + 0.5),
        ServiceState("db", 2, up=True, ready=False, restarts=1, since=zero + 1.5),
        ServiceState("db", 2, up=True, ready=True, restarts=1, since=zero + 1.5),
        # So quickly that nobody saw it down.
        ServiceState("db", 3, up=True, ready=True, restarts=2, since=zero + 2.5),
    ]
    samples: list[Sample] = []
    events: list[Event] = []
    done = asyncio.Event()

    class Told:
        async def services(self) -> list[ServiceState]:
            if len(told) == 1:
                done.set()
            return [told.pop(0) if len(told) > 1 else told[0]]

    async def work() -> None:
        follow = follow_services(
            cast("Target", Told()),
            clock=clock,
            add=samples.append,
            tell=events.append,
            presence=Presence(),
            every=0.01,
        )
        task = asyncio.create_task(follow)
        await asyncio.wait_for(done.wait(), PATIENCE)
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(work())

    by_metric = {
        metric: [one.value for one in samples if one.metric == metric][:5]
        for metric in ("service_up", "service_ready", "service_restarts_total")
    }
    assert by_metric == {
        "service_up": [1, 0, 1, 1, 1],
        "service_ready": [1, 0, 0, 1, 1],
        "service_restarts_total": [0, 0, 1, 1, 2],
    }
    assert {one.labels for one in samples} == {(("service", "db"),)}
    assert [(one.kind, one.text) for one in events] == [
        ("note", "db has ended"),
        ("note", "db was started again (restart 1)"),
        ("note", "db was started again (restart 2)"),
    ]
    assert [one.at for one in events] == pytest.approx([0.5, 1.5, 2.5])


def test_what_the_platform_tells_is_recorded_each_once_and_nothing_of_before_the_run() -> None:
    clock = RunClock()
    zero = clock.started_at
    told = [
        [Happening(zero - 5, "note", "pod a was created"), Happening(zero + 1.5, "warning", "BackOff: pod a")],
        [Happening(zero + 2.5, "platform", "Pulled: pod b")],
    ]
    samples: list[Sample] = []
    events: list[Event] = []
    done = asyncio.Event()

    class Platform:
        async def readings(self) -> list[Reading]:
            return [Reading("service_endpoints", (("service", "db"),), 2.0)]

        async def happenings(self) -> list[Happening]:
            if not told:
                done.set()
                return []
            return told.pop(0)

    async def work() -> None:
        platform = Platform()
        followers = (
            follow_readings(platform, clock=clock, add=samples.append, every=0.01),
            follow_happenings(platform, clock=clock, tell=events.append, every=0.01),
        )
        tasks = [asyncio.create_task(one) for one in followers]
        await asyncio.wait_for(done.wait(), PATIENCE)
        for task in tasks:
            task.cancel()

    asyncio.run(work())

    assert {(one.source, one.metric, one.labels, one.value) for one in samples} == {
        ("target", "service_endpoints", (("service", "db"),), 2.0)
    }
    assert [(one.kind, one.text) for one in events] == [("warning", "BackOff: pod a"), ("platform", "Pulled: pod b")]
    assert [one.at for one in events] == pytest.approx([1.5, 2.5])
