"""A provider's failure for one client alone: as a transport, or as a side effect of respx."""

import asyncio

import httpx
import pytest
import respx

from brownout.dialect import Options
from brownout.errors import InvalidInput
from brownout.inprocess import ChaosTransport, provider_fault, provider_outage
from tests.inprocess.conftest import ANTHROPIC, OPENAI, Ask

pytestmark = pytest.mark.usefixtures("no_network")


def behind(request: httpx.Request) -> httpx.Response:
    return httpx.Response(202, text=f"{request.url.host} answered itself")


def test_a_transport_breaks_what_its_fault_is_meant_for_and_passes_on_the_rest() -> None:
    transport = ChaosTransport(httpx.MockTransport(behind), provider_fault("openai", "forbidden"))
    with httpx.Client(transport=transport) as client:
        assert client.post(**Ask(OPENAI).post).status_code == 403
        assert client.post(**Ask(ANTHROPIC).post).text == "api.anthropic.com answered itself"


def test_a_transport_serves_an_async_client() -> None:
    async def ask() -> list[int]:
        transport = ChaosTransport(httpx.MockTransport(behind), provider_fault("openai", "forbidden"))
        async with httpx.AsyncClient(transport=transport) as client:
            return [(await client.post(**Ask(url).post)).status_code for url in (OPENAI, ANTHROPIC)]

    assert asyncio.run(ask()) == [403, 202]


def test_requests_that_pass_reach_the_transport_behind() -> None:
    fault = provider_fault("openai", "overloaded", first=1, otherwise="pass")
    with httpx.Client(transport=ChaosTransport(httpx.MockTransport(behind), fault)) as client:
        assert [client.post(**Ask().post).status_code for _ in range(2)] == [503, 202]


def test_several_faults_are_asked_in_their_order() -> None:
    faults = (provider_fault("openai", "overloaded", first=1, otherwise="pass"), provider_outage("openai", "refused"))
    with httpx.Client(transport=ChaosTransport(None, *faults)) as client:
        assert client.post(**Ask().post).status_code == 503
        with pytest.raises(httpx.ConnectError):
            client.post(**Ask().post)


def test_without_a_transport_behind_a_stray_request_is_named() -> None:
    with (
        httpx.Client(transport=ChaosTransport(None, provider_fault("openai", "overloaded"))) as client,
        pytest.raises(InvalidInput, match=r"POST api\.anthropic\.com/v1/messages"),
    ):
        client.post(**Ask(ANTHROPIC).post)


def test_a_transport_without_a_fault_is_refused() -> None:
    with pytest.raises(InvalidInput, match="needs a fault"):
        ChaosTransport(None)


def test_a_client_of_httpx2_can_have_the_transport_too() -> None:
    httpx2 = pytest.importorskip("httpx2")
    transport = ChaosTransport(None, provider_fault("openai", "disconnect", options=Options(after=1)))
    with httpx2.Client(transport=transport) as client, pytest.raises(httpx2.RemoteProtocolError):
        client.post(**Ask(stream=True).post)


@respx.mock
def test_respx_takes_a_fault_for_a_side_effect() -> None:
    respx.post(OPENAI).mock(side_effect=provider_fault("openai", "overloaded", first=1))
    with httpx.Client() as client:
        assert [client.post(**Ask().post).status_code for _ in range(2)] == [503, 200]


@respx.mock
def test_what_a_fault_lets_pass_meets_the_next_route_of_respx() -> None:
    respx.post(OPENAI).mock(side_effect=provider_fault("openai", "overloaded", first=1, otherwise="pass"))
    respx.route().respond(202)
    with httpx.Client() as client:
        assert [client.post(**Ask().post).status_code for _ in range(2)] == [503, 202]


@respx.mock
def test_respx_plays_a_broken_stream_to_an_async_client() -> None:
    respx.post(OPENAI).mock(side_effect=provider_fault("openai", "disconnect"))

    got: list[bytes] = []

    async def ask() -> None:
        async with httpx.AsyncClient() as client, client.stream("POST", **Ask(stream=True).post) as response:
            async for chunk in response.aiter_raw():
                got.append(chunk)

    with pytest.raises(httpx.RemoteProtocolError):
        asyncio.run(ask())
    assert len(got) == 4


@respx.mock
def test_respx_plays_an_outage() -> None:
    respx.post(OPENAI).mock(side_effect=provider_outage("openai", "silent"))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(**Ask().post)
