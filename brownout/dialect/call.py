"""One call to a provider, and a reply to it before it is written in anybody's dialect."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Finish = Literal["stop", "length", "content_filter", "refusal"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as far as its answer depends on it."""

    model: str
    stream: bool = False
    include_usage: bool = True
    """Whether a streamed answer tells its usage; some providers want to be asked."""
    operation: str = ""
    """What else the provider's own texts name: an API version, an action."""
    at: float = 1_750_000_000.0
    """Unix time in seconds; given, so that the same call has the same answer."""
    serial: int = 0
    """Tells calls apart: identifiers in the answer follow from it."""

    def identifier(self, prefix: str, length: int = 24) -> str:
        """An identifier as providers give them: the prefix, then so many hexadecimal digits; at most 64."""
        return prefix + hashlib.sha256(f"{prefix}{self.serial}".encode()).hexdigest()[:length]

    def uuid(self) -> str:
        """An identifier in the form of a UUID."""
        digits = self.identifier("", 32)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def timestamp(self, later: float = 0.0) -> str:
        """The time of the call plus some seconds, as RFC 3339 has it, in whole seconds."""
        return datetime.fromtimestamp(self.at + later, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a call cost."""

    prompt: int
    completion: int

    @property
    def total(self) -> int:
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model says, token by token, in nobody's dialect yet."""

    model: str
    tokens: tuple[str, ...]
    usage: Usage | None
    finish: Finish = "stop"

    @property
    def text(self) -> str:
        return "".join(self.tokens)


@dataclass(frozen=True, slots=True)
class StreamParts:
    """A streamed answer in its parts, each one event, framed as it is sent."""

    opening: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    closing: tuple[bytes, ...]
    """Everything after the last token, up to what marks a complete answer."""


def fields_of(body: bytes) -> Mapping[str, Any] | None:
    """The JSON object in a request's body; None where there is none."""
    try:
        found = json.loads(body)
    except (ValueError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def compact(value: object) -> bytes:
    """JSON without needless white space, non-ASCII text as it is."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def pretty(value: object, indent: int = 2) -> bytes:
    """JSON as some providers print it, for people."""
    return json.dumps(value, indent=indent, ensure_ascii=False).encode() + b"\n"


def server_sent(data: bytes, event: str | None = None) -> bytes:
    """One server-sent event. Source: the WHATWG HTML standard, section 9.2."""
    named = f"event: {event}\n".encode() if event is not None else b""
    return named + b"data: " + data + b"\n\n"
