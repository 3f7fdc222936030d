"""What two runs have in common is not marked, and what sets them apart is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from brownout.errors import InvalidInput
from brownout.report.comparison import Cell, Line, compare, same_experiment
from brownout.report.html import render_comparison
from brownout.report.view import RunView
from tests.report.test_html import Page

Made = dict[str, Callable[..., Any]]


def view(told: Any, name: str = "a-run") -> RunView:
    return RunView(told.info, told.experiment, told.recording, told.judgement, name)


def line(groups: Any, group: str, name: str) -> Line:
    (found,) = [one for each in groups if each.name == group for one in each.lines if one.name == name]
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", range(5))
def test_runs_that_differ_by_chance_alone_have_no_regression(seed: int, made: Made) -> None:
    found = compare([view(made["passed"](seed=100)), view(made["passed"](seed=seed))])
    assert found.regressions == []
    assert found.changed(1, "better") == []
    assert found.sentence(1) == "B differs from A in nothing but chance."


def test_a_run_that_loses_answers_is_worse_in_shares_and_checks(made: Made) -> None:
    found = compare([view(made["passed"]()), view(made["failed"]())])
    answered = line(found.figures, "While broken", "Requests answered")
    assert answered.cells[1].change == "worse"
    assert answered.cells[0].change == ""
    check = line(found.checks, "While broken", "availability: at-least 99%")
    assert (check.cells[0].outcome, check.cells[1].outcome, check.cells[1].change) == ("passed", "failed", "worse")
    assert any("passed (99.6 %) → failed (71.8 %)" in told for told in found.regressions)
    assert found.sentence(1).startswith("B is worse than A in 3 checks and ")


def test_a_run_without_a_verdict_is_worse_than_one_that_passed_whatever_its_checks_say(made: Made) -> None:
    passed = made["passed"]()
    doubted = replace(
        passed, judgement=replace(passed.judgement, outcome="inconclusive", reasons=("a recorder failed",))
    )
    found = compare([view(passed), view(doubted)])
    assert found.regressions == ["B: The run: Verdict: passed → inconclusive"]
    assert line(found.checks, "The run", "Verdict").cells[1].change == "worse"
    assert compare([view(doubted), view(passed)]).regressions == []


def test_the_other_way_round_the_same_is_a_gain(made: Made) -> None:
    found = compare([view(made["failed"]()), view(made["passed"]())])
    assert found.regressions == []
    assert line(found.figures, "While broken", "Requests answered").cells[1].change == "better"


def test_fewer_degraded_answers_are_no_gain_where_answers_are_missing(made: Made) -> None:
    lost = made["passed"](error=lambda at: "boom" if 11 <= at < 30 and int(at * 50) % 10 else None)
    found = compare([view(made["passed"]()), view(lost)])
    assert line(found.figures, "While broken", "Requests answered").cells[1].change == "worse"
    assert line(found.figures, "While broken", "Answers marked degraded").cells[1].change != "better"


def test_a_slower_run_is_worse_in_its_median_and_as_a_whole(made: Made) -> None:
    slow = made["passed"]()
    recording = type(slow.recording)()
    for one in slow.recording.requests:
        first = None if one.first_token is None else one.first_token + 0.2
        recording.add_request(replace(one, first_token=first, done=one.done + 0.2))
    for span in slow.recording.faults:
        recording.add_fault(span)
    found = compare([view(made["passed"]()), view(replace(slow, recording=recording))])
    for part in ("Before", "While broken", "After the heal"):
        assert line(found.figures, part, "Time to first token, p50").cells[1].change == "worse"
        whole = line(found.figures, part, "Time to first token, all of them").cells[1]
        assert whole.change == "worse"
        assert whole.text == "slower, large effect"


def test_only_what_differs_in_how_they_were_run_is_told(made: Made) -> None:
    told = made["passed"]()
    other = replace(told, info=replace(told.info, seed=8, settings={"breaker": False}))
    found = compare([view(told), view(other)])
    assert found.setup == (
        Line("Seed", (Cell("7"), Cell("8"))),
        Line("breaker", (Cell("not set"), Cell("off"))),
    )
    assert compare([view(told), view(told)]).setup == ()


def test_an_experiment_that_was_edited_is_compared_check_by_check(made: Made) -> None:
    told = made["passed"]()
    judged = told.judgement.judged
    other = replace(
        told,
        judgement=replace(told.judgement, judged=judged[:-1]),
        info=replace(told.info, experiment_source="title: x"),
    )
    found = compare([view(told), view(other)])
    assert found.setup == (Line("Experiment file", (Cell("as in A"), Cell("changed"))),)
    gone = line(found.checks, "Steady state, at the end", "ttft: p95 500ms")
    assert gone.cells[1] == Cell("–", "not judged")


def test_different_experiments_are_refused(made: Made) -> None:
    told = made["passed"]()
    other = replace(told, experiment=replace(told.experiment, title="Another"))
    same_experiment([view(told), view(told)])
    with pytest.raises(InvalidInput, match="runs of different experiments cannot be compared"):
        same_experiment([view(told, "a"), view(told, "b"), view(other, "c")])


@pytest.mark.parametrize(
    "kinds", [("passed", "failed"), ("passed", "aborted", "nothing"), ("hostile", "hostile"), ("nothing", "all_errors")]
)
def test_the_page_of_any_runs_is_well_formed_and_asks_for_nothing(kinds: tuple[str, ...], made: Made) -> None:
    html = render_comparison(compare([view(made[kind](), kind) for kind in kinds]))
    found = Page(html)
    assert found.names().isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base", "form"})
    for tag, attributes in found.tags:
        assert (attributes.get("href") or "#").startswith("#")
        assert not {"src", "srcset", "action", "style"} & attributes.keys(), tag
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"] for tag, attributes in found.tags if tag == "a"} <= {f"#{one}" for one in ids}
    assert all("scope" in attributes for tag, attributes in found.tags if tag == "th")


def test_ten_runs_of_an_hour_stay_below_three_megabytes(made: Made) -> None:
    told = made["passed"](rate=2, duration=3600.0)
    assert len(render_comparison(compare([view(told, str(i)) for i in range(10)]))) < 3_000_000
