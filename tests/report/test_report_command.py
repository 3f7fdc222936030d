"""`chaos report`: from a run's evidence, whatever became of the rest of its folder."""

import re
import sqlite3
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from brownout.cli.report import report
from tests.judge.runs import SOURCE, write_run


def chaos_report(*arguments: object) -> Result:
    return CliRunner().invoke(report, [str(argument) for argument in arguments], catch_exceptions=False)


def run_folder(base: Path, name: str, **options: object) -> Path:
    folder = base / name
    folder.mkdir()
    write_run(folder, **options)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("runs"), "good")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers while broken are of level 0 and say nothing."""
    return run_folder(tmp_path_factory.mktemp("runs"), "bad", level=0, warnings=())


def change(folder: Path, statement: str) -> None:
    file = sqlite3.connect(folder / "evidence.sqlite")
    file.execute(statement)
    file.commit()
    file.close()


def test_a_folder_with_nothing_but_evidence_gets_its_report_again(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "sent")
    result = chaos_report(folder)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    page = (folder / "report.html").read_text("utf-8")
    assert "<title>Passed: A" not in page
    assert "Passed</h2>" in page
    assert "The vector-db breaker opened after 1.4 s and closed 6.2 s after the heal." in page
    assert sorted(each.name for each in folder.iterdir()) == ["evidence.sqlite", "report.html"]


def test_the_report_goes_where_it_is_told_to(good: Path, tmp_path: Path) -> None:
    assert chaos_report(good / "evidence.sqlite", "-o", tmp_path / "a.html").exit_code == 0
    assert (tmp_path / "a.html").read_text("utf-8").startswith("<!doctype html>")
    assert chaos_report(good, "-o", "-").stdout.startswith("<!doctype html>")
    assert chaos_report(good, "--format", "markdown", "-o", tmp_path / "a.md").stdout == ""
    assert (tmp_path / "a.md").read_text("utf-8").startswith("## ✓ Passed: ")


def test_markdown_and_junit_go_to_stdout(good: Path, bad: Path) -> None:
    said = chaos_report(good, "--format", "markdown")
    assert said.exit_code == 0
    assert said.stdout.startswith("## ✓ Passed: ")
    one = ET.fromstring(chaos_report(bad, "--format", "junit").stdout)
    assert int(one.get("failures", "0")) > 0
    two = ET.fromstring(chaos_report(good, bad, "--format", "junit").stdout)
    assert len(two.findall("testsuite")) == 2
    assert two.get("failures") == one.get("failures")
    assert int(two.get("tests", "0")) == 2 * int(one.get("tests", "0"))


def test_a_run_that_was_killed_still_has_a_report(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "killed", closed=False)
    result = chaos_report(folder, "--format", "markdown")
    assert result.exit_code == 0
    assert "the run was cut short" in result.stdout
    assert result.stdout.startswith("## ? Inconclusive: ")


def test_evidence_that_gives_another_verdict_than_the_run_said_is_told(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "changed", level=0, warnings=())
    change(folder, "UPDATE run SET value = 'passed' WHERE key = 'outcome'")
    result = chaos_report(folder)
    assert result.exit_code == 0
    assert "changed: not the run's own verdict: the run said passed, its evidence says failed" in result.stderr
    assert "not the run&#39;s own verdict" in (folder / "report.html").read_text("utf-8").replace("run's", "run&#39;s")
    assert "Not the run's own verdict" in chaos_report(folder, "--format", "markdown").stdout


def test_runs_side_by_side_mark_what_got_worse(good: Path, bad: Path, tmp_path: Path) -> None:
    page = tmp_path / "both.html"
    result = chaos_report(good, bad, "-o", page)
    assert result.exit_code == 0
    assert re.search(r"^B is worse than A in \d+ checks", result.stderr, re.MULTILINE)
    assert "▲ worse" in page.read_text("utf-8")
    said = chaos_report(good, bad, "--format", "markdown").stdout
    assert re.match(r"## ✗ \d+ regressions: ", said)
    assert "passed (100 % of" in said


def test_a_regression_fails_the_command_only_where_that_is_asked_for(good: Path, bad: Path) -> None:
    assert chaos_report(good, bad, "--format", "markdown").exit_code == 0
    assert chaos_report(good, bad, "--format", "markdown", "--fail-on-regression").exit_code == 1
    assert chaos_report(good, good, "--format", "markdown", "--fail-on-regression").exit_code == 0
    alone = chaos_report(good, "--fail-on-regression")
    assert alone.exit_code == 2
    assert "needs two runs" in alone.stderr


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_that_is_no_run_gets_one_message(tmp_path: Path, name: str) -> None:
    result = chaos_report(tmp_path / name)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "is no run: expected a run folder with evidence.sqlite in it" in line


@pytest.mark.parametrize("damage", ["text", "cut", "table"])
def test_broken_evidence_gets_one_message_and_leaves_no_report(tmp_path: Path, damage: str) -> None:
    folder = run_folder(tmp_path, "broken")
    path = folder / "evidence.sqlite"
    if damage == "text":
        path.write_text("hello")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        change(folder, "DROP TABLE request")
    result = chaos_report(folder)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert str(path) in line
    assert not (folder / "report.html").exists()


def test_an_experiment_that_cannot_be_read_here_says_where(tmp_path: Path) -> None:
    folder = run_folder(
        tmp_path, "other", source=SOURCE.replace("- availability: {at-least: 99%}", "- quality: {at-least: 99%}")
    )
    result = chaos_report(folder)
    assert result.exit_code == 2
    assert "vector_db_partition.yaml:" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: The assistant", "title: Some other assistant", "runs of different experiments cannot be compared"),
        ("{from: gateway, to: vector-db}", "{from: gateway, to: cache}", "the method of other is not that of good"),
    ],
)
def test_different_experiments_are_not_compared(good: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in SOURCE
    other = run_folder(tmp_path, "other", source=SOURCE.replace(old, new))
    result = chaos_report(good, other)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert said in line


def test_a_place_that_cannot_be_written_gets_one_message(good: Path, tmp_path: Path) -> None:
    result = chaos_report(good, "-o", tmp_path / "nowhere" / "report.html")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    path = tmp_path / "nowhere" / "report.html"
    assert line == f"Error: {path} cannot be written: No such file or directory; say where with --output"


def test_a_link_in_a_folder_that_was_sent_leads_nowhere(tmp_path: Path) -> None:
    folder, mine = run_folder(tmp_path, "sent"), tmp_path / "mine"
    mine.write_text("precious")
    for name in ("report.html", ".report.html.part"):
        (folder / name).symlink_to(mine)
    assert chaos_report(folder).exit_code == 0
    assert mine.read_text() == "precious"
    assert not (folder / "report.html").is_symlink()


def test_reading_changes_no_evidence(good: Path) -> None:
    before = (good / "evidence.sqlite").read_bytes()
    assert chaos_report(good, "--format", "markdown").exit_code == 0
    assert (good / "evidence.sqlite").read_bytes() == before
    assert not list(good.glob("evidence.sqlite-*"))
