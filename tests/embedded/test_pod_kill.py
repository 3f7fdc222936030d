"""One replica of three is killed, on real processes: the others go on, and the evidence says which it was."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from brownout.broken import BrokenSpan
from brownout.clock import RunClock
from brownout.faults.pod_kill import pod_kill
from brownout.injection import LiveSystem
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceFamily, Topology
from brownout.target import Target
from tests.embedded.victims import Victims, VictimTarget

pytestmark = pytest.mark.process

REPLICAS = ("inference-1", "inference-2", "inference-3")


def test_a_pod_kill_takes_one_replica_which_its_proof_names_and_leaves_the_others_alone(tmp_path: Path) -> None:
    async def play() -> list[str]:
        spans: list[BrokenSpan] = []
        with Ledger.open() as ledger:
            ledger.begin(RunRow("pods", current(), "embedded", {}, tmp_path, 0.0))
            # It is down for long enough to be seen down.
            async with Victims.up(tmp_path, *REPLICAS, scale=1.0) as victims:
                target = cast("Target", VictimTarget(victims, Topology(REPLICAS, (), frozenset())))
                system = LiveSystem(target, ledger, "pods", clock=RunClock(), seed=11).watched(spans.append)
                for _ in REPLICAS:
                    before = {name: await victims.answers(name) for name in REPLICAS}
                    async with pod_kill(system, service=ServiceFamily("inference")):
                        killed = str(spans[-1].place)
                        await victims.until(lambda state: state.pid is None, killed)
                        assert await victims.silent(killed)
                        for name in set(REPLICAS) - {killed}:
                            assert await victims.answers(name) == before[name]
                    assert await victims.answers(killed) != before[killed]
            ledger.end("pods")
        proofs = [span.proof for span in spans if span.proof is not None]
        assert all(proof.works for proof in proofs)
        return [proof.summary.split(":")[0] for proof in proofs]

    assert sorted(asyncio.run(play())) == list(REPLICAS)
