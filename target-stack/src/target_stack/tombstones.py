"""Which documents were deleted: asked before anything is served, whatever still holds a copy of them.

In memory, so that it holds while the database is away; what the database does not know yet is `pending`.
"""

from collections.abc import Iterable

from target_stack.documents import Document

__all__ = ["Name", "Tombstones"]

Name = tuple[str, str]
"""Tenant and id of a document."""


class Tombstones:
    """Hides what was deleted. With `enabled` false it hides nothing: a deletion is then just a row to be removed."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._hidden: set[Name] = set()
        self._pending: set[Name] = set()
        self._loaded = False

    @property
    def pending(self) -> frozenset[Name]:
        """Those that would not survive a restart."""
        return frozenset(self._pending)

    @property
    def count(self) -> int:
        """How many documents are deleted."""
        return len(self._hidden)

    def all(self) -> frozenset[Name]:
        """Return what is deleted."""
        return frozenset(self._hidden)

    def load(self, stored: Iterable[Name]) -> None:
        """Take what the database knew at the start."""
        self._hidden.update(stored)
        self._loaded = True

    def bury(self, names: Iterable[Name]) -> None:
        """Hide documents from now on."""
        for name in names:
            self._hidden.add(name)
            self._pending.add(name)

    def stored(self, names: Iterable[Name]) -> None:
        """The database knows of these."""
        self._pending.difference_update(names)

    def lift(self, documents: Iterable[Document]) -> None:
        """These were uploaded again."""
        names = {(document.tenant, document.id) for document in documents}
        self._hidden -= names
        self._pending -= names

    def hide(self, tenant: str, id_: str) -> bool:
        """Return whether a document must not be served.

        Until it is known what was deleted before the start nothing may be: a copy in a cache can be of anything.
        """
        return self._enabled and (not self._loaded or (tenant, id_) in self._hidden)
