"""What only a target knows: refused before anything starts."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from brownout.breakage import Breakage, Place
from brownout.errors import EnvironmentProblem, FaultError, InvalidInput
from brownout.fit import fit, parse_setting, prepare
from brownout.reader import parse_experiment
from brownout.system import Topology
from brownout.target import Say, Setting, Target

SOURCE = """\
title: T
hypothesis: H
settings: {breakers: off, breaker-recovery: 6s}
load: {policy: strict, questions: quick}
steady-state:
  - breaker: {dependency: llm-primary, becomes: closed}
  - level: {of: cache}
method:
  - partition: {from: gateway, to: vector-db}
    at: 10s
    for: 20s
expect:
  during: [alive]
"""


class Fit:
    def __init__(self, stand_ins: Any, topology: Topology, settings: dict[str, Setting]) -> None:
        self.stand_ins, self.topology, self.settings = stand_ins, topology, settings

    def __call__(
        self, old: str = "", new: str = "", topology: Topology | None = None, source: str = SOURCE
    ) -> dict[str, Any]:
        assert old in source
        experiment = parse_experiment(source.replace(old, new, 1), file="e.yaml", **self.stand_ins.registries)
        return fit(
            experiment,
            target_name="toy",
            topology=topology or self.topology,
            settings=self.settings,
            **self.stand_ins.registries,
        )


@pytest.fixture
def fitted(stand_ins: Any, topology: Topology, settings: dict[str, Setting]) -> Fit:
    return Fit(stand_ins, topology, settings)


def test_an_experiment_that_fits_gives_its_settings_ready_for_the_target(fitted: Fit) -> None:
    assert fitted() == {"breakers": False, "breaker-recovery": 6.0}


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        (
            "to: vector-db",
            "to: vectordb",
            "9:5",
            "no service 'vectordb'; did you mean 'vector-db'? (allowed: gateway, ",
        ),
        ("from: gateway", "from: gatway", "9:5", "no service 'gatway'; did you mean 'gateway'?"),
        (
            "from: gateway, to: vector-db",
            "from: vector-db, to: gateway",
            "9:5",
            "no link vector-db → gateway; did you mean 'gateway → vector-db'? (allowed: gateway → vector-db, ",
        ),
        ("from: gateway", "from: cache", "9:5", "no link cache → vector-db; did you mean"),
        ("partition: {from: gateway, to: vector-db}", "restart: {service: gate}", "9:5", "no service 'gate'"),
        (
            "vector-db}\n    at",
            "vector-db, manner: reset}\n    at",
            "9:5",
            "target 'toy' cannot do link.reset (fault 'partition'); it can: link.blackhole, link.delay",
        ),
        ("partition: {from: gateway, to: vector-db}", "flood: {rate: 1/s}", "9:5", "flood: breaks nothing"),
        (
            "partition: {from: gateway, to: vector-db}",
            "latency: {from: gateway, to: cache, latency: 1s, jitter: 2s}",
            "9:5",
            "latency: jitter is more than latency",
        ),
        (
            "llm-primary",
            "llm-primry",
            "6:5",
            "dependency: got 'llm-primry', which the target does not have; did you mean",
        ),
        ("steady-state:", "writes: {rate: 1/s}\nsteady-state:", "5:1", "writes: target 'toy' takes no documents while"),
        ("of: cache", "of: cash", "7:5", "of: got 'cash', which the target does not have; did you mean 'cache'?"),
        ("policy: strict", "policy: strickt", "4:16", "policy: got 'strickt', which the target does not have; did you"),
        ("questions: quick", "questions: quik", "4:35", "did you mean 'quick'? (allowed: golden, quick)"),
        ("breakers:", "breaker:", "3:12", "unknown setting 'breaker'; did you mean 'breakers'? (allowed: attempts, "),
        ("breakers: off", "breakers: 0", "3:12", "setting breakers: got 0; expected a switch (allowed: on, off, "),
        ("6s", "6", "3:27", "setting breaker-recovery: got 6; a bare number needs its unit"),
    ],
)
def test_what_the_target_does_not_have_is_told_with_its_place(
    fitted: Fit, old: str, new: str, at: str, says: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        fitted(old, new)
    told = str(caught.value)
    assert told.startswith(f"e.yaml:{at}: ")
    assert says in told
    assert "\n" not in told


STREAMS = "[{name: quiet, tier: free}, {name: spike, tenant: acme}]"
BUSY = "busy: {load: spike, tier: free}"


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        (STREAMS, "{tier: fre}", "4:14", "tier: got 'fre', which the target does not have; did you mean 'free'?"),
        (
            STREAMS,
            "{tenant: acmee}",
            "4:16",
            "tenant: got 'acmee', which the target does not have; did you mean 'acme'",
        ),
        ("name: spike", "name: spike, policy: lax", "4:57", "policy: got 'lax', which the target does not have"),
        (BUSY, "busy: {tier: fre}", "13:12", "busy: tier: got 'fre', which the target does not have; did you mean"),
        (BUSY, "busy: {load: spik}", "13:12", "no load 'spik'; did you mean 'spike'? (allowed: quiet, spike)"),
        (f"{STREAMS}\n", "{rate: 1/s}\n", "13:12", "no load 'spike'; none of its streams has a name"),
    ],
)
def test_a_stream_and_a_check_of_one_name_what_there_is(fitted: Fit, old: str, new: str, at: str, says: str) -> None:
    source = SOURCE.replace("{policy: strict, questions: quick}", STREAMS).replace("[alive]", f"[{BUSY}]")
    assert fitted(source=source)
    with pytest.raises(InvalidInput) as caught:
        fitted(old, new, source=source)
    told = [line for line in str(caught.value).splitlines() if line.startswith(f"e.yaml:{at}: ")]
    assert told
    assert says in told[0]


def test_tiers_and_tenants_that_a_target_does_not_know_in_advance_are_not_checked(
    fitted: Fit, topology: Topology
) -> None:
    source = SOURCE.replace("{policy: strict, questions: quick}", "{tier: gold, tenant: nobody}")
    assert fitted(source=source, topology=replace(topology, tiers=(), tenants=()))


def test_several_misfits_are_told_together(fitted: Fit) -> None:
    with pytest.raises(InvalidInput) as caught:
        fitted("of: cache}\nmethod:\n  - partition: {from: gateway", "of: cash}\nmethod:\n  - partition: {from: door")
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == ["e.yaml:7:5", "e.yaml:9:5"]


def test_why_a_target_cannot_do_something_is_told_where_it_knows(fitted: Fit, topology: Topology) -> None:
    lacking = replace(topology, lacking={"link.reset": "that takes another kernel"})
    with pytest.raises(InvalidInput) as caught:
        fitted("vector-db}\n    at", "vector-db, manner: reset}\n    at", topology=lacking)
    assert str(caught.value) == (
        "e.yaml:9:5: target 'toy' cannot do link.reset (fault 'partition'); that takes another kernel"
    )


def test_a_service_without_replicas_is_none_of_which_one_can_be_taken(fitted: Fit, topology: Topology) -> None:
    def told(service: str, topology: Topology) -> str:
        with pytest.raises(InvalidInput) as caught:
            fitted("partition: {from: gateway, to: vector-db}", f"eviction: {{service: {service}}}", topology=topology)
        return str(caught.value)

    assert "no service 'gateway' with replicas; none of its services has any" in told("gateway", topology)
    replicated = replace(topology, services=(*topology.services, "worker-1", "worker-2"))
    says = "eviction: target 'toy' has no service 'workr' with replicas; did you mean 'worker'? (allowed: worker)"
    assert says in told("workr", replicated)
    assert "did you mean 'worker'?" in told("worker-2", replicated)
    fitted("partition: {from: gateway, to: vector-db}", "eviction: {service: worker}", topology=replicated)


def test_a_default_that_names_a_dependency_must_be_one_of_the_targets(fitted: Fit, topology: Topology) -> None:
    assert fitted("[alive]", "[takeover: {}]")
    with pytest.raises(InvalidInput) as caught:
        fitted("[alive]", "[takeover: {}]", topology=replace(topology, dependencies=("vector-db", "openai")))
    assert "takeover: first, where it is not said: got 'llm-primary', which the target does not have" in str(
        caught.value
    )


def test_a_star_stands_for_several_dependencies_only_where_several_are_meant(fitted: Fit) -> None:
    assert fitted("[alive]", "[takeover: {of: llm-*}]")
    for wrong in ("{first: llm-*}", "{of: model-*}"):
        with pytest.raises(InvalidInput, match="which the target does not have"):
            fitted("[alive]", f"[takeover: {wrong}]")


def test_dependencies_that_a_target_does_not_know_in_advance_are_not_checked(fitted: Fit, topology: Topology) -> None:
    assert fitted("llm-primary", "anything", topology=replace(topology, dependencies=(), question_sets=()))


def test_a_fault_with_a_bug_is_called_broken(fitted: Fit) -> None:
    with pytest.raises(EnvironmentProblem, match="fault 'stumbling' is broken; against a plan it raises KeyError"):
        fitted("partition: {from: gateway, to: vector-db}", "stumbling:")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("breakers=off", "breakers", False),
        ("breakers = true", "breakers", True),
        ("breaker-recovery=500ms", "breaker-recovery", 0.5),
        ("temperature=1", "temperature", 1.0),
        ("temperature=0.25", "temperature", 0.25),
        ("attempts=3", "attempts", 3),
        ("threshold=10%", "threshold", 0.1),
        ("model=3", "model", "3"),
        ("model=a=b", "model", "a=b"),
    ],
)
def test_a_setting_of_the_command_line_is_read_as_in_a_file(
    text: str, name: str, value: object, settings: dict[str, Setting]
) -> None:
    assert parse_setting(text, settings) == (name, value)
    assert type(parse_setting(text, settings)[1]) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("breakers", "command line: setting 'breakers'; expected NAME=VALUE"),
        ("braekers=on", "command line: unknown setting 'braekers'; did you mean 'breakers'? (allowed: attempts, "),
        ("=on", "command line: unknown setting ''"),
        ("breakers=maybe", "command line: setting breakers: got 'maybe'; expected a switch (allowed: on, off"),
        ("breakers=", "command line: setting breakers: got nothing; expected a switch"),
        ("attempts=3.5", "command line: setting attempts: got 3.5; expected a whole number"),
        ("breaker-recovery=6", "command line: setting breaker-recovery: got 6; a bare number needs its unit"),
        ("model=", "command line: setting model: got ''; expected text, not an empty one"),
        ("model=" + "x" * 3000, "at most 2000 characters"),
    ],
)
def test_a_wrong_setting_of_the_command_line_is_told(text: str, says: str, settings: dict[str, Setting]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_setting(text, settings)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400


def test_what_turns_out_once_the_target_is_up_is_told_with_its_place(stand_ins: Any, topology: Topology) -> None:
    class Found:
        def __init__(self) -> None:
            self.topology = topology

        async def prepare(self, place: Place, breakage: Breakage, say: Say) -> None:
            msg = f"{place}: its Service is headless"
            raise FaultError(msg)

    experiment = parse_experiment(SOURCE, file="e.yaml", **stand_ins.registries)

    with pytest.raises(InvalidInput, match=r"e\.yaml:9:5: partition: gateway → vector-db: its Service is headless"):
        asyncio.run(prepare(experiment, cast("Target", Found()), print, faults=stand_ins.registries["faults"]))
    # One that has nothing to prepare is not asked.
    asyncio.run(prepare(experiment, cast("Target", object()), print))


def test_what_cannot_be_done_to_one_link_is_told_with_those_that_it_can_be_done_to(
    fitted: Fit, topology: Topology
) -> None:
    barred = {("gateway", "vector-db"): {"link.blackhole": "others would be hit"}}

    with pytest.raises(InvalidInput, match=r"e\.yaml:9:5: .*vector-db cannot be broken so: others would be hit"):
        fitted(topology=replace(topology, link_lacking=barred))


def test_a_target_without_settings_says_so() -> None:
    with pytest.raises(InvalidInput, match="unknown setting 'a'; this target has none"):
        parse_setting("a=b", {})


def test_a_long_list_of_settings_is_cut_but_searched_as_a_whole() -> None:
    settings = {f"worker-{n:02}.timeout": Setting("", "duration", "1s", "") for n in range(80)}
    with pytest.raises(InvalidInput) as caught:
        parse_setting("worker-79.timeuot=1s", settings)
    assert "did you mean 'worker-79.timeout'?" in str(caught.value)
    assert str(caught.value).endswith("worker-19.timeout, and 60 more)")
    assert len(caught.value.allowed) == 80
