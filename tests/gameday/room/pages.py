"""Pages of the control room in a real browser: several at once, each with cookies of its own."""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.report.browser import Browser

PATIENCE = 60.0


@dataclass
class Page:
    """One of them."""

    browser: Browser
    target: str
    session: str

    @classmethod
    @contextmanager
    def open(cls, browser: Browser, url: str) -> Iterator[Self]:
        """A page with a profile of its own, led to `url`; closed in the end."""
        browser.session = ""
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        page = cls.beside(browser, context, url)
        try:
            yield page
        finally:
            browser.session = ""
            browser.call("Target.disposeBrowserContext", browserContextId=context)

    @classmethod
    def beside(cls, browser: Browser, context: str, url: str) -> Self:
        browser.session = ""
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = cls(browser, target, session)
        for domain in ("Page", "Network", "Log", "Runtime"):
            page.call(f"{domain}.enable")
        page.call("Page.navigate", url=url)
        return page

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.browser.session = self.session
        return self.browser.call(method, **parameters)

    def of(self, expression: str) -> Any:
        """The value of some JavaScript in the page."""
        self.browser.session = self.session
        return self.browser.of(expression)

    def until(self, expression: str) -> Any:
        """Wait until it is true; its value."""

        def value() -> Any:
            try:
                return self.of(f"(() => {{ try {{ return {expression} }} catch {{ return false }} }})()")
            except AssertionError as error:
                if "navigated" in str(error):
                    return None
                raise

        return until(value, expression)

    def text(self, name: str) -> str:
        return str(self.of(f"document.getElementById('{name}').innerText"))

    def choose(self, name: str, value: str) -> None:
        """As somebody would do who picks it from the list."""
        element = f"document.getElementById('{name}')"
        self.until(f"[...{element}.options].some((one) => one.value === '{value}')")
        self.of(f"{element}.value = '{value}'; {element}.dispatchEvent(new Event('change', {{bubbles: true}}))")

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of it."""
        self.until(f"document.querySelector('{selector}').offsetParent !== null")
        self.of(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
        box = self.of(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector('{selector}').getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def press(self, key: str, code: int, *, shift: bool = False) -> None:
        """A key, down and up."""
        for kind in ("keyDown", "keyUp"):
            typed = "\r" if key == "Enter" else key if len(key) == 1 else ""
            text = {"text": typed} if kind == "keyDown" and typed else {}
            self.call(
                "Input.dispatchKeyEvent",
                **{"type": kind, "key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0, **text},
            )

    def hold(self, who: str) -> None:
        """Be somebody, and take the abort."""
        self.choose("me", who)
        self.click("#take")
        self.until("document.getElementById('holder').textContent.startsWith('You do')")

    def look(self, *, width: int, height: int = 900, scheme: str = "light") -> None:
        self.browser.session = self.session
        self.browser.look(width=width, height=height, scheme=scheme)

    def picture(self, path: Path) -> None:
        """What it looks like."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """As somebody does who closes the tab."""
        self.browser.session = ""
        self.browser.call("Target.closeTarget", targetId=self.target)


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until it holds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(what)
