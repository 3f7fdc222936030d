"""From a Brownout experiment to an ordinary Chaos Toolkit experiment, which `chaoslib` executes.

Format: https://chaostoolkit.org/reference/api/experiment/. The whole source travels in an `extensions` entry, so that
the compiled file stands alone; its activities say *when* the engine turns to *what*, by number. Each fault becomes two
actions, inject and heal, in the order of their times; checks become probes with a tolerance. Rollbacks always run.
"""

from collections.abc import Iterable
from typing import Any

from brownout.experiment import Check, Experiment, Step
from brownout.targets import DEFAULT_TARGET, located
from brownout.units import format_seconds

EXTENSION = "brownout"
_MODULE = "brownout.toolkit.activities"
_PASSED = {"type": "regex", "target": "outcome", "pattern": "^passed$"}
"""A probe returns its verdict as a mapping; the engine tolerates one outcome."""

Compiled = dict[str, Any]


def compile_experiment(experiment: Experiment) -> Compiled:
    """The experiment as the Chaos Toolkit reads it: JSON-ready.

    Needs Brownout installed where it runs; target, scale, seed and the folder for runs come from the environment
    (`BROWNOUT_TARGET`, `BROWNOUT_SCALE`, `BROWNOUT_SEED`, `BROWNOUT_RUNS_DIR`).
    """
    return {
        "version": "1.0.0",
        "title": experiment.title,
        "description": experiment.hypothesis,
        "tags": list(experiment.tags),
        "configuration": {
            "brownout_target": _from_environment("BROWNOUT_TARGET", _target(experiment)),
            "brownout_scale": _from_environment("BROWNOUT_SCALE", "1"),
            "brownout_seed": _from_environment("BROWNOUT_SEED", ""),
            "brownout_runs_dir": _from_environment("BROWNOUT_RUNS_DIR", "runs"),
        },
        "extensions": [{"name": EXTENSION, "file": experiment.file, "experiment": experiment.source}],
        "controls": [{"name": "brownout", "provider": {"type": "python", "module": "brownout.toolkit.control"}}],
        # The Chaos Toolkit's own default leaves a fault in place after an interruption.
        "runtime": {"rollbacks": {"strategy": "always"}},
        "steady-state-hypothesis": {
            "title": experiment.title,
            "probes": [
                _probe(f"steady state: {check.title}", "steady_state", index)
                for index, check in enumerate(experiment.steady_state)
            ],
        },
        "method": [
            *_actions(experiment.method),
            _action(f"keep the load on until {format_seconds(experiment.duration)}", "recover"),
            *_expectations("during", experiment.during),
            *_expectations("after", experiment.after),
        ],
        "rollbacks": [_action("heal everything", "heal")],
    }


def _target(experiment: Experiment) -> str:
    # A path in the file is relative to the file, and what stands in the environment to where the run is started.
    return located(experiment.target or DEFAULT_TARGET, at=experiment.locations.get("target"))


def _from_environment(key: str, default: str) -> Compiled:
    return {"type": "env", "key": key, "default": default}


def _actions(method: Iterable[Step]) -> list[Compiled]:
    moments: list[tuple[float, int, Compiled]] = []
    for step in method:
        begin = _action(f"{step.title}: inject at {format_seconds(step.at)}", "inject", step=step.index)
        end = _action(f"{step.title}: heal at {format_seconds(step.end)}", "withdraw", step=step.index)
        # Where one fault ends as another begins, the old one is healed first.
        moments += [(step.at, 1, begin), (step.end, 0, end)]
    return [action for _, _, action in sorted(moments, key=lambda moment: moment[:2])]


def _expectations(block: str, checks: Iterable[Check]) -> list[Compiled]:
    return [_probe(f"{block}: {check.title}", "expect", index, block=block) for index, check in enumerate(checks)]


def _action(name: str, function: str, **arguments: object) -> Compiled:
    provider: Compiled = {"type": "python", "module": _MODULE, "func": function}
    if arguments:
        provider["arguments"] = arguments
    return {"type": "action", "name": name, "provider": provider}


def _probe(name: str, function: str, index: int, **arguments: object) -> Compiled:
    compiled = _action(name, function, index=index, **arguments) | {"type": "probe"}
    return compiled | {"tolerance": dict(_PASSED)}
