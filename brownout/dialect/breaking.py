"""How a good answer is broken. Pure functions, the same for every provider."""

from collections.abc import Callable

from brownout.dialect.answer import Chunk, Cut, Hang, HttpAnswer, Step, Wait
from brownout.dialect.call import StreamParts
from brownout.dialect.failure import Failure, Options

MAINTENANCE_PAGE = HttpAnswer(
    200,
    (("content-type", "text/html; charset=utf-8"),),
    b"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body><h1>We'll be back soon</h1></body></html>\n",
)
"""Nobody's in particular: what stands between a caller and a provider answers for it, and says 200."""


def whole_stream(parts: StreamParts) -> tuple[Step, ...]:
    """The stream as it should be: every event in a piece of its own, without a pause."""
    return _chunks(parts.opening + parts.tokens + parts.closing)


def broken_body(failure: Failure, answer: HttpAnswer) -> HttpAnswer:
    """A whole answer, broken: `malformed_json`, or else `truncated_body`."""
    # Two thirds: beyond the first fields, and short of the last brace.
    kept = answer.body[: max(1, len(answer.body) * 2 // 3)]
    if failure is Failure.MALFORMED_JSON:
        return HttpAnswer(answer.status, answer.headers, kept)
    return HttpAnswer(answer.status, (*answer.headers, ("content-length", str(len(answer.body)))), kept)


def broken_stream(  # noqa: PLR0911 - one each
    failure: Failure,
    parts: StreamParts,
    options: Options,
    *,
    error_event: bytes,
    malformed: Callable[[bytes], bytes],
) -> tuple[Step, ...]:
    """The steps of a stream that fails in that way."""
    tokens = parts.tokens
    after = tokens_before(parts, options)
    begun = _chunks(parts.opening + tokens[:after])
    match failure:
        case Failure.SLOW_FIRST_TOKEN:
            return (*_chunks(parts.opening), Wait(options.delay), *_chunks(tokens + parts.closing))
        case Failure.SLOW_TOKENS:
            slow = [step for token in tokens for step in (Wait(options.gap), Chunk(token))]
            return (*_chunks(parts.opening), *slow, *_chunks(parts.closing))
        case Failure.STALL:
            return (*begun, Hang())
        case Failure.DISCONNECT:
            return (*begun, Cut())
        case Failure.ERROR_EVENT:
            return (*begun, Chunk(error_event))
        case Failure.MALFORMED_EVENT:
            return (*begun, Chunk(malformed(tokens[after])), *_chunks(tokens[after + 1 :] + parts.closing))
        case Failure.MISSING_TERMINATOR:
            return _chunks(parts.opening + tokens)
        case Failure.DUPLICATED_CHUNKS:
            return (*begun, *_chunks((tokens[after], *tokens[after:], *parts.closing)))
        case Failure.REORDERED_CHUNKS:
            first = min(after, len(tokens) - 2)
            swapped = (*tokens[:first], tokens[first + 1], tokens[first], *tokens[first + 2 :])
            return _chunks(parts.opening + swapped + parts.closing)
        case _:
            return (Wait(options.delay), Chunk(b"".join(parts.opening + tokens + parts.closing)))


def tokens_before(parts: StreamParts, options: Options) -> int:
    """How many tokens arrive before it goes wrong: never all of them, or the stream would be whole to look at."""
    return min(options.after, len(parts.tokens) - 1)


def half_event(event: bytes) -> bytes:
    """A line-framed event whose data breaks off, with the line ends that frame it."""
    content = event.rstrip(b"\n")
    # Behind the field name at least, so that it is the JSON that is broken.
    start = content.rfind(b"{", 0, len(content) // 2)
    cut = max(len(content) * 2 // 3, start + 1)
    return content[:cut] + event[len(content) :]


def _chunks(events: tuple[bytes, ...]) -> tuple[Step, ...]:
    return tuple(Chunk(event) for event in events)
