"""From a file and some options to a run that may start: everything that can be wrong is found here, before it does."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brownout import registry
from brownout.attachment import NOWHERE, Attachment
from brownout.errors import EnvironmentProblem, InvalidInput, InvalidInputs, refuse
from brownout.experiment import Experiment, Step
from brownout.fit import fit, parse_setting, planned, settings_of
from brownout.guards import check_samples
from brownout.plan import RunPlan
from brownout.prometheus.check import plan_prometheus
from brownout.reader import read_experiment
from brownout.system import Plan, Topology
from brownout.target import IsDescribed, TargetFactory
from brownout.targets import DEFAULT_TARGET, chosen, located

MIN_SCALE = 0.01
MAX_SCALE = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What may be said of a run beside its experiment; as written, not yet checked."""

    target: str | None = None
    """Overrides what the file says."""
    proxy: str | None = None
    """What the target's links go through, where it has the choice; None for what it uses unasked."""
    scale: float = 1.0
    """Multiplies every span on the run's clock, and the target's own timers."""
    seed: int | None = None
    """Of load and target; drawn where None."""
    settings: Sequence[str] = ()
    """`NAME=VALUE`, over those of the file."""
    ports: Sequence[str] = ()
    """`SERVICE=PORT`."""
    runs_dir: Path = Path("runs")
    """Where the run folder is made."""
    instance: str = "default"
    """Name of the target's instance; two runs never share one."""
    heed_aborts: bool = True
    """Whether a breached abort condition ends the run."""
    command: Sequence[str] = ()
    """How to run it again, for the report."""
    prometheus: str | None = None
    """URL of a Prometheus server to ask as well; or `auto`, which starts one."""
    prometheus_token: str | None = field(default=None, repr=False)
    attachment: Attachment = NOWHERE
    """Which running system is meant, for a target that is attached to one."""


AS_WRITTEN = RunOptions()
"""Nothing is said beside the experiment."""


def prepare(experiment: Experiment, options: RunOptions) -> RunPlan:
    """Check an experiment against its target, and make its run folder.

    Raises:
        InvalidInput: something that was written is wrong.
        EnvironmentProblem: this machine cannot do it.
    """
    if not MIN_SCALE <= options.scale <= MAX_SCALE:
        msg = f"--scale must lie between {MIN_SCALE} and {MAX_SCALE:g}"
        raise InvalidInput(msg, value=options.scale)
    name, factory = _target(experiment, options)
    known = factory.settings()
    given = dict(parse_setting(text, known) for text in options.settings)
    values = settings_of(experiment, known) | given
    topology = factory.topology_of(values)
    ports = _ports(options.ports, topology.services)

    def fitting(one: Experiment) -> None:
        fit(one, target_name=name, topology=topology, settings=known)
        check_samples(one, aborts=options.heed_aborts)

    scaled = _scaled(experiment, options.scale, fitting)
    prometheus = plan_prometheus(
        scaled,
        options.prometheus,
        topology=topology,
        probes=registry.probes(),
        token=options.prometheus_token,
    )
    kept = {"experiment.yaml": experiment.source}
    if isinstance(factory, IsDescribed):
        kept["target.yaml"] = factory.description
    folder = _make_folder(options.runs_dir, experiment, kept)
    return RunPlan(
        id=f"{folder.name}.{secrets.token_hex(3)}",
        experiment=scaled,
        target=name,
        proxy=options.proxy,
        seed=secrets.randbelow(2**32) if options.seed is None else options.seed,
        scale=options.scale,
        folder=folder,
        settings=values,
        ports=ports,
        command=tuple(options.command),
        instance=options.instance,
        heed_aborts=options.heed_aborts,
        prometheus=prometheus,
        attachment=options.attachment,
    )


def _scaled(experiment: Experiment, scale: float, fitting: Callable[[Experiment], None]) -> Experiment:
    """The experiment as it will run, if it fits. Where it does not because of the scale alone, that is said."""
    scaled = experiment.scaled(scale)
    try:
        fitting(scaled)
    except InvalidInput as error:
        if scale == 1:
            raise
        # What is wrong at full length, too, is told as such.
        fitting(experiment)
        found = error.problems if isinstance(error, InvalidInputs) else (error,)
        refuse([InvalidInput(f"at --scale {scale:g}: {one.problem}", at=one.at) for one in found])
    return scaled


def selected(experiment: Experiment, options: RunOptions) -> tuple[str, TargetFactory, Topology]:
    """The target that is meant, by its name, and what it consists of; the experiment fits it.

    Raises:
        InvalidInput: something that was written is wrong.
        EnvironmentProblem: this machine cannot use the target.
    """
    name, factory = _target(experiment, options)
    known = factory.settings()
    given = dict(parse_setting(text, known) for text in options.settings)
    topology = factory.topology_of(settings_of(experiment, known) | given)
    fit(experiment, target_name=name, topology=topology, settings=known)
    return name, factory, topology


def check(path: Path, options: RunOptions = AS_WRITTEN) -> str:
    """Read an experiment and check it against its target, whose name it returns. Starts and writes nothing.

    Raises:
        InvalidInput: something that was written is wrong.
        EnvironmentProblem: this machine cannot use the target.
    """
    experiment = read_experiment(path)
    name, _, _ = selected(experiment, options)
    check_samples(experiment)
    return name


def planned_of(path: Path, options: RunOptions = AS_WRITTEN) -> tuple[Topology, Sequence[tuple[Step, Plan]]]:
    """What an experiment would break on its target, step by step; not to be called from within an event loop.

    Raises:
        InvalidInput: something that was written is wrong.
        EnvironmentProblem: this machine cannot use the target.
    """
    experiment = read_experiment(path)
    _, _, topology = selected(experiment, options)
    return topology, [(step, planned(step, topology)) for step in experiment.method]


def _target(experiment: Experiment, options: RunOptions) -> tuple[str, TargetFactory]:
    name = options.target or experiment.target or DEFAULT_TARGET
    at = experiment.locations.get("target") if options.target is None else None
    factory = chosen(name, at=at, attachment=options.attachment, proxy=options.proxy)
    if missing := factory.check():
        msg = f"the {name} target cannot be used on this machine: " + "; ".join(missing)
        raise EnvironmentProblem(msg)
    return located(name, at=at), factory


def _ports(ports: Sequence[str], services: Sequence[str]) -> Mapping[str, int]:
    fixed: dict[str, int] = {}
    for text in ports:
        service, separator, number = text.partition("=")
        if not separator or not number.isdecimal() or len(number) > 5 or not 1 <= int(number) <= 65535:
            msg = f"--port {text!r}: expected SERVICE=PORT with a port between 1 and 65535"
            raise InvalidInput(msg, value=text)
        if service not in services:
            msg = f"--port {text!r}: unknown service {service!r}"
            raise InvalidInput(msg, value=service, allowed=services)
        if int(number) in fixed.values() or service in fixed:
            msg = f"--port {text!r}: that service or that port was given before"
            raise InvalidInput(msg, value=text)
        fixed[service] = int(number)
    return fixed


def _make_folder(runs_dir: Path, experiment: Experiment, kept: Mapping[str, str]) -> Path:
    """A new one, with these files in it."""
    stem = Path(experiment.file).stem
    try:
        str(runs_dir / stem).encode()
    except UnicodeEncodeError:
        msg = f"--runs-dir {str(runs_dir)!r}: not a name in UTF-8"
        raise InvalidInput(msg, value=repr(str(runs_dir))) from None
    base = time.strftime("%Y-%m-%dT%H-%M-%S", time.localtime()) + "-" + stem
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 100):
            folder = runs_dir / (base if attempt == 1 else f"{base}-{attempt}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            for name, text in kept.items():
                (folder / name).write_text(text, encoding="utf-8")
            return folder
    except OSError as error:
        msg = f"the run folder cannot be written under {runs_dir}: {error.strerror}; choose another with --runs-dir"
        raise EnvironmentProblem(msg) from error
    msg = f"{runs_dir / base} exists a hundred times over; choose another folder with --runs-dir"
    raise EnvironmentProblem(msg)
