"""In process, each provider's own client library sees of each failure what it sees on a connection."""

import asyncio
from typing import Any

import pytest

from brownout.dialect import Failure, Options, installed_dialects
from brownout.inprocess import provider_fault, provider_outage
from tests.dialects.clients import Ask, Seen, client
from tests.dialects.expected import cases, check

pytestmark = pytest.mark.usefixtures("no_network")

PLACES = {
    "openai_chat": "https://api.openai.com",
    "openai_responses": "https://api.openai.com",
    "azure_openai": "https://an-example.openai.azure.com",
    "vllm": "http://localhost:8000",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "cohere": "https://api.cohere.com",
    "ollama": "http://localhost:11434",
    "bedrock": "https://bedrock-runtime.eu-central-1.amazonaws.com",
    "bedrock_invoke": "https://bedrock-runtime.eu-central-1.amazonaws.com",
}
REFUSED = {
    "openai_chat": "openai.APIConnectionError",
    "openai_responses": "openai.APIConnectionError",
    "azure_openai": "openai.APIConnectionError",
    "vllm": "openai.APIConnectionError",
    "anthropic": "anthropic.APIConnectionError",
    "gemini": "httpx.ConnectError",
    "cohere": "httpx.ConnectError",
    "ollama": "builtins.ConnectionError",
    "bedrock": "botocore.EndpointConnectionError",
    "bedrock_invoke": "botocore.EndpointConnectionError",
}
SILENT = REFUSED | {
    "openai_chat": "openai.APITimeoutError",
    "openai_responses": "openai.APITimeoutError",
    "azure_openai": "openai.APITimeoutError",
    "vllm": "openai.APITimeoutError",
    "anthropic": "anthropic.APITimeoutError",
    "gemini": "httpx.ReadTimeout",
    "cohere": "httpx.ReadTimeout",
    "ollama": "httpx.ReadTimeout",
    "bedrock": "botocore.ReadTimeoutError",
    "bedrock_invoke": "botocore.ReadTimeoutError",
}


def seen(ask: Ask, *, stream: bool) -> Seen:
    found = Seen()
    try:
        ask(stream, found)
    except Exception as error:
        found.error = error
    return found


@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_client_sees_the_same_as_on_a_connection(name: str) -> None:
    dialect = installed_dialects()[name]
    ask = client(name, PLACES[name])
    tables = {"errors": (False, True), "replies": (False, True), "bodies": (False,), "streams": (True,)}
    for of, streams in tables.items():
        for _, failure, wanted in (case for case in cases(of) if case[0] == name):
            for stream in streams:
                with provider_fault(dialect.name, failure, options=Options(delay=1, gap=0.1)) as fault:
                    check(seen(ask, stream=stream), wanted)
                assert fault.broken == 1, failure


@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_client_sees_an_outage_as_it_sees_a_real_one(name: str) -> None:
    ask = client(name, PLACES[name])
    for manner, table in (("refused", REFUSED), ("silent", SILENT)):
        with provider_outage(name, manner):
            check(seen(ask, stream=False), table[name])


def test_a_retrying_client_recovers_from_a_fault_of_the_first_requests_only() -> None:
    openai = pytest.importorskip("openai")
    patient = openai.OpenAI(api_key="sk-test", max_retries=2)
    with provider_fault("openai", "rate_limited_requests", first=2, options=Options(retry_after=0.01)) as fault:
        answer = patient.chat.completions.create(model="a-model", messages=[{"role": "user", "content": "?"}])
    assert answer.choices[0].message.content == "Brownout answers in place of the provider."
    assert (fault.met, fault.broken) == (3, 2)


def test_an_async_client_sees_a_stream_die() -> None:
    anthropic = pytest.importorskip("anthropic")

    async def ask() -> tuple[list[str], Exception | None]:
        got: list[str] = []
        async with anthropic.AsyncAnthropic(api_key="test", max_retries=0) as client:
            question: dict[str, Any] = {"model": "a-model", "max_tokens": 9, "stream": True}
            stream = await client.messages.create(**question, messages=[{"role": "user", "content": "?"}])
            try:
                async for event in stream:
                    if event.type == "content_block_delta":
                        got.append(event.delta.text)
            except anthropic.APIStatusError as error:
                return got, error
        return got, None

    with provider_fault("anthropic", Failure.ERROR_EVENT, options=Options(after=2)):
        got, error = asyncio.run(ask())
    assert got == ["Brown", "out"]
    assert error is not None
    assert "overloaded_error" in str(error)
