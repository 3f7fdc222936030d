"""Dialects by name, as installed distributions register them under the entry point group `brownout.dialects`."""

import functools
from collections.abc import Mapping

from brownout.dialect.dialect import Dialect, NotOffered
from brownout.dialect.failure import Failure
from brownout.errors import EnvironmentProblem, InvalidInput

GROUP = "brownout.dialects"
SILENT = "silent"
"""A failure that needs no dialect: requests are taken and never answered."""


@functools.cache
def installed_dialects() -> Mapping[str, Dialect]:
    """Every installed dialect, by its name.

    Raises:
        EnvironmentProblem: one cannot be imported, is no dialect, or is registered twice.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - some 10 ms that an import alone should not cost

    found: dict[str, Dialect] = {}
    for point in entry_points(group=GROUP):
        if point.name in found:
            msg = f"dialect {point.name!r} is registered twice; uninstall one of the two"
            raise EnvironmentProblem(msg)
        try:
            dialect = point.load()
        except Exception as error:
            msg = f"dialect {point.name!r} ({point.value}) cannot be used: {type(error).__name__}: {error}"
            raise EnvironmentProblem(msg) from error
        if not isinstance(dialect, Dialect) or dialect.name != point.name:
            msg = f"dialect {point.name!r} ({point.value}) is no Dialect of that name"
            raise EnvironmentProblem(msg)
        found[point.name] = dialect
    return found


def dialects_of(name: str) -> tuple[Dialect, ...]:
    """The dialect of that name, or all of the provider of that name: `openai_chat`, or `openai` for both of its APIs.

    Raises:
        InvalidInput: there is none.
        EnvironmentProblem: no dialect can be used.
    """
    installed = installed_dialects()
    if name in installed:
        return (installed[name],)
    if not installed:
        msg = "no provider dialect is registered; install brownout again, so that its entry points are known"
        raise EnvironmentProblem(msg)
    of_provider = tuple(dialect for dialect in installed.values() if dialect.provider == name)
    if not of_provider:
        providers = {dialect.provider for dialect in installed.values()}
        raise InvalidInput(f"unknown provider {name!r}", value=name, allowed=sorted(providers | set(installed)))
    return of_provider


def dialects_offering(name: str, failure: str) -> tuple[Dialect, ...]:
    """Of the dialects of that name, or of that provider, those that have that failure; all of them, if it is `SILENT`.

    Raises:
        InvalidInput: there is no such dialect, provider or failure.
        NotOffered: the provider has no such failure.
        EnvironmentProblem: no dialect can be used.
    """
    dialects = dialects_of(name)
    if failure == SILENT:
        return dialects
    known = [one.value for one in Failure]
    if failure not in known:
        raise InvalidInput(f"unknown failure {failure!r}", value=failure, allowed=[SILENT, *known])
    offering = tuple(dialect for dialect in dialects if dialect.offers(Failure(failure)))
    if not offering:
        raise NotOffered(f"{dialects[0].name} has no {failure}: {dialects[0].not_offered[Failure(failure)]}")
    return offering
