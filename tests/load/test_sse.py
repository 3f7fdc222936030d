import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from brownout.load.sse import events


def read(chunks: list[bytes]) -> list[bytes]:
    async def source() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def work() -> list[bytes]:
        return [data async for data in events(source())]

    return asyncio.run(work())


STREAM = b': hello\n\ndata: {"a": 1}\r\n\r\nevent: x\ndata:no space\ndata:  two\n\nid: 3\n\ndata: cut'


def test_events_are_data_between_blank_lines() -> None:
    assert read([STREAM]) == [b'{"a": 1}', b"no space\n two"]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_how_the_bytes_are_cut_into_chunks_does_not_matter(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in pairwise(edges)]

    assert read(chunks) == read([STREAM])
