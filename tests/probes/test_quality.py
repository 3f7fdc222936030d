"""Isolation and quality: answers held against what is known of documents and questions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import KnownDocument, KnownQuestion, Request, Window
from brownout.evidence.knowledge import Knowledge
from brownout.probes.isolation import isolation
from brownout.probes.quality import quality
from brownout.units import Share
from tests.evidence.making import request, window

KNOWN = Knowledge.of(
    [KnownDocument(f"{tenant}-{n}", tenant) for tenant in ("bank", "clinic") for n in range(3)]
    + [KnownDocument("shared", "bank"), KnownDocument("shared", "clinic")],
    [KnownQuestion("q-1", "bank", ("bank-0", "bank-1")), KnownQuestion("q-none", "bank", ())],
)
DOCUMENTS = st.sampled_from([*KNOWN.owners, "unheard-of"])


@st.composite
def cited(draw: st.DrawFn, documents: st.SearchStrategy[str] = DOCUMENTS) -> list[Request]:
    return [
        request(
            n,
            n / 10,
            tenant="bank",
            question=draw(st.sampled_from(["q-1", "q-none", "q-other"])),
            citations=tuple(draw(st.lists(documents, max_size=2, unique=True))),
            claims=(claims := draw(st.sampled_from([None, 0, 1, 4]))),
            claims_supported=None if claims is None else draw(st.integers(0, claims)),
        )
        for n in range(draw(st.integers(0, 50)))
    ]


def knowing(requests: list[Request], knowledge: Knowledge = KNOWN) -> Window:
    return window(requests, knowledge=knowledge)


# -- isolation ---------------------------------------------------------------------------------------------------------


@given(cited(DOCUMENTS | st.just("bank-1")))
def test_one_document_of_another_tenant_fails_it(requests: list[Request]) -> None:
    verdict = isolation(knowing(requests))
    every = [document for each in requests for document in each.citations]
    answers = [each for each in requests if each.citations]
    if any("clinic-" in document for document in every):
        assert verdict.outcome == "failed"
        assert verdict.value == sum(any("clinic-" in one for one in each.citations) for each in requests)
    elif "unheard-of" in every or len(answers) < 20:
        assert verdict.outcome == "inconclusive"
    else:
        assert verdict.outcome == "passed"


@given(cited(st.sampled_from(["bank-0", "clinic-0"])), st.booleans())
def test_a_foreign_document_never_makes_it_pass(requests: list[Request], complete: bool) -> None:
    bad = request(99, 9.0, tenant="bank", citations=("clinic-2",), outcome="ok" if complete else "cut")
    assert isolation(knowing([*requests, bad])).outcome == "failed"


def test_it_says_which_request_was_the_first() -> None:
    requests = [request(n, n / 10, tenant="bank", citations=("bank-0",)) for n in range(30)]
    leak = request(77, 2.05, tenant="bank", citations=("bank-0", "clinic-1"))
    verdict = isolation(knowing([*requests, leak]))
    assert verdict.figure == "1 answer with a document of another tenant"
    assert verdict.why == "first of all request 77"


def test_without_knowledge_of_the_documents_isolation_cannot_be_told() -> None:
    requests = [request(n, n / 10, tenant="bank", citations=("bank-0",)) for n in range(30)]
    verdict = isolation(knowing(requests, Knowledge()))
    assert (verdict.outcome, verdict.why) == ("inconclusive", "the target does not tell whose its documents are")


# -- quality -----------------------------------------------------------------------------------------------------------

MEASURES = st.sampled_from(["faithfulness", "recall", "refusals"])


def scores(requests: list[Request], measure: str) -> list[float]:
    match measure:
        case "faithfulness":
            return [(each.claims_supported or 0) / each.claims for each in requests if each.claims]
        case "recall":
            return [len({"bank-0", "bank-1"} & set(each.citations)) / 2 for each in requests if each.question == "q-1"]
        case _:
            return [float(not each.citations) for each in requests if each.question == "q-none"]


@given(cited(), MEASURES, st.sampled_from([0.2, 0.5, 0.82]))
def test_each_measure_is_the_mean_over_the_answers_it_applies_to(
    requests: list[Request], measure: str, least: float
) -> None:
    verdict = quality(knowing(requests), **{measure: Share(least)})
    expected = scores(requests, measure)
    if len(expected) < 20:
        assert verdict.outcome == "inconclusive"
        return
    mean = sum(expected) / len(expected)
    assert verdict.value == pytest.approx(mean)
    assert verdict.outcome == ("passed" if mean >= least else "failed")


@given(cited(), MEASURES)
def test_a_bad_answer_never_makes_it_pass(requests: list[Request], measure: str) -> None:
    bad = {
        "faithfulness": request(99, 9.0, claims=3, claims_supported=0),
        "recall": request(99, 9.0, question="q-1"),
        "refusals": request(99, 9.0, question="q-none", citations=("bank-0",)),
    }[measure]
    if quality(knowing(requests), **{measure: Share(0.5)}).outcome == "failed":
        assert quality(knowing([*requests, bad]), **{measure: Share(0.5)}).outcome == "failed"


def test_recall_looks_at_the_first_five_citations_only() -> None:
    late = ("a", "b", "c", "d", "bank-0", "bank-1")
    given = knowing([request(n, n / 10, question="q-1", citations=late) for n in range(30)])
    assert quality(given, recall=Share(0.5)).figure == "recall 50.0 %"


def test_one_broken_measure_fails_it_and_one_that_cannot_be_told_keeps_it_from_passing() -> None:
    graded = [request(n, n / 10, question="q-other", claims=4, claims_supported=3) for n in range(30)]
    assert quality(knowing(graded), faithfulness=Share(0.82), recall=Share(0.5)).outcome == "failed"
    verdict = quality(knowing(graded), faithfulness=Share(0.7), recall=Share(0.5))
    assert verdict.outcome == "inconclusive"
    assert verdict.why == "no answers to questions that documents answer; at least 20 are needed to tell the recall"


@pytest.mark.parametrize("arguments", [{}, {"recall": 0.0}])
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least one|above 0%"):
        quality(window(), **arguments)
