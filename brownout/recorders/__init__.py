"""What is written down while a run lasts, besides the requests: breakers, metrics, links, services, GPUs."""

from brownout.recorders.all import recorders_of
from brownout.recorders.breaker_gauges import follow_breaker_gauge
from brownout.recorders.breakers import follow_breakers
from brownout.recorders.gpus import follow_gpus
from brownout.recorders.links import follow_links, follow_usage
from brownout.recorders.prometheus import follow_metrics
from brownout.recorders.promql import follow_promql
from brownout.recorders.services import Presence, follow_services

__all__ = [
    "Presence",
    "follow_breaker_gauge",
    "follow_breakers",
    "follow_gpus",
    "follow_links",
    "follow_metrics",
    "follow_promql",
    "follow_services",
    "follow_usage",
    "recorders_of",
]
