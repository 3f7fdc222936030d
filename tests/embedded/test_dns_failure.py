"""A service's name that does not resolve: at the links' own nameserver, and felt by the reference stack."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.resolver
import httpx
import pytest

from brownout.breakage import FailDns, LinkPlace
from brownout.errors import FaultError, InvalidInput
from brownout.evidence.model import Proof
from brownout.fixtures.embedded import EmbeddedTarget, machine
from brownout.fixtures.embedded.data import tenants
from brownout.fixtures.embedded.links import Links
from brownout.fixtures.embedded.ports import HOST
from brownout.fixtures.embedded.processes import until
from brownout.prepare import check
from tests.embedded.helpers import Up
from tests.embedded.wire import PATIENCE_S, PLACE, PROVIDER, Wire, provider_behind_a_link

QUESTION = "What do the documents say about opening hours?"


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with provider_behind_a_link(tmp_path_factory.mktemp("links")) as wire:
        yield wire


@contextlib.asynccontextmanager
async def failing(links: Links, answer: Any, **given: Any) -> AsyncIterator[FailDns]:
    breakage = FailDns(answer=answer, **given)
    await links.inject(PLACE, breakage, lease="lease", ttl=60.0)
    try:
        yield breakage
    finally:
        await links.heal("lease")


async def proof_of(wire: Wire, breakage: FailDns) -> Proof:
    return await wire.links.prove(PLACE, breakage, lease="lease")


@pytest.mark.process
@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        ("nxdomain", dns.resolver.NXDOMAIN),
        ("servfail", dns.resolver.NoNameservers),
        ("refused", dns.resolver.NoNameservers),
        ("timeout", dns.exception.Timeout),
    ],
)
def test_a_name_that_fails_is_proved_by_who_asks_and_healed_at_once(wire: Wire, answer: str, raised: Any) -> None:
    async def play() -> None:
        assert await wire.address() == HOST
        async with failing(wire.links, answer) as breakage:
            unasked = await proof_of(wire, breakage)
            assert not unasked.works
            with pytest.raises(raised):
                await wire.address(lifetime=1.0 if answer == "timeout" else PATIENCE_S)
            proof = await proof_of(wire, breakage)
            assert proof.works
            # Who gets no answer in time asks again.
            told = re.match(
                r"gateway → llm-primary: (\d+) of \1 queries for its name failed or were late", proof.summary
            )
            assert told is not None, proof.summary
            assert int(told[1]) >= 1
        assert await wire.address() == HOST
        await wire.links.heal("lease")

    wire.runner.run(play())


@pytest.mark.process
def test_an_answer_may_be_late_or_lead_nowhere(wire: Wire) -> None:
    async def play() -> None:
        async with failing(wire.links, "slow", delay=0.3) as breakage:
            began = time.monotonic()
            assert await wire.address() == HOST
            assert time.monotonic() - began >= 0.3
            assert (await proof_of(wire, breakage)).works
        async with failing(wire.links, "wrong-address"):
            wrong = await wire.address()
            assert wrong != HOST
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(wrong, wire.port)

    wire.runner.run(play())


@pytest.mark.process
def test_it_ends_by_itself_when_nobody_renews_its_lease(wire: Wire) -> None:
    async def play() -> None:
        async with failing(wire.links, "nxdomain"):
            with pytest.raises(dns.resolver.NXDOMAIN):
                await wire.address()
            await wire.links.renew("lease", ttl=0.3)

            async def is_back() -> bool:
                with contextlib.suppress(dns.resolver.NXDOMAIN):
                    return await wire.address() == HOST
                return False

            async with asyncio.timeout(PATIENCE_S):
                await until(is_back, every=0.05)
            with pytest.raises(FaultError, match="lapsed"):
                await wire.links.renew("lease", ttl=1.0)

    wire.runner.run(play())


@pytest.mark.process
@pytest.mark.parametrize("drain", [True, False])
def test_connections_that_are_kept_are_closed_only_where_that_is_asked_for(wire: Wire, drain: bool) -> None:
    async def play() -> None:
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(base_url=wire.url, trust_env=False, limits=limits) as client:
            assert (await client.get("/health/ready")).status_code == 200
            async with failing(wire.links, "nxdomain", drain=drain) as breakage:
                assert (await client.get("/health/ready")).status_code == 200
                assert (await client.get("/health/ready")).status_code == 200
                figures = (await proof_of(wire, breakage)).figures
        assert (figures.get("drained_connections", 0) > 0) == drain
        assert (figures["connections_opened"] > 0) == drain

    wire.runner.run(play())


EXPERIMENT = """\
title: T
hypothesis: H
load: {questions: golden}
steady-state: [availability: {at-least: 99%}]
method:
  - dns_failure: {from: gateway, to: vector-db}
    at: 5s
    for: 5s
expect:
  during:
    - availability: {at-least: 99%}
"""


def test_a_link_without_a_name_is_refused_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(EXPERIMENT)
    with pytest.raises(InvalidInput, match=r"gateway → vector-db no host name is resolved.*gateway → llm-primary"):
        check(file)
    file.write_text(EXPERIMENT.replace("vector-db", "embedding"))
    assert check(file) == "embedded"


def test_without_dnspython_there_are_no_names_and_the_fault_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "resolves_names", lambda: False)
    machine.lacking.cache_clear()
    try:
        assert EmbeddedTarget.topology_of({}).named_links == ()
        file = tmp_path / "e.yaml"
        file.write_text(EXPERIMENT.replace("vector-db", "embedding"))
        with pytest.raises(InvalidInput, match=r"cannot do link\.dns_failure.*dnspython is missing: pip install"):
            check(file)
    finally:
        machine.lacking.cache_clear()


def test_what_the_gateway_finds_by_name_it_is_told_by_name() -> None:
    target = EmbeddedTarget.topology_of({"main-model.served-by": "self-hosted"})
    assert target.named_links == target.http_links
    assert len(target.named_links) == 5


@pytest.mark.process
@pytest.mark.long
@pytest.mark.parametrize(
    ("to", "answer", "given", "level"),
    [
        # The second provider answers.
        (PROVIDER, "nxdomain", {}, 0),
        (PROVIDER, "timeout", {}, 0),
        (PROVIDER, "wrong-address", {}, 0),
        (PROVIDER, "slow", {"delay": 0.3}, 0),
        # Nothing stands in for the embedding service but the ladder.
        ("embedding", "servfail", {}, 1),
    ],
)
def test_its_users_get_what_stands_in_and_all_comes_back(
    up: Up, to: str, answer: Any, given: dict[str, Any], level: int
) -> None:
    place, breakage = LinkPlace("gateway", to), FailDns(answer=answer, **given)

    async def answered(question: str = QUESTION) -> tuple[str, int]:
        answer = await up.ask(tenants()[0], question)
        assert answer.status_code == 200, answer.text
        serving = answer.json()["serving"]
        return serving["provider"], serving["degradation_level"]

    async def play() -> None:
        # What stands in on the first rung of the ladder.
        assert await answered() == (PROVIDER, 0)
        await up.target.inject(place, breakage, lease="lease", ttl=60.0)
        try:
            stands_in = "llm-secondary" if to == PROVIDER and answer != "slow" else PROVIDER

            async def is_felt() -> bool:
                # A cached answer lets connections be opened for a second.
                found = await answered()
                proof = await up.target.prove(place, breakage, lease="lease")
                return proof.works and found == (stands_in, level)

            async with asyncio.timeout(PATIENCE_S):
                await until(is_felt, every=0.1)
        finally:
            await up.target.heal(place, breakage, lease="lease")

        async def is_well() -> bool:
            return await answered() == (PROVIDER, 0)

        async with asyncio.timeout(PATIENCE_S):
            await until(is_well, every=0.1)

    up.runner.run(play())
