"""What the body of a request asks for.

Unknown fields are ignored and `null` stands for a field that is not given, both as with Toxiproxy; within what is only
ours, a schedule, an unknown field is refused.
"""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from brownout.proxy.collection import ProxySpec
from brownout.proxy.errors import ApiError, bad_request, missing_field
from brownout.proxy.schedule import Schedule, Shape
from brownout.proxy.toxic import TOXICITY, Stream, Toxic, toxic_type, with_attributes

T = TypeVar("T")
_HOST = re.compile(r"(?!.*\.\d+$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*")
"""RFC 1123, section 2.1; with `_`, which is in use. No address: its last part is no number."""


def parse(body: bytes) -> Any:
    """JSON. Raises ApiError (400)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise bad_request(str(exc) if body else "EOF") from exc


def parse_object(body: bytes) -> Mapping[str, Any]:
    """A JSON object. Raises ApiError (400)."""
    fields = parse(body)
    if not isinstance(fields, dict):
        raise bad_request("expected an object")
    return fields


def field(fields: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """One field of it; None where it is not given. Raises ApiError (400)."""
    value = fields.get(name)
    if value is not None and type(value) is not kind:
        raise bad_request(f"field {name!r} must be of type {kind.__name__}")
    return value


def proxy_spec(fields: Mapping[str, Any], where: str = "") -> ProxySpec:
    """The proxy that is asked for. Raises ApiError (400)."""
    name = field(fields, "name", str)
    upstream = field(fields, "upstream", str)
    enabled = field(fields, "enabled", bool)
    if not name:
        raise missing_field(f"name{where}")
    if not upstream:
        raise missing_field(f"upstream{where}")
    tls, http = field(fields, "tls", bool) or False, field(fields, "http", bool) or False
    if tls and not http:
        raise bad_request("field 'tls' is for proxies that carry HTTP; other protocols' TLS passes as it is")
    return ProxySpec(
        name=name,
        listen=field(fields, "listen", str) or "",
        upstream=upstream,
        enabled=True if enabled is None else enabled,
        http=http,
        host=_host(field(fields, "host", str) or ""),
        tls=tls,
    )


def proxy_specs(body: bytes) -> list[ProxySpec]:
    """The proxies that are asked for. Raises ApiError (400)."""
    wanted = parse(body)
    if not isinstance(wanted, list) or not all(isinstance(item, dict) for item in wanted):
        raise bad_request("expected an array of objects")
    return [proxy_spec(fields, f" at proxy {index}") for index, fields in enumerate(wanted, start=1)]


def _host(name: str) -> str:
    name = name.lower().removesuffix(".")
    if name and (len(name) > 253 or not _HOST.fullmatch(name)):
        raise bad_request("field 'host' must be a host name, such as db.brownout.internal")
    return name


def toxic_of(fields: Mapping[str, Any]) -> Toxic:
    """The toxic that is asked for. Raises ApiError (400)."""
    given = field(fields, "stream", str)
    stream = Stream.DOWNSTREAM.value if given is None else given.lower()
    if stream not in list(Stream):
        raise ApiError(HTTPStatus.BAD_REQUEST, "stream was invalid, can be either upstream or downstream")
    kind = field(fields, "type", str) or ""
    toxicity = toxicity_of(fields)
    toxic = Toxic(
        name=field(fields, "name", str) or f"{kind}_{stream}",
        type=kind,
        stream=Stream(stream),
        toxicity=1.0 if toxicity is None else toxicity,
        attributes=with_attributes(toxic_type(kind).attributes(), field(fields, "attributes", dict) or {}),
        lease=field(fields, "lease", str),
    )
    schedule = field(fields, "schedule", dict)
    if schedule is not None:
        toxic.schedule = _schedule(schedule, toxic)
    return toxic


def toxicity_of(fields: Mapping[str, Any]) -> float | None:
    """The share of connections; None where it is not given. Raises ApiError (400)."""
    toxicity = fields.get("toxicity")
    if toxicity is None:
        return None
    if type(toxicity) not in (int, float) or not 0 <= toxicity <= 1:
        raise bad_request("field 'toxicity' must be a number between 0 and 1")
    return float(toxicity)


_SHAPES = ", ".join(Shape)


def _schedule(fields: Mapping[str, Any], toxic: Toxic) -> Schedule:
    known = ("shape", "of", "from", "to", "period", "seed")
    for name in fields:
        if name not in known:
            raise bad_request(f"unknown field {name!r} of a schedule; allowed: {', '.join(known)}")
    shape, of, period = field(fields, "shape", str), field(fields, "of", str), field(fields, "period", int)
    if shape not in list(Shape):
        raise bad_request(f"the shape of a schedule can be: {_SHAPES}")
    if of is None or period is None:
        raise missing_field(f"schedule.{'of' if of is None else 'period'}")
    if of != TOXICITY and not hasattr(toxic.attributes, of):
        raise bad_request(f"a schedule can be of {TOXICITY!r} or of an attribute, not of {of!r}")
    start, end = fields.get("from"), fields.get("to")
    given = toxic.toxicity if of == TOXICITY else getattr(toxic.attributes, of)
    schedule = {"start": 0 if start is None else start, "end": given if end is None else end}
    for value in schedule.values():
        # Whatever may stand there at some time must be what could be given there at once.
        if of == TOXICITY:
            toxicity_of({TOXICITY: value})
        else:
            with_attributes(toxic.attributes, {of: value})
    try:
        return Schedule(shape=Shape(shape), of=of, period_ms=period, seed=field(fields, "seed", int) or 0, **schedule)
    except ValueError as exc:
        raise bad_request(str(exc)) from exc
