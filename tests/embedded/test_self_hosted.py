"""The embedded target with a self-hosted main model: its topology follows from its settings."""

import asyncio
from pathlib import Path

import pytest

from brownout.breakage import LinkPlace, Reset
from brownout.errors import InvalidInput
from brownout.fixtures.embedded import EmbeddedTarget
from brownout.fixtures.embedded.data import tenants
from brownout.prepare import RunOptions, check, prepare
from brownout.reader import read_experiment
from brownout.target import TargetOptions
from tests.embedded.helpers import PATIENCE, Up, listening

REPLICAS = ("inference-1", "inference-2")
SELF_HOSTED = {"main-model.served-by": "self-hosted"}
EXPERIMENT = """\
title: T
hypothesis: H
settings: {settings}
load: {{questions: golden}}
steady-state: [availability: {{at-least: 99%}}]
method:
  - partition: {{from: gateway, to: inference-1}}
    at: 5s
    for: 5s
expect:
  during:
    - breaker: {{dependency: inference-1, becomes: open}}
"""


def test_replicas_are_part_of_it_only_where_they_are_asked_for() -> None:
    usual, hosted = EmbeddedTarget.topology_of({}), EmbeddedTarget.topology_of(SELF_HOSTED)
    assert EmbeddedTarget().topology == usual
    assert set(hosted.services) - set(usual.services) == set(REPLICAS)
    assert set(hosted.dependencies) - set(usual.dependencies) == set(REPLICAS)
    assert set(hosted.links) - set(usual.links) == {("gateway", name) for name in REPLICAS}


def test_a_third_provider_is_part_of_it_only_where_it_is_asked_for() -> None:
    usual, more = EmbeddedTarget.topology_of({}), EmbeddedTarget.topology_of({"providers.tertiary": True})
    assert set(more.services) - set(usual.services) == {"llm-tertiary"}
    assert set(more.dependencies) - set(usual.dependencies) == {"llm-tertiary"}
    assert set(more.http_links) - set(usual.http_links) == {("gateway", "llm-tertiary")}


def test_an_experiment_may_break_what_its_settings_bring_about(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(EXPERIMENT.format(settings="{main-model.served-by: self-hosted}"))
    assert check(file) == "embedded"
    file.write_text(EXPERIMENT.format(settings="{main-model.served-by: provider}"))
    with pytest.raises(InvalidInput, match="no service 'inference-1'"):
        check(file)
    options = RunOptions(settings=["main-model.served-by=self-hosted"], ports=["inference-2=7000"], runs_dir=tmp_path)
    plan = prepare(read_experiment(file), options)
    assert plan.settings == SELF_HOSTED
    assert plan.ports == {"inference-2": 7000}


@pytest.mark.process
def test_replicas_answer_and_stand_in_for_each_other_when_a_link_is_cut(tmp_path: Path) -> None:
    # Without the exact cache, so that every question reaches a replica.
    settings = {**SELF_HOSTED, "exact-cache": False}

    async def provider(up: Up) -> str:
        answer = await up.ask(tenants()[0], "What do the documents say about opening hours?")
        serving = answer.json()["serving"]
        assert serving["degradation_level"] == 0
        return str(serving["provider"])

    async def play(up: Up) -> None:
        target = up.target
        await target.up(TargetOptions(seed=1, scale=0.2, settings=settings, workdir=tmp_path), lambda _: None)
        try:
            assert {await provider(up) for _ in range(4)} == set(REPLICAS)
            assert {one.link for one in await target.counters()} == set(target.topology.links)
            place = LinkPlace("gateway", "inference-1")
            await target.inject(place, Reset(), lease="cut", ttl=30.0)
            assert {await provider(up) for _ in range(6)} == {"inference-2"}
            proof = await target.prove(place, Reset(), lease="cut")
            assert proof.works, proof.summary
            await target.heal(place, Reset(), lease="cut")
            async with asyncio.timeout(PATIENCE):
                while await provider(up) != "inference-1":
                    pass
        finally:
            running = target._running
            assert running is not None
            ports = [running.stack.ports[name] for name in REPLICAS]
            assert all(map(listening, ports))
            await target.down()
            assert not any(map(listening, ports))

    with asyncio.Runner() as runner:
        runner.run(play(Up(EmbeddedTarget(), runner)))
