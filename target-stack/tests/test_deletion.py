"""A deleted document is never served, whatever still holds a copy of it."""

import contextlib
from collections.abc import Iterator

import pytest
from harness import ACME, ADMIN, DOCUMENTS, Gateway, Stack, free_port, wait_until

from target_stack.documents import Document
from target_stack.keyword import KeywordIndex
from target_stack.tombstones import Tombstones

REFUNDS = Document(id="refunds", tenant="acme", title="Refunds", text="Refunds are paid.")


def loaded(*stored: tuple[str, str], enabled: bool = True) -> Tombstones:
    tombstones = Tombstones(enabled=enabled)
    tombstones.load(stored)
    return tombstones


def test_a_tombstone_hides_one_document_of_one_tenant() -> None:
    tombstones = loaded()
    tombstones.bury([("acme", "refunds")])
    assert tombstones.hide("acme", "refunds")
    assert not tombstones.hide("globex", "refunds")
    assert not tombstones.hide("acme", "shipping")


def test_a_tombstone_is_pending_until_it_is_stored_and_hides_all_along() -> None:
    tombstones = loaded(("acme", "old"))
    tombstones.bury([("acme", "refunds")])
    assert (tombstones.pending, tombstones.count) == ({("acme", "refunds")}, 2)
    tombstones.stored(tombstones.pending)
    assert not tombstones.pending
    assert tombstones.hide("acme", "refunds")


def test_an_upload_lifts_the_tombstone_also_one_that_was_never_stored() -> None:
    tombstones = loaded(("acme", "refunds"))
    tombstones.bury([("acme", "refunds")])
    tombstones.lift([REFUNDS])
    assert not tombstones.hide("acme", "refunds")
    assert not tombstones.pending


def test_before_it_is_known_what_was_deleted_nothing_is_served() -> None:
    tombstones = Tombstones(enabled=True)
    assert tombstones.hide("acme", "refunds")
    tombstones.load([])
    assert not tombstones.hide("acme", "refunds")


def test_what_is_deleted_before_the_load_stays_deleted() -> None:
    tombstones = Tombstones(enabled=True)
    tombstones.bury([("acme", "refunds")])
    tombstones.load([("acme", "old")])
    assert tombstones.hide("acme", "refunds")
    assert tombstones.hide("acme", "old")


def test_without_tombstones_nothing_is_hidden_and_the_deletion_is_kept_all_the_same() -> None:
    tombstones = loaded(enabled=False)
    tombstones.bury([("acme", "refunds")])
    assert not tombstones.hide("acme", "refunds")
    assert tombstones.pending == {("acme", "refunds")}


def test_a_dropped_document_is_not_found_and_dropping_it_again_is_no_error() -> None:
    index = KeywordIndex()
    index.put([REFUNDS])
    index.drop([("acme", "refunds"), ("globex", "refunds")])
    assert index.search("acme", "refunds", limit=5) == []
    index.drop([("acme", "refunds")])
    index.put([REFUNDS])
    assert index.search("acme", "refunds", limit=5) == [REFUNDS]


# -- real processes ----------------------------------------------------------------------------------------------------

QUESTION = "When are refunds paid at Acme?"
OTHER = "And what does shipping abroad cost?"
WRITTEN = "cache_writes_total"
SETTINGS = {
    "exact-cache": False,
    "vector-db.timeout": 1.0,
    "cache.timeout": 2.0,
    "vector-db.breaker.recovery": 0.2,
    "tombstones.retry": 0.05,
    "tombstones.purge": 3600,
    "llm.first-token-timeout": 1.0,
    "retry": "off",
}


def delete(gateway: Gateway, id_: str, *, token: str = ADMIN) -> tuple[int, bool | None]:
    headers = {"authorization": f"Bearer {token}"}
    response = gateway.http.post("/v1/documents/delete", json={"tenant": "acme", "id": id_}, headers=headers)
    return response.status_code, response.json().get("durable")


def cites(gateway: Gateway, question: str = QUESTION) -> bool:
    return "acme-refunds" in gateway.ask(question).serving["citations"]


@contextlib.contextmanager
def documents_put_back(gateway: Gateway) -> Iterator[None]:
    try:
        yield
    finally:
        wait_until(lambda: gateway.load(DOCUMENTS).status_code == 200, "the documents are stored again")


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_a_document_that_is_deleted_while_the_database_is_away_is_gone_on_every_path(stack: Stack) -> None:
    with stack.gateway(SETTINGS) as gateway, documents_put_back(gateway):
        assert delete(gateway, "acme-refunds", token=ACME)[0] == 403
        unreadable = gateway.http.post(
            "/v1/documents/delete", content="acme-refunds", headers={"authorization": f"Bearer {ADMIN}"}
        )
        assert (unreadable.status_code, "line 1" in unreadable.text) == (400, True)
        assert cites(gateway)
        assert gateway.ask(OTHER).serving["citations"] == ["acme-shipping"]
        wait_until(lambda: gateway.metric(WRITTEN) >= 8, "documents and answers are in the cache")
        with stack.postgres.paused():
            assert gateway.ask(QUESTION).serving["retrieval"] == "cached"
            assert cites(gateway)
            assert delete(gateway, "acme-refunds") == (202, False)
            assert gateway.metric("tombstones_pending") == 1
            cached, keyword = gateway.ask(QUESTION), gateway.ask(f"{QUESTION} Really?")
            assert (cached.serving["retrieval"], keyword.serving["retrieval"]) == ("cached", "keyword")
            assert "acme-refunds" not in (*cached.serving["citations"], *keyword.serving["citations"])
            with stack.primary.paused(), stack.secondary.paused():
                assert gateway.ask(OTHER).serving["degradation_level"] == 4
                assert gateway.ask(QUESTION).status == 503, "the earlier answer cites what was deleted"
        wait_until(lambda: gateway.metric("tombstones_pending") == 0, "the tombstone is stored")
        wait_until(lambda: gateway.ask(QUESTION).serving["retrieval"] == "dense+keyword", "the database is back")
        assert not cites(gateway), "its vector lingers"
        with stack.gateway(SETTINGS) as successor:
            assert not cites(successor), "a restart forgets nothing"
            assert delete(successor, "acme-refunds") == (200, True)
        gateway.load(DOCUMENTS)
        assert cites(gateway), "what is uploaded again is served again"


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_a_purge_removes_the_row_and_the_postings(stack: Stack) -> None:
    with stack.gateway(SETTINGS | {"tombstones": False, "tombstones.purge": 0.2}) as gateway:
        with documents_put_back(gateway):
            assert delete(gateway, "acme-refunds") == (200, True)
            wait_until(lambda: not cites(gateway), "fresh retrieval does not find it any more")
            with stack.postgres.paused():
                assert not cites(gateway, "Refunds at Acme?"), "nor does keyword search"
        assert cites(gateway)


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_without_tombstones_a_deleted_document_is_served_until_the_purge(stack: Stack) -> None:
    with stack.gateway(SETTINGS | {"tombstones": False}) as gateway, documents_put_back(gateway):
        assert delete(gateway, "acme-refunds") == (200, True)
        assert cites(gateway)


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(("tombstones", "retrieval"), [(True, "none"), (False, "cached")])
def test_a_gateway_that_cannot_know_what_was_deleted_serves_no_copy(
    stack: Stack, tombstones: bool, retrieval: str
) -> None:
    question = f"{QUESTION} Tombstones {tombstones}."
    with stack.gateway(SETTINGS) as gateway:
        assert cites(gateway, question)
        wait_until(lambda: gateway.metric(WRITTEN) >= 4, "documents and answer are in the cache")
    nowhere = f"postgresql://stack:pw@127.0.0.1:{free_port()}/postgres"
    settings = SETTINGS | {"tombstones": tombstones}
    orphan = stack.start_gateway(settings, ready=False, STACK_VECTOR_DB_URL=nowhere)
    assert orphan.ask(question).serving["retrieval"] == retrieval
    orphan.http.close()
    orphan.process.stop()
