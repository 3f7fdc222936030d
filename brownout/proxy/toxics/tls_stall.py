"""A TLS handshake that nobody answers."""

from dataclasses import dataclass

from brownout.proxy.link import Link
from brownout.proxy.toxic import Stage, Toxic, register

# RFC 8446, section 5.1: a record of type handshake (22), legacy version 3.x, two bytes of length; section 4: the first
# byte of a handshake message is its type, client_hello (1).
_RECORD = b"\x16\x03"
_HELLO_AT = 5
_CLIENT_HELLO = b"\x01"
# PostgreSQL's clients ask for TLS before they begin it: SSLRequest (protocol documentation, "Message Formats").
_SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsStallAttributes:
    """None. Not known to Toxiproxy."""


@register("tls_stall", TlsStallAttributes)
class TlsStall(Stage[TlsStallAttributes]):
    """Swallows a client's ClientHello and all that follows; whatever does not begin as TLS passes untouched.

    The TCP connection stands, so the client's connect timeout does not help it: what a firewall that drops large
    packets, or a server out of entropy or of workers, does to its clients. For the upstream direction. A connection
    that was there before the toxic passes. On removal, what has lost its ClientHello is closed.
    """

    def __init__(self, toxic: Toxic, link: Link) -> None:
        super().__init__(toxic, link)
        self._swallowing = False
        self._watching = not link.connection.established
        self._start = b""
        """What is not yet enough to tell."""

    def data(self, chunk: bytes) -> None:
        if self._swallowing:
            self.link.flow.swallowed += len(chunk)
        elif not self._watching:
            self.forward(chunk)
        else:
            self._start += chunk
            self._look()

    def eof(self) -> None:
        self._pass()
        self.forward_eof()

    def detached(self) -> None:
        self._pass()
        if self._swallowing:
            self.link.connection.close()

    def _look(self) -> None:
        start = self._start
        if start == _SSL_REQUEST:
            self._pass()
        elif start.startswith(_RECORD) and start[_HELLO_AT : _HELLO_AT + 1] == _CLIENT_HELLO:
            self._swallowing = True
            self.link.counters.stalled_handshakes += 1
            self.link.flow.swallowed += len(start)
            self._start = b""
        elif not (_SSL_REQUEST.startswith(start) or (len(start) <= _HELLO_AT and _alike(start, _RECORD))):
            self._watching = False
            self._pass()

    def _pass(self) -> None:
        start, self._start = self._start, b""
        if start:
            self.forward(start)


def _alike(one: bytes, other: bytes) -> bool:
    """Whether one of them is the beginning of the other."""
    return one.startswith(other) or other.startswith(one)
