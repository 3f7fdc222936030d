"""junit.xml: one test case a check, and one for the run itself, so that no run that is not green looks green."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from brownout.evidence.store import RunInfo
from brownout.judge import Judged, Judgement
from brownout.report.text import clean, line


def write_junit(path: Path, info: RunInfo, judgement: Judgement) -> None:
    """Write junit.xml to `path`, whole or not at all.

    A check that failed is a `failure`; one that could not be decided is an `error`, never `skipped`, which most readers
    show as green. The case `run` says how the whole ended: aborted and inconclusive are an `error`.

    Raises:
        OSError: it could not be written.
    """
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(junit([(info, judgement)]))
    part.replace(path)


def junit(runs: Sequence[tuple[RunInfo, Judgement]]) -> bytes:
    """The same as bytes, a suite a run: the dialect that Jenkins, GitLab and GitHub's reporters read
    (https://github.com/testmoapp/junitxml)."""
    suites = ET.Element("testsuites", name="brownout")
    made = [_suite(info, judgement) for info, judgement in runs]
    for name in ("tests", "failures", "errors", "skipped"):
        suites.set(name, str(sum(int(suite.get(name, "0")) for suite in made)))
    suites.set("time", f"{sum(judgement.end for _, judgement in runs):.3f}")
    suites.extend(made)
    ET.indent(suites)
    text: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(info: RunInfo, judgement: Judgement) -> ET.Element:
    suite = ET.Element("testsuite", name=line(info.title))
    if info.started_at:
        suite.set("timestamp", datetime.fromtimestamp(info.started_at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    _properties(
        suite,
        {
            "seed": info.seed,
            "target": info.target,
            "scale": f"{info.scale:g}",
            "experiment": info.experiment_file,
            "outcome": judgement.outcome,
            "brownout": info.brownout_version,
            **{f"setting {name}": value for name, value in info.settings.items()},
            **{f"environment {name}": value for name, value in info.environment.items()},
        },
    )
    for one in judgement.judged:
        _check(suite, one)
    _run(suite, judgement)
    cases = suite.findall("testcase")
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": 0,
    }
    for name, count in counts.items():
        suite.set(name, str(count))
    suite.set("time", f"{judgement.end:.3f}")
    return suite


def _properties(parent: ET.Element, values: dict[str, object]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=line(name), value=line(value, limit=2000))


def _check(suite: ET.Element, one: Judged) -> None:
    verdict = one.verdict
    # The time is the run's: a check takes none of its own.
    case = ET.SubElement(suite, "testcase", classname=line(one.block), name=line(one.check.title), time="0")
    values: dict[str, object] = {
        "probe": one.check.probe,
        "figure": verdict.figure,
        "threshold": verdict.threshold,
        "samples": verdict.samples,
    }
    if verdict.value is not None:
        values["value"] = f"{verdict.value:.6g} {verdict.unit}".rstrip()
    if verdict.limit is not None:
        values["limit"] = f"{verdict.limit:.6g} {verdict.unit}".rstrip()
    _properties(case, values)
    if verdict.outcome != "passed":
        kind = "failure" if verdict.outcome == "failed" else "error"
        said = f"measured {line(verdict.figure)}, asked for {line(verdict.threshold)}"
        message = said if verdict.outcome == "failed" else f"inconclusive: {line(verdict.why) or said}"
        ET.SubElement(case, kind, type=verdict.outcome, message=message).text = clean(
            f"{message}\n{verdict.why}".strip()
        )


def _run(suite: ET.Element, judgement: Judgement) -> None:
    case = ET.SubElement(suite, "testcase", classname="run", name="the run as a whole", time=f"{judgement.end:.3f}")
    told = any(one.verdict.outcome == "failed" for one in judgement.judged)
    # A failed check is counted once, where it stands.
    if judgement.outcome == "passed" or (judgement.outcome == "failed" and told):
        return
    kind = "failure" if judgement.outcome == "failed" else "error"
    message = f"{judgement.outcome}: {line(judgement.reasons[0])}" if judgement.reasons else judgement.outcome
    ET.SubElement(case, kind, type=judgement.outcome, message=message).text = clean("\n".join(judgement.reasons))
