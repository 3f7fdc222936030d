"""report.html: one self-contained page that asks the network for nothing."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from brownout.evidence.recording import Recording
from brownout.evidence.store import RunInfo
from brownout.experiment import Experiment, Step
from brownout.judge import Judged, Judgement
from brownout.report.figures import failures, slowest, stretches
from brownout.report.summary import BLOCKS, ICONS, further_reasons, headline, story
from brownout.report.text import clean, grouped, line, plural
from brownout.units import format_seconds, format_share, format_size

SLOWEST = 10
FAILED = 20
KINDS = 12
REASONS = 12


def write_report(path: Path, info: RunInfo, experiment: Experiment, recording: Recording, judgement: Judgement) -> None:
    """Write the page to `path`, whole or not at all.

    `experiment` is the one that ran, scaled as it ran.

    Raises:
        OSError: it could not be written.
    """
    page = render(info, experiment, recording, judgement)
    part = path.with_name(f".{path.name}.part")
    part.write_text(page, encoding="utf-8")
    part.replace(path)


def render(info: RunInfo, experiment: Experiment, recording: Recording, judgement: Judgement) -> str:
    """The page as text."""
    # Both take longer to import than everything else that a run needs, and are needed only at its end.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415
    from markupsafe import Markup  # noqa: PLC0415

    from brownout.report.canvas import narrow, wide  # noqa: PLC0415
    from brownout.report.timeline import timeline  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("brownout.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else clean(value),
    )
    environment.filters.update(seconds=_seconds, share=_share, moment=_moment, count=grouped, line=line)
    duration = max(judgement.end or info.duration, *(r.intended for r in recording.requests[-1:]), 1e-3)
    said = headline(recording, judgement, duration=duration)
    sheets = [
        timeline(recording, experiment, canvas=canvas, summary=f"Timeline of the run. {said}")
        for canvas in (wide(duration), narrow(duration))
    ]
    return environment.get_template(
        "template.html.j2"
    ).render(
        # The style sheet is ours, and `<` in it would be ours too.
        style=Markup(resources.files("brownout.report").joinpath("style.css").read_text("utf-8")),  # noqa: S704
        info=info,
        experiment=experiment,
        judgement=judgement,
        icons=ICONS,
        headline=said,
        reasons=further_reasons(judgement),
        most_reasons=REASONS,
        started=_started(info),
        duration=duration,
        stretches=stretches(recording.requests, recording.faults, end=duration),
        sheets=sheets,
        moments=story(recording),
        blocks=_blocks(judgement),
        tally=_tally(judgement),
        faults=_faults(experiment, recording),
        slowest=slowest(recording.requests, count=SLOWEST),
        failed=sorted((r for r in recording.requests if r.outcome not in ("ok", "pending")), key=lambda r: r.intended)[
            :FAILED
        ],
        kinds=failures(recording.requests)[:KINDS],
        failures=sum(1 for r in recording.requests if r.outcome not in ("ok", "pending")),
        requests=len(recording.requests),
        facts=_facts(info, experiment, recording, end=judgement.end),
        command=shlex.join(info.command),
        plural=plural,
    )


def _seconds(value: float | None) -> str:
    return "–" if value is None else format_seconds(value)


def _share(value: float | None) -> str:
    return "–" if value is None else format_share(value)


def _moment(value: float | None) -> str:
    """A moment of the run: `12.34 s`."""
    return "–" if value is None else f"{value:.2f} s"


def _started(info: RunInfo) -> str:
    return datetime.fromtimestamp(info.started_at, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _blocks(judgement: Judgement) -> list[tuple[str, list[Judged]]]:
    """The verdicts by the block that their check stands in, in the order of the run."""
    names = [*BLOCKS, *dict.fromkeys(one.block for one in judgement.judged if one.block not in BLOCKS)]
    grouped_ = [(BLOCKS.get(name, name), [one for one in judgement.judged if one.block == name]) for name in names]
    return [(name, members) for name, members in grouped_ if members]


def _tally(judgement: Judgement) -> list[tuple[str, int]]:
    outcomes = [one.verdict.outcome for one in judgement.judged]
    return [(name, outcomes.count(name)) for name in ("passed", "failed", "inconclusive") if name in outcomes]


def _faults(experiment: Experiment, recording: Recording) -> list[dict[str, Any]]:
    """Every step of the method with what became of it; a fault that was never injected says so."""
    steps: dict[int, Step] = {step.index: step for step in experiment.method}
    spans = {span.index: span for span in recording.faults}
    rows = []
    for index in sorted({*steps, *spans}):
        step, span = steps.get(index), spans.get(index)
        proof = span.proof if span else None
        rows.append(
            {
                "title": step.title if step else span.title if span else "",
                "step": step,
                "span": span,
                "proof": proof,
                "figures": [
                    (name.replace("_", " "), _figure(name, value))
                    for name, value in (proof.figures if proof else {}).items()
                ],
            }
        )
    return rows


def _figure(name: str, value: float) -> str:
    if name.endswith("bytes"):
        return format_size(value)
    return grouped(int(value)) if value == int(value) else f"{value:.4g}"


def _facts(info: RunInfo, experiment: Experiment, recording: Recording, *, end: float) -> list[tuple[str, str]]:
    """What one needs to know to believe or repeat the figures."""
    load = experiment.load
    facts = [
        ("Target", info.target),
        ("Started", _started(info)),
        ("Lasted", f"{end:.1f} s" + ("" if abs(end - info.duration) < 0.05 else f" of {info.duration:.1f} s planned")),
        ("Seed", str(info.seed)),
        ("Scale", f"{info.scale:g}"),
        (
            "Load",
            f"{load.rate:g}/s, {load.arrivals} arrivals, questions {load.questions}, policy {load.policy}, "
            f"{'streamed' if load.stream else 'not streamed'}, given up after {format_seconds(load.timeout)}",
        ),
    ]
    if info.settings:
        facts.append(("Settings", ", ".join(f"{name}={value}" for name, value in sorted(info.settings.items()))))
    facts += _peaks(recording)
    facts += [(name[:1].upper() + name[1:], value) for name, value in info.environment.items()]
    return facts


def _peaks(recording: Recording) -> Sequence[tuple[str, str]]:
    """The most that all processes of the run took together, as sampled."""
    peaks: dict[str, float] = {}
    for sample in recording.samples:
        if sample.source == "host":
            peaks[sample.metric] = max(peaks.get(sample.metric, sample.value), sample.value)
    return [
        (f"Peak {name.removesuffix('_bytes').replace('_', ' ')}", _figure(name, value))
        for name, value in sorted(peaks.items())
    ]
