"""A provider that fails: through a real fault proxy, in front of a real provider, felt by its own client library."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from brownout.breakage import LinkPlace, ProviderFailure
from brownout.errors import FaultError
from brownout.fixtures.embedded.processes import until
from brownout.proxy.client import ControlError
from tests.embedded.wire import PATIENCE_S, PLACE, Wire, provider_behind_a_link

pytestmark = pytest.mark.process

QUESTION = {
    "model": "atlas-large",
    "messages": [{"role": "user", "content": "What does the provider say when nobody has told it anything at all?"}],
}


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with provider_behind_a_link(tmp_path_factory.mktemp("links")) as wire:
        yield wire


@contextlib.asynccontextmanager
async def failing(wire: Wire, failure: str, **given: Any) -> AsyncIterator[ProviderFailure]:
    breakage = ProviderFailure(provider="openai", failure=failure, **given)
    await wire.links.inject(PLACE, breakage, lease="lease", ttl=60.0)
    try:
        yield breakage
    finally:
        await wire.links.heal("lease")


def client_of(wire: Wire, timeout: float = PATIENCE_S) -> Any:
    openai = pytest.importorskip("openai")
    return openai.AsyncOpenAI(base_url=f"{wire.url}/v1", api_key="sk-test", max_retries=0, timeout=timeout)


async def tokens(client: Any) -> AsyncIterator[str]:
    """What a streamed answer says, piece by piece."""
    async for chunk in await client.chat.completions.create(**QUESTION, stream=True):
        for choice in chunk.choices:
            if choice.delta.content:
                yield choice.delta.content


@pytest.mark.parametrize(
    ("failure", "raised", "status"),
    [
        ("rate_limited_requests", "RateLimitError", 429),
        ("quota_exhausted", "RateLimitError", 429),
        ("overloaded", "InternalServerError", 503),
        ("bad_gateway", "InternalServerError", 502),
        ("expired_key", "AuthenticationError", 401),
        ("model_retired", "NotFoundError", 404),
        ("context_length_exceeded", "BadRequestError", 400),
        ("truncated_body", "APIConnectionError", None),
        ("silent", "APITimeoutError", None),
    ],
)
def test_the_providers_own_client_raises_what_it_raises_for_the_real_thing(
    wire: Wire, failure: str, raised: str, status: int | None
) -> None:
    openai = pytest.importorskip("openai")

    async def play() -> None:
        async with client_of(wire) as client:
            before = await client.chat.completions.create(**QUESTION)
            async with failing(wire, failure) as breakage:
                assert not (await wire.links.prove(PLACE, breakage, lease="lease")).works
                with pytest.raises(getattr(openai, raised)) as caught:
                    await client.with_options(
                        timeout=1.5 if failure == "silent" else PATIENCE_S
                    ).chat.completions.create(**QUESTION)
                assert getattr(caught.value, "status_code", None) == status
                proof = await wire.links.prove(PLACE, breakage, lease="lease")
                assert proof.works
                assert proof.summary.endswith("1 of 1 requests that were meant failed, of 1 in all.")
            after = await client.chat.completions.create(**QUESTION)
            assert after.choices[0].message.content == before.choices[0].message.content

    wire.runner.run(play())


def test_a_connection_that_is_kept_meets_the_fault_at_its_next_request_and_is_kept_on(wire: Wire) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"model": "atlas-large", '
        yield b'"messages": [{"role": "user", "content": "In pieces?"}]}'

    async def play() -> None:
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(base_url=wire.url, trust_env=False, limits=limits) as client:

            async def status(**content: Any) -> int:
                return (await client.post("/v1/chat/completions", **content)).status_code

            assert await status(json=QUESTION) == 200
            async with failing(wire, "server_error", every=2) as breakage:
                assert [await status(json=QUESTION) for _ in range(3)] == [200, 500, 200]
                assert await status(content=chunks()) == 500
                assert await status(content=chunks()) == 200
                assert (await client.get("/v1/models")).status_code == 200
                figures = (await wire.links.prove(PLACE, breakage, lease="lease")).figures
            assert await status(json=QUESTION) == 200
            assert figures["connections_opened"] == 0
            assert (figures["requests"], figures["matched_requests"], figures["failed_requests"]) == (6, 5, 2)

    wire.runner.run(play())


def test_only_requests_for_that_model_of_that_tenant_fail(wire: Wire) -> None:
    async def play() -> None:
        openai = pytest.importorskip("openai")
        async with client_of(wire) as client, failing(wire, "overloaded", model="atlas-l*", tenant="northwind-*"):
            for model, tenant, fails in (
                ("atlas-large", "northwind-clinic", True),
                ("atlas-mini", "northwind-clinic", False),
                ("atlas-large", "harbor-logistics", False),
            ):
                asked = client.chat.completions.create(
                    **QUESTION | {"model": model}, extra_headers={"X-Tenant-Id": tenant}
                )
                with pytest.raises(openai.InternalServerError) if fails else contextlib.nullcontext():
                    await asked

    wire.runner.run(play())


def test_a_stream_stalls_in_the_providers_own_words_and_flows_on_when_healed(wire: Wire) -> None:
    async def play() -> None:
        async with client_of(wire) as client:
            whole = [token async for token in tokens(client)]
            assert len(whole) > 3
            async with contextlib.aclosing(tokens(client)) as stream:
                async with failing(wire, "stall", after=3) as breakage:
                    assert [await anext(stream) for _ in range(3)] == whole[:3]
                    fourth = asyncio.ensure_future(anext(stream))
                    assert not (await asyncio.wait([fourth], timeout=0.3))[0]
                    assert (await wire.links.prove(PLACE, breakage, lease="lease")).works
                assert [await fourth, *[token async for token in stream]] == whole[3:]

    wire.runner.run(play())


def test_a_stream_that_is_cut_is_an_error_and_the_next_one_is_whole(wire: Wire) -> None:
    async def play() -> None:
        openai = pytest.importorskip("openai")
        async with client_of(wire) as client, failing(wire, "disconnect", after=2, first=1):
            stream = tokens(client)
            got = [await anext(stream) for _ in range(2)]
            with pytest.raises((openai.APIError, httpx.RemoteProtocolError)):
                await anext(stream)
            assert [token async for token in tokens(client)][:2] == got

    wire.runner.run(play())


def test_it_heals_by_itself_when_nobody_renews_its_lease_and_frees_who_waits(wire: Wire) -> None:
    async def play() -> None:
        async with (
            httpx.AsyncClient(base_url=wire.url, trust_env=False, timeout=PATIENCE_S) as client,
            failing(wire, "silent", delay=3600.0) as breakage,
        ):

            async def waits() -> bool:
                figures = (await wire.links.prove(PLACE, breakage, lease="lease")).figures
                return figures.get("matched_requests") == 1

            asked = asyncio.create_task(client.post("/v1/chat/completions", json=QUESTION))
            async with asyncio.timeout(PATIENCE_S):
                await until(waits, every=0.01)
            await wire.links.renew("lease", ttl=0.3)
            with pytest.raises(httpx.RemoteProtocolError):
                await asked
            assert (await client.post("/v1/chat/completions", json=QUESTION)).status_code == 200

    wire.runner.run(play())


def test_a_link_that_carries_no_http_refuses_it_and_nothing_of_it_is_left(wire: Wire) -> None:
    async def play() -> None:
        breakage = ProviderFailure(provider="openai", failure="overloaded")
        with pytest.raises(FaultError, match='"http": true') as refused:
            await wire.links.inject(LinkPlace("gateway", "cache"), breakage, lease="other", ttl=30.0)
        assert isinstance(refused.value, ControlError)
        with pytest.raises(FaultError, match="lapsed"):
            await wire.links.renew("other", ttl=1.0)

    wire.runner.run(play())
