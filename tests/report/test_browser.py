"""report.html in a real browser: on a desk, on a phone, in the dark, on paper, and by keyboard."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brownout.report.comparison import compare
from brownout.report.html import render, render_comparison
from brownout.report.view import RunView
from tests.report.browser import Browser, found
from tests.report.conftest import MADE

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(found() is None, reason="no Chromium here: apt-get install chromium"),
]
KINDS = tuple(MADE)
CONTRAST = """
(() => {
  const parts = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *:not(svg):not(svg *)")) {
    if (![...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !element.offsetParent) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return found;
})()
"""


def view(told: Any, name: str = "run") -> RunView:
    return RunView(told.info, told.experiment, told.recording, told.judgement, name)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made: dict[str, Callable[[], str]] = {kind: lambda kind=kind: render(view(MADE[kind]())) for kind in KINDS}  # type: ignore[misc]
    made["compared"] = lambda: render_comparison(compare([view(MADE[kind](), kind) for kind in ("passed", "failed")]))
    paths = {}
    for name, make in made.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(make(), encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser.open(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("kind", [*KINDS, "compared"])
def test_a_page_asks_for_nothing_but_itself_and_logs_nothing(
    kind: str, browser: Browser, pages: dict[str, Path]
) -> None:
    browser.asked.clear()
    browser.logged.clear()
    browser.look()
    browser.show(pages[kind])
    assert browser.of("document.readyState") == "complete"
    assert browser.asked == [pages[kind].as_uri()]
    assert browser.logged == []
    assert browser.of("document.scripts.length") == 0
    assert browser.of("document.querySelectorAll('h1').length") == 1


@pytest.mark.parametrize("kind", [*KINDS, "compared"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_every_text_can_be_read(
    kind: str, width: int, scheme: str, browser: Browser, pages: dict[str, Path]
) -> None:
    browser.look(width=width, scheme=scheme)
    browser.show(pages[kind])
    assert browser.of("document.documentElement.scrollWidth") <= width
    paper = browser.of("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    # WCAG 2.2, 1.4.3: 4.5 to 1.
    assert browser.of(CONTRAST) == []


def test_the_timeline_that_fits_is_shown_and_has_its_marks(browser: Browser, pages: dict[str, Path]) -> None:
    for width, shown, hidden in ((1280, "wide", "narrow"), (390, "narrow", "wide")):
        browser.look(width=width)
        browser.show(pages["failed"])
        assert browser.of(f"document.querySelector('svg.{hidden}').getBoundingClientRect().width") == 0
        assert browser.of(f"document.querySelector('svg.{shown}').getBoundingClientRect().width") > width * 0.8
        drawn = f"[...document.querySelectorAll('svg.{shown} CLASS')].filter((e) => e.getBBox().width > 0).length"
        for mark in (".line.p95", ".line.slo", ".shade", "rect.fault", ".level-1", "path.errors", "rect.open"):
            assert browser.of(drawn.replace("CLASS", mark)) > 0, mark
        hatch = f"getComputedStyle(document.querySelector('svg.{shown} rect.half-open')).fill"
        assert browser.of(hatch) == f'url("#hatch-{shown}")'
    gauges = "[...document.querySelectorAll('.checks svg.gauge')].map((e) => e.getBoundingClientRect().width)"
    assert all(width > 50 for width in browser.of(gauges))


@pytest.mark.parametrize("table", ["crosscheck", "alerts"])
def test_a_phone_shows_the_whole_of_what_matters(table: str, browser: Browser, pages: dict[str, Path]) -> None:
    browser.look(width=390)
    browser.show(pages["failed"])
    box = f"document.querySelector('.{table}').parentElement"
    assert browser.of(f"{box}.scrollWidth <= {box}.clientWidth + 1")


def test_every_timeline_of_a_comparison_is_hatched(browser: Browser, pages: dict[str, Path]) -> None:
    browser.look()
    browser.show(pages["compared"])
    assert browser.of("document.querySelectorAll('svg.wide').length") == 2
    assert browser.of("document.querySelectorAll('#hatch-wide').length") == 1


def test_the_page_can_be_walked_through_by_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    browser.look()
    browser.show(pages["failed"])
    browser.press("Tab")
    assert browser.of("document.activeElement.className") == "skip"
    assert browser.of("document.activeElement.getBoundingClientRect().top") >= 0
    browser.press("Enter")
    assert browser.of("location.hash") == "#verdict"
    browser.show(pages["failed"])
    focused = set()
    for _ in range(40):
        browser.press("Tab")
        focused.add(browser.of("document.activeElement.tagName"))
        if browser.of("document.activeElement.matches('details:not([open]) summary')"):
            browser.press("Enter")
            assert browser.of("document.activeElement.parentElement.open")
    assert {"A", "SUMMARY", "DIV"} <= focused
    links = "[...document.querySelectorAll('nav a')].filter((a) => !document.querySelector(a.hash)).length"
    assert browser.of(links) == 0


@pytest.mark.parametrize("kind", ["failed", "compared"])
def test_on_paper_nothing_is_cut_off_and_all_is_dark_on_light(
    kind: str, browser: Browser, pages: dict[str, Path]
) -> None:
    # A4 without its margins, at 96 pixels an inch.
    browser.look(width=718, scheme="dark", media="print")
    browser.show(pages[kind])
    assert browser.of("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.of("document.documentElement.scrollWidth") <= 718
    cut = "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
    assert browser.of(cut) == 0
    assert browser.of("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.pdf().startswith(b"%PDF")


def test_the_browser_is_gone_when_its_test_is(tmp_path: Path) -> None:
    with Browser.open(tmp_path) as opened:
        process: subprocess.Popen[bytes] = opened.process
        assert opened.of("1 + 1") == 2
    assert process.returncode is not None
