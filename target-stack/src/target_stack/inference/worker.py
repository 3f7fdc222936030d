"""The inference worker: the engine behind vLLM's HTTP surface.

What differs from vLLM, each on purpose: the model is the extractive one; the status waits for the first token, so that
a request that fails before it fails with a status; backpressure is said, in a header, before the queue grows long; and
a dead engine keeps its process for a while, answering 500 to everything, `/health` included (vLLM issue #5060). Newer
versions of vLLM answer 503 there and end within 5 s, unless VLLM_KEEP_ALIVE_ON_ENGINE_DEATH is set.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from target_stack.clock import Clock, SystemClock
from target_stack.completion import complete, count_tokens, digest_of
from target_stack.inference.answer import Answer, refusal
from target_stack.inference.blocks import BlockPool
from target_stack.inference.engine import Engine, EngineDeadError
from target_stack.inference.memory import BlockStore, open_store
from target_stack.inference.metrics import WorkerMetrics
from target_stack.inference.pace import Pace
from target_stack.inference.scheduler import OnOom, Scheduler, SchedulerConfig
from target_stack.server import Exit, run
from target_stack.setting import ConfigurationError
from target_stack.settings import Settings
from target_stack.wire import ProviderRequest

__all__ = ["serve"]

DEAD_STATUS = 1
"""Exit status of a worker whose engine died."""
RETRY_AFTER_S = 1


def serve(settings: Settings, environ: Mapping[str, str], *, host: str, port: int) -> None:
    """Serve one replica; raise ConfigurationError when the settings cannot be met here."""
    leave = Exit()
    worker = _Worker(settings, open_store(settings), SystemClock(), seed=environ.get("STACK_SEED", ""), leave=leave)
    run(worker.app(), host=host, port=port, leave=leave)


class _Worker:
    def __init__(self, settings: Settings, store: BlockStore, clock: Clock, *, seed: str, leave: Exit) -> None:
        self._settings = settings
        self._clock = clock
        self._leave = leave
        self._model = settings.text("inference.model")
        self._longest = settings.integer("inference.max-model-len")
        self._loaded = False
        self._decoder = msgspec.json.Decoder(ProviderRequest)
        self._metrics = WorkerMetrics(self._model)
        self._scheduler = self._new_scheduler(store)
        pace = Pace.from_settings(settings)
        source = random.Random(f"{seed}:inference")  # noqa: S311 -- simulated delays
        self._engine = Engine(self._scheduler, pace, clock, source, self._metrics)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/health/live", self._live),
                Route("/health/ready", self._health),
                Route("/v1/models", self._list_models),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/metrics", self._metrics_page),
            ],
            lifespan=self._lifespan,
        )

    def _new_scheduler(self, store: BlockStore) -> Scheduler:
        settings = self._settings
        limits = ("kv-blocks", "block-size", "kv-bytes-per-token", "max-num-seqs")
        blocks, block_size, per_token, seats = (settings.integer(f"inference.{name}") for name in limits)
        for name in limits:
            if not settings.integer(f"inference.{name}"):
                msg = f"setting 'inference.{name}' must be at least 1"
                raise ConfigurationError(msg)
        if blocks * block_size < self._longest:
            msg = (
                f"setting 'inference.max-model-len': {self._longest} tokens do not fit into "
                f"{blocks} blocks of {block_size}"
            )
            raise ConfigurationError(msg)
        pool = BlockPool(store, blocks=blocks, block_bytes=block_size * per_token)
        config = SchedulerConfig(
            block_size=block_size,
            max_num_seqs=seats,
            max_num_batched_tokens=settings.integer("inference.max-num-batched-tokens"),
            on_oom=OnOom(settings.text("inference.on-oom")),
        )
        scheduler = Scheduler(pool, config)
        self._metrics.watch("vllm:num_requests_running", "Requests in the batch.", lambda: len(scheduler.running))
        self._metrics.watch("vllm:num_requests_waiting", "Requests in the queue.", lambda: len(scheduler.waiting))
        self._metrics.watch("vllm:kv_cache_usage_perc", "Share of blocks in use.", lambda: scheduler.cache_usage)
        self._metrics.watch("inference_kv_memory_bytes", "Memory behind the blocks.", lambda: pool.held_bytes)
        self._metrics.describe_cache(
            block_size=str(block_size), num_gpu_blocks=str(blocks), cache_dtype=store.name, on_oom=config.on_oom
        )
        return scheduler

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        living = asyncio.create_task(self._live_and_die())
        try:
            yield
        finally:
            living.cancel()
            await asyncio.wait({living})

    async def _live_and_die(self) -> None:
        await asyncio.sleep(self._settings.number("inference.load-time"))
        self._loaded = True
        await self._engine.run()
        await asyncio.sleep(self._settings.number("inference.dead-linger"))
        self._leave(DEAD_STATUS)

    async def _live(self, _request: Request) -> Response:
        """Whether a restart would not help."""
        return Response(status_code=500 if self._engine.dead else 200)

    async def _health(self, _request: Request) -> Response:
        """As vLLM: an empty body, and all in the status."""
        if self._engine.dead:
            return Response(status_code=500)
        return Response(status_code=200 if self._loaded else 503)

    async def _list_models(self, _request: Request) -> Response:
        model = {
            "id": self._model,
            "object": "model",
            "created": 0,
            "owned_by": "inference",
            "max_model_len": self._longest,
        }
        return JSONResponse({"object": "list", "data": [model]})

    async def _metrics_page(self, _request: Request) -> Response:
        return Response(self._metrics.page(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _chat(self, request: Request) -> Response:
        try:
            body = await request.body()
            asked = self._decoder.decode(body)
        except ClientDisconnect:
            return Response(status_code=499)
        except msgspec.MsgspecError as error:
            return refusal(400, str(error))
        if refused := self._invalid(asked) or self._unavailable():
            return refused
        completion = complete(
            asked,
            small_model=self._settings.text("small-model"),
            digest=digest_of(body),
            created=int(self._clock.unix()),
            room=self._longest - count_tokens(asked.messages),
        )
        generation = self._engine.submit(
            prompt_tokens=max(completion.prompt_tokens, 1),
            output_tokens=len(completion.pieces),
            finish_reason=completion.finish_reason,
        )
        include_usage = asked.stream_options is not None and asked.stream_options.include_usage
        return Answer(generation, completion, stream=asked.stream, include_usage=include_usage)

    def _invalid(self, asked: ProviderRequest) -> Response | None:
        if asked.model != self._model:
            return refusal(404, f"The model `{asked.model}` does not exist.")
        if asked.max_tokens is not None and asked.max_tokens < 1:
            return refusal(400, f"max_tokens must be at least 1, got {asked.max_tokens}.")
        prompt, wanted = count_tokens(asked.messages), asked.max_tokens or 1
        if prompt + wanted <= self._longest:
            return None
        return refusal(
            400,
            f"This model's maximum context length is {self._longest} tokens. However, you requested "
            f"{prompt + wanted} tokens ({prompt} in the messages, {wanted} in the completion). "
            "Please reduce the length of the messages or completion.",
        )

    def _unavailable(self) -> Response | None:
        if self._engine.dead:
            return refusal(500, str(EngineDeadError()))
        if not self._loaded:
            return refusal(503, "The model is being loaded.")
        settings = self._settings
        if not settings.switch("inference.backpressure"):
            return None
        if self._scheduler.utilisation <= settings.number("inference.backpressure-at"):
            return None
        self._metrics.backpressure.inc()
        headers = {"x-backpressure-level": "HIGH", "retry-after": str(RETRY_AFTER_S)}
        return refusal(503, "The worker has no room for more.", headers=headers, source="own_system")
