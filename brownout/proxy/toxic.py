"""A toxic: one way to mistreat the data of a link.

To add one, put one file into `brownout/proxy/toxics/`: a frozen dataclass of attributes, and a subclass of `Stage`
registered under the toxic's name. `Stage` itself passes everything on untouched, so override only what you break.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from brownout.proxy.errors import ApiError, bad_request
from brownout.proxy.schedule import Schedule

if TYPE_CHECKING:
    from brownout.proxy.link import Link


class Stream(StrEnum):
    """The direction that a toxic affects."""

    UPSTREAM = "upstream"
    """From client to server."""
    DOWNSTREAM = "downstream"
    """From server to client."""


TOXICITY = "toxicity"

A = TypeVar("A")
"""A toxic's attributes: a frozen dataclass whose fields, all with defaults, are its parameters."""


@dataclass(eq=False, slots=True, kw_only=True)
class Toxic:
    """A toxic as configured on a proxy. Its attributes and toxicity may be updated; the rest is fixed."""

    name: str
    type: str
    stream: Stream
    toxicity: float
    """The share of connections that it affects, 0.0 to 1.0."""
    attributes: Any
    """The frozen dataclass that goes with `type`."""
    lease: str | None = None
    """The lease that it lives on; it goes when the lease does."""
    schedule: Schedule | None = None
    """What changes one of its attributes, or its toxicity, with time."""
    connections_met: int = 0
    """For a stage that tells connections apart by their order."""
    requests_met: int = 0
    """For one that tells requests apart by theirs."""

    def set_value(self, of: str, value: float) -> None:
        """Give an attribute, or the toxicity, that value; rounded where the attribute is a whole number."""
        if of == TOXICITY:
            self.toxicity = value
        else:
            kind = type(getattr(self.attributes, of))
            self.attributes = replace(self.attributes, **{of: round(value) if kind is int else value})

    def to_json(self) -> dict[str, object]:
        """Toxiproxy's fields; `lease` and `schedule` only where there is one."""
        shown: dict[str, object] = {
            "attributes": asdict(self.attributes),
            "name": self.name,
            "type": self.type,
            "stream": self.stream.value,
            "toxicity": self.toxicity,
        }
        if self.lease is not None:
            shown["lease"] = self.lease
        if self.schedule is not None:
            shown["schedule"] = self.schedule.to_json()
        return shown


class Stage(Generic[A]):
    """A toxic at work on one direction of one connection. This base passes everything on.

    `self.attributes` holds the parameters; `self.link` gives time, chance, counters and a hold on the connection.
    A link calls the stage from the event loop only, one call at a time.
    """

    forward: Callable[[bytes], None]
    """Hand bytes to the next stage, or to the socket behind the last."""
    forward_eof: Callable[[], None]
    """Say that no more bytes will come."""

    def __init__(self, toxic: Toxic, link: Link) -> None:
        self.toxic = toxic
        self.link = link

    @property
    def attributes(self) -> A:
        """As they are now; an update replaces them."""
        return cast("A", self.toxic.attributes)

    def attached(self) -> None:
        """The toxic has met the connection: when it was made, or in mid-flow. Data may follow."""

    def data(self, chunk: bytes) -> None:
        """Bytes have arrived; never empty."""
        self.forward(chunk)

    def eof(self) -> None:
        """The sender will send no more, in this direction."""
        self.forward_eof()

    def updated(self) -> None:
        """The toxic's attributes have changed."""

    def detached(self) -> None:
        """The toxic is being removed from a living connection. Whatever was held back must be forwarded now."""

    def closed(self) -> None:
        """The connection is over: cancel timers, drop what is held."""


@dataclass(frozen=True, slots=True)
class ToxicType:
    """What stands behind a toxic's `type`."""

    attributes: type[Any]
    stage: type[Stage[Any]]
    http: bool
    """Whether it is for links alone that are declared to carry HTTP."""
    named: bool
    """Whether it is for links alone that have a host name."""


TOXIC_TYPES: dict[str, ToxicType] = {}


def register(
    name: str, attributes: type[Any], *, http: bool = False, named: bool = False
) -> Callable[[type[Stage[Any]]], type[Stage[Any]]]:
    """Class decorator: make a stage known under the `type` that the HTTP API will call it by."""

    def _register(stage: type[Stage[Any]]) -> type[Stage[Any]]:
        TOXIC_TYPES[name] = ToxicType(attributes, stage, http, named)
        return stage

    return _register


def load_toxics() -> None:
    """Import every module of `brownout.proxy.toxics`, so that each registers itself."""
    package = importlib.import_module("brownout.proxy.toxics")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def toxic_type(name: str) -> ToxicType:
    """The registered type of that name.

    Raises:
        ApiError: 400, as Toxiproxy does.
    """
    if name not in TOXIC_TYPES:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid toxic type")
    return TOXIC_TYPES[name]


def with_attributes(current: Any, given: Mapping[str, object]) -> Any:
    """The attributes with those given replaced.

    Stricter than Toxiproxy in two points, because a fault that silently does nothing proves nothing: an unknown name
    and a negative number are refused.

    Raises:
        ApiError: 400, naming the attribute.
    """
    types = {field.name: type(getattr(current, field.name)) for field in fields(current)}
    accepted: dict[str, object] = {}
    for name, value in given.items():
        if name not in types:
            near = difflib.get_close_matches(name, types, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(types) or 'none'}"
            raise bad_request(f"unknown attribute {name!r}; {hint}")
        # JSON does not tell 1 from 1.0.
        value = float(value) if types[name] is float and type(value) is int else value  # noqa: PLW2901
        if type(value) is not types[name]:
            raise bad_request(f"attribute {name!r} must be of type {types[name].__name__}")
        if isinstance(value, int | float) and not 0 <= value < 2**63:
            raise bad_request(f"attribute {name!r} must not be negative, nor above 2^63-1")
        accepted[name] = value
    try:
        return replace(current, **accepted)
    except ValueError as exc:
        raise bad_request(str(exc)) from exc
