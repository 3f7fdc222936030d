"""Documents of the embedded target that are deleted or corrupted and come back, and its feature flags."""

import pytest

from brownout.breakage import CorruptVectors, DeleteDocuments, LinkPlace, Reset, ServicePlace
from brownout.errors import FaultError
from brownout.fixtures.embedded import EmbeddedTarget
from brownout.target import Question
from tests.embedded.helpers import Up

GATEWAY = ServicePlace("gateway")
BUNKER = "hl-charges-0001"


def question(up: Up) -> Question:
    return next(one for one in up.target.questions("golden") if one.sources == (BUNKER,))


async def citations(up: Up) -> list[str]:
    asked = question(up)
    answer = await up.ask(asked.tenant, asked.text)
    assert answer.status_code == 200
    cited: list[str] = answer.json()["serving"]["citations"]
    return cited


@pytest.mark.process
def test_deleted_documents_are_gone_until_the_fault_ends_also_without_the_database(up: Up) -> None:
    async def play() -> None:
        breakage = DeleteDocuments(documents="hl-charges-*")
        database = LinkPlace("gateway", "vector-db")
        assert BUNKER in await citations(up)
        await up.target.inject(database, Reset(), lease="cut", ttl=30.0)
        await up.target.inject(GATEWAY, breakage, lease="gone", ttl=30.0)
        assert not any("charges" in one for one in await citations(up))
        await up.target.heal(database, Reset(), lease="cut")
        await up.target.renew("gone", ttl=30.0)
        assert not any("charges" in one for one in await citations(up))
        proof = await up.target.prove(GATEWAY, breakage, lease="gone")
        assert proof.works
        assert proof.figures["documents"] > 5
        await up.target.heal(GATEWAY, breakage, lease="gone")
        assert BUNKER in await citations(up)
        await up.target.heal(GATEWAY, breakage, lease="gone")
        with pytest.raises(FaultError, match="loaded again"):
            await up.target.renew("gone", ttl=5.0)
        assert not (await up.target.prove(GATEWAY, breakage, lease="gone")).works

    up.runner.run(play())


@pytest.mark.process
def test_documents_that_there_are_not_and_services_without_any_are_refused(up: Up) -> None:
    async def play() -> None:
        with pytest.raises(FaultError, match="no document is named hl-nothing"):
            await up.target.inject(GATEWAY, DeleteDocuments(documents="hl-nothing"), lease="odd", ttl=5.0)
        with pytest.raises(FaultError, match="cache takes no documents; gateway does"):
            await up.target.inject(ServicePlace("cache"), DeleteDocuments(documents="*"), lease="odd", ttl=5.0)

    up.runner.run(play())


@pytest.mark.process
def test_documents_with_corrupt_vectors_are_in_quarantine_until_the_fault_ends(up: Up) -> None:
    database = ServicePlace("vector-db")
    noise = CorruptVectors(documents="hl-charges-*")
    scaled = CorruptVectors(documents="hl-policies-*", manner="scaled")

    async def play() -> None:
        assert BUNKER in await citations(up)
        for lease, breakage in (("noise", noise), ("scaled", scaled)):
            await up.target.inject(database, breakage, lease=lease, ttl=30.0)
            await up.target.renew(lease, ttl=30.0)
        assert not any("charges" in one for one in await citations(up))
        answer = await up.ask("harbor-logistics", "Within how many working days is a complaint answered?")
        assert not any("policies" in one for one in answer.json()["serving"]["citations"])
        proof = await up.target.prove(database, noise, lease="noise")
        assert (proof.works, proof.figures["documents"]) == (True, 12)
        await up.target.heal(database, noise, lease="noise")
        await up.target.heal(database, scaled, lease="scaled")
        assert BUNKER in await citations(up)
        with pytest.raises(FaultError, match="gateway keeps no vectors; vector-db does"):
            await up.target.inject(GATEWAY, noise, lease="odd", ttl=5.0)

    up.runner.run(play())


def test_each_document_is_asked_about_in_three_wordings() -> None:
    questions = EmbeddedTarget().questions("rephrased")
    documents = EmbeddedTarget().documents()
    assert len({one.text for one in questions}) == len({one.id for one in questions}) == len(questions)
    assert sorted(one.sources or () for one in questions) == sorted((one.id,) for one in documents for _ in range(3))
    assert {(one.tenant, *(one.sources or ())) for one in questions} == {(one.tenant, one.id) for one in documents}


def test_the_flag_service_is_part_of_it_only_where_it_is_asked_for() -> None:
    usual, flagged = EmbeddedTarget.topology_of({}), EmbeddedTarget.topology_of({"feature-flags": True})
    assert set(flagged.services) - set(usual.services) == {"flags"}
    assert set(flagged.links) - set(usual.links) == {("gateway", "flags")}
    assert flagged.dependencies == usual.dependencies, "no request waits for it, so it has no breaker"
