"""Real proxy processes and real servers, and what tests do with them."""

import http.client
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

from brownout.proxy.client import ToxiproxyClient
from tools.toxiproxy import Binaries, Unavailable, binaries

TOKEN = "a-token-for-tests"
PATIENCE_S = 60.0


class Control:
    """A running proxy process and ways to talk to it."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        process: subprocess.Popen[bytes],
        said: IO[bytes] | None = None,
        dns: int = 0,
    ) -> None:
        self.url = url
        self.dns = dns
        """The port of its DNS responder; 0 where it has none."""
        self.token = token
        self.process = process
        self.said = said
        self._heard = 0
        self.client = ToxiproxyClient(url, token, timeout=PATIENCE_S)

    @property
    def is_brownout(self) -> bool:
        return self.token is not None

    def request(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and parsed answer of one raw request."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_S)
        if headers is None:
            headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, body=sent, headers=headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        try:
            return response.status, json.loads(text) if text else None
        except ValueError:
            return response.status, text.decode()

    def tracebacks(self) -> str:
        """What the process has said since the last call, if that tells of a bug."""
        if self.said is None:
            return ""
        # By name: the file object shares its position with the process that writes.
        said = Path(self.said.name).read_text(encoding="utf-8")[self._heard :]
        self._heard += len(said)
        return said if "Traceback" in said else ""

    def link(self, upstream: int, name: str = "link") -> int:
        """A proxy to that local port; the port it listens on."""
        return port_of(self.client.create(f"127.0.0.1:{upstream}", name).listen)

    def connect(self, upstream: int, name: str = "link") -> socket.socket:
        """A connection through a new proxy."""
        return dial(self.link(upstream, name))


def port_of(listen: str) -> int:
    return int(listen.rpartition(":")[2])


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def receive(connection: socket.socket, size: int) -> bytes:
    """Exactly that many bytes, or fewer if the stream ends before."""
    received = bytearray()
    while len(received) < size and (chunk := connection.recv(size - len(received))):
        received += chunk
    return bytes(received)


def silent(connection: socket.socket, seconds: float) -> bool:
    """Whether nothing at all, not even an end, comes within that time."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return not selector.select(seconds)


class Servers:
    """Local TCP servers, one thread a connection, gone at the end of the test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def start(self, handle: Callable[[socket.socket], None]) -> int:
        """Serve each connection with `handle`; the port."""
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
        threading.Thread(target=self._accept, args=(listener, handle), daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    def echo(self) -> int:
        """Sends back what it gets, and hangs up after the client has."""
        return self.start(_echo)

    def _accept(self, listener: socket.socket, handle: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_handle, args=(connection, handle), daemon=True).start()


def _handle(connection: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    with connection:
        try:
            handle(connection)
        except OSError:
            return


def _echo(connection: socket.socket) -> None:
    while chunk := connection.recv(65536):
        connection.sendall(chunk)


def start_brownout(
    *options: str, token: str = TOKEN, stdin: int = subprocess.PIPE, stderr: int | IO[bytes] = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """`python -m brownout.proxy` with those options."""
    return subprocess.Popen(
        [sys.executable, "-m", "brownout.proxy", *options],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "BROWNOUT_PROXY_TOKEN": token},
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.communicate(timeout=PATIENCE_S)


def brownout(loop: str) -> Control:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    said = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed when the session ends
    process = start_brownout("--die-with-stdin", "--loop", loop, "--dns", "127.0.0.1:0", stderr=said)
    ready = readiness(process)
    return Control(ready["control"], token=TOKEN, process=process, said=said, dns=port_of(ready["dns"]))


def readiness(process: subprocess.Popen[bytes]) -> dict[str, str]:
    """What a Brownout proxy says when it is ready."""
    assert process.stdout is not None
    said: dict[str, str] = json.loads(process.stdout.readline())
    return said


def control_url(process: subprocess.Popen[bytes]) -> str:
    """Where it then listens."""
    return readiness(process)["control"]


@cache
def _built() -> Binaries | Unavailable:
    try:
        return binaries()
    except Unavailable as exc:
        return exc


def real_toxiproxy() -> Binaries:
    """Skips, saying why, where there can be none."""
    built = _built()
    if isinstance(built, Unavailable):
        pytest.skip(str(built))
    return built


def toxiproxy() -> Control:
    binary = real_toxiproxy().server
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [binary, "-host", "127.0.0.1", "-port", str(port), "-proxy-metrics"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    control = Control(f"http://127.0.0.1:{port}", token=None, process=process)
    assert process.stdout is not None
    process.stdout.readline()  # its first log line; it listens a moment later
    while not control.client.running():
        assert process.poll() is None, "the Toxiproxy server did not start"
    # Its log must not fill the pipe.
    threading.Thread(target=process.stdout.read, daemon=True).start()
    return control
