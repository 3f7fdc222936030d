"""A drill with its control room, whose experiments are a script: it goes on in a thread until a test lets it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from brownout.gameday.abort import Abort
from brownout.gameday.desk import Desk
from brownout.gameday.drill import Played, Tell
from brownout.gameday.events import Event, Watcher
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.room import server
from brownout.gameday.rows import Drill, Mark, Note
from brownout.gameday.start import Start, start
from tests.gameday.plans import TEXT, written

PATIENCE = 60.0
FAULT = "latency of 500 ms on gateway → vector-db"


def tick(number: int, *, broken: bool) -> Mapping[str, Any]:
    """As `brownout.report.progress.JsonProgress` writes it."""
    slow = 0.9 if broken else 0.12
    return {
        "event": "tick",
        "elapsed": 10.0 + number * 0.5,
        "total": 120.0,
        "requests": number * 10,
        "rate": 20.0 + number % 5,
        "errors": number // 7 if broken else 0,
        "ttft_p95": slow + (number % 4) * 0.02,
        "degraded_share": 0.62 if broken else 0.0,
        "breakers": {"cache": "closed", "embedding": "half-open", "vector-db": "open" if broken else "closed"},
        "faults": [[FAULT, 42.0]] if broken else [],
    }


@dataclass
class Script:
    """A stage on which something is broken until the test lets the experiment go on, or the drill is aborted."""

    scale: float = 0.001
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[float] = field(default_factory=list)

    async def play(self, experiment: Path, *, abort: Abort, tell: Tell) -> Played:
        await tell({"event": "phase", "name": "steady state", "start": 0.0, "end": 10.0})
        for number in range(40):
            await tell(tick(number, broken=False))
        await tell({"event": "phase", "name": "method", "start": 10.0, "end": 60.0})
        await tell({"event": "note", "at": 10.0, "text": f"{FAULT}: on"})
        number = 40
        while not self.go_on.is_set() and abort.asked is None:
            await tell(tick(number, broken=True))
            number += 1
            await abort.unless(_within(self.go_on, 0.2))
        self.go_on.clear()
        await tell({"event": "note", "at": 30.0, "text": f"{FAULT}: healed"})
        healed = None if abort.asked is None else "all was whole 31 ms later"
        return Played(0 if healed is None else 4, None, healed)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def say(self, text: str) -> None: ...


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


class Kept:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Event] = []

    async def on(self, event: Event) -> None:
        self.told.append(event)


class Running:
    """A drill that goes on in a thread of its own."""

    def __init__(self, folder: Path, **room: Any) -> None:
        self._folder = folder
        self._how = room
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drill")
        self.code: int | None = None
        self.kept = Kept()

    def _run(self) -> None:
        try:
            self.code = asyncio.run(self._play())
        finally:
            self._ready.set()

    async def _play(self) -> int:
        self.loop = asyncio.get_running_loop()
        self.script = Script()
        path = written(self._folder, TEXT)

        def now() -> datetime:
            return datetime.now(UTC)

        with Journal.open() as journal:
            journal.check_in("sunday", "Grace", now())
        self.abort = Abort(now)
        rules = ("window", "blackout")
        asked = Start(
            file=path,
            instance="default",
            runs_dir=self._folder / "runs",
            overrides=[(rule, "Ada", "a test") for rule in rules],
        )
        return await start(
            asked,
            now=now,
            say=lambda _: None,
            stage=lambda *_: self.script,
            abort=self.abort,
            watched=[self._watched],
        )

    @asynccontextmanager
    async def _watched(self, desk: Desk) -> AsyncIterator[Sequence[Watcher]]:
        class Reachable(server._Server):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                outer.served = self

        outer, usual = self, server._Server
        server._Server = Reachable  # type: ignore[misc]
        try:
            async with server.open_room(desk, **self._how) as room:
                self.room: server.Opened = room
                self._ready.set()
                yield (self.kept, room.board)
        finally:
            server._Server = usual  # type: ignore[misc]

    def go_on(self) -> None:
        """Let the experiment that goes on end."""
        self.loop.call_soon_threadsafe(self.script.go_on.set)

    def drop(self) -> None:
        """Cut every connection to the room, as a network does."""

        def cut() -> None:
            for one in list(self.served.server_state.connections):
                one.transport.abort()  # type: ignore[union-attr]

        self.loop.call_soon_threadsafe(cut)

    def end(self) -> Drill:
        """Wait for its end; as the journal has it."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the drill goes on"
        with Journal.open() as journal:
            (drill,) = journal.drills()
            return drill

    def minutes(self) -> tuple[Sequence[Note], Sequence[Mark]]:
        """Of the drill that has ended."""
        drill = self.end().id
        with Minutes.open() as minutes:
            return minutes.notes(drill), minutes.marks(drill)

    @classmethod
    @contextmanager
    def open(cls, folder: Path, **room: Any) -> Iterator["Running"]:
        """Start it, and abort it in the end where nobody has. `room` is as for `open_room`."""
        running = cls(folder, **room)
        running._thread.start()
        try:
            assert running._ready.wait(PATIENCE)
            yield running
        finally:
            if running._thread.is_alive():
                running.loop.call_soon_threadsafe(running.abort.ask, "the test", "it is over")
            running._thread.join(PATIENCE)
            assert not running._thread.is_alive()
