"""An ordinary Chaos Toolkit experiment gives what it gives without Brownout: the same journal, the same exit code."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WITH_BROWNOUT = "from chaostoolkit.__main__ import cli; cli()"
WITHOUT_PLUGINS = """
import click_plugins
click_plugins.with_plugins = lambda plugins: lambda group: group
from chaostoolkit.__main__ import cli
assert not {"compile", "doctor", "heal", "verify"} & set(cli.commands), cli.commands
cli()
"""


def python(function: str, **arguments: object) -> dict[str, Any]:
    return {"type": "python", "module": "os", "func": function, "arguments": arguments}


def says(text: str, *, name: str = "says", **more: object) -> dict[str, Any]:
    return {
        "type": "probe",
        "name": name,
        "provider": {"type": "process", "path": "echo", "arguments": text},
        **more,
    }


FAILS = {"type": "action", "name": "fails", "provider": python("rmdir", path="there-is-no-such-folder")}
NOTHING = {"type": "action", "name": "nothing", "provider": python("getenv", key="HOME")}


def steady(*probes: dict[str, Any]) -> dict[str, Any]:
    return {"title": "steady", "probes": list(probes)}


def tolerant(pattern: str) -> dict[str, Any]:
    return {"tolerance": {"type": "regex", "pattern": pattern, "target": "stdout"}}


EXPERIMENTS: dict[str, dict[str, Any]] = {
    "passes": {"steady-state-hypothesis": steady(says("yes", **tolerant("yes"))), "method": [NOTHING]},
    "steady state not met": {"steady-state-hypothesis": steady(says("no", **tolerant("yes"))), "method": [NOTHING]},
    "a failing action and its rollback": {"method": [FAILS], "rollbacks": [FAILS]},
    "a method tolerance that is not met": {"method": [says("no", **tolerant("yes"))]},
    "rollbacks by the runtime block": {
        "steady-state-hypothesis": steady(says("no", **tolerant("yes"))),
        "method": [],
        "rollbacks": [NOTHING],
        "runtime": {"rollbacks": {"strategy": "always"}},
    },
    "not valid": {"method": [{"type": "nonsense"}]},
    "no method": {},
}


def run(program: str, experiment: Path, folder: Path, *options: str) -> tuple[int, Any, str]:
    folder.mkdir()
    process = subprocess.run(
        [sys.executable, "-c", program, "--no-version-check", "run", *options, str(experiment)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    journal = folder / "journal.json"
    return process.returncode, json.loads(journal.read_text()) if journal.exists() else None, process.stderr


def timeless(value: Any) -> Any:
    """The same without what differs between two runs of one program."""
    if isinstance(value, dict):
        return {
            key: timeless(item) for key, item in value.items() if key not in {"start", "end", "duration", "exception"}
        }
    return [timeless(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("options", [(), ("--dry", "actions", "--rollback-strategy", "always")])
def test_journal_and_exit_code_are_the_chaos_toolkits_own(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    experiment = tmp_path / "experiment.json"
    experiment.write_text(json.dumps({"title": name, "description": "an ordinary experiment"} | EXPERIMENTS[name]))

    code, journal, _ = run(WITH_BROWNOUT, experiment, tmp_path / "with", *options)
    plain_code, plain_journal, _ = run(WITHOUT_PLUGINS, experiment, tmp_path / "without", *options)

    assert code == plain_code
    assert timeless(journal) == timeless(plain_journal)


def test_an_option_of_ours_is_refused_for_an_ordinary_experiment(tmp_path: Path) -> None:
    experiment = tmp_path / "experiment.json"
    experiment.write_text(json.dumps({"title": "t", "description": "d", "method": []}))

    code, journal, said = run(WITH_BROWNOUT, experiment, tmp_path / "run", "--scale", "0.5")

    assert code == 2
    assert journal is None
    assert "--scale" in said
    assert "Traceback" not in said


def test_an_option_of_the_chaos_toolkits_is_refused_for_ours(tmp_path: Path) -> None:
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text("title: ours\nhypothesis: it holds\nsteady-state: []\nmethod: []\n")

    code, journal, said = run(WITH_BROWNOUT, experiment, tmp_path / "run", "--dry", "actions")

    assert code == 2
    assert journal is None
    assert "--dry" in said
    assert "Traceback" not in said


def test_every_option_of_the_original_is_still_there() -> None:
    from chaostoolkit.commands.run import run as original

    from brownout.cli.run import run as ours

    assert {option for parameter in original.params for option in parameter.opts} <= {
        option for parameter in ours.params for option in parameter.opts
    }
