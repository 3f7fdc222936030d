"""A harness that breaks a link and freezes a service, and waits to be killed.

Run as a script: `doomed.py FOLDER TARGET [PROXY]`.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from brownout.clock import RunClock
from brownout.faults.freeze import freeze
from brownout.faults.partition import partition
from brownout.injection import LiveSystem
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceName
from brownout.target import TargetOptions
from brownout.targets import chosen


async def main(folder: Path, name: str, proxy: str | None = None) -> None:
    target = chosen(name, proxy=proxy)()
    with Ledger.open() as ledger:
        ledger.begin(RunRow("doomed", current(), name, {}, folder, time.time()))
        await target.up(TargetOptions(seed=1, scale=1.0, workdir=folder), lambda _: None)
        ledger.recover_with("doomed", target.recovery())
        system = LiveSystem(target, ledger, "doomed", clock=RunClock()).watched(lambda _: None)
        async with (
            partition(system, from_=ServiceName("gateway"), to=ServiceName("cache")),
            freeze(system, service=ServiceName("vector-db")),
        ):
            print(json.dumps(target.recovery()), flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:4]))
