"""Whether what a plan's experiments would break stays within its blast radius."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from brownout import registry
from brownout.breakage import CorruptVectors, Kill, Place, ProviderFailure, Reach, Reset, ServicePlace
from brownout.cli.gameday import gameday
from brownout.errors import Location
from brownout.experiment import Step
from brownout.fit import planned
from brownout.gameday.plan import BlastRadius
from brownout.gameday.radius import UNSTATED, beyond, beyond_radius, limits_nothing
from brownout.gameday.reader import read_plan
from brownout.system import Plan, Topology
from brownout.units import Duration, Share
from tests.gameday.plans import TEXT, written

TOPOLOGY = Topology(
    services=("gateway", "store", "llm", "inference-1", "inference-2", "inference-3", "inference-4"),
    links=(("gateway", "store"), ("gateway", "llm")),
    capabilities=frozenset({"link.blackhole", "link.provider_failure", "service.kill", "data.corrupt_vectors"}),
    http_links=(("gateway", "llm"),),
)
TO_STORE, TO_LLM = {"from_": "gateway", "to": "store"}, {"from_": "gateway", "to": "llm"}
RATE_LIMIT = {**TO_LLM, "limit": "requests"}


def step(fault: str, *, at: float = 0.0, for_: float = 10.0, **arguments: object) -> tuple[Step, Plan]:
    one = Step(0, fault, arguments, Duration(at), Duration(for_), fault, Location("one.yaml", 12, 5))
    return one, planned(one, TOPOLOGY)


def whys(radius: BlastRadius, *steps: tuple[Step, Plan]) -> list[str]:
    return [why for _, why in beyond(radius, TOPOLOGY, steps)]


def test_a_severed_link_hits_everybody_who_comes_by() -> None:
    cut = step("partition", **TO_STORE)
    assert whys(BlastRadius(traffic=0.05), cut) == [
        "hits all requests of gateway → store; the plan allows 5.0 % (traffic)"
    ]
    assert whys(BlastRadius(traffic=1.0), cut) == []
    assert whys(BlastRadius(pods=1), cut) == []


@pytest.mark.parametrize(
    ("said", "hits"),
    [({"share": Share(0.05)}, 0.05), ({"every": 20}, 0.05), ({"share": Share(0.5), "every": 10}, 0.05)],
)
def test_a_fault_that_hits_a_share_of_the_requests_says_so(said: dict[str, object], hits: float) -> None:
    limited = step("provider_rate_limit", **RATE_LIMIT, **said)
    assert whys(BlastRadius(traffic=hits), limited) == []
    assert whys(BlastRadius(traffic=hits / 2), limited) == [
        "hits 5.0 % of the requests of gateway → llm; the plan allows 2.5 % (traffic)"
    ]


@pytest.mark.parametrize("said", [{"first": 5}, {"model": "gpt-*"}, {"path": "/v1/*"}])
def test_what_bounds_no_share_is_none(said: dict[str, object]) -> None:
    assert whys(BlastRadius(traffic=0.5), step("provider_rate_limit", **RATE_LIMIT, **said))


def test_what_faults_on_at_the_same_time_hit_adds_up() -> None:
    def limited(at: float) -> tuple[Step, Plan]:
        return step("provider_rate_limit", at=at, share=Share(0.04), **RATE_LIMIT)

    radius = BlastRadius(traffic=0.05)
    assert whys(radius, limited(0.0), limited(10.0)) == []
    assert whys(radius, limited(0.0), limited(9.0)) == [
        "hits 8.0 % of the requests of gateway → llm; the plan allows 5.0 % (traffic)"
    ]


def test_as_many_pods_of_each_service_are_hit_as_faults_name() -> None:
    first, second = (step("kill", service=f"inference-{number}") for number in (1, 2))
    assert whys(BlastRadius(pods=1), first, step("kill", service="gateway")) == []
    # The same one again is no more of them.
    assert whys(BlastRadius(pods=1), first, first) == []
    assert whys(BlastRadius(pods=1), first, second) == [
        "hits 2 pods of inference; the plan allows 1 of each service (pods)"
    ]
    assert whys(BlastRadius(pods=2), first, second) == []


@pytest.mark.parametrize("fault", ["scale_to_zero", "rollout_restart", "image_pull_failure", "bad_readiness"])
def test_what_hits_a_whole_service_hits_all_its_pods(fault: str) -> None:
    whole = step(fault, service="inference-1")
    assert whys(BlastRadius(pods=1), whole) == ["hits 4 pods of inference; the plan allows 1 of each service (pods)"]
    assert whys(BlastRadius(pods=4), whole) == []
    assert whys(BlastRadius(traffic=0.5), whole)


def test_a_drained_node_is_within_no_limit() -> None:
    drained = step("drain", service="gateway")
    assert whys(BlastRadius(pods=1), drained) == ["cannot say that it hits pods of gateway alone (pods, traffic)"]
    assert whys(BlastRadius(traffic=1.0), drained) == []


def test_each_that_chance_picks_is_another_one() -> None:
    drawn = [step("pod_kill", service="inference", at=30.0 * number) for number in range(6)]
    assert whys(BlastRadius(pods=1), drawn[0]) == []
    assert whys(BlastRadius(pods=1), *drawn[:2]) == [
        "hits 2 pods of inference; the plan allows 1 of each service (pods)"
    ]
    # There are no more than four.
    assert whys(BlastRadius(pods=4), *drawn) == []


def test_without_a_number_of_pods_a_service_s_share_of_them_is_what_counts() -> None:
    one = step("pod_kill", service="inference")
    assert whys(BlastRadius(traffic=0.25), one) == []
    assert whys(BlastRadius(traffic=0.2), one) == [
        "hits 1 of 4 pods of inference, 25.0 % of what it serves; the plan allows 20.0 % (traffic)"
    ]
    assert whys(BlastRadius(traffic=0.2, pods=1), one) == []


def test_only_a_fault_that_names_a_tenant_stays_with_tenants() -> None:
    radius = BlastRadius(tenants=("acme", "initech"))
    assert whys(radius, step("provider_rate_limit", tenant="acme", **RATE_LIMIT)) == []
    assert whys(radius, step("provider_rate_limit", tenant="globex", **RATE_LIMIT)) == [
        "hits requests of globex; the plan allows acme and initech (tenants)"
    ]
    for unsaid in (
        step("provider_rate_limit", tenant="ac*", **RATE_LIMIT),
        step("provider_rate_limit", **RATE_LIMIT),
        step("partition", **TO_STORE),
        step("kill", service="store"),
    ):
        assert len(whys(radius, unsaid)) == 1
        assert "it hits only acme and initech (tenants)" in whys(radius, unsaid)[0]


def test_documents_are_everybody_s() -> None:
    damaged = step("corrupt_vectors", service="store", documents="*")
    assert whys(BlastRadius(traffic=0.05, pods=1), damaged) == [
        "hits all requests of store; the plan allows 5.0 % (traffic)"
    ]


def test_breakages_reach_everybody_unless_they_say_less() -> None:
    assert Kill().reach == Reset().reach == CorruptVectors("*").reach == Reach(1.0, None)
    limited = ProviderFailure(provider="openai", failure="x", share=0.5, every=5, tenant="acme")
    assert limited.reach == Reach(0.1, "acme")


def test_a_fault_of_somebody_s_own_that_breaks_several_places_is_held_to_each() -> None:
    one, _ = step("kill", service="gateway")
    both = Plan(TOPOLOGY)
    both.steps = [(place, Kill()) for place in _places("inference-1", "inference-2")]
    assert whys(BlastRadius(pods=1), (one, both)) == [
        "hits 2 pods of inference; the plan allows 1 of each service (pods)"
    ]


def _places(*names: str) -> list[Place]:
    return [ServicePlace(name) for name in names]


@pytest.mark.parametrize("name", ["embedded", "docker"])
def test_a_target_that_is_the_drill_s_own_has_nobody_else_to_hit(name: str) -> None:
    assert registry.targets().get(name).topology_of({}).own_traffic


SYSTEM = """\
door: {url: http://127.0.0.1:8000/v1, model: small}
services: {app: {}, llm: {}}
links:
  - {from: app, to: llm, listen: 127.0.0.1:9001, upstream: http://127.0.0.1:9000}
questions: [What is it?]
"""
OUTAGE = """\
title: The provider refuses
hypothesis: It is noticed
duration: 60s
load: {rate: 20/s}
steady-state:
  - availability: {at-least: 99.9%}
method:
  - provider_rate_limit: {from: app, to: llm, limit: requests}
    at: 10s
    for: 20s
expect:
  during:
    - availability: {at-least: 99%}
"""


@pytest.mark.parametrize(
    ("radius", "said", "why"),
    [
        ("blast-radius: {traffic: 5%}", "", "hits all requests of app → llm; the plan allows 5.0 % (traffic)"),
        ("blast-radius: {traffic: 5%}", ", share: 5%", ""),
        ("blast-radius: {traffic: 100%}", "", ""),
        ("", ", share: 5%", UNSTATED),
    ],
)
def test_a_system_that_others_use_is_held_to_the_radius(tmp_path: Path, radius: str, said: str, why: str) -> None:
    (tmp_path / "system.yaml").write_text(SYSTEM, "utf-8")
    text = TEXT.replace("target: embedded", f"target: {tmp_path}/system.yaml")
    text = text.replace("blast-radius: {traffic: 5%, pods: 1, tenants: [acme]}", radius)
    path = written(tmp_path, text)
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(OUTAGE.replace("limit: requests", f"limit: requests{said}"), "utf-8")
    found = beyond_radius(read_plan(path))
    at = [f"{tmp_path / name}:8:5: provider_rate_limit: {why}" for name in ("one.yaml", "two.yaml")]
    assert found == ([] if not why else [UNSTATED] if why == UNSTATED else at)
    done = CliRunner().invoke(gameday, ["validate", str(path)])
    assert done.exit_code == (2 if why else 0), done.stderr
    assert all(f"no start: blast-radius: {one}" in done.stderr for one in found)


def test_a_plan_on_the_embedded_target_is_not_limited(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    assert beyond_radius(plan) == []
    assert limits_nothing(plan)
