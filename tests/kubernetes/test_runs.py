"""A whole run on a real API server, as a user starts it."""

import asyncio
import fnmatch
import json
import os
import queue
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest

from brownout.evidence.store import read_run
from brownout.prometheus.client import Prometheus
from brownout.prometheus.server import first_scrape, lacking, own_server
from brownout.target import Source
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.shop import Shop, opened
from tests.kubernetes.tiny_door import answering

pytestmark = [pytest.mark.process, pytest.mark.run]
EXPERIMENT = """\
title: Answers go on while pods come and go
hypothesis: Those that are left take over.
target: kubernetes
duration: 12s
load: {rate: 10/s, arrivals: constant}
steady-state: [{availability: {at-least: 99%}}]
method:
  - pod_kill: {service: inference}
    at: 4s
    for: 4s
expect:
  during: [{availability: {at-least: 99%}}, {restart: {service: inference, within: 4s, at-most: 1}}]
  after: [{availability: {at-least: 99%}}]
"""
OF_PROMETHEUS = '  after: [{metric: {promql: "max_over_time(queue_depth[3s]) * 2", at-least: 6}}, '
TOKEN = "t0ken-of-the-server"


@contextmanager
def prometheus(folder: Path, door: str) -> Iterator[str]:
    """The URL of a real server that scrapes the door."""
    ready: queue.Queue[str] = queue.Queue()
    over = threading.Event()

    async def work() -> None:
        async with own_server([Source("prometheus", "gateway", f"{door}/metrics")], folder) as server:
            assert server is not None
            with closing(Prometheus(server.url, own=True)) as client:
                await first_scrape(server, client)
            ready.put(server.url)
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    try:
        yield ready.get(timeout=60)
    finally:
        over.set()
        thread.join()


@pytest.fixture
def shop(cluster: Cluster, tmp_path: Path) -> Iterator[Shop]:
    with opened(cluster, tmp_path) as found:
        yield found


def test_a_run_attaches_breaks_judges_and_leaves_the_namespace_as_it_was(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "pods.yaml"
    path.write_text(EXPERIMENT if lacking() else EXPERIMENT.replace("  after: [", OF_PROMETHEUS))
    at = ["--context", "restricted", "--namespace", shop.namespace, "--description", str(shop.description)]
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "run", str(path), *at]
    env = {**os.environ, "KUBECONFIG": str(shop.restricted), "BROWNOUT_STATE_DIR": str(tmp_path / "state")}
    env["BROWNOUT_PROMETHEUS_TOKEN"] = TOKEN

    with answering() as door, nullcontext() if lacking() else prometheus(tmp_path, door) as server:
        shop.describe(door=door)
        command += [] if server is None else ["--prometheus", server]
        rehearsed, ended = (
            subprocess.run([*command, how], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
            for how in ("--dry-run", "--json")
        )

    assert rehearsed.returncode == 0, rehearsed.stderr
    assert "DELETE /api/v1/namespaces/" in rehearsed.stdout
    assert rehearsed.stdout.endswith("Nothing was done.\n")
    told = json.loads(ended.stdout)
    # A machine that others keep busy may be late with a fault, which is no verdict; every check passes all the same.
    assert ended.returncode in (0, 3), ended.stderr
    assert [one["outcome"] for one in told["checks"]] == ["passed"] * (5 if lacking() else 6)
    assert all("late" in reason for reason in told["reasons"])
    (evidence,) = tmp_path.glob("runs/*/evidence.sqlite")
    assert TOKEN.encode() not in evidence.read_bytes()
    events = [one.text for one in read_run(evidence).recording.events if one.kind in ("note", "platform")]
    for said in ("pod inference-* is gone", "pod inference-* was created", "SuccessfulCreate: replicaset inference-*"):
        assert fnmatch.filter(events, said), said


PLAN = """\
title: A drill in the cluster
schedule: {cron: "0 3 * * SUN", time-zone: UTC}
target: kubernetes
context: restricted
namespace: NAMESPACE
description: shop.yaml
blast-radius: {pods: 1}
phases: [{name: pods, experiments: [pods.yaml]}]
runbook: https://example.com/runbook
rollback: chaos heal
people: {commander: Ada, abort: Grace}
"""


def test_a_drill_is_played_on_the_cluster_that_its_plan_names(shop: Shop, tmp_path: Path) -> None:
    # At half the length, as many requests all the same.
    (tmp_path / "pods.yaml").write_text(EXPERIMENT.replace("rate: 10/s", "rate: 40/s"))
    plan = tmp_path / "sunday.yaml"
    env = {**os.environ, "KUBECONFIG": str(shop.restricted), "BROWNOUT_STATE_DIR": str(tmp_path / "state")}

    def gameday(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "gameday", *arguments]
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)

    with answering() as door:
        shop.describe(door=door)
        text = PLAN.replace("NAMESPACE", shop.namespace)
        plan.write_text(text.replace("pods: 1", "traffic: 10%"))
        beyond = gameday("validate", str(plan))
        plan.write_text(text)
        valid = gameday("validate", str(plan))
        gameday("check-in", str(plan), "--as", "Grace")
        permitted = ("--override", "window", "--by", "Ada", "--because", "a test")
        ended = gameday("run", str(plan), *permitted, "--no-room", "--scale", "0.5")

    assert "pod_kill: hits 1 of 4 pods of inference, 25.0 % of what it serves" in beyond.stderr
    assert valid.returncode == 0, valid.stderr
    assert "on the kubernetes target" in valid.stdout
    # As above; and at half the length a replacement may be late, which is no concern of a drill.
    assert ended.returncode in (0, 1, 3), ended.stdout + ended.stderr
    assert "1/1 pods: pods.yaml" in ended.stdout
    (evidence,) = tmp_path.glob("runs/*/*/evidence.sqlite")
    with closing(sqlite3.connect(evidence)) as db:
        assert db.execute("SELECT fault FROM fault").fetchall() == [("pod_kill",)]
