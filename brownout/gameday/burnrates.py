"""Alerting rules for Prometheus: multi-window, multi-burn-rate, on the reference stack's own metrics.

The alerts are `brownout.slo.ALERTS`, those of Google's Site Reliability Workbook, chapter 5, "Alerting on SLOs"
(https://sre.google/workbook/alerting-on-slos/). For a drill that is shorter than a day, an hour of their windows can be
made to last less; recording rules keep the names of the windows that they stand for. `python -m
brownout.gameday.burnrates` writes the file of the stack's compose setup.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml

from brownout.errors import InvalidInput
from brownout.schema import write_or_check
from brownout.slo import ALERTS, FEWEST, HOUR, LOOKS, Alert
from brownout.units import format_seconds, format_share

FILE = Path(__file__).parents[2] / "target-stack" / "compose" / "burn-rates.yml"
SAMPLES = 4
"""Scrapes that the shortest window must hold: `rate` needs two, and one may be late and one be lost.
https://www.robustperception.io/what-range-should-i-use-with-rate"""


@dataclass(frozen=True, slots=True)
class Indicator:
    """A service level indicator and its objective. PromQL, `$window` standing for a window's length."""

    name: str
    alert: str
    """How the names of its alerts begin."""
    objective: float
    """The share of requests that must be good."""
    bad: str
    """Bad requests a second."""
    of: str
    """All requests a second."""
    what: str
    """What a bad request is, for people."""


INDICATORS: Sequence[Indicator] = (
    Indicator(
        "availability",
        "Availability",
        0.999,
        "(sum(rate(errors_total[$window])) or vector(0))",
        "(sum(rate(requests_total[$window]))"
        " + (sum(rate(rate_limited_total[$window])) or vector(0))"
        ' + (sum(rate(shed_total{reason="backpressure"}[$window])) or vector(0)))',
        "ended in an error",
    ),
    Indicator(
        "first-token",
        "FirstToken",
        0.95,
        '(sum(rate(ttft_seconds_count[$window])) - sum(rate(ttft_seconds_bucket{le="0.5"}[$window])))',
        "sum(rate(ttft_seconds_count[$window]))",
        "waited longer than 500 ms for their first token",
    ),
)
"""The objectives of the reference stack: error rate below 0.1 %, p95 of the time to first token below 500 ms."""
_PACES = ("BurnsFast", "Burns", "BurnsSlowly")
"""How the names of `ALERTS` end."""


def rules(*, hour: float = HOUR, scraped_every: float = 15.0) -> str:
    """A rules file for Prometheus, as YAML.

    Args:
        hour: seconds that an hour of the alerts' windows lasts.
        scraped_every: seconds between two scrapes.

    Raises:
        InvalidInput: the shortest window would not hold enough scrapes for an alert ever to fire.
    """
    shortest = min(alert.short for alert in ALERTS)
    if shortest * hour < SAMPLES * scraped_every:
        least = format_seconds(SAMPLES * scraped_every / shortest)
        msg = (
            f"an hour of {format_seconds(hour)} makes the shortest window {format_seconds(shortest * hour)}: too short"
            f" for {SAMPLES} scrapes, one every {format_seconds(scraped_every)}; it takes {least} at least"
        )
        raise InvalidInput(msg)
    groups = [_group(one, hour) for one in INDICATORS]
    text = yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=10_000)
    return "".join(f"# {line}\n" for line in _head(hour)) + text


def _head(hour: float) -> Sequence[str]:
    told = [
        "Burn rates of the service level objectives, after Google's Site Reliability Workbook, chapter 5.",
        "Written by `chaos gameday rules`: change that, not this.",
    ]
    if hour != HOUR:
        told.append(
            f"For a drill: an hour lasts {format_seconds(hour)} here, so that 5m in a name is really a twelfth of it."
        )
    return told


def _group(indicator: Indicator, hour: float) -> dict[str, Any]:
    windows = sorted({span for alert in ALERTS for span in (alert.short, alert.long)})
    longs = sorted({alert.long for alert in ALERTS})
    found: list[dict[str, Any]] = [
        {
            "record": _share(span),
            "expr": f"{_over(indicator.bad, span, hour)} / {_over(indicator.of, span, hour)}",
            "labels": {"slo": indicator.name},
        }
        for span in windows
    ]
    found += [
        {
            "record": _count(span),
            "expr": f"{_over(indicator.of, span, hour)} * {span * hour:g}",
            "labels": {"slo": indicator.name},
        }
        for span in longs
    ]
    found += [_alert(indicator, alert, pace) for alert, pace in zip(ALERTS, _PACES, strict=True)]
    # As often as the report evaluates them.
    every = min(alert.short for alert in ALERTS) * hour / LOOKS
    return {"name": f"slo-{indicator.name}", "interval": _duration(every), "rules": found}


def _alert(indicator: Indicator, alert: Alert, pace: str) -> dict[str, Any]:
    allowed = 1 - indicator.objective
    limit = f"{alert.burn * allowed:.6g}"
    of = f'{{slo="{indicator.name}"}}'
    goal = format_share(indicator.objective)
    return {
        "alert": f"{indicator.alert}{pace}",
        "expr": f"{_share(alert.long)}{of} > {limit} and {_share(alert.short)}{of} > {limit}"
        f" and {_count(alert.long)}{of} >= {FEWEST}",
        "labels": {"severity": alert.name, "slo": indicator.name},
        "annotations": {
            "summary": f"The error budget of {indicator.name} burns {alert.burn:g} times as fast as it may",
            "description": f"{{{{ $value | humanizePercentage }}}} of the requests of {_named(alert.long)}"
            f" {indicator.what}; the objective of {goal} allows {format_share(allowed)}.",
        },
    }


def _over(query: str, span: float, hour: float) -> str:
    return Template(query).substitute(window=_duration(span * hour))


def _share(span: float) -> str:
    """https://prometheus.io/docs/practices/rules/#naming: level, metric, operations."""
    return f"slo:bad_requests:ratio_rate{_named(span)}"


def _count(span: float) -> str:
    return f"slo:requests:increase{_named(span)}"


def _named(hours: float) -> str:
    """`5m`, `6h`, `3d`: what a window is called, however long it lasts."""
    if hours < 1:
        return f"{round(hours * 60)}m"
    return f"{hours:g}h" if hours < 24 else f"{hours / 24:g}d"


def _duration(seconds: float) -> str:
    """As PromQL writes it."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the rules of the stack's compose setup, which is scraped every second; or, with `--check`, compare."""
    return write_or_check(FILE, rules(), by="brownout.gameday.burnrates", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
