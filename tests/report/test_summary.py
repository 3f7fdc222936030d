"""The headline says what the evidence says, in words."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from brownout.evidence.model import FaultSpan
from brownout.evidence.recording import Recording
from brownout.report.summary import headline, story

Made = dict[str, Callable[..., Any]]


def said(told: Any) -> str:
    return headline(told.recording, told.judgement, duration=told.judgement.end)


def test_a_passed_run_is_told_from_fault_to_recovery(made: Made) -> None:
    assert said(made["passed"]()) == (
        "The link gateway → vector-db was severed for 20.0 s. Users kept getting answers (99.2 %), 98.4 % of them "
        "marked as degraded. The vector-db breaker opened after 1.4 s and closed 6.2 s after the heal. "
        "All 11 checks passed."
    )


def test_a_failed_run_does_not_sound_like_a_success(made: Made) -> None:
    text = said(made["failed"]())
    assert "Only 73.6 % of the requests made meanwhile were answered" in text
    assert text.endswith("Of 11 checks, 1 failed and 1 could not be decided.")
    assert "kept getting answers" not in text


def test_a_run_without_a_fault_praises_nothing(made: Made) -> None:
    text = said(made["inconclusive"]())
    assert text.startswith("No verdict can be given: partition gateway → vector-db: no fault was injected.")
    assert "checks passed" not in text


def test_an_aborted_run_starts_with_why_and_when(made: Made) -> None:
    text = said(made["aborted"]())
    assert text.startswith("The run was aborted at 16.1 s: availability: below 50%: 31 % over the last 5 s.")
    assert "was still open when the run ended" in text
    assert "checks passed" not in text


def test_no_requests_and_no_answers_are_told_apart(made: Made) -> None:
    assert "No request was recorded meanwhile." in said(made["nothing"]())
    assert "None of the 388 requests made meanwhile was answered." in said(made["all_errors"]())


def test_a_system_that_says_nothing_of_its_answers_is_not_praised_for_it(made: Made) -> None:
    told = made["passed"]()
    assert "marked as degraded" in said(told)
    silent = Recording()
    for span in told.recording.faults:
        silent.add_fault(span)
    for one in told.recording.requests:
        silent.add_request(replace(one, level=None))
    text = headline(silent, told.judgement, duration=told.judgement.end)
    assert "Users kept getting answers" in text
    assert "degraded" not in text


def test_many_faults_are_counted_and_not_listed(made: Made) -> None:
    told = made["passed"]()
    for index in (1, 2):
        told.recording.add_fault(FaultSpan(index, "latency", "latency a → b", 12.0, 40.0))
    assert "3 faults were injected; for 30 s at least one was on." in said(told)


def test_an_unknown_fault_is_named_as_it_is_titled(made: Made) -> None:
    told = made["passed"]()
    told.recording.add_fault(FaultSpan(0, "meteor", "meteor on the gateway", 10.0, 30.0))
    assert "“meteor on the gateway” was on for 20.0 s." in said(told)


def test_the_story_is_in_order_and_leaves_first_sightings_out(made: Made) -> None:
    moments = story(made["passed"]().recording)
    assert [m.at for m in moments] == sorted(m.at for m in moments)
    assert "vector-db: closed → open (5 consecutive failures)" in [m.text for m in moments]
    assert not any("None" in m.text for m in moments)
