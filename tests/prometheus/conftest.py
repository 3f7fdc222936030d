"""A real Prometheus server and something for it to scrape."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from brownout.prometheus.client import Prometheus
from brownout.prometheus.server import OwnServer, first_scrape, lacking, own_server
from brownout.target import Source

SECRET = "s3cr3t-of-the-target"


@dataclass
class Scraped:
    """A service with metrics that only those with its token may read."""

    url: str = ""
    text: str = ""
    tokens: list[str | None] = field(default_factory=list)

    def source(self) -> Source:
        return Source("prometheus", "gateway", f"{self.url}/metrics", token=SECRET)


@pytest.fixture(scope="module")
def scraped() -> Iterator[Scraped]:
    service = Scraped(text='requests_total{tier="pro"} 10\nrequests_total{tier="free"} 30\nqueue_depth 3\n')

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.tokens.append(self.headers["Authorization"])
            body = service.text.encode()
            self.send_response(200 if self.path == "/metrics" else 404)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield service
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Running:
    """A server of one's own that has scraped the service."""

    server: OwnServer
    folder: Path

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture(scope="module")
def prometheus(scraped: Scraped, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all tests of a module: its first scrape takes some seconds."""
    if lacks := lacking():
        pytest.skip(lacks)
    folder = tmp_path_factory.mktemp("prometheus")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = own_server([scraped.source()], folder)

    async def start() -> Running:
        server = await context.__aenter__()
        client = Prometheus(server.url, own=True)
        try:
            await first_scrape(server, client)
        finally:
            client.close()
        return Running(server, folder)

    running = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    try:
        yield running
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        assert not (folder / "prometheus-data").exists()
