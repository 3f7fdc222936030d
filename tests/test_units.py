"""Quantities carry their unit, mean one thing, and are shown without a claim that they do not make."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.units import (
    UnitError,
    format_seconds,
    format_share,
    format_size,
    parse_bandwidth,
    parse_rate,
    parse_seconds,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("20s", 20),
        (" 1.5 m ", 90),
        ("2min", 120),
        ("2h", 7200),
        ("250us", 250e-6),
        ("250µs", 250e-6),
        (".5s", 0.5),
        ("+1.s", 1),
        ("0s", 0),
        ("366h", 366 * 3600),
    ],
)
def test_times_become_seconds(text: str, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds)


def test_a_negative_zero_is_zero() -> None:
    assert math.copysign(1, parse_seconds("-0s")) == 1
    assert math.copysign(1, parse_share("-0%")) == 1


@pytest.mark.parametrize(("text", "rate"), [("20/s", 20), ("1200/m", 20), ("1200/min", 20), ("36 / h", 0.01)])
def test_rates_become_events_per_second(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize(("text", "size"), [("64MiB", 64 * 2**20), ("10kB", 10_000), ("1.5 KiB", 1536), ("0B", 0)])
def test_sizes_become_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "rate"), [("64kB/s", 64_000), ("1.5 MiB / s", 1.5 * 2**20), ("10B/s", 10)])
def test_bandwidths_become_bytes_per_second(text: str, rate: float) -> None:
    assert parse_bandwidth(text) == rate


@pytest.mark.parametrize("text", ["64kB", "64/s", "64kB/m", "0kB/s", "2000GiB/s", "64 kbit/s"])
def test_what_is_no_bandwidth_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match=r"bandwidth|per second|unknown unit"):
        parse_bandwidth(text)


@pytest.mark.parametrize(("text", "share"), [("99%", 0.99), ("99.9 %", 0.999), ("0%", 0.0), ("100%", 1.0)])
def test_percentages_become_exact_shares(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("parse", [parse_seconds, parse_rate, parse_size, parse_bandwidth, parse_share])
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "5",
        5,
        0,
        5.0,
        True,
        None,
        [],
        "s",
        "five s",
        "1,5s",
        "1e3s",
        "1 2s",
        "--1s",
        "nan",
        "inf",
        "١s",
        "5s\n5s",
    ],
)
def test_what_is_no_quantity_is_refused_with_an_example(parse: object, value: object) -> None:
    assert callable(parse)
    with pytest.raises(UnitError, match="such as"):
        parse(value)


@pytest.mark.parametrize(
    ("parse", "text", "why"),
    [
        (parse_seconds, "5", "a bare number needs its unit, such as 500ms, 20s or 5m"),
        (parse_seconds, "5sec", "unknown unit 'sec'; allowed: us, µs, ms, s, m, min, h"),
        (parse_seconds, "5S", "unknown unit 'S'"),
        (parse_seconds, "-5s", "cannot be negative"),
        (parse_seconds, "8785h", "more than a year"),
        (parse_seconds, "1:30", "unknown unit ':30'"),
        (parse_seconds, "1_000s", "unknown unit '_000s'"),
        (parse_rate, "5s", "expected a rate such as 20/s"),
        (parse_rate, "5/d", "unknown unit 'd'"),
        (parse_rate, "0/s", "above 0"),
        (parse_rate, "-1/s", "above 0"),
        (parse_rate, "100001/s", "at most 100000/s"),
        (parse_size, "5Mb", "unknown unit 'Mb'"),
        (parse_size, "-1B", "between 0 and 1024 TiB"),
        (parse_size, "9999999GiB", "between 0 and 1024 TiB"),
        (parse_share, "0.99", "needs its unit, such as 99%"),
        (parse_share, "99 percent", "expected a percentage such as 99%"),
        (parse_share, "100.1%", "between 0% and 100%"),
        (parse_share, "-1%", "between 0% and 100%"),
        (parse_seconds, "1s" + " " * 70 + "x", "expected a number with its unit"),
        (parse_seconds, "9" * 400 + "s", "expected a number with its unit"),
    ],
)
def test_what_is_wrong_with_a_quantity_is_said(parse: object, text: str, why: str) -> None:
    assert callable(parse)
    with pytest.raises(UnitError) as caught:
        parse(text)
    assert why in str(caught.value)


@given(st.text(max_size=80) | st.integers() | st.floats() | st.none() | st.booleans())
def test_any_value_is_a_quantity_or_a_unit_error(value: object) -> None:
    for parse in (parse_seconds, parse_rate, parse_size, parse_share):
        try:
            assert math.isfinite(parse(value))
        except UnitError:
            continue


@given(st.integers(0, 500_000), st.sampled_from(["us", "ms", "s", "m"]))
def test_a_written_time_is_read_back(number: int, unit: str) -> None:
    scale = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]
    assert parse_seconds(f"{number}{unit}") == pytest.approx(number * scale)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.00025, "250 µs"),
        (0.085, "85 ms"),
        (0.0123, "12.3 ms"),
        (0.5, "500 ms"),
        (1.4, "1.4 s"),
        (20, "20 s"),
        (65, "65 s"),
        (119, "119 s"),
        (125, "2 min 5 s"),
        (180, "3 min"),
        (-1.5, "-1.5 s"),
        (0.9999, "1 s"),
        (0.0009999, "1 ms"),
        (119.7, "2 min"),
    ],
)
def test_times_are_shown_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100 %"),
        (0.0, "0 %"),
        (0.996, "99.6 %"),
        (0.5, "50.0 %"),
        (0.99996, "99.996 %"),
        (0.9999999, "> 99.999 %"),
        (0.0000001, "< 0.001 %"),
    ],
)
def test_shares_are_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert format_share(share) == text


@given(st.floats(0, 1))
def test_only_all_is_shown_as_all_and_only_nothing_as_nothing(share: float) -> None:
    assert (format_share(share) == "100 %") == (share * 100 == 100)
    assert (format_share(share) == "0 %") == (share * 100 == 0)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1020 * 1024, "1020 KiB"),
        (64 * 2**20, "64 MiB"),
        (5 * 2**40, "5 TiB"),
        (2**50, "1024 TiB"),
    ],
)
def test_sizes_are_shown_in_binary_units(size: int, text: str) -> None:
    assert format_size(size) == text
