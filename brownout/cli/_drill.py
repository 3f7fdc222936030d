"""A drill as `chaos gameday run` plays it: on this terminal, steered by signals and from the control room."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from brownout.attachment import Attachment
from brownout.gameday.abort import Abort
from brownout.gameday.desk import Desk
from brownout.gameday.events import Watcher
from brownout.gameday.notify import WebhookNotifier, webhooks
from brownout.gameday.start import Opened, Start, start
from brownout.toolkit.signals import OrderlyExit
from brownout.toolkit.stage import ToolkitStage

WITHOUT_ROOM = "started without the control room: nobody's heartbeat is watched; the abort is Ctrl-C or SIGTERM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How it is to be played; as written, not yet checked."""

    scale: float
    settings: str
    """Path of the Chaos Toolkit's settings file."""
    room_port: int | None
    """0 is any; None is no room."""


async def drilled(asked: Start, wanted: Wanted, *, now: Callable[[], datetime]) -> int:
    """Start it if the rules permit, and play it; returns the exit code. Main thread only.

    Raises:
        InvalidInput, EnvironmentProblem: see `brownout.gameday.start.start`.
    """
    loop, abort = asyncio.get_running_loop(), Abort(now)

    def stage(folder: Path, target: str, attachment: Attachment) -> ToolkitStage:
        return ToolkitStage(
            folder,
            target=target,
            attachment=attachment,
            scale=wanted.scale,
            instance=asked.instance,
            settings=wanted.settings,
        )

    def interrupted(how: str) -> None:
        loop.call_soon_threadsafe(abort.ask, "whoever is at the terminal", how)

    signals = OrderlyExit(interrupted)
    signals.claim()
    try:
        watched: Sequence[Opened] = (_no_room if wanted.room_port is None else _room(wanted.room_port), _notified)
        return await start(asked, now=now, say=click.echo, stage=stage, abort=abort, watched=watched)
    finally:
        signals.release()


@asynccontextmanager
async def _no_room(desk: Desk) -> AsyncIterator[Sequence[Watcher]]:
    await desk.note(WITHOUT_ROOM, by="chaos gameday run")
    yield ()


@asynccontextmanager
async def _notified(desk: Desk) -> AsyncIterator[Sequence[Watcher]]:
    def undelivered(what: str) -> None:
        click.echo(what)
        desk.write_down(what, by="chaos gameday run")

    told = webhooks(desk.plan.notify, os.environ)
    if not told:
        yield ()
        return
    async with WebhookNotifier(told, tell=undelivered) as notifier:
        yield (notifier,)


def _room(port: int) -> Opened:
    @asynccontextmanager
    async def opened(desk: Desk) -> AsyncIterator[Sequence[Watcher]]:
        from brownout.gameday.alerts import routes, token_from
        from brownout.gameday.room.server import open_room

        token = token_from(os.environ)
        alerts = (
            ()
            if token is None
            else routes(desk.mark, step=lambda: desk.step, now=desk.now, token=token, detection=desk.plan.detection)
        )
        async with open_room(desk, port=port, more=alerts) as room:
            click.echo(f"control room: {room.url}")
            click.echo(f"nothing is broken before somebody takes the abort there ({', '.join(desk.plan.people.abort)})")
            yield (room.board,)

    return opened
