"""The compose file to look around with: nothing of it is open to others, and its dashboard shows what there is."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml

from brownout.fixtures.docker import engine
from brownout.fixtures.docker.images import Images, variable_of
from target_stack.metrics import GatewayMetrics
from tests.docker.looking_around import CHAT, Compose, Prometheus, question, stampede
from tools import compose as compose_v2
from tools import docker_images

STACK = Path(__file__).parent.parent.parent / "target-stack"
COMPOSE: dict[str, Any] = yaml.safe_load((STACK / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DASHBOARD = json.loads((STACK / "compose/grafana/dashboards/brownout.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
SHOWN = (
    *("circuit_breaker_state", "circuit_breaker_transitions_total", "circuit_breaker_any_open"),
    *("circuit_breaker_all_open", "degradation_level_bucket", "fallback_total", "cache_requests_total"),
    *("cache_age_seconds_bucket", "ttft_seconds_bucket", "tokens_total", "cost_usd_total", "queue_depth", "shed_total"),
    *("tombstones_pending", "retries_total", "errors_total"),
)

EMPTY = ("feature_flags_stale",)
"""There is no service of feature flags in there."""
DOCUMENT = {
    "headers": {"Authorization": "Bearer look-around-admin", "Content-Type": "application/x-ndjson"},
    "content": json.dumps(
        {
            "id": "deliveries",
            "tenant": "northwind-clinic",
            "title": "Who may sign for a delivery",
            "text": "A delivery of medicine is signed for by the pharmacist on duty, and by nobody else.",
        }
    ),
}
MODELS = ("llm-primary", "llm-secondary")


@pytest.fixture
def compose() -> Compose:
    """Docker Compose v2 with a project of the test's own."""
    if lacks := engine.missing():
        pytest.skip("; ".join(lacks))
    file, plugin = STACK / "compose.yaml", ["docker", "compose"]
    if shutil.which("docker") and not subprocess.run([*plugin, "version"], check=False, capture_output=True).returncode:
        return Compose.of(plugin, file)
    try:
        return Compose.of([str(compose_v2.binary())], file)
    except compose_v2.Unavailable as problem:
        pytest.skip(str(problem))


@pytest.fixture
def prometheus_image() -> Iterator[None]:
    """The image that the environment names; else the usual one; else a stand-in."""
    variable = "BROWNOUT_IMAGE_PROMETHEUS"
    usual = SERVICES["prometheus"]["image"].partition(":-")[2].rstrip("}")
    with pytest.MonkeyPatch.context() as patch, contextlib.closing(docker.from_env()) as client:
        if variable not in os.environ and not client.images.list(usual):
            try:
                patch.setenv(variable, docker_images.prometheus(client)[variable])
            except docker_images.Unavailable as problem:
                pytest.skip(str(problem))
        yield


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_that_it_does_not_need_and_is_open_to_this_machine_alone(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert ":latest" not in service["image"]
    assert re.search(r":-[\w./-]+:[\w.-]+\}$", service["image"]), service["image"]


def test_it_starts_the_images_that_the_docker_target_starts() -> None:
    written = {service["image"] for service in SERVICES.values()}

    for part, image in Images.chosen({}).by_part().items():
        if part not in ("proxy", "toxiproxy"):
            assert f"${{{variable_of(part)}:-{image}}}" in written


def test_every_file_that_is_mounted_is_there() -> None:
    mounted = [one for service in SERVICES.values() for one in service.get("volumes", ()) if one.startswith("./")]

    assert len(mounted) >= 5
    for one in mounted:
        assert (STACK / one.partition(":")[0]).exists(), one


@pytest.mark.parametrize("query", QUERIES)
def test_every_series_of_the_dashboard_is_one_of_the_gateways(query: str) -> None:
    metrics = GatewayMetrics()
    metrics.watch_flags(stale=lambda: 0.0, age=lambda: 0.0)
    known = {name for family in metrics.registry.collect() for name in _series(family.name, family.type)}
    known |= {"tombstones_pending"}

    used = set(re.findall(r"\b([a-z][a-z_]+)\b(?=\[|\{|$)", query))

    assert used
    assert used <= known


def _series(name: str, kind: str) -> list[str]:
    return {"counter": [f"{name}_total"], "histogram": [f"{name}_{end}" for end in ("bucket", "count", "sum")]}.get(
        kind, [name]
    )


def test_every_panel_asks_the_prometheus_that_is_provisioned_and_lies_over_no_other() -> None:
    provisioned = yaml.safe_load((STACK / "compose/grafana/provisioning/datasources/prometheus.yaml").read_text())
    (source,) = provisioned["datasources"]
    host, port = source["url"].removeprefix("http://").split(":")
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]

    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    assert any(one.endswith(f":{port}") for one in SERVICES[host]["ports"])
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


@pytest.mark.parametrize("series", SHOWN)
def test_the_dashboard_shows(series: str) -> None:
    assert any(series in query for query in QUERIES)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on PATH")
def test_prometheus_takes_its_configuration() -> None:
    argv = ["promtool", "check", "config", str(STACK / "compose/prometheus.yml")]
    assert subprocess.run(argv, check=False, capture_output=True).returncode == 0


@pytest.mark.long
@pytest.mark.process
@pytest.mark.usefixtures("images", "prometheus_image")
def test_it_comes_up_and_every_panel_of_the_dashboard_has_something_to_show_and_nothing_is_left(
    compose: Compose,
) -> None:
    compose("config", "--quiet")
    # All but Grafana, for which there is no stand-in.
    services = [name for name in SERVICES if name != "grafana"]
    try:
        compose("up", "--wait", "--wait-timeout", "300", *services)
        gateway, show = compose.url("gateway", 8000), Prometheus(compose.url("prometheus", 9090))
        with httpx.Client(base_url=gateway, trust_env=False, timeout=60.0) as client:
            assert client.post("/v1/documents", **DOCUMENT).json()["stored"] == 1
            assert {client.post(CHAT, **question(number % 3)).status_code for number in range(30)} == {200}
            with compose.hanging("vector-db"):
                # Those that it has answered are in caches; the others are answered without.
                asked = (*range(3), *range(100, 110), *range(3))
                assert {client.post(CHAT, **question(number)).status_code for number in asked} == {200}
            # What waits for models that hang fills the queues, and the rest is shed.
            with compose.hanging(*MODELS):
                asyncio.run(stampede(gateway))
            assert show.targets() == {"http://gateway:8000/metrics": "up"}
            queries = [query for query in QUERIES if query not in EMPTY]
            empty = show.until_all(queries, meanwhile=lambda: client.post(CHAT, **question(0)))
        assert empty == []
    finally:
        compose("down", "--volumes", "--timeout", "1")
    assert compose.left() == []
