"""Which model is asked first."""

import pytest
from harness import Stack

from target_stack.router import Router, complexity_of
from target_stack.settings import Settings
from target_stack.wire import Message

LOOKUP = "When are refunds paid?"
UNASKED = "Within how many days are refunds paid at Acme?"
"""By other tests, whose answers would be in the cache."""


def conversation(*texts: str) -> list[Message]:
    return [Message(role="user", content=text) for text in texts]


@pytest.mark.parametrize(
    ("question", "signs"),
    [
        (LOOKUP, 0),
        ("How high is the bunker surcharge?", 0),
        ("Why was my refund late?", 1),
        ("What is cheaper, a reference letter or a cheque from abroad?", 2),
        ("Who pays? And when?", 1),
        (
            "Explain step by step what is done with a parcel that came back open, and compare it with a lost one.",
            3,
        ),
    ],
)
def test_signs_of_a_hard_question_are_counted(question: str, signs: int) -> None:
    assert complexity_of(conversation(question)) == signs


def test_a_long_conversation_is_a_sign_and_only_the_last_question_is_looked_at() -> None:
    assert complexity_of(conversation("Why, and how?", LOOKUP)) == 0
    assert complexity_of(conversation(LOOKUP, LOOKUP, LOOKUP, LOOKUP)) == 1


@pytest.mark.parametrize(
    ("question", "patience", "fast"),
    [(LOOKUP, 5.0, True), (LOOKUP, 5.1, False), (LOOKUP, float("inf"), False), ("Why was it late?", 1.0, False)],
)
def test_the_fast_model_is_for_questions_that_are_urgent_and_simple(question: str, patience: float, fast: bool) -> None:
    assert Router.from_settings(Settings()).prefers_fast(conversation(question), patience=patience) is fast
    off = Router.from_settings(Settings({"router": False}))
    assert not off.prefers_fast(conversation(question), patience=patience)


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_an_urgent_simple_question_goes_to_the_fast_model_undegraded(stack: Stack) -> None:
    with stack.gateway() as gateway:
        fast = gateway.ask(UNASKED, timeout_ms=4000)
        assert (fast.serving["model"], fast.serving["degradation_level"]) == ("atlas-mini", 0)
        assert fast.serving["warnings"] == []
        for patient in (gateway.ask(UNASKED), gateway.ask("Why are refunds paid by Acme?", timeout_ms=4000)):
            assert patient.serving["model"] == "atlas-large"
            assert not patient.serving["cache_used"], "what the fast model said is not kept for others"
        strict = gateway.ask("Until when are refunds paid at Acme?", timeout_ms=4000, policy="strict")
        assert strict.serving["model"] == "atlas-large"
        assert gateway.metric('routed_total{route="fast"}') == 1
        assert gateway.metric('routed_total{route="strong"}') == 3


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_the_main_model_stands_in_for_the_fast_one(stack: Stack) -> None:
    with stack.gateway(
        {"exact-cache": False, "small-model": "atlas-gone", "prices": "atlas-large=2/8,atlas-gone=1/1"}
    ) as gateway:
        answer = gateway.ask(UNASKED, timeout_ms=4000)
        assert (answer.status, answer.serving["model"]) == (200, "atlas-large")
