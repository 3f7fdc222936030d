"""The record of a drill: from the journal, the minutes and the evidence of its runs to a page and a runbook's entry."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from brownout.errors import EnvironmentProblem, InvalidInput
from brownout.gameday.goals import measured
from brownout.gameday.governance import Refusal
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.record import RecordView, rewrite, view_of, write
from brownout.gameday.record.earlier import compared
from brownout.gameday.record.facts import by_the_system
from brownout.gameday.record.html import render
from brownout.gameday.record.markdown import markdown
from brownout.gameday.record.told import to_json
from brownout.gameday.rows import Mark
from brownout.gameday.steptimes import StepTimes
from tests.gameday.drilled import FAULT, PLAN, START, STEP, drilled, noticed
from tests.gameday.test_journal import GONE
from tests.report.conftest import HOSTILE

GOLDEN = Path(__file__).parent / "golden"
WEEK = timedelta(days=7)


def view(name: str) -> RecordView:
    with Journal.open() as journal, Minutes.open() as minutes:
        return view_of(journal, minutes, name)


def written(name: str, folder: Path) -> Path:
    with Journal.open() as journal, Minutes.open() as minutes:
        return write(journal, minutes, name, folder)


def unstyled(page: str) -> str:
    """Without the style sheet, which is held against a browser instead."""
    return re.sub(r"<style>.*?</style>", "<style></style>", page, flags=re.S)


@pytest.fixture
def name(tmp_path: Path) -> str:
    found = drilled(tmp_path)
    noticed(found)
    return found


def test_the_same_journal_and_evidence_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    page = written(name, tmp_path / name)
    first = page.read_bytes(), page.with_name("record.md").read_bytes()
    written(name, tmp_path / name)
    assert (page.read_bytes(), page.with_name("record.md").read_bytes()) == first


def test_the_page_and_the_entry_are_these(name: str, tmp_path: Path) -> None:
    page = written(name, tmp_path / name)
    found = {
        "record.html": unstyled(page.read_text("utf-8")),
        "record.md": page.with_name("record.md").read_text("utf-8"),
    }
    for file, text in found.items():
        assert text == (GOLDEN / file).read_text("utf-8"), file


def test_a_page_needs_no_script_and_no_network(name: str, tmp_path: Path) -> None:
    text = written(name, tmp_path / name).read_text("utf-8")
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", text)


def test_every_run_is_linked_by_a_relative_path(name: str, tmp_path: Path) -> None:
    hrefs: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            hrefs.extend(value for key, value in attrs if tag == "a" and key == "href" and value)

    page = written(name, tmp_path / name)
    Links().feed(page.read_text("utf-8"))
    reports = [one for one in hrefs if one.endswith("report.html")]
    assert len(reports) == 2
    assert all((page.parent / one).is_file() for one in reports)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for text in (render(view(name), beside=elsewhere), markdown(view(name), beside=elsewhere)):
        assert f"../{name}/2027-06-13T01-30-00-vector_db_partition/report.html" in text


def test_the_questions_of_every_drill_are_answered_from_evidence(name: str) -> None:
    first, second = (view(name).answers[number] for number in (1, 2))
    assert first["Breaker opened within 30 s?"].word == "yes"
    assert first["Breaker opened within 30 s?"].why == "vector-db after 1.4 s"
    assert first["Failed over?"].word == "yes"
    assert "cached retrieval for 100 % (before: 0 %)" in first["Failed over?"].why
    assert (first["Alert fired?"].word, first["Alert fired?"].why) == (
        "yes",
        "AvailabilityBurnsFast, 12 s after the fault",
    )
    assert first["Recovery automatic?"].word == "yes"
    assert second["Alert fired?"].word == "no"
    assert second["Alert fired?"].why.startswith("none reached the drill.")


def test_whoever_mitigated_it_is_why_it_did_not_recover_by_itself(name: str) -> None:
    with Minutes.open() as minutes:
        minutes.mark(name, Mark(2, "mitigated", "person", "Hedy", START + STEP + FAULT))
    answer = view(name).answers[2]["Recovery automatic?"]
    assert (answer.word, answer.why) == ("no", "Hedy mitigated it; all was well from the heal on")


def test_everything_with_a_time_is_on_one_line_in_order(name: str) -> None:
    moments = view(name).moments
    assert [one.at for one in moments] == sorted(one.at for one in moments)
    told = [(one.kind, one.text) for one in moments]
    order = [
        ("drill", "started; Grace holds the abort"),
        ("override", "Ada overrode blackout: it was put off (it said: the launch)"),
        ("step", "1. vector_db_partition.yaml begins"),
        ("fault", "partition gateway → vector-db: on"),
        ("breaker", "vector-db: closed → open (5 consecutive failures)"),
        ("alert", "detected by AvailabilityBurnsFast"),
        ("person", "detected by Hedy"),
        ("fault", "partition gateway → vector-db: off"),
        ("note", "Joan: the status page is up to date"),
        ("step", "1. vector_db_partition.yaml: passed"),
        ("step", "2. vector_db_partition.yaml begins"),
        ("drill", "over: failed"),
    ]
    positions = [told.index(one) for one in order]
    assert positions == sorted(positions)
    on = next(one for one in moments if one.text.endswith(": on"))
    assert abs((on.at - START - FAULT).total_seconds()) < 0.1


def test_times_stand_on_the_wall_of_the_plan_and_from_the_start(name: str, tmp_path: Path) -> None:
    text = written(name, tmp_path / name).read_text("utf-8")
    assert "Sun 2027-06-13 03:30 CEST" in text
    assert '<td>03:30:16</td><td class="number">+16.0 s</td><td class="kind">fault</td>' in text


def test_an_experiment_that_was_never_started_stands_in_the_record_as_such(name: str, tmp_path: Path) -> None:
    assert [one.outcome for one in view(name).steps] == ["passed", "failed", "not started"]
    text = written(name, tmp_path / name).read_text("utf-8")
    assert (
        "Of 3 experiments, 1 passed, 1 failed (vector_db_partition.yaml) and 1 not started (never_started.yaml)."
        in text
    )


def test_goals_are_met_or_missed_and_never_met_without_a_figure(name: str) -> None:
    with Minutes.open() as minutes:
        minutes.mark(name, Mark(1, "mitigated", "person", "Hedy", START + FAULT + timedelta(seconds=40)))
    first, second, _ = json.loads(json.dumps(to_json(view(name))))["experiments"]
    assert first["goals"] == {"detect": "missed", "mitigate": "met"}
    assert second["goals"] == {"detect": "missed", "mitigate": "not measured"}


def test_what_the_system_mitigated_itself_is_told_as_such(name: str) -> None:
    found, on = view(name), START + FAULT
    assert by_the_system(found, found.steps[0]) == ""
    step = StepTimes(
        number=1,
        experiment="vector_db_partition.yaml",
        fault_on=on,
        broken=on,
        held_under_fault=on + timedelta(seconds=1.5),
        levels_seen=True,
    )
    held = replace(found, played=replace(found.played, times={1: measured(step, ())}))
    assert by_the_system(held, held.steps[0]) == (
        "By the system itself: its service levels held again 1.5 s after the fault"
    )


def test_a_drill_stands_beside_the_last_three_of_its_plan(tmp_path: Path) -> None:
    healthy = ({}, {})
    for weeks in range(4):
        drilled(tmp_path, at=START + weeks * WEEK, runs=healthy)
    last = drilled(tmp_path, at=START + 4 * WEEK)
    found = view(last)
    assert [one.drill.started for one in found.earlier] == [START + weeks * WEEK for weeks in (1, 2, 3)]
    lines = {one.name: one for one in compared(found)}
    assert [cell.outcome for cell in lines["Outcome"].cells] == ["passed", "passed", "passed", "failed"]
    assert [cell.outcome for cell in lines["vector_db_partition.yaml"].cells] == ["passed"] * 3 + ["failed"]
    assert lines["Time to detect, at worst"].goal == 10.0
    # What is the same in every drill tells nothing; what there is to see is in the table.
    assert "over-time" not in unstyled(render(found, beside=tmp_path))
    assert compared(view(f"{START:%Y-%m-%dT%H-%M-%SZ}-sunday")) == ()


def test_what_differs_between_drills_is_drawn(tmp_path: Path) -> None:
    drilled(tmp_path, runs=({},))
    # Half of the questions are not answered while the database is away.
    last = drilled(tmp_path, at=START + WEEK, runs=({"outcome": "error", "status": 503, "error": "timeout"},))
    page = unstyled(render(view(last), beside=tmp_path))
    assert page.count('class="over-time"') == 1
    assert page.count('class="dot"') >= 4


def test_starts_refused_since_the_last_drill_stand_in_the_record_of_the_next(tmp_path: Path) -> None:
    drilled(tmp_path, runs=({},))
    with Minutes.open() as minutes:
        for days, why in ((-1, "before the first"), (3, "in between"), (8, "after the second")):
            when = START + timedelta(days=days)
            refusals = [Refusal("window", why), Refusal("commander", "nobody leads")]
            minutes.refuse("sunday", target="embedded", instance="default", refusals=refusals, at=when)
    name = drilled(tmp_path, at=START + WEEK, runs=({},))
    page = render(view(name), beside=tmp_path)
    assert "Wed 2027-06-16 03:30 CEST: window: in between; commander: nobody leads" in page
    assert "before the first" not in page
    assert "after the second" not in page


def test_an_interrupted_drill_has_a_record_of_what_there_is(tmp_path: Path) -> None:
    name = drilled(tmp_path, ended=False, of=GONE)
    found = view(name)
    assert found.drill.state == "interrupted"
    assert [one.outcome for one in found.steps] == ["passed", "did not end", "not started"]
    # The drill had no time to say where its last run lies; it is found in its folder.
    cut = found.steps[1].run
    assert cut is not None
    assert cut.judgement.outcome == "inconclusive"
    page = render(found, beside=tmp_path)
    assert "It was interrupted" in page
    assert "to be reviewed once somebody has looked at what it left" in page


def test_a_drill_without_evidence_still_has_a_record(name: str, tmp_path: Path) -> None:
    for file in (tmp_path / name).glob("*/evidence.sqlite"):
        file.unlink()
    page = render(view(name), beside=tmp_path)
    assert "There is no evidence of it: it left no evidence." in page
    assert view(name).answers[1]["Breaker opened within 30 s?"].word == "not known"


def test_damaged_evidence_is_told_and_ends_nothing(name: str, tmp_path: Path) -> None:
    file = next((tmp_path / name).glob("*T01-30-00*/evidence.sqlite"))
    file.write_bytes(b"no database")
    assert "cannot be read as Brownout evidence" in render(view(name), beside=tmp_path)


def test_a_folder_that_was_moved_keeps_its_evidence(name: str, tmp_path: Path) -> None:
    moved = (tmp_path / name).rename(tmp_path / "archive")
    page = written(name, moved).read_text("utf-8")
    assert "There is no evidence" not in page
    assert "archive" not in page


def test_whatever_people_write_is_text(tmp_path: Path) -> None:
    hostile = HOSTILE.encode("utf-8", "replace").decode().replace("\x00", "")
    name = drilled(
        tmp_path, runs=({},), source=PLAN.replace("Is it seen?", json.dumps("</p><script>alert(2)</script>"))
    )
    with Journal.open() as journal, Minutes.open() as minutes:
        minutes.note(name, hostile, by=hostile, at=START)
        minutes.mark(name, Mark(1, "detected", "person", hostile, START))
        journal.follow_up(name, hostile, owner=hostile, due=None, at=START)
    page, entry = render(view(name), beside=tmp_path), markdown(view(name), beside=tmp_path)
    for text in (page, entry):
        assert not re.search(r"(?<!\\)<(script|img)", text)
        assert "\x1b" not in text


def test_the_record_for_programs_is_json(name: str) -> None:
    found = json.loads(json.dumps(to_json(view(name))))
    assert (found["drill"], found["outcome"], found["state"]) == (name, "failed", "over")
    assert [one["outcome"] for one in found["experiments"]] == ["passed", "failed", "not started"]
    assert found["marks"][0]["by"] == "AvailabilityBurnsFast"
    assert found["experiments"][0]["verdicts"][0]["outcome"] == "passed"


def test_a_record_is_written_again_where_something_was_added(name: str, tmp_path: Path) -> None:
    page = written(name, tmp_path / name)
    with Journal.open() as journal, Minutes.open() as minutes:
        journal.review(name, by="Joan", at=START + WEEK)
        rewrite(journal, minutes, name)
        assert "reviewed Sun 2027-06-20 03:30 CEST by Joan" in page.read_text("utf-8")
        (tmp_path / name).rename(tmp_path / "away")
        rewrite(journal, minutes, name)
    assert not (tmp_path / name).exists()


def test_a_folder_that_cannot_be_written_to_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="the record cannot be written to"):
        written(name, tmp_path / "nowhere")


def test_an_unknown_drill_has_none(name: str) -> None:
    with pytest.raises(InvalidInput, match="unknown drill"):
        view(f"{name}x")
