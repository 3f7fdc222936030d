"""Documents that were written: none lost, none twice, and found at once."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Window, Write
from brownout.probes.no_duplicates import no_duplicates
from brownout.probes.no_loss import no_loss
from brownout.probes.read_your_writes import read_your_writes
from brownout.units import Share
from tests.evidence.making import request, window


def write(number: int, *, outcome: Any = "acknowledged", copies: int | None = 1) -> Write:
    return Write(number, f"d-{number}", "acme", number / 4, number / 4, number / 4 + 0.1, outcome, copies=copies)


def written(*others: Write, good: int = 25, **more: Any) -> Window:
    """A window in which so many writes went well, and these others as they did."""
    return window(writes=(*(write(number) for number in range(100, 100 + good)), *others), **more)


def test_acknowledged_writes_that_are_all_there_pass() -> None:
    verdict = no_loss(written())
    assert (verdict.outcome, verdict.figure, verdict.samples) == ("passed", "none of 25 acknowledged writes", 25)


def test_one_acknowledged_write_that_is_missing_fails_and_is_named() -> None:
    verdict = no_loss(written(write(1, copies=0)))
    assert (verdict.outcome, verdict.figure) == ("failed", "1 of 26 acknowledged writes lost")
    assert verdict.why == "first of all d-1, written at 0.2 s"
    assert no_loss(written(write(1, copies=0), good=2)).outcome == "failed"


def test_what_was_not_acknowledged_may_be_missing() -> None:
    lost = [write(number, outcome=outcome, copies=0) for number, outcome in enumerate(("refused", "timeout"))]
    assert no_loss(written(*lost)).outcome == "passed"


def test_a_document_that_is_there_twice_fails_acknowledged_or_not() -> None:
    verdict = no_duplicates(written(write(1, outcome="timeout", copies=2)))
    assert (verdict.outcome, verdict.figure) == ("failed", "1 of 26 writes stored more than once")
    assert no_duplicates(written(write(1, outcome="refused", copies=0))).outcome == "passed"


def test_what_nobody_counted_or_too_little_of_it_tells_nothing() -> None:
    for probe in (no_loss, no_duplicates):
        assert probe(written(write(1, copies=None))).why.endswith("was not counted at the end of the run")
        assert probe(written(good=19)).outcome == "inconclusive"
        assert "at least 20 are needed" in probe(window()).why


@given(copies=st.lists(st.sampled_from([1, 1, 1, 1, 0, 2, None]), min_size=20, max_size=40))
def test_the_verdicts_are_those_of_counting(copies: list[int | None]) -> None:
    rows = written(*(write(number, copies=one) for number, one in enumerate(copies)), good=0)
    expected = "failed" if 0 in copies else "inconclusive" if None in copies else "passed"
    assert no_loss(rows).outcome == expected
    expected = "failed" if 2 in copies else "inconclusive" if None in copies else "passed"
    assert no_duplicates(rows).outcome == expected


def asked(*found: bool, outcome: str = "ok") -> Window:
    """A window in which each write was asked for, and the answer made from it or not."""
    requests = [
        request(
            number, number / 4, question=f"d-{number}", citations=(f"d-{number}",) if hit else ("x",), outcome=outcome
        )
        for number, hit in enumerate(found)
    ]
    others = [request(1000 + number, 0.0, question="q-1") for number in range(30)]
    return window([*requests, *others], writes=tuple(write(number) for number in range(len(found))))


def test_the_share_of_what_was_found_at_once_is_judged_over_answers_about_it() -> None:
    verdict = read_your_writes(asked(*[True] * 30))
    assert (verdict.outcome, verdict.value, verdict.samples) == ("passed", 1.0, 30)
    verdict = read_your_writes(asked(*[True] * 27, False, False, False), share=Share(0.95))
    assert (verdict.outcome, verdict.value, verdict.limit) == ("failed", 0.9, 0.95)
    assert read_your_writes(asked(*[True] * 27, False, False, False), share=Share(0.9)).outcome == "passed"


def test_without_answers_about_writes_nothing_is_known() -> None:
    assert read_your_writes(asked(*[True] * 30, outcome="error")).outcome == "inconclusive"
    assert read_your_writes(window()).why == "nothing was written in the run up to then"
    assert read_your_writes(asked(*[True] * 19)).outcome == "inconclusive"
