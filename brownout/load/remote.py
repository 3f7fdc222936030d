"""Load that is put on from another place: what is asked there, and when, is this run's, and so are the rows."""

import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from typing import Any

from brownout.clock import RunClock
from brownout.errors import BrownoutError
from brownout.evidence.model import Request
from brownout.load.asker import Record
from brownout.load.order import ALIVE_EVERY, SILENCE, Order, line, order_out, request_in

_ROUNDS = 20
"""Times that the other clock is asked for; the quickest answer counts (Cristian's algorithm)."""
_LAST_ROWS = 5.0
"""Seconds that the rows of what was cut off may take to arrive."""


class LoadLost(BrownoutError):
    """The generator is gone, or could not do what it was told."""


class Remote:
    """The near end of a connection to `python -m brownout.load`. `synchronise` before anything else, `close` last."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, place: str) -> None:
        self.place = place
        """Where the load comes from, in words."""
        self.asked: Counter[str | None] = Counter()
        """Questions that were sent, by the name of their load."""
        self.uncertainty = 0.0
        """Seconds by which its clock may be off."""
        self._reader = reader
        self._writer = writer
        self._ahead = 0.0
        self._abandoned = False
        self._alive: asyncio.Task[None] | None = None

    async def synchronise(self) -> None:
        """Learn what its clock says. Raises `LoadLost`."""
        found: list[tuple[float, float]] = []
        for number in range(_ROUNDS):
            asked = time.monotonic()
            await self._say(line(clock=number))
            said = await self._hear()
            took = time.monotonic() - asked
            found.append((took, said["now"] - (asked + took / 2)))
        took, self._ahead = min(found)
        self.uncertainty = took / 2
        self._alive = asyncio.create_task(self._stay())

    def abandon(self) -> None:
        """The run ends early: see `Asker.abandon`."""
        self._abandoned = True

    async def ask(self, order: Order, record: Record) -> None:
        """Have the first question of an order asked, once. Raises `LoadLost`."""
        await self._do("ask", order, record, RunClock())

    async def offer(self, order: Order, record: Record, *, clock: RunClock) -> None:
        """Have it offered, and record what becomes of it, until the last answer is in. Cancelled, the load ends.

        Raises:
            LoadLost: the generator is gone: there is no load any more.
        """
        await self._do("offer", order, record, clock)

    async def close(self) -> None:
        """Hang up, which ends it."""
        if self._alive is not None:
            self._alive.cancel()
            await asyncio.wait({self._alive})
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _do(self, what: str, order: Order, record: Record, clock: RunClock) -> None:
        told = order_out(order) | {"zero": time.monotonic() - clock.now() + self._ahead}
        await self._say(line(**{what: told}))
        try:
            await self._follow(record)
        except asyncio.CancelledError:
            with suppress(LoadLost, TimeoutError):
                async with asyncio.timeout(_LAST_ROWS):
                    await self._say(line(end=self._abandoned))
                    await self._follow(record)
            raise

    async def _follow(self, record: Record) -> None:
        while "over" not in (said := await self._hear()):
            match said:
                case {"request": told}:
                    record.add_request(request_in(told))
                case {"started": [number, intended, tier, load]}:
                    self.asked[load] += 1
                    record.request_started(number, intended, tier=tier, load=load)
                case {"heard": [number, at]}:
                    record.request_heard(number, at)
        if said["over"] is not None:
            raise LoadLost(said["over"])

    async def _stay(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_EVERY)
            # Who is gone is told by what is not heard.
            with suppress(LoadLost):
                await self._say(line(clock=0))

    async def _say(self, text: bytes) -> None:
        try:
            self._writer.write(text)
            await self._writer.drain()
        except OSError as problem:
            raise self._lost(str(problem)) from problem

    async def _hear(self) -> dict[str, Any]:
        try:
            async with asyncio.timeout(SILENCE):
                text = await self._reader.readline()
        except TimeoutError:
            raise self._lost(f"nothing was heard of it for {SILENCE:g} s") from None
        except OSError as problem:
            raise self._lost(str(problem)) from problem
        if not text.endswith(b"\n"):
            raise self._lost("it hung up")
        said: dict[str, Any] = json.loads(text)
        return said

    def _lost(self, why: str) -> LoadLost:
        return LoadLost(f"the load from {self.place} has ended: {why}")


class Kept:
    """A record of one question."""

    def __init__(self) -> None:
        self.request: Request | None = None

    def request_started(self, *_: object, **__: object) -> None: ...

    def request_heard(self, *_: object) -> None: ...

    def add_request(self, request: Request) -> None:
        self.request = request
