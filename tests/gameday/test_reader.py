"""A game day's file, and everything that can be wrong with it."""

from datetime import date
from pathlib import Path

import pytest

from brownout.errors import EnvironmentProblem, InvalidInput
from brownout.gameday.plan import BlastRadius, ClosedCalendar, ClosedDays, MonthEnd, People
from brownout.gameday.reader import read_plan
from tests.gameday.plans import BERLIN, TEXT, written

SHIPPED = sorted((Path(__file__).parents[2] / "experiments" / "gamedays").glob("*.yaml"))


def test_everything_that_is_written_is_read(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    assert plan.name == "sunday"
    assert (plan.schedule.cron, plan.schedule.zone, plan.schedule.week, plan.schedule.window) == (
        "0 3 * * SUN",
        BERLIN,
        2,
        7200,
    )
    assert plan.blast_radius == BlastRadius(0.05, 1, ("acme",))
    assert [(one.path.name, one.pause) for one in plan.experiments] == [("one.yaml", 0), ("two.yaml", 300)]
    assert (plan.ttd, plan.ttm, plan.review_within) == (240, 600, 86400)
    assert plan.people == People("Ada", ("Grace", "Ada"), "Joan", ("Hedy",))
    assert plan.people.names == ("Ada", "Grace", "Joan", "Hedy")
    christmas, summer, month_end, launch, calendar = plan.blackouts
    assert christmas == ClosedDays(date(2027, 12, 24), date(2027, 12, 24), "Christmas Eve")
    assert summer == ClosedDays(date(2027, 7, 1), date(2027, 7, 14), "days without drills")
    assert month_end == MonthEnd(2, 1, "month-end")
    assert launch == ClosedDays(date(2027, 4, 5), date(2027, 4, 11), "a launch week")
    assert isinstance(calendar, ClosedCalendar)
    assert plan.runbook_file == tmp_path / "runbook.md"


def test_a_drill_in_a_cluster_says_where_and_its_description_lies_beside_it(tmp_path: Path) -> None:
    where = "target: kubernetes\ncontext: staging\nnamespace: shop\ndescription: shop.yaml\n"
    text = TEXT.replace("target: embedded\n", where)
    with pytest.raises(InvalidInput, match=r"6:14: description: there is no file 'shop.yaml'"):
        read_plan(written(tmp_path, text))
    (tmp_path / "shop.yaml").touch()
    plan = read_plan(written(tmp_path, text))
    assert plan.attachment.arguments == (
        *("--context", "staging", "--namespace", "shop"),
        *("--description", str(tmp_path / "shop.yaml")),
    )


def test_what_the_rules_ask_for_may_be_missing(tmp_path: Path) -> None:
    text = (
        "title: Bare\nschedule: {cron: '0 3 * * SUN', time-zone: UTC}\nphases: [{name: a, experiments: [one.yaml]}]\n"
    )
    plan = read_plan(written(tmp_path, text))
    assert (plan.runbook, plan.rollback, plan.people) == (None, None, People())
    assert (plan.ttd, plan.ttm, plan.review_within, plan.schedule.window) == (300, 900, 48 * 3600, 7200)


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("title:", "titel:", "1:1", "unknown key 'titel' of a game day; did you mean 'title'?"),
        ("0 3 * * SUN", "0 3 * *", "2:18", "expected five fields"),
        ("0 3 * * SUN", "0 25 * * SUN", "2:18", "Bad hour"),
        ("0 3 * * SUN", "0 3 1 * SUN", "2:18", "say a day of the month or a day of the week"),
        ("0 3 * * SUN", "0 3 * * SUN#2", "2:18", "expected five fields"),
        ("0 3 * * SUN", "0 3 * * *", "2:63", "the cron names no day of the week"),
        ("0 3 * * SUN", "*/10 * * * SUN", "2:18", "the next drill would be due within the window of the one before"),
        ('"0 3 * * SUN", time-zone: Europe/Berlin, week: 2', '"0 3 30 2 *", time-zone: UTC', "2:18", "cron"),
        ("Europe/Berlin", "Europe/Berln", "2:44", "unknown time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?"),
        ("Europe/Berlin", "../../etc/passwd", "2:44", "unknown time zone"),
        ("week: 2", "week: 5", "2:65", "got 5; expected 1 to 4"),
        ("window: 2h", "window: 10s", "2:76", "window: expected 1m to 24h"),
        ("traffic: 5%", "traffic: 0%", "4:25", "a drill that hits nobody shows nothing"),
        ("traffic: 5%", "trafic: 5%", "4:16", "did you mean 'traffic'?"),
        ("- one.yaml", "- three.yaml", "8:9", "there is no file"),
        ("run: two", "rum: two", "9:10", "did you mean 'run'?"),
        ("pause: 5m", "pause: 5", "9:32", "a bare number needs its unit"),
        ("pause: 5m", "pause: 5h", "9:32", "pause: expected at most 4h"),
        ("commander", "comander", "13:10", "did you mean 'commander'?"),
        ("2027-12-24", "24.12.2027", "15:12", "expected a date such as 2027-12-24"),
        ("to: 2027-07-14", "to: 2027-06-14", "16:28", "2027-06-14 is before 2027-07-01"),
        (", to: 2027-07-14", "", "16:5", "expected one of date, from with to, month-end, launch-week, calendar"),
        ("2027-W14", "2027-W54", "18:19", "expected a week of a year such as 2027-W14"),
        ("launches.ics", "lunches.ics", "19:16", "there is no file"),
        ("within: 24h", "within: 72h", "20:18", "a drill is reviewed within"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, old: str, new: str, place: str, said: str) -> None:
    assert old in TEXT
    path = written(tmp_path, TEXT.replace(old, new))
    with pytest.raises(InvalidInput) as caught:
        read_plan(path)
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"{path}:{place}: ") and said in line for line in lines), lines


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT.replace("Europe/Berlin", "Europe/Berln").replace("pause: 5m", "pause: 5"))
    with pytest.raises(InvalidInput) as caught:
        read_plan(path)
    assert len(str(caught.value).splitlines()) == 2


def test_an_alias_of_another_plan_s_name_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path).rename(tmp_path / "a b.yaml")
    with pytest.raises(InvalidInput, match="a plan is known by its file's name"):
        read_plan(path)


def test_without_the_extra_one_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'brownout\[gameday\]'"):
        read_plan(written(tmp_path))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_plans_can_be_started(path: Path) -> None:
    from brownout.gameday.facts import runbook_found
    from brownout.gameday.governance import never_startable

    plan = read_plan(path)
    assert not never_startable(plan, runbook_found=runbook_found(plan))
    assert (plan.ttd, plan.ttm) == (300, 900)


def test_the_programme_is_four_weeks() -> None:
    weeks = [read_plan(path).schedule.week for path in SHIPPED]
    assert weeks == [1, 2, 3, 4]
