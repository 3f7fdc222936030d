"""The reference stack as it runs in an experiment, but without fault proxies: its services speak to each other."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from brownout.fixtures.embedded import data, postgres, valkey
from brownout.fixtures.embedded.credentials import Credentials
from brownout.fixtures.embedded.ports import HOST, HeldPorts
from brownout.fixtures.embedded.postgres import Postgres
from brownout.fixtures.embedded.processes import Supervised
from brownout.fixtures.embedded.stack import DEPENDENCIES, EMBEDDING, GATEWAY, PROVIDERS, SERVICES, Stack
from brownout.fixtures.embedded.valkey import Valkey
from brownout.target import Caller, TargetOptions

__all__ = ["Running", "running"]

_READY_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that is warm: where its gateway is, who may ask, and the process of each service."""

    gateway: str
    callers: tuple[Caller, ...]
    pids: Mapping[str, int]


@asynccontextmanager
async def running(settings: Mapping[str, str | float | int | bool]) -> AsyncIterator[Running]:
    """Start every service, load the corpus and warm all of it up; end it with the block.

    Raises `EnvironmentProblem`, or an exception group of them, where something does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        held = HeldPorts()
        ports = held.hold(SERVICES, {})
        credentials = Credentials.draw(data.tenants())
        options = TargetOptions(seed=1, scale=1.0, settings=settings, workdir=Path(folder))
        supervised = Supervised(options.workdir, credentials.all())
        try:
            await supervised.open()
            database = Postgres(supervised.scratch, port=ports[postgres.NAME], password=credentials.database)
            cache = Valkey(supervised.scratch, port=ports[valkey.NAME], password=credentials.cache)
            tokens = supervised.scratch / "tokens.json"
            credentials.write_tokens(tokens, data.USE_CASES)
            stack = Stack(
                options,
                ports,
                addresses={name: f"{HOST}:{ports[name]}" for name in DEPENDENCIES},
                authorities={postgres.NAME: database.authority, valkey.NAME: cache.authority},
                tokens=str(tokens),
            )
            async with httpx.AsyncClient(trust_env=False, timeout=_READY_TIMEOUT) as client:
                async with asyncio.TaskGroup() as group:
                    group.create_task(database.up(supervised))
                    group.create_task(cache.up(supervised))
                    for service in (EMBEDDING, *PROVIDERS, GATEWAY):
                        group.create_task(stack.up(service, supervised, client))
                gateway = stack.url(GATEWAY)
                await data.load(client, gateway, admin=credentials.admin)
                await data.warm(client, gateway, [stack.url(name) for name in PROVIDERS], credentials.callers)
            pids = {name: supervised.services[name].process.pid for name in SERVICES}
            yield Running(gateway, credentials.callers, pids)
        finally:
            await supervised.close()
            held.release()
