"""What an experiment may say of a fault or a probe: read off the signature of the function behind it.

The same list binds the arguments, fills the JSON Schema and prints the reference, so none of them can drift.
"""

import functools
import inspect
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, Unpack, get_args, get_origin, get_type_hints, is_typeddict

from brownout.promql import PromQL
from brownout.system import DependencyName, DependencyPattern, LoadName, ServiceFamily, ServiceName, TierName
from brownout.units import (
    Bandwidth,
    Duration,
    Latency,
    Rate,
    Share,
    Size,
    UnitError,
    parse_bandwidth,
    parse_rate,
    parse_seconds,
    parse_share,
    parse_size,
)

MAX_TEXT = 2000
"""Longest text, in characters: a paragraph is a hypothesis, a page is a mistake."""
RESERVED = ("over",)
"""Keys of a check that are the core's: no probe may have a parameter of that name."""
SWITCH_WORDS: Mapping[str, bool] = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}

_VARIADIC = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that an experiment may say of a fault, of a probe or of the load."""

    key: str
    """As written in an experiment: `from`, `at-least`."""
    name: str
    """In Python: `from_`, `at_least`."""
    type: Any
    """The annotation without its `| None`: a type of `brownout.units`, `ServiceName`, `Literal[...]`, str, int, ..."""
    required: bool = True
    default: Any = None
    doc: str = ""
    """From the docstring's `Args:`; empty where it says nothing."""


def check_declaration(function: Callable[..., object], *, first: str) -> None:
    """Check how a fault or a probe is declared. Looks at the code object alone, since it runs on every import.

    Raises:
        TypeError: it does not take `first` and then keyword-only, annotated parameters; or it is a bare generator.
    """
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None)
    name = getattr(function, "__qualname__", repr(function))
    if not isinstance(code, types.CodeType):
        msg = f"{name} is no function"
        raise TypeError(msg)
    if inner is function and code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR | inspect.CO_COROUTINE):
        msg = f"{name} yields or awaits by itself; a fault needs @asynccontextmanager below @fault, a probe is pure"
        raise TypeError(msg)
    annotations = inner.__annotations__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    shared = _shared(annotations.get(code.co_varnames[len(names)])) if code.co_flags & inspect.CO_VARKEYWORDS else None
    if code.co_argcount != 1 or names[0] != first or (code.co_flags & _VARIADIC and shared is None):
        msg = f"{name} must take {first!r} first and nothing but keyword-only parameters after it: ({first}, *, ...)"
        raise TypeError(msg)
    for parameter in names[1:]:
        if parameter not in annotations:
            msg = f"{name}: parameter {parameter!r} needs an annotation, which is how an experiment's value is read"
            raise TypeError(msg)
    for parameter in (*names[1:], *getattr(shared, "__annotations__", ())):
        if first == "window" and parameter in RESERVED:
            msg = f"{name}: {parameter!r} is the core's own word in a check; call the parameter something else"
            raise TypeError(msg)


@functools.cache
def parameters_of(declared: Callable[..., object]) -> tuple[Parameter, ...]:
    """The parameters of a fault or probe (the keyword-only ones) or of a dataclass (every field), in their order.

    Those that several faults or probes share are the keys of a `TypedDict`: `**selected: Unpack[Selected]`.

    Raises:
        TypeError: an annotation cannot be resolved, or is of a type that no experiment can write.
    """
    inner = inspect.unwrap(declared)
    owner, hints = inner.__qualname__, _hints(inner)
    docs = _documented(inspect.getdoc(inner) or "")
    found: list[Parameter] = []
    for name, parameter in inspect.signature(inner).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found += _parameters_of_shared(_shared(hints[name]), owner=owner)
        elif parameter.kind is parameter.KEYWORD_ONLY or isinstance(inner, type):
            required = parameter.default is parameter.empty
            default = None if required else parameter.default
            kind = _writable(hints[name], owner=owner, name=name)
            doc = docs.get(name, "")
            found.append(Parameter(key_of(name), name, kind, required=required, default=default, doc=doc))
    return tuple(found)


def _parameters_of_shared(shared: Any, *, owner: str) -> Iterable[Parameter]:
    docs = _documented(inspect.getdoc(shared) or "")
    for name, annotation in _hints(shared).items():
        kind, required = _writable(annotation, owner=owner, name=name), name in shared.__required_keys__
        yield Parameter(key_of(name), name, kind, required=required, doc=docs.get(name, ""))


def _shared(annotation: object) -> Any:
    """The `TypedDict` of an annotation `Unpack[...]`; None where it is another."""
    arguments = get_args(annotation) if get_origin(annotation) is Unpack else ()
    return arguments[0] if arguments and is_typeddict(arguments[0]) else None


def _hints(declared: Any) -> dict[str, Any]:
    try:
        return get_type_hints(declared)
    except NameError as error:
        msg = f"{declared.__qualname__}: its annotations cannot be resolved: {error}"
        raise TypeError(msg) from error


def _writable(annotation: Any, *, owner: str, name: str) -> Any:
    kind = _without_none(annotation)
    if kind not in _PARSERS and get_origin(kind) is not Literal:
        msg = f"{owner}: no experiment can write a {kind} (parameter {name!r})"
        raise TypeError(msg)
    return kind


def key_of(name: str) -> str:
    """A Python name as an experiment writes it: `from_` → `from`, `at_least` → `at-least`."""
    return name.rstrip("_").replace("_", "-")


def parse(parameter: Parameter, raw: object) -> Any:
    """A value as an experiment writes it (text, number, truth value or nothing) → the value that the function takes.

    Raises:
        UnitError: it is none; the message says what is.
    """
    if get_origin(parameter.type) is Literal:
        return _choice(get_args(parameter.type), raw)
    return _PARSERS[parameter.type](raw)


def _choice(choices: tuple[object, ...], raw: object) -> object:
    for choice in choices:
        # By type as well: True is no 1.
        if type(choice) is type(raw) and choice == raw:
            return choice
    msg = "not one of the values allowed"
    raise UnitError(msg, allowed=[str(choice) for choice in choices])


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        msg = "expected text" if raw is None else "expected text; put it in quotes if it is meant so"
        raise UnitError(msg)
    text = raw.strip()
    if not text:
        msg = "expected text, not an empty one"
        raise UnitError(msg)
    if len(text) > MAX_TEXT:
        msg = f"expected a text of at most {MAX_TEXT} characters; this one has {len(text)}"
        raise UnitError(msg)
    return text


def _integer(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        msg = "expected a whole number such as 3"
        raise UnitError(msg)
    return raw


def _number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        msg = "expected a number such as 0.5"
        raise UnitError(msg)
    return float(raw)


def _switch(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in SWITCH_WORDS:
        return SWITCH_WORDS[raw.lower()]
    msg = "expected a switch"
    raise UnitError(msg, allowed=["on", "off", "true", "false"])


_PARSERS: Mapping[object, Callable[[object], object]] = {
    Duration: parse_seconds,
    Latency: parse_seconds,
    Rate: parse_rate,
    Size: parse_size,
    Bandwidth: parse_bandwidth,
    Share: parse_share,
    ServiceName: _text,
    ServiceFamily: _text,
    TierName: _text,
    DependencyName: _text,
    DependencyPattern: _text,
    LoadName: _text,
    PromQL: _text,
    str: _text,
    int: _integer,
    float: _number,
    bool: _switch,
}


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    others = [part for part in get_args(annotation) if part is not type(None)]
    return others[0] if len(others) == 1 else annotation


_SECTION = re.compile(r"[A-Z][a-z]+:")
_ENTRY = re.compile(r"(?P<name>\w+)(?: \([^)]*\))?:\s*(?P<text>.*)")


def _documented(doc: str) -> dict[str, str]:
    """The `Args:` section of a docstring in Google's style: what it says of each name, on one line."""
    docs: dict[str, str] = {}
    lines = iter(doc.splitlines())
    if not any(line.strip() == "Args:" for line in lines):
        return docs
    entry_indent, name = None, None
    for line in lines:
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if text and (indent == 0 or _SECTION.fullmatch(text)):
            break
        entry_indent = indent if entry_indent is None and text else entry_indent
        if indent == entry_indent and (entry := _ENTRY.fullmatch(text)):
            name = entry["name"]
            docs[name] = entry["text"]
        elif name is not None and text:
            docs[name] = f"{docs[name]} {text}".strip()
    return docs
