"""An LLM provider has had enough of its caller."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, Unpack

from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Duration

from ._provider import Selected, failing

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
    **selected: Unpack[Selected],
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
    """
    failure = failing(
        _FAILURES[limit],
        retry_after=retry_after,
        provider=provider,
        **selected,
    )
    async with system.link(from_, to).broken(failure):
        yield
