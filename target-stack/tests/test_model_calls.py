"""Retries and deadlines between real processes, against a provider that does as it is told."""

import time
from collections import Counter

import pytest
from harness import ACME, GLOBEX, Gateway, Stack, wait_until
from scripted import Scripted, scripted

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("healthy")]

REFUNDS = "When are refunds paid?"
PLAIN = {"exact-cache": False, "breaker": False, "failover": False}


def chain(script: Scripted, stack: Stack) -> dict[str, str]:
    return {"STACK_PROVIDERS": f"llm-primary={script.url},llm-secondary=http://127.0.0.1:{stack.secondary_port}"}


def retries(gateway: Gateway, outcome: str) -> float:
    return gateway.metric(f'retries_total{{dependency="llm-primary",outcome="{outcome}"}}')


def test_a_failing_provider_is_asked_three_times_with_waits_that_the_backoff_allows(stack: Stack) -> None:
    with (
        scripted(Scripted()) as script,
        stack.gateway(PLAIN | {"retry.backoff": 0.2}, **chain(script, stack)) as gateway,
    ):
        answer = gateway.ask(REFUNDS, policy="strict")
        assert (answer.status, answer.error["error_source"]) == (503, "provider")
        first, second = script.gaps
        # From 50 % of 0.2 s, then from 50 % of 0.4 s: with jitter, and on a busy machine, the first may be the longer.
        assert first >= 0.1
        assert second >= 0.2
        assert retries(gateway, "made") == 2
        assert gateway.metric('calls_per_request_sum{dependency="llm-primary"}') == 3
        assert gateway.metric('calls_per_request_count{dependency="llm-primary"}') == 1


def test_retry_after_is_waited_for_where_the_deadline_allows(stack: Stack) -> None:
    limited = Scripted(status=429, headers={"retry-after": "2"})
    with (
        scripted(limited) as script,
        stack.gateway(PLAIN | {"retry.backoff": 0.01}, **chain(script, stack)) as gateway,
    ):
        answer = gateway.ask(REFUNDS, policy="strict", timeout_ms=4500)
        assert (answer.status, answer.error["error_source"]) == (429, "rate_limit")
        assert answer.headers["retry-after"] == "2"
        assert len(script.gaps) == 1
        assert script.gaps[0] >= 2
        assert retries(gateway, "no_time") == 1


def test_a_spend_limit_is_not_asked_again_and_the_next_provider_is(stack: Stack) -> None:
    with (
        scripted(Scripted(status=429)) as script,
        stack.gateway(PLAIN | {"failover": True}, **chain(script, stack)) as gateway,
    ):
        answer = gateway.ask(REFUNDS)
        assert answer.serving["provider"] == "llm-secondary"
        assert answer.serving["attempts"]["llm-primary"] == len(script.asked) == 1
        assert retries(gateway, "made") == 0


@pytest.mark.parametrize(("mode", "least", "most"), [("on", 1.0, 1.25), ("naive", 3.0, 3.0), ("off", 1.0, 1.0)])
def test_a_storm_of_retries_is_kept_to_the_budget(stack: Stack, mode: str, least: float, most: float) -> None:
    requests = 40
    settings = PLAIN | {"retry": mode, "retry.backoff": 0.001, "retry.reserve": 4}
    with scripted(Scripted()) as script, stack.gateway(settings, **chain(script, stack)) as gateway:
        for _ in range(requests):
            assert gateway.ask(REFUNDS, policy="strict").status == 503
        assert least <= len(script.asked) / requests <= most
        made = gateway.metric('dependency_calls_total{dependency="llm-primary",outcome="provider"}')
        assert made == len(script.asked)
        assert gateway.metric('requests_total{tier="pro"}') == requests


def test_the_deadline_travels_and_ends_the_work_without_blaming_the_provider(stack: Stack) -> None:
    with (
        scripted(Scripted(hang=30)) as script,
        stack.gateway({"exact-cache": False}, **chain(script, stack)) as gateway,
    ):
        took = []
        for _ in range(3):
            since = time.monotonic()
            answer = gateway.stream(REFUNDS, timeout_ms=900)
            took.append(time.monotonic() - since)
            assert (answer.status, answer.error["code"], answer.error["error_source"]) == (
                504,
                "deadline_exceeded",
                "own_system",
            )
        assert min(took) > 0.3
        assert min(took) < 0.9, "told while the caller still waits"
        assert all(0 < int(headers["x-request-timeout-ms"]) <= 400 for _, headers in script.asked)
        assert gateway.breaker("llm-primary") == "closed"
        calls = len(script.asked)
        too_short = gateway.ask(REFUNDS, timeout_ms=400)
        assert too_short.error["code"] == "deadline_exceeded"
        assert len(script.asked) == calls
        assert gateway.ask(REFUNDS, timeout_ms="soon").status == 400


def test_a_provider_is_told_the_tenant_and_nothing_else_of_the_caller(stack: Stack) -> None:
    with scripted(Scripted()) as script, stack.gateway(PLAIN | {"retry": "off"}, **chain(script, stack)) as gateway:
        for token in (ACME, GLOBEX):
            gateway.ask(REFUNDS, policy="strict", token=token)
        headers = [asked for _, asked in script.asked]
        assert [one.pop("x-tenant-id") for one in headers] == ["acme", "globex"]
        # Connection, content and deadline; neither who asks nor what is asked.
        assert {name for one in headers for name in one} == {
            "accept",
            "accept-encoding",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-request-timeout-ms",
        }
        said = " ".join(value for one in headers for value in one.values())
        assert not any(secret in said for secret in (ACME, GLOBEX, REFUNDS))


def test_without_deadlines_the_work_goes_on_when_the_caller_has_left(stack: Stack) -> None:
    ok = 'dependency_calls_total{dependency="llm-primary",outcome="ok"}'
    _, port = stack.provider("llm-primary", {"llm-primary.ttft": 2.0, "llm-primary.tpot": 0.001})
    settings = {"exact-cache": False, "deadline": False}
    slow = f"llm-primary=http://127.0.0.1:{port}"
    with stack.gateway(settings, STACK_PROVIDERS=slow) as gateway:
        gateway.abandon(REFUNDS, stream=False)
        wait_until(lambda: gateway.metric(ok) == 1, "the call nobody waits for is made to its end")


def test_a_second_provider_has_its_share_on_any_day_and_all_of_it_when_the_first_fails(stack: Stack) -> None:
    settings = {"exact-cache": False, "providers.shares": "80/15/5", "llm-primary.breaker.failures": 1}
    with scripted(Scripted()) as script:
        with stack.gateway(settings) as gateway:
            answers = [gateway.ask(f"{REFUNDS} {n}").serving for n in range(19)]
            assert Counter(one["provider"] for one in answers) == {"llm-primary": 16, "llm-secondary": 3}
            assert {(one["degradation_level"], one["failover"], *one["warnings"]) for one in answers} == {(0, False)}
            assert gateway.metric('fallback_total{kind="provider"}') == 0
        with stack.gateway(settings, **chain(script, stack)) as gateway:
            answers = [gateway.ask(f"{REFUNDS} {n}").serving for n in range(19)]
            assert {(one["provider"], one["degradation_level"]) for one in answers} == {("llm-secondary", 0)}
            assert Counter(one["failover"] for one in answers) == {True: 16, False: 3}
            assert gateway.metric('fallback_total{kind="provider"}') == 16
            assert (len(script.asked), gateway.breaker("llm-primary")) == (1, "open")
