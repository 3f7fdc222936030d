"""The recorded history of a run, and the windows that probes judge."""

from brownout.evidence.knowledge import Knowledge
from brownout.evidence.model import (
    Event,
    FaultSpan,
    KnownDocument,
    KnownQuestion,
    Outcome,
    Proof,
    Request,
    Sample,
    Transition,
    Write,
)
from brownout.evidence.recording import Recording, Row, Sink
from brownout.evidence.requests import Requests, derived
from brownout.evidence.window import Window

__all__ = [
    "Event",
    "FaultSpan",
    "Knowledge",
    "KnownDocument",
    "KnownQuestion",
    "Outcome",
    "Proof",
    "Recording",
    "Request",
    "Requests",
    "Row",
    "Sample",
    "Sink",
    "Transition",
    "Window",
    "Write",
    "derived",
]
