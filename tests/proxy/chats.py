"""Requests to a provider and its answers as bytes, and a link on virtual time on which it fails."""

import json
from collections.abc import Sequence

import h11

from brownout.proxy.toxic import Toxic
from tests.proxy.virtual import VirtualConnection, connected, toxic

EVENTS = [b'data: {"choices":[{"delta":{"content":"%d"}}]}\n\n' % number for number in range(6)]
CLOSING = [b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"]


def chat(*, model: str = "a-model", stream: bool = False, path: str = "/v1/chat/completions", **headers: str) -> bytes:
    body = json.dumps({"model": model, "messages": [], "stream": stream}).encode()
    fields = {"Host": "a", **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def said(text: bytes, *, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text)


def streamed(events: Sequence[bytes]) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(map(coded, events)) + b"0\r\n\r\n"


def coded(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


def failing(**attributes: float | str) -> Toxic:
    return toxic("provider_failure", **attributes)


def broken(fault: Toxic, wire: VirtualConnection | None = None) -> VirtualConnection:
    """A connection that the toxic has met."""
    wire = wire or connected(http=True)
    wire.connection.upstream.apply([fault])
    return wire


class Answers:
    """What a client makes of the bytes that it has received."""

    def __init__(self, received: bytes, *, requests: int = 1) -> None:
        self.statuses: list[int] = []
        self.bodies: list[bytes] = []
        self.whole = 0
        for _ in range(requests):
            client = h11.Connection(h11.CLIENT)
            client.send(h11.Request(method="POST", target="/", headers=[("Host", "a"), ("Content-Length", "0")]))
            client.send(h11.EndOfMessage())
            client.receive_data(received)
            while (event := client.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    self.statuses.append(event.status_code)
                    self.bodies.append(b"")
                elif isinstance(event, h11.Data):
                    self.bodies[-1] += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self.whole += 1
                    break
            received = client.trailing_data[0]
        self.rest = received


def stalled(**attributes: float | str) -> VirtualConnection:
    wire = broken(failing(**attributes))
    wire.send(chat(stream=True))
    assert wire.server.received == chat(stream=True)
    return wire
