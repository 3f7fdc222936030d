"""The recorded history of a run, and the windows that probes judge."""

from brownout.evidence.model import Event, FaultSpan, Outcome, Proof, Request, Sample, Transition
from brownout.evidence.recording import Recording, Row, Sink
from brownout.evidence.window import Window

__all__ = [
    "Event",
    "FaultSpan",
    "Outcome",
    "Proof",
    "Recording",
    "Request",
    "Row",
    "Sample",
    "Sink",
    "Transition",
    "Window",
]
