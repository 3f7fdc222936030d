"""Which edition of its documents a tenant has: the same one for the same documents, another after every change.

An answer that is kept for other questions is good for the edition that it was made from and for no other. To watch only
the documents that it cites would not do: one that is new can make it wrong.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from target_stack.documents import Document, fingerprint_of
from target_stack.tombstones import Name

__all__ = ["Editions"]

_DIGITS = 32


class Editions:
    """Made from the documents themselves, so that it survives a restart and is the same in every gateway.

    A gateway learns of what another one takes only when it starts, as with its keyword index.
    """

    def __init__(self) -> None:
        self._documents: dict[Name, int] = {}
        self._tenants: dict[str, int] = defaultdict(int)

    def of(self, tenant: str) -> str:
        """Return the edition, in hexadecimal digits."""
        return f"{self._tenants.get(tenant, 0):0{_DIGITS}x}"

    def put(self, documents: Iterable[Document]) -> None:
        """These are there now; what had the same names is not."""
        for document in documents:
            name = (document.tenant, document.id)
            self.drop([name])
            digest = hashlib.sha256(fingerprint_of([document]).encode()).hexdigest()
            self._documents[name] = int(digest[:_DIGITS], 16)
            # Exclusive or: whatever the order in which they came, and what is taken out again leaves no trace.
            self._tenants[document.tenant] ^= self._documents[name]

    def drop(self, names: Iterable[Name]) -> None:
        """These are not there any more."""
        for name in names:
            self._tenants[name[0]] ^= self._documents.pop(name, 0)
