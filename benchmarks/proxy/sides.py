"""The sides: no proxy, HAProxy, Toxiproxy, Brownout's proxy. To add one, write it like these and name it in SIDES."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.proxy import cpu
from benchmarks.proxy.upstream import find, free_port, wait_for
from brownout.proxy.client import ToxiproxyClient
from tools.toxiproxy import Unavailable, binaries

LINK = "link"
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Side:
    """One way to the upstream."""

    name: str
    port: int
    pid: int | None = None
    """None where there is no proxy."""
    client: ToxiproxyClient | None = None
    """None where it knows no toxics."""

    def cpu_s(self) -> float:
        """CPU seconds that the proxy has used so far."""
        return 0.0 if self.pid is None else cpu.of_process(self.pid)


@contextmanager
def direct(upstream: int, _folder: Path) -> Iterator[Side]:
    """No proxy."""
    yield Side("direct", upstream)


_HAPROXY = """
global
  nbthread 1
  maxconn 8192
defaults
  mode tcp
  timeout connect 5s
  timeout client 600s
  timeout server 600s
listen link
  bind 127.0.0.1:{port}
  server nginx 127.0.0.1:{upstream}
"""


@contextmanager
def haproxy(upstream: int, folder: Path) -> Iterator[Side]:
    """HAProxy on one thread: what a proxy in C that breaks nothing can do."""
    binary = find("haproxy")
    if binary is None:
        msg = "no haproxy; `apt install haproxy`, or set HAPROXY_BINARY"
        raise Unavailable(msg)
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, upstream=upstream), encoding="utf-8")
    process = subprocess.Popen([binary, "-f", str(config), "-db", "-q"], stdin=subprocess.DEVNULL)
    with _ended(process):
        wait_for(port, process)
        yield Side("haproxy", port, process.pid)


@contextmanager
def toxiproxy(upstream: int, _folder: Path) -> Iterator[Side]:
    """A real Toxiproxy with one link."""
    binary = binaries().server
    port = free_port()
    process = subprocess.Popen(
        [binary, "-host", "127.0.0.1", "-port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LOG_LEVEL": "error"},
    )
    with _ended(process):
        wait_for(port, process)
        client = ToxiproxyClient(f"http://127.0.0.1:{port}", timeout=_PATIENCE_S)
        yield _linked("toxiproxy", client, upstream, process.pid)


@contextmanager
def brownout(upstream: int, _folder: Path) -> Iterator[Side]:
    """`python -m brownout.proxy` with one link."""
    with _ours("brownout", upstream, http=False) as side:
        yield side


@contextmanager
def brownout_http(upstream: int, _folder: Path) -> Iterator[Side]:
    """The same with a link that is declared to carry HTTP, on which nothing is broken."""
    with _ours("brownout http", upstream, http=True) as side:
        yield side


@contextmanager
def _ours(name: str, upstream: int, *, http: bool) -> Iterator[Side]:
    token = secrets.token_hex(16)
    process = subprocess.Popen(
        [sys.executable, "-m", "brownout.proxy", "--die-with-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "BROWNOUT_PROXY_TOKEN": token},
    )
    with _ended(process):
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        url = json.loads(process.stdout.readline())["control"]
        client = ToxiproxyClient(url, token, timeout=_PATIENCE_S)
        yield _linked(name, client, upstream, process.pid, http=http)


SIDES: tuple[Callable[[int, Path], AbstractContextManager[Side]], ...] = (
    direct,
    haproxy,
    toxiproxy,
    brownout,
    brownout_http,
)
"""Each is given the upstream's port and a folder for its files, and raises Unavailable where it cannot be had."""


def _linked(name: str, client: ToxiproxyClient, upstream: int, pid: int, *, http: bool = False) -> Side:
    listen = client.create(f"127.0.0.1:{upstream}", LINK, http=http).listen
    return Side(name, int(listen.rpartition(":")[2]), pid, client)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=_PATIENCE_S)
