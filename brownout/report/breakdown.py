"""Whom it hit: the same figures for each stream of load, tier, policy, way of retrieval and writer of answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from brownout.evidence.model import Request
from brownout.report.figures import BEFORE, BROKEN, WHOLE, Part, Stretch, stretch

MOST = 8
"""Values of one kind that are told one by one."""
REST = "all others"


def _writer(request: Request) -> str:
    return " · ".join(filter(None, (request.provider, request.model)))


KINDS: Mapping[str, Callable[[Request], str]] = {
    "Load": lambda r: r.load or "",
    "Tier": lambda r: r.tier,
    "Policy": lambda r: r.policy,
    "Retrieval": lambda r: r.retrieval or "",
    "Answered by": _writer,
}


@dataclass(frozen=True, slots=True)
class Group:
    """The requests that have one value in common, while something was broken and before that."""

    name: str
    broken: Stretch
    before: Stretch | None
    """None of a run without a fault."""


def breakdown(parts: Sequence[Part]) -> list[tuple[str, list[Group]]]:
    """For each kind that any request says something of, its groups, the largest first.

    What a request that was never answered does not say (who would have written it) leaves it out of that kind.
    """
    by_name = {part.name: part for part in parts}
    broken, before = by_name.get(BROKEN) or by_name.get(WHOLE), by_name.get(BEFORE)
    if broken is None:
        return []
    found = []
    for kind, of in KINDS.items():
        now, then = _grouped(broken.requests, of), _grouped(before.requests if before else (), of)
        names = sorted(now.keys() | then.keys(), key=lambda name: (-len(now.get(name, ())), name))
        groups = [
            Group(
                name,
                stretch(broken.name, broken.seconds, now.get(name, ())),
                stretch(before.name, before.seconds, then.get(name, ())) if before else None,
            )
            for name in names[:MOST]
        ]
        if rest := names[MOST:]:
            groups.append(
                Group(
                    REST,
                    stretch(broken.name, broken.seconds, [r for name in rest for r in now.get(name, ())]),
                    stretch(before.name, before.seconds, [r for name in rest for r in then.get(name, ())])
                    if before
                    else None,
                )
            )
        if groups:
            found.append((kind, groups))
    return found


def _grouped(requests: Sequence[Request], of: Callable[[Request], str]) -> dict[str, list[Request]]:
    groups: dict[str, list[Request]] = {}
    for request in requests:
        if name := of(request):
            groups.setdefault(name, []).append(request)
    return groups
