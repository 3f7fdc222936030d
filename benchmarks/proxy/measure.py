"""What is measured on one side at a time."""

import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.proxy import cpu
from benchmarks.proxy.sides import LINK, Side
from benchmarks.proxy.upstream import LARGE_PATH, REQUEST, SMALL_PATH, Upstream

_FELT_MS = 20
_UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}
_UNITS_BYTES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk tells. Milliseconds, and bytes per second."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    bytes_per_s: float
    cpu_us: float
    """CPU time of the proxy per request, in microseconds."""
    total_cpu_us: float
    """The same, with what nginx and wrk took for it."""


def load(wrk: str, side: Side, upstream: Upstream, *, connections: int, seconds: int, path: str = SMALL_PATH) -> Load:
    """As many requests as the connections carry, each after the answer to the one before.

    Raises:
        RuntimeError: wrk failed, or counted errors.
    """
    before, others_before = side.cpu_s(), upstream.cpu_s() + cpu.of_children()
    done = subprocess.run(
        [wrk, "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{side.port}{path}"],
        capture_output=True,
        text=True,
        check=False,
    )
    used, others_used = side.cpu_s() - before, upstream.cpu_s() + cpu.of_children() - others_before
    said = done.stdout
    if done.returncode or "Socket errors" in said or "Non-2xx" in said:
        msg = f"wrk through {side.name}: {said or done.stderr}"
        raise RuntimeError(msg)
    requests = max(1.0, float(_found(r"(\d+) requests in", said)))
    return Load(
        requests_per_s=float(_found(r"Requests/sec:\s+([\d.]+)", said)),
        p50_ms=_ms(_found(r"^\s+50%\s+(\S+)", said)),
        p99_ms=_ms(_found(r"^\s+99%\s+(\S+)", said)),
        bytes_per_s=_bytes(_found(r"Transfer/sec:\s+(\S+)", said)),
        cpu_us=used / requests * 1e6,
        total_cpu_us=(used + others_used) / requests * 1e6,
    )


def bulk(wrk: str, side: Side, upstream: Upstream, *, seconds: int) -> float:
    """MB (10^6 bytes) a second of large answers on one connection."""
    return load(wrk, side, upstream, connections=1, seconds=seconds, path=LARGE_PATH).bytes_per_s / 1e6


def switching(side: Side, *, connections: int) -> tuple[float, float]:
    """Milliseconds from asking for a toxic until a client feels it, and from asking for its removal until not any more.

    Felt is what the first request shows that is sent after it took effect; healed is the first fast answer.
    """
    assert side.client is not None  # noqa: S101 - it is for sides that know toxics
    with ExitStack() as stack:
        for _ in range(connections - 1):
            _ask(stack.enter_context(socket.create_connection(("127.0.0.1", side.port), _PATIENCE_S)))
        pinger = _Pinger(stack.enter_context(socket.create_connection(("127.0.0.1", side.port), _PATIENCE_S)))
        pinger.start()
        pinger.first(lambda ping: not ping.slow)
        injected = time.perf_counter()
        toxic = side.client.add_toxic(LINK, type="latency", attributes={"latency": _FELT_MS})
        felt = pinger.first(lambda ping: ping.slow and ping.sent > injected - _FELT_MS / 1000)
        healed = time.perf_counter()
        side.client.remove_toxic(LINK, toxic)
        well = pinger.first(lambda ping: not ping.slow and ping.answered > healed)
        pinger.stop()
    return max(0.0, felt.sent - injected) * 1e3, (well.answered - healed) * 1e3


class _Ping(NamedTuple):
    """When it was asked and when it was answered, in seconds."""

    sent: float
    answered: float

    @property
    def slow(self) -> bool:
        return self.answered - self.sent >= _FELT_MS / 1000


class _Pinger(threading.Thread):
    """Asks over and over, and keeps every ping."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        self._pings: list[_Ping] = []
        self._answered = threading.Condition()
        self._connection = connection
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            sent = time.perf_counter()
            _ask(self._connection)
            with self._answered:
                self._pings.append(_Ping(sent, time.perf_counter()))
                self._answered.notify()
            time.sleep(0.0005)  # leaves the machine to the proxy

    def first(self, wanted: Callable[[_Ping], bool]) -> _Ping:
        """The earliest ping of that kind; waits for one. Raises RuntimeError where none comes."""
        with self._answered:
            self._answered.wait_for(lambda: any(map(wanted, self._pings)), _PATIENCE_S)
            found = next(filter(wanted, self._pings), None)
        if found is None:
            msg = f"no such answer within {_PATIENCE_S:g} s"
            raise RuntimeError(msg)
        return found

    def stop(self) -> None:
        self._over.set()
        self.join(_PATIENCE_S)


def _ask(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    connection.recv(65536)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        msg = f"wrk did not say {pattern}: {text}"
        raise RuntimeError(msg)
    return match[1]


def _quantity(text: str, units: dict[str, float]) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\D+)", text).groups()  # type: ignore[union-attr]  # wrk's own format
    return float(number) * units[unit]


def _ms(text: str) -> float:
    return _quantity(text, _UNITS_MS)


def _bytes(text: str) -> float:
    return _quantity(text, {unit: float(size) for unit, size in _UNITS_BYTES.items()})
