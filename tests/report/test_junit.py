"""junit.xml: what is not green in the run is not green there."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.report.junit import junit, write_junit

Made = dict[str, Callable[..., Any]]


def suite(told: Any) -> ET.Element:
    found = ET.fromstring(junit([(told.info, told.judgement)])).find("testsuite")
    assert found is not None
    return found


def test_every_check_is_a_case_and_so_is_the_run(made: Made) -> None:
    told = made["passed"]()
    found = suite(told)
    cases = found.findall("testcase")
    assert [case.get("name") for case in cases[:-1]] == [one.check.title for one in told.judgement.judged]
    assert cases[-1].get("classname") == "run"
    assert found.get("tests") == "12"
    assert (found.get("failures"), found.get("errors"), found.get("skipped")) == ("0", "0", "0")
    properties = {p.get("name"): p.get("value") for p in found.findall("properties/property")}
    assert properties["seed"] == "7"
    assert properties["target"] == "embedded"
    figures = {p.get("name"): p.get("value") for p in cases[3].findall("properties/property")}
    assert figures["figure"] == "99.6 %"
    assert figures["samples"] == "401"


def test_failed_is_a_failure_and_inconclusive_an_error(made: Made) -> None:
    found = suite(made["failed"]())
    assert (found.get("failures"), found.get("errors")) == ("1", "1")
    failure, error = found.find("testcase/failure"), found.find("testcase/error")
    assert failure is not None
    assert error is not None
    assert failure.get("message") == "measured 71.8 %, asked for at least 99 %"
    assert error.get("message") == "inconclusive: The breaker never opened, so it could not close."
    assert found.find("testcase/skipped") is None


@pytest.mark.parametrize("kind", ["inconclusive", "aborted", "nothing", "all_errors"])
def test_a_run_that_is_not_green_is_an_error_even_where_all_its_checks_passed(kind: str, made: Made) -> None:
    told = made[kind]()
    found = suite(told)
    error = found.findall("testcase")[-1].find("error")
    assert error is not None
    assert error.get("type") == told.judgement.outcome
    assert told.judgement.reasons[0] in (error.get("message") or "")
    assert int(found.get("errors") or 0) >= 1


def test_a_failed_run_without_a_failed_check_is_still_a_failure(made: Made) -> None:
    told = made["passed"]()
    failed = replace(told, judgement=replace(told.judgement, outcome="failed", reasons=("no",)))
    assert suite(failed).get("failures") == "1"


@given(st.text(st.characters()))
def test_any_text_gives_xml_that_can_be_read(text: str) -> None:
    from brownout.report.text import clean, line

    element = ET.Element("a", name=line(text))
    element.text = clean(text)
    ET.fromstring(ET.tostring(element, encoding="utf-8"))


def test_control_characters_do_not_break_the_file(tmp_path: Path, made: Made) -> None:
    told = made["hostile"]()
    path = tmp_path / "junit.xml"
    write_junit(path, told.info, told.judgement)
    root = ET.parse(path).getroot()
    assert "<script>" in (root.findall("testsuite/testcase")[0].get("name") or "")
