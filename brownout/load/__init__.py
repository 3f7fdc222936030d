"""Open-loop load: questions asked when they are due, and what became of each."""

from brownout.load.asker import Asker
from brownout.load.generator import arrivals, offer

__all__ = ["Asker", "arrivals", "offer"]
