"""A whole run with known answers, written to a file, read back, and judged by every probe.

An outage of the first provider from 10 s to 30 s: 20 requests a second, evenly spaced. For one second nobody answers,
then the second provider does; the breaker opens after 1.05 s, probes at 6 s and 16 s, and closes a second after the
heal.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brownout import registry
from brownout.evidence import (
    KnownDocument,
    KnownQuestion,
    Proof,
    Recording,
    Request,
    Sample,
    Transition,
    Window,
    Write,
)
from brownout.evidence.store import EvidenceWriter, read_run
from brownout.judge import windows
from brownout.probe import Verdict
from brownout.reader import parse_experiment
from tests.evidence.making import info, request

ON, OFF, END = 10.0, 30.0, 60.0
EXPERIMENT = """\
title: The first provider is away
hypothesis: The second answers.
duration: 60s
load: {rate: 20/s, arrivals: constant}
steady-state: [{availability: {at-least: 99%}}]
method:
  - partition: {from: gateway, to: llm-primary}
    at: 10s
    for: 20s
expect: {during: [{availability: {at-least: 90%}}]}
"""


def asked() -> Iterator[Request]:
    for number in range(1200):
        at = number / 20
        common: dict[str, Any] = {
            "tenant": "bank" if number % 2 else "clinic",
            "tier": "pro" if number % 2 else "enterprise",
            "question": f"q-{number % 2}",
        }
        if ON <= at < ON + 1:
            calls = {"llm-primary": 1}
            yield request(
                number, at, outcome="error", status=503, error_source="provider", ttft=None, attempts=calls, **common
            )
            continue
        other = ON <= at < OFF
        yield request(
            number,
            at,
            ttft=0.25 if other else 0.125,
            total=1.0 if other else 0.5,
            tpot=0.016,
            provider="llm-secondary" if other else "llm-primary",
            attempts={"llm-primary": int(other and at < ON + 2), "llm-secondary": 1} if other else {"llm-primary": 1},
            citations=("b-1",) if number % 2 else ("c-1",),
            claims=2,
            claims_supported=2 if number % 4 else 1,
            cost=0.003 if other else 0.002,
            cache_used=False,
            **common,
        )


def calls_by(second: float) -> dict[str, float]:
    """What the counters of calls say: each provider's twenty a second, while it is called."""
    primary = min(second, ON + 2) + max(second - OFF, 0)
    return {"llm-primary": 20 * primary, "llm-secondary": 20 * max(min(second, OFF) - (ON + 1), 0)}


BREAKER = [
    (ON + 1.05, "closed", "open"),
    (ON + 6.05, "open", "half-open"),
    (ON + 6.1, "half-open", "open"),
    (ON + 16.1, "open", "half-open"),
    (ON + 16.2, "half-open", "open"),
    (OFF + 0.9, "open", "half-open"),
    (OFF + 1.0, "half-open", "closed"),
]


async def write(path: Path) -> None:
    async with EvidenceWriter(path, info(experiment_source=EXPERIMENT)) as writer:
        recording = Recording(writer)
        recording.know(
            [KnownDocument("b-1", "bank"), KnownDocument("c-1", "clinic")],
            [KnownQuestion("q-0", "clinic", ("c-1", "c-2")), KnownQuestion("q-1", "bank", ("b-1",))],
        )
        recording.add_transition(Transition(0.0, "llm-primary", None, "closed"))
        for at, old, new in BREAKER:
            recording.add_transition(Transition(at, "llm-primary", old, new))
        for second in range(60):
            for dependency, value in calls_by(float(second)).items():
                labels = (("dependency", dependency), ("outcome", "ok"))
                recording.add_sample(Sample(float(second), "gateway", "dependency_calls_total", labels, value))
            for metric, value in (("service_ready", second != ON + 1), ("service_restarts_total", second > ON)):
                recording.add_sample(Sample(float(second), "target", metric, (("service", "gateway"),), float(value)))
            ready = 2 if second <= ON else 1 if second < ON + 6 else 2 if second < ON + 10 else 3
            labels = (("service", "gateway"), ("endpoints", "gateway"))
            recording.add_sample(Sample(float(second), "target", "service_endpoints", labels, float(ready)))
        for number in range(1, 31):
            # The third is lost, the fourth stored twice. What the first is about, q-1, is asked for, and never cited.
            document, copies = f"q-{number}", {3: 0, 4: 2}.get(number, 1)
            at = number / 2
            recording.add_write(Write(number, document, "bank", at, at, at + 0.1, "acknowledged", copies=copies))
        recording.fault_on(0, "partition", "partition gateway → llm-primary", ON)
        recording.fault_off(0, OFF, Proof(works=True, summary="12 kB swallowed"))
        for row in asked():
            recording.add_request(row)


@pytest.fixture(scope="module")
def stretches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Window]:
    path = tmp_path_factory.mktemp("run") / "evidence.sqlite"
    asyncio.run(write(path))
    experiment = parse_experiment(EXPERIMENT, file="run.yaml")
    found = windows(experiment, read_run(path).recording, end=END)
    return {block: window for block, window in found.items() if window is not None}


DURING: list[tuple[str, dict[str, Any], str, float | None]] = [
    ("availability", {"at_least": 0.95}, "passed", 380 / 400),
    ("error_rate", {"at_most": 0.01, "source": "provider"}, "failed", 20 / 400),
    ("error_rate", {"at_most": 0.01, "source": "own_system"}, "passed", 0.0),
    ("failover", {"share": 1.0, "within": 2.0}, "passed", 1.0),
    ("failover", {"share": 0.96}, "failed", 380 / 400),
    ("retry_amplification", {"to": "llm-*", "at_most": 1.1}, "passed", (40 + 360) / 380),
    ("retry_amplification", {"to": "llm-*", "at_most": 1.5, "per_answer": 1}, "failed", 2.0),
    ("detected", {"within": 2.0}, "passed", 1.05),
    ("detected", {"within": 1.0}, "failed", 1.05),
    (
        "metric",
        {"name": "dependency_calls_total", "labels": "dependency=llm-primary", "at_most": 240.0},
        "passed",
        240.0,
    ),
    ("endpoints", {"service": "gateway", "at_least": 1}, "passed", 1.0),
    ("endpoints", {"service": "gateway", "at_least": 2}, "failed", 1.0),
    ("endpoints", {"service": "gateway", "at_least": 2, "within": 6.0}, "passed", 2.0),
    ("scaled_out", {"service": "gateway", "to": 3, "within": 15.0}, "passed", 10.0),
    ("scaled_out", {"service": "gateway", "to": 3, "within": 9.0}, "failed", 10.0),
    ("restart", {"service": "gateway", "within": 3.0}, "passed", 2.0),
    ("service_state", {"service": "gateway", "state": "ready", "within": 3.0}, "passed", 2.0),
    ("service_state", {"service": "gateway", "state": "ready"}, "failed", 2.0),
    ("oom_handled", {"service": "gateway", "within": 3.0, "restarts_at_most": 1}, "passed", 2.0),
    ("metric", {"name": "dependency_calls_total", "value": "rate", "at_least": 21.0}, "passed", (40 + 360) / 19),
    ("ttft", {"p90": 0.3}, "passed", 0.25),
    ("ttft", {"p99": 0.3}, "failed", None),
    ("total", {"p50": 0.9}, "failed", 1.0),
    ("tpot", {"p90": 0.02}, "passed", 0.016),
    ("goodput", {"total": 2.0, "at_least": 19.0}, "passed", 19.0),
    ("cost", {"at_most": 0.0025}, "failed", 0.003),
    ("isolation", {}, "passed", 0.0),
    ("no_loss", {}, "failed", 1.0),
    ("no_duplicates", {}, "failed", 1.0),
    ("read_your_writes", {"share": 0.5}, "failed", 0.0),
    ("quality", {"faithfulness": 0.9}, "failed", 0.875),
    ("quality", {"recall": 0.7}, "passed", 0.75),
    ("quality", {"refusals": 0.5}, "inconclusive", None),
    ("shed", {"tier": "pro", "at_most": 0.0}, "passed", 0.0),
    ("slo", {"objective": 0.99, "burn_at_most": 5.0}, "passed", 5.0),
    ("slo", {"objective": 0.99, "spends_at_most": 0.5}, "failed", 1.0),
    ("slo", {"objective": 0.999, "alert": "page", "within": 1.0}, "passed", None),
    ("staleness", {"at_most": 1.0}, "passed", 1.0),
    ("staleness", {"monotone": True}, "passed", 0.0),
    ("compare", {"measure": "total", "effect": 0.474}, "failed", 1.0),
    ("compare", {"measure": "total", "p50": 2.0}, "passed", 2.0),
    ("breaker", {"dependency": "llm-primary", "becomes": "open", "within": 2.0}, "passed", 1.05),
    ("breaker", {"dependency": "llm-primary", "never_flaps": True}, "passed", 0.0),
    ("breaker", {"dependency": "llm-primary", "disciplined": True, "open_at_least": 5.0}, "passed", 5.0),
    ("breaker", {"dependency": "llm-primary", "disciplined": True, "open_at_least": 6.0}, "failed", 5.0),
    ("breaker", {"dependency": "llm-primary", "stays": "closed"}, "failed", None),
    ("degradation", {"level": 0}, "passed", 1.0),
    ("disclosed", {}, "inconclusive", None),
    ("uncited", {"documents": "b-*"}, "failed", None),
    ("uncited", {"documents": "x-*"}, "inconclusive", None),
]
AFTER: list[tuple[str, dict[str, Any], str, float | None]] = [
    ("breaker", {"dependency": "llm-primary", "stays": "closed"}, "passed", None),
    ("breaker", {"dependency": "llm-primary", "becomes": "closed", "within": 2.0}, "passed", 1.0),
    ("recovered", {"within": 1.0, "ttft_p95": 0.2, "availability": 0.99, "for_": 20.0}, "passed", 0.0),
    ("compare", {"measure": "total", "effect": 0.147, "p95": 1.1}, "passed", None),
    ("slo", {"objective": 0.999, "alert": "none"}, "passed", None),
]


def judge(window: Window, name: str, arguments: dict[str, Any]) -> Verdict:
    return registry.probes().get(name)(window, **arguments)


@pytest.mark.parametrize(("name", "arguments", "outcome", "value"), DURING)
def test_while_the_provider_was_away(
    stretches: dict[str, Window], name: str, arguments: dict[str, Any], outcome: str, value: float | None
) -> None:
    verdict = judge(stretches["during"], name, arguments)
    assert verdict.outcome == outcome, verdict
    if value is not None and not (name == "failover" and "within" in arguments):
        assert verdict.value == pytest.approx(value), verdict


@pytest.mark.parametrize(("name", "arguments", "outcome", "value"), AFTER)
def test_after_it_was_back(
    stretches: dict[str, Window], name: str, arguments: dict[str, Any], outcome: str, value: float | None
) -> None:
    verdict = judge(stretches["after"], name, arguments)
    assert verdict.outcome == outcome, verdict
    if value is not None:
        assert verdict.value == pytest.approx(value), verdict


def test_every_probe_is_judged_here() -> None:
    installed = registry.Registry.installed("probe", distribution="brownout").names()  # type: ignore[var-annotated]
    assert {name for name, *_ in (*DURING, *AFTER)} == set(installed)
