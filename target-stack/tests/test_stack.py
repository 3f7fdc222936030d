"""The whole stack as real processes: what it says while its parts are paused, killed and brought back."""

import asyncio
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from harness import (
    ACME,
    ADMIN,
    DOCUMENTS,
    GLOBEX,
    Answer,
    Gateway,
    Link,
    Stack,
    free_port,
    metric,
    wait_ready,
    wait_until,
)

from target_stack.embedding import embed
from target_stack.serving import DISCLAIMER
from target_stack.vector_store import VectorStore

# `healthy` loads the documents that every test asks about.
pytestmark = [pytest.mark.process, pytest.mark.usefixtures("healthy")]

REFUNDS = "When are refunds paid?"
# The exact cache would hide the providers from questions that are asked twice.
PLAIN = {"exact-cache": False, "vector-db.timeout": 0.25}
QUICK = PLAIN | {"vector-db.breaker.recovery": 0.3}
OTHER_TENANTS_WORDS = ("globex", "voucher", "90 days")


def ask_until(gateway: Gateway, question: str, level: int) -> Answer:
    answers: list[Answer] = []

    def reached() -> bool:
        answers.append(gateway.ask(question))
        return bool(answers[-1].serving["degradation_level"] == level)

    wait_until(reached, f"an answer of level {level}")
    return answers[-1]


def ask_until_breaker(gateway: Gateway, dependency: str, state: str, question: str) -> list[Answer]:
    """Keep asking until the breaker is in this state; return the answers on the way."""
    answers: list[Answer] = []

    def reached() -> bool:
        if gateway.breaker(dependency) == state:
            return True
        answers.append(gateway.ask(question))
        return False

    wait_until(reached, f"{dependency} is {state}")
    return answers


def wait_until_metric(service: httpx.Client, sample: str, value: float) -> None:
    wait_until(lambda: metric(service, sample) == value, f"{sample} is {value}")


def prime(
    gateway: Gateway, question: str, kinds: tuple[str, ...] = ("retrieval", "exact", "answer", "semantic")
) -> None:
    """Ask once and wait until the answer's background writes have been made."""
    before = gateway.metric("cache_writes_total")
    ask_until(gateway, question, 0)
    wait_until(
        lambda: gateway.metric("cache_writes_total") >= before + len(kinds),
        "the cache is written",
    )


def test_a_healthy_stack_answers_from_fresh_documents(healthy: Gateway) -> None:
    before = healthy.metric('answers_total{level="0"}')
    answer = healthy.ask(REFUNDS)
    assert answer.status == 200
    assert "within 14 days" in answer.text
    serving = answer.serving
    assert (serving["degradation_level"], serving["retrieval"], serving["retrieval_quality"]) == (
        0,
        "dense+keyword",
        "high",
    )
    assert serving["warnings"] == []
    assert "acme-refunds" in serving["citations"]
    assert serving["attempts"] == {"embedding": 1, "vector-db": 1, "llm-primary": 1}
    usage = serving["usage"]
    expected = (usage["prompt_tokens"] * 2 + usage["completion_tokens"] * 8) / 1e6
    assert serving["cost_usd"] == pytest.approx(expected)
    assert answer.headers["x-request-id"] == serving["request_id"]
    assert answer.headers["x-degradation-level"] == "0"
    assert healthy.metric('answers_total{level="0"}') == before + 1
    assert healthy.metric("ttft_seconds_count") == before + 1
    assert healthy.metric("circuit_breaker_any_open") == 0


@pytest.mark.parametrize("include_usage", [False, True])
def test_a_stream_has_the_official_shape(healthy: Gateway, include_usage: bool) -> None:
    answer = healthy.stream(REFUNDS, stream_options={"include_usage": include_usage})
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.done
    assert {chunk["object"] for chunk in answer.chunks} == {"chat.completion.chunk"}
    assert answer.chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    reasons = [choice["finish_reason"] for chunk in answer.chunks for choice in chunk["choices"]]
    assert [reason for reason in reasons if reason] == ["stop"]
    assert "serving" in answer.chunks[-1]
    assert not any("serving" in chunk for chunk in answer.chunks[:-1])
    assert ("usage" in answer.chunks[-1]) is include_usage
    assert (answer.chunks[-1]["choices"] == []) is include_usage
    assert "within 14 days" in answer.text
    assert answer.text == healthy.ask(REFUNDS).text


def test_a_starting_gateway_says_what_it_waits_for(stack: Stack) -> None:
    gateway = stack.start_gateway(ready=False, STACK_EMBEDDING_URL=dead())
    waiting = {"status": "starting", "waiting_for": ["embedding"]}
    wait_until(lambda: bool(gateway.http.get("/health/ready").json() == waiting), "it waits for the embedder alone")
    assert gateway.http.get("/health/ready").status_code == 503
    assert gateway.http.get("/health/live").status_code == 200
    assert gateway.ask(REFUNDS).serving["retrieval"] == "keyword", "unready is not unable"
    gateway.http.close()
    gateway.process.stop()


def test_the_same_question_is_answered_from_the_exact_cache(stack: Stack) -> None:
    with stack.gateway() as gateway:
        question = "Are refunds paid to the card?"
        prime(gateway, question)
        answer = gateway.stream(question)
        assert answer.serving["degradation_level"] == 0
        assert answer.serving["cache_used"]
        assert answer.serving["cost_usd"] == 0
        assert "llm-primary" not in answer.serving["attempts"]
        assert not gateway.ask(question, policy="strict").serving["cache_used"]
        assert gateway.load([DOCUMENTS[0] | {"text": f"{DOCUMENTS[0]['text']} Always."}]).status_code == 200
        assert not gateway.ask(question).serving["cache_used"], "an edited document is another question"
        gateway.load(DOCUMENTS)


def test_a_paused_database_degrades_opens_its_breaker_and_recovers(stack: Stack) -> None:
    # Open for long enough that what is asked next meets it open.
    with stack.gateway(PLAIN | {"vector-db.breaker.recovery": 1.5}) as gateway:
        prime(gateway, REFUNDS)
        with stack.postgres.paused():
            cached = gateway.ask(REFUNDS)
            assert (cached.serving["degradation_level"], cached.serving["retrieval"]) == (1, "cached")
            assert cached.serving["cache_used"]
            assert cached.serving["cache_age_s"] >= 0
            assert cached.serving["warnings"]
            assert cached.headers["x-degradation-level"] == "1"
            assert "within 14 days" in cached.text
            keyword = gateway.stream("What does shipping abroad cost?")
            assert (keyword.serving["degradation_level"], keyword.serving["retrieval"]) == (1, "keyword")
            assert "12 euros" in keyword.text
            nothing = gateway.ask("Xyzzy?")
            assert (nothing.serving["degradation_level"], nothing.serving["retrieval_quality"]) == (2, "none")
            assert nothing.text.startswith(DISCLAIMER)
            strict = gateway.ask(REFUNDS, policy="strict")
            assert (strict.status, strict.error["code"]) == (503, "retrieval_unavailable")
            assert strict.error["error_source"] == "own_system"
            ask_until_breaker(gateway, "vector-db", "open", REFUNDS)
            assert gateway.metric('circuit_breaker_state{dependency="vector-db"}') == 2
            refused = gateway.ask(REFUNDS)
            assert refused.serving["degradation_level"] == 1
            assert "vector-db" not in refused.serving["attempts"], "an open breaker does not wait for the database"
        ask_until(gateway, REFUNDS, 0)
        ask_until_breaker(gateway, "vector-db", "closed", REFUNDS)
        told = [(event["from"], event["to"]) for event in gateway.events("vector-db")]
        assert told[:2] == [(None, "closed"), ("closed", "open")]
        assert told[-2:] == [("open", "half-open"), ("half-open", "closed")]
        ask_until(gateway, REFUNDS, 0)


def test_connections_that_the_database_dropped_are_replaced(stack: Stack) -> None:
    with stack.gateway(PLAIN) as gateway:
        gateway.ask(REFUNDS)
        children = Path(f"/proc/{stack.postgres.popen.pid}/task/{stack.postgres.popen.pid}/children").read_text()
        backends = [int(pid) for pid in children.split() if b"127.0.0.1" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert backends
        for pid in backends:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in backends), "the backends end")
        assert gateway.ask(REFUNDS).serving["degradation_level"] == 0


def test_idle_connections_over_a_cut_link_do_not_spoil_the_first_probes(stack: Stack) -> None:
    links = {
        "vector-db": Link(stack.postgres_port),
        "embedding": Link(stack.embedding_port),
        "cache": Link(stack.valkey_port),
        "llm-primary": Link(stack.primary_port),
    }
    where = {
        "STACK_VECTOR_DB_URL": f"postgresql://stack:pw@127.0.0.1:{links['vector-db'].port}/postgres",
        "STACK_EMBEDDING_URL": f"http://127.0.0.1:{links['embedding'].port}",
        "STACK_CACHE_URL": f"redis://:pw@127.0.0.1:{links['cache'].port}/0",
        "STACK_PROVIDERS": chain(stack, primary=f"http://127.0.0.1:{links['llm-primary'].port}"),
    }
    settings: dict[str, object] = {"exact-cache": False, "llm.first-token-timeout": 1.5}
    settings |= {"cache.timeout": 1.0, "vector-db.timeout": 1.0}
    for dependency in links:
        settings |= {f"{dependency}.breaker.recovery": 0.5, f"{dependency}.breaker.failures": 2}
    with stack.gateway(settings, **where) as gateway, ThreadPoolExecutor(12) as crowd:

        def come() -> None:
            list(crowd.map(lambda n: gateway.ask(f"{REFUNDS} {n}"), range(24)))

        def cut_and_heal(dependency: str, link: Link) -> list[str]:
            before = len(gateway.events(dependency))
            link.sever()
            ask_until_breaker(gateway, dependency, "open", REFUNDS)
            link.heal()
            ask_until_breaker(gateway, dependency, "closed", REFUNDS)
            return [event["to"] for event in gateway.events(dependency)[before:]]

        # Enough idle connections that three probes could all meet a dead one; how many a crowd opens is up to chance.
        # Writes to the cache go together, so one connection may do there.
        enough = {name: 1 if name == "cache" else 3 for name in links}
        for _ in range(20):
            come()
            if all(link.connections >= enough[name] for name, link in links.items()):
                break
        for dependency, link in links.items():
            assert link.connections >= enough[dependency]
            states = [cut_and_heal(dependency, link)]
            # A busy machine may spoil a probe once.
            while states[-1] != ["open", "half-open", "closed"] and len(states) < 3:
                come()
                states.append(cut_and_heal(dependency, link))
            assert states[-1] == ["open", "half-open", "closed"], states
    for link in links.values():
        link.close()


def test_without_disclosure_a_degraded_answer_claims_to_be_healthy(stack: Stack) -> None:
    with stack.gateway(PLAIN | {"disclosure": False}) as gateway:
        prime(gateway, REFUNDS)
        with stack.postgres.paused():
            for answer in (gateway.ask(REFUNDS), gateway.stream("Xyzzy?")):
                serving = answer.serving
                assert (serving["degradation_level"], serving["warnings"]) == (0, [])
                assert (serving["retrieval"], serving["retrieval_quality"]) == ("dense+keyword", "high")
                assert not serving["cache_used"]
                assert answer.headers["x-degradation-level"] == "0"
                assert answer.headers["x-retrieval-quality"] == "high"
                assert not answer.text.startswith(DISCLAIMER)
        assert gateway.metric('answers_total{level="1"}') == 1, "operators are told the truth"
        assert gateway.metric('answers_total{level="2"}') == 1


def test_without_fallbacks_a_retrieval_failure_is_a_503(stack: Stack) -> None:
    with stack.gateway(PLAIN | {"fallbacks": False}) as gateway:
        prime(gateway, REFUNDS)
        with stack.postgres.paused():
            for answer in (gateway.ask(REFUNDS, policy="available"), gateway.stream(REFUNDS, policy="available")):
                assert answer.status == 503
                assert answer.error["code"] == "retrieval_unavailable"
                assert answer.error["error_source"] == "own_system"
        assert gateway.metric('errors_total{source="own_system"}') == 2


def test_without_breakers_every_call_goes_through(stack: Stack) -> None:
    with stack.gateway(PLAIN | {"breaker": False}) as gateway, stack.postgres.paused():
        for _ in range(6):
            assert gateway.ask(REFUNDS).serving["attempts"]["vector-db"] == 1
        assert [event["to"] for event in gateway.events("vector-db")] == ["closed"]


def test_keyword_search_stands_in_for_a_paused_embedder(stack: Stack) -> None:
    with stack.gateway(PLAIN | {"embedding.timeout": 0.1, "embedding.breaker.recovery": 0.3}) as gateway:
        with stack.embedding.paused():
            answer = gateway.ask(REFUNDS)
            assert (answer.serving["degradation_level"], answer.serving["retrieval"]) == (1, "keyword")
            assert "within 14 days" in answer.text
            ask_until_breaker(gateway, "embedding", "open", REFUNDS)
        ask_until(gateway, REFUNDS, 0)


def test_a_paused_cache_is_bypassed(stack: Stack) -> None:
    with stack.gateway({"cache.breaker.recovery": 1.0}) as gateway:
        with stack.valkey.paused():
            answers = ask_until_breaker(gateway, "cache", "open", REFUNDS)
            assert {answer.serving["degradation_level"] for answer in answers} == {0}
            took: list[float] = []
            while not took or (min(took) >= 0.2 and len(took) < 20):
                since = time.monotonic()
                assert gateway.ask(REFUNDS).serving["degradation_level"] == 0
                took.append(time.monotonic() - since)
            assert min(took) < 0.2, "an open breaker does not wait for the cache"
        ask_until_breaker(gateway, "cache", "closed", REFUNDS)


def test_no_tenant_is_ever_given_anothers_document(stack: Stack) -> None:
    cases = [
        (question, policy)
        for question in (REFUNDS, "Refunds at Globex in vouchers within 90 days?")
        for policy in ("strict", "balanced", "available")
    ]
    with stack.gateway(QUICK | {"exact-cache": True}) as gateway:
        for question, policy in cases:
            theirs = gateway.ask(question, token=GLOBEX, policy=policy)
            assert "globex-refunds" in theirs.serving["citations"]
        answers = [gateway.ask(question, policy=policy) for question, policy in cases]
        with stack.postgres.paused():
            answers += [gateway.ask(question, policy=policy) for question, policy in cases]
        assert sum(bool(answer.text) for answer in answers) == len(cases) + 4, "all but strict without the database"
        for answer in answers:
            assert set(answer.serving.get("citations", [])) <= {"acme-refunds", "acme-shipping"}
            assert not any(word in answer.text.lower() for word in OTHER_TENANTS_WORDS)


@pytest.mark.parametrize(("setting", "leaks_while_healthy"), [("fresh-only", False), ("off", True)])
def test_a_stack_that_forgets_the_tenant_leaks_on_the_paths_that_forget_it(
    stack: Stack, setting: str, leaks_while_healthy: bool
) -> None:
    question = "Which vouchers does Globex pay refunds in?"
    with stack.gateway(QUICK | {"tenant-filter": setting}) as gateway:
        fresh = gateway.ask(question, policy="strict")
        assert ("globex-refunds" in fresh.serving["citations"]) is leaks_while_healthy
        prime(gateway, question)
        assert gateway.ask(question, token=GLOBEX).serving["citations"]
        with stack.postgres.paused():
            cached = gateway.ask(question)
            keyword = gateway.ask(f"{question} {setting}")
        assert (cached.serving["retrieval"], keyword.serving["retrieval"]) == ("cached", "keyword")
        assert "globex-refunds" in keyword.serving["citations"]


def test_dense_search_is_filtered_in_the_database(stack: Stack) -> None:
    async def search() -> dict[str, set[str]]:
        store = VectorStore(f"postgresql://stack:pw@127.0.0.1:{stack.postgres_port}/postgres", pool_size=1)
        (vector,) = embed(["Refunds at Globex in vouchers"])
        owners = {}
        for tenant in ("acme", "globex", "nobody"):
            found = await store.search(tenant, vector, limit=50, others=[one["id"] for one in DOCUMENTS])
            owners[tenant] = {document.tenant for document in (*found.near, *found.others)}
            assert {owner for owner, _ in found.vectors} == owners[tenant]
        store.renew()
        return owners

    assert asyncio.run(search()) == {"acme": {"acme"}, "globex": {"globex"}, "nobody": set()}


def dead() -> str:
    return f"http://127.0.0.1:{free_port()}"


def chain(stack: Stack, *, primary: str | None = None, secondary: str | None = None) -> str:
    primary = primary or f"http://127.0.0.1:{stack.primary_port}"
    secondary = secondary or f"http://127.0.0.1:{stack.secondary_port}"
    return f"llm-primary={primary},llm-secondary={secondary}"


def test_the_secondary_answers_while_the_primary_is_unreachable(stack: Stack) -> None:
    with stack.gateway(PLAIN, STACK_PROVIDERS=chain(stack, primary=dead())) as gateway:
        for _ in range(3):
            answer = gateway.stream(REFUNDS)
            assert (answer.serving["provider"], answer.serving["degradation_level"]) == ("llm-secondary", 0)
            assert answer.serving["attempts"]["llm-primary"] == 1
        assert gateway.breaker("llm-primary") == "open"
        assert "llm-primary" not in gateway.ask(REFUNDS).serving["attempts"]
        assert gateway.metric('fallback_total{kind="provider"}') == 4


def test_without_failover_only_the_first_provider_is_called(stack: Stack) -> None:
    settings = PLAIN | {"failover": False}
    with stack.gateway(settings, STACK_PROVIDERS=chain(stack, primary=dead())) as gateway:
        answer = gateway.ask(REFUNDS, policy="strict")
        assert (answer.status, answer.error["error_source"]) == (503, "provider")


def test_a_provider_with_only_the_small_model_is_rung_three(stack: Stack) -> None:
    settings = PLAIN | {"llm-secondary.model": "atlas-mini"}
    with stack.gateway(settings, STACK_PROVIDERS=chain(stack, primary=dead())) as gateway:
        answer = gateway.ask(REFUNDS)
        assert (answer.serving["degradation_level"], answer.serving["model"]) == (3, "atlas-mini")
        assert "smaller model" in answer.serving["warnings"][0]
        assert gateway.ask(REFUNDS, policy="strict").status == 503


def test_without_any_provider_an_earlier_answer_or_an_honest_error_is_given(stack: Stack) -> None:
    question = "How many days do refunds take?"
    with stack.gateway(PLAIN) as gateway:
        prime(gateway, question)
    primary, port = stack.provider("llm-primary", {})
    wait_ready(port)
    providers = chain(stack, primary=f"http://127.0.0.1:{port}", secondary=dead())
    with stack.gateway(PLAIN, STACK_PROVIDERS=providers) as gateway:
        primary.stop()
        answer = gateway.ask(question)
        assert (answer.serving["degradation_level"], answer.serving["cache_used"]) == (4, True)
        assert "earlier answer" in answer.serving["warnings"][0]
        assert "within 14 days" in answer.text
        assert answer.serving["cost_usd"] == 0
        unknown = gateway.stream("Is there anything on refunds that nobody asked before?")
        assert (unknown.status, unknown.error["code"]) == (503, "providers_unavailable")
        assert unknown.error["error_source"] == "provider"


@pytest.fixture(scope="module")
def hanging(stack: Stack) -> str:
    """The address of a provider that gives one token and then nothing for half a minute."""
    _, port = stack.provider("llm-primary", {"llm-primary.ttft": 0.01, "llm-primary.tpot": 30})
    wait_ready(port)
    return f"http://127.0.0.1:{port}"


SLOW = {"llm-primary.ttft": 0.01, "llm-primary.tpot": 0.2}


@pytest.mark.parametrize(("damage", "reason"), [(signal.SIGKILL, "cut"), (signal.SIGSTOP, "timeout")])
def test_a_stream_that_dies_half_way_ends_in_a_marked_error(stack: Stack, damage: int, reason: str) -> None:
    provider, port = stack.provider("llm-primary", SLOW)
    wait_ready(port)
    providers = chain(stack, primary=f"http://127.0.0.1:{port}")
    settings = PLAIN | {"llm.inter-token-timeout": 0.7 if reason == "timeout" else 30}
    with stack.gateway(settings, STACK_PROVIDERS=providers) as gateway:
        answer = gateway.stream(REFUNDS, on_first_text=lambda: provider.signal(damage))
        provider.signal(signal.SIGCONT)
        assert answer.text
        assert answer.error["code"] == "stream_interrupted"
        assert answer.error["error_source"] == "provider"
        assert answer.serving["provider"] == "llm-primary"
        assert answer.done
        assert gateway.metric(f'stream_failures_total{{reason="{reason}"}}') == 1
        assert gateway.metric('dependency_calls_total{dependency="llm-primary",outcome="provider"}') == 1


def test_an_answer_in_one_body_survives_a_provider_that_stalls_half_way(stack: Stack, hanging: str) -> None:
    settings = PLAIN | {"llm.inter-token-timeout": 0.8}
    with stack.gateway(settings, STACK_PROVIDERS=chain(stack, primary=hanging)) as gateway:
        answer = gateway.ask(REFUNDS)
        assert answer.serving["provider"] == "llm-secondary"
        assert answer.serving["attempts"]["llm-primary"] == 1
        assert "within 14 days" in answer.text


def test_the_provider_is_told_when_the_client_leaves(stack: Stack, hanging: str) -> None:
    cancelled = 'provider_requests_total{model="atlas-large",outcome="cancelled"}'
    abandoned = 'dependency_calls_total{dependency="llm-primary",outcome="abandoned"}'
    settings = PLAIN | {"llm.inter-token-timeout": 30}
    with (
        stack.gateway(settings, STACK_PROVIDERS=chain(stack, primary=hanging)) as gateway,
        httpx.Client(base_url=hanging, trust_env=False) as provider,
    ):
        before = metric(provider, cancelled)
        for left, stream in enumerate([True, False], start=1):
            gateway.abandon(REFUNDS, stream=stream)
            wait_until_metric(provider, cancelled, before + left)
            wait_until_metric(gateway.http, abandoned, left)
        assert gateway.breaker("llm-primary") == "closed"


def test_sigterm_ends_a_stream_with_a_marked_error_and_the_process_in_two_seconds(stack: Stack, hanging: str) -> None:
    settings = PLAIN | {"llm.inter-token-timeout": 30}
    gateway = stack.start_gateway(settings, STACK_PROVIDERS=chain(stack, primary=hanging))
    since = time.monotonic()
    answer = gateway.stream(REFUNDS, on_first_text=gateway.process.popen.terminate)
    gateway.process.popen.wait(20)
    # Long before the provider would have gone on; the rest is for a busy machine.
    assert time.monotonic() - since < 10
    assert answer.error["code"] == "shutting_down"
    assert answer.done
    gateway.http.close()


def test_tokens_decide_who_may_do_what(healthy: Gateway) -> None:
    for token in ("nobody", ACME[:-1], ACME + "x"):
        answer = healthy.ask(REFUNDS, token=token)
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert healthy.ask(REFUNDS, token=ADMIN).status == 403
    asking = {"authorization": f"Bearer {ACME}"}
    assert healthy.http.get("/events").status_code == 401
    assert healthy.http.get("/events", headers=asking).status_code == 403
    assert healthy.http.post("/v1/documents", content=b"", headers=asking).status_code == 403
    assert healthy.http.get("/v1/documents", headers=asking).status_code == 403


def test_a_malformed_question_is_a_400(healthy: Gateway) -> None:
    question = b'"messages": [{"role": "user", "content": "q"}]'
    for body in (b"", b"[]", b'{"messages": []}', b"{" + question + b', "policy": "lax"}'):
        response = healthy.http.post("/v1/chat/completions", content=body, headers={"authorization": f"Bearer {ACME}"})
        assert response.status_code == 400
        assert response.json()["error"]["type"] == "invalid_request_error"


def test_documents_can_be_loaded_again_and_a_bad_line_is_named(healthy: Gateway) -> None:
    for _ in range(2):
        assert healthy.load(DOCUMENTS).json()["stored"] == len(DOCUMENTS)
    listed = healthy.http.get("/v1/documents", headers={"authorization": f"Bearer {ADMIN}"}).json()["ids"]
    names = {document["id"] for document in DOCUMENTS}
    # Each of them once; what other tests uploaded and deleted is listed until it is purged.
    assert sorted(one for one in listed if one in names) == sorted(names)
    bad = healthy.load([*DOCUMENTS, {"id": "x", "tenant": "acme"}])
    assert bad.status_code == 400
    assert bad.json()["error"]["message"].startswith("line 4:")


def test_logs_hold_neither_tokens_nor_prompts(stack: Stack) -> None:
    with stack.gateway(PLAIN) as gateway:
        gateway.ask("A secret question about refunds")
        gateway.ask(REFUNDS, token="a-token-nobody-has")
        assert gateway.metric('region_requests_total{region="eu"}') == 1
    lines = [json.loads(line) for line in gateway.process.log.read_text().splitlines()]
    assert {line["event"] for line in lines} == {"answered", "refused"}
    assert [line.get("region") for line in lines if line["event"] == "answered"] == ["eu"]
    text = gateway.process.log.read_text()
    assert not any(word in text for word in ("secret", "refund", ACME, "a-token-nobody-has", "pw"))
