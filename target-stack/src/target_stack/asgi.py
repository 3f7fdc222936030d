"""What a response needs that answers while it watches its client."""

import asyncio
from collections.abc import Awaitable, Coroutine

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["begin_events", "cancel", "directly", "disconnect", "send_body", "send_response", "while_connected"]


def directly(path: str, endpoint: ASGIApp, otherwise: ASGIApp) -> ASGIApp:
    """Return an application whose POSTs to this path reach their endpoint past the middleware of the other.

    Starlette's two look at each piece of a response that is sent, for an exception that they could still answer.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        direct = scope["type"] == "http" and scope["path"] == path and scope["method"] == "POST"
        await (endpoint if direct else otherwise)(scope, receive, send)

    return app


async def begin_events(send: Send) -> None:
    """Send the headers of a stream of server-sent events."""
    headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


def send_body(send: Send, body: bytes, *, last: bool = False) -> Awaitable[None]:
    """Send a piece of the body, after the headers, when it is awaited."""
    return send({"type": "http.response.body", "body": body, "more_body": not last})


async def send_response(send: Send, response: Response) -> None:
    """Send a whole response."""
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send_body(send, bytes(response.body), last=True)


async def disconnect(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def while_connected(receive: Receive, work: Coroutine[object, object, None]) -> None:
    """Do the work, unless the client leaves before it is done: then it is cancelled."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(disconnect(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(task, gone)
    if not task.cancelled():
        task.result()
