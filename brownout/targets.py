"""Which target is meant by what a user wrote after `--target`, or in an experiment's `target:`."""

from brownout import registry
from brownout.errors import InvalidInput, Location
from brownout.target import TargetFactory


def chosen(text: str, *, at: Location | None = None) -> TargetFactory:
    """The installed target of that name; `at` is where the user named it.

    Raises:
        InvalidInput: there is none.
        EnvironmentProblem: it is installed, and cannot be imported.
    """
    targets = registry.targets()
    if text not in targets:
        msg = f"unknown target {text!r}"
        raise InvalidInput(msg, at=at, value=text, allowed=targets.names())
    return targets.get(text)
