"""Where a drill that goes on is steered from, and where all that is said and done to it is written down and told on.

Who may reach it — the control room, a terminal, an alert — is theirs to decide.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal

from brownout.errors import said
from brownout.gameday.abort import Abort
from brownout.gameday.events import Event, Marked, Noted, StepBegan, Watcher
from brownout.gameday.minutes import Minutes
from brownout.gameday.plan import GameDay
from brownout.gameday.rows import Mark, Note


class Desk:
    """Of one drill. For one event loop."""

    def __init__(
        self,
        drill: str,
        plan: GameDay,
        *,
        abort: Abort,
        minutes: Minutes,
        now: Callable[[], datetime],
        say: Callable[[str], object],
    ) -> None:
        """
        Args:
            drill: its name in the journal.
            plan: what is played.
            abort: that of this drill.
            minutes: where notes and marks are written down.
            now: the time.
            say: on the terminal.
        """
        self.drill = drill
        self.plan = plan
        self.abort = abort
        self.now = now
        self.step: int | None = None
        """The number of the experiment that goes on, or was the last to; None before the first."""
        self.watchers: list[Watcher] = []
        self.waits_for: list[Callable[[], Awaitable[object]]] = []
        """What has to have happened before anything is broken: that somebody holds the abort, for one."""
        self._minutes = minutes
        self._say = say
        self._turn = asyncio.Lock()

    async def tell(self, event: Event) -> None:
        """Tell all watchers, one event after the other."""
        async with self._turn:
            if isinstance(event, StepBegan):
                self.step = event.number
            for watcher in self.watchers:
                try:
                    await watcher.on(event)
                except Exception as error:
                    # Who watches must not end a drill, whatever it is.
                    self._say(f"{type(watcher).__name__} failed: {said(error)}")

    async def note(self, what: str, *, by: str) -> Note:
        """Somebody said or decided something."""
        note = self.write_down(what, by=by)
        await self.tell(Noted(note=note))
        return note

    def write_down(self, what: str, *, by: str) -> Note:
        """For the record alone: nobody is told."""
        note = Note(self.now(), by, what)
        self._minutes.note(self.drill, what, by=by, at=note.at)
        return note

    async def press(self, kind: Literal["detected", "mitigated"], *, by: str) -> Mark | None:
        """A person says so of the experiment that goes on, or was the last; None where there has been none yet."""
        if self.step is None:
            return None
        mark = Mark(self.step, kind, "person", by, self.now())
        await self.mark(mark)
        return mark

    async def mark(self, mark: Mark) -> None:
        """A failure was detected, or mitigated; by an alert, too."""
        self._minutes.mark(self.drill, mark)
        await self.tell(Marked(mark=mark))

    def marks(self) -> Sequence[Mark]:
        """All of this drill, the earliest first."""
        return self._minutes.marks(self.drill)
