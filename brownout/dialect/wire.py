"""An answer as HTTP/1.1 puts it on a connection: for whoever plays it on a socket."""

from collections.abc import Iterator
from http import HTTPStatus

from brownout.dialect.answer import Answer, Chunk, Cut, Hang, HttpAnswer, Step

LAST_CHUNK = b"0\r\n\r\n"


def on_the_wire(answer: Answer) -> Iterator[Step]:
    """The head, then the body in its steps, every chunk of it framed. Nothing follows a `Cut` (close) or a `Hang`.

    Source: RFC 9112, sections 4 (status line, its reason may be empty), 6.3 (length) and 7.1 (chunked coding).
    """
    head = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}"]
    head += [f"{name}: {value}" for name, value in answer.headers]
    if isinstance(answer, HttpAnswer):
        if not answer.truncated:
            head.append(f"content-length: {len(answer.body)}")
        yield Chunk(_lines(head) + answer.body)
        if answer.truncated:
            yield Cut()
        return
    yield Chunk(_lines([*head, "transfer-encoding: chunked"]))
    for step in answer.steps:
        if isinstance(step, Chunk):
            # An empty chunk would be the last one.
            if step.data:
                yield Chunk(chunk_coded(step.data))
            continue
        yield step
        if isinstance(step, Cut | Hang):
            return
    yield Chunk(LAST_CHUNK)


def chunk_coded(data: bytes) -> bytes:
    """Data, not empty, as one chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _lines(head: list[str]) -> bytes:
    return "\r\n".join([*head, "", ""]).encode("latin-1")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
