"""The record for programs."""

from dataclasses import asdict
from datetime import datetime

from brownout.evidence.store import as_json, recorded
from brownout.gameday.record.facts import against_goals
from brownout.gameday.record.steps import Step
from brownout.gameday.record.view import Played, RecordView


def to_json(view: RecordView) -> dict[str, object]:
    """The whole record; moments as ISO 8601 in UTC, spans in seconds, shares as 0 to 1."""
    drill, (detect, mitigate) = view.drill, view.played.goals
    return {
        "drill": drill.id,
        "plan": drill.plan,
        "title": drill.title,
        "target": drill.target,
        "instance": drill.instance,
        "state": drill.state,
        "outcome": drill.outcome,
        "said": drill.said,
        "scheduled": _at(drill.scheduled),
        "started": _at(drill.started),
        "ended": _at(drill.ended),
        "commander": drill.commander,
        "abort_holder": drill.abort_holder,
        "looked_by": drill.looked_by,
        "reviewed": _at(drill.reviewed),
        "reviewed_by": drill.reviewed_by,
        "review_due": _at(drill.review_due),
        "goals": {"detect": detect, "mitigate": mitigate},
        "overrides": [{**asdict(one), "at": _at(one.at)} for one in view.overrides],
        "refused_starts": [{"at": _at(one.at), "rule": one.rule, "why": one.why} for one in view.refused],
        "experiments": [_step(view, step) for step in view.steps],
        "marks": [{**asdict(one), "at": _at(one.at)} for one in view.marks],
        "notes": [{**asdict(one), "at": _at(one.at)} for one in view.notes],
        "timeline": [{**asdict(one), "at": _at(one.at)} for one in view.moments],
        "follow_ups": [
            {
                "id": one.id,
                "what": one.what,
                "owner": one.owner,
                "due": None if one.due is None else one.due.isoformat(),
                "closed": _at(one.closed),
            }
            for one in view.follow_ups
        ],
        "earlier": [_earlier(one) for one in view.earlier],
    }


def _step(view: RecordView, step: Step) -> dict[str, object]:
    times, run, burnt = view.played.times.get(step.number), step.run, step.burnt
    return {
        "number": step.number,
        "phase": step.phase,
        "experiment": step.experiment,
        "outcome": step.outcome,
        "folder": None if step.folder is None else str(step.folder),
        "hypothesis": None if run is None else run.experiment.hypothesis,
        "headline": None if run is None else run.headline,
        "verdicts": [] if run is None else as_json(recorded(run.judgement.judged)),
        "answers": {name: asdict(one) for name, one in view.answers.get(step.number, {}).items()},
        "ttd": None if times is None else times.ttd,
        "ttm": None if times is None else times.ttm,
        "goals": {
            goal: outcome
            for goal, (_, _, outcome) in zip(("detect", "mitigate"), against_goals(view, step), strict=True)
        },
        "recovery": None if times is None else times.recovery,
        "recovered_by_itself": None if times is None else times.by_itself,
        "budget_spent": None if burnt is None else burnt.spent,
    }


def _earlier(one: Played) -> dict[str, object]:
    return {
        "drill": one.drill.id,
        "outcome": one.drill.outcome,
        "started": _at(one.drill.started),
        "ttd": one.worst("ttd"),
        "ttm": one.worst("ttm"),
        "budget_spent": one.spent,
        "experiments": {step.experiment: step.outcome for step in one.steps},
    }


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
