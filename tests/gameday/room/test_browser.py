"""The control room as people meet it: in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from brownout.gameday.events import AbortAsked, StepTold
from tests.gameday.room.drills import FAULT, Running
from tests.gameday.room.pages import Page, until
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
def drill(tmp_path: Path) -> Iterator[Running]:
    # Patient: a machine that is busy with other tests must not end it.
    with Running.open(tmp_path, patience=300.0) as running:
        yield running


@pytest.fixture
def page(browser: Browser, drill: Running) -> Iterator[Page]:
    browser.logged.clear()
    with Page.open(browser, drill.room.url) as opened:
        opened.until("state !== null")
        opened.look(width=1280)
        yield opened


COUNT = """
window.beats = 0;
window.ticks = 0;
const really = fetch;
window.fetch = (...all) => { window.beats += all[0] === "/beat"; return really(...all); };
setInterval(() => { window.ticks += 1; }, 100);
"""
BROKEN = "state.faults.length > 0 && document.querySelector('#faults time') !== null"


def test_abort_by_click(drill: Running, page: Page) -> None:
    page.hold("Grace")
    page.until(BROKEN)
    page.click("#abort")
    ended = drill.end()
    assert ended.outcome == "aborted"
    assert ended.said is not None
    assert "was aborted by Grace: pressed ABORT in the control room" in ended.said
    page.until("over && document.getElementById('over').textContent.includes('The drill is over: aborted')")
    assert not page.of("document.body.classList.contains('lost')")


def test_abort_by_key_but_not_by_typing(drill: Running, page: Page) -> None:
    page.hold("Grace")
    page.until(BROKEN)
    page.of("document.getElementById('note').focus()")
    page.press("A", 65, shift=True)
    assert page.of("document.getElementById('note').value") == "A"
    page.press("Enter", 13)
    page.of("document.activeElement.blur()")
    page.press("a", 65)
    page.until("state.log.some((one) => one.kind === 'note' && one.text === 'A')")
    assert drill.abort.asked is None
    page.press("A", 65, shift=True)
    assert drill.end().outcome == "aborted"


def test_abort_is_reached_by_tab_and_pressed_by_enter(drill: Running, page: Page) -> None:
    for _ in range(2):
        page.press("Tab", 9)
    assert page.of("document.activeElement.id") == "abort"
    page.press("Enter", 13)
    assert drill.end().outcome == "aborted"


def test_the_drill_aborts_by_itself_where_the_holder_s_tab_is_closed(browser: Browser, tmp_path: Path) -> None:
    with (
        Running.open(tmp_path, patience=6.0, beat_every=0.5) as drill,
        Page.open(browser, drill.room.url) as watching,
        Page.open(browser, drill.room.url) as page,
    ):
        page.hold("Grace")
        watching.until(BROKEN)
        page.close()
        ended = drill.end()
        assert ended.said is not None
        assert "by the heartbeat: Grace, who holds the abort, was not heard of for 6 s" in ended.said
        watching.until("document.getElementById('aborted').textContent.includes('was not heard of')")


def test_a_page_that_is_not_looked_at_still_beats(browser: Browser, tmp_path: Path) -> None:
    with Running.open(tmp_path, patience=300.0, beat_every=0.1) as drill, Page.open(browser, drill.room.url) as page:
        page.hold("Grace")
        # Another tab in the same window hides this one; its own timers are then held back to one a second.
        context = page.call("Target.getTargetInfo")["targetInfo"]["browserContextId"]
        Page.beside(browser, context, "about:blank").call("Page.bringToFront")
        page.until("document.visibilityState === 'hidden'")
        page.of(COUNT)
        page.until("window.beats >= 40")
        assert page.of("window.ticks") < 20, "this browser does not hold timers back: nothing was shown"
        assert drill.abort.asked is None


def test_two_browsers_at_once_and_either_may_abort(browser: Browser, drill: Running, page: Page) -> None:
    page.hold("Grace")
    with Page.open(browser, drill.room.url) as other:
        other.until(BROKEN)
        assert other.text("holder").startswith("Grace does")
        other.choose("me", "Ada")
        assert not other.of("document.getElementById('take').offsetParent !== null")
        other.of("document.getElementById('note').value = 'the phone rings'")
        other.click("#noting button")
        page.until("document.getElementById('log').innerText.includes('the phone rings')")
        other.click("#goals [data-kind=detected]")
        page.until("document.querySelector('[data-goal=detected] small').nextSibling !== null")
        page.until("document.querySelector('[data-goal=detected] p').innerText.includes('by Ada')")
        # Handed over: it is Ada's only when she takes it.
        page.click("#offer")
        other.until("document.getElementById('holder').textContent.includes('Offered to Ada')")
        other.click("#take")
        other.until("document.getElementById('holder').textContent.startsWith('You do, Ada')")
        page.until("document.getElementById('holder').textContent.startsWith('Ada does')")
        page.click("#abort")
    ended = drill.end()
    assert ended.said is not None
    assert "was aborted by Grace" in ended.said
    notes, marks = drill.minutes()
    assert [(one.by, one.what) for one in notes] == [
        ("Grace", "holds the abort now"),
        ("Ada", "the phone rings"),
        ("Grace", "hands the abort over to Ada"),
        ("Ada", "holds the abort now"),
    ]
    assert [(one.step, one.kind, one.source, one.by) for one in marks] == [(1, "detected", "person", "Ada")]


def test_a_page_that_was_cut_off_says_so_and_comes_back_with_everything(drill: Running, page: Page) -> None:
    page.hold("Grace")
    page.until(BROKEN)
    page.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    drill.drop()
    page.until("document.body.classList.contains('lost')")
    assert "CONNECTION LOST" in page.text("lost")
    drill.go_on()
    until(lambda: sum(isinstance(one, StepTold) for one in drill.kept.told) > 0, "told")
    page.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    page.until("!document.body.classList.contains('lost') && state.step === 2")
    page.until("document.getElementById('steps').innerText.includes('passed')")
    assert page.of("state.log.filter((one) => one.text.endsWith('began')).length") == 3


def test_a_connection_that_is_dropped_here_is_made_again(drill: Running, page: Page) -> None:
    page.hold("Grace")
    page.until(BROKEN)
    page.of("window.mark = state; 0")
    drill.drop()
    drill.go_on()
    page.until("state !== window.mark && state.step === 2")
    assert not page.of("document.body.classList.contains('lost')")


def test_pages_that_nobody_looks_at_keep_no_connection_from_abort(browser: Browser, drill: Running, page: Page) -> None:
    page.until("state.watching === 1")
    context = page.call("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    url = drill.room.url.split("?")[0]
    # A browser has six connections for one address.
    for _ in range(8):
        other = Page.beside(browser, context, url)
        other.call("Page.bringToFront")
        other.until("document.visibilityState === 'visible' && state.watching === 1")
    page.call("Page.bringToFront")
    page.until("document.visibilityState === 'visible' && state.watching === 1")
    page.press("A", 65, shift=True)
    assert drill.end().outcome == "aborted"


def test_without_the_token_there_is_nothing_to_see(browser: Browser, drill: Running) -> None:
    with Page.open(browser, drill.room.url.split("?")[0]) as page:
        page.until("document.body.innerText.includes('not open to you')")
        assert "Sunday" not in page.of("document.documentElement.outerHTML")
        assert page.of("document.cookie") == ""


def test_the_token_is_in_no_address_and_no_script_reads_it(drill: Running, page: Page) -> None:
    token = drill.room.url.split("token=")[1]
    assert token not in page.of("location.href + document.cookie + document.documentElement.outerHTML")
    assert page.of("location.pathname + location.search") == "/"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_and_every_text_can_be_read(drill: Running, page: Page, width: int, scheme: str) -> None:
    page.look(width=width, scheme=scheme)
    page.until("document.readyState === 'complete'")
    assert page.of(CONTRAST) == []
    page.hold("Grace")
    page.until(BROKEN)
    page.click("#goals [data-kind=detected]")
    page.until("document.querySelector('[data-goal=detected] p').innerText.includes('by Grace')")
    assert page.of("document.documentElement.scrollWidth") <= width
    assert page.of(CONTRAST) == []
    box = page.of(
        "(({top, bottom, height, width}) => [top, bottom, height, width])"
        "(document.getElementById('abort').getBoundingClientRect())"
    )
    # Large, and always in sight.
    assert box[0] >= 0
    assert box[1] <= 900
    assert box[2] >= 48
    assert box[3] >= 200
    for told in (FAULT, "vector-db open", "embedding half-open", "cache closed"):
        assert told in page.of("document.querySelector('main').innerText")
    assert page.browser.logged == []
    page.click("#abort")
    page.until("over")
    assert page.of(CONTRAST) == []
    assert any(isinstance(one, AbortAsked) for one in drill.kept.told)
