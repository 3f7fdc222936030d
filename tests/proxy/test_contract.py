"""Toxiproxy's HTTP API: run against Brownout's proxy and a real Toxiproxy, so that neither can drift."""

from typing import Any

import pytest

from tests.proxy.wire import TOKEN, Control, Servers, port_of


def bare(fields: dict[str, Any]) -> dict[str, Any]:
    # Toxiproxy serialises an internal field by mistake.
    return {name: value for name, value in fields.items() if name != "Logger"}


def test_a_proxy_is_created_shown_changed_and_deleted(any_control: Control) -> None:
    asked = {"name": "db", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}
    status, created = any_control.request("POST", "/proxies", asked)
    assert status == 201
    assert port_of(created["listen"]) > 0
    assert bare(created) == {**asked, "listen": created["listen"], "enabled": True, "toxics": []}
    assert any_control.request("GET", "/proxies/db") == (200, created)
    assert any_control.request("GET", "/proxies") == (200, {"db": created})
    status, changed = any_control.request("POST", "/proxies/db", {"upstream": "127.0.0.1:2"})
    assert (status, bare(changed)) == (200, bare(created) | {"upstream": "127.0.0.1:2"})
    assert any_control.request("DELETE", "/proxies/db") == (204, None)
    assert any_control.request("GET", "/proxies") == (200, {})


def test_a_toxic_is_created_shown_changed_and_deleted(any_control: Control) -> None:
    any_control.link(1, "db")
    status, created = any_control.request(
        "POST", "/proxies/db/toxics", {"type": "latency", "attributes": {"latency": 10}}
    )
    assert (status, created) == (
        200,
        {
            "name": "latency_downstream",
            "type": "latency",
            "stream": "downstream",
            "toxicity": 1,
            "attributes": {"latency": 10, "jitter": 0},
        },
    )
    path = "/proxies/db/toxics/latency_downstream"
    assert any_control.request("GET", path) == (200, created)
    assert any_control.request("GET", "/proxies/db/toxics") == (200, [created])
    status, changed = any_control.request("POST", path, {"attributes": {"jitter": 5}, "toxicity": 0.5, "name": "x"})
    assert (status, changed) == (200, created | {"toxicity": 0.5, "attributes": {"latency": 10, "jitter": 5}})
    assert any_control.request("DELETE", path) == (204, None)
    assert any_control.request("GET", "/proxies/db/toxics") == (200, [])


def test_patch_changes_proxies_and_toxics_too(any_control: Control) -> None:
    any_control.link(1, "db")
    any_control.request("POST", "/proxies/db/toxics", {"type": "timeout", "name": "t"})
    status, proxy = any_control.request("PATCH", "/proxies/db", {"enabled": False})
    if status == 405:
        pytest.skip("this Toxiproxy is older than 2.6, which brought PATCH")
    assert (status, proxy["enabled"]) == (200, False)
    status, toxic = any_control.request("PATCH", "/proxies/db/toxics/t", {"attributes": {"timeout": 7}})
    assert (status, toxic["attributes"]) == (200, {"timeout": 7})


def test_toxics_are_listed_upstream_first(any_control: Control) -> None:
    any_control.link(1, "db")
    for name, stream in (("a", "downstream"), ("b", "upstream"), ("c", "downstream")):
        any_control.request("POST", "/proxies/db/toxics", {"type": "latency", "name": name, "stream": stream})
    _, toxics = any_control.request("GET", "/proxies/db/toxics")
    assert [toxic["name"] for toxic in toxics] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("request_", "status", "error"),
    [
        (("GET", "/proxies/nope", None), 404, "proxy not found"),
        (("POST", "/proxies/nope", {}), 404, "proxy not found"),
        (("DELETE", "/proxies/nope", None), 404, "proxy not found"),
        (("POST", "/proxies/nope/toxics", {"type": "latency"}), 404, "proxy not found"),
        (("GET", "/proxies/db/toxics/nope", None), 404, "toxic not found"),
        (("POST", "/proxies/db/toxics/nope", {}), 404, "toxic not found"),
        (("DELETE", "/proxies/db/toxics/nope", None), 404, "toxic not found"),
        (("POST", "/proxies", {"name": "x"}), 400, "missing required field: upstream"),
        (("POST", "/proxies", {"upstream": "127.0.0.1:1"}), 400, "missing required field: name"),
        (("POST", "/proxies", {"name": "db", "upstream": "127.0.0.1:1"}), 409, "proxy already exists"),
        (("POST", "/proxies/db/toxics", {"type": "latency"}), 409, "toxic already exists"),
        (("POST", "/proxies/db/toxics", {"type": "nope"}), 400, "invalid toxic type"),
        (
            ("POST", "/proxies/db/toxics", {"type": "latency", "stream": "sideways"}),
            400,
            "stream was invalid, can be either upstream or downstream",
        ),
        (
            ("POST", "/proxies/db/toxics", {"type": "latency", "stream": ""}),
            400,
            "stream was invalid, can be either upstream or downstream",
        ),
        (
            ("POST", "/proxies", {"name": "x", "upstream": "127.0.0.1:1", "listen": "nowhere"}),
            500,
            "listen tcp: address nowhere: missing port in address",
        ),
        (("POST", "/proxies/db", {"listen": "nowhere"}), 500, "address nowhere: missing port in address"),
        (("POST", "/proxies", b""), 400, "bad request body: EOF"),
    ],
)
def test_refusals_have_toxiproxys_status_and_words(
    any_control: Control, request_: tuple[str, str, object], status: int, error: str
) -> None:
    any_control.link(1, "db")
    any_control.request("POST", "/proxies/db/toxics", {"type": "latency"})
    assert any_control.request(*request_) == (status, {"error": error, "status": status})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/proxies", b"{bad"),
        ("/proxies", b"[" * 100_000),
        ("/proxies", [1]),
        ("/proxies", {"name": 3, "upstream": "127.0.0.1:1"}),
        ("/proxies/db", {"enabled": "yes"}),
        ("/proxies/db/toxics", {"type": "latency", "attributes": {"latency": "10"}}),
        ("/proxies/db/toxics", {"type": "latency", "attributes": {"latency": 1.5}}),
        ("/populate", {}),
    ],
)
def test_a_malformed_body_is_a_bad_request(any_control: Control, path: str, body: object) -> None:
    any_control.link(1, "db")
    status, answer = any_control.request("POST", path, body)
    assert (status, answer["status"]) == (400, 400)
    assert answer["error"].startswith("bad request body: ")


def test_unknown_pages_and_methods_are_refused(any_control: Control) -> None:
    assert any_control.request("GET", "/nowhere")[0] == 404
    assert any_control.request("PUT", "/proxies")[0] == 405
    assert any_control.request("HEAD", "/version")[0] == 405


def test_a_browser_is_refused(any_control: Control) -> None:
    headers = {"User-Agent": "Mozilla/5.0", "Authorization": f"Bearer {TOKEN}"}
    assert any_control.request("GET", "/proxies", headers=headers)[0] == 403


def test_a_port_that_is_taken_is_told(any_control: Control, servers: Servers) -> None:
    taken = f"127.0.0.1:{servers.echo()}"
    status, answer = any_control.request("POST", "/proxies", {"name": "x", "upstream": "127.0.0.1:1", "listen": taken})
    assert (status, answer["error"]) == (500, f"listen tcp {taken}: bind: address already in use")
    assert any_control.request("GET", "/proxies") == (200, {})


def test_populate_creates_what_is_missing_and_replaces_what_differs(any_control: Control) -> None:
    any_control.request("POST", "/proxies", {"name": "same", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0"})
    any_control.request("POST", "/proxies", {"name": "other", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0"})
    any_control.request("POST", "/proxies/same/toxics", {"type": "latency"})
    any_control.request("POST", "/proxies/other/toxics", {"type": "latency"})
    same = any_control.request("GET", "/proxies/same")[1]
    if any_control.request("PATCH", "/proxies/same", {})[0] == 405:
        pytest.skip("this Toxiproxy is older than 2.12, which stopped replacing a proxy by its equal")
    status, answer = any_control.request(
        "POST",
        "/populate",
        [
            {"name": "same", "upstream": "127.0.0.1:1", "listen": same["listen"]},
            {"name": "other", "upstream": "127.0.0.1:2", "listen": "127.0.0.1:0"},
            {"name": "new", "upstream": "127.0.0.1:3", "listen": "127.0.0.1:0", "enabled": False},
        ],
    )
    assert status == 201
    assert answer["proxies"][0] == same
    assert [(p["upstream"], p["enabled"], p["toxics"]) for p in answer["proxies"][1:]] == [
        ("127.0.0.1:2", True, []),
        ("127.0.0.1:3", False, []),
    ]


def test_populate_checks_every_proxy_before_it_creates_one(any_control: Control) -> None:
    asked = [{"name": "good", "upstream": "127.0.0.1:1"}, {"name": "bad"}]
    assert any_control.request("POST", "/populate", asked) == (
        400,
        {"error": "missing required field: upstream at proxy 2", "status": 400, "proxies": None},
    )
    assert any_control.request("GET", "/proxies") == (200, {})


def test_populate_tells_what_it_has_created_before_it_failed(any_control: Control) -> None:
    good = {"name": "good", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0"}
    status, answer = any_control.request("POST", "/populate", [good, {**good, "name": "bad", "listen": "nowhere"}])
    assert (status, answer["status"]) == (500, 500)
    assert answer["error"] == "listen tcp: address nowhere: missing port in address"
    assert [proxy["name"] for proxy in answer["proxies"]] == ["good"]
    assert list(any_control.request("GET", "/proxies")[1]) == ["good"]


def test_populate_with_nothing_creates_nothing(any_control: Control) -> None:
    assert any_control.request("POST", "/populate", []) == (201, {"proxies": None})


def test_populate_keeps_a_proxy_that_listens_on_a_host_by_name(any_control: Control) -> None:
    asked = {"name": "db", "upstream": "127.0.0.1:1", "listen": "localhost:0"}
    port = port_of(any_control.request("POST", "/proxies", asked)[1]["listen"])
    any_control.request("POST", "/proxies/db/toxics", {"type": "latency"})
    _, answer = any_control.request("POST", "/populate", [{**asked, "listen": f"localhost:{port}"}])
    assert [toxic["name"] for toxic in answer["proxies"][0]["toxics"]] == ["latency_downstream"]


def test_reset_enables_proxies_and_removes_toxics(any_control: Control) -> None:
    any_control.link(1, "db")
    any_control.request("POST", "/proxies/db/toxics", {"type": "latency"})
    any_control.request("POST", "/proxies/db", {"enabled": False})
    assert any_control.request("POST", "/reset") == (204, None)
    proxy = any_control.request("GET", "/proxies/db")[1]
    assert (proxy["enabled"], proxy["toxics"]) == (True, [])
