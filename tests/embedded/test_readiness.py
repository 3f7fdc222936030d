"""A service that was started again is reached over its links only once it is ready."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from brownout.breakage import Freeze, Kill
from brownout.fixtures.embedded import readiness
from brownout.fixtures.embedded.links import Links
from brownout.fixtures.embedded.ports import HeldPorts
from brownout.fixtures.embedded.readiness import Readiness
from brownout.fixtures.embedded.services import Services
from brownout.fixtures.embedded.stack import LINKS, SERVICES
from tests.embedded.helpers import PATIENCE
from tests.embedded.victims import Talk, Victims

pytestmark = pytest.mark.process

LINK = LINKS["gateway", "cache"]


@dataclass
class Bench:
    """One victim behind a link, which says that it is ready when it is told to."""

    victims: Victims
    links: Links
    port: int
    """Of the link."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    guarding: asyncio.Task[None] | None = None

    async def over_the_link(self) -> int:
        """The victim's pid. Raises `OSError` where there is no answer."""
        talk = await Talk.to(self.port)
        try:
            return int(await talk("pid", patience=0.3))
        finally:
            await talk.close()

    async def refused(self) -> None:
        """Wait until the link refuses connections."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await self.over_the_link()
                except ConnectionRefusedError:
                    return
                except OSError:
                    await asyncio.sleep(0.01)

    async def flows(self) -> int:
        """Wait until the link leads to the victim; its pid."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    return await self.over_the_link()
                except OSError:
                    await asyncio.sleep(0.01)


def on_a_link(play: Callable[[Bench], Awaitable[None]], logs: Path) -> None:
    async def run() -> None:
        held = HeldPorts()
        async with Victims.up(logs, "cache") as victims:
            ports = {**held.hold([*SERVICES, *LINKS.values()], {}), "cache": victims.ports["cache"]}
            links = Links(victims.supervised, seed=1, token="token")
            await links.up(ports)
            bench = Bench(victims, links, ports[LINK])
            services = Services(victims.supervised, {"cache": lambda: asyncio.sleep(0, bench.ready.is_set())})
            bench.guarding = asyncio.create_task(Readiness(victims.supervised, links, services).guard(["cache"]))
            try:
                await play(bench)
            finally:
                bench.guarding.cancel()
                await asyncio.wait({bench.guarding})
        held.release()

    asyncio.run(run())


def test_a_restarted_service_is_refused_until_it_is_ready_and_then_reached(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        first = await bench.flows()
        for _ in range(2):
            bench.ready.clear()
            await bench.victims.inject("cache", Kill())
            await bench.refused()
            # It runs and answers whoever asks it directly, as a server that still loads its data does.
            again = await bench.victims.answers("cache")
            await asyncio.sleep(3 * readiness.ASK_EVERY)
            with pytest.raises(ConnectionRefusedError):
                await bench.over_the_link()
            bench.ready.set()
            assert await bench.flows() == again != first
            await bench.victims.heal()

    on_a_link(play, tmp_path)


def test_a_frozen_service_keeps_its_traffic_which_finds_no_answer(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        talk = await Talk.to(bench.port)
        pid = await talk("pid")
        await bench.victims.inject("cache", Freeze())
        await asyncio.sleep(3 * readiness.ASK_EVERY)
        with pytest.raises(TimeoutError):
            await bench.over_the_link()
        await bench.victims.heal()
        assert await talk("pid") == await bench.flows() == pid
        await talk.close()

    on_a_link(play, tmp_path)


def test_a_link_opens_by_itself_when_nobody_is_left_to_open_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "SHUT_FOR", 1.5)

    async def play(bench: Bench) -> None:
        await bench.victims.inject("cache", Kill())
        await bench.refused()
        assert bench.guarding is not None
        bench.guarding.cancel()
        left = time.monotonic()
        await bench.flows()
        assert 0.2 < time.monotonic() - left < 15.0

    on_a_link(play, tmp_path)
