"""YAML nodes and parameters → arguments, noting what is wrong on the way instead of stopping at the first thing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brownout.errors import InvalidInput, Location, refuse, shown
from brownout.parameters import Parameter, parse
from brownout.units import UnitError
from brownout.yamlsource import Entry, MappingNode, Node, ScalarNode, SequenceNode


@dataclass(frozen=True, slots=True)
class Arguments:
    """What was given to a fault, a probe or the load."""

    values: Mapping[str, Any]
    """By Python name, parsed."""
    written: Mapping[str, str]
    """By key, as they stand in the file."""
    places: Mapping[str, Location]
    """Where the values stand, by key."""


class Binder:
    """Reads one file: its methods return None where they noted a mistake, and `refuse` raises all that were noted."""

    def __init__(self) -> None:
        self._noted: list[InvalidInput] = []

    def note(self, problem: str, *, at: Location, value: object = None, allowed: Collection[str] = ()) -> None:
        self._noted.append(InvalidInput(problem, at=at, value=value, allowed=allowed))

    def refuse(self) -> None:
        """Raises `InvalidInput` where anything was noted."""
        refuse(self._noted)

    def mapping(self, node: Node, what: str) -> Mapping[str, Entry] | None:
        if isinstance(node, MappingNode):
            return node.entries
        self.note(f"{what}: got {node}; expected a mapping (key: value)", at=node.at)
        return None

    def items(self, entry: Entry | None, *, what: str) -> Sequence[Node] | None:
        """The items of a list; no items where the key is not there."""
        if entry is None:
            return ()
        if isinstance(entry.node, SequenceNode):
            return entry.node.items
        self.note(f"{entry.key}: got {entry.node}; expected a list of {what}, each marked with '- '", at=entry.node.at)
        return None

    def known(self, entries: Mapping[str, Entry], allowed: Collection[str], *, of: str) -> None:
        for key, entry in entries.items():
            if key not in allowed:
                self.note(f"unknown key {shown(key)} of {of}", at=entry.at, value=key, allowed=allowed)

    def value(self, parameter: Parameter, node: Node) -> Any:
        """A single value; None where it is wrong, which no parsed value is."""
        if not isinstance(node, ScalarNode):
            self.note(f"{parameter.key}: got {node}; expected a single value", at=node.at)
            return None
        try:
            return parse(parameter, node.value)
        except UnitError as error:
            problem = f"{parameter.key}: got {node}; {error}"
            self.note(problem, at=node.at, value=node.value, allowed=error.allowed)
            return None

    def arguments(
        self, owner: str, parameters: Sequence[Parameter], given: Node | None, *, at: Location
    ) -> Arguments | None:
        """What is given to `owner`, whose name stands at `at`; nothing at all where it takes nothing it must have."""
        entries: Mapping[str, Entry] | None = {}
        if given is not None and not (isinstance(given, ScalarNode) and given.value is None):
            entries = self.mapping(given, owner)
        if entries is None:
            return None
        by_key = {one.key: one for one in parameters}
        self.known(entries, by_key, of=owner)
        for one in parameters:
            if one.required and one.key not in entries:
                self.note(f"{owner}: {one.key!r} is missing", at=at, allowed=by_key)
        values = {
            by_key[key].name: self.value(by_key[key], entry.node) for key, entry in entries.items() if key in by_key
        }
        complete = all(one.name in values or not one.required for one in parameters)
        if not complete or None in values.values() or not entries.keys() <= by_key.keys():
            return None
        return Arguments(
            values=values,
            written={key: written(entry.node) for key, entry in entries.items()},
            places={key: entry.node.at for key, entry in entries.items()},
        )

    def only(
        self,
        entries: Mapping[str, Entry],
        known: Collection[str],
        *,
        kind: str,
        at: Location,
        besides: Collection[str] = (),
    ) -> Entry | None:
        """The one entry that names a fault or a probe."""
        named = [entry for key, entry in entries.items() if key in known]
        others = [entry for key, entry in entries.items() if key not in known and key not in besides]
        if not named and not others:
            self.note(f"no {kind} is named here", at=at, allowed=known)
        elif not named:
            # The one with arguments, where there are several: the others are a step's misspelt times.
            other = max(others, key=lambda entry: isinstance(entry.node, MappingNode))
            self.note(f"unknown {kind} {shown(other.key)}", at=other.at, value=other.key, allowed=known)
        elif others:
            problem = f"{shown(others[0].key)} does not belong here; an argument is indented below {named[0].key!r}"
            self.note(problem, at=others[0].at, value=others[0].key, allowed=besides)
        elif len(named) > 1:
            problem = f"{named[1].key!r} stands beside {named[0].key!r}; each {kind} needs its own '- '"
            self.note(problem, at=named[1].at)
        else:
            return named[0]
        return None


def written(node: Node) -> str:
    """A value as it stands in the file, on one line."""
    return " ".join(node.text.split()) if isinstance(node, ScalarNode) else str(node)


def listed(arguments: Mapping[str, str], between: str) -> str:
    """Arguments as they stand in the file, for a title: `from gateway, to cache`."""
    return ", ".join(f"{key}{between}{value}" for key, value in arguments.items())
