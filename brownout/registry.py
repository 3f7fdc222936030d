"""Faults, probes and targets by name, as installed distributions register them. Nothing is imported to list names."""

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Self, TypeVar, cast

from brownout.errors import EnvironmentProblem, InvalidInput, Location, shown
from brownout.parameters import parameters_of
from brownout.probe import Verdict
from brownout.target import TargetFactory

T = TypeVar("T")
Fault = Callable[..., AbstractAsyncContextManager[None]]
Probe = Callable[..., Verdict]
GROUPS: Mapping[str, str] = {"fault": "brownout.faults", "probe": "brownout.probes", "target": "brownout.targets"}


class Registry(Generic[T]):
    """Plugins of one kind (`fault`, `probe` or `target`) by name, each loaded when it is first asked for."""

    def __init__(self, kind: str, loaders: Mapping[str, Callable[[], T]]) -> None:
        self._kind = kind
        self._loaders = loaders
        self._loaded: dict[str, T] = {}

    @classmethod
    def installed(cls, kind: str, *, distribution: str | None = None) -> Self:
        """What is registered under the kind's entry point group; by one distribution alone where it is named."""
        from importlib.metadata import entry_points  # noqa: PLC0415 - some 10 ms that a listing alone should cost

        loaders: dict[str, Callable[[], Any]] = {}
        owners: dict[str, str] = {}
        for point in entry_points(group=GROUPS[kind]):
            owner = point.dist.name if point.dist else "an unknown distribution"
            if distribution not in (None, owner):
                continue
            source = f"{owner} ({point.value})"
            if point.name in loaders:
                loaders[point.name] = _conflicting(kind, point.name, owners[point.name], source)
            else:
                loaders[point.name] = _guarded(kind, point.name, source, point.load)
            owners[point.name] = source
        return cls(kind, loaders)

    def names(self) -> tuple[str, ...]:
        """Every registered name, sorted."""
        return tuple(sorted(self._loaders))

    def __contains__(self, name: object) -> bool:
        return name in self._loaders

    def get(self, name: str, *, at: Location | None = None) -> T:
        """The plugin of that name; `at` is where the user named it.

        Raises:
            InvalidInput: there is none.
            EnvironmentProblem: it cannot be imported, is not what it is registered as, or is registered twice.
        """
        if name not in self._loaders:
            raise InvalidInput(f"unknown {self._kind} {shown(name)}", at=at, value=name, allowed=self.names())
        if name not in self._loaded:
            self._loaded[name] = self._loaders[name]()
        return self._loaded[name]


def _guarded(kind: str, name: str, source: str, load: Callable[[], object]) -> Callable[[], object]:
    def loader() -> object:
        try:
            plugin = load()
            _check(kind, plugin)
        except Exception as error:
            msg = f"{kind} {name!r} of {source} cannot be used: {type(error).__name__}: {error}"
            raise EnvironmentProblem(msg) from error
        return plugin

    return loader


def _conflicting(kind: str, name: str, one: str, other: str) -> Callable[[], object]:
    def loader() -> object:
        msg = f"{kind} {name!r} is registered twice, by {one} and by {other}; uninstall one of them"
        raise EnvironmentProblem(msg)

    return loader


def _check(kind: str, plugin: object) -> None:
    """Raises `TypeError` where a plugin is not what it is registered as."""
    if not callable(plugin):
        msg = "it cannot be called"
        raise TypeError(msg)
    if kind == "target":
        return
    if getattr(plugin, "__brownout__", None) != kind:
        msg = f"it is not decorated with @{kind}"
        raise TypeError(msg)
    parameters_of(plugin)


@functools.cache
def faults() -> Registry[Fault]:
    """Every installed fault."""
    return cast("Registry[Fault]", Registry.installed("fault"))


@functools.cache
def probes() -> Registry[Probe]:
    """Every installed probe."""
    return cast("Registry[Probe]", Registry.installed("probe"))


@functools.cache
def targets() -> Registry[TargetFactory]:
    """Every installed target."""
    return cast("Registry[TargetFactory]", Registry.installed("target"))
