"""A load generator in a place of its own, for one run: it is told what to ask, and tells what became of it."""

import asyncio
import json
import time
from contextlib import AsyncExitStack, suppress
from typing import Any

from brownout.clock import RunClock
from brownout.errors import BrownoutError
from brownout.evidence.model import Request
from brownout.load.asker import Asker
from brownout.load.generator import Stream, offer
from brownout.load.grading import ExpectedFacts
from brownout.load.order import SILENCE, Order, line, order_in, request_out


class _Told:
    """A recording that is somewhere else."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def request_started(
        self,
        id: int,  # noqa: A002 - the field's name in the evidence
        intended: float,
        *,
        tier: str,
        load: str | None,
    ) -> None:
        self._writer.write(line(started=[id, intended, tier, load]))

    def request_heard(self, id: int, at: float) -> None:  # noqa: A002 - as above
        self._writer.write(line(heard=[id, at]))

    def add_request(self, request: Request) -> None:
        self._writer.write(line(request=request_out(request)))


class _Offering:
    """One order, under way."""

    def __init__(self, order: Order, told: _Told, *, once: bool) -> None:
        self._order = order
        self._told = told
        self._once = once
        self._askers: list[Asker] = []

    def abandon(self) -> None:
        for asker in self._askers:
            asker.abandon()

    async def run(self) -> None:
        order, clock = self._order, RunClock(zero=self._order.zero)
        facts = any(one.facts for found in order.questions.values() for one in found)
        async with AsyncExitStack() as stack:
            for load in order.loads:
                asker = Asker(
                    order.door.url,
                    load,
                    record=self._told,
                    clock=clock,
                    grade=ExpectedFacts() if facts else None,
                    api=order.door.api,
                )
                self._askers.append(await stack.enter_async_context(asker))
            if self._once:
                question = order.questions[order.loads[0].questions][0]
                await self._askers[0].ask(0, clock.now(), question, order.door.callers[0])
                return
            streams = [
                Stream.of(
                    load,
                    questions=order.questions[load.questions],
                    callers=order.door.callers,
                    seed=order.seed,
                    ask=asker.ask,
                )
                for load, asker in zip(order.loads, self._askers, strict=True)
            ]
            await offer(streams, until=order.until, clock=clock, grace=order.grace)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Do what one run says, until it hangs up or is silent for too long; no load goes on then that nobody judges."""
    told, offering = _Told(writer), None
    work: asyncio.Task[None] | None = None
    try:
        while (said := await _heard(reader)) is not None:
            if "clock" in said:
                writer.write(line(clock=said["clock"], now=time.monotonic()))
            elif "end" in said:
                if offering is not None and work is not None:
                    if said["end"]:
                        offering.abandon()
                    work.cancel()
            elif work is None or work.done():
                key = "ask" if "ask" in said else "offer"
                offering = _Offering(order_in(said[key]), told, once=key == "ask")
                work = asyncio.create_task(_over(offering, writer))
            await writer.drain()
    except (TimeoutError, ConnectionError):
        pass
    finally:
        if work is not None:
            work.cancel()
            await asyncio.wait({work})
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _heard(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    async with asyncio.timeout(SILENCE):
        text = await reader.readline()
    said: dict[str, Any] | None = json.loads(text) if text.endswith(b"\n") else None
    return said


async def _over(offering: _Offering, writer: asyncio.StreamWriter) -> None:
    failed: str | None = "it broke down; its log may say why"
    try:
        await offering.run()
        failed = None
    except asyncio.CancelledError:
        failed = None
        raise
    except BrownoutError as problem:
        failed = str(problem)
    finally:
        writer.write(line(over=failed))
