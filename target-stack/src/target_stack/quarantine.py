"""Which documents are in quarantine, because their vectors are corrupt: none of them is served, by whatever path.

Not by keyword search and not from a cache either: when vector and text do not belong together, nobody knows which of
the two is wrong. Uploading the document again releases it.
"""

from collections.abc import Callable, Iterable, Mapping

from target_stack.documents import Document
from target_stack.inspection import Flaw
from target_stack.log import log
from target_stack.metrics import GatewayMetrics
from target_stack.tombstones import Name

__all__ = ["Quarantine"]


class Quarantine:
    """In memory, as tombstones are, so that it holds while the database is away; `pending` is what that does not know.

    With `enabled` false nothing is ever held.
    """

    def __init__(self, metrics: GatewayMetrics, *, enabled: bool, on_hold: Callable[[Iterable[Name]], None]) -> None:
        self.enabled = enabled
        self._metrics = metrics
        self._on_hold = on_hold
        self._held: dict[Name, str] = {}
        self._pending: set[Name] = set()
        self._released: dict[Name, int] = {}
        self._releases = 0
        metrics.watch_quarantine(lambda: len(self._held))

    @property
    def pending(self) -> dict[Name, str]:
        """Those that would not survive a restart."""
        return {name: self._held[name] for name in self._pending}

    @property
    def moment(self) -> int:
        """A number that grows with every release."""
        return self._releases

    def all(self) -> dict[Name, str]:
        """Return what is held, and why."""
        return dict(self._held)

    def load(self, stored: Mapping[Name, str]) -> None:
        """Take what the database knew at the start."""
        if self.enabled:
            self._held.update(stored)

    def hold(self, flaws: Mapping[Name, Flaw], *, found_at: str, read_at: int | None = None) -> None:
        """Serve these no more.

        `read_at` is the moment at which their vectors were read: what was released since has another one now.
        """
        if read_at is not None:
            flaws = {name: flaw for name, flaw in flaws.items() if self._released.get(name, 0) <= read_at}
        if not (self.enabled and flaws):
            return
        for (tenant, id_), flaw in flaws.items():
            log.warning(
                "quarantined", extra={"tenant": tenant, "document": id_, "reason": flaw.value, "found_at": found_at}
            )
            self._metrics.quarantined.labels(flaw.value, found_at).inc()
        self._held.update(flaws)
        self._pending.update(flaws)
        self._on_hold(flaws)

    def stored(self, names: Iterable[Name]) -> None:
        """The database knows of these."""
        self._pending.difference_update(names)

    def release(self, documents: Iterable[Document]) -> None:
        """These were uploaded again, and their vectors are sound."""
        self._releases += 1
        for document in documents:
            name = (document.tenant, document.id)
            self._held.pop(name, None)
            self._pending.discard(name)
            self._released[name] = self._releases

    def hide(self, tenant: str, id_: str) -> bool:
        """Return whether a document must not be served."""
        return (tenant, id_) in self._held
