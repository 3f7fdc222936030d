"""Client of the embedding service."""

import math
from collections.abc import Sequence
from http import HTTPStatus

import aiohttp
import msgspec

from target_stack.dependency import Attempts, Dependency
from target_stack.failures import DependencyError, FailureKind, source_of_status
from target_stack.http_peer import HttpPeer
from target_stack.wire import EmbeddingRequest, EmbeddingResponse, declared_source

__all__ = ["Embedder"]

NAME = "embedding"
BATCH = 128
"""Texts in one call while documents are ingested."""


class Embedder:
    """Texts in, unit vectors out. `dimensions` is how many a query's must have."""

    def __init__(self, peer: HttpPeer, dependency: Dependency, *, dimensions: int) -> None:
        self._peer = peer
        self._url = peer.url("/v1/embeddings")
        self._dependency = dependency
        self._dimensions = dimensions
        self._decoder = msgspec.json.Decoder(EmbeddingResponse)

    async def embed(self, text: str, attempts: Attempts) -> list[float]:
        """Return the vector of one query; raise DependencyError when the service gives none in time that can be one.

        One of other dimensions, as of another model, the database would refuse, and be blamed for it.
        """

        async def work() -> list[float]:
            (vector,) = await self._post([text], attempts.deadline.headers())
            if len(vector) != self._dimensions or not math.isfinite(math.hypot(*vector)):
                raise DependencyError(NAME, "a vector that cannot be a query's", kind=FailureKind.MALFORMED)
            return vector

        return await self._dependency.call(work, attempts)

    async def embed_batches(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of many documents, whatever they are, without the query's time limit.

        Raises DependencyError.
        """
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            async with self._dependency.guarded(Attempts()):
                vectors += await self._post(list(texts[start : start + BATCH]), {})
        return vectors

    async def _post(self, texts: list[str], headers: dict[str, str]) -> list[list[float]]:
        body = msgspec.json.encode(EmbeddingRequest(input=texts))
        try:
            async with (
                self._peer.client() as client,
                client.post(self._url, data=body, headers={"content-type": "application/json", **headers}) as response,
            ):
                answer = await response.read()
        except aiohttp.ClientError as error:
            raise DependencyError(NAME, type(error).__name__, kind=FailureKind.UNREACHABLE) from error
        if response.status != HTTPStatus.OK:
            source = source_of_status(response.status, declared=declared_source(answer))
            raise DependencyError(NAME, f"status {response.status}", kind=FailureKind.STATUS, source=source)
        try:
            vectors = [item.embedding for item in self._decoder.decode(answer).data]
        except msgspec.MsgspecError as error:
            raise DependencyError(NAME, "malformed answer", kind=FailureKind.MALFORMED) from error
        if len(vectors) != len(texts):
            reason = f"{len(vectors)} vectors for {len(texts)} texts"
            raise DependencyError(NAME, reason, kind=FailureKind.MALFORMED)
        return vectors
