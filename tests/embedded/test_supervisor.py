"""Services live exactly as long as the run does."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from brownout.errors import EnvironmentProblem, FaultError
from brownout.fixtures.embedded import supervisor
from brownout.fixtures.embedded.processes import SUPERVISOR, Spec, Supervised, environment
from brownout.fixtures.embedded.undo import recovery_of, undo
from brownout.process import ProcessId
from tests.embedded.helpers import PATIENCE, all_end

pytestmark = pytest.mark.process

WAITS = "import sys, time; print('ready', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True)\n" + WAITS
PARENT = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
    "print(child.pid, flush=True); time.sleep(600)"
)


def python(name: str, code: str, *, said: bool = True, secret: str = "") -> Spec:
    return Spec(name, [sys.executable, "-c", code], env=environment(SECRET=secret), said=said)


def with_supervisor(play: Callable[[Supervised], Awaitable[None]], logs: Path, secrets: tuple[str, ...] = ()) -> None:
    async def run() -> None:
        supervised = Supervised(logs, secrets)
        await supervised.open()
        try:
            await play(supervised)
        finally:
            await supervised.close()

    asyncio.run(run())


def test_a_service_runs_in_its_own_session_and_its_end_is_told(tmp_path: Path) -> None:
    async def play(supervised: Supervised) -> None:
        service = await supervised.start(python("one", "print('hello'); input(); raise SystemExit(3)"))
        assert await service.lines.get() == "hello"
        assert os.getsid(service.process.pid) == service.process.pid
        os.kill(service.process.pid, signal.SIGKILL)
        assert await service.ended == -signal.SIGKILL
        again = await supervised.start(python("one", "raise SystemExit(3)"))
        assert await again.ended == 3

    with_supervisor(play, tmp_path)


def test_closing_ends_every_service_and_whatever_it_started_and_removes_the_scratch_folder(tmp_path: Path) -> None:
    left: list[int] = []

    async def play(supervised: Supervised) -> None:
        parent = await supervised.start(python("parent", PARENT))
        grandchild = int(await parent.lines.get())
        other = await supervised.start(python("other", WAITS))
        await other.lines.get()
        assert supervised.process is not None
        assert supervised.scratch.is_dir()
        left.extend([grandchild, parent.process.pid, other.process.pid, supervised.process.pid])
        started = time.monotonic()
        await supervised.close()
        # Who ends when asked to is not waited for any longer than that takes.
        assert time.monotonic() - started < supervisor.GRACE
        assert not supervised.scratch.exists()

    with_supervisor(play, tmp_path)
    assert len(left) == 4
    assert not any(psutil.pid_exists(pid) for pid in left)


def test_a_service_that_ignores_its_signal_or_is_paused_is_killed_after_the_grace(tmp_path: Path) -> None:
    async def play(supervised: Supervised) -> None:
        stubborn = await supervised.start(python("stubborn", STUBBORN))
        paused = await supervised.start(python("paused", WAITS))
        for service in (stubborn, paused):
            await service.lines.get()
        os.kill(paused.process.pid, signal.SIGSTOP)
        started = time.monotonic()
        await supervised.close()
        assert supervisor.GRACE <= time.monotonic() - started < 5 * supervisor.GRACE
        assert not psutil.pid_exists(stubborn.process.pid)
        assert not psutil.pid_exists(paused.process.pid)

    with_supervisor(play, tmp_path)


def test_services_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    async def play(supervised: Supervised) -> None:
        service = await supervised.start(python("one", STUBBORN))
        await service.lines.get()
        process = psutil.Process(service.process.pid)
        assert supervised.process is not None
        os.kill(supervised.process.pid, signal.SIGKILL)
        assert await service.ended == -signal.SIGKILL
        assert all_end([process], within=PATIENCE)
        with pytest.raises(EnvironmentProblem, match="the supervisor is gone"):
            await supervised.start(python("two", WAITS))
        # Nobody was left to remove it: that is what `chaos heal` is for.
        recovery = recovery_of(supervised)
        assert supervised.scratch.is_dir()
        assert undo(recovery) == [f"removed {supervised.scratch}"]
        assert not supervised.scratch.exists()
        assert undo(recovery) == []

    with_supervisor(play, tmp_path)


def test_a_supervisor_that_dies_of_a_mistake_says_why_in_its_log_and_in_the_error(tmp_path: Path) -> None:
    async def play(supervised: Supervised) -> None:
        supervised.keep(["nobody"], scale=1.0)
        with pytest.raises(FaultError, match=r"(?s)the supervisor is gone.*KeyError: 'nobody'"):
            await supervised.ask("states")
        log = tmp_path / "supervisor.log"
        assert "KeyError" in log.read_text()
        assert stat.S_IMODE(log.stat().st_mode) == 0o600

    with_supervisor(play, tmp_path)


def test_closing_after_the_supervisor_was_killed_removes_the_scratch_folder(tmp_path: Path) -> None:
    async def play(supervised: Supervised) -> None:
        service = await supervised.start(python("one", WAITS))
        assert supervised.process is not None
        os.kill(supervised.process.pid, signal.SIGKILL)
        await service.ended
        await supervised.close()
        assert not supervised.scratch.exists()

    with_supervisor(play, tmp_path)


def test_undoing_ends_a_supervisor_that_still_runs_and_touches_no_process_that_is_another(tmp_path: Path) -> None:
    async def play(supervised: Supervised) -> None:
        service = await supervised.start(python("one", WAITS))
        await service.lines.get()
        assert supervised.process is not None
        mistaken = {"pid": os.getpid(), "started": "an earlier boot/1"}
        recovery = {**recovery_of(supervised), "services": {"one": mistaken}}
        did = await asyncio.to_thread(undo, recovery)
        assert did == [f"ended the supervisor (pid {supervised.process.pid})"]
        assert not service.process.alive()
        assert not supervised.scratch.exists()

    with_supervisor(play, tmp_path)


def test_undoing_removes_no_folder_that_is_not_a_scratch_folder(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").touch()
    nobody = ProcessId(2**22 + 1, "never")
    written = {"pid": nobody.pid, "started": nobody.started}
    with pytest.raises(Exception, match="still there"):
        undo({"scratch": str(mine), "supervisor": written, "services": {}})
    assert (mine / "precious").exists()


def test_a_service_that_dies_while_it_is_waited_for_is_told_with_the_end_of_its_log_and_without_secrets(
    tmp_path: Path,
) -> None:
    async def play(supervised: Supervised) -> None:
        code = "import os, sys; sys.exit('cannot work with ' + os.environ['SECRET'])"
        service = await supervised.start(python("one", code, said=False, secret="hush-hush"))
        with pytest.raises(EnvironmentProblem) as told:
            await service.outlive(asyncio.Event().wait(), timeout=PATIENCE)
        assert str(told.value) == "one did not start: it exited with status 1\n    cannot work with …"

    with_supervisor(play, tmp_path, ("hush-hush",))


def test_a_service_that_takes_too_long_is_told(tmp_path: Path) -> None:
    async def play(supervised: Supervised) -> None:
        service = await supervised.start(python("one", WAITS))
        with pytest.raises(EnvironmentProblem, match=r"it was not ready after 0\.05 s"):
            await service.outlive(asyncio.Event().wait(), timeout=0.05)

    with_supervisor(play, tmp_path)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def play(supervised: Supervised) -> None:
        with pytest.raises(EnvironmentProblem, match=r"ghost could not be started: .*No such file"):
            await supervised.start(Spec("ghost", ["/nowhere/to/be/found"], env={}))

    with_supervisor(play, tmp_path)


def test_the_supervisor_needs_little_time_to_start(tmp_path: Path) -> None:
    def takes(*argv: str) -> float:
        started = time.perf_counter()
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            process.stdout.readline()
            took = time.perf_counter() - started
            process.stdin.close()
        return took

    # In turns with an interpreter that does nothing: whatever else the machine does slows both.
    bare = (sys.executable, "-I", "-S", "-c", "print(flush=True); input()")
    both = [(takes(*SUPERVISOR, str(tmp_path)), takes(*bare, "")) for _ in range(7)]
    ours, least = (min(times) for times in zip(*both, strict=True))
    # 37 ms against 12 ms where nothing else runs.
    assert ours < 8 * least + 0.1


def test_no_secret_or_proxy_of_the_users_environment_reaches_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("HTTP_PROXY", "http://example.invalid")
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert environment(OWN="1").items() >= {"OWN": "1", "LANG": "C.UTF-8"}.items()
    assert not {"AWS_SECRET_ACCESS_KEY", "HTTP_PROXY"} & environment().keys()
