"""What is wrong with a Docker engine is said in one clear line."""

import contextlib
import http.server
import json
import os
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from brownout.cli.run import run
from brownout.fixtures.docker import engine

NOBODY = 65534


class _Engine(http.server.BaseHTTPRequestHandler):
    """As much of an engine as is asked what it is."""

    protocol_version = "HTTP/1.1"
    api = "1.43"
    root = "/"

    def do_GET(self) -> None:
        answers = {
            "_ping": "OK",
            "version": {"Version": "1.2.3", "ApiVersion": self.api},
            "info": {"OSType": "linux", "DockerRootDir": self.root},
        }
        body = json.dumps(answers[self.path.rpartition("/")[2]]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "local"

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def engine_at(path: Path, **about: str) -> Iterator[None]:
    handler = type("Engine", (_Engine,), about)
    with socketserver.ThreadingUnixStreamServer(str(path), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


@pytest.fixture
def socket_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return path


def test_an_engine_that_can_be_used_lacks_nothing(socket_path: Path) -> None:
    with engine_at(socket_path):
        assert engine.missing() == []


def test_no_engine_ends_the_command_with_2_and_says_how_to_name_one(socket_path: Path, tmp_path: Path) -> None:
    experiment = Path(__file__).parent.parent.parent / "experiments" / "vector_db_partition.yaml"
    arguments = [str(experiment), "--target", "docker", "--runs-dir", str(tmp_path / "runs")]

    ended = CliRunner().invoke(run, arguments, obj={"settings_path": None})

    assert ended.exit_code == 2
    assert f"no Docker engine answers at unix://{socket_path}: start it, or say with DOCKER_HOST" in ended.output
    assert "Traceback" not in ended.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can pose as somebody else")
def test_an_engine_that_is_not_for_us_is_told_as_such(socket_path: Path) -> None:
    with engine_at(socket_path):
        socket_path.parent.chmod(0o711)
        socket_path.chmod(0o600)
        os.seteuid(NOBODY)
        try:
            (said,) = engine.missing()
        finally:
            os.seteuid(0)

    assert "you may not use the Docker engine" in said


def test_an_engine_that_is_too_old_is_told_with_its_version(socket_path: Path) -> None:
    with engine_at(socket_path, api="1.39"):
        (said,) = engine.missing()

    assert "the Docker engine is too old: it is 1.2.3 (API 1.39), and API 1.41 is needed" in said


def test_an_engine_without_disk_is_told_with_what_is_left(socket_path: Path) -> None:
    # A file system that never has any.
    with engine_at(socket_path, root="/proc"):
        (said,) = engine.missing()

    assert "has 0 MiB left on its disk (/proc)" in said
