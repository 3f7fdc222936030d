"""What Brownout keeps on this machine between runs: the ledger, and who holds which target."""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from brownout.errors import EnvironmentProblem, InvalidInput
from brownout.targets import has_instances, lock_name

_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def state_dir() -> Path:
    """Where it is kept, made private if need be.

    `$BROWNOUT_STATE_DIR`, else `brownout` below `$XDG_STATE_HOME`, else `~/.local/state/brownout`
    (https://specifications.freedesktop.org/basedir-spec/latest/).

    Raises:
        EnvironmentProblem: it cannot be made or written to.
    """
    if own := os.environ.get("BROWNOUT_STATE_DIR"):
        folder = Path(own)
    elif base := os.environ.get("XDG_STATE_HOME"):
        folder = Path(base) / "brownout"
    else:
        folder = Path("~/.local/state/brownout").expanduser()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as problem:
        msg = f"the state folder {folder} cannot be made: {problem.strerror}; set BROWNOUT_STATE_DIR to another one"
        raise EnvironmentProblem(msg) from problem
    if not writable:
        msg = f"the state folder {folder} cannot be written to; set BROWNOUT_STATE_DIR to another one"
        raise EnvironmentProblem(msg)
    return folder


@contextmanager
def hold_target(name: str, instance: str, run: str) -> Iterator[None]:
    """Hold one instance of a target for one run. The kernel releases it when this process ends, however it ends.

    Raises:
        EnvironmentProblem: another run holds it; says which.
        InvalidInput: that is no name for an instance.
    """
    _check_instance(instance)
    several = has_instances(name)
    way_out = "wait for it" + (", or give this run its own with --instance NAME" if several else "")
    with _hold(lock_name(name, instance), run, taken=_held(name, instance), way_out=way_out):
        yield


@contextmanager
def hold_for_drill(name: str, instance: str, drill: str) -> Iterator[None]:
    """Hold one instance of a target for a whole game day, the pauses between its runs included, against other ones.

    Raises:
        EnvironmentProblem: another game day holds it; says which.
        InvalidInput: that is no name for an instance.
    """
    _check_instance(instance)
    lock, way_out = f"gameday-{lock_name(name, instance)}", "a target has one game day at a time"
    with _hold(lock, drill, taken=_held(name, instance), way_out=way_out):
        yield


def _held(name: str, instance: str) -> str:
    return f"target {name}" + (f" (instance {instance})" if has_instances(name) else "")


def _check_instance(instance: str) -> None:
    if not _INSTANCE.fullmatch(instance):
        problem = f"{instance!r} is no name for an instance: use up to 64 letters, digits, '.', '_' and '-'"
        raise InvalidInput(problem)


@contextmanager
def _hold(lock: str, run: str, *, taken: str, way_out: str) -> Iterator[None]:
    locks = state_dir() / "locks"
    try:
        locks.mkdir(mode=0o700, exist_ok=True)
        # Not inherited by what we start (PEP 446): a service that outlived us would go on holding the target.
        descriptor = os.open(locks / f"{lock}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        msg = f"the state folder {locks} cannot be written to: {error.strerror}; set BROWNOUT_STATE_DIR to another one"
        raise EnvironmentProblem(msg) from error
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"{taken} is in use by {_holder(file.read())}; {way_out}"
            raise EnvironmentProblem(msg) from error
        file.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"run": run, "pid": os.getpid(), "since": since}, file)
        file.flush()
        yield


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        since = datetime.fromisoformat(holder["since"]).astimezone()
        return f"run {holder['run']} (pid {holder['pid']}, since {since:%Y-%m-%d %H:%M:%S})"
    except (ValueError, KeyError):
        # It holds the lock and has not yet written who it is.
        return "another run"
