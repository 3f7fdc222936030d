"""A provider's stream fails half-way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, Unpack

from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Duration

from ._provider import Selected, failing


@fault
@asynccontextmanager
async def stream_fault(
    system: System,
    *,
    from_: ServiceName,
    to: ServiceName,
    failure: Literal[
        "stall",
        "disconnect",
        "slow_first_token",
        "slow_tokens",
        "error_event",
        "malformed_event",
        "missing_terminator",
        "duplicated_chunks",
        "reordered_chunks",
        "one_giant_chunk",
    ] = "stall",
    after: int = 3,
    gap: Duration = Duration(2.0),
    delay: Duration = Duration(30.0),
    provider: str = "openai",
    **selected: Unpack[Selected],
) -> AsyncIterator[None]:
    """Break streamed answers on their way: the tokens are the provider's own.

    The provider is called and answers; answers that are not streamed, and its errors, pass untouched. When the fault
    ends, what was held back flows on.

    Args:
        from_: the service that asks.
        to: the provider that it asks.
        failure: `stall` (silence after some tokens, the connection open), `disconnect`, `error_event` (the stream turns
            into an error, in the provider's own way), `malformed_event`, `duplicated_chunks`, `reordered_chunks`: all
            six after `after` tokens. `slow_first_token`, `slow_tokens`, `missing_terminator` (it ends without the event
            that says so), `one_giant_chunk` (a buffering proxy in between: nothing, then everything).
        after: how many tokens arrive before it goes wrong. A stream that has no more than that stays whole.
        gap: the pause before each of the slow tokens.
        delay: the silence before a slow first token, or before one giant chunk.
        provider: whose way of failing; `openai`, `azure`, `anthropic`, `gemini`, `cohere`, `bedrock`, `vllm`, `ollama`,
            or one of its dialects, such as `openai_responses`. Requests that are not for its API pass.
    """
    broken = failing(
        failure,
        after=after,
        gap=gap,
        delay=delay,
        provider=provider,
        **selected,
    )
    async with system.link(from_, to).broken(broken):
        yield
