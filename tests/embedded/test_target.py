"""The embedded target, whole: real services, real faults, nothing left behind."""

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from brownout.breakage import Blackhole, Breakage, Delay, Freeze, LinkPlace, Reset, ServicePlace
from brownout.broken import BrokenSpan
from brownout.clock import RunClock
from brownout.errors import EnvironmentProblem, FaultError
from brownout.faults.partition import partition
from brownout.fixtures.embedded import EmbeddedTarget
from brownout.fixtures.embedded.data import tenants
from brownout.fixtures.embedded.target import TOPOLOGY
from brownout.injection import LiveSystem
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceName
from brownout.target import TargetFactory, TargetOptions
from tests.embedded.helpers import PATIENCE, Up, descendants, listening

pytestmark = pytest.mark.process

PLACE = LinkPlace("gateway", "vector-db")
QUESTION = "What do the documents say about opening hours?"


class Melt(Breakage):
    """Something that no target can do."""

    kind: ClassVar[str] = "link.melt"


async def level(up: Up, tenant: str) -> int:
    answer = await up.ask(tenant, QUESTION)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["serving"]["degradation_level"])


async def fresh(up: Up, tenant: str = "") -> None:
    """Wait for an answer that is not degraded: on a busy machine one may be."""
    async with asyncio.timeout(PATIENCE):
        while await level(up, tenant or tenants()[0]) != 0:
            pass


def test_the_class_is_its_own_factory() -> None:
    factory: TargetFactory = EmbeddedTarget
    assert factory.name == "embedded"
    assert factory.check() == []
    settings = factory.settings()
    assert settings["breaker"].type == "switch"
    assert settings["vector-db.timeout"].type == "duration"
    assert settings["vector-db.timeout"].default == "500ms"


def test_every_tenant_is_answered_afresh_from_its_own_documents(up: Up) -> None:
    async def play() -> None:
        for tenant in tenants():
            await fresh(up, tenant)
            serving = (await up.ask(tenant, QUESTION)).json()["serving"]
            assert serving["retrieval"] == "dense+keyword"

    up.runner.run(play())


@pytest.mark.parametrize("breakage", [Blackhole(), Reset()])
def test_a_severed_link_degrades_answers_is_proved_by_figures_and_is_whole_after_the_heal(
    up: Up, breakage: Breakage
) -> None:
    async def play() -> None:
        tenant = tenants()[0]
        await up.target.inject(PLACE, breakage, lease="severed", ttl=30.0)
        assert await level(up, tenant) == 1
        proof = await up.target.prove(PLACE, breakage, lease="severed")
        assert proof.works, proof.summary
        assert proof.figures["upstream_bytes"] == proof.figures["downstream_bytes"] == 0
        assert proof.figures["upstream_swallowed" if isinstance(breakage, Blackhole) else "resets"] > 0
        await up.target.heal(PLACE, breakage, lease="severed")
        await up.target.heal(PLACE, breakage, lease="severed")
        await fresh(up)

    up.runner.run(play())


def test_delayed_answers_are_late_and_counted(up: Up) -> None:
    async def play() -> None:
        breakage = Delay(latency=0.2, jitter=0.05)
        place = LinkPlace("gateway", "llm-primary")
        await up.target.inject(place, breakage, lease="late", ttl=30.0)
        started = time.monotonic()
        answer = await up.ask(tenants()[0], QUESTION)
        assert time.monotonic() - started >= 0.15
        assert answer.status_code == 200
        proof = await up.target.prove(place, breakage, lease="late")
        await up.target.heal(place, breakage, lease="late")
        assert proof.works
        assert proof.figures["delayed_chunks"] > 0

    up.runner.run(play())


def test_a_fault_on_a_link_that_nobody_used_is_not_proved(up: Up) -> None:
    async def play() -> None:
        place = LinkPlace("gateway", "llm-secondary")
        await up.target.inject(place, Blackhole(), lease="idle", ttl=30.0)
        proof = await up.target.prove(place, Blackhole(), lease="idle")
        await up.target.heal(place, Blackhole(), lease="idle")
        assert not proof.works
        assert "0 connections opened" in proof.summary

    up.runner.run(play())


def test_a_fault_ends_by_itself_when_its_lease_is_not_renewed(up: Up) -> None:
    async def play() -> None:
        tenant = tenants()[0]
        await up.target.inject(PLACE, Reset(), lease="lapsing", ttl=30.0)
        assert await level(up, tenant) == 1
        await up.target.renew("lapsing", ttl=0.6)
        await fresh(up)
        with pytest.raises(FaultError, match="lapsed before it was renewed"):
            await up.target.renew("lapsing", ttl=5.0)
        # The attempt must not have made a new lease of that name.
        with pytest.raises(FaultError, match="lapsed before it was renewed"):
            await up.target.renew("lapsing", ttl=5.0)

    up.runner.run(play())


def test_a_place_or_a_breakage_that_the_target_cannot_do_is_refused_and_leaves_nothing(up: Up) -> None:
    async def play() -> None:
        for place in (LinkPlace("gateway", "nowhere"), LinkPlace("cache", "gateway")):
            with pytest.raises(FaultError, match="has no link"):
                await up.target.inject(place, Reset(), lease="odd", ttl=5.0)
        with pytest.raises(FaultError, match="has no service nowhere"):
            await up.target.inject(ServicePlace("nowhere"), Freeze(), lease="odd", ttl=5.0)
        with pytest.raises(FaultError, match=r"cannot do link\.reset to a service"):
            await up.target.inject(ServicePlace("cache"), Reset(), lease="odd", ttl=5.0)
        with pytest.raises(FaultError, match=r"cannot do link\.melt"):
            await up.target.inject(PLACE, Melt(), lease="odd", ttl=5.0)
        await fresh(up)

    up.runner.run(play())


def test_a_partition_through_the_live_system_is_written_down_renewed_proved_and_healed(up: Up, state: Path) -> None:
    async def play() -> None:
        tenant = tenants()[0]
        spans: list[BrokenSpan] = []
        errors: list[str] = []
        with Ledger.open() as ledger:
            ledger.begin(RunRow("run-1", current(), "embedded", up.target.recovery(), Path(), time.time()))
            live = LiveSystem(
                up.target, ledger, "run-1", clock=RunClock(), on_error=errors.append, ttl=1.2, renew_every=0.2
            )
            system = live.watched(spans.append)
            async with partition(system, from_=ServiceName("gateway"), to=ServiceName("vector-db"), manner="reset"):
                until = time.monotonic() + 2.5  # more than two leases' time
                while time.monotonic() < until:
                    assert await level(up, tenant) == 1
                assert [fault.state for fault in ledger.faults("run-1")] == ["on"]
            await fresh(up)
            assert [fault.state for fault in ledger.faults("run-1")] == ["healed"]
        assert errors == []
        assert spans[-1].proof is not None
        assert spans[-1].proof.works
        assert spans[-1].off is not None
        assert spans[-1].off - spans[-1].on >= 2.5

    up.runner.run(play())


def test_every_link_counts_and_the_memory_of_all_processes_is_told(up: Up) -> None:
    async def play() -> None:
        before = {one.link: one for one in await up.target.counters()}
        assert set(before) == set(up.target.topology.links)
        await level(up, tenants()[0])
        after = {one.link: one for one in await up.target.counters()}
        for link in (("gateway", "vector-db"), ("gateway", "embedding"), ("gateway", "llm-primary")):
            assert after[link].upstream_bytes > before[link].upstream_bytes
            assert after[link].downstream_bytes > before[link].downstream_bytes
        usage = await up.target.usage()
        assert usage.processes >= 9  # this one, the supervisor, the proxy, and six services
        assert 100 * 2**20 < usage.memory < 1.5 * 2**30

    up.runner.run(play())


def test_what_this_machine_does_not_let_us_do_is_no_capability_and_has_a_reason() -> None:
    topology = EmbeddedTarget().topology
    assert not topology.lacking.keys() & topology.capabilities
    assert topology.lacking.keys() | topology.capabilities == TOPOLOGY.capabilities
    assert all(topology.lacking.values())


def test_what_another_process_needs_to_undo_it_holds_no_secret(up: Up) -> None:
    door = up.target.door()
    sources = up.target.sources()
    written = str(up.target.recovery()) + repr(door) + repr(sources)
    secrets = [caller.token for caller in door.callers] + [source.token for source in sources if source.token]
    assert len(secrets) == 3 * len(tenants()) + 1
    assert not any(secret in written for secret in secrets)


def test_no_secret_stands_in_a_command_line_or_in_a_file_that_others_can_read(up: Up) -> None:
    recovery = up.target.recovery()
    running = up.target._running
    assert running is not None
    secrets = running.credentials.all()
    for process in descendants(recovery["supervisor"]["pid"]):
        words = " ".join(process.cmdline())
        assert not any(secret in words for secret in secrets)
    for file in Path(recovery["scratch"]).rglob("*"):
        if file.is_file() and file.stat().st_mode & 0o077:
            content = file.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), file


def test_going_down_leaves_no_process_no_port_and_no_file(tmp_path: Path) -> None:
    left: list[Path] = []

    async def play() -> None:
        target = EmbeddedTarget()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            fixed = probe.getsockname()[1]
        options = TargetOptions(seed=1, scale=1.0, workdir=tmp_path, ports={"gateway": fixed})
        started = time.monotonic()
        await target.up(options, lambda _: None)
        came_up = time.monotonic() - started
        assert target.door().url == f"http://127.0.0.1:{fixed}"
        recovery = target.recovery()
        processes = [psutil.Process(recovery["supervisor"]["pid"]), *descendants(recovery["supervisor"]["pid"])]
        ports = [one.laddr.port for process in processes for one in process.net_connections() if one.status == "LISTEN"]
        assert len(ports) >= 12  # six services, five links, the proxy's control port
        started = time.monotonic()
        await target.down()
        went_down = time.monotonic() - started
        await target.down()
        assert not any(process.is_running() for process in processes)
        assert not any(listening(port) for port in ports)
        left.append(Path(recovery["scratch"]))
        # 3 s and 0.3 s on two cores of its own; the bounds leave room for a busy machine.
        assert came_up < PATIENCE
        assert went_down < 15.0

    asyncio.run(play())
    assert [scratch.exists() for scratch in left] == [False]
    assert {log.suffix for log in tmp_path.iterdir()} == {".log"}


def test_a_fixed_port_that_is_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    before = set(descendants(os.getpid()))

    async def play() -> None:
        with socket.create_server(("127.0.0.1", 0)) as busy:
            port = busy.getsockname()[1]
            options = TargetOptions(seed=1, scale=1.0, workdir=tmp_path, ports={"vector-db": port})
            with pytest.raises(EnvironmentProblem, match=f"port {port} for vector-db is in use"):
                await EmbeddedTarget().up(options, lambda _: None)

    asyncio.run(play())
    assert list(tmp_path.iterdir()) == []
    assert set(descendants(os.getpid())) == before


def test_a_service_that_cannot_start_is_told_by_name_and_nothing_is_left(tmp_path: Path) -> None:
    before = set(descendants(os.getpid()))

    async def play() -> None:
        options = TargetOptions(seed=1, scale=1.0, workdir=tmp_path, settings={"no-such-setting": 1})
        with pytest.raises(EnvironmentProblem, match=r"did not start: it exited with status 2\n.*no-such-setting"):
            await EmbeddedTarget().up(options, lambda _: None)

    asyncio.run(play())
    assert set(descendants(os.getpid())) == before


def test_coming_up_can_be_cancelled_and_leaves_nothing(tmp_path: Path) -> None:
    before = set(descendants(os.getpid()))

    async def play() -> None:
        said: asyncio.Queue[str] = asyncio.Queue()
        options = TargetOptions(seed=1, scale=1.0, workdir=tmp_path)
        task = asyncio.create_task(EmbeddedTarget().up(options, said.put_nowait))
        await said.get()
        await asyncio.sleep(0.5)  # some services run by now and some do not
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(play())
    assert set(descendants(os.getpid())) == before
