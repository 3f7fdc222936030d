"""The method of an experiment file: faults, each with its arguments, its start and its length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from brownout.binding import Binder, listed, written
from brownout.errors import Location
from brownout.experiment import SHORTEST_LOOK, Step
from brownout.parameters import Parameter, parameters_of
from brownout.registry import Fault, Registry
from brownout.system import ServiceName
from brownout.units import Duration, format_seconds
from brownout.yamlsource import Entry, Node

TIMING = ("at", "for")
_AT = Parameter("at", "at", Duration)
_FOR = Parameter("for", "for_", Duration)


@dataclass(frozen=True, slots=True)
class Placed:
    """A step, where its length stands, and what it acts on: two faults of one name must not overlap there."""

    step: Step
    for_: Location
    acts_on: tuple[object, ...]


class MethodReader:
    """Reads `method`, and notes what is wrong with it."""

    def __init__(self, binder: Binder, faults: Registry[Fault]) -> None:
        self._binder = binder
        self._faults = faults

    def steps(self, entry: Entry | None) -> tuple[Placed, ...] | None:
        """The steps of a method; None where it is not there, or any of its steps cannot be read."""
        nodes = self._binder.items(entry, what="faults") if entry else None
        steps = [self._step(index, node) for index, node in enumerate(nodes or ())]
        placed = tuple(one for one in steps if one is not None)
        self._refuse_overlaps(placed)
        return placed if nodes is not None and len(placed) == len(steps) else None

    def _refuse_overlaps(self, placed: Sequence[Placed]) -> None:
        last: dict[tuple[object, ...], Step] = {}
        for one in sorted(placed, key=lambda one: one.step.at):
            step, earlier = one.step, last.get(one.acts_on)
            if earlier is not None and step.at < earlier.end:
                problem = (
                    f"{step.title} begins at {format_seconds(step.at)}, while the same fault of line "
                    f"{earlier.location.line} is on, from {format_seconds(earlier.at)} to {format_seconds(earlier.end)}"
                )
                self._binder.note(problem, at=step.location)
            if earlier is None or step.end > earlier.end:
                last[one.acts_on] = step

    def _step(self, index: int, node: Node) -> Placed | None:
        entries = self._binder.mapping(node, "an entry of the method")
        if entries is None:
            return None
        at, for_ = (self._time(parameter, entries, node.at) for parameter in (_AT, _FOR))
        named = self._binder.only(entries, self._faults.names(), kind="fault", at=node.at, besides=TIMING)
        if named is None:
            return None
        parameters = parameters_of(self._faults.get(named.key, at=named.at))
        arguments = self._binder.arguments(named.key, parameters, named.node, at=named.at)
        if at is None or for_ is None or arguments is None:
            return None
        scaled = frozenset(one.name for one in parameters if one.type is Duration)
        # A default is a span like any other: it is written down here, so that it is scaled like the others.
        values = {one.name: one.default for one in parameters if one.name in scaled and one.default is not None}
        values |= arguments.values
        title = _step_title(named.key, arguments.written)
        step = Step(index, named.key, values, at, for_, title, named.at, scaled)
        places = [arguments.values.get(one.name) for one in parameters if one.type is ServiceName]
        return Placed(step, entries["for"].node.at, (named.key, *(places or sorted(arguments.written.items()))))

    def _time(self, parameter: Parameter, entries: Mapping[str, Entry], at: Location) -> Duration | None:
        if parameter.key not in entries:
            problem = f"{parameter.key!r} is missing; a fault has a start (at: 10s) and a length (for: 20s)"
            self._binder.note(problem, at=at)
            return None
        node = entries[parameter.key].node
        seconds: Duration | None = self._binder.value(parameter, node)
        if seconds is None:
            return None
        if parameter is _AT and seconds < SHORTEST_LOOK:
            problem = f"at: got {written(node)}; this leaves no time to see the steady state; start at 1s or later"
            self._binder.note(problem, at=node.at)
        if parameter is _FOR and not seconds:
            self._binder.note(f"for: got {written(node)}; a fault lasts for some time", at=node.at)
        return seconds


def _step_title(fault: str, arguments: Mapping[str, str]) -> str:
    """`partition gateway → vector-db`, with what else was said in brackets; or `fault key: value, ...`."""
    others = {key: value for key, value in arguments.items() if key not in ("from", "to")}
    if len(others) != len(arguments) - 2:
        return f"{fault} {listed(arguments, ': ')}".strip()
    link = f"{fault} {arguments['from']} → {arguments['to']}"
    return f"{link} ({listed(others, ': ')})" if others else link
