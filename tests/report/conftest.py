"""A made-up but lifelike run: the vector database is cut off for 20 s of 60 s, and what became of it."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from brownout.errors import Location
from brownout.evidence.model import Event, FaultSpan, Proof, Request, Sample, Transition
from brownout.evidence.recording import Recording
from brownout.evidence.store import RunInfo
from brownout.experiment import Block, Check, Experiment, Load, Step
from brownout.judge import Judged, Judgement
from brownout.probe import Verdict
from brownout.prometheus.crosscheck import SOURCE, STRETCHES
from brownout.units import Duration, Rate

TEXT = (Path(__file__).parents[2] / "experiments" / "vector_db_partition.yaml").read_text("utf-8")
HERE = Location("experiment.yaml")
ON, OFF, OPENED, CLOSED = 10.02, 30.05, 11.42, 36.25


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that a report is made from."""

    info: RunInfo
    experiment: Experiment
    recording: Recording
    judgement: Judgement


def check(probe: str, title: str, **arguments: object) -> Check:
    return Check(probe, arguments, title, HERE)


def experiment(**changes: object) -> Experiment:
    base = Experiment(
        title="The assistant keeps answering while its vector database is unreachable",
        hypothesis="Retrieval falls back to cached documents and then to keyword search; every degraded answer says "
        "so, and once the database is back the breaker closes and answers are fresh again.",
        tags=("rag", "partition"),
        load=(Load(rate=Rate(20.0)),),
        duration=Duration(60.0),
        steady_state=(
            check("availability", "availability: at-least 99.9%", at_least=0.999),
            check("ttft", "ttft: p95 500ms", p95=0.5),
        ),
        method=(Step(0, "partition", {}, Duration(10.0), Duration(20.0), "partition gateway → vector-db", HERE),),
        during=(),
        after=(),
        abort=(),
        target=None,
        settings={},
        file="vector_db_partition.yaml",
        source=TEXT,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def request(number: int, at: float, draw: random.Random, *, error: str | None = None) -> Request:
    broken, waiting = ON <= at < CLOSED, ON <= at < OPENED
    level = 0
    if broken and draw.random() < 0.98:
        level = 1 if draw.random() < max(0.1, 1 - (at - ON) / 14) else 2
    ttft = draw.lognormvariate(-1.75, 0.28) * (0.7 if level == 2 else 1.0) + (0.85 * draw.random() if waiting else 0.0)
    if error is None and waiting and draw.random() < 0.1:
        error = "retrieval_timeout"
    done = at + ttft + draw.uniform(0.3, 0.8)
    return Request(
        id=number,
        intended=at,
        sent=at + 0.001,
        first_token=None if error else at + ttft,
        done=done,
        outcome="error" if error else "ok",
        status=503 if error else 200,
        error=error,
        error_source="provider" if error else None,
        question=f"q{number % 60}",
        tenant="meridian-bank",
        tier="pro",
        policy="balanced",
        stream=True,
        request_id=f"req-{draw.getrandbits(48):012x}",
        level=None if error else level,
    )


def verdicts() -> tuple[Judged, ...]:
    rows: list[tuple[Block, Check, Verdict]] = [
        (
            "steady-state before",
            check("availability", "availability: at-least 99.9%"),
            Verdict("passed", "100 %", "at least 99.9 %", 199),
        ),
        (
            "steady-state before",
            check("ttft", "ttft: p95 500ms"),
            Verdict("passed", "p95 268 ms", "p95 at most 500 ms", 199),
        ),
        (
            "steady-state before",
            check("breaker", "breaker: dependency vector-db, state closed"),
            Verdict("passed", "closed throughout", "closed", 1),
        ),
        (
            "during",
            check("availability", "availability: at-least 99%"),
            Verdict("passed", "99.6 %", "at least 99 %", 401),
        ),
        (
            "during",
            check("breaker", "breaker: dependency vector-db, becomes open, within 5s"),
            Verdict("passed", "opened after 1.4 s", "open within 5 s", 1),
        ),
        (
            "during",
            check("degradation", "degradation: at-least 1, share 95%"),
            Verdict("passed", "97.5 %", "level 1 or above in at least 95 %", 399),
        ),
        ("during", check("disclosed", "disclosed: share 100%"), Verdict("passed", "100 %", "100 %", 390)),
        (
            "after",
            check("breaker", "breaker: dependency vector-db, becomes closed, within 15s"),
            Verdict("passed", "closed after 6.2 s", "closed within 15 s", 1),
        ),
        (
            "after",
            check("recovered", "recovered: ttft-p95 500ms, availability 99.9%, within 15s"),
            Verdict("passed", "after 6.5 s", "within 15 s", 598, "Everything stayed within its limits from 36.5 s on."),
        ),
        (
            "steady-state after",
            check("availability", "availability: at-least 99.9%"),
            Verdict("passed", "100 %", "at least 99.9 %", 201),
        ),
        (
            "steady-state after",
            check("ttft", "ttft: p95 500ms"),
            Verdict("passed", "p95 271 ms", "p95 at most 500 ms", 201),
        ),
    ]
    return tuple(Judged(*row) for row in rows)


def told(
    *,
    seed: int = 7,
    rate: float = 20.0,
    duration: float = 60.0,
    fault: bool = True,
    error: Callable[[float], str | None] = lambda at: None,
    judgement: Judgement | None = None,
    **changes: object,
) -> Told:
    draw = random.Random(seed)
    recording = Recording()
    at, number = draw.expovariate(rate), 0
    while at < duration and rate < 1e6:
        recording.add_request(request(number, at, draw, error=error(at)))
        at, number = at + draw.expovariate(rate), number + 1
    for name in ("vector-db", "cache", "embedding", "llm-primary", "llm-secondary"):
        recording.add_transition(Transition(0.0, name, None, "closed"))
    recording.add_event(Event(0.0, "phase", "steady state"))
    if fault:
        recording.add_event(Event(10.0, "phase", "method"))
        recording.add_event(Event(min(OFF, duration - 3), "phase", "recovery"))
        recording.add_fault(
            FaultSpan(
                0,
                "partition",
                "partition gateway → vector-db",
                ON,
                min(OFF, duration - 3),
                Proof(
                    True,
                    "41.2 KiB went in at the gateway's side and nothing came out: 63 connections were swallowed.",
                    {"swallowed_bytes": 42189.0, "forwarded_bytes": 0.0, "connections": 63.0},
                ),
            )
        )
        for when, old, new, reason in (
            (OPENED, "closed", "open", "5 consecutive failures"),
            (26.45, "open", "half-open", "recovery time is over"),
            (27.60, "half-open", "open", "a trial call failed"),
            (34.9, "open", "half-open", "recovery time is over"),
            (CLOSED, "half-open", "closed", "3 trial calls succeeded"),
        ):
            if when < duration:
                recording.add_transition(Transition(when, "vector-db", old, new, reason))
    recording.add_event(Event(duration - 2, "note", "steady state judged again"))
    for when in range(0, int(duration), 5):
        recording.add_sample(Sample(when, "host", "memory_bytes", (), 4.1e8 + 1e6 * when))
        recording.add_sample(Sample(when, "host", "processes", (), 9.0))
    info = RunInfo(
        title="The assistant keeps answering while its vector database is unreachable",
        experiment_source=TEXT,
        experiment_file="vector_db_partition.yaml",
        target="embedded",
        seed=seed,
        scale=1.0,
        started_at=1_767_225_600.0,
        duration=duration,
        command=("chaos", "run", "experiments/vector_db_partition.yaml", "--seed", str(seed)),
        environment={"brownout": "0.1.0", "python": "3.11.7", "processors": "8"},
    )
    return Told(
        info,
        experiment(**changes),
        recording,
        judgement or Judgement("passed", verdicts(), (), end=duration),
    )


def failed() -> Told:
    """The breaker is set too lazily: a third of the users get errors while the database is away."""
    judged = list(verdicts())
    judged[3] = replace(
        judged[3],
        verdict=Verdict(
            "failed", "71.8 %", "at least 99 %", 401, "113 of 401 requests failed, 113 of them with retrieval_timeout."
        ),
    )
    judged[7] = replace(
        judged[7],
        verdict=Verdict(
            "inconclusive", "–", "closed within 15 s", 0, "The breaker never opened, so it could not close."
        ),
    )
    outcome = Judgement("failed", tuple(judged), ("during: availability: at-least 99%: 71.8 %",), end=60.0)
    draw = random.Random(3)
    found = told(
        error=lambda at: "retrieval_timeout" if ON <= at < OFF and draw.random() < 0.28 else None, judgement=outcome
    )
    cross_checked(found.recording, "sum(rate(requests_total[$window]))")
    return found


def cross_checked(recording: Recording, query: str) -> None:
    """A Prometheus beside the run that sees fewer errors than the load, and knows nothing of the whole run."""
    said = {"request-rate": (19.8, 19.0, 20.0), "error-share": (0.0, 0.1, 0.0), "ttft-p95": (0.26, 0.26, 0.26)}
    for figure, values in said.items():
        bucket = {"low": "0.2", "high": "0.3"} if figure == "ttft-p95" else {}
        for stretch, value in zip(STRETCHES, (*values, math.nan), strict=True):
            labels = {"query": query, "stretch": stretch} | bucket
            recording.add_sample(Sample(59.0, SOURCE, figure, tuple(sorted(labels.items())), value))


def inconclusive() -> Told:
    reason = "partition gateway → vector-db: no fault was injected"
    return told(fault=False, judgement=Judgement("inconclusive", verdicts()[:2], (reason,), errors=(reason,), end=60.0))


def aborted() -> Told:
    """Everything fails once the fault is on, and a guard ends it."""
    why = "availability: below 50%: 31 % over the last 5 s"
    base = told(
        duration=19.2,
        error=lambda at: "upstream_unavailable" if at > 11 else None,
        judgement=Judgement("aborted", verdicts()[:3], (why,), aborted=why, end=19.2),
    )
    base.recording.add_event(Event(16.1, "abort", why))
    return base


def nothing() -> Told:
    """The load never got going."""
    why = "the load could not be offered: no question set"
    return told(rate=1e9, judgement=Judgement("inconclusive", (), (why,), errors=(why,), end=60.0))


def all_errors() -> Told:
    why = "no steady state to start from: steady-state before: availability: at-least 99.9%: 0 %"
    no_answers = Judged(
        "steady-state before",
        check("availability", "availability: at-least 99.9%"),
        Verdict("failed", "0 %", "at least 99.9 %", 191),
    )
    return told(error=lambda at: "ConnectError", judgement=Judgement("inconclusive", (no_answers,), (why,), end=60.0))


HOSTILE = (
    '</title></style><script>alert(1)</script><img src="https://evil.test/x" onerror=alert(1)>'
    " \"' & \x00\x1b[31m\x07 \ud800 \u202e {{ 7*7 }} ]]> [bold]"
)


def hostile() -> Told:
    """Whatever comes from a file or from the stack is an attack."""
    base = told(
        title=HOSTILE,
        hypothesis=HOSTILE,
        source=HOSTILE,
        method=(Step(0, "partition", {}, Duration(10.0), Duration(20.0), HOSTILE, HERE),),
        error=lambda at: HOSTILE if at > 50 else None,
        judgement=Judgement(
            "failed",
            (Judged("during", check("x", HOSTILE), Verdict("failed", HOSTILE, HOSTILE, 3, HOSTILE)),),
            (HOSTILE,),
            end=60.0,
        ),
    )
    base.recording.add_fault(FaultSpan(0, "partition", HOSTILE, ON, OFF, Proof(False, HOSTILE, {HOSTILE: 1.0})))
    base.recording.add_event(Event(40.0, "error", HOSTILE))
    cross_checked(base.recording, HOSTILE)
    base.recording.add_transition(Transition(41.0, HOSTILE, "closed", HOSTILE, HOSTILE))
    info = replace(base.info, title=HOSTILE, target=HOSTILE, command=(HOSTILE,), environment={HOSTILE: HOSTILE})
    return replace(base, info=info)


MADE: dict[str, Callable[[], Told]] = {
    "passed": told,
    "failed": failed,
    "inconclusive": inconclusive,
    "aborted": aborted,
    "nothing": nothing,
    "all_errors": all_errors,
    "hostile": hostile,
}


@pytest.fixture
def made() -> dict[str, Callable[[], Told]]:
    """Runs of every kind, by name."""
    return MADE
