"""How long it takes, and how much memory, to judge many recorded requests by every probe.

    python benchmarks/judging/judge_a_million.py [--requests 1000000] [--rounds 3] [--from-file]

Prints the time of each probe, and the peak of the process's memory with the evidence in it. The budget is 3 s and 500
MB for a million requests and all probes together; the exit code is 1 where either is exceeded. Times are of the
processor, of which judging takes one alone; the best of three rounds counts. With --from-file the evidence is written
to a file first and read back, as `chaos verify` does; reading is told apart from judging.
"""

import argparse
import asyncio
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from brownout import registry
from brownout.evidence import KnownDocument, KnownQuestion, Recording, Request, Sample, Transition, Write
from brownout.evidence.store import EvidenceWriter, RunInfo, read_run
from brownout.probe import Verdict

BUDGET_SECONDS, BUDGET_BYTES = 3.0, 500e6
RATE = 1000.0
CHECKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("availability", {"at_least": 0.99}),
    ("breaker", {"dependency": "vector-db", "becomes": "open", "within": 5.0}),
    ("compare", {"measure": "ttft", "effect": 0.33, "p95": 2.0}),
    ("cost", {"at_most": 0.005}),
    ("degradation", {"at_least": 1, "share": 0.95, "within": 5.0}),
    ("detected", {"within": 30.0}),
    ("disclosed", {}),
    ("error_rate", {"at_most": 0.01, "source": "provider"}),
    ("failover", {"within": 5.0}),
    ("goodput", {"share": 0.95, "ttft": 0.5, "total": 3.0}),
    ("isolation", {}),
    ("metric", {"name": "dependency_calls_total", "value": "rate", "at_least": 1.0}),
    ("quality", {"faithfulness": 0.82, "recall": 0.5}),
    ("recovered", {"within": 15.0, "ttft_p95": 0.5, "availability": 0.99}),
    ("retry_amplification", {"to": "llm-*", "at_most": 1.5}),
    ("shed", {"tier": "enterprise", "at_most": 0.01}),
    ("slo", {"objective": 0.999, "ttft": 0.5, "alert": "page"}),
    ("staleness", {"at_most": 3600.0}),
    ("total", {"p95": 3.0}),
    ("tpot", {"p95": 0.05}),
    ("ttft", {"p95": 0.5, "p99": 1.0}),
    ("uncited", {"documents": "doc-9-*"}),
    ("read_your_writes", {}),
    ("no_loss", {}),
    ("no_duplicates", {}),
)
"""Every probe that takes requests, each as an experiment would state it."""


def requests(count: int, *, seed: int = 7) -> Iterator[Request]:
    """As a run of the reference stack makes them: streams of three tiers, one in a hundred failed, some degraded."""
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    questions = [(f"q-{n:03}", f"tenant-{n % 3}", tuple(f"doc-{n % 3}-{d}" for d in range(2))) for n in range(190)]
    at = 0.0
    for number in range(count):
        at += draw.expovariate(RATE)
        question, tenant, cited = draw.choice(questions)
        failed, degraded = draw.random() < 0.01, draw.random() < 0.9
        ttft, gap, tokens = draw.lognormvariate(-2.3, 0.4), draw.lognormvariate(-4.8, 0.25), draw.randrange(20, 120)
        yield Request(
            id=number,
            intended=at,
            sent=at + 0.001,
            first_token=None if failed else at + ttft,
            done=at + (0.05 if failed else ttft + gap * tokens),
            outcome="error" if failed else "ok",
            status=503 if failed else 200,
            error="providers_unavailable" if failed else None,
            error_source="provider" if failed else None,
            question=question,
            tenant=tenant,
            tier=draw.choice(("enterprise", "pro", "free")),
            policy="balanced",
            stream=True,
            request_id=f"{draw.getrandbits(128):032x}",
            model=None if failed else "atlas-large",
            provider=None if failed else "llm-secondary",
            level=None if failed else int(degraded),
            retrieval=None if failed else "cached" if degraded else "dense+keyword",
            retrieval_quality=None if failed else "medium" if degraded else "high",
            cache_used=None if failed else degraded,
            cache_age=draw.uniform(0, 600) if degraded and not failed else None,
            warnings=("The documents are from an earlier search.",) if degraded and not failed else (),
            citations=() if failed else cited,
            claims=None if failed else 2,
            claims_supported=None if failed else 2,
            prompt_tokens=None if failed else draw.randrange(300, 900),
            completion_tokens=None if failed else tokens,
            tpot=None if failed else gap,
            cost=None if failed else draw.randrange(1000, 4000) / 1e6,
            attempts={} if failed else {"cache": 1, "llm-secondary": 1, **({} if degraded else {"vector-db": 1})},
        )


def rows(count: int) -> Iterator[Request | Sample | Transition | Write]:
    """A run's requests, and what goes with them: a breaker that opens, a scraped counter, a document now and then."""
    yield Transition(0.0, "vector-db", None, "closed")
    yield Transition(count / RATE / 10, "vector-db", "closed", "open")
    labels = (("dependency", "llm-secondary"), ("outcome", "ok"))
    for second in range(int(count / RATE) + 1):
        yield Sample(float(second), "gateway", "dependency_calls_total", labels, second * RATE)
    for number in range(190):
        at = number * count / RATE / 200
        yield Write(number + 1, f"q-{number:03}", "tenant-0", at, at, at + 0.1, "acknowledged", copies=1)
    yield from requests(count)


def fill(recording: Recording, count: int) -> None:
    for row in rows(count):
        match row:
            case Request():
                recording.add_request(row)
            case Transition():
                recording.add_transition(row)
            case Sample():
                recording.add_sample(row)
            case Write():
                recording.add_write(row)
    documents = [KnownDocument(f"doc-{t}-{d}", f"tenant-{t}") for t in range(3) for d in range(2)]
    questions = [
        KnownQuestion(f"q-{n:03}", f"tenant-{n % 3}", tuple(f"doc-{n % 3}-{d}" for d in range(2))) for n in range(190)
    ]
    recording.know(documents, questions)


async def write(path: Path, count: int) -> None:
    info = RunInfo(
        title="benchmark",
        experiment_source="",
        experiment_file="",
        target="made up",
        seed=7,
        scale=1.0,
        started_at=0.0,
        duration=count / RATE,
    )
    async with EvidenceWriter(path, info) as writer:
        fill(Recording(writer), count)


def judge(recording: Recording, count: int) -> list[tuple[str, float, Verdict]]:
    """Judge by every probe, and tell the processor time of each. The run's first tenth stands for the steady state."""
    length = count / RATE * 1.1
    baseline = recording.window("steady-state before", 0.0, length / 11)
    window = replace(recording.window("during", 0.0, length), baseline=baseline)
    told = []
    for name, arguments in CHECKS:
        probe = registry.probes().get(name)
        began = time.process_time()
        verdict = probe(window, **arguments)
        told.append((name, time.process_time() - began, verdict))
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts")
    parser.add_argument("--from-file", action="store_true")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    count: int = options.requests
    if options.write:
        asyncio.run(write(options.write, count))
        return 0
    began = time.perf_counter()
    if options.from_file:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "evidence.sqlite"
            # In another process, whose memory is none of the judge's.
            subprocess.run([sys.executable, __file__, "--requests", str(count), "--write", str(path)], check=True)
            began = time.perf_counter()
            recording = read_run(path).recording
    else:
        recording = Recording()
        fill(recording, count)
    had = time.perf_counter() - began
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rounds = [judge(recording, count)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rounds += [judge(recording, count) for _ in range(options.rounds - 1)]
    best = min(rounds, key=lambda told: sum(took for _, took, _ in told))
    for name, one, verdict in best:
        sys.stdout.write(f"{name:20} {one * 1000:7.0f} ms  {verdict.outcome:12} {verdict.figure}\n")
    took = sum(one for _, one, _ in best)
    sys.stdout.write(
        f"\n{count} requests, {len(CHECKS)} probes: judged in {took:.2f} s, {peak / 1e6:.0f} MB at the peak "
        f"({before / 1e6:.0f} MB before judging; {'read' if options.from_file else 'made up'} in {had:.1f} s)\n"
    )
    return int(took > BUDGET_SECONDS or peak > BUDGET_BYTES)


if __name__ == "__main__":
    sys.exit(main())
