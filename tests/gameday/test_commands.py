"""`chaos gameday` as a user meets it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from brownout.cli.gameday import _common, gameday
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from tests.gameday.drilled import drilled
from tests.gameday.plans import NOON, TEXT, written
from tests.gameday.test_journal import GONE, new

BARE = """\
title: Bare
schedule: {cron: '30 2 * * SUN', time-zone: Europe/Berlin}
phases: [{name: a, experiments: [one.yaml]}]
"""


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_common, "current_time", lambda: NOON)


def chaos(*arguments: object) -> Result:
    settings = {"settings_path": "/nowhere/settings.yaml"}
    return CliRunner().invoke(gameday, [str(one) for one in arguments], obj=settings)


def test_a_valid_plan_is_told_so(tmp_path: Path) -> None:
    path = written(tmp_path)
    done = chaos("validate", path)
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "Note: the blast radius limits nothing: the embedded target has no traffic but the drill's own",
        f"{path} is valid: 2 experiments on the embedded target",
    ]


def test_a_plan_that_could_never_start_is_not_valid(tmp_path: Path) -> None:
    done = chaos("validate", written(tmp_path, BARE))
    assert done.exit_code == 2
    for said in ("no start: runbook:", "no start: rollback:", "no start: commander:", "no start: abort-holder:"):
        assert said in done.stderr


def test_an_experiment_that_its_target_cannot_do_is_told(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "two.yaml").write_text((tmp_path / "one.yaml").read_text("utf-8").replace("to: vector-db", "to: moon"))
    done = chaos("validate", path)
    assert done.exit_code == 2
    assert "two.yaml:" in done.stderr
    assert "'moon'" in done.stderr


def test_an_hour_that_clocks_make_doubtful_is_noted(tmp_path: Path) -> None:
    text = TEXT.replace("0 3 * * SUN", "30 2 * * SUN").replace(", week: 2", "")
    path = written(tmp_path, text)
    done = chaos("validate", path)
    assert done.exit_code == 0
    assert "Note: on 2027-10-31 02:30 comes twice in Europe/Berlin (clocks change)" in done.output
    refused = chaos("schedule", path, "--to", "cron")
    assert refused.exit_code == 2
    assert "on 2027-10-31 02:30 comes twice in Europe/Berlin" in refused.stderr


def test_the_next_dates_of_several_plans_are_one_list_with_what_speaks_against_them(tmp_path: Path) -> None:
    path = written(tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(BARE.replace("30 2", "0 4"), encoding="utf-8")
    done = chaos("plan", path, other, "--from", "2027-07-01", "--count", 4, "--json")
    dates = json.loads(done.stdout)["dates"]
    assert [(one["plan"], one["start"]) for one in dates] == [
        ("other", "2027-07-04T02:00:00+00:00"),
        ("sunday", "2027-07-11T01:00:00+00:00"),
        ("other", "2027-07-11T02:00:00+00:00"),
        ("other", "2027-07-18T02:00:00+00:00"),
    ]
    assert dates[1]["blackouts"] == ["days without drills"]
    assert [one["conflicts"] for one in dates] == [[], ["other"], ["sunday"], []]
    text = chaos("plan", path, other, "--from", "2027-07-11", "--count", 1).output
    assert "Sun 2027-07-11 03:00 CEST   sunday" in text
    assert "no drill: days without drills" in text


def test_two_plans_of_one_name_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    done = chaos("plan", path, path)
    assert done.exit_code == 2
    assert "2 of these plans are called 'sunday'" in done.stderr


def test_a_calendar_is_written_to_files(tmp_path: Path) -> None:
    path, out = written(tmp_path), tmp_path / "units"
    done = chaos("schedule", path, "--to", "systemd", "--output", out)
    assert done.exit_code == 0
    assert sorted(one.name for one in out.iterdir()) == ["gameday-sunday.service", "gameday-sunday.timer"]
    assert "OnCalendar=Sun *-*-08..14 03:00:00 Europe/Berlin" in (out / "gameday-sunday.timer").read_text("utf-8")


def test_who_may_not_hold_the_abort_cannot_check_in(tmp_path: Path) -> None:
    path = written(tmp_path)
    done = chaos("check-in", path, "--as", "Grcae")
    assert done.exit_code == 2
    assert "did you mean 'Grace'?" in done.stderr
    assert chaos("check-in", path, "--as", "Grace").output == (
        "Grace holds the abort of sunday until Sun 2027-06-06 18:00 CEST\n"
    )


def test_every_reason_of_a_refusal_is_told(tmp_path: Path) -> None:
    done = chaos("run", written(tmp_path), "--runs-dir", tmp_path / "runs")
    assert done.exit_code == 2
    assert "the drill is refused" in done.stderr
    assert "window: this is no time for it; the next one is Sun 2027-06-13 03:00 CEST" in done.stderr
    assert "abort-holder: Grace or Ada must have checked in" in done.stderr


@pytest.mark.parametrize("given", [["--override", "window"], ["--by", "Ada"], ["--override", "window", "--by", "Ada"]])
def test_an_override_has_a_name_and_a_reason(tmp_path: Path, given: list[str]) -> None:
    done = chaos("run", written(tmp_path), *given)
    assert done.exit_code == 2
    assert "belong together" in done.stderr


def test_status_says_by_its_exit_code_whether_anything_is_overdue() -> None:
    assert (chaos("status").exit_code, chaos("status").output) == (0, "Nothing is open.\n")
    with Journal.open() as journal:
        journal.begin(new(of=GONE), [])
    done = chaos("status", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["interrupted"] == ["d1"]


def test_a_record_is_added_to_and_shown() -> None:
    with Journal.open() as journal:
        journal.begin(new(of=GONE), [])
    assert "--by NAME" in chaos("record", "d1", "--looked").stderr
    assert "what nobody owns nobody does" in chaos("record", "d1", "--follow-up", "x").stderr
    done = chaos("record", "d1", "--looked", "--reviewed", "--by", "Joan", "--follow-up", "alert", "--owner", "Hedy")
    assert done.exit_code == 0, done.stderr
    for said in ("looked at by Joan", "reviewed   2027-06-06 12:00:00 UTC by Joan", "#1 alert (Hedy; open)"):
        assert said in done.output
    assert "#1 alert (Hedy; done)" in chaos("record", "d1", "--done", 1, "--by", "Hedy").output


def test_sigterm_in_a_pause_aborts_the_drill(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT.replace("- one.yaml", "- {run: one.yaml, pause: 1h}"))
    child = f"""
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from brownout.cli import _drill
from brownout.gameday.drill import Played
from brownout.gameday.start import Start
from brownout.toolkit.stage import ToolkitStage

class Stage(ToolkitStage):
    async def play(self, experiment, *, abort, tell):
        return Played(0, None)
    async def pause(self, seconds):
        print("pausing", flush=True)
        await super().pause(seconds)
    def say(self, text):
        pass

_drill.ToolkitStage = Stage
_drill.click.echo = lambda *_: None
asked = Start(file=Path({str(path)!r}), instance="default", runs_dir=Path({str(tmp_path / "runs")!r}),
              overrides=[(rule, "Ada", "a test") for rule in ("window", "abort-holder", "blackout")])
wanted = _drill.Wanted(scale=1.0, settings="", room_port=None)
sys.exit(asyncio.run(_drill.drilled(asked, wanted, now=lambda: datetime.now(UTC))))
"""
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "pausing\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=30) == 4
    with Journal.open() as journal:
        (drill,) = journal.drills()
        assert (drill.state, drill.outcome) == ("over", "aborted")
        assert drill.said is not None
        assert drill.said.endswith("by whoever is at the terminal: interrupted by SIGTERM")
    with Minutes.open() as minutes:
        (note,) = minutes.notes(drill.id)
        assert "nobody's heartbeat is watched" in note.what


def test_a_record_is_written_where_somebody_asks_for_it(tmp_path: Path) -> None:
    name = drilled(tmp_path, ended=False, of=GONE)
    page, entry = tmp_path / "record.html", tmp_path / "entry.md"
    done = chaos("record", name, "--html", page, "--markdown", entry)
    assert (done.exit_code, done.output) == (0, f"{page}\n{entry}\n")
    assert "<h1>A Sunday night</h1>" in page.read_text("utf-8")
    assert entry.read_text("utf-8").startswith("# ! Sun 2027-06-13 03:30 CEST: A Sunday night")
    told = json.loads(chaos("record", name, "--json").stdout)
    assert (told["drill"], told["state"]) == (name, "interrupted")
    nowhere = chaos("record", name, "--html", tmp_path / "nowhere" / "record.html")
    assert nowhere.exit_code == 2
    assert "the record cannot be written to" in nowhere.stderr
    assert "did you mean" in chaos("record", name[:-1], "--json").stderr
    # What is added to a drill is added to the record in its folder.
    assert chaos("record", name, "--looked", "--by", "Joan").exit_code == 0
    assert "Looked at by" in (tmp_path / name / "record.html").read_text("utf-8")


def test_a_refused_start_is_shown_until_a_drill_starts(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert chaos("run", path, "--runs-dir", tmp_path / "runs").exit_code == 2
    shown = chaos("status")
    assert shown.exit_code == 0
    assert shown.output.startswith("refused      sunday at 2027-06-06 12:00 UTC: abort-holder: Grace or Ada must")
    refused = json.loads(chaos("status", "--json").stdout)["refused"]
    assert [one["rule"] for one in refused] == ["abort-holder", "window"]


def test_the_other_commands_do_not_pay_for_it() -> None:
    code = (
        "import sys; import brownout.cli.gameday; print([one for one in sys.modules if one.startswith('brownout.gam')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
