"""What a user is told whose kubeconfig, or whose API server, is something else."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from brownout.errors import EnvironmentProblem, InvalidInput
from brownout.fixtures.kubernetes.api import Api


class Portal(BaseHTTPRequestHandler):
    """Says the same whatever is asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Please sign in.</html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base calls it
        pass


@contextmanager
def portal() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Portal) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def kubeconfig(folder: Path, server: str) -> Path:
    path = folder / "config"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "there", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": "t"}}],
        "contexts": [{"name": "staging", "context": {"cluster": "there", "user": "me"}}],
    }
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text", ["", "[", "5", "- 1", "a: b", "contexts: 5", "contexts: [5]", "\t", "current-context: x"]
)
def test_a_file_that_is_no_kubeconfig_is_told_as_such(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text, encoding="utf-8")
    with pytest.raises(EnvironmentProblem, match="context 'staging' of the kubeconfig cannot be used: ") as raised:
        Api.of(kubeconfig=str(tmp_path / "config"), context="staging")
    assert "\n" not in str(raised.value)


def test_a_context_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no context 'stagin'") as raised:
        Api.of(kubeconfig=str(kubeconfig(tmp_path, "http://127.0.0.1:1")), context="stagin")
    assert raised.value.allowed == ("staging",)


def test_what_answers_otherwise_than_an_api_server_is_told_as_such(tmp_path: Path) -> None:
    with portal() as server, closing(Api.of(kubeconfig=str(kubeconfig(tmp_path, server)), context="staging")) as api:
        with pytest.raises(ConnectionError, match=r"no API server, it says '<html>Please sign in.</html>'"):
            asyncio.run(api.get("/api/v1/namespaces"))
        assert asyncio.run(api.log("/api/v1/namespaces/a/pods/b")) == "<html>Please sign in.</html>"
