"""What the dialects say, looked at without a client: statuses, headers, bodies, timing."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.dialect import (
    BODY_FAILURES,
    STREAM_FAILURES,
    Call,
    Chunk,
    Cut,
    Dialect,
    Failure,
    Hang,
    HttpAnswer,
    NotOffered,
    Options,
    StreamAnswer,
    Wait,
    dialects_of,
    installed_dialects,
    on_the_wire,
)
from brownout.errors import InvalidInput

DIALECTS = sorted(installed_dialects())
CALL = Call(model="a-model", operation="v1beta", at=1_750_000_000.0)
STREAMED = replace(CALL, stream=True)
LIMITED = (Failure.RATE_LIMITED_REQUESTS, Failure.RATE_LIMITED_TOKENS)


def offered(dialect: Dialect, call: Call) -> list[Failure]:
    return [failure for failure in Failure if dialect.offers(failure) and dialect.applies(failure, call)]


def headers_of(name: str, failure: Failure, options: Options | None = None) -> dict[str, str]:
    return dict(installed_dialects()[name].answer(failure, CALL, options).headers)


def body_of(name: str, failure: Failure, options: Options | None = None) -> dict[str, object]:
    answer = installed_dialects()[name].answer(failure, CALL, options)
    assert isinstance(answer, HttpAnswer)
    body = json.loads(answer.body)
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("openai_chat", 429),
        ("openai_responses", 429),
        ("anthropic", 429),
        ("gemini", 429),
        ("cohere", 402),
        ("bedrock", 429),
        ("bedrock_invoke", 400),
    ],
)
def test_a_spent_quota_never_says_when_to_come_back(name: str, status: int) -> None:
    answer = installed_dialects()[name].answer(Failure.QUOTA_EXHAUSTED, CALL)
    assert answer.status == status
    assert not any("retry" in header or "ratelimit" in header for header, _ in answer.headers)
    assert b"retryDelay" not in answer.body


@pytest.mark.parametrize("failure", LIMITED)
@pytest.mark.parametrize("name", ["openai_chat", "openai_responses", "azure_openai", "anthropic"])
def test_a_rate_limit_says_in_a_header_when_to_come_back(name: str, failure: Failure) -> None:
    assert headers_of(name, failure, Options(retry_after=7))["retry-after"] == "7"
    # HTTP knows whole seconds only, and too early would be refused again.
    assert headers_of(name, failure, Options(retry_after=0.2))["retry-after"] == "1"


def test_openai_tells_both_limits_and_which_of_them_is_spent() -> None:
    by_requests = headers_of("openai_chat", Failure.RATE_LIMITED_REQUESTS, Options(retry_after=90))
    assert by_requests["x-ratelimit-remaining-requests"] == "0"
    assert by_requests["x-ratelimit-reset-requests"] == "1m30s"
    assert by_requests["retry-after-ms"] == "90000"
    by_tokens = headers_of("openai_chat", Failure.RATE_LIMITED_TOKENS, Options(retry_after=0.25))
    assert by_tokens["x-ratelimit-remaining-requests"] != "0"
    assert by_tokens["x-ratelimit-reset-tokens"] == "250ms"


def test_anthropic_tells_the_time_at_which_a_spent_limit_is_whole_again() -> None:
    headers = headers_of("anthropic", Failure.RATE_LIMITED_TOKENS, Options(retry_after=60))
    assert headers["anthropic-ratelimit-input-tokens-remaining"] == "0"
    assert headers["anthropic-ratelimit-input-tokens-reset"] == "2025-06-15T15:07:40Z"
    assert headers["anthropic-ratelimit-requests-remaining"] == "4000"
    assert headers["x-should-retry"] == "true"


def test_gemini_tells_when_to_come_back_in_the_body_alone() -> None:
    error = body_of("gemini", Failure.RATE_LIMITED_REQUESTS, Options(retry_after=1.5))["error"]
    assert isinstance(error, dict)
    assert error["details"][-1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}
    assert "retry-after" not in headers_of("gemini", Failure.RATE_LIMITED_REQUESTS)


@pytest.mark.parametrize("name", ["cohere", "bedrock", "bedrock_invoke"])
def test_providers_that_never_say_when_to_come_back_do_not(name: str) -> None:
    assert "retry-after" not in headers_of(name, Failure.RATE_LIMITED_REQUESTS)


def test_the_model_asked_for_is_named_in_the_errors_that_name_it() -> None:
    for name in ("openai_chat", "anthropic", "gemini", "cohere", "vllm", "ollama"):
        assert b"a-model" in installed_dialects()[name].answer(Failure.MODEL_RETIRED, CALL).body, name


def test_bad_gateways_are_pages_and_not_json() -> None:
    for dialect in installed_dialects().values():
        if dialect.offers(Failure.BAD_GATEWAY):
            answer = dialect.answer(Failure.BAD_GATEWAY, CALL)
            assert answer.status == 502
            assert dict(answer.headers)["content-type"].startswith("text/html")
            assert b"<html" in answer.body


@pytest.mark.parametrize("name", DIALECTS)
def test_a_failure_that_is_not_offered_is_refused_with_the_reason(name: str) -> None:
    dialect = installed_dialects()[name]
    for failure, reason in dialect.not_offered.items():
        with pytest.raises(NotOffered, match=name) as refused:
            dialect.answer(failure, STREAMED)
        assert reason in str(refused.value)


def test_a_failure_of_streams_is_refused_for_a_whole_answer_and_the_other_way_round() -> None:
    dialect = installed_dialects()["openai_chat"]
    for failure in STREAM_FAILURES:
        with pytest.raises(NotOffered, match="stream"):
            dialect.answer(failure, CALL)
    for failure in BODY_FAILURES:
        with pytest.raises(NotOffered, match="whole bodies"):
            dialect.answer(failure, STREAMED)


@pytest.mark.parametrize("call", [CALL, STREAMED], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", DIALECTS)
def test_the_same_call_has_the_same_answer_to_the_byte(name: str, call: Call) -> None:
    dialect = installed_dialects()[name]
    for failure in offered(dialect, call):
        assert dialect.answer(failure, call) == dialect.answer(failure, call)


@pytest.mark.parametrize("name", [name for name in DIALECTS if name not in ("gemini", "ollama", "vllm")])
def test_two_calls_have_different_identifiers(name: str) -> None:
    dialect = installed_dialects()[name]
    one, other = (dialect.healthy(replace(CALL, serial=serial)) for serial in (1, 2))
    assert one != other


@pytest.mark.parametrize("name", DIALECTS)
@given(after=st.integers(0, 40), delay=st.floats(0, 60), gap=st.floats(0, 5))
def test_a_broken_stream_keeps_to_what_it_says(name: str, after: int, delay: float, gap: float) -> None:
    dialect = installed_dialects()[name]
    options = Options(after=after, delay=delay, gap=gap)

    def stream(failure: Failure) -> StreamAnswer:
        answer = dialect.answer(failure, STREAMED, options)
        assert isinstance(answer, StreamAnswer)
        return answer

    healthy = dialect.healthy(STREAMED)
    assert isinstance(healthy, StreamAnswer)
    whole = [step.data for step in healthy.steps if isinstance(step, Chunk)]
    assert stream(Failure.STALL).steps[-1] == Hang()
    assert stream(Failure.DISCONNECT).steps[-1] == Cut()
    for cut_short in (Failure.STALL, Failure.DISCONNECT, Failure.MISSING_TERMINATOR):
        got = stream(cut_short).body
        assert healthy.body.startswith(got)
        assert got != healthy.body
    assert sorted(whole) == sorted(step.data for step in stream(Failure.REORDERED_CHUNKS).steps)  # type: ignore[union-attr]
    assert stream(Failure.REORDERED_CHUNKS).body != healthy.body
    assert len(stream(Failure.DUPLICATED_CHUNKS).steps) == len(whole) + 1
    assert stream(Failure.ONE_GIANT_CHUNK).steps == (Wait(delay), Chunk(healthy.body))
    for slow in (Failure.SLOW_FIRST_TOKEN, Failure.SLOW_TOKENS):
        assert stream(slow).body == healthy.body
    waits = [step for step in stream(Failure.SLOW_TOKENS).steps if isinstance(step, Wait)]
    assert waits == [Wait(gap)] * 9


@pytest.mark.parametrize("name", DIALECTS)
def test_a_broken_body_is_the_beginning_of_a_good_one(name: str) -> None:
    dialect = installed_dialects()[name]
    healthy = dialect.healthy(CALL)
    for failure in BODY_FAILURES:
        answer = dialect.answer(failure, CALL)
        assert isinstance(answer, HttpAnswer)
        assert healthy.body.startswith(answer.body)
        with pytest.raises(json.JSONDecodeError):
            json.loads(answer.body)
        assert answer.truncated is (failure is Failure.TRUNCATED_BODY)
    assert answer.declared_length in (len(answer.body), len(healthy.body))


def test_nothing_follows_a_cut_on_the_wire_and_a_whole_stream_ends_with_the_last_chunk() -> None:
    dialect = installed_dialects()["openai_chat"]
    assert list(on_the_wire(dialect.answer(Failure.DISCONNECT, STREAMED)))[-1] == Cut()
    assert list(on_the_wire(dialect.answer(Failure.TRUNCATED_BODY, CALL)))[-1] == Cut()
    assert list(on_the_wire(dialect.answer(Failure.STALL, STREAMED)))[-1] == Hang()
    assert list(on_the_wire(dialect.healthy(STREAMED)))[-1] == Chunk(b"0\r\n\r\n")


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/chat/completions", b"{}"),
        ("POST", "/v1/models", b"{}"),
        ("POST", "/v1/chat/completions", b"not json"),
        ("POST", "/v1/chat/completions", b"[]"),
        ("POST", "/v1/messages", b"\xff"),
        ("POST", "/", b""),
    ],
)
def test_a_request_that_is_none_of_its_own_is_left_alone(name: str, method: str, path: str, body: bytes) -> None:
    assert installed_dialects()[name].call(method, path, body) is None


@pytest.mark.parametrize(
    "options", [{"retry_after": -1}, {"delay": 1e9}, {"gap": float("nan")}, {"after": -1}, {"factor": 1}]
)
def test_an_impossible_severity_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        Options(**options)  # type: ignore[arg-type]


def test_a_provider_is_its_dialects_and_an_unknown_one_is_told_the_nearest() -> None:
    assert {dialect.name for dialect in dialects_of("openai")} == {"openai_chat", "openai_responses"}
    assert [dialect.name for dialect in dialects_of("openai_chat")] == ["openai_chat"]
    with pytest.raises(InvalidInput, match="did you mean 'anthropic'"):
        dialects_of("antropic")
