"""The single values of a game day's file; what is wrong with one is noted, and its default or nothing stands in."""

from collections.abc import Mapping, Sequence
from datetime import date

from brownout.binding import Binder
from brownout.errors import shown
from brownout.parameters import Parameter
from brownout.units import Duration
from brownout.yamlsource import Entry, ScalarNode


class Values:
    """Reads them, and notes on `binder`."""

    def __init__(self, binder: Binder) -> None:
        self.binder = binder

    def part(self, entry: Entry | None, allowed: Sequence[str]) -> Mapping[str, Entry]:
        """A mapping with these keys alone; an empty one where it is not there or is none."""
        if entry is None:
            return {}
        part = self.binder.mapping(entry.node, entry.key) or {}
        self.binder.known(part, allowed, of=entry.key)
        return part

    def text(self, entry: Entry | None) -> str | None:
        """A text; None where there is none."""
        if entry is None:
            return None
        text: str | None = self.binder.value(Parameter(entry.key, entry.key, str), entry.node)
        return text

    def names(self, entry: Entry | None) -> tuple[str, ...]:
        """One name, or a list of them, each once."""
        if entry is None:
            return ()
        if isinstance(entry.node, ScalarNode):
            one = self.text(entry)
            return () if one is None else (one,)
        nodes = self.binder.items(entry, what="names") or ()
        names = [self.binder.value(Parameter(entry.key, entry.key, str), node) for node in nodes]
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def seconds(self, entry: Entry | None, default: float) -> float:
        """A span of time, or the default."""
        if entry is None:
            return default
        seconds: float | None = self.binder.value(Parameter(entry.key, entry.key, Duration), entry.node)
        return default if seconds is None else seconds

    def integer(self, entry: Entry | None, *, least: int, most: int | None = None) -> int | None:
        """A whole number within these bounds; None where there is none."""
        if entry is None:
            return None
        number: int | None = self.binder.value(Parameter(entry.key, entry.key, int), entry.node)
        if number is not None and (number < least or (most is not None and number > most)):
            expected = f"at least {least}" if most is None else f"{least} to {most}"
            self.binder.note(f"{entry.key}: got {number}; expected {expected}", at=entry.node.at)
            return None
        return number

    def date(self, entry: Entry) -> date | None:
        """A date as ISO 8601 writes it; None where it is none."""
        text = self.text(entry)
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            problem = f"{entry.key}: got {shown(text)}; expected a date such as 2027-12-24"
            self.binder.note(problem, at=entry.node.at)
            return None
