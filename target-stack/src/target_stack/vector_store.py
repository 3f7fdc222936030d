"""Documents and their vectors in Postgres with pgvector, searched exactly and always within one tenant.

No approximate index: with a tenant filter HNSW loses recall just where a tenant is small, and an exact scan of some
thousand rows of 64 dimensions takes about a millisecond.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import msgspec

from target_stack.documents import Document
from target_stack.failures import DependencyError, FailureKind
from target_stack.tombstones import Name

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

__all__ = ["DIMENSIONS", "Found", "VectorStore"]

NAME = "vector-db"
NOTHING: Mapping[Name, str] = MappingProxyType({})
DIMENSIONS = 64
RELEASE_LIMIT_S = 1.0
"""Releasing may wait for the server, in a task that outlives a cancelled caller: it must end by itself."""
_SCHEMA_LOCK = 0x62726F77  # any fixed number, so that two gateways do not create the schema at once
_SCHEMA = f"""
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE IF NOT EXISTS documents (
    tenant text NOT NULL,
    id text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    topic text NOT NULL,
    facts jsonb NOT NULL,
    embedding vector({DIMENSIONS}) NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE TABLE IF NOT EXISTS tombstones (
    tenant text NOT NULL,
    id text NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE TABLE IF NOT EXISTS quarantine (
    tenant text NOT NULL,
    id text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (tenant, id)
);
"""
_PUT = """
INSERT INTO documents (tenant, id, title, body, topic, facts, embedding)
SELECT tenant, id, title, body, topic, facts::jsonb, embedding::vector
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
     AS given (tenant, id, title, body, topic, facts, embedding)
ON CONFLICT (tenant, id) DO UPDATE SET
    title = excluded.title, body = excluded.body, topic = excluded.topic, facts = excluded.facts,
    embedding = excluded.embedding
"""
_BURY = """
INSERT INTO tombstones (tenant, id) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING
"""
_LIFT = """
DELETE FROM tombstones USING unnest($1::text[], $2::text[]) AS given (tenant, id)
WHERE tombstones.tenant = given.tenant AND tombstones.id = given.id
"""
_QUARANTINE = """
INSERT INTO quarantine (tenant, id, reason) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
ON CONFLICT (tenant, id) DO UPDATE SET reason = excluded.reason
"""
_RELEASE = """
DELETE FROM quarantine USING unnest($1::text[], $2::text[]) AS given (tenant, id)
WHERE quarantine.tenant = given.tenant AND quarantine.id = given.id
"""
_PURGE = """
DELETE FROM documents USING tombstones
WHERE documents.tenant = tombstones.tenant AND documents.id = tombstones.id
RETURNING documents.tenant, documents.id
"""
_COLUMNS = "id, tenant, title, body, topic"


def _search_of(whose: str) -> str:
    """Return the query for the nearest documents, and for some more by their ids, which come without a distance."""
    return f"""
SELECT {_COLUMNS}, embedding::real[] AS vector, distance FROM (
    SELECT {_COLUMNS}, embedding, embedding <=> $1::real[]::vector AS distance FROM documents WHERE {whose}
    ORDER BY distance, id LIMIT $2
) AS near
UNION ALL
SELECT {_COLUMNS}, embedding::real[], NULL FROM documents WHERE {whose} AND id = ANY($3::text[])
ORDER BY distance NULLS LAST, id
"""  # noqa: S608 -- column names and conditions are ours; what comes from outside is a parameter


_SEARCH = _search_of("tenant = $4")
_SEARCH_ALL = _search_of("TRUE")
_ALL = f"SELECT {_COLUMNS}, embedding::real[] FROM documents"  # noqa: S608 -- as above


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Documents by their vectors, nearest first, and others by their ids; with the vectors of both."""

    near: list[Document]
    others: list[Document]
    vectors: Mapping[Name, Sequence[float]]


class VectorStore:
    """A pool of connections that replaces what broke.

    Errors of the server or the wire are DependencyError. Time limits are the caller's: any method may be cancelled,
    and a connection whose call did not end well is closed, never put back.
    """

    def __init__(self, url: str, *, pool_size: int) -> None:
        """Raise ValueError when the URL is not one of Postgres."""
        if urlsplit(url).scheme not in ("postgres", "postgresql"):
            msg = "not a postgresql:// URL"
            raise ValueError(msg)
        self._url = url
        self._pool_size = pool_size
        # Made on first use: an asyncpg pool belongs to the event loop that it was made in.
        self._pool: asyncpg.Pool | None = None

    def _new_pool(self) -> asyncpg.Pool:
        # min_size=0: the pool connects when asked, so a gateway starts and recovers without its database.
        return asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._pool_size,
            max_inactive_connection_lifetime=0,
            # A proxy between us and the server may not speak TLS negotiation; the link is loopback or already private.
            ssl=False,
            reset=_keep,
            server_settings={"application_name": "target-stack-gateway"},
        )

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["PoolConnectionProxy[asyncpg.Record]"]:
        if self._pool is None:
            self._pool = self._new_pool()
        pool = self._pool
        try:
            await pool  # initialises it the first time; opens nothing
            connection = await pool.acquire()
            try:
                yield connection
            except BaseException:
                # Neither waits for the server nor asks it anything: it may be a black hole.
                connection.terminate()
                raise
            finally:
                await pool.release(connection, timeout=RELEASE_LIMIT_S)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, EOFError) as error:
            raise DependencyError(NAME, type(error).__name__, kind=FailureKind.UNREACHABLE) from error

    async def prepare(self) -> None:
        """Create the extension and the tables where they are missing."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
            await connection.execute(_SCHEMA)

    async def put(
        self,
        documents: Sequence[Document],
        vectors: Sequence[Sequence[float]],
        *,
        quarantined: Mapping[Name, str] = NOTHING,
    ) -> None:
        """Store documents with their vectors, replacing those of the same tenant and id.

        That lifts their tombstones and releases them from quarantine; into that go `quarantined`, each with its reason.
        """
        rows = [
            (d.tenant, d.id, d.title, d.text, d.topic, msgspec.json.encode(d.facts).decode(), _literal(vector))
            for d, vector in zip(documents, vectors, strict=True)
        ]
        async with self._connection() as connection, connection.transaction():
            if rows:
                await connection.execute(_PUT, *(list(column) for column in zip(*rows, strict=True)))
            names = [d.tenant for d in documents], [d.id for d in documents]
            await connection.execute(_LIFT, *names)
            await connection.execute(_RELEASE, *names)
            await connection.execute(_QUARANTINE, *_reasons(quarantined))

    async def bury(self, names: Collection[Name]) -> None:
        """Keep these tombstones."""
        async with self._connection() as connection:
            await connection.execute(_BURY, [tenant for tenant, _ in names], [id_ for _, id_ in names])

    async def tombstones(self) -> list[Name]:
        """Return every tombstone that is kept."""
        async with self._connection() as connection:
            rows = await connection.fetch("SELECT tenant, id FROM tombstones")
        return [(tenant, id_) for tenant, id_ in rows]

    async def quarantine(self, reasons: Mapping[Name, str]) -> None:
        """Keep these in quarantine."""
        async with self._connection() as connection:
            await connection.execute(_QUARANTINE, *_reasons(reasons))

    async def quarantined(self) -> dict[Name, str]:
        """Return everything that is kept in quarantine, and why."""
        async with self._connection() as connection:
            rows = await connection.fetch("SELECT tenant, id, reason FROM quarantine")
        return {(tenant, id_): reason for tenant, id_, reason in rows}

    async def purge(self) -> list[Name]:
        """Remove the documents that lie under a tombstone, which stays; return their names."""
        async with self._connection() as connection:
            rows = await connection.fetch(_PURGE)
        return [(tenant, id_) for tenant, id_ in rows]

    async def search(
        self, tenant: str | None, vector: Sequence[float], *, limit: int, others: Collection[str] = ()
    ) -> Found:
        """Find the tenant's `limit` documents nearest to `vector` by cosine distance, and those of which `others` are
        the ids.

        Without a tenant, everybody's: what a stack does that forgets the filter.
        """
        whose = () if tenant is None else (tenant,)
        query = _SEARCH_ALL if tenant is None else _SEARCH
        async with self._connection() as connection:
            rows = await connection.fetch(query, vector, limit, list(others), *whose)
        return Found(
            near=[_document(row) for row in rows if row["distance"] is not None],
            others=[_document(row) for row in rows if row["distance"] is None],
            vectors={(row["tenant"], row["id"]): row["vector"] for row in rows},
        )

    async def all(self) -> list[tuple[Document, Sequence[float]]]:
        """Return every tenant's documents with their vectors: what is kept in memory is built from them."""
        async with self._connection() as connection:
            rows = await connection.fetch(_ALL)
        return [(_document(row), row[-1]) for row in rows]

    async def ids(self) -> list[str]:
        """Return the ids of every tenant's documents, one as often as tenants have it."""
        async with self._connection() as connection:
            return [id_ for (id_,) in await connection.fetch("SELECT id FROM documents")]

    def renew(self) -> None:
        """Drop every connection and start with none; calls under way fail.

        For the moment when the breaker opens: an idle connection over a link that was cut looks alive, and each would
        cost a half-open probe.
        """
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None


def _reasons(quarantined: Mapping[Name, str]) -> tuple[list[str], list[str], list[str]]:
    tenants, ids = [tenant for tenant, _ in quarantined], [id_ for _, id_ in quarantined]
    return tenants, ids, [str(reason) for reason in quarantined.values()]


async def _keep(_connection: object) -> None:
    """Instead of asyncpg's reset on release, a round trip for each query: no session here changes any setting."""


def _literal(vector: Sequence[float]) -> str:
    return "[" + ",".join(map(repr, vector)) + "]"


def _document(row: asyncpg.Record) -> Document:
    id_, tenant, title, body, topic, *_ = row
    return Document(id=id_, tenant=tenant, title=title, text=body, topic=topic)
