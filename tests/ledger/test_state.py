"""Where state is kept, and who holds a target."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from brownout.errors import EnvironmentProblem, InvalidInput
from brownout.process import current, identify
from brownout.state import hold_target, state_dir


def test_the_state_folder_is_private_and_made_on_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "a" / "state"))
    assert state_dir() == tmp_path / "a" / "state"
    assert state_dir().stat().st_mode & 0o777 == 0o700


def test_without_its_own_variable_the_state_folder_follows_the_xdg_convention(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BROWNOUT_STATE_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_dir() == tmp_path / "brownout"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert state_dir() == tmp_path / "home/.local/state/brownout"


def test_a_state_folder_that_cannot_be_made_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "file" / "state"))
    with pytest.raises(EnvironmentProblem, match="set BROWNOUT_STATE_DIR to another one"):
        state_dir()


def test_a_second_run_on_a_held_target_is_told_who_holds_it(state: Path) -> None:
    with (
        hold_target("embedded", "default", "run-1"),
        pytest.raises(EnvironmentProblem) as refused,
        hold_target("embedded", "default", "run-2"),
    ):
        pytest.fail("held twice")
    message = str(refused.value)
    assert f"target embedded (instance default) is in use by run run-1 (pid {os.getpid()}, since " in message
    assert "--instance NAME" in message
    with hold_target("embedded", "default", "run-3"):
        assert "run-3" in (state / "locks/embedded-default.lock").read_text()


def test_two_instances_of_a_target_are_held_independently(state: Path) -> None:
    with hold_target("embedded", "default", "run-1"), hold_target("embedded", "second", "run-2"):
        holders = [json.loads(lock.read_text())["run"] for lock in sorted((state / "locks").iterdir())]
    assert holders == ["run-1", "run-2"]


@pytest.mark.parametrize("name", ["", "../other", "a/b", ".hidden", "x" * 65])
def test_an_instance_name_that_is_no_file_name_is_refused(state: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="no name for an instance"), hold_target("embedded", name, "run-1"):
        pytest.fail("held")
    assert not (state / "locks").exists()


@pytest.mark.process
def test_a_holder_that_is_killed_holds_no_more(state: Path) -> None:
    code = (
        "import sys; from brownout.state import hold_target\n"
        "with hold_target('embedded', 'default', 'doomed'): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(EnvironmentProblem, match="in use by run doomed"), hold_target("embedded", "default", "x"):
            pytest.fail("held twice")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with hold_target("embedded", "default", "next"):
        pass


@pytest.mark.process
def test_a_process_is_known_by_its_start_not_by_its_pid_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        known = identify(child.pid)
        assert known is not None
        assert known.alive()
        assert known.started != current().started
        child.kill()
        child.wait()
        assert not known.alive()
    assert current().alive()
