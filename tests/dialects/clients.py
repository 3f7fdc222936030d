"""The providers' own client libraries, each asked the same question in its own way, retries off.

What a caller gets of it is put into one shape, `Seen`, so that one table can say what is expected of all.
"""

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

MODEL = "a-model"
QUESTION = "Does it brown out?"


@dataclass
class Seen:
    """What a caller got."""

    tokens: list[str] = field(default_factory=list)
    """The pieces of text; one, for a whole answer."""
    finish: str | None = None
    model: str | None = None
    usage: tuple[int, int] | None = None
    refusal: str = ""
    events: list[str] = field(default_factory=list)
    """Names of events other than text, where the client hands them on."""
    error: BaseException | None = None

    @property
    def text(self) -> str:
        return "".join(self.tokens)


Ask = Callable[[bool, Seen], None]
"""Asks once, streamed or not, and fills in what comes, up to an exception."""


def openai_chat(url: str, timeout: float) -> Ask:
    openai = pytest.importorskip("openai")
    return _chat(openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0, timeout=timeout))


def vllm(url: str, timeout: float) -> Ask:
    return openai_chat(url, timeout)


def azure_openai(url: str, timeout: float) -> Ask:
    openai = pytest.importorskip("openai")
    client = openai.AzureOpenAI(
        azure_endpoint=url, api_key="test", api_version="2024-10-21", max_retries=0, timeout=timeout
    )
    return _chat(client)


def _chat(client: Any) -> Ask:
    def ask(stream: bool, seen: Seen) -> None:
        question: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}
        if not stream:
            answer = client.chat.completions.create(**question)
            choice = answer.choices[0]
            seen.tokens, seen.finish, seen.model = [choice.message.content or ""], choice.finish_reason, answer.model
            seen.refusal = choice.message.refusal or ""
            if answer.usage:
                seen.usage = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
            return
        for chunk in client.chat.completions.create(**question, stream=True, stream_options={"include_usage": True}):
            seen.model = chunk.model
            for choice in chunk.choices:
                if choice.delta.content:
                    seen.tokens.append(choice.delta.content)
                seen.refusal += choice.delta.refusal or ""
                seen.finish = choice.finish_reason or seen.finish
            if chunk.usage:
                seen.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)

    return ask


def openai_responses(url: str, timeout: float) -> Ask:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0, timeout=timeout)

    def whole(answer: Any, seen: Seen) -> None:
        seen.model = answer.model
        seen.finish = answer.incomplete_details.reason if answer.incomplete_details else answer.status
        if answer.usage:
            seen.usage = (answer.usage.input_tokens, answer.usage.output_tokens)

    def ask(stream: bool, seen: Seen) -> None:
        if not stream:
            answer = client.responses.create(model=MODEL, input=QUESTION)
            whole(answer, seen)
            seen.tokens = [answer.output_text]
            parts = [part for item in answer.output for part in item.content]
            seen.refusal = "".join(part.refusal for part in parts if part.type == "refusal")
            return
        for event in client.responses.create(model=MODEL, input=QUESTION, stream=True):
            if event.type == "response.output_text.delta":
                seen.tokens.append(event.delta)
            elif event.type == "response.refusal.delta":
                seen.refusal += event.delta
            elif event.type in ("response.completed", "response.incomplete"):
                whole(event.response, seen)
            else:
                seen.events.append(event.type)

    return ask


def anthropic(url: str, timeout: float) -> Ask:
    library = pytest.importorskip("anthropic")
    client = library.Anthropic(base_url=url, api_key="test", max_retries=0, timeout=timeout)

    def ask(stream: bool, seen: Seen) -> None:
        question: dict[str, Any] = {"model": MODEL, "max_tokens": 64}
        question["messages"] = [{"role": "user", "content": QUESTION}]
        if not stream:
            answer = client.messages.create(**question)
            seen.tokens = ["".join(block.text for block in answer.content)]
            seen.finish, seen.model = answer.stop_reason, answer.model
            if answer.usage:
                seen.usage = (answer.usage.input_tokens, answer.usage.output_tokens)
            return
        for event in client.messages.create(**question, stream=True):
            if event.type == "content_block_delta":
                seen.tokens.append(event.delta.text)
            elif event.type == "message_start":
                seen.model = event.message.model
                prompt = event.message.usage.input_tokens if event.message.usage else 0
            elif event.type == "message_delta":
                seen.finish = event.delta.stop_reason
                if event.usage:
                    seen.usage = (prompt, event.usage.output_tokens)
            else:
                seen.events.append(event.type)

    return ask


def gemini(url: str, timeout: float) -> Ask:
    genai = pytest.importorskip("google.genai")
    options = genai.types.HttpOptions(
        base_url=url, timeout=int(timeout * 1000), retry_options=genai.types.HttpRetryOptions(attempts=1)
    )
    client = genai.Client(api_key="test", http_options=options)

    def take(answer: Any, seen: Seen) -> None:
        if answer.text:
            seen.tokens.append(answer.text)
        seen.model = answer.model_version
        if answer.candidates and answer.candidates[0].finish_reason:
            seen.finish = answer.candidates[0].finish_reason.value
        if answer.prompt_feedback:
            seen.finish = answer.prompt_feedback.block_reason.value
        if answer.usage_metadata:
            usage = answer.usage_metadata
            seen.usage = (usage.prompt_token_count, usage.candidates_token_count)

    def ask(stream: bool, seen: Seen) -> None:
        if not stream:
            return take(client.models.generate_content(model=MODEL, contents=QUESTION), seen)
        for chunk in client.models.generate_content_stream(model=MODEL, contents=QUESTION):
            take(chunk, seen)
        return None

    return ask


def cohere(url: str, timeout: float) -> Ask:
    library = pytest.importorskip("cohere")
    client = library.ClientV2(api_key="test", base_url=url, timeout=timeout)
    options = {"max_retries": 0}

    def usage_of(usage: Any) -> tuple[int, int] | None:
        return (int(usage.tokens.input_tokens), int(usage.tokens.output_tokens)) if usage else None

    def ask(stream: bool, seen: Seen) -> None:
        messages = [{"role": "user", "content": QUESTION}]
        if not stream:
            answer = client.chat(model=MODEL, messages=messages, request_options=options)
            seen.tokens = ["".join(part.text for part in answer.message.content or [])]
            seen.finish, seen.usage = answer.finish_reason, usage_of(answer.usage)
            return
        for event in client.chat_stream(model=MODEL, messages=messages, request_options=options):
            if event.type == "content-delta":
                seen.tokens.append(event.delta.message.content.text)
            elif event.type == "message-end":
                seen.finish, seen.usage = event.delta.finish_reason, usage_of(event.delta.usage)
            else:
                seen.events.append(event.type)

    return ask


def ollama(url: str, timeout: float) -> Ask:
    library = pytest.importorskip("ollama")
    client = library.Client(host=url, timeout=timeout)

    def take(part: Any, seen: Seen) -> None:
        if part.message.content:
            seen.tokens.append(part.message.content)
        seen.model = part.model
        seen.finish = part.done_reason or seen.finish
        if part.eval_count is not None:
            seen.usage = (part.prompt_eval_count, part.eval_count)

    def ask(stream: bool, seen: Seen) -> None:
        messages = [{"role": "user", "content": QUESTION}]
        if not stream:
            return take(client.chat(model=MODEL, messages=messages), seen)
        for part in client.chat(model=MODEL, messages=messages, stream=True):
            take(part, seen)
        return None

    return ask


def _bedrock(url: str, timeout: float) -> Any:
    boto3 = pytest.importorskip("boto3")
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": 1}, read_timeout=timeout, connect_timeout=timeout)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("bedrock-runtime", endpoint_url=url, region_name="eu-central-1", config=config, **keys)


def bedrock(url: str, timeout: float) -> Ask:
    client = _bedrock(url, timeout)

    def usage_of(answer: Any) -> tuple[int, int] | None:
        usage = answer.get("usage")
        return (usage["inputTokens"], usage["outputTokens"]) if usage else None

    def ask(stream: bool, seen: Seen) -> None:
        messages = [{"role": "user", "content": [{"text": QUESTION}]}]
        if not stream:
            answer = client.converse(modelId=MODEL, messages=messages)
            seen.tokens = ["".join(part["text"] for part in answer["output"]["message"]["content"])]
            seen.finish, seen.usage = answer["stopReason"], usage_of(answer)
            return
        for event in client.converse_stream(modelId=MODEL, messages=messages)["stream"]:
            match event:
                case {"contentBlockDelta": {"delta": {"text": text}}}:
                    seen.tokens.append(text)
                case {"messageStop": {"stopReason": reason}}:
                    seen.finish = reason
                case {"metadata": metadata}:
                    seen.usage = usage_of(metadata)
                case _:
                    seen.events += list(event)

    return ask


def bedrock_invoke(url: str, timeout: float) -> Ask:
    client = _bedrock(url, timeout)

    def chunks(question: str) -> Iterator[Any]:
        for event in client.invoke_model_with_response_stream(modelId=MODEL, body=question)["body"]:
            yield json.loads(event["chunk"]["bytes"])

    def ask(stream: bool, seen: Seen) -> None:
        question = json.dumps({"max_tokens": 64, "messages": [{"role": "user", "content": QUESTION}]})
        if not stream:
            answer = json.loads(client.invoke_model(modelId=MODEL, body=question)["body"].read())
            seen.tokens = ["".join(part["text"] for part in answer["content"])]
            seen.finish, seen.model = answer["stop_reason"], answer["model"]
            if "usage" in answer:
                seen.usage = (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"])
            return
        for event in chunks(question):
            match event:
                case {"type": "content_block_delta", "delta": {"text": text}}:
                    seen.tokens.append(text)
                case {"type": "message_start", "message": message}:
                    seen.model = message["model"]
                    prompt = message.get("usage", {}).get("input_tokens", 0)
                case {"type": "message_delta", "delta": {"stop_reason": reason}, **rest}:
                    seen.finish = reason
                    if "usage" in rest:
                        seen.usage = (prompt, rest["usage"]["output_tokens"])
                case _:
                    seen.events.append(event["type"])

    return ask


CLIENTS: dict[str, Callable[[str, float], Ask]] = {
    client.__name__: client
    for client in (
        openai_chat,
        openai_responses,
        azure_openai,
        vllm,
        anthropic,
        gemini,
        cohere,
        ollama,
        bedrock,
        bedrock_invoke,
    )
}


@cache
def client(name: str, url: str, timeout: float = 10.0) -> Ask:
    """A dialect's client, made once for each place: that is what takes the time."""
    with warnings.catch_warnings():
        # How the libraries treat one another is theirs to settle.
        warnings.simplefilter("ignore", DeprecationWarning)
        return CLIENTS[name](url, timeout)
