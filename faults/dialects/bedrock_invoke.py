"""Amazon Bedrock, InvokeModel, models of Anthropic's: `POST /model/MODEL/invoke`, `/invoke-with-response-stream`."""

import base64
import re
from collections.abc import Mapping
from dataclasses import replace

from brownout.dialect.call import Call, Reply, StreamParts, compact
from brownout.dialect.dialect import Problem
from brownout.dialect.failure import Failure

from . import _eventstream
from .anthropic_messages import dialect as anthropic
from .bedrock import Bedrock

_PROBLEMS: Mapping[Failure, Problem] = {
    **Bedrock.problems,
    Failure.QUOTA_EXHAUSTED: Problem(
        400, "Your request exceeds the service quota for your account.", type="ServiceQuotaExceededException"
    ),
}
_NOT_OFFERED: Mapping[Failure, str] = {
    Failure.TOO_LARGE: Bedrock.not_offered[Failure.TOO_LARGE],
    Failure.CONTENT_FILTER: "Anthropic's messages have no such stop reason; guardrails belong to Converse",
}
_BYTES = re.compile(rb'"bytes":\s*"([A-Za-z0-9+/=]*)"')


class BedrockInvoke(Bedrock):
    """Errors are Bedrock's, with one that Converse lacks: ServiceQuotaExceededException. Bodies are the model's own,
    here Anthropic's messages, since InvokeModel hands bodies through. In a stream each of Anthropic's events is the
    payload of a `chunk`, in base64.

    Sources: the service model in botocore (`InvokeModel`, `ResponseStream`, `PayloadPart`); "Anthropic Claude Messages
    API" in Bedrock's user guide.
    """

    name = "bedrock_invoke"
    other_model = "anthropic.claude-3-haiku-20240307-v1:0"
    path = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)")
    problems = _PROBLEMS
    not_offered = _NOT_OFFERED

    def completion(self, reply: Reply, call: Call) -> bytes:
        return anthropic.completion(reply, call)

    def stream(self, reply: Reply, call: Call) -> StreamParts:
        plain = anthropic.stream(reply, call)
        return replace(
            plain,
            opening=tuple(map(_chunk, plain.opening)),
            tokens=tuple(map(_chunk, plain.tokens)),
            closing=tuple(map(_chunk, plain.closing)),
        )

    def says(self, event: bytes) -> bool:
        found = _BYTES.search(event)
        return found is not None and anthropic.says(base64.b64decode(found[1]))


def _chunk(event: bytes) -> bytes:
    """A server-sent event's data, as Bedrock frames it."""
    data = event[event.index(b"data: ") + len(b"data: ") :].rstrip(b"\n")
    return _eventstream.event("chunk", compact({"bytes": base64.b64encode(data).decode()}))


dialect = BedrockInvoke()
