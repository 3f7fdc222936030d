"""Where a game day's experiments are played: each as `chaos run` does, in a process of its own, one after the other."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from brownout import process, registry
from brownout.attachment import NOWHERE, Attachment
from brownout.errors import EXIT_ABORTED
from brownout.gameday.abort import Abort
from brownout.gameday.drill import Played, Tell
from brownout.healing import heal_runs
from brownout.ledger import Ledger, RunRow
from brownout.process import ProcessId
from brownout.toolkit import child
from brownout.units import format_seconds

HEAL_WITHIN = 1.0
"""Seconds that an aborted run is given to heal what it broke, before that is done for it."""
_LOOK_EVERY = 0.02
_LAST_WORDS = 5.0
"""Seconds for what a run has told to be read once it has ended: something that it left may hold the pipe open."""
_LONGEST_LINE = 1 << 22


class ToolkitStage:
    """A `brownout.gameday.drill.Stage`. What runs show, they show on this process's terminal themselves."""

    def __init__(
        self,
        folder: Path,
        *,
        target: str,
        scale: float,
        instance: str,
        settings: str,
        attachment: Attachment = NOWHERE,
    ) -> None:
        """
        Args:
            folder: in which run folders are made.
            target: on which everything runs.
            scale: of every experiment and of the pauses.
            instance: of the target.
            settings: path of the Chaos Toolkit's settings file.
            attachment: which running system the target is.
        """
        self.scale = scale
        self._folder = folder
        self._target = target
        self._attachment = attachment
        self._instance = instance
        self._settings = settings

    async def play(self, experiment: Path, *, abort: Abort, tell: Tell) -> Played:
        """Run one experiment. An abort is passed on as SIGTERM, on which the run heals at once; what it has not healed
        a second later is healed from the ledger, as by `chaos heal`, and the run is killed."""
        before = set(self._folder.iterdir())
        healed: str | None = None
        async with self._running(experiment, tell) as (running, listening):
            ended, asked = asyncio.ensure_future(running.wait()), asyncio.ensure_future(abort.wait())
            try:
                await asyncio.wait({ended, asked, listening}, return_when=asyncio.FIRST_COMPLETED)
                if not ended.done() and not asked.done():
                    # Nothing is told any more. Where that is our own doing, the run would wait for us to listen.
                    listening.result()
                    await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    healed = await _end(running)
                code = await ended
            finally:
                asked.cancel()
                ended.cancel()
                await asyncio.wait({asked, ended})
        made = sorted(set(self._folder.iterdir()) - before)
        # One that a signal killed was so by us, or was none of ours to begin with; the exit code says as much.
        code = EXIT_ABORTED if abort.asked is not None and healed is not None else code
        return Played(code, made[-1].resolve() if made else None, healed)

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def say(self, text: str) -> None:
        """On the terminal."""
        click.echo(text)

    @asynccontextmanager
    async def _running(
        self, experiment: Path, tell: Tell
    ) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.Task[None]]]:
        """The run's process, and who listens to it; it has ended, and all that it told has been told on, in the end."""
        ours, theirs = os.pipe()
        try:
            running = await asyncio.create_subprocess_exec(
                *child.command(self._arguments(experiment, theirs), settings=self._settings),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs,),
                start_new_session=True,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        listening = asyncio.create_task(_listen(ours, tell))
        try:
            yield running, listening
        finally:
            if running.returncode is None:
                # The drill itself is being ended: whatever the run holds then heals by its lease.
                running.kill()
                await running.wait()
            await asyncio.wait({listening}, timeout=_LAST_WORDS)
            listening.cancel()
            await asyncio.wait({listening})
        if not listening.cancelled():
            listening.result()

    def _arguments(self, experiment: Path, events: int) -> list[str]:
        run = [str(experiment), "--target", self._target, "--scale", f"{self.scale:g}", "--instance", self._instance]
        run += self._attachment.arguments
        return [*run, "--runs-dir", str(self._folder), "--events", f"/dev/fd/{events}"]


async def _listen(pipe: int, tell: Tell) -> None:
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    with os.fdopen(pipe, "rb", buffering=0) as file:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), file
        )
        try:
            while text := await reader.readline():
                with contextlib.suppress(ValueError):
                    told = json.loads(text)
                    if isinstance(told, dict):
                        await tell(told)
        finally:
            transport.close()


async def _end(running: asyncio.subprocess.Process) -> str:
    """Have an aborted run heal, or heal for it; it has ended on return. Says what became of what was broken."""
    since = time.monotonic()
    who = process.identify(running.pid)
    with contextlib.suppress(ProcessLookupError):
        running.terminate()
    if who is None:
        await running.wait()
        return "all was whole at once"
    with Ledger.open() as ledger:
        try:
            async with asyncio.timeout(HEAL_WITHIN):
                await _until_healed(ledger, who)
            took = format_seconds(time.monotonic() - since)
        except TimeoutError:
            return await _heal_for_it(ledger, who, running, since, why="it did not heal in time")
        try:
            async with asyncio.timeout(child.GRACE):
                await running.wait()
        except TimeoutError:
            return await _heal_for_it(ledger, who, running, since, why="it did not end in time")
    return f"all was whole {took} later"


async def _until_healed(ledger: Ledger, who: ProcessId) -> None:
    """Wait until nothing is broken by that process any more."""
    while (run := await _run_of(ledger, who)) is not None:
        if all(row.state == "healed" for row in await asyncio.to_thread(ledger.faults, run.id)):
            return
        await asyncio.sleep(_LOOK_EVERY)


async def _heal_for_it(
    ledger: Ledger, who: ProcessId, running: asyncio.subprocess.Process, since: float, *, why: str
) -> str:
    run = await _run_of(ledger, who)
    problems: list[str] = []
    if run is not None:
        done = await heal_runs(ledger, registry.targets().get, only=run.id, force=True)
        problems = [words for one in done if one.outcome == "broken" for words in one.did]
    with contextlib.suppress(ProcessLookupError):
        running.kill()
    await running.wait()
    took = format_seconds(time.monotonic() - since)
    if problems:
        return f"{why}, and COULD NOT BE HEALED from the ledger: {'; '.join(problems)}; see `chaos heal`"
    return f"{why}, so all was healed from the ledger, {took} later"


async def _run_of(ledger: Ledger, who: ProcessId) -> RunRow | None:
    runs = await asyncio.to_thread(ledger.open_runs)
    return next((run for run in runs if run.process == who), None)
