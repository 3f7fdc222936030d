"""A provider that fails inside a unit test: which requests it breaks, and for whom."""

import asyncio
import sys
import threading
from pathlib import Path

import httpx
import pytest

from brownout.dialect import NotOffered, Options
from brownout.errors import InvalidInput
from brownout.inprocess import REAL_TIME, NothingMet, WaitsForever, healthy_provider, provider_fault, provider_outage
from tests.inprocess.conftest import ANTHROPIC, OPENAI, Ask

pytestmark = pytest.mark.usefixtures("no_network")


def statuses(client: httpx.Client, count: int) -> list[int]:
    return [client.post(**Ask().post).status_code for _ in range(count)]


def test_a_provider_fails_while_the_fault_is_entered_and_not_after() -> None:
    sent = httpx.HTTPTransport.handle_request
    with provider_fault("openai", "overloaded") as fault:
        response = httpx.post(**Ask().post)
    assert response.status_code == 503
    assert response.json()["error"]["type"] == "server_error"
    assert (fault.met, fault.broken) == (1, 1)
    assert httpx.HTTPTransport.handle_request is sent


def test_a_fault_whose_entering_fails_is_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "httpx2.py").write_text("raise ImportError('a broken installation')")
    sent = httpx.HTTPTransport.handle_request
    fault = provider_fault("openai", "overloaded")
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "httpx2", raising=False)
        patch.syspath_prepend(tmp_path)
        with pytest.raises(ImportError, match="a broken installation"), fault:
            pytest.fail("entered")
    assert httpx.HTTPTransport.handle_request is sent
    with fault:
        assert httpx.post(**Ask().post).status_code == 503
    assert httpx.HTTPTransport.handle_request is sent


def test_a_client_that_was_made_before_is_met_too() -> None:
    with httpx.Client() as client, provider_fault("openai", "server_error"):
        assert statuses(client, 1) == [500]


def test_an_async_client_gets_the_same_bytes() -> None:
    async def ask() -> bytes:
        async with httpx.AsyncClient() as client:
            return (await client.post(**Ask().post)).content

    with provider_fault("openai", "rate_limited_tokens", now=lambda: 0.0):
        found = asyncio.run(ask())
    with provider_fault("openai", "rate_limited_tokens", now=lambda: 0.0):
        assert httpx.post(**Ask().post).content == found


def test_only_the_first_requests_fail() -> None:
    with provider_fault("openai", "overloaded", first=2) as fault, httpx.Client() as client:
        assert statuses(client, 4) == [503, 503, 200, 200]
    assert (fault.met, fault.broken) == (4, 2)


def test_only_every_third_request_fails() -> None:
    with provider_fault("openai", "overloaded", every=3), httpx.Client() as client:
        assert statuses(client, 7) == [200, 200, 503, 200, 200, 503, 200]


def test_a_share_of_the_requests_fails_and_the_same_seed_fails_the_same_ones() -> None:
    def run(seed: int) -> list[int]:
        with provider_fault("openai", "overloaded", share=0.3, seed=seed), httpx.Client() as client:
            return statuses(client, 200)

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 40 <= run(1).count(503) <= 80


def test_a_fault_of_streams_leaves_whole_answers_alone_and_does_not_count_them() -> None:
    with provider_fault("openai", "disconnect", first=1) as fault, httpx.Client() as client:
        assert statuses(client, 2) == [200, 200]
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            client.post(**Ask(stream=True).post)
        assert b"[DONE]" in client.post(**Ask(stream=True).post).content
    assert (fault.met, fault.broken) == (4, 1)


def test_other_hosts_and_other_paths_go_where_they_were_going() -> None:
    with provider_fault("openai", "overloaded", must_meet=False) as fault, httpx.Client() as client:
        for url in (ANTHROPIC, "https://api.openai.com/v1/models"):
            with pytest.raises(AssertionError, match="went to the network"):
                client.post(**Ask(url).post)
    assert fault.met == 0


def test_two_providers_fail_each_in_its_own_way() -> None:
    with provider_outage("openai", "refused"), provider_fault("anthropic", "overloaded"), httpx.Client() as client:
        with pytest.raises(httpx.ConnectError, match="refused"):
            client.post(**Ask().post)
        assert client.post(**Ask(ANTHROPIC).post).status_code == 529


def test_the_fault_entered_last_answers_first_and_what_it_lets_pass_meets_the_one_before() -> None:
    outer = provider_fault("openai", "overloaded")
    inner = provider_fault("openai", "server_error", first=1, otherwise="pass")
    with outer, inner, httpx.Client() as client:
        assert statuses(client, 2) == [500, 503]


def test_a_fault_that_met_nothing_fails_the_test_and_says_where_it_looked() -> None:
    with pytest.raises(NothingMet, match=r"api\.openai\.com.*host="), provider_fault("openai", "overloaded"):
        pass
    with (
        pytest.raises(NothingMet, match="none that stall applies to"),
        provider_fault("openai", "stall"),
        httpx.Client() as client,
    ):
        statuses(client, 1)


def test_an_error_of_the_test_is_not_hidden_by_a_fault_that_met_nothing() -> None:
    with pytest.raises(ZeroDivisionError), provider_fault("openai", "overloaded"):
        raise ZeroDivisionError


def test_a_gateway_of_ones_own_is_met_where_it_is_said_to_be() -> None:
    with provider_fault("openai", "overloaded", host="llm.example.*"):
        assert httpx.post(**Ask("http://llm.example.test/v1/chat/completions").post).status_code == 503


def test_a_server_of_ones_own_is_met_anywhere_but_at_a_known_provider() -> None:
    with provider_fault("vllm", "server_error") as fault, provider_fault("openai", "overloaded"):
        assert httpx.post(**Ask("http://gpu-3:8000/v1/chat/completions").post).status_code == 500
        assert httpx.post(**Ask(OPENAI).post).status_code == 503
    assert fault.met == 1


def test_pauses_take_no_time_and_a_longer_one_than_the_clients_timeout_raises_it() -> None:
    with provider_fault("openai", "slow_tokens", options=Options(gap=4)), httpx.Client(timeout=5) as client:
        assert b"[DONE]" in client.post(**Ask(stream=True).post).content
    with (
        provider_fault("openai", "slow_tokens", options=Options(gap=6)),
        httpx.Client(timeout=5) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.post(**Ask(stream=True).post)


def test_in_real_time_a_callers_own_deadline_ends_a_stall() -> None:
    got: list[bytes] = []

    async def ask() -> None:
        async with (
            httpx.AsyncClient(timeout=None) as client,  # noqa: S113 - the deadline is the caller's
            asyncio.timeout(1.0),
            client.stream("POST", **Ask(stream=True).post) as response,
        ):
            async for chunk in response.aiter_raw():
                got.append(chunk)

    with provider_fault("openai", "stall", options=Options(after=2), pace=REAL_TIME), pytest.raises(TimeoutError):
        asyncio.run(ask())
    assert len(got) == 3


def test_a_client_without_a_timeout_is_found_out_instead_of_hanging_the_test() -> None:
    with (
        pytest.raises(WaitsForever, match="no read timeout"),
        provider_outage("openai", "silent"),
        httpx.Client(timeout=None) as client,  # noqa: S113 - the mistake that is to be found out
    ):
        client.post(**Ask().post)


@pytest.mark.parametrize(
    ("manner", "raised"),
    [("silent", httpx.ReadTimeout), ("refused", httpx.ConnectError), ("unreachable", httpx.ConnectTimeout)],
)
def test_an_outage_is_what_its_manner_says_for_sync_and_async_clients(
    manner: str, raised: type[httpx.TransportError]
) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient() as client:
            await client.post(**Ask().post)

    with provider_outage("openai", manner) as outage:
        with pytest.raises(raised):
            httpx.post(**Ask().post)
        with pytest.raises(raised):
            asyncio.run(ask())
    assert outage.broken == 2


def test_a_healthy_provider_stands_beside_one_that_fails() -> None:
    with provider_fault("openai", "overloaded"), healthy_provider("anthropic") as well, httpx.Client() as client:
        assert client.post(**Ask(OPENAI).post).status_code == 503
        assert client.post(**Ask(ANTHROPIC).post).json()["stop_reason"] == "end_turn"
    assert (well.met, well.broken) == (1, 0)


def test_threads_share_one_count() -> None:
    with provider_fault("openai", "overloaded", first=10) as fault, httpx.Client() as client:
        seen: list[int] = []
        threads = [threading.Thread(target=lambda: seen.extend(statuses(client, 10))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen.count(503) == 10
    assert (fault.met, fault.broken) == (40, 10)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: provider_fault("opneai", "overloaded"), "did you mean 'openai'"),
        (lambda: provider_fault("openai", "overload"), "did you mean 'overloaded'"),
        (lambda: provider_outage("openai", "refuse"), "did you mean 'refused'"),
        (lambda: provider_fault("openai", "overloaded", first=0), "first must be at least 1"),
        (lambda: provider_fault("openai", "overloaded", every=0), "every must be at least 1"),
        (lambda: provider_fault("openai", "overloaded", share=1.5), "share must be above 0"),
    ],
)
def test_a_mistake_gets_one_clear_message(make: object, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        make()  # type: ignore[operator]


def test_a_failure_that_the_provider_does_not_have_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(NotOffered, match="it queues without bound"):
        provider_fault("vllm", "overloaded")


def test_a_fault_cannot_be_entered_twice_at_once() -> None:
    with (
        provider_fault("openai", "overloaded", must_meet=False) as fault,
        pytest.raises(InvalidInput, match="entered already"),
        fault,
    ):
        pass
