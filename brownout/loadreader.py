"""The load of an experiment file: one stream of requests, or a list of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from brownout.binding import Arguments, Binder
from brownout.errors import Location, shown
from brownout.experiment import WRITES, Load, Writes
from brownout.parameters import parameters_of
from brownout.units import Duration, format_seconds
from brownout.yamlsource import Entry, Node, SequenceNode

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class PlacedStream:
    """A stream, and where what it says of itself stands."""

    load: Load
    places: Mapping[str, Location]
    """By key."""


class LoadReader:
    """Reads `load`, and notes what is wrong with it."""

    def __init__(self, binder: Binder) -> None:
        self._binder = binder
        self._named: dict[str, Location] = {}
        self.locations: dict[str, Location] = {}
        """As in `Experiment.locations`."""

    def streams(self, entry: Entry | None) -> Sequence[PlacedStream] | None:
        """The streams; one of defaults where the key is not there, None where any of them cannot be read."""
        if entry is None:
            return (PlacedStream(Load(), {}),)
        nodes = entry.node.items if isinstance(entry.node, SequenceNode) else (entry.node,)
        if not nodes:
            self._binder.note("load: got an empty list; expected at least one stream", at=entry.node.at)
        found = [self._stream(node, index, of=len(nodes)) for index, node in enumerate(nodes)]
        readable = [one for one in found if one is not None]
        return readable if nodes and len(readable) == len(found) else None

    def writes(self, entry: Entry | None) -> Writes | None:
        """What is written meanwhile; None where nothing is, or where it cannot be read."""
        given = self._binder.arguments("writes", parameters_of(Writes), entry.node, at=entry.at) if entry else None
        if entry is None or given is None:
            return None
        self.locations[entry.key] = entry.at
        writes = Writes(**given.values)
        if not writes.timeout:
            problem = f"timeout: got {given.written['timeout']}; an acknowledgement takes some time, such as 10s"
            self._binder.note(problem, at=given.places["timeout"])
        return writes

    def refuse_late(self, streams: Sequence[PlacedStream], *, until: Duration) -> None:
        """Note the streams that begin or end after the run."""
        run = f"after the run itself, whose duration is {format_seconds(until)}"
        for one in streams:
            if one.load.at >= until:
                problem = f"at: the stream begins at {format_seconds(one.load.at)}, {run}"
                self._binder.note(problem, at=one.places["at"])
            elif one.load.for_ is not None and one.load.end > until:
                self._binder.note(
                    f"for: the stream ends at {format_seconds(one.load.end)}, {run}", at=one.places["for"]
                )

    def _stream(self, node: Node, index: int, *, of: int) -> PlacedStream | None:
        given = self._binder.arguments("load", parameters_of(Load), node, at=node.at)
        if given is None:
            return None
        self.locations |= {f"load.{index}.{key}": place for key, place in given.places.items()}
        load = Load(**given.values)
        for key, span in (("timeout", load.timeout), ("deadline", load.deadline), ("for", load.for_)):
            if span is not None and not span:
                takes = "a stream lasts for some time" if key == "for" else "an answer takes some time, such as 30s"
                self._binder.note(f"{key}: got {given.written[key]}; {takes}", at=given.places[key])
        self._name(load, given, at=node.at, of=of)
        return PlacedStream(load, given.places)

    def _name(self, load: Load, given: Arguments, *, at: Location, of: int) -> None:
        if load.name is None:
            if of > 1:
                self._binder.note("load: 'name' is missing; each of several streams needs one of its own", at=at)
            return
        place = given.places["name"]
        if not _WORD.fullmatch(load.name) or len(load.name) > LONGEST_NAME:
            problem = f"name: got {shown(load.name)}; expected one word of letters, digits, - and _, such as spike"
            self._binder.note(problem, at=place)
        elif load.name == WRITES:
            self._binder.note(f"name: {WRITES!r} is what questions about written documents are", at=place)
        elif load.name in self._named:
            problem = f"name: {shown(load.name)} is the stream of line {self._named[load.name].line} already"
            self._binder.note(problem, at=place)
        else:
            self._named[load.name] = place
