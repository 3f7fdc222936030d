"""Where messages begin and end: held against h11, which does it the long way."""

from collections.abc import Sequence
from itertools import pairwise

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brownout.proxy.http.framing import DATA, END, HEAD, NOTHING, Framer, Requests, Responses

names = st.sampled_from(["Host", "X-One", "accept", "User-Agent", "content-type"])
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map(str.encode)


def chunked(pieces: Sequence[bytes], extension: bytes, trailer: bytes) -> bytes:
    coded = b"".join(b"%X%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces if piece)
    return coded + b"0\r\n" + trailer + b"\r\n"


@st.composite
def bodies(draw: st.DrawFn) -> tuple[list[bytes], bytes, bytes]:
    """Fields that announce a body, the body as sent, and the body as meant."""
    pieces = draw(st.lists(st.binary(max_size=40), max_size=4))
    meant = b"".join(pieces)
    kind = draw(st.sampled_from(["none", "length", "chunked"]))
    if kind == "none":
        return [], b"", b""
    if kind == "length":
        name = draw(st.sampled_from([b"Content-Length", b"content-length", b"CONTENT-LENGTH"]))
        return [name + b": %d" % len(meant)], meant, meant
    extension = draw(st.sampled_from([b"", b";name=value"]))
    trailer = draw(st.sampled_from([b"", b"X-Trailer: 1\r\n"]))
    return [b"Transfer-Encoding: chunked"], chunked(pieces, extension, trailer), meant


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """Method, message, body."""
    method = draw(st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT"]))
    fields, sent, meant = draw(bodies())
    more = draw(st.lists(st.tuples(names, values), max_size=3))
    fields = [b"Host: a", *(name.encode() + b": " + value for name, value in more if name != "Host"), *fields]
    head = b"%b /v1/x?y=z HTTP/1.1\r\n" % method + b"".join(field + b"\r\n" for field in fields) + b"\r\n"
    return method, head + sent, meant


@st.composite
def responses(draw: st.DrawFn, method: bytes) -> tuple[bytes, bytes]:
    status = draw(st.sampled_from([b"200 OK", b"429 Too Many Requests", b"204 No Content", b"304 ", b"500 "]))
    before = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n"]))
    fields, sent, meant = draw(bodies())
    if not fields:
        fields = [b"Content-Length: 0"]
    if status[:3] in (b"204", b"304") or method == b"HEAD":
        sent = meant = b""
    head = b"HTTP/1.1 " + status + b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"
    return before + head + sent, meant


@st.composite
def segmented(draw: st.DrawFn, data: bytes) -> list[bytes]:
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=12)))
    bounds = [0, *cuts, len(data)]
    return [data[one:other] for one, other in pairwise(bounds) if one < other]


def framed(framer: Framer, segments: Sequence[bytes], *, to_head: Sequence[bool] = ()) -> tuple[list[int], list[bytes]]:
    """Where messages end, counted over all segments, and what their bodies are."""
    ends, found, body, before = [], [], b"", 0
    for data in segments:
        start = 0
        while True:
            if isinstance(framer, Responses) and framer.between:
                framer.to_head = len(ends) < len(to_head) and to_head[len(ends)]
            end, part = framer.advance(data, start)
            assert start <= end <= len(data)
            if part == NOTHING:
                assert end == len(data)
                break
            if part == DATA:
                body += data[framer.body_from : end]
            if part == END:
                ends.append(before + end)
                found.append(body)
                body = b""
            start = end
        before += len(data)
    assert not framer.opaque
    return ends, found


@settings(max_examples=60, deadline=None)
@given(data=st.data(), asked=st.lists(requests(), min_size=1, max_size=4))
def test_requests_end_where_h11_says_they_do_however_they_are_cut(
    data: st.DataObject, asked: list[tuple[bytes, bytes, bytes]]
) -> None:
    stream = b"".join(message for _, message, _ in asked)
    ends, found = framed(Requests(), data.draw(segmented(stream)))
    expected = 0
    for (_, message, meant), end, body in zip(asked, ends, found, strict=True):
        expected += len(message)
        assert (end, body) == (expected, meant)
        assert h11_body(h11.Connection(h11.SERVER), message) == meant


@settings(max_examples=60, deadline=None)
@given(data=st.data(), methods=st.lists(st.sampled_from([b"GET", b"HEAD", b"POST"]), min_size=1, max_size=4))
def test_responses_end_where_h11_says_they_do_however_they_are_cut(data: st.DataObject, methods: list[bytes]) -> None:
    given_ = [data.draw(responses(method)) for method in methods]
    stream = b"".join(message for message, _ in given_)
    to_head = []
    for (message, _), method in zip(given_, methods, strict=True):
        informational = message.startswith((b"HTTP/1.1 100", b"HTTP/1.1 103"))
        to_head += [method == b"HEAD"] * (2 if informational else 1)
    ends, _ = framed(Responses(), data.draw(segmented(stream)), to_head=to_head)
    expected = 0
    for (message, meant), method in zip(given_, methods, strict=True):
        expected += len(message)
        assert expected in ends
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        assert h11_body(client, message) == meant
    assert ends[-1] == len(stream)


@settings(max_examples=60, deadline=None)
@given(asked=requests(), answer=responses(b"GET"))
def test_a_message_that_comes_in_one_piece_is_told_at_once_and_nothing_else_is(
    asked: tuple[bytes, bytes, bytes], answer: tuple[bytes, bytes]
) -> None:
    for framer, message in ((Requests(), asked[1]), (Responses(), answer[0])):
        # By the head: a body may hold anything.
        head, _, body = message.partition(b"\r\n\r\n")
        counted = not (b"chunked" in head and body) and not head.startswith((b"HTTP/1.1 100", b"HTTP/1.1 103"))
        assert framer.is_whole(message) == counted
        assert not framer.is_whole(message[:-1])
        assert not framer.is_whole(message + b"x")
        # It has left nothing behind.
        assert framer.between
        assert framed(framer, [message])[0][-1] == len(message)


def h11_body(connection: h11.Connection, message: bytes) -> bytes:
    """The body; h11 must find the message whole, and nothing behind it."""
    connection.receive_data(message)
    body = b""
    while True:
        event = connection.next_event()
        assert event is not h11.NEED_DATA
        if isinstance(event, h11.Data):
            body += event.data
        if isinstance(event, h11.EndOfMessage):
            assert connection.trailing_data == (b"", False)
            return body


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01 a TLS ClientHello \r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /no-version\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        b"a" * 70_000,
    ],
)
def test_what_is_no_request_that_it_understands_is_opaque_from_then_on(said: bytes) -> None:
    framer = Requests()
    start, part = 0, HEAD
    while part != NOTHING:
        start, part = framer.advance(said, start)
    assert framer.opaque
    assert framer.advance(b"GET / HTTP/1.1\r\n\r\n", 0) == (18, NOTHING)


def test_a_response_without_a_length_lasts_as_long_as_the_connection() -> None:
    framer = Responses()
    said = b"HTTP/1.0 200 OK\r\n\r\nall of"
    assert framer.advance(said, 0) == (len(said) - 6, HEAD)
    assert framer.advance(said, len(said) - 6) == (len(said), DATA)
    assert framer.advance(b" this", 0) == (5, DATA)
    assert not framer.opaque


def test_a_change_of_protocol_is_opaque() -> None:
    framer = Responses()
    framer.advance(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello", 0)
    assert framer.opaque


def test_a_line_end_too_many_between_two_requests_is_part_of_the_second() -> None:
    framer = Requests()
    said = b"\r\nGET / HTTP/1.1\r\n\r\n"
    assert framer.advance(said, 0) == (len(said), HEAD)
    assert framer.head == said[2:]
    assert framer.advance(said, len(said)) == (len(said), END)
    assert framer.between
