"""Documents are deleted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import DeleteDocuments
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def delete_documents(system: System, *, service: ServiceName, documents: str) -> AsyncIterator[None]:
    """Delete documents, as whoever owns them would, and load them again when the fault ends.

    The service is asked to, over its own API and past every broken link, so what becomes of the copies in databases,
    indexes and caches is up to the system; the probe `uncited` judges that. A service that cannot take the documents
    back yet, as its database has just returned, is asked again for 20 s.

    Args:
        service: who takes documents and deletes them: the gateway.
        documents: which, by their ids, with `*` and `?` as in a file name: `*-charges-*`.
    """
    async with system.service(service).broken(DeleteDocuments(documents=documents)):
        yield
