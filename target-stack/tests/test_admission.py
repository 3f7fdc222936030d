"""The front door between real processes: limits, queues and what a full worker says."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness import ACME, GLOBEX, INITECH, Gateway, Stack, wait_until
from scripted import Scripted, scripted

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("healthy")]

REFUNDS = "When are refunds paid?"
PLAIN = {"exact-cache": False, "cache": False}


def test_a_user_over_its_limit_gets_429_with_retry_after_and_others_do_not(stack: Stack) -> None:
    settings = PLAIN | {"rate-limit.free.per-minute": 1}
    with stack.gateway(settings) as gateway:
        assert [gateway.ask(REFUNDS, token=GLOBEX).status for _ in range(2)] == [200, 200]
        for answer in (gateway.ask(REFUNDS, token=GLOBEX), gateway.stream(REFUNDS, token=GLOBEX)):
            assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
            assert answer.error["error_source"] == "rate_limit"
            assert 50 <= int(answer.headers["retry-after"]) <= 60
        assert gateway.ask(REFUNDS).status == 200
        assert gateway.metric('rate_limited_total{tier="free"}') == 2
    with stack.gateway(settings | {"rate-limit": False}) as gateway:
        assert {gateway.ask(REFUNDS, token=GLOBEX).status for _ in range(5)} == {200}


def test_users_behind_one_address_share_its_limit(stack: Stack) -> None:
    with stack.gateway(PLAIN | {"rate-limit.enterprise.per-minute": 1}) as gateway:
        gateway.http.headers["x-forwarded-for"] = "198.51.100.7"
        assert [gateway.ask(REFUNDS, token=INITECH[n]).status for n in (0, 1, 0)] == [200, 200, 429]
        gateway.http.headers["x-forwarded-for"] = "198.51.100.8"
        assert gateway.ask(REFUNDS, token=INITECH[1]).status == 200


class Crowd:
    """Requests that are held at a provider which does not answer before it is told to."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.pool = ThreadPoolExecutor(16)
        self.answers: list[Any] = []

    def send(self, token: str, count: int) -> None:
        self.answers += [self.pool.submit(self.gateway.ask, REFUNDS, token=token) for _ in range(count)]

    def statuses(self) -> list[int]:
        return sorted(future.result().status for future in self.answers)


# Two places, one of which the free tier may have, and one seat in its queue.
TIGHT = {"bulkhead.concurrency": 2, "bulkhead.free.share": 0.5, "bulkhead.free.queue": 1, "singleflight": False}


def test_a_flood_of_the_free_tier_is_shed_and_enterprise_is_served(stack: Stack) -> None:
    slow = Scripted(status=400, hang=30)
    with (
        scripted(slow) as script,
        stack.gateway(PLAIN | TIGHT, STACK_PROVIDERS=f"llm-primary={script.url}") as gateway,
    ):
        crowd = Crowd(gateway)
        crowd.send(GLOBEX, 2)
        wait_until(lambda: gateway.metric('queue_depth{tier="free"}') == 1, "one waits")
        shed = gateway.ask(REFUNDS, token=GLOBEX)
        assert (shed.status, shed.error["code"], shed.headers["retry-after"]) == (429, "shed", "30")
        assert shed.headers["x-request-id"]
        crowd.send(INITECH[0], 1)
        wait_until(lambda: len(script.asked) == 2, "enterprise is worked on")
        assert gateway.metric('requests_in_progress{tier="enterprise"}') == 1
        assert gateway.metric('shed_total{reason="queue_full",tier="free"}') == 1
        late = gateway.ask(REFUNDS, token=INITECH[0], timeout_ms=800)
        assert (late.status, late.error["code"]) == (504, "deadline_exceeded")
        script.over.set()
        assert crowd.statuses() == [503] * 3
        wait_until(lambda: gateway.metric('requests_in_progress{tier="free"}') == 0, "all places are free again")


def test_without_bulkheads_the_flood_is_let_through(stack: Stack) -> None:
    slow = Scripted(status=400, hang=30)
    settings = PLAIN | TIGHT | {"bulkhead": False}
    with scripted(slow) as script, stack.gateway(settings, STACK_PROVIDERS=f"llm-primary={script.url}") as gateway:
        crowd = Crowd(gateway)
        crowd.send(GLOBEX, 5)
        wait_until(lambda: len(script.asked) == 5, "all are worked on at once")
        script.over.set()
        assert crowd.statuses() == [503] * 5


def test_who_leaves_while_waiting_leaves_the_queue(stack: Stack) -> None:
    slow = Scripted(status=400, hang=30)
    with (
        scripted(slow) as script,
        stack.gateway(PLAIN | TIGHT, STACK_PROVIDERS=f"llm-primary={script.url}") as gateway,
    ):
        crowd = Crowd(gateway)
        crowd.send(GLOBEX, 1)
        wait_until(lambda: len(script.asked) == 1, "one is worked on")
        thread = threading.Thread(target=gateway.abandon, args=(REFUNDS,), kwargs={"stream": False, "token": GLOBEX})
        thread.start()
        wait_until(lambda: gateway.metric('queue_depth{tier="free"}') == 1, "one waits")
        thread.join()
        wait_until(lambda: gateway.metric('queue_depth{tier="free"}') == 0, "it has left")
        script.over.set()
        assert crowd.statuses() == [503]
        assert len(script.asked) == 1


FULL = {"status": 503, "headers": {"x-backpressure-level": "HIGH", "retry-after": "1"}}
SELF_HOSTED = {"main-model.served-by": "self-hosted", "inference.health-interval": 0.1}


@pytest.mark.parametrize("heeded", [True, False])
def test_full_workers_keep_free_out_then_pro_and_never_enterprise(stack: Stack, heeded: bool) -> None:
    busy = Scripted(body=b'{"error": {"error_source": "own_system"}}', **FULL)  # type: ignore[arg-type]
    settings = PLAIN | SELF_HOSTED | {"backpressure": heeded, "backpressure.hold": 30, "backpressure.patience": 1}
    with (
        scripted(busy) as script,
        stack.gateway(settings, STACK_REPLICAS=f"inference-1={script.url}") as gateway,
    ):
        wait_until(lambda: gateway.metric('replica_ready{replica="inference-1"}') == 1, "the worker is ready")
        first = gateway.ask(REFUNDS, token=GLOBEX)
        assert (first.status, first.serving["provider"]) == (200, "llm-primary")
        free = gateway.ask(REFUNDS, token=GLOBEX)
        if not heeded:
            assert free.status == 200
            return
        assert (free.status, free.error["code"]) == (429, "shed")
        assert 20 <= int(free.headers["retry-after"]) <= 30
        assert gateway.ask(REFUNDS, token=ACME).status == 200
        wait_until(lambda: gateway.metric("backpressure_level") == 2, "free was not enough")
        assert gateway.ask(REFUNDS, token=ACME).status == 429
        asked = len(script.asked)
        assert gateway.ask(REFUNDS, token=INITECH[0]).status == 200
        assert len(script.asked) == asked + 1, "enterprise is forwarded"
        assert gateway.metric('shed_total{reason="backpressure",tier="free"}') == 1
