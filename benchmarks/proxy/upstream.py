"""The server behind the proxies: nginx, one process, nothing on disk but one large file."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.proxy import cpu

SMALL_PATH = "/small"
LARGE_PATH = "/large"
_LARGE_BYTES = 64 * 2**20
REQUEST = f"GET {SMALL_PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
_PATIENCE_S = 10.0

_CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 600;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {folder};
    location = /small {{ return 200 "hello, this is a small answer"; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The server, once it listens."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds that its worker has used so far; the master only waits."""
        workers = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="utf-8").split()
        return sum(cpu.of_process(int(worker)) for worker in workers)


def find(name: str) -> str | None:
    """The program, from its own environment variable or the PATH; None where there is none."""
    return os.environ.get(f"{name.upper()}_BINARY") or shutil.which(name) or shutil.which(name, path="/usr/sbin")


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once somebody listens. Raises RuntimeError where the process ends, or takes too long."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            msg = f"{process.args!r} does not listen"
            raise RuntimeError(msg)
        time.sleep(0.02)


@contextmanager
def nginx(binary: str, folder: Path) -> Iterator[Upstream]:
    """A running nginx."""
    with (folder / "large").open("wb") as large:
        large.truncate(_LARGE_BYTES)
    folder.chmod(0o755)  # its worker runs as another user
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port), encoding="utf-8")
    process = subprocess.Popen([binary, "-c", str(config), "-e", str(folder / "error.log"), "-p", str(folder)])
    try:
        wait_for(port, process)
        yield Upstream(port, process.pid)
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)
