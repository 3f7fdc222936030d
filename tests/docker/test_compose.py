"""The compose file to look around with: nothing of it is open to others, and its dashboard shows what there is."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from brownout.fixtures.docker.images import Images, variable_of
from target_stack.metrics import GatewayMetrics

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


@pytest.mark.parametrize("series", SHOWN)
def test_the_dashboard_shows(series: str) -> None:
    assert any(series in query for query in QUERIES)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on PATH")
def test_prometheus_takes_its_configuration() -> None:
    argv = ["promtool", "check", "config", str(STACK / "compose/prometheus.yml")]
    assert subprocess.run(argv, check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode != 0,
    reason="docker compose is not installed",
)
def test_docker_compose_takes_it() -> None:
    argv = ["docker", "compose", "-f", str(STACK / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
