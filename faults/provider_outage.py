"""An LLM provider is out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, Unpack

from brownout.dialect import SILENT
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Duration

from ._provider import Selected, failing

_FAILURES = {
    "timeout": SILENT,
    "server-error": "server_error",
    "bad-gateway": "bad_gateway",
    "gateway-timeout": "gateway_timeout",
    "overloaded": "overloaded",
}


@fault
@asynccontextmanager
async def provider_outage(
    system: System,
    *,
    from_: ServiceName,
    to: ServiceName,
    manner: Literal["timeout", "server-error", "bad-gateway", "gateway-timeout", "overloaded"] = "timeout",
    timeout: Duration = Duration(30.0),
    provider: str = "openai",
    **selected: Unpack[Selected],
) -> AsyncIterator[None]:
    """Let a provider be out of order: it does not answer at all, or with nothing but an error of its own.

    The provider itself is not called: what goes wrong is what its clients would see. Connections that are open when it
    begins meet it with their next request, and a request that is under way then still gets its answer.

    Args:
        from_: the service that asks.
        to: the provider that it asks.
        manner: `timeout` takes requests and says nothing. `server-error` is a 500, `bad-gateway` a 502 with the HTML
            page of the edge in front of the provider, `gateway-timeout` a 504, `overloaded` what the provider says when
            it has no capacity: 503, or 529.
        timeout: how long a `timeout` takes, until the provider's side closes the connection.
        provider: whose way of failing; `openai`, `azure`, `anthropic`, `gemini`, `cohere`, `bedrock`, `vllm`, `ollama`,
            or one of its dialects, such as `openai_responses`. Requests that are not for its API pass.
    """
    failure = failing(
        _FAILURES[manner],
        delay=timeout,
        provider=provider,
        **selected,
    )
    async with system.link(from_, to).broken(failure):
        yield
