"""`POST /v1/chat/completions`: one answer as a JSON body or as server-sent events."""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, aclosing

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from target_stack.admission import Admission, address_of
from target_stack.answering import Answerer
from target_stack.asgi import cancel, disconnect, send_body, send_response
from target_stack.auth import Authenticator
from target_stack.chunks import Chunks
from target_stack.clock import Clock
from target_stack.deadline import HEADER, DeadlinePolicy
from target_stack.failures import StackError
from target_stack.log import log
from target_stack.metrics import GatewayMetrics
from target_stack.parts import Begin, BrokenStreamError, Finish, Question, Text
from target_stack.policy_choice import PolicyChoice
from target_stack.serving import Serving, headers_of
from target_stack.sse import DONE, encode
from target_stack.wire import ChatRequest

__all__ = ["ChatEndpoint", "error_response"]


def error_response(error: StackError, headers: dict[str, str] | None = None) -> Response:
    """Return an error as its HTTP response."""
    headers = dict(headers or {})
    if error.retry_after is not None:
        headers["retry-after"] = error.retry_after
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse({"error": error.body()}, status_code=error.status, headers=headers)


class ChatEndpoint:
    """Reads a request; the response does the work, so that it can watch the client leave.

    An ASGI application, not a view: every token of a stream would pass through one more layer of Starlette's. An
    exception that nobody expected is answered here and raised, for the server to log.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        answerer: Answerer,
        policies: PolicyChoice,
        clock: Clock,
        metrics: GatewayMetrics,
        *,
        request_ids: Iterable[str],
        deadlines: DeadlinePolicy,
        admission: Admission,
    ) -> None:
        self._authenticator = authenticator
        self._answerer = answerer
        self._policies = policies
        self._clock = clock
        self._metrics = metrics
        self._request_ids = iter(request_ids)
        self._deadlines = deadlines
        self._admission = admission
        self._decoder = msgspec.json.Decoder(ChatRequest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: Response | None = None
        try:
            response = await self._response_to(Request(scope, receive))
            await response(scope, receive, send)
        except Exception:
            if not (isinstance(response, _LiveResponse) and response.begun):
                await send_response(send, error_response(StackError(500, "Internal error.", code="internal_error")))
            raise

    async def _response_to(self, request: Request) -> Response:
        arrived_at = self._clock.monotonic()
        request_id = next(self._request_ids)
        try:
            principal = self._authenticator.tenant(request.headers.get("authorization"))
            client = request.client.host if request.client else None
            self._admission.check(principal, address_of(client, request.headers.get("x-forwarded-for")))
            deadline = self._deadlines.of(request.headers.get(HEADER), self._clock, arrived_at=arrived_at)
            chat = self._parse(await request.body())
        except StackError as error:
            self._metrics.errors.labels(error.source.value).inc()
            log.info("refused", extra={"request_id": request_id, "status": error.status, "code": error.code})
            return error_response(error, {"x-request-id": request_id})
        self._metrics.requests.labels(principal.tier).inc()
        self._metrics.regions.labels(principal.region or "none").inc()
        question = Question(
            request_id=request_id,
            tenant=principal.tenant,
            tier=principal.tier,
            region=principal.region,
            policy=self._policies.of(chat.policy, principal.use_case),
            conversation=tuple(chat.messages),
            arrived_at=arrived_at,
            deadline=deadline,
            hold=not chat.stream,
            max_tokens=chat.max_tokens,
        )
        include_usage = chat.stream_options is not None and chat.stream_options.include_usage
        return _LiveResponse(
            self._answerer,
            question,
            self._admission.place(principal, deadline),
            self._clock,
            self._metrics,
            stream=chat.stream,
            include_usage=include_usage,
            heed_leaving=self._deadlines.enabled,
        )

    def _parse(self, body: bytes) -> ChatRequest:
        try:
            chat = self._decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise StackError(400, str(error), code="invalid_request", kind="invalid_request_error") from None
        if not any(message.role == "user" and message.text.strip() for message in chat.messages):
            message = "messages must hold something that the user said"
            raise StackError(400, message, code="invalid_request", kind="invalid_request_error")
        return chat


class _LiveResponse(Response):
    """Answers while it watches the client. When the client leaves, the work for it is cancelled, at the providers too.

    When the server stops instead, an unfinished stream ends in an error event.
    """

    def __init__(
        self,
        answerer: Answerer,
        question: Question,
        place: AbstractAsyncContextManager[None],
        clock: Clock,
        metrics: GatewayMetrics,
        *,
        stream: bool,
        include_usage: bool,
        heed_leaving: bool,
    ) -> None:
        super().__init__()
        self._answerer = answerer
        self._question = question
        self._place = place
        self._clock = clock
        self._metrics = metrics
        self._stream = stream
        self._include_usage = include_usage
        self._heed_leaving = heed_leaving
        self._id = f"chatcmpl-{question.request_id}"
        self._created = int(clock.unix())
        self.begun: Serving | None = None
        """What the answer said of itself at its beginning."""
        self._outcome = "abandoned"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = asyncio.create_task(self._respond(send))
        gone = asyncio.create_task(disconnect(receive))
        try:
            await asyncio.wait({work, gone} if self._heed_leaving else {work}, return_when=asyncio.FIRST_COMPLETED)
            if self._outcome == "ok":
                # The server says "disconnect" after a whole response, too. What is left is tidying up: the provider's
                # connection is read to its end, so that it can be used again.
                await asyncio.wait({work})
        except asyncio.CancelledError:
            if not work.done() and not gone.done():
                await cancel(work)
                await self._stopped(send)
            raise
        finally:
            await cancel(work, gone)
            self._log()
        if not work.cancelled():
            work.result()
        elif self._stream and self.begun:
            self._metrics.stream_failures.labels("client_gone").inc()

    async def _respond(self, send: Send) -> None:
        try:
            async with self._place:
                if self._stream:
                    await self._respond_with_events(send)
                else:
                    await self._respond_with_body(send)
        except StackError as error:
            self._outcome = error.code
            self._metrics.errors.labels(error.source.value).inc()
            headers = {"x-request-id": self._question.request_id, "x-policy": self._question.policy.name}
            await send_response(send, error_response(error, headers))

    async def _respond_with_body(self, send: Send) -> None:
        text: list[str] = []
        async with aclosing(self._answerer.answer(self._question)) as parts:
            async for part in parts:
                match part:
                    case Begin(serving):
                        self.begun = serving
                    case Text(piece):
                        text.append(piece)
                    case Finish(reason, serving):
                        self._outcome = "ok"
                        await send_response(send, self._whole("".join(text), reason, serving))

    def _whole(self, text: str, finish_reason: str, serving: Serving) -> Response:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
        body = {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": serving.model,
            "choices": [choice],
            "usage": _usage(serving),
            "serving": serving,
        }
        return Response(msgspec.json.encode(body), media_type="application/json", headers=headers_of(serving))

    async def _respond_with_events(self, send: Send) -> None:
        chunks, lead = Chunks(self._id, "", self._created), b""
        try:
            async with aclosing(self._answerer.answer(self._question)) as parts:
                async for part in parts:
                    match part:
                        case Text(piece):
                            # The first chunk, which has no text, goes with the second: to send is what costs most here.
                            await send_body(send, lead + chunks.text(piece))
                            lead = b""
                        case Begin(serving):
                            chunks = Chunks(self._id, serving.model, self._created)
                            lead = chunks.role()
                            await self._begin(send, serving)
                        case Finish(reason, serving):
                            self._outcome = "ok"
                            await send_body(send, lead + self._end(chunks, reason, serving), last=True)
        except BrokenStreamError as error:
            self._outcome = error.error.code
            self._metrics.stream_failures.labels(error.reason).inc()
            self._metrics.errors.labels(error.error.source.value).inc()
            await self._end_with_error(send, error.error, error.serving, lead=lead)

    async def _begin(self, send: Send, serving: Serving) -> None:
        headers = {"content-type": "text/event-stream", "cache-control": "no-cache", **headers_of(serving)}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        self.begun = serving

    def _end(self, chunks: Chunks, reason: str, serving: Serving) -> bytes:
        """`serving` rides on the last chunk; a client that asked for usage gets it on a chunk without choices."""
        if self._include_usage:
            last = chunks.end(reason) + chunks.usage(_usage(serving), serving=serving)
        else:
            last = chunks.end(reason, serving=serving)
        return last + encode(DONE)

    async def _end_with_error(self, send: Send, error: StackError, serving: Serving, *, lead: bytes = b"") -> None:
        event = {"error": error.body(), "serving": serving}
        await send_body(send, lead + encode(msgspec.json.encode(event)) + encode(DONE), last=True)

    async def _stopped(self, send: Send) -> None:
        self._outcome = "shutting_down"
        error = StackError(503, "The gateway is shutting down.", code="shutting_down")
        self._metrics.errors.labels(error.source.value).inc()
        if self._stream and self.begun is not None:
            self._metrics.stream_failures.labels("shutdown").inc()
            await self._end_with_error(send, error, self.begun)
        else:
            await send_response(send, error_response(error, {"x-request-id": self._question.request_id}))

    def _log(self) -> None:
        question, begun = self._question, self.begun
        log.info(
            "answered" if self._outcome == "ok" else "failed",
            extra={
                "request_id": question.request_id,
                "tenant": question.tenant,
                "tier": question.tier,
                "region": question.region or None,
                "policy": question.policy.name,
                "outcome": self._outcome,
                "rung": begun.degradation_level if begun else None,
                "provider": begun.provider if begun else None,
                "duration_ms": round((self._clock.monotonic() - question.arrived_at) * 1000, 1),
            },
        )


def _usage(serving: Serving) -> dict[str, int]:
    usage = serving.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
