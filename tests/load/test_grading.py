"""Statements held against the documents that they cite, word for word."""

import pytest

from brownout.load import CitedSentences, Grade
from brownout.target import Document, Question

ASKED = Question("q", "bank", "when?")
DOCUMENTS = [
    Document("b-1", "bank", "Refunds are paid within 14 days. The fee is\n3 euros."),
    Document("b-2", "bank", "Cards are sent by post."),
    Document("c-1", "clinic", "Visits are free."),
]


@pytest.mark.parametrize(
    ("answer", "claims", "supported"),
    [
        ("Refunds are paid within 14 days. [b-1]", 1, 1),
        ("REFUNDS are  paid within 14 days [b-1].", 1, 1),
        ("The fee is 3 euros. [b-1] Cards are sent by post. [b-2]", 2, 2),
        ("Refunds are paid within 30 days. [b-1] Cards are sent by post. [b-2]", 2, 1),
        ("Let me see. Cards are sent by post. [b-2]", 1, 1),
        ("Cards are sent by post. [b-1][b-2]", 1, 1),
        ("Cards are sent by post. [b-1]", 1, 0),
        ("Cards are sent by post. [unheard-of]", 1, 0),
        ("Visits are free. [c-1]", 1, 0),
        ("The documents do not say.", 0, 0),
        ("[b-1]", 0, 0),
        ("", 0, 0),
    ],
)
def test_a_statement_is_supported_where_a_cited_document_of_the_tenant_makes_it(
    answer: str, claims: int, supported: int
) -> None:
    assert CitedSentences(DOCUMENTS)(ASKED, answer) == Grade(claims, supported)


def test_a_long_answer_without_citations_is_graded_in_no_time() -> None:
    # Measured in work, not in seconds: a pattern that begins anew at each of its characters would not end within any
    # patience.
    assert CitedSentences(DOCUMENTS)(ASKED, "Refunds are paid. " * 50_000) == Grade(0, 0)
