"""How the engine's tokens become a response, and its failures errors, in the words of vLLM."""

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from target_stack.asgi import begin_events, send_body, send_response, while_connected
from target_stack.completion import ChatCompletion
from target_stack.inference.engine import EngineDeadError, Generation, RejectedError
from target_stack.sse import DONE, encode

__all__ = ["Answer", "refusal"]

_TYPES = {
    400: "BadRequestError",
    404: "NotFoundError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}
"""vLLM puts the name of the exception of OpenAI's client here, and the status into `code`."""


def refusal(
    status: int, message: str, *, headers: dict[str, str] | None = None, source: str | None = None
) -> JSONResponse:
    """Return an error; `source` says whose fault it is where that is not the worker's."""
    error = {"message": message, "type": _TYPES[status], "param": None, "code": status}
    if source is not None:
        error["error_source"] = source
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def _failed(error: Exception) -> JSONResponse:
    return refusal(503 if isinstance(error, RejectedError) else 500, str(error))


class Answer(Response):
    """Tells the tokens as they come; when the client leaves, the engine stops computing them."""

    def __init__(
        self, generation: Generation, completion: ChatCompletion, *, stream: bool, include_usage: bool
    ) -> None:
        super().__init__()
        self._generation = generation
        self._completion = completion
        self._stream = stream
        self._include_usage = include_usage
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._generation:
            await while_connected(receive, self._respond(send))

    async def _respond(self, send: Send) -> None:
        try:
            if self._stream:
                await self._respond_with_events(send)
            else:
                await self._respond_with_body(send)
        except (RejectedError, EngineDeadError) as error:
            failed = _failed(error)
            if self._begun:
                await send_body(send, encode(bytes(failed.body)) + encode(DONE), last=True)
            else:
                await send_response(send, failed)

    async def _respond_with_body(self, send: Send) -> None:
        while await self._generation.progress() < len(self._completion.pieces):
            pass
        await send_response(send, Response(self._completion.whole(), media_type="application/json"))

    async def _respond_with_events(self, send: Send) -> None:
        completion, chunks, sent = self._completion, self._completion.chunks(), 0
        while sent < len(completion.pieces):
            there = await self._generation.progress()
            if not self._begun:
                self._begun = True
                await begin_events(send)
                await send_body(send, chunks.role())
            await send_body(send, b"".join(map(chunks.text, completion.pieces[sent:there])))
            sent = there
        await send_body(send, completion.end(chunks, include_usage=self._include_usage), last=True)
