"""Two replicas behind the gateway, as real processes: killed, frozen, starved and brought back."""

import contextlib
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import Answer, Gateway, Process, Stack, wait_ready, wait_until

from target_stack.catalogue.names import REPLICAS

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("healthy")]

REFUNDS = "When are refunds paid?"
SELF_HOSTED = {
    "main-model.served-by": "self-hosted",
    "exact-cache": False,
    "inference.health-interval": 0.1,
    "inference.health-timeout": 1.0,
}
# No health check comes before the test is over.
BLIND = SELF_HOSTED | {"inference.health-interval": 60}
MIB = 2**20


class Pool:
    """Two workers; which of them gets the first request is up to the gateway."""

    def __init__(self, stack: Stack, settings: dict[str, Any] | None = None) -> None:
        self._stack = stack
        self._settings = settings
        self.workers: dict[str, Process] = {}
        self.ports: dict[str, int] = {}
        for name in REPLICAS:
            self.workers[name], self.ports[name] = stack.worker(settings)
        for port in self.ports.values():
            wait_ready(port)

    @property
    def environ(self) -> dict[str, str]:
        return {"STACK_REPLICAS": ",".join(f"{name}=http://127.0.0.1:{port}" for name, port in self.ports.items())}

    def restart(self, name: str) -> None:
        self.workers[name], _ = self._stack.worker(self._settings, at=self.ports[name])

    def kill(self, name: str) -> None:
        self.workers[name].popen.kill()
        self.workers[name].popen.wait()

    def close(self) -> None:
        for process in self.workers.values():
            process.stop()


@contextlib.contextmanager
def pool_of(stack: Stack, settings: dict[str, Any] | None = None) -> Iterator[Pool]:
    pool = Pool(stack, settings)
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture
def pool(stack: Stack) -> Iterator[Pool]:
    with pool_of(stack) as one:
        yield one


def providers(answers: list[Answer]) -> list[str]:
    for answer in answers:
        assert answer.status == 200, answer.error
        assert answer.serving["degradation_level"] == 0
        assert "within 14 days" in answer.text
    return [answer.serving["provider"] for answer in answers]


def is_ready(gateway: Gateway, name: str) -> bool:
    return gateway.metric(f'replica_ready{{replica="{name}"}}') == 1


def wait_for_both(gateway: Gateway) -> None:
    wait_until(lambda: all(is_ready(gateway, name) for name in REPLICAS), "both replicas are ready")


def test_replicas_take_turns_and_no_answer_counts_as_a_fallback(stack: Stack, pool: Pool) -> None:
    with stack.gateway(SELF_HOSTED, **pool.environ) as gateway:
        wait_for_both(gateway)
        answers = [gateway.ask(REFUNDS) for _ in range(4)]
        assert sorted(providers(answers)) == ["inference-1"] * 2 + ["inference-2"] * 2
        assert [answer.serving["attempts"][answer.serving["provider"]] for answer in answers] == [1] * 4
        assert all("llm-primary" not in answer.serving["attempts"] for answer in answers)
        assert gateway.metric('fallback_total{kind="provider"}') == 0
        assert answers[0].serving["cost_usd"] > 0
        for name in REPLICAS:
            assert gateway.breaker(name) == "closed"
            assert gateway.metric(f'replica_requests{{replica="{name}"}}') == 0


def test_a_model_served_by_providers_knows_nothing_of_replicas(healthy: Gateway) -> None:
    assert providers([healthy.ask(REFUNDS)]) == ["llm-primary"]
    assert healthy.events("inference-1") == []
    assert "inference-1" not in healthy.http.get("/metrics").text


def test_self_hosting_needs_addresses(stack: Stack) -> None:
    for environ in ({}, {"STACK_REPLICAS": "llm-primary=http://127.0.0.1:1"}):
        gateway = stack.start_gateway(SELF_HOSTED, ready=False, wait=False, **environ)
        assert gateway.process.popen.wait(60) == 2
        assert "STACK_REPLICAS" in gateway.process.log.read_text()


def test_a_killed_replica_costs_no_answer_gets_no_request_and_comes_back(stack: Stack, pool: Pool) -> None:
    settings = SELF_HOSTED | {f"{name}.breaker.recovery": 0.2 for name in REPLICAS}
    with stack.gateway(settings, **pool.environ) as gateway:
        wait_for_both(gateway)
        pool.kill("inference-1")
        assert providers([gateway.stream(REFUNDS) for _ in range(4)]) == ["inference-2"] * 4
        wait_until(lambda: not is_ready(gateway, "inference-1"), "the loss is noticed")
        answers = [gateway.ask(REFUNDS) for _ in range(4)]
        assert providers(answers) == ["inference-2"] * 4
        assert all("inference-1" not in answer.serving["attempts"] for answer in answers)
        pool.restart("inference-1")
        wait_until(lambda: is_ready(gateway, "inference-1"), "it is back")
        wait_until(lambda: "inference-1" in providers([gateway.ask(REFUNDS)]), "it gets requests")


def test_before_a_loss_is_noticed_the_other_replica_is_asked_at_once(stack: Stack, pool: Pool) -> None:
    with stack.gateway(BLIND, **pool.environ) as gateway:
        wait_for_both(gateway)
        pool.kill("inference-1")
        answers = [gateway.ask(REFUNDS) for _ in range(8)]
        assert providers(answers) == ["inference-2"] * 8
        assert sum(answer.serving["attempts"].get("inference-1", 0) for answer in answers) == 3
        assert gateway.breaker("inference-1") == "open"


def test_without_replica_health_a_dead_replica_is_asked_again_and_again(stack: Stack, pool: Pool) -> None:
    with stack.gateway(SELF_HOSTED | {"replica-health": False, "breaker": False}, **pool.environ) as gateway:
        wait_for_both(gateway)
        pool.kill("inference-1")
        wait_until(lambda: not is_ready(gateway, "inference-1"), "the loss is noticed, and not heeded")
        answers = [gateway.ask(REFUNDS) for _ in range(8)]
        assert providers(answers) == ["inference-2"] * 8
        assert sum(answer.serving["attempts"].get("inference-1", 0) for answer in answers) == 4


def test_without_failover_the_other_replica_is_not_asked(stack: Stack, pool: Pool) -> None:
    with stack.gateway(BLIND | {"failover": False, "breaker": False}, **pool.environ) as gateway:
        wait_for_both(gateway)
        pool.kill("inference-1")
        answers = [gateway.ask(REFUNDS, policy="strict") for _ in range(4)]
        assert sorted(answer.status for answer in answers) == [200, 200, 503, 503]
        assert {answer.error["error_source"] for answer in answers if answer.error} == {"provider"}


def test_providers_answer_while_no_replica_can(stack: Stack, pool: Pool) -> None:
    with stack.gateway(SELF_HOSTED, **pool.environ) as gateway:
        wait_for_both(gateway)
        for name in REPLICAS:
            pool.kill(name)
        assert providers([gateway.ask(REFUNDS)]) == ["llm-primary"]
        wait_until(lambda: not any(is_ready(gateway, name) for name in REPLICAS), "the losses are noticed")
        answer = gateway.ask(REFUNDS)
        assert providers([answer]) == ["llm-primary"]
        assert set(answer.serving["attempts"]) == {"embedding", "vector-db", "llm-primary"}
        assert gateway.metric('fallback_total{kind="provider"}') == 2


def test_a_frozen_replica_is_taken_out_and_comes_back(stack: Stack, pool: Pool) -> None:
    with stack.gateway(SELF_HOSTED, **pool.environ) as gateway:
        wait_for_both(gateway)
        with pool.workers["inference-2"].paused():
            wait_until(lambda: not is_ready(gateway, "inference-2"), "it is taken out")
            assert providers([gateway.ask(REFUNDS) for _ in range(3)]) == ["inference-1"] * 3
        wait_until(lambda: is_ready(gateway, "inference-2"), "it is back")


def test_a_replica_that_dies_half_way_breaks_its_stream_and_says_so(stack: Stack) -> None:
    with pool_of(stack, {"inference.step-time": 0.1}) as pool, stack.gateway(SELF_HOSTED, **pool.environ) as gateway:
        wait_for_both(gateway)

        def kill_both() -> None:
            for worker in pool.workers.values():
                worker.signal(signal.SIGKILL)

        answer = gateway.stream(REFUNDS, on_first_text=kill_both)
        assert (answer.error["code"], answer.error["error_source"]) == ("stream_interrupted", "provider")
        assert answer.serving["provider"] in REPLICAS
        assert answer.done


def test_backpressure_moves_requests_on_and_is_nobodys_fault(stack: Stack) -> None:
    # One seat each, taken for most of a second.
    full = {"inference.step-time": 0.05, "inference.max-num-seqs": 1}
    settings = SELF_HOSTED | {"singleflight": False}
    with pool_of(stack, full) as pool, stack.gateway(settings, **pool.environ) as gateway:
        wait_for_both(gateway)
        with ThreadPoolExecutor(12) as crowd:
            asked = providers(list(crowd.map(lambda _: gateway.ask(REFUNDS), range(12))))
        assert set(asked) == {*REPLICAS, "llm-primary"}
        refused = sum(
            gateway.metric(f'dependency_calls_total{{dependency="{name}",outcome="own_system"}}') for name in REPLICAS
        )
        assert refused >= 8
        assert {event["to"] for name in REPLICAS for event in gateway.events(name)} == {"closed"}


def test_a_replica_out_of_memory_is_healed_by_its_restart_while_the_other_answers(stack: Stack) -> None:
    hungry = {"inference.kv-bytes-per-token": 262144, "inference.on-oom": "die", "inference.dead-linger": 3}
    with pool_of(stack, hungry) as pool, stack.gateway(SELF_HOSTED, **pool.environ) as gateway:
        wait_for_both(gateway)
        victim = pool.workers["inference-1"]
        pages = int(Path(f"/proc/{victim.popen.pid}/statm").read_text().split()[0])
        cap = pages * resource.getpagesize() + 8 * MIB
        resource.prlimit(victim.popen.pid, resource.RLIMIT_AS, (cap, resource.RLIM_INFINITY))
        answers = [gateway.ask(REFUNDS) for _ in range(4)]
        assert providers(answers) == ["inference-2"] * 4
        wait_until(lambda: not is_ready(gateway, "inference-1"), "the dead engine is noticed")
        health = httpx.get(f"http://127.0.0.1:{pool.ports['inference-1']}/health", trust_env=False)
        assert health.status_code == 500, "by its health, not by its absence"
        assert victim.popen.wait(60) == 1
        pool.restart("inference-1")
        wait_until(lambda: is_ready(gateway, "inference-1"), "it is back")


def test_the_gateway_is_ready_once_a_replica_has_loaded_its_model(stack: Stack) -> None:
    worker, port = stack.worker()
    worker.signal(signal.SIGSTOP)  # it has loaded nothing before it goes on
    environ = {"STACK_REPLICAS": f"inference-1=http://127.0.0.1:{port}"}
    gateway = stack.start_gateway(SELF_HOSTED, ready=False, **environ)
    waiting = {"status": "starting", "waiting_for": ["inference"]}
    wait_until(lambda: bool(gateway.http.get("/health/ready").json() == waiting), "it waits for the replica alone")
    assert providers([gateway.ask(REFUNDS)]) == ["llm-primary"], "not ready is not unable"
    worker.signal(signal.SIGCONT)
    wait_ready(gateway.port)
    wait_until(lambda: is_ready(gateway, "inference-1"), "the replica is ready")
    assert providers([gateway.ask(REFUNDS)]) == ["inference-1"]
    gateway.http.close()
    gateway.process.stop()
    worker.stop()


def test_a_question_too_long_for_the_replicas_goes_to_a_provider(stack: Stack) -> None:
    with pool_of(stack, {"inference.max-model-len": 64}) as pool, stack.gateway(SELF_HOSTED, **pool.environ) as gateway:
        wait_for_both(gateway)
        assert providers([gateway.ask(REFUNDS)]) == ["llm-primary"]
        assert {gateway.breaker(name) for name in REPLICAS} == {"closed"}
