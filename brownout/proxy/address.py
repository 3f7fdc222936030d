"""Where a proxy listens and where it connects to, and sockets that hold such a place."""

import asyncio
import socket
from http import HTTPStatus
from typing import Any, NamedTuple

from brownout.proxy.errors import ApiError


class Address(NamedTuple):
    """A TCP address; port 0 asks the system for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """`host:port` or `[v6]:port`. A missing host is the loopback: nothing is opened to the world unasked.

        Raises:
            ApiError: 500 with Toxiproxy's text, where it has one.
        """
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, f"address {text}: too many colons in address")
        if not colon:
            raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, f"address {text}: missing port in address")
        if not (port.isascii() and port.isdigit() and int(port) < 2**16):
            raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, f"address {text}: invalid port")
        return cls(host or "127.0.0.1", int(port))


async def bind(address: Address) -> socket.socket:
    """A bound socket that does not listen. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # IPv4 first, as Toxiproxy does: for `localhost` that is what clients try or fall back to.
    family, _, _, _, where = min(found, key=lambda info: info[0] != socket.AF_INET)
    return bound_socket(family, where)


def bound_socket(family: int, where: tuple[Any, ...]) -> socket.socket:
    # The protocol must be said: asyncio sets TCP_NODELAY only on what calls itself TCP, accepted sockets included.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
    except OSError:
        bound.close()
        raise
    return bound
