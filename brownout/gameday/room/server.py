"""The control room, served from the drill's own process while the drill goes on."""

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.routing import BaseRoute

from brownout.errors import EnvironmentProblem
from brownout.gameday.desk import Desk
from brownout.gameday.room.app import Room
from brownout.gameday.room.board import Board
from brownout.gameday.room.heartbeat import BEAT_EVERY, PATIENCE, Heartbeat

HOST = "127.0.0.1"
TAKEN_WITHIN = 300.0
"""Seconds that a drill waits, before anything is broken, for somebody to take the abort."""
_LOOK_EVERY = 0.25
_LAST_LOOK = 1.0
"""Seconds for pages to be sent the end before the room is shut."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A control room that is open."""

    url: str
    """With the token: whoever has it may come in."""
    board: Board


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: they are the drill's."""
        yield


@asynccontextmanager
async def open_room(
    desk: Desk,
    *,
    port: int = 0,
    more: Sequence[BaseRoute] = (),
    patience: float = PATIENCE,
    beat_every: float = BEAT_EVERY,
    taken_within: float = TAKEN_WITHIN,
) -> AsyncIterator[Opened]:
    """Open the room of a drill, which then waits for somebody to take the abort there, and ends where they are lost.

    Args:
        desk: the drill's.
        port: on loopback; 0 is any.
        more: routes with a gate of their own: alerts.
        patience: seconds without a heartbeat after which the drill is aborted.
        beat_every: seconds between two of them.
        taken_within: seconds to wait for a holder, in all.

    Raises:
        EnvironmentProblem: the port cannot be had.
    """
    token = secrets.token_urlsafe(32)
    room = Room(desk, Heartbeat(desk.plan.people.abort, patience=patience), beat_every=beat_every)
    with _listening(port) as listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            room.app(token=token, port=port, more=more),
            # No access log: a URL with the token stands in it.
            access_log=False,
            log_config=None,
            log_level="error",
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
            ws="none",
        )
        server = _Server(config)

        async def taken() -> None:
            try:
                async with asyncio.timeout(taken_within):
                    await room.taken.wait()
            except TimeoutError:
                desk.abort.ask("the control room", f"nobody took the abort within {taken_within:g} s")

        if room.heartbeat.may:
            desk.waits_for.append(taken)
        else:
            await desk.note("nobody may hold the abort by the plan: no heartbeat is watched", by="the control room")
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        guarding = asyncio.create_task(_guard(desk, room))
        try:
            yield Opened(f"http://{HOST}:{port}/?token={token}", room.board)
        finally:
            guarding.cancel()
            await asyncio.wait({guarding})
            room.closing.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_LOOK):
                    await room.left.wait()
            server.should_exit = True
            await asyncio.wait({serving})
    if not serving.cancelled():
        serving.result()


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            # Before its address is told: whoever comes at once is kept waiting, not turned away.
            listener.listen()
        except OSError as error:
            msg = f"the control room cannot have port {port}: {error.strerror}; choose another with --room-port"
            raise EnvironmentProblem(msg) from error
        yield listener


async def _guard(desk: Desk, room: Room) -> None:
    """End the drill where its holder is lost."""
    before = time.monotonic()
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        now = time.monotonic()
        if (lost := room.heartbeat.pass_(now - before)) is not None:
            desk.abort.ask("the heartbeat", lost)
        before = now
