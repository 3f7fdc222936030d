"""A Prometheus server of a run's own: a plain process on the loopback, which scrapes the target every second.

It needs the program `prometheus` (Debian's package of that name, or the project's own binary), and nothing running.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from brownout.errors import EnvironmentProblem
from brownout.prometheus.client import NoAnswer, Prometheus
from brownout.target import Source

PROGRAM = "prometheus"
CHECKER = "promtool"
"""Comes with it, and knows whether a query is one."""
SCRAPED_EVERY = 1
"""Seconds."""
_START_TIMEOUT = 20.0
_FIRST_SCRAPE_TIMEOUT = 40.0
"""Prometheus looks for its targets every five seconds, and takes up what it found every five seconds."""
_GRACE = 5.0
_POLL = 0.1
_LISTENS = re.compile(rb'msg="?Listening on"?.*? address="?(127\.0\.0\.1:\d+)')


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A Prometheus that runs."""

    url: str
    process: asyncio.subprocess.Process

    async def watch(self) -> None:
        """Return never, unless cancelled.

        Raises:
            EnvironmentProblem: it has ended.
        """
        code = await self.process.wait()
        msg = f"the Prometheus server of this run ended by itself (exit code {code}); see prometheus.log"
        raise EnvironmentProblem(msg)


def lacking() -> str | None:
    """What this machine lacks for one, and what to do; None where it lacks nothing."""
    if sys.platform != "linux":
        return f"--prometheus auto needs Linux; this is {sys.platform}"
    programs = [program for program in (PROGRAM, CHECKER) if shutil.which(program) is None]
    if not programs:
        return None
    return f"--prometheus auto needs {' and '.join(programs)} on PATH: apt-get install prometheus"


@asynccontextmanager
async def own_server(sources: Sequence[Source], folder: Path) -> AsyncIterator[OwnServer]:
    """Start one that scrapes these sources, and end it on leaving, with all that it had gathered.

    Entered once it listens; `first_scrape` waits until it knows something.

    Args:
        sources: those of kind `prometheus` are scraped, each as a job with the service's name.
        folder: a private one, for its log, and its data while it runs.

    Raises:
        EnvironmentProblem: there is nothing to scrape, or it does not start.
    """
    jobs = [_job(source) for source in sources if source.kind == "prometheus"]
    if not jobs:
        msg = "--prometheus auto: the target has nothing that Prometheus could scrape"
        raise EnvironmentProblem(msg)
    every = {"scrape_interval": f"{SCRAPED_EVERY}s", "scrape_timeout": f"{SCRAPED_EVERY}s"}
    home = await asyncio.to_thread(folder.absolute)
    data, log = home / "prometheus-data", home / "prometheus.log"
    # In memory alone: a token of the target's may be in it. JSON is YAML.
    config = os.memfd_create("prometheus.yml")
    try:
        os.write(config, json.dumps({"global": every, "scrape_configs": jobs}).encode())
        argv = [
            *(PROGRAM, f"--config.file=/proc/self/fd/{config}", f"--storage.tsdb.path={data}"),
            *("--web.listen-address=127.0.0.1:0", "--log.format=logfmt"),
        ]
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "brownout.child", str(os.getpid()), str(int(signal.SIGKILL)), *argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=(config,),
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home)},
            )
        try:
            yield OwnServer(await _listening(process, log), process)
        finally:
            await asyncio.shield(_end(process))
            await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)
    finally:
        os.close(config)


async def first_scrape(server: OwnServer, client: Prometheus) -> None:
    """Return once every job was scraped.

    Raises:
        EnvironmentProblem: one cannot be.
    """
    said = "it has found nothing to scrape yet"
    try:
        async with asyncio.timeout(_FIRST_SCRAPE_TIMEOUT):
            while server.process.returncode is None:
                with contextlib.suppress(NoAnswer):
                    states = await asyncio.to_thread(client.scraped)
                    said = next((f"{job}: {why}" for job, why in states.items() if why), said)
                    if states and not any(states.values()):
                        return
                await asyncio.sleep(_POLL)
        said = f"it ended with exit code {server.process.returncode}"
    except TimeoutError:
        pass
    msg = f"the Prometheus server of this run does not scrape the target: {said}"
    raise EnvironmentProblem(msg)


def _job(source: Source) -> dict[str, object]:
    """https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config"""
    parts = urlsplit(source.url)
    job: dict[str, object] = {
        "job_name": source.name,
        "scheme": parts.scheme,
        "metrics_path": parts.path or "/metrics",
        "static_configs": [{"targets": [parts.netloc]}],
    }
    if source.token is not None:
        job["authorization"] = {"credentials": source.token}
    return job


async def _listening(process: asyncio.subprocess.Process, log: Path) -> str:
    """The base URL that it says it listens on: the port was the system's choice."""
    try:
        async with asyncio.timeout(_START_TIMEOUT):
            while process.returncode is None:
                if found := _LISTENS.search(await asyncio.to_thread(log.read_bytes)):
                    return f"http://{found[1].decode()}"
                await asyncio.sleep(_POLL)
    except TimeoutError:
        pass
    last = (await asyncio.to_thread(log.read_text, "utf-8", "replace")).strip().splitlines()[-1:]
    msg = f"prometheus does not start: {' '.join(last) or 'it says nothing'}"
    raise EnvironmentProblem(msg)


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await process.wait()
