"""A chunk from the template is the chunk that encoding it anew would give."""

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from target_stack.chunks import Chunks
from target_stack.sse import SseParser


def decoded(events: bytes) -> list[object]:
    return [msgspec.json.decode(data) for data in SseParser().feed(events)]


def chunk(delta: dict[str, str], finish_reason: str | None = None, **extra: object) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "choices": [choice],
        **extra,
    }


@given(piece=st.text())
def test_any_text_comes_through_the_template(piece: str) -> None:
    assert decoded(Chunks("chatcmpl-1", "m", 7).text(piece)) == [chunk({"content": piece})]


@given(name=st.text())
@example(name="\0")
def test_any_name_of_a_model_leaves_the_template_whole(name: str) -> None:
    assert decoded(Chunks("chatcmpl-1", name, 7).text("a")) == [chunk({"content": "a"}) | {"model": name}]


def test_the_other_chunks_carry_what_they_are_for() -> None:
    chunks = Chunks("chatcmpl-1", "m", 7)
    assert decoded(chunks.role()) == [chunk({"role": "assistant", "content": ""})]
    assert decoded(chunks.end("stop", serving={"a": 1})) == [chunk({}, "stop", serving={"a": 1})]
    (usage,) = decoded(chunks.usage({"total_tokens": 3}, serving=None))
    assert usage == chunk({}) | {"choices": [], "usage": {"total_tokens": 3}, "serving": None}
