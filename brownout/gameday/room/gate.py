"""Who may come into the control room: whoever has the token of its URL, in a browser that was not led here by another
site.

- The first visit carries the token in its query; it is answered with a cookie that no script reads and that no other
  site's page sends along, and with a page that goes on to `/` by itself: the address is without the token then.
  (Not by a redirect: one that began on another site would not be sent the cookie.)
- `Host` has to be loopback with our port: a name that was made to point here by DNS is refused.
- What changes anything has to come from a page of ours: `Origin` is checked, or `Sec-Fetch-Site` where there is none.
- Tokens are compared in constant time. What is refused is told nothing.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " worker-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_ENTER = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Control room</title>'
    '<meta http-equiv="refresh" content="0;url=/"><p><a href="/">Into the control room</a></p></html>'
)
_SAFE = ("GET", "HEAD")


class Gate:
    """ASGI middleware. `open_to` are paths with a gate of their own."""

    def __init__(self, app: ASGIApp, *, token: str, port: int, open_to: tuple[str, ...] = ()) -> None:
        self._app = app
        self._token = token
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._origins = {f"http://{host}" for host in self._hosts}
        self._open_to = open_to
        # Cookies know no ports: two rooms on one machine need two.
        self._cookie = f"brownout-room-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._stopped(scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *((name, value) for name, value in message["headers"] if name.decode().lower() not in SECURITY),
                    *((name.encode(), value.encode()) for name, value in SECURITY.items()),
                ]
            await send(message)

        await (self._app if answer is None else answer)(scope, receive, guarded)

    def _stopped(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if headers.get("host", "").lower() not in self._hosts:
            return _refused()
        if path in self._open_to:
            return None
        if scope["method"] not in _SAFE and not self._from_us(headers):
            return _refused()
        if path == "/" and scope["query_string"]:
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[-1]
            return self._entered() if self._is_token(given) else _refused()
        return None if self._is_token(cookie_parser(headers.get("cookie", "")).get(self._cookie, "")) else _refused()

    def _from_us(self, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin")
        return headers.get("sec-fetch-site") == "same-origin" if origin is None else origin in self._origins

    def _entered(self) -> Response:
        answer = HTMLResponse(_ENTER)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
        return answer

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _refused() -> Response:
    return PlainTextResponse("This is not open to you. Use the address that the drill printed.\n", status_code=403)
