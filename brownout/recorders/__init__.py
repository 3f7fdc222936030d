"""What is written down while a run lasts, besides the requests: breaker transitions, metrics, link counters."""

from brownout.recorders.breakers import follow_breakers
from brownout.recorders.links import follow_links, follow_usage
from brownout.recorders.prometheus import follow_metrics

__all__ = ["follow_breakers", "follow_links", "follow_metrics", "follow_usage"]
