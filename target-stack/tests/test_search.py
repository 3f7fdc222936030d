"""Keyword search and rank fusion."""

from hypothesis import given
from hypothesis import strategies as st

from target_stack.documents import Document, fingerprint_of
from target_stack.fusion import reciprocal_rank_fusion
from target_stack.keyword import KeywordIndex, tokenize
from target_stack.retrieval import own


def document(id_: str, text: str, *, tenant: str = "acme", title: str = "") -> Document:
    return Document(id=id_, tenant=tenant, title=title, text=text)


def ids(index: KeywordIndex, query: str, *, tenant: str = "acme", limit: int = 10) -> list[str]:
    return [found.id for found in index.search(tenant, query, limit=limit)]


def test_the_document_with_the_rarer_word_comes_first() -> None:
    index = KeywordIndex()
    index.put([document(f"d{n}", "the invoice is due") for n in range(5)])
    index.put([document("rare", "the invoice of the zeppelin")])
    assert ids(index, "zeppelin invoice")[0] == "rare"


def test_a_shorter_document_with_the_same_words_comes_first() -> None:
    index = KeywordIndex()
    index.put([document("long", "refund " + "other words " * 30), document("short", "refund now")])
    assert ids(index, "refund") == ["short", "long"]


def test_nothing_is_found_without_a_common_word() -> None:
    index = KeywordIndex()
    index.put([document("a", "refunds and returns")])
    assert ids(index, "shipping") == []
    assert ids(index, "the of and") == []
    assert ids(KeywordIndex(), "refunds") == []


def test_a_plural_finds_its_singular() -> None:
    assert tokenize("The Refunds, the refund") == ["refund", "refund"]


def test_a_replaced_document_is_found_by_its_new_words_only() -> None:
    index = KeywordIndex()
    index.put([document("a", "old words"), document("b", "something else")])
    index.put([document("a", "new text")])
    assert ids(index, "old") == []
    assert ids(index, "new") == ["a"]


texts = st.lists(st.sampled_from(["refund", "invoice", "parcel", "card"]), min_size=1, max_size=6).map(" ".join)


@given(mine=st.lists(texts, max_size=8), theirs=st.lists(texts, max_size=8), query=texts)
def test_no_search_returns_another_tenants_document(mine: list[str], theirs: list[str], query: str) -> None:
    index = KeywordIndex()
    index.put(document(f"{n}", text) for n, text in enumerate(mine))
    index.put(document(f"{n}", text, tenant="globex") for n, text in enumerate(theirs))
    found = index.search("acme", query, limit=20)
    assert all(d.tenant == "acme" for d in found)
    alone = KeywordIndex()
    alone.put(document(f"{n}", text) for n, text in enumerate(mine))
    assert found == alone.search("acme", query, limit=20), "another tenant's documents changed the ranking"


def test_the_last_gate_drops_foreign_documents() -> None:
    assert own("acme", [document("a", "x"), document("b", "x", tenant="globex")]) == [document("a", "x")]


def test_fusion_scores_by_reciprocal_rank() -> None:
    # a: 1/61 + 1/62, b: 1/62 + 1/61, c: 1/63; a and b tie and go by id.
    assert reciprocal_rank_fusion([["a", "b", "c"], ["b", "a"]], k=60) == ["a", "b", "c"]
    # Second in both lists beats first in one.
    assert reciprocal_rank_fusion([["x", "y"], ["z", "y"]], k=60)[0] == "y"


@given(rankings=st.lists(st.lists(st.text("abcdef", min_size=1, max_size=1), unique=True), max_size=4))
def test_fusion_returns_every_id_once(rankings: list[list[str]]) -> None:
    fused = reciprocal_rank_fusion(rankings, k=60)
    assert sorted(fused) == sorted({id_ for ranking in rankings for id_ in ranking})


def test_an_edited_document_has_another_fingerprint() -> None:
    before = fingerprint_of([document("a", "14 days")])
    assert fingerprint_of([document("a", "14 days")]) == before
    assert fingerprint_of([document("a", "15 days")]) != before
    assert fingerprint_of([document("a", "14 days", tenant="globex")]) != before
