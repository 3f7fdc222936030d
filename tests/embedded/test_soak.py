"""A harness that is killed with SIGKILL at a random moment leaves nothing broken and nobody behind.

Twice: where everything dies with it, and where what it broke is out of its reach and only leases end it.
"""

import asyncio
import collections
import contextlib
import json
import os
import random
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import psutil
import pytest

from brownout.fixtures.embedded import EmbeddedTarget
from brownout.healing import heal_runs
from brownout.ledger import Ledger
from brownout.proxy.client import ToxiproxyClient
from tests.embedded.helpers import still_runs
from tests.embedded.victims import Talk, cgroups, states_of

Doom = TypeVar("Doom")
AT_ONCE = 8
LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)
PATIENCE = 120.0
LIVES = 1.0
"""Seconds that a harness lives at most once all at once are up. Its faults last 50 ms at most."""


@dataclass(frozen=True)
class Doomed:
    """A harness that is up."""

    pid: int
    run: str
    recovery: dict[str, Any]
    family: Sequence[psutil.Process]

    @property
    def scratch(self) -> Path:
        return Path(self.recovery["scratch"])


def told(zygote: IO[bytes], errors: Path) -> Doomed:
    """The next one that is up."""
    assert select.select([zygote], [], [], PATIENCE)[0], f"one does not come up: {errors.read_text()}"
    known = json.loads(zygote.readline())
    return Doomed(known["pid"], known["run"], known["recovery"], psutil.Process(known["pid"]).children(recursive=True))


def working_in(folder: Path) -> list[psutil.Process]:
    """Whoever works in a folder, however it got there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd().startswith(str(folder)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def survivors(doomed: Doomed) -> list[psutil.Process]:
    family = [one for one in doomed.family if still_runs(one)]
    return [*family, *working_in(doomed.scratch)]


class FarSide:
    """A supervisor whose harness is dead, with its services and its fault proxy."""

    def __init__(self, message: bytes, fds: Sequence[int]) -> None:
        known = json.loads(message)
        self.harness = known["run_pid"]
        self._links: list[int] = known["links"]
        self._proxy = ToxiproxyClient(known["control"], token="token")
        self._commands, self._events = os.fdopen(fds[0], "wb", buffering=0), os.fdopen(fds[1], "rb")
        self._held = list(fds[2:])

    def close(self) -> None:
        """Let the supervisor end. Done again, it does nothing."""
        self._commands.close()
        self._events.close()
        while self._held:
            os.close(self._held.pop())

    def states(self) -> dict[str, Any]:
        for pipe in (self._commands, self._events):
            os.set_blocking(pipe.fileno(), True)  # the harness, which had them otherwise, is dead
        self._commands.write(json.dumps({"do": "states", "id": "successor"}).encode() + b"\n")
        for line in self._events:
            with contextlib.suppress(ValueError):  # the harness died over the first half of it
                told = json.loads(line)
                if told.get("id") == "successor":
                    return cast("dict[str, Any]", told)
        msg = "the supervisor is gone"
        raise AssertionError(msg)

    def held(self) -> list[str]:
        """What is broken."""
        proxies = self._proxy.proxies().values()
        toxics = [name for one in proxies for name in one.toxics()]
        shut = [one.name for one in proxies if not one.enabled]
        return [*self.states()["leases"], *self._proxy.leases(), *toxics, *shut]

    def whole(self, scratch: Path) -> None:
        """Assert that every service is as it was, and that traffic flows on every link."""
        for port in self._links:
            try:
                asyncio.run(flows(port))
            except TimeoutError:
                services = self.states()["services"]
                seen = {one["pid"]: states_of(one["pid"]) for one in services if one["pid"] is not None}
                pytest.fail(f"no traffic on port {port} of {self._links}: {services}, {seen}, held {self.held()}")
        usual = [resource.getrlimit(one) for one in LIMITS]
        for service in self.states()["services"]:
            pid = service["pid"]
            assert not service["paused"]
            assert "T" not in states_of(pid)
            assert [resource.prlimit(pid, one) for one in LIMITS] == usual
        assert cgroups(scratch) == []


async def flows(port: int) -> None:
    """Wait until the victim behind a link answers: its restart may be due."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                talk = await Talk.to(port)
                try:
                    await talk("pid", patience=5.0)
                finally:
                    await talk.close()
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return


def one_by_one(these: Sequence[Doom], rng: random.Random) -> Iterator[Doom]:
    """Each at a random moment of the time that a harness has to live."""
    started = time.monotonic()
    # By a number first, so that two are never compared.
    for at, _, one in sorted((rng.uniform(0.0, LIVES), number, one) for number, one in enumerate(these)):
        time.sleep(max(started + at - time.monotonic(), 0.0))
        yield one


@pytest.mark.run
@pytest.mark.parametrize("deaths", [AT_ONCE, pytest.param(200, marks=pytest.mark.long)])
def test_what_a_killed_harness_broke_out_of_its_reach_is_whole_when_the_leases_have_lapsed(
    tmp_path: Path, deaths: int
) -> None:
    rng = random.Random(8)
    states: collections.Counter[str] = collections.Counter()
    held = 0
    slowest = 0.0
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    argv = [sys.executable, "-m", "tests.embedded.erratic", str(tmp_path), str(theirs.fileno())]
    errors = tmp_path / "errors"
    with (
        ours,
        theirs,
        contextlib.ExitStack() as sides,
        errors.open("wb") as stderr,
        subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0, pass_fds=[theirs.fileno()]
        ) as zygote,
        Ledger.open() as book,
    ):
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        for first in range(0, deaths, AT_ONCE):
            batch = range(first, min(first + AT_ONCE, deaths))
            zygote.stdin.write("".join(f"{seed}\n" for seed in batch).encode())
            dooms = {one.pid: one for one in (told(zygote.stdout, errors) for _ in batch)}
            far = [FarSide(message, fds) for message, fds, *_ in (socket.recv_fds(ours, 65536, 64) for _ in batch)]
            killed = {}
            for one in far:
                sides.callback(one.close)
            for one in one_by_one(far, rng):
                os.kill(one.harness, signal.SIGKILL)
                killed[one.harness] = time.monotonic()
                states.update(fault.state for fault in book.faults(dooms[one.harness].run)[-3:])
                held += bool(one.held())
            for one in far:
                while left := one.held():
                    assert time.monotonic() < killed[one.harness] + 60.0, left
                    time.sleep(0.05)
                slowest = max(slowest, time.monotonic() - killed[one.harness])
            for one in far:
                one.whole(dooms[one.harness].scratch)
                one.close()
            ended = time.monotonic()
            while left_over := [one for doomed in dooms.values() for one in survivors(doomed)]:
                assert time.monotonic() < ended + 60.0, left_over
                time.sleep(0.05)
            healed = asyncio.run(heal_runs(book, lambda _: EmbeddedTarget))
            assert {one.outcome for one in healed} == {"healed"}
            assert book.open_runs() == []
            assert not any(doomed.scratch.exists() for doomed in dooms.values())
        zygote.stdin.close()
    # A busy machine may hold one up for longer than its leases last.
    assert [line for line in errors.read_text().splitlines() if "lapsed" not in line] == []
    print(
        f"{deaths} deaths; faults at that moment: {dict(states)}; {held} held some; all lapsed within {slowest:.1f} s"
    )
    # Most held something when they died, and nobody but their leases ended it. Of a few, chance may spare some.
    assert held > (deaths / 2 if deaths > AT_ONCE else 0)


@pytest.mark.run
@pytest.mark.parametrize("deaths", [AT_ONCE, pytest.param(200, marks=pytest.mark.long)])
def test_killing_the_harness_at_random_moments_leaves_no_fault_and_no_process(tmp_path: Path, deaths: int) -> None:
    rng = random.Random(7)
    states: collections.Counter[str] = collections.Counter()
    slowest = 0.0
    argv = [sys.executable, "-m", "tests.embedded.erratic", str(tmp_path)]
    errors = tmp_path / "errors"
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0) as zygote,
        Ledger.open() as book,
    ):
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        for first in range(0, deaths, AT_ONCE):
            batch = range(first, min(first + AT_ONCE, deaths))
            zygote.stdin.write("".join(f"{seed}\n" for seed in batch).encode())
            dooms = [told(zygote.stdout, errors) for _ in batch]
            for doomed in one_by_one(dooms, rng):
                for pid in (doomed.pid, doomed.recovery["supervisor"]["pid"]):
                    assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE, errors.read_text()
                os.kill(doomed.pid, signal.SIGKILL)
            killed = time.monotonic()
            while left := [one for doomed in dooms for one in survivors(doomed)]:
                assert time.monotonic() < killed + 60.0, left
                time.sleep(0.05)
            slowest = max(slowest, time.monotonic() - killed)
            for doomed in dooms:
                states.update(fault.state for fault in book.faults(doomed.run)[-3:])
            healed = asyncio.run(heal_runs(book, lambda _: EmbeddedTarget))
            assert {one.outcome for one in healed} == {"healed"}
            # The supervisor had done it all by itself.
            assert [did for one in healed for did in one.did] == []
            assert book.open_runs() == []
            for doomed in dooms:
                assert {fault.state for fault in book.faults(doomed.run)} <= {"healed"}
                assert not doomed.scratch.exists()
                assert cgroups(doomed.scratch) == []
        zygote.stdin.close()
    # Up to its death each did what it was told to, without trouble.
    assert errors.read_text() == ""
    print(f"{deaths} deaths; faults at that moment: {dict(states)}; all gone within {slowest:.1f} s")
    # They died while something was about to be broken, and while something was.
    if deaths > AT_ONCE:
        assert states["on"] > deaths / 2
        assert states["intended"] > 0
