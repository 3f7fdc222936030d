"""How long it takes from the press of ABORT in the control room until everything is really whole: see README.md."""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

PLAN = """
title: An abort is measured
schedule: {cron: "0 3 * * SUN", time-zone: UTC}
phases: [{name: three faults at once, experiments: [three.yaml]}]
runbook: three.yaml
rollback: ABORT
people: {commander: bench, abort: [bench]}
"""
EXPERIMENT = """
title: Three faults at once
hypothesis: whatever is broken is whole a second after ABORT was pressed
target: embedded
load: {rate: 20/s}
duration: 150s
steady-state: [{availability: {at-least: 1%}}]
method:
  - latency: {from: gateway, to: vector-db, latency: 500ms, jitter: 100ms}
    at: 4s
    for: 140s
  - partition: {from: gateway, to: cache}
    at: 4s
    for: 140s
  - freeze: {service: embedding}
    at: 4s
    for: 140s
expect:
  after: [{availability: {at-least: 1%}}]
"""
TOXICS = 2
"""At least so many are on at the proxy, beside the frozen process."""
PATIENCE = 120.0
PAGE = "benchmark-page"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--presses", type=int, default=55)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    took: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plan.yaml").write_text(PLAN, encoding="utf-8")
        (folder / "three.yaml").write_text(EXPERIMENT, encoding="utf-8")
        os.environ["BROWNOUT_STATE_DIR"] = str(folder / "state")
        chaos("gameday", "check-in", "plan.yaml", "--as", "bench", cwd=folder)
        for number in range(1, given.presses + 1):
            try:
                seconds = press(folder)
            except RuntimeError as error:
                # The drill ended before its faults were on; why is told, and that press is none.
                print(f"{number:3}  no press: {error}", flush=True)
                continue
            took.append(seconds)
            print(f"{number:3}  {seconds * 1000:6.0f} ms  load {os.getloadavg()[0]:.1f}", flush=True)
    told = figures(took)
    print(", ".join(f"{name} {value:.0f} ms" for name, value in told.items()))
    if given.json:
        given.json.write_text(json.dumps({"seconds": took, "ms": told}), encoding="utf-8")


def figures(took: list[float]) -> dict[str, float]:
    """In milliseconds; the p99 of fewer than a hundred is the worst."""
    ordered = sorted(took)
    return {
        name: ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("worst", 1.0))
    }


def press(folder: Path) -> float:
    """One drill; seconds from the press until the proxy holds no toxic and no process is stopped."""
    with drill(folder) as (process, url), httpx.Client(base_url=url.split("/?")[0], trust_env=False) as room:
        origin = {"origin": url.split("/?")[0]}
        room.get("/", params={"token": url.split("token=")[1]}).raise_for_status()
        room.post("/take", headers=origin, json={"who": "bench", "page": PAGE}).raise_for_status()
        proxy, frozen = broken(process, room, origin)
        with contextlib.closing(proxy):
            pressed = time.perf_counter()
            room.post("/abort", headers=origin, json={"who": "bench"}).raise_for_status()
            while True:
                # The target is taken down soon after: what is gone breaks nothing.
                if not is_stopped(frozen) and not toxics(proxy):
                    return time.perf_counter() - pressed
                if time.perf_counter() - pressed > PATIENCE:
                    raise TimeoutError
                time.sleep(0.002)


@contextmanager
def drill(folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    """A drill that goes on, and the address of its control room; it has ended when this is left."""
    arguments = ["gameday", "run", "plan.yaml", "--room", "--override", "window", "--by", "bench", "--because", "bench"]
    running = subprocess.Popen(
        [sys.executable, "-m", "chaostoolkit", "--no-version-check", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    failed: httpx.HTTPError | None = None
    try:
        for line in running.stdout or ():
            said.append(line)
            if line.startswith("control room: "):
                yield psutil.Process(running.pid), line.split(": ", 1)[1].strip()
                break
        else:
            raise RuntimeError("".join(said))
    except httpx.HTTPError as error:
        failed = error
    finally:
        running.send_signal(signal.SIGTERM)
        said.append(running.communicate(timeout=PATIENCE)[0])
    if failed is not None or "was aborted by bench:" not in "".join(said):
        raise RuntimeError("".join(said)) from failed


def broken(process: psutil.Process, room: httpx.Client, origin: dict[str, str]) -> tuple[httpx.Client, psutil.Process]:
    """Wait until all of it is; the proxy's control and the frozen process. Goes on holding the abort meanwhile."""
    until = time.monotonic() + PATIENCE
    proxy: httpx.Client | None = None
    while time.monotonic() < until:
        room.post("/beat", headers=origin, json={"page": PAGE})
        time.sleep(0.25)
        below = process.children(recursive=True)
        proxy = proxy or control(below)
        frozen = [one for one in below if is_stopped(one)]
        if frozen and proxy is not None and toxics(proxy) >= TOXICS:
            # Somewhere in the middle of them, not as the last of them comes on.
            time.sleep(1.0)
            return proxy, frozen[0]
    raise TimeoutError


def control(below: list[psutil.Process]) -> httpx.Client | None:
    """The proxy's control, which tells what is on."""
    for one in below:
        try:
            if "brownout.proxy" not in one.cmdline():
                continue
            token = one.environ()["BROWNOUT_PROXY_TOKEN"]
            ports = [c.laddr.port for c in one.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        except psutil.Error:
            continue
        for port in ports:
            client = httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                headers={"authorization": f"Bearer {token}"},
                trust_env=False,
                timeout=0.3,
            )
            try:
                if client.get("/version").is_success:
                    return client
            except httpx.HTTPError:
                pass
            client.close()
    return None


def toxics(proxy: httpx.Client) -> int:
    """How many are on; none where the proxy is gone. One that does not answer in time has still what it had."""
    try:
        proxies: dict[str, Any] = proxy.get("/proxies").json()
    except httpx.TimeoutException:
        return TOXICS
    except httpx.HTTPError:
        return 0
    return sum(len(one["toxics"]) for one in proxies.values())


def is_stopped(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def chaos(*arguments: str, cwd: Path) -> None:
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", *arguments]
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
