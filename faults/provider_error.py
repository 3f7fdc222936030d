"""An LLM provider answers, and the answer is no good."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, Unpack

from brownout.fault import fault
from brownout.system import ServiceName, System

from ._provider import Selected, failing


@fault
@asynccontextmanager
async def provider_error(
    system: System,
    *,
    from_: ServiceName,
    to: ServiceName,
    failure: Literal[
        "expired_key",
        "forbidden",
        "model_retired",
        "context_length_exceeded",
        "too_large",
        "content_filter",
        "refusal",
        "empty_completion",
        "finish_length",
        "other_model",
        "usage_missing",
        "usage_inflated",
        "malformed_json",
        "wrong_content_type",
        "truncated_body",
    ],
    factor: int = 100,
    answering: str | None = None,
    provider: str = "openai",
    **selected: Unpack[Selected],
) -> AsyncIterator[None]:
    """Let a provider answer with an error of one's own making, or with an answer that is not what was asked for.

    The provider itself is not called. Failures of the provider's own are `provider_outage` and `provider_rate_limit`,
    those of a stream alone are `stream_fault`.

    Args:
        from_: the service that asks.
        to: the provider that it asks.
        failure: what is wrong. Errors: `expired_key` (401), `forbidden` (403), `model_retired` (404),
            `context_length_exceeded` (400), `too_large` (413), `content_filter`. Good answers that are not: `refusal`,
            `empty_completion`, `finish_length` (it stops half-way), `other_model`, `usage_missing`, `usage_inflated` (a
            cost spike). Broken ones: `malformed_json` and `truncated_body`, which befall only answers that are not
            streamed, and `wrong_content_type` (an HTML page with 200).
        factor: how many times too high `usage_inflated` counts tokens.
        answering: the model that answers in `other_model`; if it is not said, a smaller one of the provider's.
        provider: whose way of failing; `openai`, `azure`, `anthropic`, `gemini`, `cohere`, `bedrock`, `vllm`, `ollama`,
            or one of its dialects, such as `openai_responses`. Requests that are not for its API pass.
    """
    broken = failing(
        failure,
        factor=factor,
        answering=answering,
        provider=provider,
        **selected,
    )
    async with system.link(from_, to).broken(broken):
        yield
