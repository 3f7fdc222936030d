"""Load from a Job in the cluster: the same verdict, and the Job is gone however the run ends."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from brownout.fixtures.kubernetes.loading import quiet_forwarding
from tests.kubernetes import tiny_door
from tests.kubernetes.cluster import PAUSE, Cluster
from tests.kubernetes.images import brownout_image
from tests.kubernetes.kubectl import Kubectl
from tests.kubernetes.shop import PATIENCE, SHIPPED, Shop, opened
from tests.kubernetes.test_runs import EXPERIMENT

pytestmark = [pytest.mark.process, pytest.mark.run]
TRIES, INCONCLUSIVE = 3, 3
SERVER = f"""
{Path(tiny_door.__file__).read_text(encoding="utf-8").partition("@contextmanager")[0]}
ThreadingHTTPServer(("", 8000), _Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    cluster.needs_pause()
    image = brownout_image()
    with opened(cluster, tmp_path_factory.mktemp("shop"), image=PAUSE) as found:
        kubectl = Kubectl(cluster, found.namespace)
        kubectl("apply", "--filename", str(SHIPPED / "rbac-load.yaml"))
        kubectl("run", "door", f"--image={image}", "--labels=app=door", "--command", "--", "python", "-c", SERVER)
        kubectl("expose", "pod", "door", "--port=8000")
        kubectl("wait", "--for=condition=Ready", "pod/door", "--timeout=120s")
        found.describe(door="http://door:8000")
        with found.description.open("a") as file:
            file.write(f"load: {{from: job, image: {image}}}\n")
        yield found


@contextmanager
def running(shop: Shop, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    path = folder / "pods.yaml"
    path.write_text(EXPERIMENT)
    at = ["--context", "restricted", "--namespace", shop.namespace, "--description", str(shop.description)]
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "run", str(path), *at, *options]
    with subprocess.Popen(command, env=env(shop, folder), cwd=folder, stdout=-1, stderr=-1, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def env(shop: Shop, folder: Path) -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(shop.restricted), "BROWNOUT_STATE_DIR": str(folder / "state")}


async def jobs(shop: Shop) -> list[str]:
    found = await shop.api.list(f"/apis/batch/v1/namespaces/{shop.namespace}/jobs")
    return [one["metadata"]["name"] for one in found]


async def nothing_is_left(shop: Shop) -> bool:
    pods = await shop.api.list(shop.path("pods"), labels="app.kubernetes.io/managed-by=brownout")
    return await jobs(shop) == [] and await shop.ledger.held() == [] and pods == []


def test_a_run_whose_load_comes_from_a_job_gets_its_verdict_and_the_job_goes(shop: Shop, tmp_path: Path) -> None:
    for left in reversed(range(TRIES)):
        with running(shop, tmp_path, "--json") as process:
            told, said = process.communicate(timeout=4 * PATIENCE)
        found = json.loads(told)
        outcomes = [one["outcome"] for one in found["checks"]]
        # A machine that others keep busy may be late with a fault, or starve the load, which is no verdict.
        if outcomes == ["passed"] * 5 or not left or process.returncode != INCONCLUSIVE:
            break
    assert process.returncode in (0, INCONCLUSIVE), said
    assert outcomes == ["passed"] * 5, "; ".join(found["reasons"])
    assert all("late" in reason for reason in found["reasons"])
    evidence = max(tmp_path.glob("runs/*/evidence.sqlite"), key=lambda path: path.stat().st_mtime)
    with closing(sqlite3.connect(evidence)) as db:
        (count,) = db.execute("SELECT count(*) FROM request WHERE outcome = 'ok'").fetchone()
        notes = [text for (text,) in db.execute("SELECT text FROM event")]
    # 10 a second for 12 s, and the one at the very end or not.
    assert count in (119, 120)
    assert any("the load comes from Job brownout-" in text for text in notes)
    asyncio.run(shop.until(lambda: nothing_is_left(shop)))


def test_a_port_forward_that_breaks_off_prints_no_traceback_and_other_threads_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda ended: told.append(ended.thread.name))

    def fail(name: str) -> None:
        thread = threading.Thread(target=lambda: 1 / 0, name=name)
        thread.start()
        thread.join()

    with quiet_forwarding():
        fail("Kubernetes port forward proxy: 8475")
        fail("another")
    fail("afterwards")
    assert told == ["another", "afterwards"]


def test_a_janitor_may_remove_a_job_whose_run_is_gone(shop: Shop) -> None:
    kubectl = Kubectl(shop.cluster, shop.namespace)
    for verb in ("get", "delete"):
        account = f"system:serviceaccount:{shop.namespace}:brownout-janitor"
        assert kubectl("auth", "can-i", verb, "jobs.batch", "--as", account) == "yes"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_job(shop: Shop, tmp_path: Path, end: signal.Signals) -> None:
    with running(shop, tmp_path) as process:
        # Bring-up is over when there is load: until then the run's own ledger does not say what is in the cluster.
        assert process.stderr is not None
        assert any("the load comes from Job" in text for text in process.stderr)
        assert len(asyncio.run(jobs(shop))) == 1
        process.send_signal(end)
        process.communicate(timeout=PATIENCE)
    if end == signal.SIGKILL:
        command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "heal"]
        told = subprocess.run(command, env=env(shop, tmp_path), capture_output=True, text=True, check=True)
        assert "the load's Job: healed" in told.stdout + told.stderr
    asyncio.run(shop.until(lambda: nothing_is_left(shop)))
