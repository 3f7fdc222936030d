"""Puts streamed questions to a gateway at a steady rate, whatever becomes of them; a process of its own.

It shares the machine with the stack, so it must be cheap: it reads no JSON and parses no HTTP, and looks in what it
receives only for what it counts. Its orders are a JSON object on standard input, its figures one on standard output.
"""

import asyncio
import json
import random
import re
import resource
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import cast

__all__ = ["Asked", "Orders", "answers"]

_TEXT = re.compile(rb'"content":"[^"]')
_END = b"data: [DONE]\n\n\r\n0\r\n\r\n"
"""The last event, then the end of the chunk and of the chunked body (RFC 9112, section 7.1)."""
_AT_THE_TOP = b'"degradation_level":0'
_LIMIT_S = 30.0
"""What has not ended so long after its time is an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """`rate` is in questions a second, as a Poisson process; each question goes out with one of the tokens in turn."""

    host: str
    port: int
    questions: Sequence[tuple[str, str]]
    """Tenant and text."""
    tokens: dict[str, list[str]] = field(repr=False)
    """By tenant."""
    rate: float
    seconds: float
    seed: int


@dataclass(slots=True)
class Asked:
    """One question. Times are monotonic and in seconds; `due` is when it was to be asked, whenever it was."""

    due: float
    began: float = 0.0
    first: float = 0.0
    ended: float = 0.0
    tokens: int = 0
    error: str = ""


class _Connection(asyncio.Protocol):
    """A keep-alive connection, with one question at a time."""

    def __init__(self, idle: "deque[_Connection]") -> None:
        self._idle = idle
        self._asked: Asked | None = None
        self._tail = b""
        self._answered: asyncio.Event | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, asked: Asked, request: bytes) -> None:
        self._asked, self._tail, self._answered = asked, b"", asyncio.Event()
        asked.began = time.monotonic()
        self._transport.write(request)
        await self._answered.wait()

    def data_received(self, data: bytes) -> None:
        asked = self._asked
        if asked is None:
            return
        if not self._tail and not data.startswith(b"HTTP/1.1 200 "):
            self._over(f"status {data[9:12].decode('ascii', 'replace')}")
            self.close()
            return
        if not asked.first and _TEXT.search(data):
            asked.first = time.monotonic()
        asked.tokens += data.count(b'"content":"')
        self._tail = (self._tail + data)[-4096:]
        if self._tail.endswith(_END):
            self._over("" if _AT_THE_TOP in self._tail else "degraded or broken off")
            self._idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._asked is not None:
            self._over(f"connection lost: {exc!r}")

    def close(self) -> None:
        self.closed = True
        self._transport.close()

    def _over(self, error: str) -> None:
        if self._asked is not None and self._answered is not None:
            self._asked.error, self._asked.ended, self._asked = error, time.monotonic(), None
            self._answered.set()


class _Client:
    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._idle: deque[_Connection] = deque()
        self._turns: Counter[str] = Counter()

    async def run(self) -> list[Asked]:
        orders, rng = self._orders, random.Random(self._orders.seed)  # noqa: S311 -- arrivals, not secrets
        loop = asyncio.get_running_loop()
        all_asked: list[Asked] = []
        due = began = loop.time()
        async with asyncio.TaskGroup() as group:
            while (due := due + rng.expovariate(orders.rate)) < began + orders.seconds:
                await asyncio.sleep(due - loop.time())
                asked = Asked(due)
                all_asked.append(asked)
                group.create_task(self._ask(asked, self._request(len(all_asked), rng)))
        while self._idle:
            self._idle.pop().close()
        return all_asked

    async def _ask(self, asked: Asked, request: bytes) -> None:
        connection = None
        try:
            async with asyncio.timeout_at(asked.due + _LIMIT_S):
                connection = await self._connection()
                await connection.ask(asked, request)
        except (TimeoutError, OSError) as error:
            asked.error, asked.ended = repr(error), time.monotonic()
            if connection is not None:
                connection.close()

    async def _connection(self) -> _Connection:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if not connection.closed:
                    return connection
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: _Connection(self._idle), self._orders.host, self._orders.port)
        return made

    def _request(self, number: int, rng: random.Random) -> bytes:
        tenant, question = rng.choice(self._orders.questions)
        tokens = self._orders.tokens[tenant]
        self._turns[tenant] += 1
        token = tokens[self._turns[tenant] % len(tokens)]
        # No two are alike: neither a cache nor a question under way answers for the provider.
        text = f"{question} (my reference is R{self._orders.seed}x{number})"
        body = json.dumps({"model": "any", "stream": True, "messages": [{"role": "user", "content": text}]}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self._orders.host}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + body


async def answers(orders: Orders) -> tuple[list[Asked], float]:
    """Ask in a process of its own; return what became of every question, and the CPU seconds that asking took."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate(json.dumps(asdict(orders)).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = json.loads(output)
    return [Asked(**one) for one in found["asked"]], found["cpu_s"]


def main() -> None:
    """Do as standard input says."""
    import uvloop  # noqa: PLC0415 -- only this process needs it

    orders = Orders(**json.load(sys.stdin))
    before = _cpu_s()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_Client(orders).run())
    json.dump({"cpu_s": _cpu_s() - before, "asked": [asdict(asked) for asked in found]}, sys.stdout)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
