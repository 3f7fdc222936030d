"""Who is let in: real requests to a room that is open, none of which is a browser's."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from brownout.errors import EnvironmentProblem
from brownout.gameday.journal import Journal
from tests.gameday.room.drills import Running

PAGE = "a-page-of-a-test"


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROWNOUT_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        with Running.open(tmp_path_factory.mktemp("drill"), patience=3600.0) as running:
            yield running


@pytest.fixture
def outside(drill: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base(drill), trust_env=False, timeout=30.0) as client:
        yield client


@pytest.fixture
def inside(drill: Running, outside: httpx.Client) -> httpx.Client:
    outside.get("/", params={"token": token(drill)}).raise_for_status()
    outside.headers["origin"] = base(drill)
    return outside


def base(drill: Running) -> str:
    parts = urlsplit(drill.room.url)
    return f"{parts.scheme}://{parts.netloc}"


def token(drill: Running) -> str:
    return parse_qs(urlsplit(drill.room.url).query)["token"][0]


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=wrong", "/room.js", "/events", "/nowhere"])
def test_without_the_token_nothing_is_told(outside: httpx.Client, path: str) -> None:
    answer = outside.get(path)
    assert answer.status_code == 403
    assert answer.text == "This is not open to you. Use the address that the drill printed.\n"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/abort", "/beat", "/take", "/offer", "/note", "/mark"])
def test_without_the_token_nothing_is_done(drill: Running, outside: httpx.Client, path: str) -> None:
    headers = {"origin": base(drill), "cookie": f"brownout-room-{urlsplit(base(drill)).port}=wrong"}
    answer = outside.post(path, json={"who": "Grace", "page": PAGE}, headers=headers)
    assert answer.status_code == 403
    assert drill.abort.asked is None


def test_the_first_visit_turns_the_token_into_a_cookie_that_no_script_reads(
    drill: Running, outside: httpx.Client
) -> None:
    answer = outside.get("/", params={"token": token(drill)})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert 'http-equiv="refresh" content="0;url=/"' in answer.text
    assert token(drill) not in answer.text
    assert token(drill) not in outside.get("/").text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil:{port}"]
)
def test_a_name_that_was_made_to_point_here_is_refused(drill: Running, inside: httpx.Client, host: str) -> None:
    port = urlsplit(base(drill)).port
    for path in ("/", f"/?token={token(drill)}"):
        assert inside.get(path, headers={"host": host.format(port=port)}).status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_another_site_s_page_does_nothing_here(drill: Running, inside: httpx.Client, origin: str) -> None:
    assert inside.post("/abort", json={}, headers={"origin": origin}).status_code == 403
    del inside.headers["origin"]
    assert inside.post("/abort", json={}).status_code == 403
    assert inside.post("/abort", json={}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert drill.abort.asked is None


def test_every_answer_says_what_a_page_may_load_and_that_it_is_not_kept(inside: httpx.Client) -> None:
    for path in ("/", "/room.js", "/nowhere"):
        headers = inside.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/take", {"who": "Mallory", "page": PAGE}, "say who you are"),
        ("/take", {"who": "Joan", "page": PAGE}, "does not let 'Joan' hold the abort"),
        ("/take", {"who": "Grace", "page": "<script>"}, "page: expected"),
        ("/offer", {"who": "Grace", "page": PAGE, "to": "Ada"}, "only who holds the abort"),
        ("/note", {"who": "Joan", "what": " "}, "a note has 1 to 2000 characters"),
        ("/note", {"who": "Joan", "what": "x" * 2001}, "a note has 1 to 2000 characters"),
        ("/mark", {"who": "Joan", "kind": "ignored"}, "expected detected or mitigated"),
        ("/mark", {"who": "Joan", "kind": "detected"}, "no experiment has begun yet"),
    ],
)
def test_what_cannot_be_done_is_told_why(inside: httpx.Client, path: str, body: dict[str, Any], said: str) -> None:
    answer = inside.post(path, json=body)
    assert answer.status_code == 409
    assert said in answer.json()["error"]


@pytest.mark.parametrize(("content", "code"), [(b"{", 400), (b"[]", 400), (b"\xff", 400), (b" " * 20_000, 413)])
def test_what_is_no_message_of_ours_is_refused(inside: httpx.Client, content: bytes, code: int) -> None:
    assert inside.post("/note", content=content).status_code == code


def test_whoever_connects_again_is_told_everything_at_once(inside: httpx.Client) -> None:
    for headers in ({}, {"last-event-id": "0"}, {"last-event-id": "12345"}, {"last-event-id": "nonsense"}):
        with inside.stream("GET", "/events", headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            told = next(line for line in answer.iter_lines() if line.startswith("data: "))
        shown = json.loads(told.removeprefix("data: "))
        assert shown["title"] == "A Sunday night"
        assert [one["experiment"] for one in shown["steps"]] == ["one.yaml", "two.yaml"]


def test_a_port_that_is_taken_refuses_the_start_and_leaves_no_drill(drill: Running, tmp_path: Path) -> None:
    second = Running(tmp_path, port=urlsplit(base(drill)).port)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "state"))
        with pytest.raises(EnvironmentProblem, match="choose another with --room-port"):
            asyncio.run(second._play())
        with Journal.open() as journal:
            assert not journal.drills()


def test_a_drill_that_nobody_takes_is_off(tmp_path: Path) -> None:
    with Running.open(tmp_path, taken_within=0.2) as running:
        drill = running.end()
    assert (
        drill.said
        == "stopped before experiment 1 of 2 (one.yaml) by the control room: nobody took the abort within 0.2 s"
    )
