"""What a service keeps is not what it was given."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from brownout.breakage.model import Breakage


@dataclass(frozen=True, slots=True)
class DeleteDocuments(Breakage):
    """A service is asked to delete documents, and to take them back in the end."""

    kind: ClassVar[str] = "data.delete_documents"
    documents: str
    """Their ids, with `*` and `?` as in a file name."""


@dataclass(frozen=True, slots=True)
class CorruptVectors(Breakage):
    """In a service that keeps documents' vectors, those of some are overwritten; their texts stay as they are."""

    kind: ClassVar[str] = "data.corrupt_vectors"
    documents: str
    """Their ids, with `*` and `?` as in a file name."""
    manner: Literal["noise", "scaled"] = "noise"
    """`noise`: of the right length, in a direction of no meaning; `scaled`: in the right direction, three times as
    long."""
