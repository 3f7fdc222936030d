"""The forms that settings come in."""

from target_stack.setting import Kind, Setting

__all__ = ["choice", "integer", "io_timeout", "positive", "share", "span", "switch", "text", "time"]

IO_TIMEOUT_FLOOR_S = 0.5
"""Scaling never takes an I/O timeout below this: a network does not get faster because a run is shorter."""


def switch(name: str, doc: str, *, default: bool = True) -> Setting:
    """A defence or another part that can be on or off."""
    return Setting(name=name, type="switch", default=default, doc=doc)


def choice(name: str, default: str, choices: tuple[str, ...], doc: str) -> Setting:
    """One of several words."""
    doc = f"{doc} One of: {', '.join(choices)}."
    return Setting(name=name, type="text", default=default, doc=doc, choices=choices)


def text(name: str, default: str, doc: str) -> Setting:
    """A text."""
    return Setting(name=name, type="text", default=default, doc=doc)


def integer(name: str, default: int, doc: str) -> Setting:
    """A whole number."""
    return Setting(name=name, type="integer", default=default, doc=doc)


def positive(name: str, default: float, doc: str) -> Setting:
    """A number, whole where its default is, above zero."""
    kind: Kind = "integer" if isinstance(default, int) else "number"
    return Setting(name=name, type=kind, default=default, doc=doc, positive=True)


def share(name: str, default: float, doc: str) -> Setting:
    """A part of a whole, 0.0 to 1.0."""
    return Setting(name=name, type="share", default=default, doc=doc)


def time(name: str, default: float, doc: str) -> Setting:
    """A duration in seconds that is the same whatever the time scale is."""
    return Setting(name=name, type="duration", default=default, doc=doc)


def span(name: str, default: float, doc: str) -> Setting:
    """A duration in seconds that goes with the time scale."""
    return Setting(name=name, type="duration", default=default, doc=doc, scaled=True)


def io_timeout(name: str, default: float, doc: str) -> Setting:
    """A limit in seconds on waiting for somebody else."""
    doc = f"{doc} Scaling never takes it below 500 ms."
    return Setting(name=name, type="duration", default=default, doc=doc, scaled=True, floor=IO_TIMEOUT_FLOOR_S)
