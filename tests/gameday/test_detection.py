"""Detection for real: Prometheus sees the budget burn, Alertmanager says so, the drill takes the time."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
import uvicorn
from starlette.applications import Starlette

from brownout.gameday.alerts import routes
from brownout.gameday.burnrates import rules
from brownout.gameday.goals import of_drill
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.plan import Detection
from brownout.gameday.rows import Mark
from tests.gameday.test_goals import new_drill
from tests.runs.commandline import Chaos, Started

T = TypeVar("T")
PROGRAMS = ("prometheus", "prometheus-alertmanager")
TOKEN = "the-token-of-this-very-drill"
PATIENCE = 120.0
EXPERIMENT = """\
title: Without a stand-in the assistant fails with its providers
hypothesis: Somebody is told of it at once.
duration: 45s
settings: {fallbacks: off, exact-cache: off, llm-primary.breaker.recovery: 2s, llm-secondary.breaker.recovery: 2s}
load: {rate: 10/s, questions: golden, stream: true}
steady-state:
  - availability: {at-least: 99.9%}
method:
  - partition: {from: gateway, to: llm-primary, manner: reset}
    at: 12s
    for: 20s
  - partition: {from: gateway, to: llm-secondary, manner: reset}
    at: 12s
    for: 20s
expect:
  during:
    - availability: {at-least: 99%}
"""
pytestmark = [
    pytest.mark.run,
    pytest.mark.long,
    pytest.mark.skipif(
        not all(map(shutil.which, PROGRAMS)), reason="apt-get install prometheus prometheus-alertmanager"
    ),
]


@pytest.fixture
def chaos(tmp_path: Path) -> Iterator[Chaos]:
    command = Chaos(tmp_path / "work")
    yield command
    for started in command.started:
        if started.process.poll() is None:
            started.process.terminate()
            started.process.wait(PATIENCE)


def test_an_alert_and_a_person_detect_a_failure_and_the_first_of_them_counts(chaos: Chaos, tmp_path: Path) -> None:
    marks: list[Mark] = []
    fired = threading.Event()
    notifications: list[datetime] = []

    def now() -> datetime:
        """Asked once for each notification."""
        notifications.append(datetime.now(UTC))
        return notifications[-1]

    async def on_mark(mark: Mark) -> None:
        marks.append(mark)
        fired.set()

    detection = Detection(alerts=("AvailabilityBurnsFast",))
    app = Starlette(routes=list(routes(on_mark, step=lambda: 1, now=now, token=TOKEN, detection=detection)))
    experiment = tmp_path / "outage.yaml"
    experiment.write_text(EXPERIMENT)
    with ExitStack() as stack:
        webhook = stack.enter_context(served(app))
        alertmanager = stack.enter_context(alertmanager_that_tells(f"{webhook}/alerts", tmp_path))
        begun = datetime.now(UTC)
        run = chaos.start("run", str(experiment))
        gateway = waited(lambda: gateway_of(run))
        stack.enter_context(prometheus_that_watches(gateway, alertmanager, tmp_path))
        assert fired.wait(PATIENCE), run.log.read_text()
        person = Mark(1, "detected", "person", "Hedy", datetime.now(UTC))
        code = run.finish()
        assert code in (1, 3), run.log.read_text()
        # Sent again and again while it fires, and it is one mark.
        waited(lambda: len(notifications) >= 3 or None)
    assert [(mark.by, mark.source) for mark in marks] == [("AvailabilityBurnsFast", "alert")]

    with Journal.open() as journal, Minutes.open() as minutes:
        journal.begin(new_drill(tmp_path), ())
        journal.begin_step("d1", 1, phase="one", experiment="outage.yaml", at=begun)
        journal.end_step("d1", 1, outcome="failed", folder=str(run.run), at=datetime.now(UTC))
        journal.end("d1", outcome="failed", said=None, at=datetime.now(UTC))
        for mark in (person, *marks):
            minutes.mark("d1", mark)
        (found,) = of_drill(journal, minutes, "d1")
    times, (alert,) = found.times, marks
    assert times.fault_on is not None
    assert times.fault_off is not None
    assert times.broken is not None
    assert alert.since is not None
    assert times.fault_on <= times.broken < alert.since <= alert.at < times.fault_off
    assert found.ttd == (alert.at - times.fault_on).total_seconds()
    assert [(one.source, one.by) for one in found.detections] == [
        ("alert", "AvailabilityBurnsFast"),
        ("person", "Hedy"),
    ]
    assert found.by_itself is True
    assert found.spent is not None
    assert found.spent > 10


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The drill's own server, on the loopback."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        waited(lambda: server.started or None)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def alertmanager_that_tells(webhook: str, folder: Path) -> Iterator[str]:
    (folder / "token").write_text(TOKEN)
    config = {
        "route": {"receiver": "drill", "group_wait": "1s", "group_interval": "2s", "repeat_interval": "2s"},
        "receivers": [
            {
                "name": "drill",
                "webhook_configs": [
                    {
                        "url": webhook,
                        "http_config": {"authorization": {"type": "Bearer", "credentials_file": str(folder / "token")}},
                    }
                ],
            }
        ],
    }
    (folder / "alertmanager.yml").write_text(json.dumps(config))
    with program(
        folder,
        "prometheus-alertmanager",
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager-data'}",
        "--cluster.listen-address=",
    ) as address:
        yield address


@contextmanager
def prometheus_that_watches(gateway: str, alertmanager: str, folder: Path) -> Iterator[None]:
    (folder / "rules.yml").write_text(rules(hour=60, scraped_every=1))
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [{"job_name": "gateway", "static_configs": [{"targets": [gateway]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with program(
        folder,
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
    ) as address:
        waited(lambda: scraped(address))
        yield


@contextmanager
def program(folder: Path, name: str, *arguments: str) -> Iterator[str]:
    """One that listens on a port of the system's choice, and dies with the tests; gives its address."""
    log = folder / f"{name}.log"
    argv = [shutil.which(name) or name, *arguments, "--web.listen-address=127.0.0.1:0", "--log.format=logfmt"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "brownout.child", str(os.getpid()), str(int(signal.SIGKILL)), *argv],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )

    def listening() -> str | None:
        assert process.poll() is None, log.read_text()
        found = re.search(r'msg="?Listening on"?.*? address="?(127\.0\.0\.1:\d+)', log.read_text())
        return None if found is None else found[1]

    try:
        yield waited(listening)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def scraped(prometheus: str) -> bool | None:
    try:
        with urllib.request.urlopen(f"http://{prometheus}/api/v1/targets") as answer:
            targets = json.load(answer)["data"]["activeTargets"]
    except urllib.error.HTTPError:  # It listens before it is ready, and until then says 503.
        return None
    return True if targets and all(one["health"] == "up" for one in targets) else None


def gateway_of(run: Started) -> str | None:
    """Where the gateway of this run listens, by its command line."""
    assert run.process.poll() is None, run.log.read_text()
    for process in psutil.Process(run.process.pid).children(recursive=True):
        try:
            argv = process.cmdline()
        except psutil.Error:
            continue
        if {"serve", "gateway", "--port"} <= set(argv):
            return f"127.0.0.1:{argv[argv.index('--port') + 1]}"
    return None


def waited(look: Callable[[], T | None]) -> T:
    """What it gives as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE
    while (found := look()) is None:
        assert time.monotonic() < deadline, look
        time.sleep(0.05)
    return found
