"""The shipped experiment passes, and fails for the right reason where a defence, the fault or the health is missing."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.busy import wait_for_calm
from tests.runs.commandline import TRIES, Chaos, Result, ends, fails

pytestmark = pytest.mark.run

METHOD = """\
method:
  - partition: {from: gateway, to: vector-db}
    at: 10s
    for: 20s
"""


def faults(run: Path) -> int:
    with sqlite3.connect(run / "evidence.sqlite") as evidence:
        (count,) = evidence.execute("SELECT count(*) FROM fault").fetchone()
    assert isinstance(count, int)
    return count


def test_the_shipped_experiment_passes_and_leaves_a_whole_run_folder(chaos: Chaos) -> None:
    result = chaos.run("vector_db_partition.yaml")

    assert result.of("during", "breaker")["figure"]
    assert result.of("steady-state before", "ttft")["samples"] >= 20
    assert {"journal.json", "evidence.sqlite", "experiment.yaml", "junit.xml", "report.html"} <= {
        path.name for path in result.run.iterdir()
    }

    journal = json.loads((result.run / "journal.json").read_text())
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    assert [run["status"] for run in journal["run"]] == ["succeeded"] * len(journal["run"])
    assert journal["steady_states"]["after"]["steady_state_met"] is True
    assert [run["activity"]["name"] for run in journal["rollbacks"]] == ["heal everything"]

    suite = ElementTree.parse(result.run / "junit.xml").getroot()
    # One for each check, and one for the run as a whole.
    assert len(list(suite.iter("testcase"))) == len(result.verdict["checks"]) + 1
    assert not list(suite.iter("failure"))

    with sqlite3.connect(result.run / "evidence.sqlite") as evidence:
        proof = evidence.execute("SELECT works, proof FROM fault").fetchone()
    assert proof[0] == 1, proof

    code, out, _ = chaos("verify", "--json", str(result.run))
    again = json.loads(out)
    assert (code, again["outcome"]) == (0, "passed")


@pytest.mark.long
def test_without_the_fallback_ladder_it_fails_and_names_the_probes(chaos: Chaos) -> None:
    expected = fails(("during", "availability"))
    options = ("--set", "fallbacks=off", "--no-abort")
    result = chaos.run_defenceless("vector_db_partition.yaml", *options, expect=expected)

    assert "%" in result.of("during", "availability")["figure"]


@pytest.mark.long
def test_without_the_breaker_its_probe_fails_and_the_rest_is_judged_still(chaos: Chaos) -> None:
    expected = fails(("during", "breaker"), spares=[("during", "disclosed"), ("during", "availability")])
    chaos.run_defenceless("vector_db_partition.yaml", "--set", "breaker=off", expect=expected)


@pytest.mark.long
def test_without_disclosure_it_fails(chaos: Chaos) -> None:
    expected = fails(one_of=[("during", "degradation"), ("during", "disclosed")])
    chaos.run_defenceless("vector_db_partition.yaml", "--set", "disclosure=off", expect=expected)


@pytest.mark.long
def test_without_the_fault_nothing_passes_that_is_said_of_it(chaos: Chaos, edited: Callable[[str, str], Path]) -> None:
    def says_nothing_of_it(result: Result) -> None:
        ends(3, "inconclusive")(result)
        said_of_the_fault = [one for one in result.verdict["checks"] if one["block"] in {"during", "after"}]
        assert len(said_of_the_fault) == 7, result.verdict
        assert {one["outcome"] for one in said_of_the_fault} == {"inconclusive"}
        assert faults(result.run) == 0

    chaos.run(edited(METHOD, "method: []\n"), expect=says_nothing_of_it)


@pytest.mark.long
def test_a_stack_that_is_unhealthy_at_the_start_is_inconclusive_and_not_broken(chaos: Chaos) -> None:
    slow = ("--set", "llm-primary.ttft=900ms")
    result = chaos.run("vector_db_partition.yaml", *slow, expect=ends(3, "inconclusive"))

    assert result.of("steady-state before", "ttft")["outcome"] == "failed"
    # Every probe is reported, also those after the first that failed.
    assert result.of("steady-state before", "breaker")["outcome"] == "passed"
    assert faults(result.run) == 0
    journal = json.loads((result.run / "journal.json").read_text())
    assert len(journal["steady_states"]["before"]["probes"]) == 4


def test_a_collapse_aborts_within_two_seconds_and_heals(chaos: Chaos) -> None:
    chaos.run("vector_db_partition.yaml", "--set", "fallbacks=off", expect=aborts_in_time)


def aborts_in_time(result: Result) -> None:
    ends(4, "aborted")(result)
    with sqlite3.connect(result.run / "evidence.sqlite") as evidence:
        (aborted,) = evidence.execute("SELECT at FROM event WHERE kind = 'abort'").fetchone()
        ((on, off),) = evidence.execute("SELECT on_at, off_at FROM fault").fetchall()
        rows = evidence.execute("SELECT done, outcome FROM request WHERE done IS NOT NULL ORDER BY done").fetchall()
    # An abort condition's window is as long as stated, however the run is scaled.
    over = 5.0
    breaches = [
        moment
        for moment, _ in rows
        if moment > on
        and (window := [outcome for done, outcome in rows if moment - over <= done <= moment])
        and len(window) >= 20
        and window.count("ok") / len(window) < 0.5
    ]
    assert breaches
    assert breaches[0] <= aborted <= breaches[0] + 2.0
    assert aborted <= off <= aborted + 1.0


@pytest.mark.long
def test_a_compiled_experiment_runs_under_the_plain_chaos_toolkit(
    chaos: Chaos, edited: Callable[[str, str], Path]
) -> None:
    # 12 s instead of 60: what is shown is that it runs, is judged, and that a finding is an exit code of 1.
    path = edited("duration: 60s", "duration: 12s")
    path.write_text(path.read_text().replace("at: 10s", "at: 2s").replace("for: 20s", "for: 4s"))
    code, compiled, said = chaos("compile", str(path))
    assert code == 0, said
    (chaos.folder / "compiled.json").write_text(compiled)

    for _ in range(TRIES):
        shutil.rmtree(chaos.folder / "runs", ignore_errors=True)
        code, _, said = chaos("run", "compiled.json")
        journal = json.loads((chaos.folder / "journal.json").read_text())
        if journal["brownout"]["outcome"] != "inconclusive":
            break
        wait_for_calm()

    # The breaker's own 30 s are longer than this run: it cannot have closed again.
    assert code == 1, said
    assert journal["deviated"] is True
    assert journal["brownout"]["outcome"] == "failed"
    assert [run["status"] for run in journal["run"]] == ["succeeded"] * len(journal["run"])
    assert {"evidence.sqlite", "report.html", "junit.xml", "journal.json"} <= {
        path.name for path in (chaos.folder / journal["brownout"]["run"]).iterdir()
    }
