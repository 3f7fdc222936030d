"""A run in Markdown says what the page says, and nothing that others wrote becomes markup."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brownout.evidence.model import Event
from brownout.report.comparison import compare
from brownout.report.markdown import LONGEST, code, markdown, shortened, side_by_side, text
from brownout.report.view import RunView

Made = dict[str, Callable[..., Any]]
KINDS = ("passed", "failed", "inconclusive", "aborted", "nothing", "all_errors", "hostile")


def view(told: Any, name: str = "a-run") -> RunView:
    return RunView(told.info, told.experiment, told.recording, told.judgement, name)


def tables(said: str) -> list[list[str]]:
    """Every run of lines that starts with a bar."""
    return [found.splitlines() for found in re.findall(r"(?:^\|.*\n?)+", said, re.MULTILINE)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_gives_tables_whose_rows_have_as_many_cells_as_their_header(kind: str, made: Made) -> None:
    told = made[kind]()
    for said in (markdown(view(told)), side_by_side(compare([view(told), view(told, "b")]))):
        assert said.startswith("## ")
        assert len(said) <= LONGEST + 200
        found = tables(said)
        assert found
        for rows in found:
            cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
            assert len(cells) == 1, rows
        assert said.count("<details>") == said.count("</details>")


def test_a_run_is_told_from_verdict_to_how_to_run_it_again(made: Made) -> None:
    said = markdown(view(made["failed"]()))
    assert said.startswith("## ✗ Failed: The assistant keeps answering")
    assert "Only 73.6 % of the requests made meanwhile were answered" in said
    assert "| Requests answered | **100 %** (" in said
    assert "### Not as expected" in said
    assert "`availability: at-least 99%`" in said
    assert "11 checks: 9 passed, 1 failed, 1 inconclusive" in said
    assert "proven: 41.2 KiB went in" in said
    assert "chaos run experiments/vector_db_partition.yaml --seed 7" in said
    assert "43 min 12 s of outage" in said


def test_what_happened_is_told_in_order_and_what_the_platform_says_in_passing_is_not(made: Made) -> None:
    told = made["passed"]()
    for at, kind, said in (
        (11.0, "warning", "pod a|b: BackOff"),
        (10.5, "note", "endpoints of inference: 2 → 1"),
        (10.7, "platform", "Pulled: pod a"),
    ):
        told.recording.add_event(Event(at, kind, said))
    said = markdown(view(told))
    assert "<summary>What happened: " in said
    rows = [row for row in said.splitlines() if row.startswith(("| 10.", "| 11.0"))]
    assert rows[0].startswith("| 10.0")
    assert "| 10.50 s | note | endpoints of inference: 2 → 1 |" in rows
    assert rows.index("| 11.00 s | warning | pod a\\|b: BackOff |") > rows.index(
        "| 10.50 s | note | endpoints of inference: 2 → 1 |"
    )
    assert "Pulled" not in said
    for second in range(100):
        told.recording.add_event(Event(20.0 + second / 10, "note", "again"))
    assert "The first 60 of them; report.html has more." in markdown(view(told))


def test_a_run_as_expected_hides_its_checks_behind_their_count(made: Made) -> None:
    said = markdown(view(made["passed"]()))
    assert "### Not as expected" not in said
    assert "<summary>11 checks: 11 passed</summary>" in said


def test_what_others_wrote_is_no_markup_no_mention_and_no_link(made: Made) -> None:
    said = markdown(view(made["hostile"]()))
    outside = re.sub(r"```.*?```|`[^`\n]*`", "", said, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<(?!/?(?:details|summary|sub|br)>)", outside)
    assert "https://" not in outside
    assert "\x1b" not in said
    assert "\u202e" not in said


@given(st.text(st.sampled_from("`|*_[](){}<>#@&\\~!$:/.wh tp1-\n"), max_size=40))
@example("://")
def test_no_character_of_a_text_is_left_to_mean_something(what: str) -> None:
    shown = text(what)
    assert not re.search(r"(?<!\\)[`*_\[\]<>|~]", shown.replace("\\\\", ""))
    assert "@" not in shown
    assert "://" not in shown
    cell = code(what)
    assert cell.count("`") in (0, 2)
    assert not re.search(r"(?<!\\)\|", cell)


def test_a_comment_is_never_longer_than_a_comment_may_be() -> None:
    said = shortened(["a" * 50_000, "b" * 20_000, "c"])
    assert "b" * 10 not in said
    assert said.endswith("… and more, which is in report.html.\n")


def test_side_by_side_names_the_runs_by_letters_and_marks_the_later_ones(made: Made) -> None:
    said = side_by_side(compare([view(made["passed"](), "monday"), view(made["failed"](), "friday")]))
    assert "| **A** | `monday` | ✓ passed |" in said
    assert "| **B** | `friday` | ✗ failed |" in said
    assert "▲ worse" in said
    assert "B is worse than A in" in said
