"""The checks of an experiment file: a probe each, with its arguments."""

from collections.abc import Mapping
from dataclasses import replace

from brownout.binding import Binder, listed
from brownout.errors import EnvironmentProblem, InvalidInput, shown
from brownout.evidence.requests import Requests
from brownout.evidence.window import Window
from brownout.experiment import DEFAULT_ABORT_WINDOW, SHORTEST_LOOK, Block, Check
from brownout.parameters import Parameter, parameters_of
from brownout.probe import flaw_of
from brownout.registry import Probe, Registry
from brownout.units import Duration
from brownout.yamlsource import Entry, MappingNode, Node, ScalarNode

_OVER = Parameter("over", "over", Duration, required=False)


class CheckReader:
    """Reads `steady-state`, `during`, `after` and `abort`, and notes what is wrong with them."""

    def __init__(self, binder: Binder, probes: Registry[Probe]) -> None:
        self._binder = binder
        self._probes = probes

    def checks(self, entry: Entry | None, block: Block) -> tuple[Check, ...] | None:
        """The checks of a list; None where any of them cannot be read."""
        nodes = self._binder.items(entry, what="checks")
        checks = [self._check(node, block) for node in nodes or ()]
        readable = [one for one in checks if one is not None]
        return tuple(readable) if nodes is not None and len(readable) == len(checks) else None

    def _check(self, node: Node, block: Block) -> Check | None:
        named = self._named_probe(node)
        if named is None:
            return None
        name, at, given = named.key, named.at, named.node
        probe = self._probes.get(name, at=at)
        parameters = allowed = parameters_of(probe)
        if block == "abort":
            allowed = (*parameters, _OVER)
        else:
            given = self._without_over(given)
        arguments = self._binder.arguments(name, allowed, given, at=at)
        if arguments is None:
            return None
        values = {key: value for key, value in arguments.values.items() if key != _OVER.name}
        over = arguments.values.get(_OVER.name, DEFAULT_ABORT_WINDOW)
        if over < SHORTEST_LOOK:
            problem = f"over: got {arguments.written['over']}; a rolling window is at least 1s long"
            self._binder.note(problem, at=arguments.places["over"])
        if senseless := nonsense(name, probe, values, block=block):
            self._binder.note(f"{name}: {senseless}", at=at)
        scaled = frozenset(one.name for one in parameters if one.type is Duration)
        # A default is a span like any other: written down here, it is scaled like the others.
        values = {
            one.name: one.default for one in parameters if one.name in scaled and one.default is not None
        } | values
        return Check(name, values, _title(name, arguments.written), at, over=over, scaled=scaled)

    def _named_probe(self, node: Node) -> Entry | None:
        """`- probe: {...}`, or `- probe` where it takes no arguments."""
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            entries = self._binder.mapping(node, "a check")
            known = self._probes.names()
            return None if entries is None else self._binder.only(entries, known, kind="probe", at=node.at)
        if node.value in self._probes:
            return Entry(node.at, node.value, ScalarNode(node.at, "", None))
        problem = f"unknown probe {shown(node.value)}"
        self._binder.note(problem, at=node.at, value=node.value, allowed=self._probes.names())
        return None

    def _without_over(self, given: Node) -> Node:
        if not isinstance(given, MappingNode) or _OVER.key not in given.entries:
            return given
        problem = (
            "over: a rolling window belongs to abort conditions only; other checks judge the whole of their window"
        )
        self._binder.note(problem, at=given.entries[_OVER.key].at)
        return replace(given, entries={key: one for key, one in given.entries.items() if key != _OVER.key})


def nonsense(name: str, probe: Probe, arguments: Mapping[str, object], *, block: Block) -> str | None:
    """What the probe itself says of its arguments: it raises `ValueError` where they make no sense, whatever it judges.

    Raises:
        EnvironmentProblem: it raises anything else, or returns no verdict, on an empty window.
    """
    try:
        found = probe(Window(block, 0.0, 1.0, Requests.of(), ()), **arguments)
    except InvalidInput as error:
        return error.problem
    except ValueError as error:
        return " ".join(str(error).split())
    except Exception as error:
        msg = f"probe {name!r} is broken; on an empty window it raises {type(error).__name__}: {error}"
        raise EnvironmentProblem(msg) from error
    if flaw := flaw_of(found):
        msg = f"probe {name!r} is broken; on an empty window it {flaw}"
        raise EnvironmentProblem(msg)
    return None


def _title(probe: str, arguments: Mapping[str, str]) -> str:
    return f"{probe}: {listed(arguments, ' ')}" if arguments else probe
