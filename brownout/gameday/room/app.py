"""The control room's application: one page, what it needs, what it shows as it happens, and what can be done there."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from brownout.errors import InvalidInput
from brownout.gameday.desk import Desk
from brownout.gameday.room.board import Board
from brownout.gameday.room.gate import Gate
from brownout.gameday.room.heartbeat import Heartbeat

AT_LEAST_EVERY = 2.0
"""Seconds between two messages: what a page has not heard for longer it shows as lost."""
BODY = 16_384
"""Bytes that a page may send at once."""
NOTE = 2_000
"""Characters of a note."""
ANONYMOUS = "somebody in the control room"
_PAGE = re.compile(r"[A-Za-z0-9-]{8,64}")
_HERE, _REPORTS = __package__, "brownout.report"
_ASSETS = {
    "/": (_HERE, "page.html", "text/html"),
    "/style.css": (_REPORTS, "style.css", "text/css"),
    "/room.css": (_HERE, "room.css", "text/css"),
    "/room.js": (_HERE, "room.js", "text/javascript"),
    "/pulse.js": (_HERE, "pulse.js", "text/javascript"),
}


class Room:
    """What is shown of one drill, and what can be done to it."""

    def __init__(self, desk: Desk, heartbeat: Heartbeat, *, beat_every: float) -> None:
        self.board = Board(desk.plan)
        self.heartbeat = heartbeat
        self.watching = 0
        """Pages that listen."""
        self.taken = asyncio.Event()
        """Somebody holds the abort."""
        self.closing = asyncio.Event()
        """Set by whoever shuts the room: pages are sent the end, and let go."""
        self.left = asyncio.Event()
        """No page listens."""
        self.left.set()
        self._desk = desk
        self._beat_every = beat_every

    def app(self, *, token: str, port: int, more: Sequence[BaseRoute] = ()) -> Starlette:
        """The application; `more` are routes with a gate of their own."""
        routes: list[BaseRoute] = [Route(path, _asset(*asset)) for path, asset in _ASSETS.items()]
        routes.append(Route("/events", self._events))
        for path, act in {
            "/abort": self._abort,
            "/beat": self._beat,
            "/take": self._take,
            "/offer": self._offer,
            "/note": self._note,
            "/mark": self._mark,
        }.items():
            routes.append(Route(path, act, methods=["POST"]))
        open_to = tuple(one.path for one in more if isinstance(one, Route))
        gate = Middleware(Gate, token=token, port=port, open_to=open_to)
        return Starlette(routes=[*routes, *more], middleware=[gate], exception_handlers={InvalidInput: _told})

    def shown(self) -> dict[str, Any]:
        """All that a page needs, as JSON."""
        held = self.heartbeat.held
        return {
            **self.board.shown(),
            "now": self._desk.now().timestamp(),
            "people": list(self._desk.plan.people.names),
            "holders": list(self.heartbeat.may),
            "holder": None if held is None else {"who": held.who, "page": held.page[:8], "offered": held.offered},
            "silence": round(self.heartbeat.silence, 1),
            "patience": self.heartbeat.patience,
            "beat_every": self._beat_every,
            "watching": self.watching,
        }

    async def _events(self, _request: Request) -> Response:
        # Whatever was missed, with or without Last-Event-ID: the first message has all of it, as every one has.
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=headers)

    async def _stream(self) -> AsyncIterator[str]:
        self.watching += 1
        self.left.clear()
        closing = asyncio.ensure_future(self.closing.wait())
        try:
            yield "retry: 500\n\n"
            version = self.board.version
            while True:
                last = self.closing.is_set()
                # No line of JSON holds a line break, so that one `data:` line is enough.
                yield f"id: {version}\ndata: {json.dumps(self.shown())}\n\n"
                if last:
                    return
                newer = asyncio.ensure_future(self.board.newer_than(version))
                try:
                    await asyncio.wait({newer, closing}, timeout=AT_LEAST_EVERY, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    newer.cancel()
                version = self.board.version
        finally:
            closing.cancel()
            self.watching -= 1
            if not self.watching:
                self.left.set()

    async def _abort(self, request: Request) -> Response:
        told = await _body(request)
        first = self._desk.abort.ask(self._name(told, otherwise=ANONYMOUS), "pressed ABORT in the control room")
        return JSONResponse({"aborted": first}, status_code=202)

    async def _beat(self, request: Request) -> Response:
        return JSONResponse({"holds": self.heartbeat.beat(_page(await _body(request)))})

    async def _take(self, request: Request) -> Response:
        told = await _body(request)
        before, who = self.heartbeat.held, self._name(told)
        self.heartbeat.take(who, _page(told))
        self.taken.set()
        if before is None or before.who != who:
            await self._desk.note("holds the abort now", by=who)
        await self.board.touch()
        return JSONResponse({"holds": True})

    async def _offer(self, request: Request) -> Response:
        told = await _body(request)
        to = str(told.get("to", ""))
        self.heartbeat.offer(_page(told), to)
        await self._desk.note(f"hands the abort over to {to}", by=self._name(told))
        return JSONResponse({"offered": to})

    async def _note(self, request: Request) -> Response:
        told = await _body(request)
        what = " ".join(str(told.get("what", "")).split())
        if not 0 < len(what) <= NOTE:
            msg = f"a note has 1 to {NOTE} characters"
            raise InvalidInput(msg)
        await self._desk.note(what, by=self._name(told))
        return JSONResponse({}, status_code=201)

    async def _mark(self, request: Request) -> Response:
        told = await _body(request)
        kind: Literal["detected", "mitigated"]
        if told.get("kind") == "detected":
            kind = "detected"
        elif told.get("kind") == "mitigated":
            kind = "mitigated"
        else:
            msg = "kind: expected detected or mitigated"
            raise InvalidInput(msg)
        if await self._desk.press(kind, by=self._name(told)) is None:
            msg = "no experiment has begun yet"
            raise InvalidInput(msg)
        return JSONResponse({}, status_code=201)

    def _name(self, told: Mapping[str, Any], *, otherwise: str | None = None) -> str:
        who = told.get("who")
        if isinstance(who, str) and who in self._desk.plan.people:
            return who
        if otherwise is not None:
            return otherwise
        msg = "say who you are: one of the people of the plan"
        raise InvalidInput(msg, allowed=self._desk.plan.people.names)


def _asset(package: str, name: str, kind: str) -> Callable[[Request], Response]:
    content = files(package).joinpath(name).read_bytes()

    def asset(_request: Request) -> Response:
        return Response(content, media_type=kind)

    return asset


def _page(told: Mapping[str, Any]) -> str:
    page = told.get("page")
    if not isinstance(page, str) or not _PAGE.fullmatch(page):
        msg = "page: expected the page's own id"
        raise InvalidInput(msg)
    return page


async def _body(request: Request) -> Mapping[str, Any]:
    got = b""
    async for piece in request.stream():
        got += piece
        if len(got) > BODY:
            raise HTTPException(413, "too long")
    try:
        told = json.loads(got)
    except ValueError:
        raise HTTPException(400, "expected JSON") from None
    if not isinstance(told, dict):
        raise HTTPException(400, "expected a JSON object")
    return told


def _told(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=409)
