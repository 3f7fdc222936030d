"""Experiments as tests."""

from xml.etree import ElementTree

import pytest

from tests.plugin.conftest import NEVER, Project


def properties(case: ElementTree.Element) -> dict[str, str]:
    return {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}


def test_each_experiment_is_a_test_with_its_verdict_and_figures(project: Project) -> None:
    """One session for all of it, on two workers: whole runs take their time."""
    project.experiment("good")
    project.experiment("bad", title="The assistant keeps answering", fallback="off")
    project.experiment("undecided", steady=NEVER)

    options = ("--chaos", "experiments", "--chaos-seed", "7", "-n", "2", "--junitxml", "junit.xml")
    result = project.run_in_calm(*options, expect={"passed": 1, "failed": 1, "inconclusive": 1}, apart=True)

    assert result.ret == 1
    said = result.stdout.str()
    # The failure's message is the verdict.
    result.stdout.fnmatch_lines(
        [
            "during: availability: at-least 99%: * requests got no complete answer",
            "The assistant keeps answering",
            "While broken",
            "  ✗ availability: at-least 99%: * %, asked for at least 99 %; * samples",
            "seed 7, scale 1; report: runs/*-bad/report.html",
            "*Captured chaos call*",
            "*partition gateway → store: on",
        ]
    )
    assert "Traceback" not in said
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "inconclusive: *", "*✗ total: p50 1us: *"])
    # Reports are named by whoever shows the summary, and are there.
    result.stdout.fnmatch_lines(["*chaos reports*"])
    for name, mark in (("good", "✓"), ("bad", "✗"), ("undecided", "?")):
        result.stdout.fnmatch_lines([f"{mark} experiments/{name}.yaml::{name}: runs/*-{name}/report.html"])
        assert list(project.path.glob(f"runs/*-{name}/report.html"))
    result.stdout.fnmatch_lines(["FAILED experiments/bad.yaml::bad - Failed: during: availability*"])

    cases = {one.attrib["name"]: one for one in ElementTree.parse(project.path / "junit.xml").iter("testcase")}
    assert {name: properties(case)["chaos.outcome"] for name, case in cases.items()} == {
        "good": "passed",
        "bad": "failed",
        "undecided": "inconclusive",
    }
    told = properties(cases["bad"])
    assert told["chaos.seed"] == "7"
    assert told["chaos.during.availability: at-least 99%"].endswith("%")
    assert (project.path / told["chaos.report"]).is_file()
    assert cases["undecided"].find("failure") is not None


@pytest.mark.long
def test_what_is_inconclusive_may_be_skipped(project: Project) -> None:
    project.experiment("undecided", steady=NEVER)

    result = project.run_apart("--chaos", "experiments", "--chaos-inconclusive", "skip")

    assert (result.ret, result.parseoutcomes()) == (0, {"skipped": 1})
    result.stdout.fnmatch_lines(["SKIPPED * inconclusive: *"])
    result.stdout.fnmatch_lines(["? experiments/undecided.yaml::undecided: runs/*/report.html"])


def test_a_broken_file_is_told_with_its_place_and_without_a_traceback(project: Project) -> None:
    project.experiment("misspelt", steady="availabilty: {at-least: 99%}")
    project.experiment("misplaced")
    misplaced = project.path / "experiments" / "misplaced.yaml"
    misplaced.write_text(misplaced.read_text().replace("to: store", "to: stor"))

    (project.path / "compose.yaml").write_text("services: {gateway: {image: gateway}}\n")

    result = project.run_apart("--chaos", "experiments", "compose.yaml", "--collect-only")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert result.parseoutcomes() == {"errors": 3}
    result.stdout.fnmatch_lines(
        [
            "experiments/misplaced.yaml:9:5: partition: target 'small' has no service 'stor'; did you mean 'store'?*",
            "experiments/misspelt.yaml:7:17: unknown probe 'availabilty'; did you mean 'availability'?*",
            # It was named, so it is read.
            "compose.yaml:1:1: 'title' is missing*",
        ]
    )
    assert "Traceback" not in result.stdout.str()


UNUSED = """
import sys

def test_it():
    plugin = "brownout.fixtures.pytest_plugin"
    ours = {name for name in sys.modules if name.startswith("brownout")}
    assert ours == {"brownout", "brownout.fixtures", plugin, f"{plugin}.plugin"}
"""


def test_no_file_is_looked_at_unless_asked_and_no_other_yaml_then(project: Project) -> None:
    project.experiment("good")
    (project.path / "experiments" / "broken.yaml").write_text("title: x\nhypothesis: y\nmethod: [")
    (project.path / "compose.yaml").write_text("services: {gateway: {image: gateway}}\n")
    (project.path / "test_it.py").write_text(UNUSED)

    unasked = project.run_apart()
    asked = project.run_apart("--chaos", "--collect-only", "-q")

    assert unasked.parseoutcomes() == {"passed": 1}
    asked.stdout.fnmatch_lines(["experiments/good.yaml::good", "test_it.py::test_it", "experiments/broken.yaml:*"])
    assert "compose" not in asked.stdout.str()


def test_wrong_options_are_told_as_such(project: Project) -> None:
    project.experiment("good")

    setting = project.run_apart("--chaos", "experiments", "--chaos-set", "fallbak=off")
    scale = project.run("--chaos", "experiments", "--chaos-scale", "0")

    setting.stdout.fnmatch_lines(["*unknown setting 'fallbak'; did you mean 'fallback'?*"])
    scale.stderr.fnmatch_lines(["*--chaos-scale must lie between 0.01 and 100*"])
    assert [one.ret for one in (setting, scale)] == [2, 4]
