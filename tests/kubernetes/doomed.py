"""A run that breaks things and waits to be killed: `doomed.py NAMESPACE DESCRIPTION FOLDER [slow]`, with $KUBECONFIG.

Three things; or one link, which is made slow by our proxy.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from brownout.attachment import Attachment
from brownout.breakage import Blackhole, Delay, FailImagePull, ScaleToZero
from brownout.clock import RunClock
from brownout.fixtures.kubernetes import kubernetes
from brownout.injection import LiveSystem
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceName
from brownout.target import TargetOptions


async def main(namespace: str, description: str, folder: str, how: str = "") -> None:
    target = kubernetes.to(Attachment("restricted", namespace, Path(description)))()
    with Ledger.open() as ledger:
        ledger.begin(RunRow("doomed", current(), "kubernetes", {}, Path(folder), time.time()))
        await target.up(TargetOptions(seed=1, scale=1.0, workdir=Path(folder)), lambda _: None)
        ledger.recover_with("doomed", target.recovery())
        system = LiveSystem(target, ledger, "doomed", clock=RunClock()).watched(lambda _: None)
        gateway, inference, store = (ServiceName(name) for name in ("gateway", "inference", "store"))
        async with AsyncExitStack() as broken:
            if how == "slow":
                await broken.enter_async_context(system.link(gateway, inference).broken(Delay(latency=2.0)))
            else:
                await broken.enter_async_context(system.link(gateway, inference).broken(Blackhole()))
                await broken.enter_async_context(system.service(inference).broken(FailImagePull()))
                await broken.enter_async_context(system.service(store).broken(ScaleToZero()))
            print("broken", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
