"""An HTTP service that answers as a test says, and remembers what it was asked and when."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Scripted:
    """`hang` is how long each answer takes, in seconds; it is cut short when the script ends."""

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    hang: float = 0.0
    asked: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def gaps(self) -> list[float]:
        """Seconds between one call and the next."""
        times = [at for at, _ in self.asked]
        return [after - before for before, after in itertools.pairwise(times)]


@contextlib.contextmanager
def scripted(script: Scripted) -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            script.asked.append((time.monotonic(), {name.lower(): value for name, value in self.headers.items()}))
            script.over.wait(script.hang)
            with contextlib.suppress(OSError):
                self.send_response(script.status)
                for name, value in script.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(script.body)))
                self.end_headers()
                self.wfile.write(script.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
