"""An LLM provider has had enough of its caller."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Duration, Share

from ._provider import failing

_FAILURES = {"requests": "rate_limited_requests", "tokens": "rate_limited_tokens", "spend": "quota_exhausted"}


@fault
@asynccontextmanager
async def provider_rate_limit(
    system: System,
    *,
    from_: ServiceName,
    to: ServiceName,
    limit: Literal["requests", "tokens", "spend"] = "requests",
    retry_after: Duration = Duration(20.0),
    provider: str = "openai",
    first: int | None = None,
    every: int | None = None,
    share: Share | None = None,
    seed: int | None = None,
    path: str | None = None,
    header: str | None = None,
    model: str | None = None,
    tenant: str | None = None,
) -> AsyncIterator[None]:
    """Let a provider refuse requests, because the caller has made too many or has spent its money.

    The provider itself is not called. With `first: 5` it relents after five refusals, whatever was waited.

    Args:
        from_: the service that asks.
        to: the provider that it asks.
        limit: what has run out. Of `requests` or `tokens` per minute: a 429 that says when to come back, with the
            provider's own rate-limit headers. `spend`: its quota or budget, which nothing says will come back.
        retry_after: when to come back, in whole seconds where the provider counts so; not said of `spend`.
        provider: whose way of failing; `openai`, `azure`, `anthropic`, `gemini`, `cohere`, `bedrock`, `vllm`, `ollama`,
            or one of its dialects, such as `openai_responses`. Requests that are not for its API pass.
        first: only the first so many of the requests that are meant.
        every: only every second, third, ... of them.
        share: only that share of them, at random.
        seed: with a seed, 1 or more, the same requests are taken, by their order, in every run.
        path: only requests to that path; in this and the next three, `*` stands for anything.
        header: only requests with that header, `name` or `name: value`.
        model: only requests for that model.
        tenant: only requests of that tenant, whom the caller names in the header `x-tenant-id`.
    """
    failure = failing(
        _FAILURES[limit],
        retry_after=retry_after,
        provider=provider,
        first=first,
        every=every,
        share=share,
        seed=seed,
        path=path,
        header=header,
        model=model,
        tenant=tenant,
    )
    async with system.link(from_, to).broken(failure):
        yield
