"""What is written down about a run itself: what was run, with what, on what."""

import os
import platform
from importlib import metadata

from brownout import __version__
from brownout.evidence.store import RunInfo
from brownout.plan import RunPlan

_TOLD = ("chaostoolkit", "chaostoolkit-lib", "httpx")
"""Distributions whose versions may matter to the figures of a run."""


def run_info(plan: RunPlan, *, started_at: float) -> RunInfo:
    """The run's own row of the evidence. `started_at` is the Unix time of the run clock's zero, in seconds."""
    return RunInfo(
        title=plan.experiment.title,
        experiment_source=plan.experiment.source,
        experiment_file=os.path.basename(plan.experiment.file),  # noqa: PTH119 - a name, perhaps not of a file
        target=plan.target,
        seed=plan.seed,
        scale=plan.scale,
        started_at=started_at,
        duration=plan.experiment.duration,
        command=plan.command,
        environment=_environment() | _prometheus(plan) | ({"proxy": plan.proxy} if plan.proxy else {}),
        settings=plan.settings,
    )


def _prometheus(plan: RunPlan) -> dict[str, str]:
    if plan.prometheus is None:
        return {}
    return {"prometheus": "of the run's own" if plan.prometheus.own else plan.prometheus.server}


def _environment() -> dict[str, str]:
    said = {
        "brownout": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": str(os.cpu_count() or "?"),
    }
    for name in _TOLD:
        try:
            said[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            said[name] = "?"
    return said
