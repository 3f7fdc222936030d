"""Everything that is decided before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from brownout.experiment import Experiment


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run, validated and ready to start."""

    id: str
    """Unique on this machine."""
    experiment: Experiment
    """Already scaled."""
    target: str
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

    @property
    def evidence(self) -> Path:
        return self.folder / "evidence.sqlite"
