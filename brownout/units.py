"""Quantities as people write them: `500ms`, `20/s`, `64MiB`, `99%`.

The new types double as annotations: a fault or probe that takes a `Latency` is validated, documented and
described in the JSON Schema from that alone.

Two of them are times, and the difference matters when a run is scaled (`--scale 0.2`):

* `Duration` is a span on the run's own clock (when a fault starts, how long recovery may take). It scales.
* `Latency` is something measured on or put on the wire (a TTFT, an injected delay). It never scales.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NewType

Duration = NewType("Duration", float)
"""Seconds on the run's clock; scales with the run."""
Latency = NewType("Latency", float)
"""Seconds on the wire; never scales."""
Rate = NewType("Rate", float)
"""Events per second."""
Size = NewType("Size", int)
"""Bytes."""
Bandwidth = NewType("Bandwidth", float)
"""Bytes per second."""
Share = NewType("Share", float)
"""A part of one: 0.0 to 1.0, written as a percentage."""

TIME_UNITS: Mapping[str, float] = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
RATE_UNITS: Mapping[str, float] = {"s": 1.0, "m": 1 / 60, "min": 1 / 60, "h": 1 / 3600}
SIZE_UNITS: Mapping[str, int] = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}

_QUANTITY = re.compile(r"\s*(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*(?P<unit>[^\d\s.+-].*?)?\s*")
_LONGEST = 64


class UnitError(ValueError):
    """A quantity that cannot be read. The message says what is allowed; the caller adds where it stood."""

    def __init__(self, problem: str, *, allowed: Sequence[str] = ()) -> None:
        self.allowed = tuple(allowed)
        """The whole list, where there is one that the message does not already give."""
        super().__init__(problem)


def _split(text: object, *, example: str) -> tuple[float, str]:
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        msg = f"expected a quantity such as {example}"
        raise UnitError(msg)
    quantity = str(text)
    match = _QUANTITY.fullmatch(quantity) if len(quantity) <= _LONGEST else None
    if match is None:
        msg = f"expected a number with its unit, such as {example}"
        raise UnitError(msg)
    unit = match["unit"] or ""
    if not unit:
        msg = f"a bare number needs its unit, such as {example}"
        raise UnitError(msg)
    # Adding zero turns -0 into 0, which nobody means to write or to read.
    return float(match["number"]) + 0.0, unit


def _unit(unit: str, units: Mapping[str, float], *, example: str) -> float:
    if unit not in units:
        msg = f"unknown unit {unit!r}; allowed: {', '.join(units)} (such as {example})"
        raise UnitError(msg)
    return units[unit]


def parse_seconds(text: object) -> float:
    """`500ms`, `20s`, `1.5m`, `2h` → seconds. Never negative, at most 366 days.

    Raises:
        UnitError: no unit, an unknown one, a negative or an absurd value.
    """
    number, unit = _split(text, example="500ms, 20s or 5m")
    seconds = number * _unit(unit, TIME_UNITS, example="500ms, 20s or 5m")
    if seconds < 0:
        msg = "a time cannot be negative"
        raise UnitError(msg)
    if seconds > 366 * 86400:
        msg = "a time of more than a year is surely a mistake"
        raise UnitError(msg)
    return seconds


def parse_rate(text: object) -> Rate:
    """`20/s`, `1200/m` → events per second, above 0 and at most 100 000.

    Raises:
        UnitError: not a rate, or out of that range.
    """
    example = "20/s or 1200/m"
    number, unit = _split(text, example=example)
    if not unit.startswith("/"):
        msg = f"expected a rate such as {example}"
        raise UnitError(msg)
    rate = number * _unit(unit[1:].strip(), RATE_UNITS, example=example)
    if not 0 < rate <= 100_000:
        msg = "a rate must be above 0 and at most 100000/s"
        raise UnitError(msg)
    return Rate(rate)


def parse_size(text: object) -> Size:
    """`64MiB`, `10kB` → bytes. Never negative.

    Raises:
        UnitError: no unit, an unknown one, a negative value, or more than 1024 TiB.
    """
    example = "64MiB or 10kB"
    number, unit = _split(text, example=example)
    size = number * _unit(unit, SIZE_UNITS, example=example)
    if not 0 <= size <= 2**50:
        msg = "a size must be between 0 and 1024 TiB"
        raise UnitError(msg)
    return Size(int(size))


def parse_bandwidth(text: object) -> Bandwidth:
    """`64kB/s`, `1.5MB/s` → bytes per second, above 0 and at most 1 TiB/s.

    Raises:
        UnitError: not a size per second, or out of that range.
    """
    example = "64kB/s or 1.5MB/s"
    number, unit = _split(text, example=example)
    size, slash, second = unit.partition("/")
    if not slash or second.strip() != "s":
        msg = f"expected a size per second such as {example}"
        raise UnitError(msg)
    bandwidth = number * _unit(size.strip(), SIZE_UNITS, example=example)
    if not 0 < bandwidth <= 2**40:
        msg = "a bandwidth must be above 0 and at most 1 TiB/s"
        raise UnitError(msg)
    return Bandwidth(bandwidth)


def parse_share(text: object) -> Share:
    """`99%`, `99.9 %` → 0.0 to 1.0.

    Raises:
        UnitError: no percent sign, or not between 0 % and 100 %.
    """
    example = "99% or 0.1%"
    number, unit = _split(text, example=example)
    if unit != "%":
        msg = f"expected a percentage such as {example}"
        raise UnitError(msg)
    if not 0 <= number <= 100:
        msg = "a share lies between 0% and 100%"
        raise UnitError(msg)
    # Through a decimal rounding, so that 99.9% is the same float as 0.999.
    return Share(round(number / 100, 12))


def format_seconds(seconds: float) -> str:
    """Seconds for people: `1.4 s`, `85 ms`, `2 min 5 s`."""
    if seconds < 0:
        return "-" + format_seconds(-seconds)
    if seconds == 0:
        return "0 s"
    # Each bound lies where rounding would reach the next unit: never `1000 ms`.
    if seconds < 999.5e-6:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"
    if seconds < 119.5:
        return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def format_share(share: float) -> str:
    """A share for people: `99.6 %`. Never rounds up to 100 % or down to 0 %: those two are claims."""
    percent = share * 100
    if percent in (0.0, 100.0):
        return f"{percent:.0f} %"
    for digits in (1, 2, 3):
        text = f"{percent:.{digits}f}"
        if float(text) not in (0.0, 100.0):
            return f"{text} %"
    return "> 99.999 %" if percent > 50 else "< 0.001 %"


def format_size(size: float) -> str:
    """Bytes for people, in binary units: `64 MiB`."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{_three_digits(value)} {unit}"
        value /= 1024
    return f"{_three_digits(value)} TiB"


def _three_digits(value: float) -> str:
    """At least three digits and never an exponent: `1.5`, `64`, `1020`."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
