"""Asks one question over HTTP and records what became of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol, Self

import httpx

from brownout.api import CHAT, Api, JsonApi
from brownout.clock import Clock
from brownout.evidence.model import Outcome, Request
from brownout.experiment import Load
from brownout.load.answer import AnswerFields
from brownout.load.grading import Grader
from brownout.load.sse import events, lines, texts
from brownout.target import Caller, Question
from brownout.trust import trusted


class Record(Protocol):
    """Where requests are recorded."""

    def request_started(
        self,
        id: int,  # noqa: A002 - the field's name in the evidence
        intended: float,
        *,
        tier: str,
        load: str | None,
    ) -> None: ...

    def request_heard(self, id: int, at: float) -> None: ...  # noqa: A002 - the field's name in the evidence

    def add_request(self, request: Request) -> None: ...


DEADLINE_HEADER = "x-request-timeout-ms"
"""As the reference stack reads it (target-stack/README.md): for how many milliseconds the client will wait."""
YOUNG = 5.0
"""Seconds: see `Asker.abandon`."""


class Asker:
    """A client whose every request ends as one `Request` row, however it ends."""

    def __init__(
        self,
        url: str,
        load: Load,
        *,
        record: Record,
        clock: Clock,
        grade: Grader | None = None,
        api: Api = CHAT,
    ) -> None:
        self._load = load
        self._api = api
        # An API of somebody's own streams or does not; only chat completions can be asked for either.
        self._stream = api.streams and (load.stream or isinstance(api, JsonApi))
        self._record = record
        self._young = 0.0
        self.asked = 0
        """Questions that were sent."""
        self._clock = clock
        self._grade = grade
        self._client = httpx.AsyncClient(
            base_url=url,
            # Open loop: never queue behind our own pool, and let the one deadline below be the only one.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=256),
            timeout=httpx.Timeout(None, connect=load.timeout),
            # Streams are read as they come on the wire, and are timed without anybody's decompression.
            headers={"accept-encoding": "identity"},
            trust_env=False,
            verify=trusted(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    def abandon(self) -> None:
        """The run ends early: a question that has waited less than `YOUNG` seconds says nothing, and is not recorded.

        One that has waited longer is one that nobody answered.
        """
        self._young = YOUNG

    async def ask(self, number: int, intended: float, question: Question, caller: Caller) -> None:
        """Send one question that was due at `intended` and record it. Never raises for what the system did."""
        self.asked += 1
        self._record.request_started(number, intended, tier=caller.tier, load=self._load.name)
        sent = self._clock.now()
        answer = AnswerFields()
        outcome: Outcome = "timeout"
        try:
            async with asyncio.timeout(max(0.0, intended + self._load.timeout - sent)):
                outcome = await self._exchange(number, question, caller, answer)
        except TimeoutError:
            answer.error = "client_timeout"
        except asyncio.CancelledError:
            # The run ended first: to its user, a question without an answer.
            answer.error = "unanswered_at_end"
            raise
        finally:
            grade = self._grade(question, "".join(answer.text)) if self._grade and outcome == "ok" else None
            if answer.error != "unanswered_at_end" or self._clock.now() - intended >= self._young:
                self._record.add_request(
                    Request(
                        id=number,
                        intended=intended,
                        sent=sent,
                        first_token=answer.first_token,
                        done=self._clock.now(),
                        outcome=outcome,
                        status=answer.status,
                        error=answer.error if outcome != "ok" else None,
                        error_source=answer.error_source,
                        retry_after=answer.retry_after,
                        question=question.id,
                        tenant=caller.tenant,
                        tier=caller.tier,
                        policy=self._load.policy,
                        stream=self._stream,
                        load=self._load.name,
                        claims=None if grade is None else grade.claims,
                        claims_supported=None if grade is None else grade.supported,
                        **answer.recorded(),
                    )
                )

    async def _exchange(self, number: int, question: Question, caller: Caller, answer: AnswerFields) -> Outcome:
        api = self._api
        body = api.body(question.text, policy=self._load.policy, stream=self._stream)
        try:
            async with self._client.stream(
                api.method, api.asked_at(question.text), json=body, headers=self._headers(caller)
            ) as response:
                answer.status = response.status_code
                answer.read_retry_after(response.headers.get("retry-after"))
                if self._stream and response.status_code < 300 and not _is_json(response):
                    form = api.stream if isinstance(api, JsonApi) else "sse"
                    pieces = _PIECES[form or "sse"](response.aiter_raw())
                    # Closed by hand: leaving a generator to the collector would keep the connection.
                    async with contextlib.aclosing(pieces) as stream:
                        await self._follow(number, stream, answer)
                else:
                    # One who was asked for a stream may answer in one piece all the same.
                    answer.read_body(await response.aread(), self._clock.now(), api=api)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            answer.error = type(error).__name__
            return "refused"
        except httpx.HTTPError as error:
            answer.error = type(error).__name__
            return "error" if answer.status is None else "cut"
        if answer.error is not None or (answer.status or 0) >= 300:
            return "error"
        return "ok" if answer.finished else "cut"

    def _headers(self, caller: Caller) -> dict[str, str]:
        headers = dict(self._api.headers) if isinstance(self._api, JsonApi) else {}
        if caller.token:
            headers["authorization"] = f"Bearer {caller.token}"
        if self._load.deadline is not None:
            headers[DEADLINE_HEADER] = str(round(self._load.deadline * 1000))
        return headers

    async def _follow(self, number: int, stream: AsyncIterator[bytes], answer: AnswerFields) -> None:
        async for data in stream:
            now = self._clock.now()
            self._record.request_heard(number, now)
            if isinstance(self._api, JsonApi):
                answer.read_piece(data, now, api=self._api)
            else:
                answer.read_chunk(data, now)
        if isinstance(self._api, JsonApi):
            # It has no end mark of its own: a stream that was cut has raised.
            answer.finished = answer.pieces > 0


_PIECES = {"sse": events, "lines": lines, "text": texts}


def _is_json(response: httpx.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "application/json"
