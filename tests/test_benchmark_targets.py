"""The benchmark compares within rounds, and says of each target whether it was reached."""

from benchmarks.proxy.report import comparison
from benchmarks.proxy.targets import Target, ratios, verdict

FIGURES = {"bulk MB/s": {"brownout": [200.0, 90.0, 30.0], "toxiproxy": [100.0, 30.0, 20.0]}}


def test_a_ratio_is_that_of_one_round() -> None:
    assert ratios(FIGURES, "bulk MB/s", "brownout") == [2.0, 3.0, 1.5]


def test_there_is_no_ratio_to_what_was_not_measured() -> None:
    assert ratios(FIGURES, "bulk MB/s", "haproxy") == []
    assert ratios({"bulk MB/s": {"brownout": [1.0]}}, "bulk MB/s", "brownout") == []


def test_the_median_decides_and_the_rounds_are_counted() -> None:
    assert verdict(Target("bulk MB/s", 2.0, at_least=True), [2.0, 3.0, 1.5]) == "reached (2 of 3 rounds)"
    assert verdict(Target("lateness", 1.0, at_least=False), [2.0, 3.0, 0.5]) == "missed (1 of 3 rounds)"


def test_the_target_stands_beside_the_ratio() -> None:
    row = comparison(FIGURES, ["toxiproxy", "brownout"]).splitlines()[1]
    assert row.split() == ["bulk", "MB/s", "2.00", "(1.50–3.00)", "≥", "2.00", "reached", "(2", "of", "3", "rounds)"]


def test_without_toxiproxy_nothing_is_compared() -> None:
    assert comparison(FIGURES, ["direct", "brownout"]) == ""
