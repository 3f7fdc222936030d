"""Recorded rows made up for tests, and Hypothesis's ways to make many."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from brownout.evidence import (
    Event,
    FaultSpan,
    KnownDocument,
    KnownQuestion,
    Proof,
    Recording,
    Request,
    Requests,
    Sample,
    Transition,
    Window,
    Write,
)
from brownout.evidence.store import RunInfo

FINITE = st.floats(min_value=0, max_value=1e6, allow_nan=False)
MOMENTS = st.integers(0, 300).map(lambda tenths: tenths / 10)
"""Few enough that two rows often share one."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
COUNTS = st.integers(0, 2**40)


def request(id: int = 0, intended: float = 0.0, **changes: Any) -> Request:  # noqa: A002 - the field's name
    """A fresh, complete answer: first token after 0.1 s, end after 0.5 s. `ttft` and `total` set the moments."""
    ttft, total = changes.pop("ttft", 0.1), changes.pop("total", 0.5)
    values: dict[str, Any] = {
        "sent": intended,
        "first_token": None if ttft is None else intended + ttft,
        "done": None if total is None else intended + total,
        "outcome": "ok",
        "status": 200,
        "error": None,
        "error_source": None,
        "question": "q-1",
        "tenant": "meridian-bank",
        "tier": "pro",
        "policy": "balanced",
        "stream": True,
        "level": 0,
        "retrieval": "dense+keyword",
        "retrieval_quality": "high",
    }
    return Request(id, intended, **(values | changes))


def evenly(count: int, *, start: float = 0.0, end: float = 10.0, **changes: Any) -> list[Request]:
    """So many alike requests, evenly spread over a stretch."""
    return [request(n, start + n * (end - start) / count, **changes) for n in range(count)]


def window(
    requests: Iterable[Request] = (),
    *,
    start: float = 0.0,
    end: float = 10.0,
    history: Iterable[Transition] = (),
    samples: Iterable[Sample] = (),
    **more: Any,
) -> Window:
    """A window with its rows in order, as a recording gives it."""
    ordered = sorted(requests, key=lambda each: (each.intended, each.id))
    changes, scraped = (tuple(sorted(rows, key=lambda each: each.at)) for rows in (history, samples))
    return Window("during", start, end, Requests.of(ordered), changes, scraped, **more)


def info(**changes: Any) -> RunInfo:
    values: dict[str, Any] = {
        "title": "A drill",
        "experiment_source": "title: A drill\n",
        "experiment_file": "drill.yaml",
        "target": "embedded",
        "seed": 7,
        "scale": 1.0,
        "started_at": 1_700_000_000.25,
        "duration": 60.0,
        "command": ("chaos", "run", "drill.yaml"),
        "environment": {"python": "3.11.7"},
        "settings": {"fallbacks": False, "vector-db.timeout": 0.5},
    }
    return RunInfo(**(values | changes))


@st.composite
def requests(draw: st.DrawFn, id: int) -> Request:  # noqa: A002 - the field's name
    outcome = draw(st.sampled_from(["ok", "error", "timeout", "cut", "refused"]))
    return request(
        id,
        draw(MOMENTS),
        ttft=draw(st.none() | FINITE),
        total=draw(FINITE),
        outcome=outcome,
        status=draw(st.none() | st.integers(100, 599)),
        error=draw(st.none() | TEXTS),
        error_source=draw(st.sampled_from([None, "provider", "own_system", "rate_limit"])),
        question=draw(TEXTS),
        stream=draw(st.booleans()),
        load=draw(st.sampled_from([None, "quiet", "spike"])),
        retry_after=draw(st.none() | FINITE),
        request_id=draw(st.none() | TEXTS),
        model=draw(st.none() | TEXTS),
        provider=draw(st.none() | TEXTS),
        level=draw(st.none() | st.integers(0, 4)),
        retrieval=draw(st.sampled_from([None, "dense+keyword", "cached", "keyword", "none"])),
        retrieval_quality=draw(st.sampled_from([None, "high", "medium", "low", "none"])),
        cache_used=draw(st.none() | st.booleans()),
        cache_age=draw(st.none() | FINITE),
        warnings=tuple(draw(st.lists(TEXTS, max_size=2))),
        citations=tuple(draw(st.lists(TEXTS, max_size=2))),
        claims=draw(st.none() | COUNTS),
        claims_supported=draw(st.none() | COUNTS),
        prompt_tokens=draw(st.none() | COUNTS),
        completion_tokens=draw(st.none() | COUNTS),
        tpot=draw(st.none() | FINITE),
        cost=draw(st.none() | FINITE),
        attempts=draw(st.dictionaries(TEXTS, COUNTS, max_size=2)),
    )


STATES = st.sampled_from(["closed", "open", "half-open"])
TRANSITIONS = st.builds(
    Transition, MOMENTS, st.sampled_from(["vector-db", "cache"]), st.none() | STATES, STATES, reason=TEXTS
)
SAMPLES = st.builds(
    Sample, MOMENTS, TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=2).map(lambda it: tuple(it.items())), FINITE
)
EVENTS = st.builds(Event, MOMENTS, st.sampled_from(["phase", "abort", "error", "note"]), TEXTS)
DOCUMENTS = st.builds(KnownDocument, TEXTS, TEXTS)
QUESTIONS = st.builds(KnownQuestion, TEXTS, TEXTS, st.lists(TEXTS, max_size=2).map(tuple))
WRITES = st.builds(
    Write,
    st.integers(1, 2**31),
    TEXTS,
    TEXTS,
    MOMENTS,
    MOMENTS,
    FINITE,
    st.sampled_from(["acknowledged", "refused", "timeout", "unanswered"]),
    error=st.none() | TEXTS,
    copies=st.none() | st.integers(0, 3),
)
PROOFS = st.builds(Proof, st.booleans(), TEXTS, st.dictionaries(TEXTS, FINITE, max_size=2))


@st.composite
def fill(draw: st.DrawFn) -> list[Any]:
    """Rows of every kind, in an order in which they might arrive."""
    rows: list[Any] = [draw(requests(id_)) for id_ in range(draw(st.integers(0, 12)))]
    rows += draw(st.lists(TRANSITIONS | SAMPLES | EVENTS, max_size=12))
    rows += draw(st.lists(DOCUMENTS | QUESTIONS, max_size=3))
    rows += draw(st.lists(WRITES, max_size=4, unique_by=lambda write: write.number))
    rows += [
        FaultSpan(index, "partition", f"partition {index}", draw(MOMENTS), draw(st.none() | MOMENTS))
        for index in range(draw(st.integers(0, 2)))
    ]
    return draw(st.permutations(rows))


def record(recording: Recording, row: Any, proof: Proof | None = None) -> None:
    """Add a row as a run adds it: a fault is on, then off."""
    match row:
        case Request():
            recording.request_started(row.id, row.intended, tier=row.tier, load=row.load)
            recording.add_request(row)
        case Transition():
            recording.add_transition(row)
        case Sample():
            recording.add_sample(row)
        case Event():
            recording.add_event(row)
        case KnownDocument():
            recording.know([row], [])
        case KnownQuestion():
            recording.know([], [row])
        case Write():
            # It is told again when it is counted.
            recording.add_write(replace(row, copies=None))
            recording.add_write(row)
        case FaultSpan():
            recording.fault_on(row.index, row.fault, row.title, row.on)
            if row.off is not None:
                recording.fault_off(row.index, row.off, proof)


def contents(recording: Recording) -> tuple[object, ...]:
    """Everything in it, to compare."""
    return (
        recording.requests,
        recording.transitions,
        recording.samples,
        recording.events,
        recording.faults,
        recording.documents,
        recording.questions,
        recording.writes,
    )
