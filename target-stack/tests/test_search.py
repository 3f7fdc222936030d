"""Keyword search and rank fusion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_stack.documents import Document, fingerprint_of
from target_stack.fusion import reciprocal_rank_fusion
from target_stack.keyword import KeywordIndex, tokenize
from target_stack.retrieval import own
from target_stack.settings import Settings
from target_stack.tenant_filter import TenantFilter


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


def test_without_a_tenant_the_best_of_everybodys_documents_are_found() -> None:
    index = KeywordIndex()
    index.put(
        [document("mine", "refunds and many other words"), document("theirs", "refunds, refunds", tenant="globex")]
    )
    assert [found.id for found in index.search(None, "refunds", limit=10)] == ["theirs", "mine"]
    assert [found.id for found in index.search(None, "refunds", limit=1)] == ["theirs"]
    both = [document("a", "x"), document("b", "x", tenant="globex")]
    assert own(None, both) == both


@pytest.mark.parametrize(
    ("setting", "fresh", "stand_in"), [("on", "acme", "acme"), ("fresh-only", "acme", None), ("off", None, None)]
)
def test_each_path_of_retrieval_looks_where_the_filter_says(
    setting: str, fresh: str | None, stand_in: str | None
) -> None:
    tenants = TenantFilter.from_settings(Settings({"tenant-filter": setting}))
    assert (tenants.fresh("acme"), tenants.stand_in("acme")) == (fresh, stand_in)
    assert tenants.of_stand_ins == (setting == "on")


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
