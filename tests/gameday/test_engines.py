"""What is written for engines that keep calendars."""

import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from brownout.attachment import Attachment
from brownout.errors import InvalidInput
from brownout.gameday.engines import ENGINES, Where, calendar_of, cron_of, write
from brownout.gameday.plan import GameDay, Schedule
from brownout.gameday.schedule import ClockChange, fields
from tests.gameday.plans import BERLIN, plan

GOLDEN = Path(__file__).parent / "golden"
WHERE = Where(folder=Path("/srv/drills"), plan=Path("gamedays/sunday.yaml"), image="registry.example.com/brownout:1")


def second_sunday() -> GameDay:
    return plan(schedule=Schedule("0 3 * * SUN", BERLIN, week=2))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_files_are_these(engine: str) -> None:
    files = write(engine, second_sunday(), WHERE, changes=())
    for name, text in files.items():
        assert text == (GOLDEN / name).read_text(encoding="utf-8"), name


def test_a_cronjob_has_what_kubernetes_requires() -> None:
    (text,) = write("kubernetes", second_sunday(), WHERE, changes=()).values()
    job = yaml.safe_load(text)
    assert (job["apiVersion"], job["kind"], job["metadata"]["name"]) == ("batch/v1", "CronJob", "gameday-sunday")
    spec = job["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("0 3 * * 0", "Europe/Berlin", "Forbid")
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    assert container["command"] == ["chaos", "gameday", "run", "gamedays/sunday.yaml", "--if-due"]
    assert {one["name"] for one in pod["volumes"]} == {one["name"] for one in container["volumeMounts"]}


def test_a_cronjob_of_a_drill_in_a_cluster_has_a_kubeconfig_with_the_context_that_the_plan_names() -> None:
    attached = plan(target="kubernetes", attachment=Attachment("staging", "shop"))
    (text,) = write("kubernetes", attached, WHERE, changes=()).values()
    assert "The secret brownout-kubeconfig has" in text
    pod = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {"name": "KUBECONFIG", "value": "/kubeconfig/config"} in container["env"]
    assert {"name": "kubeconfig", "secret": {"secretName": "brownout-kubeconfig"}} in pod["volumes"]
    assert {one["name"] for one in pod["volumes"]} == {one["name"] for one in container["volumeMounts"]}


def test_a_workflow_has_what_github_requires() -> None:
    (text,) = write("github-actions", second_sunday(), WHERE, changes=()).values()
    workflow = yaml.safe_load(text)
    assert workflow["on"]["schedule"] == [{"cron": "0 3 * * 0", "timezone": "Europe/Berlin"}]
    (job,) = workflow["jobs"].values()
    assert job["runs-on"]
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])


def test_github_s_own_expressions_are_kept_out() -> None:
    where = Where(folder=Path("/srv"), plan=Path("${{ secrets.TOKEN }}/sunday.yaml"))
    with pytest.raises(InvalidInput, match="neither its path nor its target may hold"):
        write("github-actions", plan(), where, changes=())


def test_a_crontab_names_its_zone_and_escapes_percent_signs() -> None:
    (text,) = write("cron", plan(), Where(folder=Path("/srv/50% off"), plan=Path("a.yaml")), changes=()).values()
    zone, line = text.splitlines()[-2:]
    assert zone == "CRON_TZ=Europe/Berlin"
    assert line == "0 3 * * 0 cd '/srv/50\\% off' && chaos gameday run a.yaml --if-due"


@pytest.mark.parametrize(
    ("cron", "week", "numbers", "calendar"),
    [
        ("0 3 * * SUN", None, "0 3 * * 0", "Sun *-*-* 03:00:00 Europe/Berlin"),
        ("0 3 * * 7", 4, "0 3 * * 0", "Sun *-*-22..28 03:00:00 Europe/Berlin"),
        ("*/20 8-18 * * MON-FRI", None, "0,20,40 8-18 * * 1-5", None),
        ("30 23 1,15 JAN,JUL *", None, "30 23 1,15 1,7 *", "*-01,07-01,15 23:30:00 Europe/Berlin"),
        ("5 4 * * *", None, "5 4 * * *", "*-*-* 04:05:00 Europe/Berlin"),
        ("0 0 29 2 *", None, "0 0 29 2 *", "*-02-29 00:00:00 Europe/Berlin"),
    ],
)
def test_a_schedule_is_said_in_numbers(cron: str, week: int | None, numbers: str, calendar: str | None) -> None:
    schedule = Schedule(cron, BERLIN, week=week)
    assert cron_of(schedule) == numbers
    assert fields(numbers) == fields(cron)
    if calendar is not None:
        assert calendar_of(schedule) == calendar


@pytest.mark.parametrize(("kind", "words"), [("skipped", "does not exist"), ("twice", "comes twice")])
def test_an_hour_that_clocks_make_doubtful_is_refused(kind: str, words: str) -> None:
    change = ClockChange(datetime(2027, 3, 28, 2, 30), kind)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=f"on 2027-03-28 02:30 {words} in Europe/Berlin") as caught:
        write("kubernetes", plan(), WHERE, changes=[change])
    assert "choose another hour" in str(caught.value)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("week", [None, 2, 4])
@pytest.mark.parametrize("cron", ["0 3 * * SUN", "*/20 8-18 * * MON-FRI", "30 23 1,15 JAN,JUL *", "0 0 29 2 *"])
def test_systemd_reads_the_calendar_and_finds_the_same_dates(cron: str, week: int | None) -> None:
    from datetime import UTC
    from itertools import islice

    from brownout.gameday.schedule import occurrences

    schedule = Schedule(cron, BERLIN, week=week if cron.endswith(("SUN", "FRI")) else None)
    base = datetime(2027, 3, 1, tzinfo=UTC)
    said = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=6", "--base-time=2027-03-01 00:00:00 UTC", calendar_of(schedule)],
        check=True, capture_output=True, text=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    ).stdout  # fmt: skip
    theirs = [
        line.split(": ", 1)[1][4:23] for line in said.splitlines() if line.strip().startswith(("Next el", "Iter"))
    ]
    assert len(theirs) >= 3, said
    ours = islice(occurrences(schedule, base, before=base.replace(year=2067)), len(theirs))
    assert theirs == [f"{one.start:%Y-%m-%d %H:%M:%S}" for one in ours], said


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    folder = tmp_path / "50% $off"
    folder.mkdir()
    (folder / "sun day.yaml").touch()
    for name, text in write("systemd", plan(), Where(folder=folder, plan=Path("sun day.yaml")), changes=()).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    units = [str(one) for one in sorted(tmp_path.glob("gameday-*"))]
    done = subprocess.run(["systemd-analyze", "verify", "--user", *units], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if "gameday-" in line], done.stderr
