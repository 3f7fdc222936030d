"""Whether a target can do what an experiment asks: known before anything starts."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from brownout import registry
from brownout.breakage import Breakage, LinkPlace, Place, ServicePlace
from brownout.checkreader import nonsense
from brownout.errors import EnvironmentProblem, FaultError, InvalidInput, Location, refuse, shown
from brownout.experiment import WRITES, Block, Check, Experiment, Step
from brownout.parameters import Parameter, parameters_of, parse
from brownout.registry import Fault, Probe, Registry
from brownout.system import (
    DependencyName,
    DependencyPattern,
    LoadName,
    Plan,
    ServiceName,
    TierName,
    Topology,
    UnknownFamily,
    UnknownPlace,
)
from brownout.target import Prepares, Say, Setting, Target
from brownout.units import Duration, Share, UnitError
from brownout.yamlsource import resolve

Value = str | float | int | bool
LONGEST_ENTRY = 5.0
"""Seconds of real time within which a fault must have said what it breaks; a plan takes none."""

_TYPES: Mapping[str, type | object] = {
    "switch": bool,
    "duration": Duration,
    "number": float,
    "integer": int,
    "share": Share,
    "text": str,
}


def fit(
    experiment: Experiment,
    *,
    target_name: str,
    topology: Topology,
    settings: Mapping[str, Setting],
    faults: Registry[Fault] | None = None,
    probes: Registry[Probe] | None = None,
) -> dict[str, Value]:
    """Check an experiment against its target; returns its settings as `TargetOptions.settings` wants them.

    Enters every fault once against a `Plan`, in an event loop of its own: not to be called from within one.

    Raises:
        InvalidInput: the experiment names a service, link, dependency, policy, question set, tier, tenant or setting
            that the target does not have, a stream of load that it does not have itself, a fault that the target
            cannot do, or arguments that make no sense; `InvalidInputs` where it does several of these.
        EnvironmentProblem: a fault or a probe is broken.
    """
    known_faults, known_probes = faults or registry.faults(), probes or registry.probes()
    problems: list[InvalidInput] = []
    for step in experiment.method:
        problems += _of_step(step, known_faults.get(step.fault), target_name, topology)
    streams = [load.name for load in experiment.load if load.name is not None]
    streams += [WRITES] if experiment.writes is not None else []
    blocks: tuple[tuple[Block, Sequence[Check]], ...] = (
        ("steady-state before", experiment.steady_state),
        ("during", experiment.during),
        ("after", experiment.after),
        ("abort", experiment.abort),
    )
    for block, check in ((block, check) for block, checks in blocks for check in checks):
        problems += _of_check(check, known_probes.get(check.probe), block, topology, streams)
    for index, load in enumerate(experiment.load):
        for key, value, allowed in (
            ("policy", load.policy, topology.policies),
            ("questions", load.questions, topology.question_sets),
            ("tier", load.tier, topology.tiers),
            ("tenant", load.tenant, topology.tenants),
        ):
            if value is not None:
                problems += _unknown(key, value, allowed, experiment.locations.get(f"load.{index}.{key}"))
    if experiment.writes is not None and not topology.takes_documents:
        problem = f"writes: target {target_name!r} takes no documents while it runs"
        problems.append(InvalidInput(problem, at=experiment.locations.get("writes")))
    values: dict[str, Value] = {}
    for name, raw in experiment.settings.items():
        try:
            values[name] = _setting(name, raw, settings, at=experiment.locations.get(f"settings.{name}"))
        except InvalidInput as problem:
            problems.append(problem)
    refuse(problems)
    return values


def planned(step: Step, topology: Topology) -> Plan:
    """What a step of a method that fits its target would break; as `fit`, not to be called from within an event loop.

    Raises:
        Exception: whatever the fault raises where the step does not fit.
    """
    plan = Plan(topology)
    asyncio.run(_enter(registry.faults().get(step.fault), step, plan))
    return plan


async def prepare(experiment: Experiment, target: Target, say: Say, *, faults: Registry[Fault] | None = None) -> None:
    """Have a target that is up get ready for each step, if it is one that has to.

    Raises:
        InvalidInput: one cannot; `InvalidInputs` where several cannot.
    """
    if not isinstance(target, Prepares):
        return
    problems = []
    for step in experiment.method:
        plan = Plan(target.topology)
        await _enter((faults or registry.faults()).get(step.fault), step, plan)
        for place, breakage in plan.steps:
            try:
                await target.prepare(place, breakage, say)
            except FaultError as problem:
                problems.append(InvalidInput(f"{step.fault}: {problem}", at=step.location))
    refuse(problems)


def settings_of(experiment: Experiment, settings: Mapping[str, Setting]) -> dict[str, Value]:
    """The settings of an experiment, without those that are wrong: `fit` tells of them."""
    values: dict[str, Value] = {}
    for name, raw in experiment.settings.items():
        with suppress(InvalidInput):
            values[name] = _setting(name, raw, settings, at=None)
    return values


def parse_setting(text: str, settings: Mapping[str, Setting]) -> tuple[str, Value]:
    """`NAME=VALUE`, as the command line has it, read as it would be in a file.

    Raises:
        InvalidInput: it has no `=`, there is no such setting, or that is no value for it.
    """
    name, separator, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not separator:
        msg = f"command line: setting {shown(text)}; expected NAME=VALUE"
        raise InvalidInput(msg, value=text, allowed=sorted(settings))
    is_text = name in settings and settings[name].type == "text"
    try:
        return name, _setting(name, value if is_text else resolve(value), settings, at=None)
    except InvalidInput as error:
        msg = f"command line: {error.problem}"
        raise InvalidInput(msg, value=error.value, allowed=error.allowed, nearest=error.nearest) from None


def _setting(name: str, raw: object, settings: Mapping[str, Setting], *, at: Location | None) -> Value:
    if name not in settings:
        has = "" if settings else "; this target has none"
        raise InvalidInput(f"unknown setting {shown(name)}{has}", at=at, value=name, allowed=sorted(settings))
    try:
        value: Value = parse(Parameter(name, name, _TYPES[settings[name].type]), raw)
    except UnitError as error:
        problem = f"setting {name}: got {shown(raw)}; {error}"
        raise InvalidInput(problem, at=at, value=raw, allowed=error.allowed) from None
    return value


def _of_step(step: Step, fault: Fault, target_name: str, topology: Topology) -> list[InvalidInput]:
    plan = Plan(topology)
    try:
        asyncio.run(_enter(fault, step, plan))
    except UnknownPlace as error:
        return [_unknown_place(error, step, target_name, topology)]
    except UnknownFamily as error:
        has = "" if topology.families else "; none of its services has any"
        problem = f"{step.fault}: target {target_name!r} has no service {shown(error.family)} with replicas{has}"
        return [InvalidInput(problem, at=step.location, value=error.family, allowed=sorted(topology.families))]
    except InvalidInput as error:
        return [InvalidInput(f"{step.fault}: {error.problem}", at=step.location)]
    except TimeoutError:
        msg = f"fault {step.fault!r} is broken: it does not enter within {LONGEST_ENTRY:g} s against a plan"
        raise EnvironmentProblem(msg) from None
    except ValueError as error:
        return [InvalidInput(f"{step.fault}: {' '.join(str(error).split())}", at=step.location)]
    except Exception as error:
        msg = f"fault {step.fault!r} is broken; against a plan it raises {type(error).__name__}: {error}"
        raise EnvironmentProblem(msg) from error
    if not plan.steps:
        return [InvalidInput(f"{step.fault}: breaks nothing with these arguments", at=step.location)]
    needed = dict.fromkeys(breakage.capability for _, breakage in plan.steps)
    can = f"it can: {', '.join(sorted(topology.capabilities)) or 'nothing'}"
    unfit = [one for place, breakage in plan.steps for one in _unfit(place, breakage, target_name, topology)]
    return [
        InvalidInput(f"{step.fault}: {problem}", at=step.location, allowed=map(str, fit_for_it))
        for problem, fit_for_it in unfit
    ] + [
        InvalidInput(
            f"target {target_name!r} cannot do {one} (fault {step.fault!r}); {topology.lacking.get(one, can)}",
            at=step.location,
        )
        for one in needed
        if one not in topology.capabilities
    ]


def _unfit(
    place: Place, breakage: Breakage, target_name: str, topology: Topology
) -> Iterator[tuple[str, Sequence[object]]]:
    """Why that place cannot be broken so, though others can; each with those others."""
    can = breakage.capability in topology.capabilities
    carrying = [LinkPlace(*link) for link in topology.http_links]
    named = [LinkPlace(*link) for link in topology.named_links]
    if breakage.http and place not in carrying:
        yield f"the link {place} carries no HTTP", carrying
    if breakage.by_name and can and place not in named:
        yield f"on the link {place} no host name is resolved that could fail", named
    if not isinstance(place, ServicePlace):
        link = (place.source, place.destination)
        if can and (why := topology.link_lacking.get(link, {}).get(breakage.capability)) is not None:
            fitting = [one for one in topology.links if breakage.capability not in topology.link_lacking.get(one, {})]
            yield f"the link {place} cannot be broken so: {why}", [LinkPlace(*one) for one in fitting]
        return
    if breakage.disk and can and place.service not in topology.disks:
        yield f"{place} keeps nothing on a disk of its own, which could be full", topology.disks
    if place.service in topology.attached:
        ours = [service for service in topology.services if service not in topology.attached]
        yield f"target {target_name!r} did not start {place}, and can break nothing of it but its links", ours


async def _enter(fault: Fault, step: Step, plan: Plan) -> None:
    async with asyncio.timeout(LONGEST_ENTRY), fault(plan, **step.arguments):
        pass


def _unknown_place(error: UnknownPlace, step: Step, target_name: str, topology: Topology) -> InvalidInput:
    place = error.place
    names = (place.source, place.destination) if isinstance(place, LinkPlace) else (place.service,)
    for name in names:
        if name not in topology.services:
            problem = f"{step.fault}: target {target_name!r} has no service {shown(name)}"
            return InvalidInput(problem, at=step.location, value=name, allowed=topology.services)
    links = [str(LinkPlace(*link)) for link in topology.links]
    backwards = str(LinkPlace(*reversed(names))) if len(names) == 2 else ""
    problem = f"{step.fault}: target {target_name!r} has no link {place}"
    nearest = backwards if backwards in links else None
    return InvalidInput(problem, at=step.location, value=str(place), allowed=links, nearest=nearest)


def _of_check(
    check: Check, probe: Probe, block: Block, topology: Topology, streams: Sequence[str]
) -> list[InvalidInput]:
    problems = []
    # The reader has asked, too; but what makes sense at full length may make none in a run that is scaled.
    if senseless := nonsense(check.probe, probe, check.arguments, block=block):
        problems.append(InvalidInput(f"{check.probe}: {senseless}", at=check.location))
    if (why := topology.unjudged.get(check.probe)) is not None:
        problems.append(InvalidInput(f"{check.probe}: cannot be judged on this target: {why}", at=check.location))
    for one in parameters_of(probe):
        value = check.arguments.get(one.name)
        if isinstance(value, str) and one.type is ServiceName:
            # To look at all replicas of a service at once is as good as to look at one.
            known = (*topology.services, *topology.families)
            problems += _unknown(f"{check.probe}: {one.key}", value, known, check.location)
        elif one.type in (DependencyName, DependencyPattern):
            problems += _unknown_dependency(check, one, topology.dependencies)
        elif isinstance(value, str) and one.type is TierName:
            problems += _unknown(f"{check.probe}: {one.key}", value, topology.tiers, check.location)
        elif isinstance(value, str) and one.type is LoadName and value not in streams:
            has = "" if streams else "; none of its streams has a name"
            problem = f"{check.probe}: {one.key}: the experiment has no load {shown(value)}{has}"
            problems.append(InvalidInput(problem, at=check.location, value=value, allowed=streams))
    return problems


def _unknown_dependency(check: Check, parameter: Parameter, known: Sequence[str]) -> list[InvalidInput]:
    """A default names one of the reference stack's, and another stack has to name its own."""
    stated = parameter.name in check.arguments
    value = check.arguments.get(parameter.name, None if parameter.required else parameter.default)
    if not isinstance(value, str):
        return []
    starred = parameter.type is DependencyPattern and value.endswith("*")
    if starred and any(one.startswith(value[:-1]) for one in known):
        return []
    what = f"{check.probe}: {parameter.key}"
    return _unknown(what if stated else f"{what}, where it is not said", value, known, check.location)


def _unknown(what: str, value: str, allowed: Collection[str], at: Location | None) -> list[InvalidInput]:
    """Nothing where there is no list to look it up in."""
    if not allowed or value in allowed:
        return []
    return [
        InvalidInput(f"{what}: got {shown(value)}, which the target does not have", at=at, value=value, allowed=allowed)
    ]
