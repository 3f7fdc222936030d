"""What a response needs that answers while it watches its client."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Send

__all__ = ["cancel", "disconnect", "send_body", "send_response"]


async def send_body(send: Send, body: bytes, *, last: bool = False) -> None:
    """Send a piece of the body, after the headers."""
    await send({"type": "http.response.body", "body": body, "more_body": not last})


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
