"""Answers for questions that mean the same: the right one or none, none that is outdated or another tenant's."""

import asyncio
import math
from collections.abc import Sequence

import pytest
from fakes import FakeClock
from harness import ACME, DOCUMENTS, GLOBEX, Stack, wait_until
from hypothesis import given
from hypothesis import strategies as st

from target_stack.cache import Cache
from target_stack.deadline import Deadline
from target_stack.dependency import Attempts
from target_stack.documents import Document
from target_stack.editions import Editions
from target_stack.intent import intent_of
from target_stack.metrics import GatewayMetrics
from target_stack.parts import CachedAnswer, Question
from target_stack.policy import PolicyName, policies
from target_stack.semantic import SemanticCache, SemanticConfig, Similar
from target_stack.settings import Settings
from target_stack.tenant_filter import TenantFilter
from target_stack.wire import Message

REFUNDS = Document(id="refunds", tenant="acme", title="Refunds", text="Refunds are paid within 14 days.")
RETURNS = Document(id="returns", tenant="acme", title="Returns", text="Returns are accepted within 30 days.")
ANSWER = CachedAnswer(
    text="Within 14 days [refunds].",
    model="atlas-large",
    provider="llm-primary",
    citations=("refunds",),
    documents=2,
    finish_reason="stop",
)
ASKED = "When are refunds paid?"
SAME = "When is a refund paid out?"
HEALTHY: dict[str, object] = {"semantic-cache.healthy": True}


def at(cosine: float) -> list[float]:
    """A unit vector of that cosine with `at(1.0)`."""
    return [cosine, math.sqrt(1 - cosine**2)]


# -- intent ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ASKED, SAME),
        (ASKED, "Please, can you tell me when refunds are paid?"),
        ("How do I get a refund?", "How can I be refunded?"),
        ("How much is the bunker surcharge?", "What does the bunker surcharge cost?"),
        ("What is the price of a new card?", "How high is the price of a new card?"),
        ("Who decides on a reimbursement?", "Who decides on refunds?"),
        ("How is the meeting cancelled?", "How do I cancel a meeting?"),
    ],
)
def test_paraphrases_have_one_intent(one: str, other: str) -> None:
    assert intent_of(one) == intent_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("When are refunds paid?", "When are returns accepted?"),
        ("How do I get a refund?", "How do I get a return?"),
        ("When is a refund paid?", "Who pays a refund?"),
        ("When is a refund paid?", "Why is a refund paid?"),
        ("Can I get a refund when the parcel is late?", "When do I get a refund for the late parcel?"),
        ("What does the Harbour Gold card cost?", "What does the Harbour Silver card cost?"),
        ("Is a refund paid after 14 days?", "Is a refund paid after 30 days?"),
        ("Is the surcharge due?", "Is the surcharge not due?"),
        ("What is paid before departure?", "What is paid after departure?"),
    ],
)
def test_near_duplicates_that_ask_for_something_else_have_another_intent(one: str, other: str) -> None:
    assert intent_of(one) != intent_of(other)


@given(st.text())
def test_every_text_has_an_intent_that_does_not_depend_on_case_or_space(text: str) -> None:
    assert intent_of(text)
    assert intent_of(f"  {text.lower()} ") == intent_of(text)


# -- editions ----------------------------------------------------------------------------------------------------------


def editions(*documents: Document) -> Editions:
    made = Editions()
    made.put(documents)
    return made


def test_the_edition_follows_from_the_documents_and_not_from_what_happened_to_them() -> None:
    both = editions(REFUNDS, RETURNS)
    assert both.of("acme") == editions(RETURNS, REFUNDS).of("acme")
    before = both.of("acme")
    both.put([REFUNDS])
    assert both.of("acme") == before, "the same again"
    both.drop([("acme", "refunds"), ("acme", "unknown")])
    assert both.of("acme") == editions(RETURNS).of("acme") != before
    both.put([REFUNDS])
    assert both.of("acme") == before


def test_an_edit_and_a_new_document_make_another_edition_for_their_tenant_alone() -> None:
    made = editions(REFUNDS)
    seen = {made.of("acme")}
    made.put([Document(id="refunds", tenant="acme", title="Refunds", text="Refunds are paid within 15 days.")])
    seen.add(made.of("acme"))
    made.put([RETURNS])
    seen.add(made.of("acme"))
    made.put([Document(id="refunds", tenant="globex", title="Refunds", text="Never.")])
    assert made.of("acme") in seen
    assert len(seen) == 3
    assert made.of("nobody") == Editions().of("acme")


# -- the cache ---------------------------------------------------------------------------------------------------------


class MemoryCache(Cache):
    """The cache without a server: what is stored where is what these tests are about."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, bytes]] = {}

    async def members(self, key: str, attempts: Attempts) -> list[bytes]:
        return list(self.stored.get(key, {}).values())

    def put_member_later(self, key: str, member: str, value: bytes, *, ttl: float) -> None:
        self.stored.setdefault(key, {})[member] = value


class Bench:
    """A cache that has one answer about refunds, made from two documents, unless it is told otherwise."""

    def __init__(self, settings: dict[str, object] | None = None) -> None:
        self.settings = Settings(settings)
        self.clock = FakeClock()
        self.metrics = GatewayMetrics()
        self.memory = MemoryCache()
        self.editions = editions(REFUNDS, RETURNS)
        self.cache = SemanticCache(
            SemanticConfig.from_settings(self.settings),
            self.memory,
            self.clock,
            self.metrics,
            editions=self.editions,
            tenants=TenantFilter.from_settings(self.settings),
            model="atlas-large",
        )

    def question(
        self,
        text: str,
        *,
        tenant: str = "acme",
        policy: PolicyName = "balanced",
        before: Sequence[str] = (),
        max_tokens: int | None = None,
    ) -> Question:
        conversation = tuple(Message(role="user", content=each) for each in (*before, text))
        return Question(
            request_id="r",
            tenant=tenant,
            tier="pro",
            policy=policies(self.settings)[policy],
            conversation=conversation,
            arrived_at=0.0,
            deadline=Deadline(),
            hold=False,
            max_tokens=max_tokens,
        )

    def keep(self, text: str = ASKED, *, tenant: str = "acme", vector: Sequence[float] | None = None) -> None:
        self.cache.put(
            self.question(text, tenant=tenant),
            at(1.0) if vector is None else vector,
            ANSWER,
            documents=[REFUNDS, RETURNS],
            edition=self.editions.of(tenant),
        )

    def stand_in(self, question: Question, cosine: float = 0.95) -> Similar | None:
        return asyncio.run(self.cache.stand_in(question, at(cosine), Attempts()))

    def while_healthy(
        self, question: Question, cosine: float = 0.95, documents: Sequence[Document] = (REFUNDS, RETURNS)
    ) -> Similar | None:
        return asyncio.run(self.cache.while_healthy(question, at(cosine), Attempts(), documents=list(documents)))

    def results(self) -> dict[str, float]:
        samples = next(m for m in self.metrics.cache_requests.collect()).samples
        return {sample.labels["result"]: sample.value for sample in samples}


@pytest.mark.parametrize(("cosine", "given"), [(0.93, True), (0.9201, True), (0.9199, False), (-1.0, False)])
def test_a_question_that_is_alike_enough_and_of_the_same_intent_gets_the_answer(cosine: float, given: bool) -> None:
    bench = Bench()
    bench.keep()
    bench.clock.advance(7)
    found = bench.stand_in(bench.question(SAME), cosine)
    assert (found is not None) is given
    if found is not None:
        assert (found.answer, found.age) == (ANSWER, 7)
        assert found.similarity == pytest.approx(cosine, abs=1e-6)
    assert bench.results() == ({"hit": 1} if given else {"miss": 1})


def test_a_question_of_another_intent_gets_nothing_however_alike_it_is() -> None:
    bench = Bench()
    bench.keep()
    assert bench.stand_in(bench.question("When are returns paid?"), 1.0) is None


def test_a_careless_cache_gives_the_nearest_answer_to_anything() -> None:
    bench = Bench({"semantic-cache": "careless"})
    bench.keep()
    assert bench.stand_in(bench.question("Which colour has the moon?"), -0.5) is not None


@pytest.mark.parametrize("change", ["upload", "edit", "deletion"])
def test_a_change_of_the_documents_makes_kept_answers_outdated(change: str) -> None:
    bench = Bench()
    bench.keep()
    match change:
        case "upload":
            bench.editions.put([Document(id="new", tenant="acme", title="", text="Refunds are paid at once now.")])
        case "edit":
            bench.editions.put([Document(id="refunds", tenant="acme", title="Refunds", text="Refunds are not paid.")])
        case _:
            bench.editions.drop([("acme", "refunds")])
    assert bench.stand_in(bench.question(SAME)) is None
    assert bench.while_healthy(bench.question(SAME)) is None
    assert bench.results() == {"outdated": 1}


def test_another_tenants_upload_changes_nothing_and_its_answers_are_not_found() -> None:
    bench = Bench()
    bench.keep(tenant="globex")
    assert bench.stand_in(bench.question(SAME)) is None
    bench.keep()
    bench.editions.put([Document(id="new", tenant="globex", title="", text="Nothing.")])
    assert bench.stand_in(bench.question(SAME)) is not None


def test_an_entry_of_another_tenant_in_our_bucket_is_refused() -> None:
    bench = Bench()
    bench.keep(tenant="globex")
    (theirs,) = bench.memory.stored.values()
    bench.keep()
    ours = next(bucket for bucket in bench.memory.stored if "acme" in bucket)
    bench.memory.stored[ours] = theirs
    assert bench.stand_in(bench.question(SAME)) is None


def test_the_policy_bounds_the_age_and_the_time_to_live_does_in_any_case() -> None:
    bench = Bench({"balanced.max-staleness": 100.0, "semantic-cache.ttl": 200.0})
    bench.keep()
    bench.clock.advance(101)
    assert bench.stand_in(bench.question(SAME)) is None
    assert bench.stand_in(bench.question(SAME, policy="available")) is not None
    bench.clock.advance(100)
    assert bench.stand_in(bench.question(SAME, policy="available")) is None


def test_context_and_length_of_the_answer_belong_to_the_question() -> None:
    bench = Bench()
    bench.keep()
    assert bench.stand_in(bench.question(SAME, before=["And at Globex?"])) is None
    assert bench.stand_in(bench.question(SAME, max_tokens=5)) is None
    assert bench.stand_in(bench.question(SAME)) is not None


def test_while_all_is_well_nothing_is_given_unless_that_is_configured() -> None:
    bench = Bench()
    bench.keep()
    assert bench.while_healthy(bench.question(SAME)) is None
    assert bench.results() == {}


def test_while_all_is_well_what_is_cited_must_be_found_by_the_question_itself_and_unchanged() -> None:
    bench = Bench(HEALTHY)
    bench.keep()
    edited = Document(id="refunds", tenant="acme", title="Refunds", text="Refunds are paid within 15 days.")
    assert bench.while_healthy(bench.question(SAME), documents=[REFUNDS]) is not None
    assert bench.while_healthy(bench.question(SAME), documents=[RETURNS]) is None
    assert bench.while_healthy(bench.question(SAME), documents=[edited]) is None


@pytest.mark.parametrize(
    ("settings", "cosine", "documents", "given"),
    [
        (HEALTHY, 0.99, (REFUNDS, RETURNS), False),
        (HEALTHY | {"semantic-cache.strict": True}, 0.99, (REFUNDS, RETURNS), True),
        (HEALTHY | {"semantic-cache.strict": True}, 0.97, (REFUNDS, RETURNS), False),
        (HEALTHY | {"semantic-cache.strict": True}, 0.99, (REFUNDS,), False),
    ],
)
def test_the_strict_policy_wants_more(
    settings: dict[str, object], cosine: float, documents: tuple[Document, ...], given: bool
) -> None:
    bench = Bench(settings)
    bench.keep()
    assert (bench.while_healthy(bench.question(SAME, policy="strict"), cosine, documents) is not None) is given


def test_the_nearest_of_several_is_given_and_a_question_replaces_itself() -> None:
    bench = Bench()
    for cosine, text in ((0.93, ASKED), (0.999, "Refunds are paid when?"), (0.93, ASKED)):
        bench.keep(text, vector=at(cosine))
    (bucket,) = bench.memory.stored.values()
    assert len(bucket) == 2
    found = bench.stand_in(bench.question(SAME), 1.0)
    assert found is not None
    assert found.similarity == pytest.approx(0.999, abs=1e-6)


def test_a_bucket_cannot_grow_beyond_its_slots() -> None:
    bench = Bench({"semantic-cache.slots": 4, "semantic-cache": "careless"})
    for number in range(50):
        bench.keep(f"Question {number}?")
    (bucket,) = bench.memory.stored.values()
    assert len(bucket) == 4


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\xc1 nonsense"])
def test_a_damaged_entry_is_left_out(damage: bytes) -> None:
    bench = Bench()
    bench.keep()
    (bucket,) = bench.memory.stored.values()
    bucket["damaged"] = damage
    assert bench.stand_in(bench.question(SAME)) is not None


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [math.nan, 1.0], [1.0, 0.0, 0.0]])
def test_what_cannot_be_compared_is_like_nothing_even_to_a_careless_cache(vector: list[float]) -> None:
    bench = Bench({"semantic-cache": "careless"})
    bench.keep(vector=vector)
    assert bench.stand_in(bench.question(SAME)) is None


@pytest.mark.parametrize("settings", [{"semantic-cache": "off"}, {"cache": False}])
def test_a_cache_that_is_switched_off_keeps_and_gives_nothing(settings: dict[str, object]) -> None:
    bench = Bench(settings)
    bench.keep()
    assert bench.memory.stored == {}
    assert bench.stand_in(bench.question(SAME)) is None


# -- real processes ----------------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_when_no_model_answers_a_question_that_means_the_same_gets_the_earlier_answer(stack: Stack) -> None:
    settings = {
        "exact-cache": False,
        "llm.first-token-timeout": 0.5,
        "retry": "off",
        "cache.timeout": 2.0,
        "service-modes": False,
    }
    same, other = "When is a refund paid at Acme?", "When are parcels paid at Acme?"
    with stack.gateway(settings) as gateway, stack.gateway(settings | HEALTHY) as eager:
        kept = gateway.ask("When are refunds paid at Acme?")
        # Documents, the answer to this question over them and over any, and the answer for others.
        wait_until(lambda: gateway.metric("cache_writes_total") >= 4, "kept")
        assert gateway.ask(same).serving["cache_used"] is False, "a model is asked while there is one"
        hit = eager.ask("And when are the refunds paid at Acme?").serving
        assert (hit["degradation_level"], hit["cache_used"], bool(hit["warnings"])) == (0, True, True)
        assert hit["cache_similarity"] >= 0.92
        with stack.primary.paused(), stack.secondary.paused():
            answer = gateway.ask("Please, when is a refund paid at Acme?")
            assert answer.text == kept.text
            assert answer.serving["degradation_level"] == 4
            assert "means the same" in answer.serving["warnings"][0]
            assert answer.serving["cache_age_s"] is not None
            assert gateway.metric('fallback_total{kind="semantic_answer"}') == 1
            assert gateway.ask(other).status == 503, "another intent"
            assert gateway.ask("Please, when is a refund paid at Acme?", token=GLOBEX).status == 503
            assert gateway.ask("Please, when is a refund paid at Acme?", token=ACME, policy="strict").status == 503
            extra = {"id": "acme-new", "tenant": "acme", "title": "News", "text": "Refunds are paid at once from May."}
            gateway.load([*DOCUMENTS, extra])
            try:
                assert gateway.ask("Please, when is a refund paid at Acme?").status == 503, "there is a new document"
            finally:
                gateway.http.post(
                    "/v1/documents/delete",
                    json={"tenant": "acme", "id": "acme-new"},
                    headers={"authorization": "Bearer admin-token"},
                )
