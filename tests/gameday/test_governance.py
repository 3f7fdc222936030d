"""The rules: what refuses a start, why, and what can be overridden by whom."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from brownout.gameday.blackouts import Closure
from brownout.gameday.governance import (
    NEVER_OVERRIDDEN,
    RULES,
    Override,
    PastDrill,
    Refusal,
    Rule,
    never_startable,
    permit,
)
from brownout.gameday.plan import People
from brownout.gameday.schedule import Occurrence
from tests.gameday.plans import NOON, facts, plan

HOUR = timedelta(hours=1)
REFUSED: dict[Rule, tuple[dict[str, Any], dict[str, Any], str]] = {
    "runbook": ({"runbook": None}, {}, "the plan has no runbook"),
    "rollback": ({"rollback": None}, {}, "the plan does not say how to roll back"),
    "commander": ({"people": People(abort=("Grace",))}, {}, "the plan names no commander (people: commander)"),
    "abort-holder": (
        {},
        {"checked_in": {}},
        "Grace or Ada must have checked in within the last 4 hours: chaos gameday check-in sunday.yaml --as NAME",
    ),
    "window": (
        {},
        {"due": None, "upcoming": Occurrence(NOON + 15 * HOUR, NOON + 17 * HOUR)},
        "this is no time for it; the next one is Mon 2027-06-07 05:00 CEST",
    ),
    "blackout": (
        {},
        {"closures": (Closure(NOON - HOUR, NOON + HOUR, "the launch"),)},
        "the launch (Sun 2027-06-06 13:00 CEST to Sun 2027-06-06 15:00 CEST)",
    ),
    "review": (
        {},
        {"past": (PastDrill("d1", "sunday", "over", review_due=NOON - HOUR),)},
        "the review of drill d1 has been due since Sun 2027-06-06 13:00 CEST: "
        "chaos gameday record d1 --reviewed --by NAME",
    ),
    "started": (
        {},
        {"past": (PastDrill("d1", "sunday", "over", scheduled=NOON),)},
        "drill d1 was started for Sun 2027-06-06 14:00 CEST already",
    ),
    "blast-radius": ({}, {"beyond": ("one.yaml:3:5: kill: hits all",)}, "one.yaml:3:5: kill: hits all"),
    "experiments": ({}, {"problems": ("one.yaml:3:5: no such link",)}, "one.yaml:3:5: no such link"),
    "running": ({}, {"past": (PastDrill("d1", "other", "running"),)}, "drill d1 is still going on"),
    "interrupted": (
        {},
        {"past": (PastDrill("d1", "other", "interrupted"),)},
        "drill d1 was interrupted; look at what it left (chaos heal), then: chaos gameday record d1 --looked --by NAME",
    ),
}


def test_a_drill_that_has_everything_is_permitted() -> None:
    decision = permit(plan(), NOON, facts())
    assert decision.permitted
    assert decision.abort_holder == "Grace"
    assert not decision.overridden


def test_every_rule_is_tried_below() -> None:
    assert set(REFUSED) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_refuses_alone_and_says_why(rule: Rule) -> None:
    changed, known, why = REFUSED[rule]
    decision = permit(plan(**changed), NOON, facts(**known))
    assert decision.refusals == (Refusal(rule, why),)


@pytest.mark.parametrize("rule", RULES)
def test_a_named_person_overrides_for_a_reason_but_not_what_is_broken_already(rule: Rule) -> None:
    changed, known, why = REFUSED[rule]
    by = "Grace" if rule == "commander" else "Ada"
    decision = permit(plan(**changed), NOON, facts(**known), [Override(rule, by, "the board wants it")])
    assert decision.permitted is (rule not in NEVER_OVERRIDDEN)
    if decision.permitted:
        assert decision.overridden == ((Refusal(rule, why), Override(rule, by, "the board wants it")),)


def test_nobody_overrides_whom_the_plan_does_not_name() -> None:
    assert not permit(plan(rollback=None), NOON, facts(), [Override("rollback", "Mallory", "why not")]).permitted


def test_an_override_of_one_rule_leaves_the_others() -> None:
    decision = permit(plan(rollback=None, runbook=None), NOON, facts(), [Override("rollback", "Ada", "known by heart")])
    assert [one.rule for one in decision.refusals] == ["runbook"]


def test_all_reasons_are_given_at_once() -> None:
    decision = permit(plan(rollback=None, runbook=None), NOON, facts(checked_in={}, due=None))
    assert [one.rule for one in decision.refusals] == ["runbook", "rollback", "abort-holder", "window"]


@pytest.mark.parametrize(
    ("who", "ago", "there"),
    [("Grace", 0, True), ("Grace", 4, True), ("Grace", 4.01, False), ("Grace", -0.01, False), ("Mallory", 0, False)],
)
def test_a_check_in_lasts_four_hours_and_is_one_of_a_person_who_may(who: str, ago: float, there: bool) -> None:
    decision = permit(plan(), NOON, facts(checked_in={who: NOON - ago * HOUR}))
    assert decision.permitted is there


def test_the_last_to_check_in_holds_the_abort() -> None:
    decision = permit(plan(), NOON, facts(checked_in={"Grace": NOON - 2 * HOUR, "Ada": NOON - HOUR}))
    assert decision.abort_holder == "Ada"


def test_a_missing_runbook_file_is_no_runbook() -> None:
    decision = permit(plan(runbook="runbook.md"), NOON, facts(runbook_found=False))
    assert decision.refusals == (Refusal("runbook", "there is no file runbook.md beside the plan"),)


def test_another_plan_s_review_and_dates_are_its_own() -> None:
    past = (PastDrill("d1", "other", "over", scheduled=NOON, review_due=NOON - HOUR),)
    assert permit(plan(), NOON, facts(past=past)).permitted


def test_a_drill_that_goes_on_elsewhere_holds_nothing_up() -> None:
    past = (PastDrill("d1", "sunday", "running", here=False), PastDrill("d2", "sunday", "interrupted", here=False))
    assert permit(plan(), NOON, facts(past=past)).permitted


def test_a_review_that_is_not_due_yet_does_not_hold_the_next_drill_up() -> None:
    past = (PastDrill("d1", "sunday", "over", review_due=NOON + HOUR),)
    assert permit(plan(), NOON, facts(past=past)).permitted


def test_what_no_moment_could_mend_is_known_beforehand() -> None:
    empty = plan(runbook=None, rollback=None, people=People())
    assert [one.rule for one in never_startable(empty, runbook_found=True)] == [
        "runbook",
        "rollback",
        "commander",
        "abort-holder",
    ]
    assert not never_startable(plan(), runbook_found=True)


def test_only_the_calendar_s_no_is_a_calm_one() -> None:
    assert permit(plan(), NOON, facts(due=None)).not_due
    assert not permit(plan(), NOON, facts(checked_in={})).not_due
    assert not permit(plan(), NOON, facts()).not_due


def test_moments_are_told_on_the_wall_of_the_plan_s_zone() -> None:
    winter = Occurrence(datetime(2027, 12, 5, 2, tzinfo=UTC), datetime(2027, 12, 5, 4, tzinfo=UTC))
    (refusal,) = permit(plan(), NOON, facts(due=None, upcoming=winter)).refusals
    assert refusal.why.endswith("Sun 2027-12-05 03:00 CET")
