"""YAML as we read it: text → a small tree of nodes that know where they stand, and nothing else.

A file that people pass around is not trusted. There are no tags, so nothing is constructed; size, depth and the number
of nodes after the expansion of aliases are limited, so nothing explodes. And YAML 1.1's guesses are not made: `1:30`,
`010`, `1_000`, `2024-01-01`, `off` stay the text that was written. What a value is to be is decided by who asks for it.
"""

import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from brownout.errors import InvalidInput, Location, nearest_name, shown

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 10_000
"""After the expansion of aliases."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Printable characters as YAML 1.1 defines them (section 5.1); a plain scalar's forms as YAML 1.2's core schema does
# (section 10.3.2), less octal and hexadecimal numbers.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+)")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Mark(Protocol):
    """Where PyYAML is in a text; of a class of its own in either of its two parsers."""

    line: int
    column: int


Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value."""

    at: Location
    text: str
    value: Plain

    def __str__(self) -> str:
        return self.text if isinstance(self.value, int | float) else shown(self.value)


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    at: Location
    items: tuple["Node", ...]

    def __str__(self) -> str:
        return "a list"


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping and what it is mapped to."""

    at: Location
    """Where the key stands."""
    key: str
    node: "Node"


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping, in the order of the file."""

    at: Location
    entries: Mapping[str, Entry]

    def __str__(self) -> str:
        return "a mapping"


Node = ScalarNode | SequenceNode | MappingNode


def printable_path(path: Path | str) -> str:
    """A path as text that can be printed, whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_source(path: Path, *, limit: int = MAX_BYTES) -> str:
    """The text of an experiment file.

    Raises:
        InvalidInput: it is missing, unreadable, no regular file, larger than `limit` bytes, or no UTF-8 text.
    """
    name = printable_path(path)
    try:
        # Non-blocking, so that a named pipe cannot keep us waiting for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InvalidInput(f"{name}: no such file", nearest=_neighbour(path)) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(f"{name}: cannot be read: {why}") from error
    try:
        data = _read(descriptor, name, limit)
    except OSError as error:
        raise InvalidInput(f"{name}: cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        at = _location_of(before, len(before), name)
        raise InvalidInput(f"byte 0x{data[error.start]:02x} is not UTF-8 text", at=at) from error


def _read(descriptor: int, name: str, limit: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        what = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise InvalidInput(f"{name}: is {what}; expected an experiment file")
    if status.st_size > limit:
        raise InvalidInput(f"{name}: {_too_large(status.st_size, limit)}")
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(limit)


def compose(text: str, *, file: str) -> Node:
    """The one document that the text holds.

    Raises:
        InvalidInput: it is no YAML, or uses what an experiment has no use for: several documents, tags, keys that are
            no text, the same key twice, more depth, nodes or characters than allowed.
    """
    if len(text) > MAX_BYTES:
        raise InvalidInput(f"{file}: {_too_large(len(text), MAX_BYTES)}")
    if bad := _UNPRINTABLE.search(text):
        msg = f"the character {shown(bad.group())} cannot stand in a text file"
        raise InvalidInput(msg, at=_location_of(text, bad.start(), file))
    return _Composer(text, file).document()


def resolve(text: str) -> Plain:
    """What a plain (unquoted) scalar means: nothing, a truth value, a decimal number, or else itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


class _Composer:
    """Builds nodes from PyYAML's events, not from its composer: that one recurses, in C, as deep as the file says."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._lines = text.splitlines()
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0

    def document(self) -> Node:
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise InvalidInput("the file is empty; expected an experiment", at=Location(self._file))
        node = self._node(self._next(), 0)
        self._next()  # the document's end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise InvalidInput(
                "a second document starts here; one file holds one experiment", at=self._location(event.start_mark)
            )
        return node

    def _next(self) -> yaml.Event:
        try:
            return next(self._events)
        except yaml.MarkedYAMLError as error:
            raise self._broken(error) from error
        except yaml.YAMLError as error:
            raise InvalidInput(f"not valid YAML: {error}", at=Location(self._file)) from error

    def _broken(self, error: yaml.MarkedYAMLError) -> InvalidInput:
        at = self._location(error.problem_mark or error.context_mark)
        here = self._lines[at.line - 1] if at.line <= len(self._lines) else ""
        problem = error.problem or "unreadable"
        if "\t" in here[: len(here) - len(here.lstrip())] or here[at.column - 1 : at.column] == "\t":
            problem = "a tab; YAML is indented with spaces"
        elif "mapping values" in problem:
            problem += "; text that holds ': ' needs quotes"
        elif "cannot start any token" in problem:
            problem += "; text that starts with it needs quotes"
        near = f" near {shown(here.strip())}" if here.strip() else ""
        return InvalidInput(f"not valid YAML{near}: {problem}", at=at)

    def _location(self, mark: Mark | None) -> Location:
        return Location(self._file, mark.line + 1, mark.column + 1) if mark else Location(self._file)

    def _count(self, nodes: int, at: Location) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise InvalidInput(f"more than {MAX_NODES} values, aliases expanded; an experiment is short", at=at)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        at = self._location(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise InvalidInput(
                    f"alias *{event.anchor} has no anchor before it", at=at, value=event.anchor, allowed=self._anchors
                )
            node, size = self._anchors[event.anchor]
            self._count(size, at)
            return node
        if depth > MAX_DEPTH:
            raise InvalidInput(f"nested deeper than {MAX_DEPTH} levels", at=at)
        if (tag := getattr(event, "tag", None)) is not None:
            raise InvalidInput(f"tag {shown(tag)}: tags are not used in experiments; remove it", at=at)
        before = self._nodes
        self._count(1, at)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, at)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = SequenceNode(at, tuple(self._items(depth)))
        else:
            node = self._mapping(at, depth)
        if (anchor := getattr(event, "anchor", None)) is not None:
            self._anchors[anchor] = (node, self._nodes - before)
        return node

    def _scalar(self, event: yaml.ScalarEvent, at: Location) -> ScalarNode:
        if bad := _UNPRINTABLE.search(event.value):
            raise InvalidInput(f"{shown(event.value)} holds the control character {shown(bad.group())}", at=at)
        # PyYAML says '' or None for the plain style, depending on the parser.
        return ScalarNode(at, event.value, event.value if event.style else resolve(event.value))

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _mapping(self, at: Location, depth: int) -> MappingNode:
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(self._next(), depth + 1)
            if not isinstance(key, ScalarNode) or not isinstance(key.value, str):
                raise InvalidInput(f"a key must be text, not {key}", at=key.at)
            entry = Entry(key.at, key.value, value)
            if key.value == "<<":
                # Earlier mappings win over later ones, and the mapping's own keys over all of them.
                merged = _merge(value) | merged
            elif key.value in own:
                first = own[key.value].at
                msg = f"key {shown(key.value)} stands here a second time"
                raise InvalidInput(f"{msg}; first in line {first.line}, column {first.column}", at=key.at)
            else:
                own[key.value] = entry
        return MappingNode(at, {**merged, **own})


def _merge(node: Node) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for one in reversed(node.items) if isinstance(node, SequenceNode) else (node,):
        if not isinstance(one, MappingNode):
            raise InvalidInput(f"'<<' merges mappings, not {one}", at=one.at)
        entries |= one.entries
    return entries


def _location_of(text: str, offset: int, file: str) -> Location:
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    return Location(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _too_large(size: int, limit: int) -> str:
    return f"is too large for an experiment: {size} bytes; at most {limit} are read"


def _neighbour(path: Path) -> str | None:
    """The file that was likely meant, in the folder that was named."""
    try:
        names = [one.name for one in path.parent.iterdir() if one.suffix in (".yaml", ".yml", ".json")]
    except OSError:
        return None
    nearest = nearest_name(path.name, names)
    return printable_path(path.parent / nearest) if nearest else None
