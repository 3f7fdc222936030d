"""Documents that must not be cited any more."""

import pytest

from brownout.evidence import Request, Window
from brownout.probes.uncited import uncited
from brownout.units import Duration
from tests.evidence.making import evenly, request, window

BEFORE = evenly(30, start=-10.0, end=0.0, citations=("hl-charges-0001", "hl-policies-0001"))


def judged(*more: Request, before: list[Request] | None = None) -> Window:
    """Sixty answers within 10 s that cite another document, and more."""
    baseline = window(BEFORE if before is None else before, start=-10.0, end=0.0)
    return window([*evenly(60, citations=("hl-policies-0001",)), *more], baseline=baseline)


def citing(moment: float, **changes: object) -> Request:
    return request(99, moment, citations=("hl-charges-0001",), **changes)


def test_it_holds_where_no_answer_cites_one_of_them() -> None:
    verdict = uncited(judged(), documents="*-charges-*")
    assert (verdict.outcome, verdict.figure, verdict.samples) == ("passed", "none in 58 answers", 58)


@pytest.mark.parametrize("outcome", ["ok", "cut"])
def test_one_answer_refutes_it_also_one_that_broke(outcome: str) -> None:
    verdict = uncited(judged(citing(3.0, outcome=outcome)), documents="*-charges-*")
    assert (verdict.outcome, verdict.value) == ("failed", 1.0)
    assert verdict.why == "first of all request 99"


def test_what_was_asked_before_the_time_is_up_does_not_count() -> None:
    assert uncited(judged(citing(3.0)), documents="*-charges-*", within=Duration(3.5)).outcome == "passed"
    assert uncited(judged(citing(3.0)), documents="*-charges-*", within=Duration(2.5)).outcome == "failed"


def test_what_is_over_as_they_are_put_back_does_not_count() -> None:
    late = judged(citing(8.0, total=0.5))
    assert uncited(late, documents="*-charges-*", until_before_end=Duration(2.0)).outcome == "passed"
    assert uncited(late, documents="*-charges-*", until_before_end=Duration(1.0)).outcome == "failed"
    assert uncited(judged(citing(9.9, total=0.5)), documents="*-charges-*").outcome == "passed", "it ended outside"


def test_nothing_is_shown_by_documents_that_were_never_cited() -> None:
    verdict = uncited(judged(before=[]), documents="*-charges-*")
    assert (verdict.outcome, verdict.why) == ("inconclusive", "none of them was cited before the first fault either")


def test_few_answers_can_refute_it_and_cannot_show_it() -> None:
    few = evenly(10, citations=("hl-policies-0001",))
    assert uncited(window(few), documents="*-charges-*").outcome == "inconclusive"
    assert uncited(window([*few, citing(3.0)]), documents="*-charges-*").outcome == "failed"


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="must name some"):
        uncited(judged(), documents="")
