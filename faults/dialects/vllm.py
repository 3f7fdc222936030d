"""vLLM, its OpenAI-compatible server: `POST /v1/chat/completions`, wherever it runs."""

from collections.abc import Mapping

from brownout.dialect.answer import Headers, HttpAnswer
from brownout.dialect.call import Call, compact, server_sent
from brownout.dialect.dialect import Problem
from brownout.dialect.failure import Failure, Options

from ._edge import nginx_page
from .openai_chat import OpenAIChat

_DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."

_PROBLEMS: Mapping[Failure, Problem] = {
    Failure.SERVER_ERROR: Problem(500, _DEAD, type="Internal Server Error", code="500"),
    Failure.EXPIRED_KEY: Problem(401, "Unauthorized"),
    Failure.MODEL_RETIRED: Problem(404, "The model `{model}` does not exist.", type="NotFoundError", code="404"),
    Failure.CONTEXT_LENGTH_EXCEEDED: Problem(
        400,
        "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the "
        "messages, 10000 in the completion). Please reduce the length of the messages or completion.",
        type="BadRequestError",
        code="400",
    ),
}
_PAGES: Mapping[Failure, HttpAnswer] = {
    Failure.BAD_GATEWAY: nginx_page(502),
    Failure.GATEWAY_TIMEOUT: nginx_page(504),
    Failure.TOO_LARGE: nginx_page(413),
}
_NOT_OFFERED: Mapping[Failure, str] = {
    Failure.RATE_LIMITED_REQUESTS: "it has no rate limits; requests queue",
    Failure.RATE_LIMITED_TOKENS: "it has no rate limits; requests queue",
    Failure.QUOTA_EXHAUSTED: "it bills nobody",
    Failure.OVERLOADED: "it queues without bound; overload shows as slow_first_token",
    Failure.FORBIDDEN: "a key is right or wrong; there are no permissions",
    Failure.CONTENT_FILTER: "it filters nothing",
    Failure.REFUSAL: "it has no field for refusals; a model refuses in plain text",
}


class VLLM(OpenAIChat):
    """Good answers are OpenAI's in shape; errors have a number for a code, and a class of Python's for a type.

    Sources: `ErrorResponse` and `create_streaming_error_response` in vllm/entrypoints/openai/engine/ (protocol.py,
    serving.py); a dead engine, 500, vllm#24495; too long a context vllm#20409 and HKUSTDial/Alpha-SQL#5; 401:
    `AuthenticationMiddleware` in vllm/entrypoints/openai/ (`{"error": "Unauthorized"}`). The 413, 502 and 504 are not
    its own: they are those of the nginx that vLLM's deployment guide puts in front of it.
    """

    name = "vllm"
    provider = "vllm"
    hosts = ()
    other_model = "Qwen/Qwen2.5-0.5B-Instruct"
    problems = _PROBLEMS
    pages = _PAGES
    not_offered = _NOT_OFFERED

    def headers(self, call: Call) -> Headers:
        return (("server", "uvicorn"),)

    def error_headers(self, failure: Failure, problem: Problem, call: Call, options: Options) -> Headers:
        return ()

    def error_body(self, problem: Problem, call: Call) -> bytes:
        if problem.type is None or problem.code is None:
            return compact({"error": problem.message})
        fields = {"message": problem.message, "type": problem.type, "param": None, "code": int(problem.code)}
        return compact({"error": fields})

    def error_event(self, call: Call, sent: int) -> bytes:
        fields = {"message": _DEAD, "type": "InternalServerError", "param": None, "code": 500}
        return server_sent(compact({"error": fields})) + server_sent(b"[DONE]")


dialect = VLLM()
