"""Alerts as they reach a drill: the receiver of Alertmanager's webhook.

The wire format is version 4 of https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Alertmanager
sends a group of alerts when it first fires, again whenever the group changes (`group_interval`) and again while it
lasts (`repeat_interval`): only the first that is heard of an alert is a mark, and its time is when that came in, since
nobody could know before. A refusal (4xx) is not sent again by Alertmanager; what fails here (5xx) is.
"""

import hmac
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from brownout.errors import EnvironmentProblem
from brownout.gameday.plan import Detection
from brownout.gameday.rows import Mark
from brownout.report.text import line

TOKEN = "BROWNOUT_ALERTS_TOKEN"  # noqa: S105 - the variable's name
"""The environment variable with the token that Alertmanager shows."""
SHORTEST_TOKEN = 16
VERSION = "4"
MAX_BODY = 1024 * 1024
"""Bytes of a notification."""
MAX_NAME = 120
_REMEMBERED = 10_000
"""Alerts of which it is known that they were heard of; the oldest are forgotten first."""

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Alert:
    """One alert of a notification."""

    firing: bool
    labels: Labels
    annotations: Labels
    since: datetime

    @property
    def name(self) -> str:
        return line(self.labels.get("alertname", ""), limit=MAX_NAME) or "an alert without a name"

    @property
    def occasion(self) -> tuple[frozenset[tuple[str, str]], datetime]:
        """Which alert, and which time that it fires: the same in every notification of it."""
        return frozenset(self.labels.items()), self.since


def token_from(environ: Mapping[str, str]) -> str | None:
    """The token of `BROWNOUT_ALERTS_TOKEN`, which Alertmanager has been given; None where there is none: nothing can
    then be received, since nobody could show what was drawn for this drill alone.

    Raises:
        EnvironmentProblem: it is too short, or holds what no header can.
    """
    token = environ.get(TOKEN)
    if token is None:
        return None
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        msg = f"{TOKEN}: expected at least {SHORTEST_TOKEN} printable ASCII characters without spaces"
        raise EnvironmentProblem(msg)
    return token


def routes(
    on_mark: Callable[[Mark], Awaitable[None]],
    *,
    step: Callable[[], int | None],
    now: Callable[[], datetime],
    token: str,
    detection: Detection | None = None,
) -> Sequence[Route]:
    """`POST /alerts`, with `Authorization: Bearer TOKEN`.

    Answers 200 with `{"marked": [names], "ignored": {name: why}}`; 401 without the token, 413 over `MAX_BODY`, 400 for
    what is no notification of version 4, 503 where the mark could not be written down, so that it is sent again.

    An alert that was firing before the fault is marked too, with `Mark.since`: `brownout.gameday.goals.counts` tells,
    by the evidence, that it detects nothing.

    Args:
        on_mark: is told each alert that is heard of for the first time.
        step: the number of the experiment that plays or, until the next one begins, played last; None before the first.
        now: the time.
        token: that must be shown.
        detection: which alerts count; all of them where it is not said.
    """
    receiver = _Receiver(on_mark, step, now, token.encode(), detection or Detection())
    return [Route("/alerts", receiver.receive, methods=["POST"])]


class _Refused(Exception):
    """A notification that is answered with an error."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Receiver:
    def __init__(
        self,
        on_mark: Callable[[Mark], Awaitable[None]],
        step: Callable[[], int | None],
        now: Callable[[], datetime],
        token: bytes,
        detection: Detection,
    ) -> None:
        self._on_mark = on_mark
        self._step = step
        self._now = now
        self._token = token
        self._detection = detection
        self._heard: OrderedDict[object, None] = OrderedDict()

    async def receive(self, request: Request) -> Response:
        try:
            self._authorise(request)
            alerts = _read(await _body(request))
            return JSONResponse(await self._take(alerts))
        except _Refused as refused:
            headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None
            return JSONResponse({"error": str(refused)}, refused.status, headers)
        except ClientDisconnect:
            return Response(status_code=400)

    def _authorise(self, request: Request) -> None:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        # Latin-1 is how headers are decoded; in constant time, so that nothing is learnt of the token by guessing.
        same = hmac.compare_digest(shown.strip().encode("latin-1"), self._token)
        if scheme.lower() != "bearer" or not same:
            msg = "expected Authorization: Bearer with this drill's token"
            raise _Refused(401, msg)

    async def _take(self, alerts: Sequence[_Alert]) -> Mapping[str, object]:
        at, step = self._now(), self._step()
        marked: list[str] = []
        ignored: dict[str, str] = {}
        for alert in alerts:
            if why := self._ignored(alert, step):
                ignored[alert.name] = why
                continue
            # Before it is told: the same notification may come in while that goes on.
            self._remember(alert.occasion)
            if step is None:
                ignored[alert.name] = "no experiment has begun"
                continue
            try:
                await self._on_mark(Mark(step, "detected", "alert", alert.name, at, since=alert.since))
            except BaseException as problem:
                # Whoever sent it sends it again.
                self._heard.pop(alert.occasion, None)
                if isinstance(problem, EnvironmentProblem):
                    raise _Refused(503, f"{alert.name} could not be written down: {problem}") from problem
                raise
            marked.append(alert.name)
        return {"marked": marked, "ignored": ignored}

    def _ignored(self, alert: _Alert, step: int | None) -> str | None:
        if not alert.firing:
            return "it is resolved"
        if alert.occasion in self._heard:
            return "it was heard of before"
        if not self._detection.counts(alert.name, alert.labels, alert.annotations):
            return "the plan does not count it"
        return None

    def _remember(self, occasion: object) -> None:
        self._heard[occasion] = None
        while len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            msg = f"a notification has at most {MAX_BODY} bytes"
            raise _Refused(413, msg)
    return bytes(body)


def _read(body: bytes) -> Sequence[_Alert]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        msg = "expected JSON"
        raise _Refused(400, msg) from None
    if not isinstance(told, dict):
        msg = "expected a JSON object"
        raise _Refused(400, msg)
    if told.get("version") != VERSION:
        msg = (
            f"expected a notification of Alertmanager's webhook, version {VERSION!r}; got {_shown(told.get('version'))}"
        )
        raise _Refused(400, msg)
    alerts = told.get("alerts")
    if not isinstance(alerts, list):
        msg = f"alerts: expected a list; got {_shown(alerts)}"
        raise _Refused(400, msg)
    return [_alert(one, f"alerts[{number}]") for number, one in enumerate(alerts)]


def _alert(told: Any, where: str) -> _Alert:
    if not isinstance(told, dict):
        msg = f"{where}: expected an object; got {_shown(told)}"
        raise _Refused(400, msg)
    status = told.get("status")
    if status not in ("firing", "resolved"):
        msg = f"{where}.status: expected firing or resolved; got {_shown(status)}"
        raise _Refused(400, msg)
    return _Alert(
        status == "firing",
        _texts(told.get("labels"), f"{where}.labels"),
        _texts(told.get("annotations"), f"{where}.annotations"),
        _moment(told.get("startsAt"), f"{where}.startsAt"),
    )


def _texts(told: Any, where: str) -> Labels:
    if told is None:
        return {}
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        msg = f"{where}: expected an object of texts"
        raise _Refused(400, msg)
    return told


def _moment(told: Any, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        msg = f"{where}: expected a time such as 2027-01-31T10:00:00Z (RFC 3339); got {_shown(told)}"
        raise _Refused(400, msg)
    return moment


def _shown(value: object) -> str:
    return line(json.dumps(value), limit=60)
