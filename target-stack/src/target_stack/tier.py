"""The tiers of callers, in the order in which they are served; they are shed in the reverse one."""

from typing import Literal, get_args

__all__ = ["TIERS", "Tier"]

Tier = Literal["enterprise", "pro", "free"]
TIERS: tuple[Tier, ...] = get_args(Tier)
