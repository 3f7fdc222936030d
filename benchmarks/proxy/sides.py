"""The three sides: Brownout's proxy, Toxiproxy, and no proxy."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.proxy.upstream import free_port, wait_for
from brownout.proxy.client import ToxiproxyClient

LINK = "link"
_PATIENCE_S = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Side:
    """One way to the upstream."""

    name: str
    port: int
    client: ToxiproxyClient | None = None
    """None where there is no proxy."""
    pid: int | None = None

    def cpu_s(self) -> float:
        """CPU seconds that the proxy has used so far (proc(5), fields 14 and 15 of stat)."""
        if self.pid is None:
            return 0.0
        after_name = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / _TICKS


@contextmanager
def brownout(upstream: int, *, loop: str, http: bool = False) -> Iterator[Side]:
    """`python -m brownout.proxy` with one link, which is declared to carry HTTP, or is not."""
    token = secrets.token_hex(16)
    process = subprocess.Popen(
        [sys.executable, "-m", "brownout.proxy", "--die-with-stdin", "--loop", loop],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "BROWNOUT_PROXY_TOKEN": token},
    )
    with _ended(process):
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        url = json.loads(process.stdout.readline())["control"]
        client = ToxiproxyClient(url, token, timeout=_PATIENCE_S)
        yield _linked("brownout http" if http else "brownout", client, upstream, process.pid, http=http)


@contextmanager
def toxiproxy(binary: Path, upstream: int) -> Iterator[Side]:
    """A real Toxiproxy with one link."""
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


def _linked(name: str, client: ToxiproxyClient, upstream: int, pid: int, *, http: bool = False) -> Side:
    listen = client.create(f"127.0.0.1:{upstream}", LINK, http=http).listen
    return Side(name, int(listen.rpartition(":")[2]), client, pid)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=_PATIENCE_S)
