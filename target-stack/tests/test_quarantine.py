"""A document whose vector is corrupt is found out, never served, and released by an upload that is sound."""

import asyncio
import json
import math
import random

import asyncpg
import pytest
from harness import ADMIN, DOCUMENTS, Gateway, Stack, wait_until
from hypothesis import given
from hypothesis import strategies as st
from scripted import Scripted, scripted

from target_stack.documents import Document
from target_stack.inspection import Bounds, Flaw, Inspector
from target_stack.metrics import GatewayMetrics
from target_stack.quarantine import Quarantine
from target_stack.settings import Settings
from target_stack.tombstones import Name

SIZE = 16


def unit(vector: list[float]) -> list[float]:
    norm = math.hypot(*vector)
    return [x / norm for x in vector]


def near(direction: int, *, seed: int = 0) -> list[float]:
    """A unit vector within some 30 degrees of that axis."""
    noise = random.Random(f"{direction} {seed}")
    return unit([(1.0 if axis == direction else 0.0) + noise.uniform(-0.2, 0.2) for axis in range(SIZE)])


def document(id_: str, *, topic: str = "refunds", tenant: str = "acme", text: str = "Text.") -> Document:
    return Document(id=id_, tenant=tenant, title=id_, text=text, topic=topic)


def topic(name: str, direction: int, size: int = 5) -> tuple[list[Document], list[list[float]]]:
    documents = [document(f"{name}-{number}", topic=name) for number in range(size)]
    return documents, [near(direction, seed=number) for number in range(size)]


def inspector(*topics: tuple[list[Document], list[list[float]]]) -> Inspector:
    made = Inspector(Bounds.from_settings(Settings(), dimensions=SIZE))
    for documents, vectors in topics:
        assert made.admit(documents, vectors) == {}
    return made


@pytest.mark.parametrize(
    ("vector", "flaw"),
    [
        (near(0, seed=99), None),
        ([], Flaw.DIMENSIONS),
        ([1.0], Flaw.DIMENSIONS),
        ([0.0] * SIZE, Flaw.NORM),
        ([3 * x for x in near(0)], Flaw.NORM),
        ([1.005 * x for x in near(0)], None),
        ([math.nan, *near(0)[1:]], Flaw.NOT_FINITE),
        ([math.inf, *near(0)[1:]], Flaw.NOT_FINITE),
        ([-x for x in near(0)], Flaw.TOPIC),
        (near(5), Flaw.TOPIC),
    ],
)
def test_a_vector_is_sound_or_it_is_known_why_not(vector: list[float], flaw: Flaw | None) -> None:
    new = document("new")
    made = inspector(topic("refunds", 0))
    assert made.flaw_of(new, vector) == flaw
    assert made.admit([new], [vector]) == ({} if flaw is None else {("acme", "new"): flaw})


def test_a_document_is_held_against_the_others_of_its_own_upload() -> None:
    documents, vectors = topic("refunds", 0)
    made = inspector()
    assert made.admit(documents, [*vectors[:-1], near(7)]) == {("acme", "refunds-4"): Flaw.TOPIC}
    # What was corrupt has no part in the mean.
    assert made.admit([document("new")], [near(0, seed=50)]) == {}


def test_a_topic_of_few_documents_or_of_no_name_has_no_mean() -> None:
    documents, vectors = topic("refunds", 0, size=2)
    assert inspector((documents, vectors)).flaw_of(document("new"), near(7)) is None
    nameless = [document(f"n{number}", topic="") for number in range(5)], [near(number) for number in range(5)]
    assert inspector(nameless).flaw_of(document("new", topic=""), [-x for x in near(0)]) is None


def test_another_vector_for_the_same_text_is_corrupt_even_within_its_topic() -> None:
    documents, vectors = topic("refunds", 0)
    made = inspector((documents, vectors))
    assert made.flaw_of(documents[0], vectors[0]) is None
    assert made.flaw_of(documents[0], vectors[1]) is Flaw.TEXT
    edited = document(documents[0].id, text="Another gateway has taken an edit.")
    assert made.flaw_of(edited, vectors[1]) is None
    assert made.flaw_of(edited, near(7)) is Flaw.TOPIC


def test_tenants_have_topics_of_their_own() -> None:
    made = inspector(topic("refunds", 0))
    assert made.flaw_of(document("new", tenant="globex"), near(7)) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["refunds", "returns"]), st.integers(0, 3), st.booleans()),
        max_size=20,
    )
)
def test_what_was_forgotten_leaves_no_trace_in_a_mean(steps: list[tuple[int, str, int, bool]]) -> None:
    made = inspector()
    known: dict[str, tuple[str, list[float]]] = {}
    for number, name, seed, forget in steps:
        id_ = f"d{number}"
        if forget:
            made.forget([("acme", id_)])
            known.pop(id_, None)
        else:
            assert made.admit([document(id_, topic=name)], [near(0, seed=seed)]) == {}
            known[id_] = (name, near(0, seed=seed))
    for name in ("refunds", "returns"):
        mine = [vector for its, vector in known.values() if its == name]
        kept = made._sums["acme", name]
        assert kept.count == len(mine)
        if mine:
            assert kept.vector == pytest.approx([sum(axis) for axis in zip(*mine, strict=True)], abs=1e-5)


# -- the set -----------------------------------------------------------------------------------------------------------

NEW: Name = ("acme", "new")


def quarantine(*, enabled: bool = True) -> tuple[Quarantine, list[Name]]:
    told: list[Name] = []
    return Quarantine(GatewayMetrics(), enabled=enabled, on_hold=told.extend), told


def test_what_is_held_is_hidden_until_it_is_released() -> None:
    held, told = quarantine()
    held.hold({NEW: Flaw.NORM}, found_at="retrieval")
    assert (held.hide(*NEW), held.hide("globex", "new"), held.all()) == (True, False, {NEW: Flaw.NORM})
    assert held.pending == {NEW: Flaw.NORM}
    assert told == [NEW]
    held.stored([NEW])
    assert held.pending == {}
    held.release([document("new")])
    assert not held.hide(*NEW)


def test_a_vector_that_was_read_before_the_release_does_not_bring_it_back() -> None:
    held, _ = quarantine()
    held.hold({NEW: Flaw.NORM}, found_at="retrieval")
    read_at = held.moment
    held.release([document("new")])
    held.hold({NEW: Flaw.NORM}, found_at="retrieval", read_at=read_at)
    assert not held.hide(*NEW)
    held.hold({NEW: Flaw.NORM}, found_at="retrieval", read_at=held.moment)
    assert held.hide(*NEW)


def test_the_quarantine_survives_a_restart_and_can_be_switched_off() -> None:
    held, _ = quarantine()
    held.load({NEW: "norm"})
    assert (held.hide(*NEW), held.pending) == (True, {})
    off, told = quarantine(enabled=False)
    off.load({NEW: "norm"})
    off.hold({NEW: Flaw.NORM}, found_at="retrieval")
    assert (off.hide(*NEW), off.all(), told) == (False, {}, [])


# -- real processes ----------------------------------------------------------------------------------------------------

QUESTION = "When are refunds paid at Acme?"


def cites(gateway: Gateway) -> bool:
    return "acme-refunds" in gateway.ask(QUESTION).serving["citations"]


def listed(gateway: Gateway) -> list[dict[str, str]]:
    response = gateway.http.get("/v1/documents/quarantine", headers={"authorization": f"Bearer {ADMIN}"})
    found: list[dict[str, str]] = response.json()["quarantined"]
    return found


ODD = {"id": "acme-odd", "tenant": "acme", "title": "Odd", "text": "Odd things are refunded on odd days."}


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_an_embedder_of_another_model_puts_uploads_into_quarantine_and_is_blamed_itself(stack: Stack) -> None:
    body = json.dumps({"data": [{"embedding": [1.0, 0.0, 0.0], "index": 0}], "model": "another"}).encode()
    with (
        scripted(Scripted(status=200, headers={"content-type": "application/json"}, body=body)) as other,
        stack.gateway({"exact-cache": False}, STACK_EMBEDDING_URL=other.url) as gateway,
    ):
        flaw = {"tenant": "acme", "id": "acme-odd", "reason": "dimensions"}
        assert gateway.load([ODD]).json() == {"stored": 0, "quarantined": [flaw]}
        serving = gateway.ask("What is refunded on odd days?").serving
        assert serving["retrieval"] == "keyword"
        assert "acme-odd" not in serving["citations"]
        assert gateway.metric('dependency_calls_total{dependency="embedding",outcome="provider"}') == 1
        assert gateway.metric('documents_quarantined_total{found_at="ingestion",reason="dimensions"}') == 1
        with stack.gateway() as successor:
            assert listed(successor) == [flaw], "it was written down with the upload"
            assert successor.load([ODD]).json() == {"stored": 1, "quarantined": []}
            assert "acme-odd" in successor.ask("What is refunded on odd days?").serving["citations"]
            name = {"tenant": "acme", "id": "acme-odd"}
            headers = {"authorization": f"Bearer {ADMIN}"}
            assert successor.http.post("/v1/documents/delete", json=name, headers=headers).status_code == 200


async def negate(port: int) -> None:
    connection = await asyncpg.connect(f"postgresql://stack:pw@127.0.0.1:{port}/postgres", ssl=False)
    try:
        await connection.execute(
            "UPDATE documents SET embedding = (embedding::real[])::vector * array_fill(-1, ARRAY[64])::vector "
            "WHERE id = 'acme-refunds'"
        )
    finally:
        await connection.close()


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_a_document_whose_stored_vector_was_corrupted_is_not_served_until_it_is_uploaded_again(stack: Stack) -> None:
    settings = {"exact-cache": False, "quarantine.retry": 0.05, "vector-db.timeout": 2.0}
    with stack.gateway(settings) as gateway, stack.gateway(settings | {"quarantine": False}) as careless:
        try:
            assert cites(gateway)
            assert careless.ask(QUESTION).serving["citations"]
            asyncio.run(negate(stack.postgres_port))
            assert not cites(gateway)
            assert cites(careless), "by its words, if not by its vector"
            assert listed(gateway) == [{"tenant": "acme", "id": "acme-refunds", "reason": "text"}]
            assert gateway.metric("quarantined_documents") == 1
            assert gateway.http.get("/v1/documents/quarantine").status_code == 401
            with stack.postgres.paused():
                assert not cites(gateway), "no copy in a cache, and no keyword search"
            with stack.gateway(settings) as successor:
                wait_until(lambda: len(listed(successor)) == 1, "a restart forgets nothing")
                assert not cites(successor)
        finally:
            uploaded = gateway.load(DOCUMENTS).json()
        assert uploaded == {"stored": len(DOCUMENTS), "quarantined": []}
        assert listed(gateway) == []
        wait_until(lambda: cites(gateway), "the database answers again")
