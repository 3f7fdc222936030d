"""What goes through Toxiproxy: which faults it can do, how they are proved, and that they end. No engine is needed."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from brownout.breakage import (
    Blackhole,
    Breakage,
    Corrupt,
    Delay,
    DropConnections,
    LinkPlace,
    Reset,
    Slice,
    SlowClose,
    StallTls,
    Throttle,
    Truncate,
)
from brownout.cli.validate import validate
from brownout.errors import EnvironmentProblem, FaultError, InvalidInput
from brownout.fit import fit
from brownout.fixtures.docker import DockerTarget
from brownout.fixtures.docker.toxiproxy import ToxiproxyTarget
from brownout.fixtures.docker.toxiproxy.canary import Answer, ask, question_for
from brownout.fixtures.docker.toxiproxy.links import ToxiproxyLinks
from brownout.fixtures.docker.toxiproxy.proofs import prove
from brownout.fixtures.docker.toxiproxy.toxics import LACKING, toxics_of
from brownout.fixtures.embedded.controlled import Route
from brownout.proxy.client import ControlError, ToxiproxyClient
from brownout.reader import parse_experiment
from brownout.targets import chosen
from tests.runs.commandline import EXPERIMENTS
from tools.toxiproxy import Unavailable, binaries

LINK = ("gateway", "cache")
PLACE = LinkPlace(*LINK)
PATIENCE = 20.0
REFUSED = {
    "deadline_propagation": {"link.provider_failure"},
    "dns_failure": {"link.dns_failure"},
    "failover_chain": {"link.provider_failure"},
    "gpu_oom": {"service.exhaust_gpu_memory"},
    "hysteresis_no_flapping": {"link.reset.cycle"},
    "llm_provider_outage": {"link.provider_failure"},
    "provider_rate_limit": {"link.provider_failure"},
    "retry_storm": {"link.provider_failure"},
    "stream_stall": {"link.provider_failure"},
    "warm_standby": {"link.provider_failure"},
}
"""Of the catalogue, and what of it cannot be done."""
SEVERAL = """\
title: More than Toxiproxy can do
hypothesis: It is refused, all of it, before anything starts.
load: {rate: 20/s}
steady-state:
  - availability: {at-least: 99%}
method:
  - corrupt: {from: gateway, to: cache, share: 1%}
    at: 5s
    for: 5s
  - latency: {from: gateway, to: cache, latency: 1s, course: ramp, period: 2s}
    at: 15s
    for: 5s
  - partition: {from: gateway, to: cache, direction: to, cycle: 2s}
    at: 25s
    for: 5s
  - partition: {from: gateway, to: cache, direction: to}
    at: 35s
    for: 5s
  - disk_full: {service: vector-db}
    at: 45s
    for: 5s
duration: 60s
expect:
  during:
    - availability: {at-least: 90%}
"""


# -- what it can do, and what not ------------------------------------------------------------------------------------


def fitted(text: str, file: str) -> None:
    fit(
        parse_experiment(text, file=file),
        target_name="docker",
        topology=ToxiproxyTarget.topology_of({"feature-flags": True, "main-model.served-by": "self-hosted"}),
        settings=ToxiproxyTarget.settings(),
    )


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_of_the_catalogue_what_toxiproxy_cannot_do_is_refused_by_name(path: Path) -> None:
    if (lacking := REFUSED.get(path.stem)) is None:
        fitted(path.read_text(), path.name)
        return
    with pytest.raises(InvalidInput) as caught:
        fitted(path.read_text(), path.name)
    for what in lacking:
        assert f"target 'docker' cannot do {what} (fault " in str(caught.value)


def test_all_that_it_cannot_do_is_told_at_once_with_the_fault_the_place_in_the_file_and_the_reason() -> None:
    with pytest.raises(InvalidInput) as caught:
        fitted(SEVERAL, "several.yaml")

    assert str(caught.value).splitlines() == [
        f"several.yaml:{line}:5: target 'docker' cannot do {what} (fault {fault!r}); {LACKING[what]}"
        for line, what, fault in (
            (7, "link.corrupt", "corrupt"),
            (10, "link.delay.ramp", "latency"),
            (13, "link.blackhole.cycle", "partition"),
            (19, "service.fill_disk", "disk_full"),
        )
    ]


def test_validate_says_so_with_exit_code_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether there is an engine is not what is asked here.
    monkeypatch.setattr(DockerTarget, "check", classmethod(lambda _: []))
    path = tmp_path / "several.yaml"
    path.write_text(SEVERAL)
    arguments = ("--target", "docker", "--proxy", "toxiproxy")

    refused = CliRunner().invoke(validate, [str(path), *arguments])
    valid = CliRunner().invoke(validate, [str(EXPERIMENTS / "vector_db_partition.yaml"), *arguments])

    assert refused.exit_code == 2
    assert f"{path}:7:5: target 'docker' cannot do link.corrupt (fault 'corrupt'); {LACKING['link.corrupt']}" in (
        refused.output
    )
    assert valid.exit_code == 0
    assert valid.output.endswith("is valid for the docker target, through toxiproxy\n")


def test_whatever_the_fault_proxy_can_do_and_toxiproxy_cannot_has_a_reason() -> None:
    own, through = DockerTarget.topology_of({}), ToxiproxyTarget.topology_of({})

    assert own.capabilities - through.capabilities == LACKING.keys() == through.lacking.keys()
    assert through.capabilities < own.capabilities


def test_a_proxy_is_chosen_by_name_on_the_target_that_has_the_choice() -> None:
    assert chosen("docker", proxy="toxiproxy") is ToxiproxyTarget
    assert chosen("docker", proxy="fault-proxy") is chosen("docker") is DockerTarget
    with pytest.raises(InvalidInput, match=r"no such proxy; did you mean 'toxiproxy'\? \(allowed: fault-proxy, tox"):
        chosen("docker", proxy="toxyproxy")
    with pytest.raises(InvalidInput, match=r"target 'embedded' go through .* only \(target 'docker' has the choice\)"):
        chosen("embedded", proxy="toxiproxy")


def test_a_chaos_toolkit_experiment_does_not_know_the_option(tmp_path: Path) -> None:
    path = tmp_path / "theirs.json"
    path.write_text('{"title": "theirs", "description": "", "method": []}')

    ended = CliRunner().invoke(validate, [str(path), "--proxy", "toxiproxy"])

    assert ended.exit_code == 2
    assert "which does not know --proxy" in ended.output


@pytest.mark.parametrize(
    ("breakage", "toxics"),
    [
        (Blackhole(), [("timeout", "upstream", {}), ("timeout", "downstream", {})]),
        (Blackhole(direction="to"), [("timeout", "upstream", {})]),
        (Blackhole(direction="from"), [("timeout", "downstream", {})]),
        (Reset(), [("reset_peer", "upstream", {}), ("reset_peer", "downstream", {})]),
        (Delay(latency=0.5, jitter=0.1), [("latency", "downstream", {"latency": 500, "jitter": 100})]),
        (Throttle(rate=2e4), [("bandwidth", "upstream", {"rate": 20}), ("bandwidth", "downstream", {"rate": 20})]),
        (SlowClose(delay=1.0), [("slow_close", one, {"delay": 1000}) for one in ("upstream", "downstream")]),
        (
            Slice(size=8, variation=2, delay=0.01),
            [("slicer", "downstream", {"average_size": 8, "size_variation": 2, "delay": 10_000})],
        ),
        (Truncate(after=64), [("limit_data", "downstream", {"bytes": 64})]),
    ],
)
def test_a_breakage_is_these_toxics(breakage: Breakage, toxics: list[tuple[str, str, dict[str, int]]]) -> None:
    found = toxics_of(breakage)

    assert [(one.type, one.stream, dict(one.attributes)) for one in found] == toxics
    assert all(one.schedule is None for one in found)


@pytest.mark.parametrize(
    "breakage", [Corrupt(share=0.1), DropConnections(first=1), StallTls(), Reset(cycle=1.0), Delay(1.0, course="ramp")]
)
def test_of_the_others_there_are_none(breakage: Breakage) -> None:
    with pytest.raises(FaultError, match="oxiproxy"):
        toxics_of(breakage)


# -- what proves them ------------------------------------------------------------------------------------------------

ANSWERED, LATE, SILENT, ENDED = (
    Answer("answered", 0.01),
    Answer("answered", 0.5),
    Answer("silent", 1.0),
    Answer("ended", 0.01),
)


@pytest.mark.parametrize(
    ("breakage", "answers", "works"),
    [
        (Blackhole(), [SILENT, SILENT], True),
        (Blackhole(), [SILENT, ANSWERED], False),
        (Blackhole(), [ENDED], False),
        (Reset(), [ENDED], True),
        (Reset(), [ENDED, ANSWERED], False),
        (Reset(), [SILENT], False),
        (Delay(latency=0.5), [LATE, LATE], True),
        (Delay(latency=0.5), [LATE, ANSWERED], False),
        (Delay(latency=0.5), [SILENT, ENDED], False),
        (Delay(latency=0.6, jitter=0.2), [LATE], True),
        (Throttle(rate=1e4), [ANSWERED], True),
        (Throttle(rate=1e4), [SILENT], False),
        (Truncate(after=0), [ENDED], True),
    ],
)
def test_a_canary_that_tells_otherwise_is_no_proof(breakage: Breakage, answers: list[Answer], works: bool) -> None:
    assert prove(PLACE, breakage, wanted=["a"], standing=["a", "b"], answers=answers).works == works
    assert not prove(PLACE, breakage, wanted=["a"], standing=["a"], answers=[]).works
    gone = prove(PLACE, breakage, wanted=["a", "c"], standing=["a"], answers=answers)
    assert not gone.works
    assert "Toxiproxy has no c on it any more" in gone.summary


@pytest.mark.parametrize("service", ["vector-db", "cache", "embedding", "llm-primary", "inference-1"])
def test_a_question_is_one_that_needs_no_credentials(service: str) -> None:
    assert question_for(service) in (b"\0\0\0\x08\x04\xd2\x16\x2f", b"PING\r\n") or b" /health/ready " in question_for(
        service
    )


# -- a real Toxiproxy, as a process ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A Toxiproxy of our own, and the URL of its API."""
    try:
        program = binaries().server
    except Unavailable as why:
        pytest.skip(str(why))
    port = _free_port()
    with subprocess.Popen([program, "-port", str(port)], stdout=subprocess.DEVNULL) as process:
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Wire:
    """One link, and a server behind it that answers each question with a kilobyte."""

    links: ToxiproxyLinks
    client: ToxiproxyClient
    name: str

    @property
    def listen(self) -> str:
        return str(self.client.get_proxy(self.name).listen)

    async def ask(self, patience: float = PATIENCE) -> Answer:
        return await ask(self.listen, b"PING\r\n", patience=patience)

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.listen.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    def toxics(self) -> list[dict[str, Any]]:
        return self.client.toxics(self.name)

    @contextlib.asynccontextmanager
    async def broken(self, breakage: Breakage) -> AsyncIterator[None]:
        await self.links.inject(PLACE, breakage, lease="a", ttl=60.0)
        try:
            yield
        finally:
            await self.links.heal("a")

    async def renewed_in_vain(self, lease: str) -> None:
        """Until that is refused."""
        async with asyncio.timeout(PATIENCE):
            while True:
                await self.links.renew(lease, ttl=0.0)
                await asyncio.sleep(0.02)

    async def until_proved(self, breakage: Breakage) -> str:
        async with asyncio.timeout(PATIENCE):
            while not (proof := await self.links.prove(PLACE, breakage, lease="a")).works:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return proof.summary


@contextlib.asynccontextmanager
async def wired(url: str, client: ToxiproxyClient | None = None) -> AsyncIterator[Wire]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(1000):
                writer.write(bytes(1000))
                await writer.drain()
        writer.close()

    served = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = served.sockets[0].getsockname()
    client, links = client or ToxiproxyClient(url), ToxiproxyLinks()
    name = f"link-{port}"
    await links.connect(client, {LINK: Route(name, listen="127.0.0.1:0", upstream=f"{host}:{port}")})
    try:
        yield Wire(links, client, name)
    finally:
        await links.close()
        await asyncio.to_thread(client.destroy_all)
        served.close()


@pytest.mark.parametrize(
    "breakage",
    [
        Blackhole(),
        Blackhole(direction="to"),
        Blackhole(direction="from"),
        Reset(),
        Delay(latency=0.05, jitter=0.01),
        Throttle(rate=1e5),
        SlowClose(delay=0.05),
        Slice(size=100, variation=10, delay=0.001),
        Truncate(after=10),
    ],
    ids=str,
)
def test_a_fault_is_proved_while_it_is_on_and_gone_once_it_is_healed(
    server: tuple[object, str], breakage: Breakage
) -> None:
    async def play() -> None:
        async with wired(server[1]) as wire:
            assert (await wire.ask()).outcome == "answered"
            assert not (await wire.links.prove(PLACE, breakage, lease="a")).works
            async with wire.broken(breakage):
                assert len(wire.toxics()) == len(toxics_of(breakage))
                assert "Toxiproxy has the" in await wire.until_proved(breakage)
            assert wire.toxics() == []
            assert (await wire.ask()).outcome == "answered"
            await wire.links.heal("a")

    asyncio.run(play())


def test_connections_that_are_open_meet_it_too(server: tuple[object, str]) -> None:
    async def play() -> None:
        async with wired(server[1]) as wire:
            reader, writer = await wire.dial()
            writer.write(b"x")
            await reader.readexactly(1000)
            async with wire.broken(Blackhole()):
                writer.write(b"x")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await reader.readexactly(1)
            writer.close()
            reader, writer = await wire.dial()
            writer.write(b"x")
            await reader.readexactly(1000)
            async with wire.broken(Reset()), asyncio.timeout(PATIENCE):
                # Though nothing is sent on it.
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read(1) == b""
                writer.close()

    asyncio.run(play())


def test_what_is_not_renewed_ends_by_itself(server: tuple[object, str]) -> None:
    async def play() -> None:
        async with wired(server[1]) as wire:
            await wire.links.inject(PLACE, Blackhole(), lease="a", ttl=60.0)
            await wire.links.renew("a", ttl=60.0)
            assert len(wire.toxics()) == 2
            await wire.links.inject(PLACE, Delay(latency=0.05), lease="b", ttl=0.05)
            with pytest.raises(FaultError, match="lapsed"):
                await wire.renewed_in_vain("b")
            assert len(wire.toxics()) == 2
            await wire.links.heal("a")

    asyncio.run(play())


def test_what_could_not_be_healed_is_healed_when_its_lease_ends(server: tuple[object, str]) -> None:
    class Deaf(ToxiproxyClient):
        deaf = True

        def remove_toxic(self, proxy: str, toxic: str) -> None:
            if self.deaf:
                msg = "no answer"
                raise ControlError(msg)
            super().remove_toxic(proxy, toxic)

    async def play() -> None:
        client = Deaf(server[1])
        async with wired(server[1], client) as wire:
            await wire.links.inject(PLACE, Blackhole(), lease="a", ttl=0.2)
            with pytest.raises(FaultError, match="no answer"):
                await wire.links.heal("a")
            client.deaf = False
            async with asyncio.timeout(PATIENCE):
                while wire.toxics():  # noqa: ASYNC110 - it has to be asked
                    await asyncio.sleep(0.02)

    asyncio.run(play())


def test_a_link_that_is_shut_refuses_until_it_is_opened_or_nobody_renews_it(server: tuple[object, str]) -> None:
    async def play() -> None:
        async with wired(server[1]) as wire:
            await wire.links.shut("cache", ttl=60.0)
            await wire.links.shut("cache", ttl=60.0)
            assert (await wire.ask()).outcome == "ended"
            await wire.links.open("cache")
            assert (await wire.ask()).outcome == "answered"
            wire.client.disable(wire.name)
            await wire.links.open("cache")
            assert (await wire.ask()).outcome == "answered"
            await wire.links.shut("cache", ttl=0.05)
            async with asyncio.timeout(PATIENCE):
                while (await wire.ask()).outcome != "answered":  # noqa: ASYNC110 - it has to be asked
                    await asyncio.sleep(0.02)

    asyncio.run(play())


def test_a_reset_does_not_open_a_link_that_is_shut(server: tuple[object, str]) -> None:
    async def play() -> None:
        async with wired(server[1]) as wire:
            await wire.links.shut("cache", ttl=60.0)
            async with wire.broken(Reset()):
                assert not wire.client.get_proxy(wire.name).enabled
            await wire.links.open("cache")

    asyncio.run(play())


def test_an_injection_that_is_cancelled_leaves_nothing(server: tuple[object, str]) -> None:
    async def play() -> None:
        async with wired(server[1]) as wire:
            for moment in (0.0, 0.001, 0.003, 0.01):
                task = asyncio.create_task(wire.links.inject(PLACE, Blackhole(), lease="a", ttl=60.0))
                await asyncio.sleep(moment)
                task.cancel()
                await asyncio.wait({task})
                if not task.cancelled():
                    await wire.links.heal("a")
                assert wire.toxics() == []

    asyncio.run(play())


def test_what_somebody_else_removed_is_not_proved(server: tuple[object, str]) -> None:
    async def play() -> None:
        async with wired(server[1]) as wire, wire.broken(Blackhole()):
            await wire.until_proved(Blackhole())
            wire.client.remove_toxic(wire.name, "a.timeout.upstream")
            proof = await wire.links.prove(PLACE, Blackhole(), lease="a")
            assert not proof.works
            assert "no a.timeout.upstream on it any more" in proof.summary

    asyncio.run(play())


def test_a_toxiproxy_that_is_gone_is_an_error_and_not_a_fault_that_is_on(server: tuple[object, str]) -> None:
    async def play() -> None:
        async with wired(server[1]) as wire:
            wire.client.destroy_all()
            with pytest.raises(FaultError, match="proxy not found"):
                await wire.links.inject(PLACE, Blackhole(), lease="a", ttl=60.0)
            with pytest.raises(FaultError, match="lapsed"):
                await wire.links.renew("a", ttl=60.0)
            with pytest.raises(FaultError, match="no link gateway → flags"):
                await wire.links.inject(LinkPlace("gateway", "flags"), Blackhole(), lease="a", ttl=60.0)

    asyncio.run(play())


def test_a_network_that_this_machine_cannot_reach_is_told_before_anything_is_broken(server: tuple[object, str]) -> None:
    class Elsewhere(ToxiproxyClient):
        def create(self, *args: Any, **how: Any) -> Any:
            made = super().create(*args, **how)
            made.listen = f"127.0.0.1:{_free_port()}"
            return made

    async def play() -> None:
        client = Elsewhere(server[1])
        try:
            with pytest.raises(EnvironmentProblem, match="cannot reach the containers' network"):
                await ToxiproxyLinks().connect(client, {LINK: Route("far", listen="127.0.0.1:0", upstream="x:1")})
        finally:
            client.destroy_all()

    asyncio.run(play())
