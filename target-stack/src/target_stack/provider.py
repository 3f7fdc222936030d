"""An LLM provider: an OpenAI-compatible API over the extractive model, with a provider's pace."""

import asyncio
import math
import random
from collections.abc import Iterator, Mapping

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from target_stack.asgi import begin_events, directly, send_body, while_connected
from target_stack.catalogue.names import PROVIDERS
from target_stack.clock import Clock, SystemClock
from target_stack.completion import ChatCompletion, complete, digest_of
from target_stack.server import run
from target_stack.setting import ConfigurationError
from target_stack.settings import Settings
from target_stack.wire import ProviderRequest

__all__ = ["serve"]

CHAT = "/v1/chat/completions"
SIGMA = 0.25
"""Spread of the lognormal times to the first token and between tokens."""


def serve(settings: Settings, environ: Mapping[str, str], *, host: str, port: int) -> None:
    """Serve the provider named by STACK_PROVIDER_NAME; raise ConfigurationError when it is not a known one."""
    name = environ.get("STACK_PROVIDER_NAME", "")
    if name not in PROVIDERS:
        msg = f"STACK_PROVIDER_NAME must be one of {', '.join(PROVIDERS)}, not {name!r}"
        raise ConfigurationError(msg)
    run(_Service(name, settings, SystemClock(), seed=environ.get("STACK_SEED", "")).app(), host=host, port=port)


class _Service:
    def __init__(self, name: str, settings: Settings, clock: Clock, *, seed: str) -> None:
        self._name = name
        self._clock = clock
        self._seed = seed
        self._models = settings.words(f"{name}.model")
        self._small_model = settings.text("small-model")
        self._ttft = settings.number(f"{name}.ttft")
        self._tpot = settings.number(f"{name}.tpot")
        self._decoder = msgspec.json.Decoder(ProviderRequest)
        self._registry = CollectorRegistry()
        self._requests = Counter("provider_requests", "Requests.", ["model", "outcome"], registry=self._registry)
        self._tokens = Counter("provider_tokens", "Tokens sent.", registry=self._registry)

    def app(self) -> ASGIApp:
        app = Starlette(
            routes=[
                Route("/health/live", self._health),
                Route("/health/ready", self._health),
                Route("/v1/models", self._list_models),
                Route(CHAT, self._chat, methods=["POST"]),
                Route("/metrics", self._metrics),
            ]
        )
        return directly(CHAT, self._chat_directly, app)

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ready"})

    async def _metrics(self, _request: Request) -> Response:
        return Response(generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _list_models(self, _request: Request) -> Response:
        data = [{"id": model, "object": "model", "created": 0, "owned_by": self._name} for model in self._models]
        return JSONResponse({"object": "list", "data": data})

    async def _chat_directly(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._chat(Request(scope, receive))
        await response(scope, receive, send)

    async def _chat(self, request: Request) -> Response:
        body = await request.body()
        try:
            asked = self._decoder.decode(body)
        except msgspec.MsgspecError as error:
            return _error(400, str(error), "invalid_request")
        if asked.model not in self._models:
            self._requests.labels("unknown", "not_found").inc()
            return _error(404, f"model {asked.model!r} is not served here", "model_not_found")
        digest = digest_of(body)
        completion = complete(asked, small_model=self._small_model, digest=digest, created=int(self._clock.unix()))
        # The same request has the same pace, in whatever order requests come.
        pace = random.Random(f"{self._seed}:{self._name}:{digest}")  # noqa: S311 -- a simulated delay
        delays = self._delays(completion, pace)
        if asked.stream:
            include_usage = asked.stream_options is not None and asked.stream_options.include_usage
            return _Stream(self, completion, delays, include_usage=include_usage)
        await self._pace(completion, delays)
        return Response(completion.whole(), media_type="application/json")

    def _delays(self, completion: ChatCompletion, pace: random.Random) -> Iterator[float]:
        yield self._ttft * math.exp(pace.gauss(0, SIGMA))
        for _ in completion.pieces[1:]:
            yield self._tpot * math.exp(pace.gauss(0, SIGMA))

    async def _pace(self, completion: ChatCompletion, delays: Iterator[float]) -> None:
        try:
            await asyncio.sleep(sum(delays))
        except asyncio.CancelledError:
            self._requests.labels(completion.model, "cancelled").inc()
            raise
        self._count(completion)

    async def stream(
        self, send: Send, completion: ChatCompletion, delays: Iterator[float], *, include_usage: bool
    ) -> None:
        """Send each token when it is due."""
        chunks, sent, outcome = completion.chunks(), 0, "cancelled"
        # Against the clock, not one sleep after another: late wake-ups must not add up.
        due = self._clock.monotonic()
        try:
            for piece, delay in zip(completion.pieces, delays, strict=False):
                due += delay
                await asyncio.sleep(max(due - self._clock.monotonic(), 0))
                await send_body(send, chunks.text(piece))
                sent += 1
            await send_body(send, completion.end(chunks, include_usage=include_usage), last=True)
            outcome = "ok"
        finally:
            self._requests.labels(completion.model, outcome).inc()
            self._tokens.inc(sent)

    def _count(self, completion: ChatCompletion) -> None:
        self._requests.labels(completion.model, "ok").inc()
        self._tokens.inc(len(completion.pieces))


class _Stream(Response):
    """An answer as it is made; when the client leaves, no more of it is."""

    def __init__(
        self, service: _Service, completion: ChatCompletion, delays: Iterator[float], *, include_usage: bool
    ) -> None:
        super().__init__()
        self._service = service
        self._completion = completion
        self._delays = delays
        self._include_usage = include_usage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await begin_events(send)
        answer = self._service.stream(send, self._completion, self._delays, include_usage=self._include_usage)
        await while_connected(receive, answer)


def _error(status: int, message: str, code: str) -> Response:
    body = {"message": message, "type": "invalid_request_error", "code": code, "error_source": "own_system"}
    return JSONResponse({"error": body}, status_code=status)
