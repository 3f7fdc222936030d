"""record.html in a real browser: on a desk, on a phone, in the dark, and without a script or a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from brownout.gameday.record.html import render
from tests.gameday.drilled import START, drilled, noticed
from tests.gameday.test_record import WEEK, view
from tests.report.browser import Browser, found
from tests.report.test_browser import CONTRAST

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(found() is None, reason="no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser.open(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(tmp_path: Path) -> Path:
    drilled(tmp_path, runs=({},))
    name = drilled(tmp_path, at=START + WEEK, runs=({}, {"outcome": "error", "status": 503, "error": "timeout"}))
    noticed(name, at=START + WEEK)
    path = tmp_path / name / "record.html"
    path.write_text(render(view(name), beside=path.parent), encoding="utf-8")
    return path


def test_a_record_can_be_read_everywhere_and_asks_for_nothing(browser: Browser, page: Path) -> None:
    browser.asked.clear()
    browser.logged.clear()
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            browser.look(width=width, scheme=scheme)
            browser.show(page)
            assert browser.of("document.documentElement.scrollWidth") <= width
            # WCAG 2.2, 1.4.3: 4.5 to 1.
            assert browser.of(CONTRAST) == []
            assert browser.of("document.querySelector('svg.over-time').getBoundingClientRect().width") > 300
    assert set(browser.asked) == {page.as_uri()}
    assert browser.logged == []
    assert browser.of("document.scripts.length") == 0
    assert browser.of("document.querySelectorAll('h1').length") == 1


def test_a_record_can_be_printed(browser: Browser, page: Path) -> None:
    browser.look()
    browser.show(page)
    assert browser.pdf().startswith(b"%PDF-")
    browser.look(media="print")
    # What is folded on the screen could never be opened on paper.
    folded = "[...document.querySelectorAll('details table')].filter((e) => !e.checkVisibility()).length"
    assert browser.of(folded) == 0
