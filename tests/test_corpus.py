"""The reference corpus: what every experiment that judges answers, sources or tenants relies on."""

import math
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest

from brownout.fixtures.corpus import CorpusError, Document, GoldenQuestion, load_documents, load_questions

ROOT = Path(__file__).parent.parent
TENANTS = {"harbor-logistics", "meridian-bank", "northwind-clinic"}
DOCUMENTS = load_documents()
QUESTIONS = load_questions()
BY_ID = {document.id: document for document in DOCUMENTS}


def says(text: str, fact: str) -> bool:
    return fact.lower() in text.lower()


def sources(question: GoldenQuestion) -> list[Document]:
    return [BY_ID[id_] for id_ in question.sources]


def test_each_of_three_tenants_has_at_least_120_documents_and_50_questions() -> None:
    documents = Counter(document.tenant for document in DOCUMENTS)
    questions = Counter(question.tenant for question in QUESTIONS)

    assert set(documents) == set(questions) == TENANTS
    assert min(documents.values()) >= 120
    assert min(questions.values()) >= 50


def test_ids_are_unique_and_tell_the_tenant() -> None:
    ids = [document.id for document in DOCUMENTS] + [question.id for question in QUESTIONS]
    prefixes = {(document.id.split("-")[0], document.tenant) for document in DOCUMENTS}
    prefixes |= {(question.id.split("-")[1], question.tenant) for question in QUESTIONS}

    assert len(ids) == len(set(ids))
    assert len(prefixes) == len(TENANTS)


def test_no_two_documents_share_their_text_or_within_a_tenant_their_title() -> None:
    assert len({document.text for document in DOCUMENTS}) == len(DOCUMENTS)
    assert len({(document.tenant, document.title) for document in DOCUMENTS}) == len(DOCUMENTS)


def test_every_document_is_60_to_180_words_without_unresolved_placeholders() -> None:
    lengths = {document.id: len(document.text.split()) for document in DOCUMENTS}

    assert {id_: length for id_, length in lengths.items() if not 60 <= length <= 180} == {}
    assert [document.id for document in DOCUMENTS if re.search(r"[{}<>]|lorem", document.text, re.IGNORECASE)] == []


def test_every_sentence_opens_with_a_capital_or_a_figure() -> None:
    wrong = {d.id: match[0] for d in DOCUMENTS if (match := re.search(r"[.!?] [a-z].{0,30}|^[a-z].{0,30}", d.text))}

    assert wrong == {}


def test_sources_of_a_question_exist_and_belong_to_its_tenant() -> None:
    assert {id_ for question in QUESTIONS for id_ in question.sources} <= set(BY_ID)
    assert all(source.tenant == question.tenant for question in QUESTIONS for source in sources(question))


def test_every_golden_fact_stands_verbatim_in_a_source_and_every_source_holds_one() -> None:
    for question in QUESTIONS:
        for fact in question.facts:
            assert any(says(source.text, fact) for source in sources(question)), (question.id, fact)
        for source in sources(question):
            assert any(says(source.text, fact) for fact in question.facts), (question.id, source.id)


def test_every_golden_fact_is_among_the_facts_that_its_source_declares() -> None:
    for question in QUESTIONS:
        declared = " ".join(fact for source in sources(question) for fact in source.facts)

        assert [fact for fact in question.facts if not says(declared, fact)] == [], question.id


def test_only_unanswerable_questions_lack_facts_and_they_are_a_few_of_each_tenant() -> None:
    unanswerable = [question for question in QUESTIONS if question.kind == "unanswerable"]

    assert {question.id for question in QUESTIONS if not question.facts} == {question.id for question in unanswerable}
    for tenant in TENANTS:
        asked = sum(question.tenant == tenant for question in QUESTIONS)
        assert 0.03 <= sum(question.tenant == tenant for question in unanswerable) / asked <= 0.08


def test_every_kind_of_question_is_asked_of_every_tenant() -> None:
    kinds = {(question.tenant, question.kind) for question in QUESTIONS}

    assert len(kinds) == len(TENANTS) * 4


def test_a_comparison_has_the_facts_of_two_documents() -> None:
    comparisons = [question for question in QUESTIONS if question.kind == "comparison"]

    assert {(len(question.sources), len(question.facts)) for question in comparisons} == {(2, 2)}


def test_no_fact_of_a_question_stands_in_another_tenants_document_of_the_same_topic() -> None:
    # Otherwise an answer from a leaked document would look right.
    hidden = [
        (question.id, fact, document.id)
        for question in QUESTIONS
        for document in DOCUMENTS
        if document.tenant != question.tenant and document.topic in {source.topic for source in sources(question)}
        for fact in question.facts
        if says(document.text, fact)
    ]

    assert hidden == []


def test_tenants_share_topics_so_that_a_leak_would_be_plausible() -> None:
    topics = [{document.topic for document in DOCUMENTS if document.tenant == tenant} for tenant in TENANTS]

    assert {"refunds", "passwords", "on-call", "retention", "systems", "policies"} <= set.intersection(*topics)


def test_some_questions_are_asked_word_for_word_by_all_tenants_with_different_answers() -> None:
    # They catch a cache that forgets the tenant.
    asked: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for question in QUESTIONS:
        asked[question.question].add(question.facts)

    assert sum(len(answers) == len(TENANTS) for answers in asked.values()) >= 5
    assert {len(answers) for answers in asked.values()} == {1, len(TENANTS)}


def generate(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools/build_corpus.py", "--source", source, "--out", out]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_committed_files_equal_a_fresh_generation(tmp_path: Path) -> None:
    assert generate(ROOT / "tools/corpus", tmp_path).returncode == 0
    for name in ("documents.jsonl", "golden.jsonl"):
        assert (tmp_path / name).read_bytes() == (ROOT / "fixtures/corpus" / name).read_bytes()


TOPIC = """
titles = ["About {name}"]
plans = ["fee"]
facts = ["{name} costs {fee}."]
[say]
fee = ["{name} is to be had for {fee}."]
[entity.gold]
name = "Gold"
fee = "8 euros"
"""


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("for {fee}", "for {price}"), "no value for 'price'; known: fee, name, prefix"),
        (("for {fee}", "for a fee"), "gold: the text does not say '8 euros', the 'fee' of '{name} costs {fee}.'"),
        (("plans", "plan"), "'plans' is missing"),
        (('fee = "8 euros"', "fee = 8 euros"), "cards.toml: Expected"),
        (("[say]", '[[question]]\nask = "How much?"\nabout = ["gold.price"]\n[say]'), "'gold.price' names no value"),
        (("[say]", '[[question]]\nask = "How much?"\n[say]'), "an unanswerable question is about nothing"),
    ],
)
def test_fact_table_that_does_not_fit_together_is_named_and_nothing_is_written(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/tenant.toml").write_text('prefix = "ac"\n', "utf-8")
    (tmp_path / "acme/cards.toml").write_text(TOPIC.replace(*change), "utf-8")

    done = generate(tmp_path, tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("*.jsonl")) == []


def test_output_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = generate(ROOT / "tools/corpus", tmp_path / "nowhere")

    assert done.returncode == 2
    assert f"{tmp_path / 'nowhere'} is not a folder" in done.stderr


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: expected a JSON object"),
        ('{"id": "x"}', "line 2: no 'tenant'; keys on this line: id"),
        ('{"id": 7}', "line 2: 'id' is 7, expected a text that is not empty"),
        ('{"id": "x", "tenant": "t", "question": "q", "facts": "f"}', "'facts' is 'f', expected a list of texts"),
        ('{"id": "x", "tenant": "t", "question": "q", "facts": [""]}', "expected a list of texts, none of them empty"),
        (
            '{"id": "x", "tenant": "t", "question": "q", "facts": [], "sources": [], "kind": "riddle"}',
            "'kind' is 'riddle', expected one of 'lookup', 'comparison'",
        ),
    ],
)
def test_malformed_line_is_named_with_what_is_wrong(tmp_path: Path, line: str, complaint: str) -> None:
    good = (ROOT / "fixtures/corpus/golden.jsonl").read_text("utf-8").splitlines()[0]
    (tmp_path / "golden.jsonl").write_text(f"{good}\n{line}\n", "utf-8")

    with pytest.raises(CorpusError, match=re.escape(complaint)):
        load_questions(folder=tmp_path)


def embed(texts: Sequence[str]) -> list[list[float]]:
    model = pytest.importorskip("static_model", reason="the sentence embedder is not installed")
    return [[x / math.hypot(*vector) for x in vector] for vector in model.get_embeddings(list(texts))]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


class Bm25:
    """Plain Okapi BM25 without stemming or stop words: findable even by a simple keyword search."""

    def __init__(self, texts: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> None:
        self.k1 = k1
        self.bags = [Counter(words(text)) for text in texts]
        mean = sum(bag.total() for bag in self.bags) / len(texts)
        self.norms = [k1 * (1 - b + b * bag.total() / mean) for bag in self.bags]

    def scores(self, query: str) -> list[float]:
        scores = [0.0] * len(self.bags)
        for word in set(words(query)):
            having = sum(word in bag for bag in self.bags)
            idf = math.log(1 + (len(self.bags) - having + 0.5) / (having + 0.5))
            for i, (bag, norm) in enumerate(zip(self.bags, self.norms, strict=True)):
                scores[i] += idf * bag[word] * (self.k1 + 1) / (bag[word] + norm)
        return scores


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def ranks(scores: Sequence[float]) -> list[int]:
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return [rank for _, rank in sorted((i, rank) for rank, i in enumerate(order, start=1))]


@pytest.mark.parametrize("tenant", sorted(TENANTS))
def test_golden_sources_are_found_among_the_first_five_by_fused_retrieval(tenant: str) -> None:
    documents = [document for document in DOCUMENTS if document.tenant == tenant]
    texts = [f"{document.title}. {document.text}" for document in documents]
    vectors = embed(texts)
    bm25 = Bm25(texts)
    found = []
    for question in QUESTIONS:
        if question.tenant != tenant or not question.sources:
            continue
        [asked] = embed([question.question])
        dense = ranks([cosine(asked, vector) for vector in vectors])
        keyword = ranks(bm25.scores(question.question))
        fused = ranks([1 / (60 + d) + 1 / (60 + k) for d, k in zip(dense, keyword, strict=True)])
        first = {document.id for document, rank in zip(documents, fused, strict=True) if rank <= 5}
        found.append(len(first & set(question.sources)) / len(question.sources))

    assert sum(found) / len(found) >= 0.9


def test_questions_with_different_answers_are_too_far_apart_for_a_semantic_cache() -> None:
    # A cache that answers from 0.92 cosine on must not serve one golden question's answer to another.
    vectors = dict(zip(QUESTIONS, embed([question.question for question in QUESTIONS]), strict=True))
    near = [
        (a.question, b.question)
        for a, b in combinations(QUESTIONS, 2)
        if a.tenant == b.tenant and a.facts != b.facts and cosine(vectors[a], vectors[b]) >= 0.92
    ]

    assert near == []
