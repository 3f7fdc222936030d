"""Azure OpenAI: `POST /openai/deployments/DEPLOYMENT/chat/completions?api-version=...`, and `/openai/v1/...`."""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qs

from brownout.dialect.answer import Headers, HttpAnswer
from brownout.dialect.call import Call, compact
from brownout.dialect.dialect import Problem
from brownout.dialect.failure import Failure, Options

from .openai_chat import LIMIT_REQUESTS, LIMIT_TOKENS, OpenAIChat, retry_after

_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/chat/completions")
_V1 = "/openai/v1/chat/completions"
_LIMITED = (Failure.RATE_LIMITED_REQUESTS, Failure.RATE_LIMITED_TOKENS, Failure.OVERLOADED)
_SAFE = {"filtered": False, "severity": "safe"}
_FILTERS = {
    "hate": _SAFE,
    "jailbreak": {"filtered": True, "detected": True},
    "self_harm": _SAFE,
    "sexual": _SAFE,
    "violence": _SAFE,
}

_PROBLEMS: Mapping[Failure, Problem] = {
    Failure.RATE_LIMITED_REQUESTS: Problem(
        429,
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version {operation} have exceeded "
        "call rate limit of your current OpenAI S0 pricing tier. Please retry after {seconds} seconds. Please go "
        "here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.",
        code="429",
    ),
    Failure.RATE_LIMITED_TOKENS: Problem(
        429,
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version {operation} have exceeded "
        "token rate limit of your current OpenAI S0 pricing tier. Please retry after {seconds} seconds. Please go "
        "here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.",
        code="429",
    ),
    Failure.OVERLOADED: Problem(
        429,
        "The system is currently experiencing high demand and cannot process your request. Your request exceeds "
        "the maximum usage size allowed during peak load. Please retry after {seconds} seconds. For improved "
        "latency reliability, consider switching to Provisioned Throughput.",
        code="429",
    ),
    Failure.SERVER_ERROR: Problem(
        500,
        "The server had an error while processing your request. Sorry about that! You can retry your request, or "
        "contact us through an Azure support request at: https://go.microsoft.com/fwlink/?linkid=2213926 if the "
        "error persists.",
        type="server_error",
    ),
    Failure.GATEWAY_TIMEOUT: Problem(408, "The operation was timeout.", code="Timeout"),
    Failure.EXPIRED_KEY: Problem(
        401,
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for "
        "an active subscription and use a correct regional API endpoint for your resource.",
        code="401",
    ),
    Failure.FORBIDDEN: Problem(403, "Access denied due to Virtual Network/Firewall rules.", code="403"),
    Failure.MODEL_RETIRED: Problem(
        404,
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 "
        "minutes, please wait a moment and try again.",
        code="DeploymentNotFound",
    ),
    Failure.CONTEXT_LENGTH_EXCEEDED: OpenAIChat.problems[Failure.CONTEXT_LENGTH_EXCEEDED],
    Failure.CONTENT_FILTER: Problem(
        400,
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please "
        "modify your prompt and retry. To learn more about our content filtering policies please read our "
        "documentation: https://go.microsoft.com/fwlink/?linkid=2198766",
        param="prompt",
        code="content_filter",
    ),
}
_PAGES: Mapping[Failure, HttpAnswer] = {}
_NOT_OFFERED: Mapping[Failure, str] = {
    Failure.QUOTA_EXHAUSTED: "Azure bills afterwards; a used-up quota is a 429 that says when to come back",
    Failure.BAD_GATEWAY: "its gateway answers for what is behind it with JSON; no HTML page of it is documented",
    Failure.TOO_LARGE: "no answer of its own to oversized requests is documented",
}


class AzureOpenAI(OpenAIChat):
    """Good answers and streams are OpenAI's; errors come from Azure's gateway, or from the model service behind it.

    Sources: both rate limits vanderschaarlab/climb#1 (tokens) and langchain-ai/langchain#12986 (calls); headers
    `retry-after-ms` and `x-ratelimit-*`: Microsoft's quota documentation; high demand, a 429 too:
    pollinations/pollinations#6260; 500 Azure-Samples/azure-search-openai-demo#1390; 401 SciSharp/BotSharp#386; 403 and
    the header `apim-request-id` Azure-Samples/azure-sql-db-chatbot#3; 404 `DeploymentNotFound`: Microsoft's error
    reference; the prompt filter, 400 with `innererror`: compl-ai/compl-ai#20 and microsoft/TinyTroupe#85; the gateway's
    timeout, 408 `Timeout`, "The operation was timeout.": as client code handles it in many places.
    """

    name = "azure_openai"
    provider = "azure"
    hosts = ("*.openai.azure.com", "*.cognitiveservices.azure.com", "*.services.ai.azure.com")
    other_model = "gpt-35-turbo"
    problems = _PROBLEMS
    pages = _PAGES
    not_offered = _NOT_OFFERED

    def call(self, method: str, path: str, body: bytes) -> Call | None:
        bare, _, query = path.partition("?")
        deployment = _DEPLOYMENT.fullmatch(bare)
        if deployment is None and bare != _V1:
            return None
        call = super().call(method, self.paths[0], body)
        if call is None:
            return None
        version = parse_qs(query).get("api-version", ["v1"])[0]
        return replace(call, operation=version, model=call.model or (deployment[1] if deployment else ""))

    def headers(self, call: Call) -> Headers:
        return (("apim-request-id", call.uuid()), ("x-ms-region", "Sweden Central"))

    def error_headers(self, failure: Failure, problem: Problem, call: Call, options: Options) -> Headers:
        if failure not in _LIMITED:
            return ()
        by_requests = failure is Failure.RATE_LIMITED_REQUESTS
        return (
            ("x-ratelimit-limit-requests", str(LIMIT_REQUESTS)),
            ("x-ratelimit-limit-tokens", str(LIMIT_TOKENS)),
            ("x-ratelimit-remaining-requests", "0" if by_requests else str(LIMIT_REQUESTS - 1)),
            ("x-ratelimit-remaining-tokens", str(LIMIT_TOKENS - 62) if by_requests else "0"),
            *retry_after(options),
        )

    def error_body(self, problem: Problem, call: Call) -> bytes:
        if problem.code == "content_filter":
            inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": _FILTERS}
            fields = {
                "message": problem.message,
                "type": None,
                "param": problem.param,
                "code": problem.code,
                "status": 400,
            }
            return compact({"error": fields | {"innererror": inner}})
        if problem.type is None:
            return compact({"error": {"code": problem.code, "message": problem.message}})
        return super().error_body(problem, call)


dialect = AzureOpenAI()
