"""What an experiment compiles to is what the Chaos Toolkit's own reader and validator accept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from brownout.reader import parse_experiment, read_experiment
from brownout.toolkit.compile import compile_experiment

ROOT = Path(__file__).parent.parent.parent
SHIPPED = sorted((ROOT / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_experiment_compiles_to_a_valid_one(path: Path) -> None:
    compiled = compile_experiment(read_experiment(path))

    ensure_experiment_is_valid(compiled)
    assert json.loads(json.dumps(compiled)) == compiled


def test_faults_become_actions_in_the_order_of_their_times() -> None:
    text = """
title: Two at once
hypothesis: it holds
steady-state: [{availability: {at-least: 99%}}]
method:
  - partition: {from: gateway, to: cache}
    at: 10s
    for: 20s
  - latency: {from: gateway, to: vector-db, latency: 100ms}
    at: 5s
    for: 5s
expect: {after: [{availability: {at-least: 99%}}]}
"""
    compiled = compile_experiment(parse_experiment(text, file="two.yaml"))

    assert [(one["provider"]["func"], one["provider"].get("arguments")) for one in compiled["method"]] == [
        ("inject", {"step": 1}),
        # One ends as the other begins: first the heal, then the new fault.
        ("withdraw", {"step": 1}),
        ("inject", {"step": 0}),
        ("withdraw", {"step": 0}),
        ("recover", None),
        ("expect", {"index": 0, "block": "after"}),
    ]


def test_faults_are_never_background_activities_and_rollbacks_always_run() -> None:
    compiled = compile_experiment(read_experiment(SHIPPED[0]))

    assert not any("background" in activity for activity in compiled["method"] + compiled["rollbacks"])
    assert compiled["runtime"] == {"rollbacks": {"strategy": "always"}}
    assert [activity["provider"]["func"] for activity in compiled["rollbacks"]] == ["heal"]


def test_the_source_travels_whole() -> None:
    (extension,) = compile_experiment(read_experiment(SHIPPED[0]))["extensions"]

    assert extension["experiment"] == SHIPPED[0].read_text()


def test_our_share_of_starting_chaos_is_small() -> None:
    # `chaos` imports every plugin at every start, whatever the command; what is heavy must wait for its command.
    program = """
import sys
import chaostoolkit.commands.run, chaostoolkit.commands.validate
before = set(sys.modules)
from importlib.metadata import entry_points
for plugin in entry_points(group="chaostoolkit.cli_plugins"):
    if plugin.value.startswith("brownout"):
        plugin.load()
print(" ".join(sorted(name for name in set(sys.modules) - before if not name.startswith(("brownout", "__editable__")))))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    new = set(run.stdout.split())

    assert not {"httpx", "rich", "jinja2", "sqlite3", "asyncio", "prometheus_client", "toxiproxy"} & new
    assert len(new) < 60, sorted(new)
