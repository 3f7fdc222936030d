"""The Prometheus server that a run has beside it, for as long as it lasts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brownout.clock import Clock
from brownout.evidence.model import Sample
from brownout.evidence.recording import Recording
from brownout.experiment import Experiment
from brownout.plan import PrometheusPlan
from brownout.prometheus.client import Prometheus
from brownout.prometheus.crosscheck import ask_figures
from brownout.prometheus.server import OwnServer, first_scrape, own_server
from brownout.recorders.promql import follow_promql
from brownout.target import Source


@dataclass(frozen=True, slots=True)
class Beside:
    """A server that answers."""

    plan: PrometheusPlan
    client: Prometheus
    server: OwnServer | None
    """None where it is somebody else's."""

    def tasks(self, *, add: Callable[[Sample], None], clock: Clock) -> Iterator[Coroutine[Any, Any, None]]:
        """What is to run for as long as the run does, each until it is cancelled. The caller must run every one."""
        yield follow_promql(self.client, self.plan.queries, clock=clock, add=add)
        if self.server is not None:
            yield self.server.watch()

    async def cross_check(self, experiment: Experiment, recording: Recording, *, started_at: float, end: float) -> None:
        """Add what the server says of the run's figures to the evidence; arguments as of `ask_figures`.

        Raises:
            NoAnswer: the server does not answer.
        """
        for sample in await ask_figures(
            self.client, self.plan.figures, experiment, recording, started_at=started_at, end=end
        ):
            recording.add_sample(sample)


@asynccontextmanager
async def prometheus_beside(plan: PrometheusPlan, sources: Sequence[Source], folder: Path) -> AsyncIterator[Beside]:
    """Start a server of the run's own where that was asked for, or use the one that was named.

    Args:
        plan: which one.
        sources: what one of the run's own scrapes.
        folder: for its log.

    Raises:
        EnvironmentProblem: it does not start, or cannot scrape the target.
    """
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(own_server(sources, folder)) if plan.own else None
        url = plan.server if server is None else server.url
        client = await asyncio.to_thread(Prometheus, url, token=None if plan.own else plan.token, own=plan.own)
        stack.callback(client.close)
        if server is not None:
            await first_scrape(server, client)
        yield Beside(plan, client, server)
