"""record.md: the drill as an entry of a reliability runbook, in the Markdown of GitHub, GitLab and Gitea."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from brownout.gameday.governance import on_the_wall
from brownout.gameday.record.earlier import Cell, compared, headings
from brownout.gameday.record.facts import (
    WHYS,
    after_fault,
    against_goals,
    by_the_system,
    clock,
    due,
    facts,
    findings,
    hit,
    isolated,
    refusals,
)
from brownout.gameday.record.steps import Step
from brownout.gameday.record.timeline import MOST
from brownout.gameday.record.view import HTML, RecordView, link
from brownout.gameday.record.words import ICONS_OF_ALL
from brownout.gameday.rows import Mark
from brownout.report.markdown import code, table, text
from brownout.report.view import seconds, share


def markdown(view: RecordView, *, beside: Path) -> str:
    """The entry as text.

    Args:
        view: the record.
        beside: the folder in which it will lie, from which the runs' reports are linked.
    """
    drill, outcome = view.drill, view.played.outcome
    date = on_the_wall(drill.started, view.played.zone)
    parts = [
        f"# {ICONS_OF_ALL[outcome]} {date}: {text(drill.title)}",
        f"**{outcome.capitalize()}.** {text(view.headline, limit=2000)} The drill is {text(due(view))}.",
        "## What is asked of every drill",
        _asked(view),
        *(f"## {name}\n\n{told}" for name, told in _playbook(view)),
        "## Expected and found",
        *(_experiment(step, beside) for step in view.steps),
        "## Timeline",
        _timeline(view),
        *_earlier(view, beside),
        "## Plan and people",
        table(["", ""], [[name, text(said, limit=600)] for name, said in facts(view)]),
    ]
    return "\n\n".join(parts) + "\n"


def _asked(view: RecordView) -> str:
    detect, mitigate = map(seconds, view.played.goals)
    rows = []
    for step in view.steps:
        name = f"{step.number}: {code(step.experiment)}: {ICONS_OF_ALL[step.outcome]} {step.outcome}"
        found = view.answers.get(step.number)
        if found is None:
            rows.append([name, *("–" for _ in range(6))])
            continue
        measured = "<br>".join(
            f"{name} {seconds(figure)}, {verdict}" if figure is not None else f"{name} {verdict}"
            for name, figure, verdict in against_goals(view, step)
        )
        burnt = step.burnt
        spent = "–" if burnt is None else "nothing"
        if burnt is not None and burnt.bad:
            spent = f"{seconds(burnt.spent)} ({share(burnt.of_month)} of a month's)"
        rows.append([name, *(f"**{one.word}**: {text(one.why)}" for one in found.values()), measured, spent])
    questions = ("Breaker opened within 30 s?", "Failed over?", "Alert fired?", "Recovery automatic?")
    return table(["", *questions, f"TTD, TTM (goals: {detect}, {mitigate})", "Budget burnt"], rows)


def _playbook(view: RecordView) -> Iterator[tuple[str, str]]:
    started = [step for step in view.steps if step.row is not None]
    yield "Detect", _by_step(started, lambda step: _marked(view, step, "detected") or ["nobody, and no alert"])
    yield "Isolate", _by_step(started, lambda step: [*isolated(step), *hit(step)] or [step.missing or "nothing broken"])
    yield (
        "Mitigate",
        _by_step(
            started,
            lambda step: [
                _answer(view, step, "Failed over?"),
                *filter(None, [by_the_system(view, step)]),
                *_marked(view, step, "mitigated"),
            ],
        ),
    )
    said = [f"{clock(view, one.at)}, {one.by}: {one.what}" for one in view.notes]
    said += [f"{one.by} overrode {one.rule}: {one.why} (it said: {one.refusal})" for one in view.overrides]
    said += [f"refused start, {when}: {'; '.join(why)}" for when, why in refusals(view)]
    yield "Communicate", _listed(said or ["Nobody wrote anything down."])
    yield "Resolve", _by_step(started, lambda step: [_answer(view, step, "Recovery automatic?")])
    whys = "\n".join(f"{number}. …" for number in range(1, WHYS + 1))
    asked = "\n\n".join(f"{text(one)}\n\n{whys}" for one in findings(view))
    followed = [
        f"#{one.id} {one.what}: {one.owner}, "
        + ("done" if one.closed else "open" if one.due is None else f"due {one.due}")
        for one in view.follow_ups
    ]
    yield "Learn", f"{asked}\n\nFollow-ups:\n\n{_listed(followed or ['none yet'])}"


def _by_step(steps: Sequence[Step], of: Callable[[Step], Sequence[str]]) -> str:
    told = [
        f"- {step.number}: {code(step.experiment)}\n" + "\n".join(f"  - {text(one, limit=600)}" for one in of(step))
        for step in steps
    ]
    return "\n".join(told) or "No experiment was started."


def _listed(said: Sequence[str]) -> str:
    return "\n".join(f"- {text(one, limit=900)}" for one in said)


def _answer(view: RecordView, step: Step, question: str) -> str:
    found = view.answers[step.number][question]
    return f"{question} {found.word.capitalize()}: {found.why}"


def _marked(view: RecordView, step: Step, kind: str) -> list[str]:
    def told(mark: Mark) -> str:
        after = after_fault(step, mark.at)
        who = f"alert {mark.by}" if mark.source == "alert" else mark.by
        return f"{kind}: {who} at {clock(view, mark.at)}" + (f", {after}" if after else "")

    return [told(mark) for mark in view.marks_of(step) if mark.kind == kind]


def _experiment(step: Step, beside: Path) -> str:
    parts = [f"### {step.number}. {ICONS_OF_ALL[step.outcome]} {text(step.title)}: {step.outcome}"]
    run = step.run
    if run is None:
        return f"{parts[0]}\n\n{'It was not started.' if step.row is None else text(step.missing)}"
    parts += [f"Expected: {text(run.experiment.hypothesis, limit=2000)}"] if run.experiment.hypothesis else []
    parts.append(f"Found: {text(run.headline, limit=2000)}")
    parts += [f"Judged again: {text(one)}" for one in run.differences]
    rows = [
        [
            f"{ICONS_OF_ALL[one.verdict.outcome]} {one.verdict.outcome}",
            f"{text(block)}: {code(one.check.title)}" + (f"<br>{text(one.verdict.why)}" if one.verdict.why else ""),
            text(one.verdict.threshold),
            f"**{text(one.verdict.figure)}**",
        ]
        for block, found in run.blocks
        for one in found
    ]
    parts += [table(["", "Check", "Asked for", "Measured"], rows)] if rows else []
    if (href := link(step.report, beside=beside)) is not None:
        parts.append(f"[Report of the run]({href})")
    return "\n\n".join(parts)


def _timeline(view: RecordView) -> str:
    zone, start = view.played.zone, view.drill.started
    rows = [
        [
            f"{one.at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            f"+{(one.at - start).total_seconds():.1f} s",
            one.kind,
            text(one.text, limit=600),
        ]
        for one in view.moments[:MOST]
    ]
    more = len(view.moments) - len(rows)
    left = f"\n\n… and {more} more, which are in the reports of the runs." if more else ""
    return table([f"On the wall ({zone.key})", "Since the start", "What", "Happened"], rows) + left


def _earlier(view: RecordView, beside: Path) -> list[str]:
    lines = compared(view)
    if not lines:
        return []
    heads = []
    for one, date in headings(view):
        href = None if one is view.played else link(one.folder / HTML, beside=beside)
        heads.append(f"[{date}]({href})" if href else date)
    rows = [[text(one.name), *map(_cell, one.cells)] for one in lines]
    return ["## Beside the last drills of this plan", table(["", *heads], rows)]


def _cell(cell: Cell) -> str:
    told = [f"{ICONS_OF_ALL[cell.outcome]} {cell.outcome}"] if cell.outcome else []
    return "<br>".join([*told, *([text(cell.text)] if cell.text else [])])
