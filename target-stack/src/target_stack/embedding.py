"""The embedding service: a real static sentence model behind the OpenAI embeddings API."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from target_stack.server import run
from target_stack.settings import Settings
from target_stack.wire import Embedding, EmbeddingRequest, EmbeddingResponse

__all__ = ["embed", "serve"]

MODEL = "tokenlearn-static"


def serve(_settings: Settings, _environ: Mapping[str, str], *, host: str, port: int) -> None:
    """Serve the embedding service."""
    run(_Service().app(), host=host, port=port)


def embed(texts: list[str]) -> list[list[float]]:
    """Return one unit vector per text; a text without a known word is the zero vector's stand-in (1, 0, 0, ...)."""
    # The first call loads the model, most of a second: not while this module is imported.
    from static_model import get_embeddings  # noqa: PLC0415 -- see above

    return [_unit(vector) for vector in get_embeddings(texts)]


def _unit(vector: list[float]) -> list[float]:
    norm = math.sqrt(sum(x * x for x in vector))
    # Cosine distance to a zero vector is undefined, and Postgres would sort it as NaN.
    return [x / norm for x in vector] if norm else [1.0] + [0.0] * (len(vector) - 1)


class _Service:
    def __init__(self) -> None:
        self._loaded = False
        self._decoder = msgspec.json.Decoder(EmbeddingRequest)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/health/live", self._live),
                Route("/health/ready", self._ready),
                Route("/v1/embeddings", self._embeddings, methods=["POST"]),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        loading = asyncio.create_task(self._load())
        try:
            yield
        finally:
            await loading

    async def _load(self) -> None:
        await asyncio.to_thread(embed, ["warm up"])
        self._loaded = True

    async def _live(self, _request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def _ready(self, _request: Request) -> Response:
        if self._loaded:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "starting", "waiting_for": ["model"]}, status_code=503)

    async def _embeddings(self, request: Request) -> Response:
        try:
            asked = self._decoder.decode(await request.body())
        except ClientDisconnect:
            # Nobody is left to answer: a caller that timed out, or a link that was cut.
            return Response(status_code=499)
        except msgspec.MsgspecError as error:
            body = {"message": str(error), "type": "invalid_request_error", "code": "invalid_request"}
            return JSONResponse({"error": body}, status_code=400)
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        # 0.1 ms a text: a thread would cost more than it frees.
        data = [Embedding(vector, index) for index, vector in enumerate(embed(texts))]
        return Response(msgspec.json.encode(EmbeddingResponse(data, MODEL)), media_type="application/json")
