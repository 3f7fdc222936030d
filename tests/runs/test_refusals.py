"""What is refused before anything starts: exit 2, one clear message, no traceback, nothing left behind."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from brownout.cli.run import run
from tests.runs.commandline import EXPERIMENTS, Chaos

pytestmark = pytest.mark.process
SHIPPED = str(EXPERIMENTS / "vector_db_partition.yaml")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--target", "embeded"], ["unknown target 'embeded'", "did you mean 'embedded'?"]),
        (["--scale", "0"], ["--scale", "between"]),
        (["--scale", "fast"], ["--scale", "'fast'"]),
        (["--seed", "-1"], ["--seed"]),
        (["--set", "fallback=off"], ["fallback", "did you mean 'fallbacks'?"]),
        (["--set", "fallbacks=maybe"], ["fallbacks", "maybe"]),
        (["--set", "fallbacks"], ["NAME=VALUE"]),
        (["--set", "vector-db.timeout=5"], ["vector-db.timeout", "unit"]),
        (["--port", "gateway"], ["SERVICE=PORT"]),
        (["--port", "gateway=0"], ["between 1 and 65535"]),
        (["--port", "gateway=0000070000"], ["between 1 and 65535"]),
        (["--port", "gateway=8080", "--port", "cache=8080"], ["given before"]),
        (["--port", "gatway=8080"], ["unknown service 'gatway'", "did you mean 'gateway'?"]),
        (["--runs-dir", "/proc/nowhere"], ["/proc/nowhere", "--runs-dir"]),
        (["--prometheus", "localhost:9090"], ["--prometheus", "http://127.0.0.1:9090", "auto"]),
        (["--prometheus", "http://me:hidden@localhost"], ["BROWNOUT_PROMETHEUS_TOKEN"]),
        (["--prometheus", "http://127.0.0.1:9"], ["Prometheus at http://127.0.0.1:9 did not answer"]),
        (["--journal-path", "/nowhere/journal.json"], ["/nowhere/journal.json", "there is no folder /nowhere"]),
        (["--journal-path", "/"], ["the journal cannot be written to /", "it is a folder"]),
        (["--nonsense"], ["--nonsense"]),
    ],
)
def test_a_wrong_option_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], expected: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    # In this process: that an exit code and a message get out of theirs, the tests below show.
    refused = CliRunner().invoke(run, [SHIPPED, *options], obj={"settings_path": str(tmp_path / "none.yaml")})

    assert refused.exit_code == 2, refused.output
    assert refused.stdout == ""
    assert "Traceback" not in refused.stderr
    for text in expected:
        assert text in refused.stderr
    assert not Path("runs").exists()


def test_promql_that_needs_a_server_is_refused_where_there_is_none(
    chaos: Chaos, edited: Callable[[str, str], Path]
) -> None:
    path = edited("  after:\n", "  after:\n    - metric: {promql: 'sum(rate(answers_total[5s]))', at-least: 1}\n")

    code, _, said = chaos("run", str(path))

    assert code == 2
    assert f"{path}:" in said
    assert "--prometheus URL" in said
    assert chaos("validate", str(path))[0] == 0


def test_a_missing_file_is_refused(chaos: Chaos) -> None:
    code, _, said = chaos("run", "experiments/vector_db_partitoin.yaml")

    assert code == 2
    assert "vector_db_partitoin.yaml" in said
    assert "Traceback" not in said


def test_a_typo_is_told_with_its_place(chaos: Chaos, edited: Callable[[str, str], Path]) -> None:
    path = edited("- partition:", "- partitoin:")

    for command in ("run", "validate", "compile"):
        code, _, said = chaos(command, str(path))
        assert code == 2
        assert f"{path}:15:5: " in said
        assert "did you mean 'partition'?" in said


def test_a_place_that_the_target_does_not_have_is_told(chaos: Chaos, edited: Callable[[str, str], Path]) -> None:
    path = edited("to: vector-db}", "to: vectordb}")

    for command in ("run", "validate"):
        code, _, said = chaos(command, str(path))
        assert code == 2
        assert f"{path}:15:" in said
        assert "did you mean 'vector-db'?" in said


def test_an_abort_condition_that_could_never_fire_is_refused(chaos: Chaos, edited: Callable[[str, str], Path]) -> None:
    path = edited("over: 5s", "over: 1s")

    for command in ("run", "validate"):
        code, _, said = chaos(command, str(path))
        assert code == 2
        assert f"{path}:29:" in said
        assert "could never fire" in said


def test_a_runs_folder_that_is_a_file_is_refused(chaos: Chaos) -> None:
    chaos.folder.mkdir()
    (chaos.folder / "runs").write_text("a file")

    code, _, said = chaos("run", SHIPPED)

    assert code == 2
    assert "run folder" in said
    assert "Traceback" not in said


def test_a_port_in_use_is_refused_by_name(chaos: Chaos) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, _, said = chaos("run", SHIPPED, "--port", f"gateway={port}")

    assert code == 2
    assert str(port) in said
    assert "gateway" in said
    assert "Traceback" not in said
    assert list((chaos.folder / "runs").iterdir()) == []


@pytest.mark.run
def test_a_second_run_on_the_same_target_is_refused_and_told_who_holds_it(chaos: Chaos) -> None:
    first = chaos.start("run", SHIPPED, "--scale", "0.3")
    first.wait_for("bring up")

    code, _, said = chaos("run", SHIPPED, "--scale", "0.3")

    assert code == 2
    assert "in use" in said
    assert str(first.process.pid) in said
    assert "--instance" in said
    first.process.terminate()
    assert first.finish() == 4
