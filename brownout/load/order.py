"""What is said on the connection between a run and a load generator in another place: one JSON object a line.

To the generator: `{"clock": n}`, `{"ask": ORDER}`, `{"offer": ORDER}`, `{"end": true}` or `{"end": false}`. From it:
`{"clock": n, "now": s}`, `{"started": [...]}`, `{"heard": [...]}`, `{"request": {...}}`, and last `{"over": null}`, or
what went wrong. Both ends are of one version: this is no public interface.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from brownout.api import Api, ChatApi, JsonApi
from brownout.evidence.model import Request
from brownout.experiment import Load
from brownout.target import Caller, Door, Question

LIMIT = 2**24
"""Bytes of a line at most: an order names every question."""
ALIVE_EVERY = 1.0
"""Seconds between two questions for the clock, by which each end knows that the other is there."""
SILENCE = 10.0
"""Seconds after which an end that says nothing is taken for gone."""


@dataclass(frozen=True, slots=True)
class Order:
    """A load to be offered, in the run's own time."""

    door: Door
    loads: Sequence[Load]
    questions: Mapping[str, Sequence[Question]]
    """By the name of their set."""
    seed: int
    until: float
    """Seconds of the run."""
    grace: float
    """Seconds for which the last answers are awaited."""
    zero: float = 0.0
    """The run's start, by the generator's monotonic clock."""


def order_out(order: Order) -> dict[str, Any]:
    """As JSON. Has the callers' tokens in it."""
    return {**asdict(order), "api": "json" if isinstance(order.door.api, JsonApi) else "chat"}


def order_in(told: Mapping[str, Any]) -> Order:
    """From JSON."""
    door, fields = told["door"], {key: told[key] for key in ("seed", "until", "grace", "zero")}
    callers = tuple(Caller(**one) for one in door["callers"])
    questions = {name: [_question(one) for one in found] for name, found in told["questions"].items()}
    loads = [Load(**one) for one in told["loads"]]
    return Order(Door(door["url"], callers, _api(told["api"], door["api"])), loads, questions, **fields)


def request_out(request: Request) -> dict[str, Any]:
    """As JSON."""
    return asdict(request)


def request_in(told: Mapping[str, Any]) -> Request:
    """From JSON."""
    return Request(**{**told, "warnings": tuple(told["warnings"]), "citations": tuple(told["citations"])})


def line(**said: Any) -> bytes:
    """One line of the connection."""
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def _api(kind: str, told: Mapping[str, Any]) -> Api:
    return ChatApi(**told) if kind == "chat" else JsonApi(**{**told, "answer": tuple(told["answer"])})


def _question(told: Mapping[str, Any]) -> Question:
    sources = told["sources"]
    known = {"facts": tuple(told["facts"]), "sources": None if sources is None else tuple(sources)}
    return Question(**{**told, **known})
