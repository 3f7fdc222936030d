"""`chaos verify`: an old run judged again, from its evidence alone."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from brownout.cli.verify import verify
from brownout.evidence import Proof
from tests.judge.runs import SOURCE, write_run


def chaos_verify(*arguments: object) -> Result:
    return CliRunner().invoke(verify, [str(argument) for argument in arguments], catch_exceptions=False)


def change(folder: Path, statement: str) -> None:
    file = sqlite3.connect(folder / "evidence.sqlite")
    file.execute(statement)
    file.commit()
    file.close()


def test_a_run_that_passed_passes_again_and_says_so(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = chaos_verify(tmp_path)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("A drill\n")
    assert "opened after 1.4 s" in result.output
    assert "All 15 checks passed." in result.output
    assert "The same verdict as the run's own." in result.output


@pytest.mark.parametrize(
    ("options", "outcome", "code"),
    [
        ({"scale": 0.2}, "passed", 0),
        ({"level": 0, "warnings": ()}, "failed", 1),
        ({"fault": False}, "inconclusive", 3),
        ({"proof": Proof(works=False, summary="nothing went over the link")}, "inconclusive", 3),
    ],
)
def test_the_exit_code_is_that_of_the_verdict(tmp_path: Path, options: dict[str, Any], outcome: str, code: int) -> None:
    write_run(tmp_path, **options)
    result = chaos_verify(tmp_path / "evidence.sqlite", "--json")
    told = json.loads(result.output)
    assert (told["outcome"], told["recorded_outcome"], told["same"]) == (outcome, outcome, True)
    assert result.exit_code == code


def test_json_tells_every_check(tmp_path: Path) -> None:
    judgement = write_run(tmp_path)
    told = json.loads(chaos_verify(tmp_path, "--json").output)
    assert len(told["checks"]) == len(judgement.judged)
    assert told["checks"][0] == {
        "block": "steady-state before",
        "probe": "availability",
        "title": judgement.judged[0].check.title,
        "outcome": "passed",
        "figure": "100 %",
        "threshold": "at least 99.9 %",
        "samples": judgement.judged[0].verdict.samples,
        "why": "",
        "value": 1.0,
        "limit": 0.999,
        "unit": "share",
        "low": pytest.approx(0.98, abs=0.015),
        "high": 1.0,
    }


def test_evidence_that_was_changed_is_found_out(tmp_path: Path) -> None:
    write_run(tmp_path, level=0, warnings=())
    change(tmp_path, "UPDATE verdict SET outcome = 'passed'")
    change(tmp_path, "UPDATE run SET value = 'passed' WHERE key = 'outcome'")
    result = chaos_verify(tmp_path)
    assert result.exit_code == 1
    assert "the run said passed, its evidence says failed" in result.output


def test_a_run_that_was_killed_is_inconclusive(tmp_path: Path) -> None:
    write_run(tmp_path, closed=False)
    result = chaos_verify(tmp_path)
    assert result.exit_code == 3
    assert "the run was cut short: its evidence has no end" in result.output


def test_a_run_that_was_aborted_stays_so(tmp_path: Path) -> None:
    write_run(tmp_path)
    change(tmp_path, "UPDATE run SET value = 'aborted' WHERE key = 'outcome'")
    change(tmp_path, "UPDATE run SET value = 'availability below 50%' WHERE key = 'aborted'")
    result = chaos_verify(tmp_path, "--json")
    assert result.exit_code == 4
    assert json.loads(result.output)["same"]


def test_a_run_with_an_error_of_our_own_stays_inconclusive(tmp_path: Path) -> None:
    write_run(tmp_path)
    change(tmp_path, """UPDATE run SET value = '["a recorder failed"]' WHERE key = 'errors'""")
    result = chaos_verify(tmp_path)
    assert result.exit_code == 3
    assert "a recorder failed" in result.output


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_that_is_no_run_gets_one_message(tmp_path: Path, name: str) -> None:
    result = chaos_verify(tmp_path / name)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "is no run: expected a run folder with evidence.sqlite in it" in line


def test_a_file_that_is_no_evidence_gets_one_message(tmp_path: Path) -> None:
    (tmp_path / "evidence.sqlite").write_text("hello")
    result = chaos_verify(tmp_path)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_an_experiment_that_cannot_be_read_here_says_where(tmp_path: Path) -> None:
    write_run(tmp_path, source=SOURCE.replace("- availability: {at-least: 99%}", "- quality: {at-least: 99%}"))
    result = chaos_verify(tmp_path)
    assert result.exit_code == 2
    assert "vector_db_partition.yaml:" in result.stderr
    assert "quality" in result.stderr


def test_a_title_that_would_steer_a_terminal_does_not(tmp_path: Path) -> None:
    write_run(tmp_path)
    change(tmp_path, "UPDATE run SET value = '[red]title' || char(27) || '[2J' WHERE key = 'title'")
    output = chaos_verify(tmp_path).output
    assert "\x1b" not in output
    assert "[red]title" in output
