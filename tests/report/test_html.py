"""report.html: one page that is complete, safe and asks the network for nothing."""

import itertools
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from brownout.evidence.model import Event, FaultSpan, Proof, Sample
from brownout.report.html import render, write_report
from brownout.report.view import RunView

VOID = {"meta", "link", "br", "img", "hr", "input", "rect", "path", "circle"}


@dataclass
class Page(HTMLParser):
    """A page as a browser would take it, as far as these tests look."""

    html: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data.strip())

    def names(self) -> set[str]:
        return {name for name, _ in self.tags}


def view(told: Any) -> RunView:
    return RunView(told.info, told.experiment, told.recording, told.judgement)


def page(told: Any) -> Page:
    return Page(render(view(told)))


KINDS = ("passed", "failed", "inconclusive", "aborted", "nothing", "all_errors", "hostile")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_gives_a_well_formed_page_that_needs_nothing_else(
    kind: str, made: dict[str, Callable[[], Any]]
) -> None:
    told = made[kind]()
    found = page(told)
    assert found.names().isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base", "form"})
    for tag, attributes in found.tags:
        assert (attributes.get("href") or "#").startswith("#")
        assert not {"src", "srcset", "action", "poster", "xlink:href"} & attributes.keys(), tag
        assert not any(name.startswith("on") for name in attributes), tag
        assert "style" not in attributes, tag
    style = "".join(found.texts["style"])
    assert "@import" not in style
    assert set(re.findall(r"url\((.*?)\)", style)) == {"#hatch-wide", "#hatch-narrow"}
    assert len(found.html) < 300_000


@pytest.mark.parametrize("kind", KINDS)
def test_the_verdict_is_a_word_and_a_shape_and_not_a_colour_alone(
    kind: str, made: dict[str, Callable[[], Any]]
) -> None:
    told = made[kind]()
    outcome = told.judgement.outcome
    found = page(told)
    assert outcome.capitalize() in found.texts["h2"]
    assert found.texts["title"][0].startswith(outcome.capitalize())
    assert {"passed": "✓", "failed": "✗", "inconclusive": "?", "aborted": "■"}[outcome] in found.texts["span"]


def test_headings_descend_one_level_at_a_time_and_tables_have_headers(made: dict[str, Callable[[], Any]]) -> None:
    found = page(made["failed"]())
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all("scope" in attributes for tag, attributes in found.tags if tag == "th")
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = {attributes["aria-labelledby"] for _, attributes in found.tags if "aria-labelledby" in attributes}
    assert labels <= set(ids)


def classes(found: Page, name: str) -> list[dict[str, str | None]]:
    return [attributes for _, attributes in found.tags if name in (attributes.get("class") or "").split()]


def test_the_timeline_is_there_for_a_desk_and_for_a_phone_and_shows_every_lane(
    made: dict[str, Callable[[], Any]],
) -> None:
    found = page(made["failed"]())
    sheets = classes(found, "timeline")
    assert [sheet["class"] for sheet in sheets] == ["timeline wide", "timeline narrow"]
    assert all(sheet["role"] == "img" and "vector-db breaker opened" in (sheet["aria-label"] or "") for sheet in sheets)
    assert len(classes(found, "shade")) == 2
    assert len(classes(found, "slo")) == 6  # before, after, and the legend; twice
    for lane in ("p50", "p95", "level-0", "level-1", "level-2", "errors", "open", "half-open", "closed"):
        assert classes(found, lane), lane
    open_spans = [1 for tag, attributes in found.tags if tag == "rect" and attributes.get("class") == "open"]
    assert len(open_spans) == 6  # two spans and one legend entry, twice
    columns = found.html.count("answered; ") + found.html.count("answered</title>")
    assert columns == 2 * 60


def test_an_abort_is_marked_through_all_lanes(made: dict[str, Callable[[], Any]]) -> None:
    found = page(made["aborted"]())
    assert len(classes(found, "abort-line")) == 2
    assert "31 % over the last 5 s" in found.html


def test_a_fault_that_was_never_off_is_shaded_until_the_end_and_said_so(made: dict[str, Callable[[], Any]]) -> None:
    told = made["passed"]()
    told.recording.add_fault(FaultSpan(0, "partition", "partition gateway → vector-db", 10.0))
    html = page(told).html
    assert "was severed and was still on when the run ended" in html
    assert "<dd>never</dd>" in html
    assert "Nothing was counted that shows that it was on." in html


def test_all_that_was_judged_proven_and_asked_for_stands_in_the_page(made: dict[str, Callable[[], Any]]) -> None:
    told = made["passed"]()
    text = page(told).html.replace("&#39;", "'").replace("&#34;", '"').replace("&gt;", ">")
    for one in told.judgement.judged:
        for said in (one.check.title, one.verdict.figure, one.verdict.threshold, one.verdict.why):
            assert said in text
    assert told.recording.faults[0].proof.summary in text
    assert "chaos run experiments/vector_db_partition.yaml --seed 7" in text
    assert told.experiment.source in text
    assert "41.2 KiB" in text
    assert "10.02 s" in text
    assert "30.05 s" in text
    assert "Peak memory" in text


def test_no_question_is_repeated_in_the_page(made: dict[str, Callable[[], Any]]) -> None:
    told = made["failed"]()
    assert "meridian" not in page(told).html


def test_what_is_written_by_others_can_neither_run_nor_hide(made: dict[str, Callable[[], Any]]) -> None:
    found = page(made["hostile"]())
    assert "alert(1)" in found.html
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e\ud800-\udfff]", found.html)
    assert "{{ 7*7 }}" in found.html


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_figure_that_is_no_number_is_shown_as_none(value: float, made: dict[str, Callable[[], Any]]) -> None:
    told = made["passed"]()
    proof = Proof(True, "it was on", {"swallowed_bytes": value, "connections": value})
    told.recording.add_fault(FaultSpan(0, "partition", "partition", 10.0, 20.0, proof))
    text = " ".join(re.sub("<[^>]*>", " ", page(told).html).split())
    assert "swallowed bytes –" in text
    assert "connections –" in text


def test_the_page_is_whole_or_not_there_and_replaces_an_older_one(
    tmp_path: Path, made: dict[str, Callable[[], Any]]
) -> None:
    told, path = made["passed"](), tmp_path / "report.html"
    path.write_text("old")
    write_report(path, view(told))
    assert path.read_text("utf-8").rstrip().endswith("</html>")
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["report.html"]


def test_a_run_of_sixty_seconds_is_rendered_within_a_second(made: dict[str, Callable[[], Any]]) -> None:
    told = made["passed"]()
    page(told)
    start = time.process_time()  # what others do on this machine does not count
    render(view(told))
    assert time.process_time() - start < 1


def test_an_hour_of_a_hundred_requests_a_second_stays_small(made: dict[str, Callable[..., Any]]) -> None:
    # A tenth of the rate over the whole hour, and ten times as much of everything else: the page depends on the
    # number of columns, not on the number of requests.
    told = made["passed"](rate=10, duration=3600.0, error=lambda at: f"error {int(at) % 500}" if at % 3 < 1 else None)
    for second in range(3600):
        told.recording.add_event(Event(float(second), "note", f"note {second} " * 20))
    judgement = replace(told.judgement, reasons=tuple(f"reason {i}" for i in range(1000)))
    assert len(render(view(replace(told, judgement=judgement)))) < 3_000_000


def test_how_many_endpoints_there_were_is_drawn_where_it_changed(made: dict[str, Callable[..., Any]]) -> None:
    told = made["passed"]()
    for half in range(80):
        for name, count in (("inference", 1 if 20 <= half < 30 else 2), ("cache", 1)):
            labels = (("service", name), ("endpoints", name))
            told.recording.add_sample(Sample(half / 2, "target", "service_endpoints", labels, float(count)))
    page = render(view(told))
    assert "Endpoints that take requests" in page
    assert "inference: 2 from 0.00 s for 10 s" in page
    assert "inference: 1 from 10.00 s for 5 s" in page
    assert page.count('class="count few"') == 2  # on the wide timeline and on the narrow one
    assert "cache: 1 from" not in page
    assert "Endpoints that take requests" not in render(view(made["passed"]()))


def test_a_warning_of_the_platform_is_marked_and_what_it_says_in_passing_is_not(
    made: dict[str, Callable[..., Any]],
) -> None:
    told = made["passed"]()
    told.recording.add_event(Event(12.0, "warning", "Unhealthy: pod a: readiness probe failed"))
    told.recording.add_event(Event(12.0, "platform", "Pulled: pod a"))
    page = render(view(told))
    assert 'class="mark warning"' in page
    assert "12.00 s, warning: Unhealthy: pod a: readiness probe failed" in page
    assert "Pulled" not in page
