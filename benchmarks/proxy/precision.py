"""How late answers come under a latency toxic, told by a client that takes little time itself."""

import gc
import heapq
import select
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

from benchmarks.proxy.sides import LINK, Side
from benchmarks.proxy.upstream import REQUEST

LATENCY_MS = 50
_LATENCY_S = LATENCY_MS / 1000
# Connections pause so that all together ask about this often at most: the toxic is what is measured, not who has to
# queue for a core.
_MOST_PER_S = 4000
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Precision:
    """Milliseconds from when an answer was due, as the toxic says, until it was there; the way itself is part of it.

    Without a proxy there is nothing but the way.
    """

    earliest_ms: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """CPU time of the proxy per request, in microseconds."""


def precision(side: Side, *, connections: int, seconds: float) -> Precision:
    """Ask over and over on so many connections, each one anew after its answer; first answers do not count."""
    due = 0.0 if side.client is None else _LATENCY_S
    with ExitStack() as stack:
        if side.client is not None:
            toxic = side.client.add_toxic(LINK, type="latency", attributes={"latency": LATENCY_MS})
            stack.callback(side.client.remove_toxic, LINK, toxic)
        where = ("127.0.0.1", side.port)
        sockets = [stack.enter_context(socket.create_connection(where)) for _ in range(connections)]
        before = side.cpu_s()
        took = sorted(_ask(sockets, seconds, due=due))
        cpu = side.cpu_s() - before
    late = [answer - due for answer in took]
    return Precision(
        earliest_ms=late[0] * 1e3,
        p50_ms=late[len(late) // 2] * 1e3,
        p99_ms=late[len(late) * 99 // 100] * 1e3,
        cpu_us=cpu / len(late) * 1e6,
    )


def _ask(sockets: Sequence[socket.socket], seconds: float, *, due: float) -> list[float]:
    """How many seconds each answer took. Answers are due that many seconds after they are asked for."""
    period = max(_LATENCY_S, len(sockets) / _MOST_PER_S)
    pause = period - due
    rng = Random(0)  # noqa: S311 - chance, not secrets
    asked: dict[int, float] = {}
    took: list[float] = []
    with select.epoll() as epoll:
        by_number = {connection.fileno(): connection for connection in sockets}
        for connection in sockets:
            connection.settimeout(_PATIENCE_S)
            connection.sendall(REQUEST)
        for number, connection in by_number.items():
            connection.recv(65536)
            connection.setblocking(False)
            epoll.register(number, select.EPOLLIN)
        start = time.perf_counter()
        # Neither in step nor evenly spread: clients that know nothing of each other.
        waiting = [(start + period * rng.random(), number) for number in by_number]
        heapq.heapify(waiting)
        end = start + period + seconds
        gc.disable()
        try:
            while (now := time.perf_counter()) < end:
                while waiting and waiting[0][0] <= now:
                    number = heapq.heappop(waiting)[1]
                    asked[number] = time.perf_counter()
                    by_number[number].send(REQUEST)
                # epoll's own timeout counts milliseconds.
                until = min(waiting[0][0], end) if waiting else end
                select.select([epoll], [], [], max(0.0, until - time.perf_counter()))
                events = epoll.poll(0)
                answered = time.perf_counter()
                for number, _ in events:
                    by_number[number].recv(65536)
                    took.append(answered - asked[number])
                    heapq.heappush(waiting, (answered + rng.expovariate(1.0) * pause, number))
        finally:
            gc.enable()
    return took
