"""What is known of the documents and questions that a system was given, so that its answers can be held against it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from brownout.evidence.model import KnownDocument, KnownQuestion


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Looked up by id. Empty where the target does not know its documents."""

    owners: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Tenants that have a document of that id: most ids have one."""
    questions: Mapping[str, KnownQuestion] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[KnownDocument], questions: Iterable[KnownQuestion]) -> "Knowledge":
        """Put them in order."""
        owners: dict[str, frozenset[str]] = {}
        for document in documents:
            owners[document.id] = owners.get(document.id, frozenset()) | {document.tenant}
        return cls(owners, {question.id: question for question in questions})
