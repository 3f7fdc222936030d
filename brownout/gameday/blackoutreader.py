"""`blackouts` of a game day's file: days, month ends, launch weeks, calendar files."""

import re
from datetime import date, timedelta
from pathlib import Path

from brownout.errors import shown
from brownout.gameday.plan import Blackout, ClosedCalendar, ClosedDays, MonthEnd
from brownout.gameday.values import Values
from brownout.yamlsource import Entry, Node, printable_path

BLACKOUTS = ("date", "from", "to", "month-end", "launch-week", "calendar", "why")
MONTH_END = ("before", "after")
_ISO_WEEK = re.compile(r"(\d{4})-W(\d{2})")


class BlackoutReader:
    """Notes what is wrong, as `Values` does; calendar files lie in `folder`, unless the plan is a kept one."""

    def __init__(self, values: Values, folder: Path, *, kept: bool = False) -> None:
        self._values = values
        self._binder = values.binder
        self._folder = folder
        self._kept = kept

    def blackouts(self, entry: Entry | None) -> tuple[Blackout, ...]:
        """Everything that stands under `blackouts`."""
        nodes = self._binder.items(entry, what="blackouts") or ()
        found = [self._blackout(node) for node in nodes]
        return tuple(one for one in found if one is not None)

    def _blackout(self, node: Node) -> Blackout | None:
        part = self._binder.mapping(node, "a blackout") or {}
        self._binder.known(part, BLACKOUTS, of="a blackout")
        why = self._values.text(part.get("why"))
        kinds = [key for key in ("date", "from", "month-end", "launch-week", "calendar") if key in part]
        if len(kinds) != 1 or ("to" in part) != (kinds == ["from"]):
            problem = "a blackout: expected one of date, from with to, month-end, launch-week, calendar"
            self._binder.note(problem, at=node.at)
            return None
        entry = part[kinds[0]]
        match kinds[0]:
            case "date" | "from":
                return self._closed_days(entry, part.get("to", entry), why)
            case "launch-week":
                return self._launch_week(entry, why)
            case "month-end":
                return self._month_end(entry, why)
            case _:
                return self._calendar(entry, why)

    def _closed_days(self, from_: Entry, to: Entry, why: str | None) -> Blackout | None:
        first, last = self._values.date(from_), self._values.date(to)
        if first is None or last is None:
            return None
        if last < first:
            self._binder.note(f"to: {last} is before {first}", at=to.node.at)
        return ClosedDays(first, last, why or ("a day without drills" if first == last else "days without drills"))

    def _launch_week(self, entry: Entry, why: str | None) -> Blackout | None:
        text = self._values.text(entry)
        if text is None:
            return None
        found = _ISO_WEEK.fullmatch(text)
        try:
            monday = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
        except ValueError:
            monday = None
        if monday is None:
            problem = f"launch-week: got {shown(text)}; expected a week of a year such as 2027-W14 (ISO 8601)"
            self._binder.note(problem, at=entry.node.at)
            return None
        return ClosedDays(monday, monday + timedelta(days=6), why or "a launch week")

    def _month_end(self, entry: Entry, why: str | None) -> Blackout:
        part = self._values.part(entry, MONTH_END)
        before = self._values.integer(part.get("before"), least=1, most=15)
        after = self._values.integer(part.get("after"), least=0, most=15)
        return MonthEnd(1 if before is None else before, after or 0, why or "month-end")

    def _calendar(self, entry: Entry, why: str | None) -> Blackout | None:
        text = self._values.text(entry)
        if text is None:
            return None
        path = self._folder / text
        if not self._kept and not path.is_file():
            self._binder.note(f"calendar: there is no file {printable_path(path)}", at=entry.node.at)
            return None
        return ClosedCalendar(path, entry.node.at, why)
