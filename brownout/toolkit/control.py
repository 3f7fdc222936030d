"""The Chaos Toolkit control of every compiled experiment: opens the run before it, judges and closes it after.

The engine logs a control that raises and goes on, green; so whatever fails here is told to the run, whose verdict then
fails closed, and ends the experiment through `InterruptExecution`, the one exception that the engine heeds.
"""

from typing import Any

from chaoslib.exceptions import InterruptExecution

from brownout.errors import BrownoutError
from brownout.toolkit import bridge
from brownout.toolkit.compile import EXTENSION


def before_experiment_control(
    context: dict[str, Any], configuration: dict[str, Any], extensions: list[dict[str, Any]]
) -> None:
    """Bring the target up and start load and recorders."""
    try:
        if not bridge.is_open():
            source = next(entry for entry in extensions if entry.get("name") == EXTENSION)
            bridge.open_from_configuration(source["experiment"], source["file"], configuration)
        # The engine has installed its own handlers by now; ours must be the last.
        bridge.current().exit.claim()
        bridge.current().start()
    except BrownoutError as error:
        raise InterruptExecution(str(error)) from error


def after_hypothesis_control(context: dict[str, Any], state: dict[str, Any] | None) -> None:
    """Put every steady-state probe into the journal: the engine stops at the first that fails."""
    if state is None or not bridge.is_open():
        return
    probes = context.get("probes", [])
    for index in range(len(state["probes"]), len(probes)):
        verdict = bridge.current().steady_state(index)
        state["probes"].append(
            {
                "activity": probes[index],
                "status": "succeeded",
                "output": verdict,
                "tolerance_met": verdict["outcome"] == "passed",
            }
        )


def before_method_control(context: dict[str, Any]) -> None:
    """From here on the steady state is judged over the end of the run."""
    if bridge.is_open():
        bridge.current().method_started()


def before_activity_control(context: dict[str, Any]) -> None:
    """Turn to no further activity of a run that was stopped; its rollback is never refused."""
    if not bridge.is_open() or context["provider"].get("func") == "heal":
        return
    if (reason := bridge.current().stopped) is not None:
        raise InterruptExecution(reason)


def after_experiment_control(context: dict[str, Any], state: dict[str, Any]) -> None:
    """Judge, tear down, and tell the journal: anything but `passed` is a deviation, so that the engine's exit code,
    too, is not 0."""
    # Until there is a verdict there is none that is green.
    state["deviated"] = True
    if not bridge.is_open():
        return
    result = bridge.current().finish()
    state["brownout"] = result
    state["deviated"] = result["outcome"] != "passed"
    bridge.current().written(state)


def cleanup_control() -> None:
    """Close what was opened here; a run of our own `chaos run` is closed there."""
    bridge.close_if_ours()
