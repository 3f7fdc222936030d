"""How long one step of the engine takes: a fixed part, a part for each prompt token, a part for each sequence.

Decoding is bound by reading the weights, once a step whatever the batch; prefill by arithmetic, once a prompt token.
So a long prompt makes everyone who decodes wait, and a fuller batch costs each of them little, as on a GPU.
"""

import math
import random
from dataclasses import dataclass

from target_stack.inference.scheduler import Step
from target_stack.settings import Settings

__all__ = ["Pace"]

SIGMA = 0.1
"""Spread of a step's lognormal duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Medians, in seconds."""

    step: float
    prompt_token: float
    sequence: float

    @classmethod
    def from_settings(cls, settings: Settings) -> "Pace":
        """Return the pace that the settings describe."""
        return cls(
            step=settings.number("inference.step-time"),
            prompt_token=settings.number("inference.prefill-time"),
            sequence=settings.number("inference.decode-time"),
        )

    def duration(self, step: Step, source: random.Random) -> float:
        """Return how long this step takes, in seconds."""
        sequences = len(step.prefill) + len(step.decode)
        median = self.step + step.prefill_tokens * self.prompt_token + sequences * self.sequence
        return median * math.exp(source.gauss(0, SIGMA))
