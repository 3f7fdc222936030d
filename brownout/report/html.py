"""report.html: one self-contained page that asks the network for nothing."""

import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brownout.evidence.recording import Recording
from brownout.experiment import Experiment, Load, Step
from brownout.report.baseline import against_baseline
from brownout.report.breakdown import breakdown
from brownout.report.budget import budget_of
from brownout.report.comparison import Comparison
from brownout.report.figures import failures, slowest
from brownout.report.summary import ICONS, further_reasons, story
from brownout.report.text import clean, grouped, line, plural
from brownout.report.view import RunView, glance, seconds, setting, share, times
from brownout.report.worst import cases
from brownout.units import format_seconds, format_size

if TYPE_CHECKING:
    from markupsafe import Markup

SLOWEST = 10
FAILED = 20
KINDS = 12
REASONS = 12


def write_report(path: Path, view: RunView) -> None:
    """Write the page to `path`, whole or not at all.

    Raises:
        OSError: it could not be written.
    """
    write_page(path, render(view))


def write_page(path: Path, page: str) -> None:
    """Write a text to `path`, whole or not at all.

    Raises:
        OSError: it could not be written.
    """
    part = path.with_name(f".{path.name}.part")
    # A folder that somebody sent may hold a link of that name, to a file of ours.
    part.unlink(missing_ok=True)
    with part.open("x", encoding="utf-8") as file:
        file.write(page)
    part.replace(path)


def render(view: RunView) -> str:
    """The page of one run as text."""
    from brownout.report.gauge import gauge  # noqa: PLC0415 - with the template's engine, which loads late

    recording, judgement, experiment = view.recording, view.judgement, view.experiment
    failed = [r for r in view.requests if r.outcome not in ("ok", "pending")]
    return from_template(
        "template.html.j2",
        view=view,
        info=view.info,
        experiment=experiment,
        judgement=judgement,
        reasons=further_reasons(judgement),
        most_reasons=REASONS,
        glance=glance(view.stretches),
        sheets=_sheets(view),
        moments=story(recording),
        gauge=gauge,
        budget=budget_of(experiment, view.parts, view.requests),
        baseline=against_baseline(view.parts),
        breakdown=breakdown(view.parts),
        faults=_faults(experiment, recording),
        slowest=cases(slowest(view.requests, count=SLOWEST), recording),
        failed=cases(failed[:FAILED], recording),
        kinds=failures(view.requests)[:KINDS],
        failures=len(failed),
        requests=len(view.requests),
        facts=_facts(view),
    )


def render_comparison(compared: Comparison) -> str:
    """The page of several runs side by side as text."""
    return from_template(
        "comparison.html.j2",
        compared=compared,
        runs=[
            {"letter": letter, "view": view, "sheets": _sheets(view, hatch=i == 0)}
            for i, (letter, view) in enumerate(zip(compared.letters, compared.views, strict=True))
        ],
        sentences=[compared.sentence(i) for i in range(1, len(compared.views))],
        regressions=compared.regressions,
        most_reasons=REASONS,
    )


def from_template(template: str, *, package: str = "brownout.report", **values: object) -> str:
    """A page that looks like the report, from a template of `package`; every text in it is escaped."""
    # Both take longer to import than everything else that a run needs, and are needed only at its end.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415
    from markupsafe import Markup  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else clean(value),
    )
    environment.filters.update(seconds=seconds, share=share, moment=_moment, times=times, count=grouped, line=line)
    # The style sheet is ours, and `<` in it would be ours too.
    style = Markup(resources.files("brownout.report").joinpath("style.css").read_text("utf-8"))  # noqa: S704
    return environment.get_template(template).render(style=style, icons=ICONS, plural=plural, **values)


def _sheets(view: RunView, *, hatch: bool = True) -> list["Markup"]:
    from brownout.report.canvas import narrow, wide  # noqa: PLC0415 - with the template's engine
    from brownout.report.timeline import timeline  # noqa: PLC0415 - likewise

    said = f"Timeline of the run. {view.headline}"
    return [
        timeline(view.recording, view.requests, view.experiment, canvas=canvas, summary=said, hatch=hatch)
        for canvas in (wide(view.duration), narrow(view.duration))
    ]


def _moment(value: float | None) -> str:
    """A moment of the run: `12.34 s`."""
    return "–" if value is None else f"{value:.2f} s"


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
    if not math.isfinite(value):
        return "–"
    if name.endswith("bytes"):
        return format_size(value)
    return grouped(int(value)) if value == int(value) else f"{value:.4g}"


def _facts(view: RunView) -> list[tuple[str, str]]:
    """What one needs to know to believe or repeat the figures."""
    info, end = view.info, view.judgement.end
    facts = [
        ("Target", info.target),
        ("Started", view.started),
        ("Lasted", f"{end:.1f} s" + ("" if abs(end - info.duration) < 0.05 else f" of {info.duration:.1f} s planned")),
        ("Seed", str(info.seed)),
        ("Scale", f"{info.scale:g}"),
        *((f"Load {load.name}" if load.name else "Load", _told_load(load)) for load in view.experiment.load),
    ]
    if info.settings:
        facts.append(
            ("Settings", ", ".join(f"{name}={setting(value)}" for name, value in sorted(info.settings.items())))
        )
    facts += _peaks(view.recording)
    facts += [(name[:1].upper() + name[1:], value) for name, value in info.environment.items()]
    return facts


def _told_load(load: Load) -> str:
    told = [f"{load.rate:g}/s"]
    if load.at or load.for_ is not None:
        until = "the end" if load.for_ is None else format_seconds(load.end)
        told.append(f"from {format_seconds(load.at)} to {until}")
    told += [f"{kind} {value}" for kind, value in (("tier", load.tier), ("tenant", load.tenant)) if value is not None]
    told += [f"{load.arrivals} arrivals", f"questions {load.questions}", f"policy {load.policy}"]
    told += ["streamed" if load.stream else "not streamed", f"given up after {format_seconds(load.timeout)}"]
    told += [f"deadline {format_seconds(load.deadline)}"] if load.deadline is not None else []
    return ", ".join(told)


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
