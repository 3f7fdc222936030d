"""Pods come and go; the replicas that experiments name stay."""

from dataclasses import replace

from brownout.fixtures.kubernetes.slots import Pod, Slots

NAMES = ("inference-1", "inference-2")


def pod(name: str, *, since: float = 0.0, ready: bool = True) -> Pod:
    return Pod(name, f"uid-{name}", "node", running=True, ready=ready, restarts=0, since=since, going=False)


def test_a_pod_that_goes_leaves_its_slot_to_its_replacement() -> None:
    slots = Slots(NAMES)
    slots.see([pod("b", since=2.0), pod("a", since=1.0)], now=10.0)
    assert [one.name for name in NAMES if (one := slots.pod(name))] == ["a", "b"]

    slots.see([pod("b")], now=20.0)
    away, there = slots.states()
    assert (away.up, away.ready, away.restarts, away.since) == (False, False, 0, 20.0)
    assert there.ready
    slots.see([pod("b"), pod("c", since=21.0, ready=False)], now=22.0)
    assert [(one.up, one.ready, one.restarts) for one in slots.states()] == [(True, False, 1), (True, True, 0)]


def test_restarts_of_containers_count_from_when_the_run_began() -> None:
    slots = Slots(NAMES[:1])
    slots.see([replace(pod("a"), restarts=3)], now=0.0)
    assert slots.states()[0].restarts == 0

    slots.see([replace(pod("a"), restarts=5)], now=1.0)
    assert slots.states()[0].restarts == 2
    slots.see([pod("b")], now=2.0)
    assert slots.states()[0].restarts == 3


def test_a_pod_that_is_asked_to_go_is_no_more_and_one_too_many_has_no_slot() -> None:
    slots = Slots(NAMES)

    slots.see([replace(pod("a"), going=True), pod("b"), pod("c"), pod("d")], now=0.0)

    assert [one.name for name in NAMES if (one := slots.pod(name))] == ["b", "c"]
