"""Everything that is decided before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from brownout.attachment import NOWHERE, Attachment
from brownout.experiment import Experiment

OWN = "auto"
"""Instead of a URL: a Prometheus server of the run's own."""


@dataclass(frozen=True, slots=True)
class PrometheusPlan:
    """Which Prometheus server a run asks, and what."""

    server: str
    """Its URL, or `OWN`."""
    queries: tuple[str, ...] = ()
    """Those of the experiment's checks, asked all the time."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """What the evidence is held against at the end; see `Topology.cross_checks`."""
    token: str | None = field(default=None, repr=False)

    @property
    def own(self) -> bool:
        return self.server == OWN


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run, validated and ready to start."""

    id: str
    """Unique on this machine."""
    experiment: Experiment
    """Already scaled."""
    target: str
    """As `brownout.targets.chosen` takes it."""
    seed: int
    scale: float
    folder: Path
    """The run folder; it exists and is ours."""
    settings: Mapping[str, str | float | int | bool] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    """How to run it again; without secrets."""
    instance: str = "default"
    heed_aborts: bool = True
    """Whether a breached abort condition ends the run."""
    prometheus: PrometheusPlan | None = None
    proxy: str | None = None
    """As `brownout.targets.chosen` takes it, too."""
    attachment: Attachment = NOWHERE
    """Which running system the target is, where it is attached to one."""

    @property
    def evidence(self) -> Path:
        return self.folder / "evidence.sqlite"
