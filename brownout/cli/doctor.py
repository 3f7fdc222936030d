"""`chaos doctor`: what this machine can run, and what to do about the rest."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import click

_TIMEOUT = 2.0
"""Seconds that anything outside this process has to answer."""
_MARKS = {"ok": "✓", "wrong": "✗", "absent": "–"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    about: str
    state: Literal["ok", "wrong", "absent"]
    """`absent` is something that nothing here needs."""
    said: str
    advice: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Say what this machine can run, and what to do about the rest.

    Exit codes: 0 at least one target can be used, 2 none can.
    """
    from brownout.errors import EXIT_BAD_INPUT

    targets = list(_targets())
    findings = [*_python(), _state(), *targets]
    findings += [check() for check in (_kubernetes, _gpu, _prometheus, _chromium)]
    usable = any(finding.state == "ok" for finding in targets)
    if as_json:
        click.echo(json.dumps({"usable": usable, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        width = max(len(finding.about) for finding in findings)
        for finding in findings:
            click.echo(f"{_MARKS[finding.state]} {finding.about:<{width}}  {finding.said}")
            if finding.advice:
                click.echo(f"  {'':<{width}}  → {finding.advice}")
        if not usable:
            click.echo("No target can be used on this machine yet.")
    if not usable:
        sys.exit(EXIT_BAD_INPUT)


def _python() -> Iterator[Finding]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    yield Finding("Python", "ok", f"{platform.python_version()} ({sys.executable})")
    for package in ("brownout", "chaostoolkit", "chaostoolkit-lib"):
        try:
            yield Finding(package, "ok", version(package))
        except PackageNotFoundError:
            yield Finding(package, "wrong", "not installed", f"pip install {package}")


def _state() -> Finding:
    from brownout.errors import EnvironmentProblem
    from brownout.ledger import Ledger
    from brownout.state import state_dir

    try:
        with Ledger.open() as ledger:
            left = [run.id for run in ledger.open_runs() if not run.process.alive()]
        folder = state_dir()
    except EnvironmentProblem as problem:
        return Finding("ledger", "wrong", str(problem))
    if left:
        return Finding("ledger", "wrong", f"{len(left)} dead run(s) not healed: {', '.join(left)}", "chaos heal")
    return Finding("ledger", "ok", f"in {folder}, nothing to heal")


def _targets() -> Iterator[Finding]:
    from brownout import registry
    from brownout.errors import EnvironmentProblem

    targets = registry.targets()
    for name in targets.names():
        try:
            lacks: Sequence[str] = targets.get(name).check()
        except EnvironmentProblem as problem:
            lacks = [str(problem)]
        if lacks:
            yield Finding(f"target {name}", "wrong", lacks[0], "; ".join(lacks[1:]))
            continue
        topology = targets.get(name).topology_of({})
        yield Finding(f"target {name}", "ok", f"can be used; it can break things in {len(topology.capabilities)} ways")
        for what, why in sorted(topology.lacking.items()):
            yield Finding(f"target {name}", "absent", f"cannot do {what}: {why}")


def _kubernetes() -> Finding:
    import importlib.util
    import os
    from pathlib import Path

    configs = [Path(one) for one in os.environ.get("KUBECONFIG", "~/.kube/config").split(os.pathsep) if one]
    config = next((one for one in configs if one.expanduser().is_file()), None)
    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    if config is None and not inside:
        return Finding("Kubernetes", "absent", "no kubeconfig, and this is no pod")
    where = f"kubeconfig {config}" if config else "inside a cluster"
    lacks = []
    if importlib.util.find_spec("kubernetes") is None:
        lacks.append("package kubernetes is not installed")
    return Finding("Kubernetes", "absent" if lacks else "ok", "; ".join([where, *lacks]))


def _gpu() -> Finding:
    import importlib.util
    import subprocess
    from shutil import which

    tool = which("nvidia-smi")
    if tool is None:
        return Finding("GPU", "absent", "no nvidia-smi on PATH")
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=_TIMEOUT, check=True).stdout
    except (OSError, subprocess.SubprocessError) as problem:
        return Finding("GPU", "absent", f"nvidia-smi does not answer ({type(problem).__name__})")
    recorded = importlib.util.find_spec("pynvml") is not None
    advice = "" if recorded else "pip install 'brownout[gpu]' to have its figures recorded"
    return Finding("GPU", "ok", "; ".join(said.strip().splitlines()), advice)


def _on_path(about: str, *commands: str) -> Finding:
    from shutil import which

    found = next((path for command in commands if (path := which(command))), None)
    return Finding(about, "ok", found) if found else Finding(about, "absent", f"no {' or '.join(commands)} on PATH")


def _prometheus() -> Finding:
    from brownout.prometheus.client import missing
    from brownout.prometheus.server import PROGRAM, lacking

    lacks = [text for text in (missing(), lacking()) if text]
    said = "--prometheus auto can start one" if not lacks else "--prometheus cannot be used in full"
    return Finding(PROGRAM.capitalize(), "absent" if lacks else "ok", said, "; ".join(lacks))


def _chromium() -> Finding:
    return _on_path("Chromium", "chromium", "chromium-browser", "google-chrome")
