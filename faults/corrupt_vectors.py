"""Stored vectors are corrupted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from brownout.breakage import CorruptVectors
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def corrupt_vectors(
    system: System, *, service: ServiceName, documents: str, manner: Literal["noise", "scaled"] = "noise"
) -> AsyncIterator[None]:
    """Overwrite the stored vectors of documents, and upload the documents again when the fault ends.

    It is done behind the stack's back, in the database itself, as a failed disk, a half-finished migration or a
    re-index with another model would: nobody is told. The texts stay, so whoever looks for the documents by their words
    still finds them; the probe `uncited` judges whether they are served.

    Args:
        service: who keeps the vectors: the vector database.
        documents: whose, by their ids, with `*` and `?` as in a file name: `*-policies-*`.
        manner: `noise`: each vector has its length and a direction of no meaning; `scaled`: its direction, and three
            times its length.
    """
    async with system.service(service).broken(CorruptVectors(documents=documents, manner=manner)):
        yield
