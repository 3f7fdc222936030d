"""Consistency policy: how much staleness and how small a model a request accepts."""

from dataclasses import dataclass
from typing import Literal

from target_stack.settings import Settings

__all__ = ["AskedPolicy", "Policy", "PolicyName", "policies"]

PolicyName = Literal["strict", "balanced", "available"]
AskedPolicy = PolicyName | Literal["auto"]
"""What a request may ask for; `auto` is the policy of its use case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a request may be answered with. `max_staleness` is in seconds, None for any age."""

    name: PolicyName
    allow_cached: bool
    require_retrieval: bool
    allow_smaller_model: bool
    max_staleness: float | None

    def accepts_age(self, age: float) -> bool:
        """Return whether something cached `age` seconds ago may be used."""
        return self.allow_cached and (self.max_staleness is None or age <= self.max_staleness)


def policies(settings: Settings) -> dict[PolicyName, Policy]:
    """Return the three policies by name."""
    strict = Policy(
        name="strict", allow_cached=False, require_retrieval=True, allow_smaller_model=False, max_staleness=0.0
    )
    balanced = Policy(
        name="balanced",
        allow_cached=True,
        require_retrieval=False,
        allow_smaller_model=True,
        max_staleness=settings.number("balanced.max-staleness"),
    )
    available = Policy(
        name="available", allow_cached=True, require_retrieval=False, allow_smaller_model=True, max_staleness=None
    )
    return {"strict": strict, "balanced": balanced, "available": available}
