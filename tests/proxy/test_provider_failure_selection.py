"""A provider that fails on some requests: which ones, and what cannot be said of them."""

import pytest

from brownout.proxy.errors import ApiError
from brownout.proxy.toxic import toxic_type, with_attributes
from tests.proxy.chats import Answers, broken, chat, failing, said
from tests.proxy.virtual import connected


@pytest.mark.parametrize(
    ("conditions", "meant", "others"),
    [
        ({"path": "/v1/chat/*"}, [chat()], []),
        ({"path": "/openai/*"}, [], [chat()]),
        ({"model": "gpt-*"}, [chat(model="gpt-5")], [chat(model="o3")]),
        ({"header": "x-team"}, [chat(x_team="a"), chat(X_Team="b")], [chat()]),
        ({"header": "X-Team: a*"}, [chat(x_team="abc")], [chat(x_team="b"), chat()]),
        ({"tenant": "clinic"}, [chat(x_tenant_id="clinic")], [chat(x_tenant_id="bank"), chat()]),
        ({"tenant": "clinic", "model": "big"}, [chat(x_tenant_id="clinic", model="big")], [chat(x_tenant_id="clinic")]),
    ],
)
def test_only_the_requests_that_are_meant_fail(
    conditions: dict[str, str], meant: list[bytes], others: list[bytes]
) -> None:
    for request in meant:
        wire = broken(failing(**conditions))
        wire.send(request)
        assert Answers(wire.client.received).statuses == [500]
    for request in others:
        wire = broken(failing(**conditions))
        wire.send(request)
        assert wire.server.received == request
        assert wire.counters.matched_requests == 0


def outcomes(requests: int, *, seed: int = 0, **conditions: float) -> list[bool]:
    """Which of so many requests on one connection fail."""
    wire = broken(failing(**conditions), connected(http=True, seed=seed))
    failed = []
    for _ in range(requests):
        before = wire.counters.failed_requests
        wire.send(chat())
        failed.append(wire.counters.failed_requests > before)
        if not failed[-1]:
            wire.answer(said(b"well"))
    return failed


def test_first_and_every_count_the_requests_that_are_meant_over_all_connections() -> None:
    assert outcomes(5, first=2) == [True, True, False, False, False]
    assert outcomes(6, every=3) == [False, False, True, False, False, True]
    fault = failing(first=1)
    first, second = broken(fault), broken(fault)
    first.send(chat(path="/v1/models"))
    second.send(chat())
    first.answer(said(b"models"))
    first.send(chat())
    assert (second.counters.failed_requests, first.counters.failed_requests) == (1, 0)


def test_a_share_of_requests_is_about_that_share_and_the_same_for_the_same_seed() -> None:
    once, again, other = (outcomes(400, share=0.3, seed=seed) for seed in (1, 1, 2))
    assert once == again != other
    assert 80 <= sum(once) <= 160
    # The toxic's own seed, whatever the proxy's.
    wire = [broken(failing(share=0.3, seed=9), connected(http=True, seed=proxy)) for proxy in (1, 2)]
    for one in wire:
        one.send(chat() * 20)
    assert wire[0].counters.failed_requests == wire[1].counters.failed_requests


@pytest.mark.parametrize(
    ("attributes", "said_"),
    [
        ({"provider": "opanai"}, "did you mean 'openai'"),
        ({"failure": "server_eror"}, "did you mean 'server_error'"),
        ({"provider": "vllm", "failure": "quota_exhausted"}, "vllm has no quota_exhausted"),
        ({"share": 1.5}, "share must be above 0 and at most 1"),
        ({"factor": 1}, "factor must be between"),
        ({"delay": 10**9}, "delay must be between"),
        ({"pth": "/"}, "did you mean 'path'"),
    ],
)
def test_attributes_that_make_no_sense_are_refused(attributes: dict[str, object], said_: str) -> None:
    with pytest.raises(ApiError, match=said_):
        with_attributes(toxic_type("provider_failure").attributes(), attributes)
