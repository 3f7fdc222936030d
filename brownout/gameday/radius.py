"""Whether a plan's experiments stay within its blast radius: known before anything starts, from what they would break.

A target that is brought up for the drill, and thrown away after it, has no traffic but the drill's own: there nothing
is beyond the radius. Anywhere else the plan must state one, and every fault of every experiment must be able to say
that it stays within it:

- `pods`: a fault on a service hits one pod of it, unless it says that it hits all of them (`scale_to_zero`), or a node
  with whatever runs there (`drain`), which stays within nothing. In the course of one experiment no more than so many
  pods of each service are hit: replicas that faults name, and one more for each fault that takes one by chance.
- `traffic`: a fault on a link hits the share of the requests there that it says (`share`, `every`), or all of them.
  What faults on at the same time hit adds up. A fault on a service hits as large a share as it has of the service's
  pods; but where the plan states `pods`, that is what limits it.
- `tenants`: only a fault on a link that says whose requests it hits (`tenant`) stays within. A fault on a service hits
  everybody.
- A fault on a service's data, whose documents anybody may ask for, hits all of the traffic and every tenant.

What the radius does not state is not limited.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from brownout.breakage import Breakage, LinkPlace, Place
from brownout.errors import BrownoutError
from brownout.experiment import Step
from brownout.gameday.facts import options_of
from brownout.gameday.plan import BlastRadius, GameDay
from brownout.prepare import planned_of
from brownout.report.text import plural
from brownout.system import Plan, Topology
from brownout.units import format_share

UNSTATED = "the plan does not say how much may be hit (blast-radius), and others use the target as well"
_OF_A_SERVICE = "service."
"""How kinds of breakages begin that hit a service's process; those of its data do not."""
_ROUNDING = 1e-9


def beyond_radius(plan: GameDay) -> list[str]:
    """What the plan's experiments would hit beyond its blast radius, one text each, with its place in a file.

    Enters every fault once against a plan of the target, in an event loop of its own: not to be called from within one.
    Says nothing of experiments that cannot run: `brownout.gameday.facts.problems_of_experiments` does.
    """
    found: list[str] = []
    for path in dict.fromkeys(one.path for one in plan.experiments):
        try:
            topology, steps = planned_of(path, options_of(plan))
        except BrownoutError:
            continue
        if topology.own_traffic:
            continue
        if plan.blast_radius == BlastRadius():
            return [UNSTATED]
        found += [f"{step.location}: {step.fault}: {why}" for step, why in beyond(plan.blast_radius, topology, steps)]
    return found


def limits_nothing(plan: GameDay) -> bool:
    """Whether a limit is stated in vain: the target of every experiment has no traffic but the drill's own."""
    try:
        owned = [planned_of(one.path, options_of(plan))[0].own_traffic for one in plan.experiments]
    except BrownoutError:
        return False
    return plan.blast_radius not in (BlastRadius(), BlastRadius(traffic=1.0)) and all(owned)


def beyond(radius: BlastRadius, topology: Topology, steps: Sequence[tuple[Step, Plan]]) -> Iterator[tuple[Step, str]]:
    """Of one experiment: every step that goes beyond, or cannot say that it does not, and why; each reason once.

    Args:
        radius: what may be hit.
        topology: of the target.
        steps: of the method, in order, each with what it would break.
    """
    pods: dict[str, _Pods] = {}
    on: list[tuple[Step, float]] = []
    for step, plan in sorted(steps, key=lambda one: one[0].at):
        on = [(other, share) for other, share in on if other.end > step.at]
        told: dict[str, None] = {}
        for index, (place, breakage) in enumerate(plan.steps):
            told |= dict.fromkeys(_of_tenants(radius, place, breakage))
            if isinstance(place, LinkPlace) or not breakage.kind.startswith(_OF_A_SERVICE):
                share = breakage.reach.traffic if isinstance(place, LinkPlace) else 1.0
                on.append((step, share))
                told |= dict.fromkeys(_of_traffic(radius, sum(one for _, one in on), place))
                continue
            family = next((name for name, found in topology.families.items() if place.service in found), place.service)
            replicas = topology.families.get(family, (family,))
            hit = pods.setdefault(family, _Pods(len(replicas)))
            if breakage.reach.pods == "one":
                hit.add(None if index in plan.by_chance else place.service)
            else:
                hit.named.update(replicas)
            told |= dict.fromkeys(_of_others(radius, place, breakage))
            told |= dict.fromkeys(_of_pods(radius, hit, family))
        yield from ((step, why) for why in told)


@dataclass
class _Pods:
    """Those of one service that an experiment hits."""

    of: int
    named: set[str] = field(default_factory=set)
    drawn: int = 0

    def add(self, name: str | None) -> None:
        """One more; None is one that chance picks."""
        if name is None:
            self.drawn += 1
        else:
            self.named.add(name)

    @property
    def hit(self) -> int:
        """At most so many."""
        return min(len(self.named) + self.drawn, self.of)


def _of_tenants(radius: BlastRadius, place: Place, breakage: Breakage) -> Iterator[str]:
    if not radius.tenants:
        return
    tenant = breakage.reach.tenant if isinstance(place, LinkPlace) else None
    allowed = " and ".join(radius.tenants)
    if tenant is None:
        yield f"cannot say that of {place} it hits only {allowed} (tenants)"
    elif tenant not in radius.tenants:
        yield f"hits requests of {tenant}; the plan allows {allowed} (tenants)"


def _of_traffic(radius: BlastRadius, share: float, place: Place) -> Iterator[str]:
    if radius.traffic is None or share <= radius.traffic + _ROUNDING:
        return
    hit = "all requests" if share >= 1 else f"{format_share(share)} of the requests"
    yield f"hits {hit} of {place}; the plan allows {format_share(radius.traffic)} (traffic)"


def _of_others(radius: BlastRadius, place: Place, breakage: Breakage) -> Iterator[str]:
    if breakage.reach.pods == "others" and (radius.pods is not None or radius.traffic not in (None, 1.0)):
        yield f"cannot say that it hits pods of {place} alone (pods, traffic)"


def _of_pods(radius: BlastRadius, pods: _Pods, family: str) -> Iterator[str]:
    if radius.pods is not None:
        if pods.hit > radius.pods:
            yield f"hits {plural(pods.hit, 'pod')} of {family}; the plan allows {radius.pods} of each service (pods)"
    elif radius.traffic is not None and pods.hit / pods.of > radius.traffic + _ROUNDING:
        share = format_share(pods.hit / pods.of)
        yield (
            f"hits {pods.hit} of {plural(pods.of, 'pod')} of {family}, {share} of what it serves; "
            f"the plan allows {format_share(radius.traffic)} (traffic)"
        )
