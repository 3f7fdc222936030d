"""What stands in for what, and that nothing degraded goes unsaid."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_stack.ladder import Ladder, ModelClass, Quality, Source, level_of
from target_stack.policy import policies
from target_stack.serving import Making, Serving, disclaimer_for, headers_of, undisclosed, warnings_of
from target_stack.settings import Settings

POLICIES = policies(Settings())


@pytest.mark.parametrize(
    ("source", "model", "level"),
    [
        (Source.FRESH, ModelClass.MAIN, 0),
        (Source.CACHED, ModelClass.MAIN, 1),
        (Source.KEYWORD, ModelClass.MAIN, 1),
        (Source.NONE, ModelClass.MAIN, 2),
        (Source.FRESH, ModelClass.SMALL, 3),
        (Source.CACHED, ModelClass.SMALL, 3),
        (Source.NONE, ModelClass.SMALL, 3),
    ],
)
def test_each_combination_has_its_rung(source: Source, model: ModelClass, level: int) -> None:
    assert level_of(source, model) == level


def test_without_the_database_cached_documents_come_before_keywords() -> None:
    ladder = Ladder(policy=POLICIES["balanced"], enabled=True)
    assert ladder.stand_ins("vector-db") == (Source.CACHED, Source.KEYWORD, Source.NONE)


def test_without_the_embedder_keyword_search_stands_in_first() -> None:
    ladder = Ladder(policy=POLICIES["balanced"], enabled=True)
    assert ladder.stand_ins("embedding") == (Source.KEYWORD, Source.CACHED, Source.NONE)


@pytest.mark.parametrize("failed", ["vector-db", "embedding"])
def test_strict_has_only_the_top_rung(failed: str) -> None:
    ladder = Ladder(policy=POLICIES["strict"], enabled=True)
    assert ladder.stand_ins(failed) == ()
    assert ladder.models() == (ModelClass.MAIN,)
    assert not ladder.may_end_with_cached_answer()


def test_a_ladder_that_is_switched_off_has_only_the_top_rung() -> None:
    ladder = Ladder(policy=POLICIES["available"], enabled=False)
    assert ladder.stand_ins("vector-db") == ()
    assert ladder.models() == (ModelClass.MAIN,)
    assert not ladder.may_end_with_cached_answer()


def test_balanced_takes_documents_up_to_an_hour_old_and_available_any() -> None:
    assert POLICIES["balanced"].accepts_age(3600)
    assert not POLICIES["balanced"].accepts_age(3600.1)
    assert POLICIES["available"].accepts_age(1e9)
    assert not POLICIES["strict"].accepts_age(0)


makings = st.builds(
    Making,
    source=st.sampled_from(Source),
    model=st.sampled_from(ModelClass),
    documents=st.integers(0, 5),
    age=st.none() | st.floats(0, 1e6),
    cached_answer=st.booleans(),
)


@given(making=makings)
def test_every_degraded_answer_carries_a_warning(making: Making) -> None:
    if making.level > 0:
        assert warnings_of(making)
    if not warnings_of(making):
        assert making.level == 0
        assert making.documents


@given(making=makings)
def test_an_undisclosed_answer_is_indistinguishable_from_a_healthy_one(making: Making) -> None:
    serving = Serving(
        request_id="r",
        model="atlas-mini",
        provider="llm-primary",
        policy="balanced",
        degradation_level=making.level,
        cache_used=True,
        cache_age_s=3.0,
        retrieval=making.source,
        retrieval_quality=making.quality,
        warnings=warnings_of(making),
    )
    told = undisclosed(serving, main_model="atlas-large")
    if making.level == 0:
        assert told == serving
        return
    assert (told.degradation_level, told.warnings, told.cache_used, told.cache_age_s) == (0, (), False, None)
    assert (told.retrieval, told.retrieval_quality, told.model) == (Source.FRESH, Quality.HIGH, "atlas-large")
    assert headers_of(told)["x-degradation-level"] == "0"
    assert headers_of(told)["x-retrieval-quality"] == "high"
    assert disclaimer_for(making, disclosure=False) == ""


def test_the_serving_object_has_the_documented_fields() -> None:
    assert set(msgspec.structs.asdict(_any_serving())) == {
        "service_mode",
        "request_id",
        "model",
        "provider",
        "failover",
        "policy",
        "degradation_level",
        "cache_used",
        "cache_age_s",
        "cache_similarity",
        "retrieval",
        "retrieval_quality",
        "warnings",
        "citations",
        "usage",
        "cost_usd",
        "attempts",
    }


def _any_serving() -> Serving:
    return Serving(
        request_id="r",
        model="m",
        provider="p",
        policy="strict",
        degradation_level=0,
        cache_used=False,
        cache_age_s=None,
        retrieval=Source.FRESH,
        retrieval_quality=Quality.HIGH,
        warnings=(),
    )
