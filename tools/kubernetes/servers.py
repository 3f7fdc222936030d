"""Server processes that end with whoever started them, each with a log of its own."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

_GRACE_S = 5.0
_POLL_S = 0.1


class Failed(Exception):
    """The cluster cannot be had; the message says why."""


class Servers:
    """What was started."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.logs = logs
        self._running: dict[str, tuple[subprocess.Popen[bytes], signal.Signals]] = {}

    def start(self, name: str, argv: Sequence[str], *, end: signal.Signals = signal.SIGTERM) -> subprocess.Popen[bytes]:
        """Start one that can be told something by its standard input, and is ended by this signal."""
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                # When this process is gone, however it went. An API server that is asked to end waits for requests, and
                # for minutes where etcd has ended before it.
                ["setpriv", "--pdeathsig", "KILL", *argv],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the command; the servers outlast it, and are ended by us.
                start_new_session=True,
            )
        self._running[name] = process, end
        return process

    def until(self, what: str, there: Callable[[], bool], *, within: float) -> None:
        """Wait for something that they do.

        Raises:
            Failed: one of them ended before, or it took more than `within` seconds.
        """
        end = time.monotonic() + within
        while not there():
            self.look()
            if time.monotonic() > end:
                logs = ", ".join(str(self.logs / f"{name}.log") for name in self._running)
                msg = f"{what} took more than {within:.0f} s (logs, kept with --logs DIR: {logs})"
                raise Failed(msg)
            time.sleep(_POLL_S)

    def look(self) -> None:
        """Raise `Failed` where one has ended, with the end of its log."""
        for name, (process, _) in self._running.items():
            if (code := process.poll()) is not None:
                msg = f"{name} ended with status {code}:\n{self.tail(name)}"
                raise Failed(msg)

    def tail(self, name: str, lines: int = 15) -> str:
        """The end of a log."""
        return "\n".join((self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def end(self) -> None:
        """End all, at once: none of them has anything to keep."""
        for process, how in self._running.values():
            with suppress(ProcessLookupError):
                process.send_signal(how)
        for process, _ in self._running.values():
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
