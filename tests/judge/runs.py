"""Made-up runs of the shipped experiment, written and recorded as a real one is."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from brownout import registry
from brownout.evidence import Proof, Recording, Request, Transition
from brownout.evidence.store import EvidenceWriter
from brownout.experiment import Experiment
from brownout.judge import Judgement, judge
from brownout.reader import parse_experiment
from tests.evidence.making import info, request

ROOT = Path(__file__).parents[2]
SOURCE = (ROOT / "experiments" / "vector_db_partition.yaml").read_text("utf-8")
FILE = "vector_db_partition.yaml"
PROVED = Proof(works=True, summary="9 connections, 12 kB swallowed", figures={"swallowed_bytes": 12_288.0})

DEGRADED: dict[str, Any] = {
    "level": 1,
    "retrieval": "cached",
    "retrieval_quality": "medium",
    "warnings": ("Document search is unavailable.",),
}


def shipped(scale: float = 1.0) -> Experiment:
    return parse_experiment(SOURCE, file=FILE).scaled(scale)


def record_run(
    recording: Recording,
    *,
    scale: float = 1.0,
    proof: Proof | None = PROVED,
    fault: bool = True,
    seed: int = 7,
    **degraded: Any,
) -> None:
    """A run in which all goes as the shipped experiment expects; `degraded` changes the answers while broken."""
    draw = random.Random(seed)
    experiment = shipped(scale)
    on, off = experiment.first_fault + 0.02, experiment.last_heal + 0.04
    opened, closed = on + 1.4 * scale, off + 6.2 * scale
    at, number = 0.0, 0
    recording.add_transition(Transition(0.0, "vector-db", None, "closed"))
    if fault:
        recording.fault_on(0, "partition", "partition gateway → vector-db", on)
        recording.add_transition(Transition(opened, "vector-db", "closed", "open", "5 consecutive failures"))
    while (at := at + draw.expovariate(20.0 / scale)) < experiment.duration:
        number += 1
        recording.add_request(answer(number, at, broken=fault and on <= at < closed, late=at >= opened, **degraded))
    if fault:
        recording.fault_off(0, off, proof)
        recording.add_transition(Transition(closed - 0.1, "vector-db", "open", "half-open", "recovery time is over"))
        recording.add_transition(Transition(closed, "vector-db", "half-open", "closed", "3 probes succeeded"))


def answer(number: int, at: float, *, broken: bool, late: bool, **degraded: Any) -> Request:
    calls = {"llm-primary": 1} if broken and late else {"vector-db": 1, "llm-primary": 1}
    healthy = request(number, at, ttft=0.12, total=0.6, attempts=calls)
    return replace(healthy, **(DEGRADED | degraded)) if broken else healthy


def judged(
    recording: Recording, *, scale: float = 1.0, aborted: str | None = None, errors: tuple[str, ...] = ()
) -> Judgement:
    experiment = shipped(scale)
    return judge(
        experiment,
        recording,
        probes=registry.probes().get,
        aborted=aborted,
        errors=errors,
        end=experiment.duration,
    )


def write_run(
    folder: Path, *, scale: float = 1.0, closed: bool = True, source: str = SOURCE, **options: Any
) -> Judgement:
    """A run folder's evidence, and the judgement that is in it."""

    async def write() -> Judgement:
        about = info(experiment_source=source, experiment_file=FILE, scale=scale, duration=60.0 * scale)
        async with EvidenceWriter(folder / "evidence.sqlite", about) as writer:
            recording = Recording(writer)
            record_run(recording, scale=scale, **options)
            judgement = judged(recording, scale=scale)
            if closed:
                await writer.close(judgement)
        return judgement

    return asyncio.run(write())
