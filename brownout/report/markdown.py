"""A run in Markdown, for a comment on a pull request: GitHub's dialect, which GitLab and Gitea read too."""

import re
from collections.abc import Iterable, Sequence

from brownout.judge import Judged
from brownout.prometheus.crosscheck import MOST
from brownout.report.budget import Alerts, Budget, budget_of
from brownout.report.comparison import Cell, Comparison, Group
from brownout.report.summary import ICONS, further_reasons, story
from brownout.report.text import grouped, line, plural
from brownout.report.view import Row, RunView, glance, setting, share, times
from brownout.report.written import Written
from brownout.units import format_seconds

REASONS = 8
MOMENTS = 60
LONGEST = 60_000
"""Characters; GitHub takes 65 536 in a comment."""
_MARKUP = re.compile(r"[\\`*_{}\[\]<>|~$!]|^[#+\-=>]|(?<=\d)[.)](?=\s)")
_LINKED = re.compile(r"[@#&]|:(?=//)|(?<=www)\.", re.IGNORECASE)


def markdown(view: RunView) -> str:
    """The run's verdict, what happened, its figures and its checks; never a link, a mention or markup of others."""
    judgement, info = view.judgement, view.info
    parts = [
        f"## {ICONS[judgement.outcome]} {judgement.outcome.capitalize()}: {text(view.experiment.title)}",
        text(view.headline, limit=2000),
        *_reasons(view),
        table(["", *(part.name for part in view.stretches)], _figures(glance(view.stretches)), right=True),
    ]
    if (budget := budget_of(view.experiment, view.parts, view.requests)) is not None:
        parts.append(f"{budget_sentence(budget)} {alert_sentence(view.alerts)}".strip())
    if view.written is not None:
        parts.append(writes_sentence(view.written))
    if (check := view.cross_check) is not None:
        agrees = f"Prometheus agrees with these figures within {MOST * 100:.0f} %."
        parts.append(f"**Warning.** {text(check.warning, limit=1000)}" if check.warning else agrees)
        rows = [
            [title, line.part, line.ours, line.theirs, f"**{line.verdict}**" if line.disagree else line.verdict]
            for title, lines in check.lines.items()
            for line in lines
        ]
        header = ["", "Part", "The load", "Prometheus", "The two"]
        parts.append(_folded("Against Prometheus", table(header, rows)))
    unmet = [one for one in judgement.judged if one.verdict.outcome != "passed"]
    if unmet:
        parts += ["### Not as expected", _checks(unmet)]
    if judgement.judged:
        tally = ", ".join(f"{count} {outcome}" for outcome, count in view.tally)
        parts.append(_folded(f"{plural(len(judgement.judged), 'check')}: {tally}", _checks(judgement.judged)))
    parts += _faults(view)
    if moments := story(view.recording):
        rows = [[f"{one.at:.2f} s", text(one.kind), text(one.text, limit=120)] for one in moments[:MOMENTS]]
        more = f"\n\nThe first {MOMENTS} of them; report.html has more." if len(moments) > MOMENTS else ""
        shown = table(["At", "What", "Happened"], rows) + more
        parts.append(_folded(f"What happened: {plural(len(moments), 'moment')}", shown))
    if view.command:
        parts.append(_folded("Run it again", f"```sh\n{_fenced(view.command)}\n```"))
    facts = [info.experiment_file, f"{info.target} target", f"seed {info.seed}", view.started]
    facts += [f"scale {info.scale:g}"] if info.scale != 1 else []
    facts += [f"{name}={setting(value)}" for name, value in sorted(info.settings.items())]
    parts.append(f"<sub>{' · '.join(map(text, [*facts, f'Brownout {info.brownout_version}']))}</sub>")
    return shortened(parts)


def shortened(parts: Iterable[str]) -> str:
    """The parts below one another, as many as a comment can hold; where some are left out, it says so."""
    shown: list[str] = []
    for part in parts:
        if sum(map(len, shown)) + 2 * len(shown) + len(part) > LONGEST:
            shown.append("… and more, which is in report.html.")
            break
        shown.append(part)
    return "\n\n".join(shown) + "\n"


def budget_sentence(budget: Budget) -> str:
    """What the run took of a month's error budget, in one or two sentences."""
    said = [f"A 30-day month at {share(budget.objective.share)} allows {format_seconds(budget.allowed)} of outage."]
    for burnt in budget.burnt:
        if not burnt.bad:
            said.append(f"{burnt.name}: nothing of it was spent.")
            continue
        gone = "" if burnt.lasts is None else f"; all of it would last {format_seconds(burnt.lasts)}"
        said.append(
            f"{burnt.name}: burning {times(burnt.rate)}, {format_seconds(burnt.spent)} spent "
            f"({share(min(burnt.of_month, 1.0))} of it{gone})."
        )
    return " ".join(said)


def alert_sentence(alerts: Alerts | None) -> str:
    """Which of the objective's alerts would have fired first."""
    if alerts is None or not any(one.watched for one in alerts.watches):
        return ""
    first = alerts.first
    if first is None or first.at is None:
        return "No burn-rate alert would have fired."
    when = f"at {first.at:.1f} s"
    if first.after is not None:
        when = f"{format_seconds(first.after)} after the fault" if first.after >= 0 else "before the fault"
    return f"The first alert, a {first.name} ({times(first.burn)}), would have fired {when}."


def writes_sentence(written: Written) -> str:
    """What became of the documents that were stored meanwhile, in one sentence."""
    asked, kept = (sum(getattr(one, name) for one in written.parts) for name in ("asked", "acknowledged"))
    lost, repeated = (sum(getattr(one, name) for one in written.parts) for name in ("lost", "repeated"))
    uncounted = sum(one.uncounted for one in written.parts)
    said = f"Of {plural(asked, 'document')} written {grouped(kept)} were acknowledged"
    if uncounted:
        return f"{said}; of {grouped(uncounted)} of these nobody counted whether they are there."
    fates = ((lost, "lost"), (repeated, "held several times"))
    told = [f"**{grouped(count)} {what}**" if count else f"none {what}" for count, what in fates]
    return f"{said}; of these {' and '.join(told)}."


def text(what: object, *, limit: int = 300) -> str:
    """Any text as itself: no markup, no mention, no link comes of it."""
    shown = _LINKED.sub(lambda found: f"&#{ord(found[0])};", line(what, limit=limit))
    return _MARKUP.sub(lambda found: f"\\{found[0]}", shown)


def code(what: object, *, limit: int = 300) -> str:
    """The same as code, for use within a table too."""
    shown = line(what, limit=limit).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else "–"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: bool = False) -> str:
    """A table of cells that are Markdown already; all columns but the first to the right where they are figures."""
    rule = ["---", *(["--:" if right else "---"] * (len(header) - 1))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def _reasons(view: RunView) -> list[str]:
    reasons = [*further_reasons(view.judgement), *(f"Not the run's own verdict: {one}" for one in view.differences)]
    told = [f"- {text(reason)}" for reason in reasons[:REASONS]]
    if len(reasons) > REASONS:
        told.append(f"- and {len(reasons) - REASONS} more")
    return ["\n".join(told)] if told else []


def _figures(rows: Sequence[Row]) -> list[list[str]]:
    return [
        [row.name, *(f"**{figure}**" + (f" ({note})" if note else "") for figure, note in row.cells)] for row in rows
    ]


def _checks(judged: Sequence[Judged]) -> str:
    rows = [
        [
            f"{ICONS[one.verdict.outcome]} {one.verdict.outcome}",
            f"{text(one.block)}: {code(one.check.title)}" + (f"<br>{text(one.verdict.why)}" if one.verdict.why else ""),
            text(one.verdict.threshold),
            f"**{text(one.verdict.figure)}**",
            str(one.verdict.samples),
        ]
        for one in judged
    ]
    return table(["", "Check", "Asked for", "Measured", "Samples"], rows)


def _faults(view: RunView) -> list[str]:
    told = []
    for span in view.recording.faults:
        off = "never off" if span.off is None else f"off at {span.off:.2f} s"
        proof = "nothing was counted that shows it" if span.proof is None else text(span.proof.summary)
        works = span.proof is not None and span.proof.works
        how = "proven" if works else "**not proven**"
        told.append(f"- **{text(span.title)}**: on at {span.on:.2f} s, {off}; {how}: {proof}")
    return ["### What was broken\n\n" + "\n".join(told)] if told else []


def _folded(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{inside}\n\n</details>"


def _fenced(command: str) -> str:
    return line(command, limit=2000).replace("```", "'''")


def side_by_side(compared: Comparison) -> str:
    """Several runs in Markdown: the runs, what got worse, what differs, figures and checks."""
    views, letters = compared.views, compared.letters
    worse = compared.regressions
    mark = f"✗ {plural(len(worse), 'regression')}" if worse else "✓ No regression"
    runs = [
        [
            f"**{letter}**",
            code(view.name),
            f"{ICONS[view.judgement.outcome]} {view.judgement.outcome}",
            text(view.started),
        ]
        for letter, view in zip(letters, views, strict=True)
    ]
    parts = [
        f"## {mark}: {text(views[0].experiment.title)}",
        table(["", "Run", "Verdict", "Started"], runs),
        " ".join(compared.sentence(i) for i in range(1, len(views))),
    ]
    if worse:
        told = [f"- {text(one)}" for one in worse[:REASONS]]
        told += [f"- and {len(worse) - REASONS} more"] if len(worse) > REASONS else []
        parts.append("\n".join(told))
    if compared.setup:
        rows = [[text(one.name), *(text(cell.text) for cell in one.cells)] for one in compared.setup]
        parts += ["### What differs", table(["", *letters], rows)]
    parts += ["### Figures", _groups(compared.figures, letters)]
    if compared.checks:
        parts.append(_folded("The checks", _groups(compared.checks, letters, as_code=True)))
    return shortened(parts)


def _groups(groups: Sequence[Group], letters: Sequence[str], *, as_code: bool = False) -> str:
    rows = []
    for group in groups:
        rows.append([f"**{text(group.name)}**", *("" for _ in letters)])
        rows += [[code(one.name) if as_code else text(one.name), *map(_cell, one.cells)] for one in group.lines]
    return table(["", *letters], rows)


def _cell(cell: Cell) -> str:
    shown = text(cell.text)
    if cell.outcome:
        shown = f"{ICONS[cell.outcome]} {shown}"
    if cell.change:
        shown = f"**{shown}** {'▲ worse' if cell.change == 'worse' else '▽ better'}"
    return shown + (f"<br><sub>{text(cell.note)}</sub>" if cell.note else "")
