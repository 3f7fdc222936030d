"""A provider that asks for patience is left alone for as long as it asks."""

import asyncio
import re
from contextlib import aclosing

import pytest
from fakes import FakeClock

from target_stack.breaker import BreakerConfig, CircuitBreaker, State
from target_stack.dependency import Attempts, Dependency
from target_stack.failures import DependencyError, ErrorSource, FailureKind
from target_stack.http_peer import HttpPeer
from target_stack.metrics import GatewayMetrics
from target_stack.providers import Provider, StreamTimeouts
from target_stack.retry_after import RetryAfter, wait_of


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("20", 20.0),
        (" 0 ", 0.0),
        ("Sun, 06 Nov 1994 08:50:07 GMT", 30.0),
        ("Sun, 06 Nov 1994 08:49:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, wait: float | None) -> None:
    assert wait_of(header, now=784111777.0) == wait


def test_the_longest_wait_that_was_asked_for_stands() -> None:
    clock = FakeClock()
    retry_after = RetryAfter(clock, honoured=True)
    retry_after.note("20")
    retry_after.note("5")
    retry_after.note(None)
    assert retry_after.left() == 20.0
    clock.advance(19.5)
    assert retry_after.left() == 0.5
    clock.advance(1)
    assert retry_after.left() == 0.0


def test_without_the_defence_nothing_is_waited_for() -> None:
    retry_after = RetryAfter(FakeClock(), honoured=False)
    retry_after.note("20")
    assert retry_after.left() == 0.0


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # To its end: what is closed with something unread is reset, and takes the answer with it.
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head.lower())[0]))
    writer.write(
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 20\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
    )
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("honoured", [True, False])
def test_a_429_keeps_every_request_away_until_its_time_is_over_and_no_breaker_opens(honoured: bool) -> None:
    clock = FakeClock()

    async def play() -> list[DependencyError]:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        peer = HttpPeer(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        breaker = CircuitBreaker(BreakerConfig(failures=1), clock)
        provider = Provider(
            Dependency("llm-primary", breaker, GatewayMetrics(), timeout=5.0),
            peer,
            clock,
            models=["m"],
            timeouts=StreamTimeouts(first_token=5.0, inter_token=5.0, total=5.0),
            honour_retry_after=honoured,
        )
        errors = []
        for wait in (0.0, 18.5, 2.0):
            clock.advance(wait)
            async with aclosing(
                provider.stream("m", [], tenant="acme", max_tokens=None, attempts=Attempts())
            ) as pieces:
                with pytest.raises(DependencyError) as caught:
                    await anext(pieces)
            errors.append(caught.value)
        assert breaker.state is State.CLOSED
        await peer.aclose()
        server.close()
        await server.wait_closed()
        return errors

    errors = asyncio.run(play())
    assert {error.source for error in errors} == {ErrorSource.RATE_LIMIT}
    called = [error.kind is FailureKind.STATUS for error in errors]
    assert called == [True, not honoured, True]
    assert errors[1].retry_after == ("2" if honoured else "20")
