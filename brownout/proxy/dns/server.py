"""The sockets of the responder: UDP, and TCP on the same port (RFC 7766)."""

import asyncio
import errno
from collections.abc import Callable
from functools import partial
from typing import cast

from brownout.proxy.dns.replies import Verdict, reply_to
from brownout.proxy.scheduler import Scheduler, Timer

IDLE_S = 10.0
"""A TCP connection ends after so many seconds without a query."""
_ATTEMPTS = 16

Ask = Callable[[str], Verdict | None]


class DnsServer:
    """Answers for the names that `ask` knows, and refuses all others."""

    def __init__(self, ask: Ask, scheduler: Scheduler) -> None:
        self._ask = ask
        self._scheduler = scheduler
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._conversations: set[_Conversation] = set()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and return the address to be reached at. Raises OSError if the port cannot be bound."""
        loop = asyncio.get_running_loop()
        # A port that is free for TCP need not be for UDP. One that was asked for has one chance. TCP first: there the
        # system leaves out ports that somebody holds without listening, of which UDP knows nothing.
        for left in reversed(range(1 if port else _ATTEMPTS)):
            self._tcp = await loop.create_server(self._conversation, host, port, reuse_address=False)
            where: tuple[str, int] = self._tcp.sockets[0].getsockname()[:2]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(self._datagrams, local_addr=where)
            except OSError as exc:
                self._tcp.close()
                if exc.errno != errno.EADDRINUSE or not left:
                    raise
            else:
                return where
        raise OSError(errno.EADDRINUSE, "no port is free for both UDP and TCP")

    async def close(self) -> None:
        """Answer nobody any more."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for conversation in list(self._conversations):
            conversation.abort()

    def respond(self, packet: bytes, send: Callable[[bytes], None]) -> None:
        """Have the reply to a query sent, at once or in its time."""
        reply = reply_to(packet, self._ask)
        if reply is None:
            return
        if reply.delay:
            self._scheduler.call_at(self._scheduler.now() + reply.delay, partial(send, reply.packet))
        else:
            send(reply.packet)

    def _datagrams(self) -> "_Datagrams":
        return _Datagrams(self)

    def _conversation(self) -> "_Conversation":
        return _Conversation(self, self._scheduler, self._conversations)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        def send(packet: bytes) -> None:
            if self._transport is not None and not self._transport.is_closing():
                self._transport.sendto(packet, addr)

        self._server.respond(data, send)


class _Conversation(asyncio.Protocol):
    """One TCP connection: each message has its length before it, in two bytes (RFC 1035, section 4.2.2)."""

    def __init__(self, server: DnsServer, scheduler: Scheduler, conversations: "set[_Conversation]") -> None:
        self._server = server
        self._scheduler = scheduler
        self._conversations = conversations
        self._transport: asyncio.Transport | None = None
        self._waiting = bytearray()
        self._idle: Timer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._conversations.add(self)
        self._wait()

    def data_received(self, data: bytes) -> None:
        self._wait()
        self._waiting += data
        while len(self._waiting) >= 2:
            end = 2 + int.from_bytes(self._waiting[:2])
            if len(self._waiting) < end:
                break
            packet = bytes(self._waiting[2:end])
            del self._waiting[:end]
            self._server.respond(packet, self._send)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._conversations.discard(self)
        if self._idle is not None:
            self._idle.cancel()

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()

    def _wait(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._scheduler.call_at(self._scheduler.now() + IDLE_S, self.abort)

    def _send(self, packet: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(len(packet).to_bytes(2) + packet)
