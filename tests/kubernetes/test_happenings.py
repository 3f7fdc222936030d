"""What a cluster tells, in words and figures."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from brownout.fixtures.described.description import Frontdoor
from brownout.fixtures.kubernetes.api import Api, Refused
from brownout.fixtures.kubernetes.description import Description, Workload
from brownout.fixtures.kubernetes.happenings import LONGEST, Told, of_autoscaler, of_event, of_pods, owner
from brownout.fixtures.kubernetes.namespace import Namespace
from brownout.fixtures.kubernetes.observing import Observing
from brownout.fixtures.kubernetes.status import Autoscaler, ready_addresses

AT = "2026-11-22T04:00:{:02}Z"
WORKLOADS = (
    Workload("inference", "deployments", "llm", replicas=2),
    Workload("other", "deployments", "llm-primary"),
    Workload("store", "statefulsets", "pgvector"),
)
DESCRIPTION = Description(Path("shop.yaml"), cast("Frontdoor", None), WORKLOADS, (), (), True, None, "")


def pod(name: str = "llm-5d8f-abcde", *, ready: bool = True, **changes: Any) -> Any:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": AT.format(9)}
    return {
        "metadata": {"name": name, "uid": name, "creationTimestamp": AT.format(1), **changes.pop("metadata", {})},
        "status": {"phase": "Running", "conditions": [condition], **changes},
    }


def told(before: Sequence[Any], now: Sequence[Any]) -> list[tuple[str | None, str, str]]:
    by_uid = [{one["metadata"]["uid"]: one for one in pods} for pods in (before, now)]
    return [(one.at, one.kind, one.text) for one in of_pods(*by_uid)]


def container(restarts: int, **ended: Any) -> Any:
    running = {"running": {"startedAt": AT.format(7)}}
    return {"name": "server", "restartCount": restarts, "state": running, "lastState": {"terminated": ended}}


def test_a_pod_is_made_becomes_ready_is_told_to_end_and_goes() -> None:
    fresh, ready = pod(ready=False), pod()
    assert told([], [fresh]) == [(AT.format(1), "note", "pod llm-5d8f-abcde was created")]
    assert told([fresh], [ready]) == [(AT.format(9), "note", "pod llm-5d8f-abcde is ready")]
    assert told([ready], [fresh]) == [(AT.format(9), "note", "pod llm-5d8f-abcde is not ready")]
    going = pod(ready=False, metadata={"deletionTimestamp": AT.format(30), "deletionGracePeriodSeconds": 20})
    (one,) = of_pods({"x": ready}, {"x": going})
    assert (one.at, one.plus, one.text) == (AT.format(30), -20.0, "pod llm-5d8f-abcde was told to end")
    assert told([going], [going]) == []
    assert told([going], []) == [(None, "note", "pod llm-5d8f-abcde is gone")]


def test_a_container_that_died_is_told_with_what_it_died_of() -> None:
    calm = pod(containerStatuses=[container(0)])
    dead = pod(containerStatuses=[container(1, reason="OOMKilled", exitCode=137)])
    text = "pod llm-5d8f-abcde: server was started again (OOMKilled, exit code 137), restart 1"
    assert told([calm], [dead]) == [(AT.format(7), "warning", text)]
    assert told([dead], [dead]) == []


def test_a_pod_that_failed_says_why() -> None:
    failed = pod(ready=False, phase="Failed", reason="Evicted")
    assert (None, "warning", "pod llm-5d8f-abcde has failed: Evicted") in told([pod()], [failed])


def autoscaler(desired: int, *, current: int = 2, active: bool = True, scaled: str | None = None) -> Autoscaler:
    found = Autoscaler.of(
        {
            "metadata": {"name": "llm"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "llm"}, "maxReplicas": 4},
            "status": {
                "currentReplicas": current,
                "desiredReplicas": desired,
                "lastScaleTime": scaled,
                "conditions": [{"type": "ScalingActive", "status": str(active), "reason": "NoMetrics"}],
            },
        },
        {("deployments", "llm"): "inference"},
    )
    assert found is not None
    return found


def test_what_an_autoscaler_decides_is_told_from_how_many_to_how_many() -> None:
    (one,) = of_autoscaler(autoscaler(2), autoscaler(3, scaled=AT.format(5)))
    assert one == Told(AT.format(5), "note", "autoscaler llm scales inference: 2 → 3")
    assert [one.text for one in of_autoscaler(autoscaler(0), autoscaler(3))] == [one.text]
    assert list(of_autoscaler(autoscaler(0), autoscaler(2))) == []
    assert list(of_autoscaler(autoscaler(2), autoscaler(0))) == []


def test_an_autoscaler_that_is_blind_is_a_warning_and_another_workloads_is_none_of_ours() -> None:
    (one,) = of_autoscaler(autoscaler(2), autoscaler(2, active=False))
    assert (one.kind, one.text) == ("warning", "autoscaler llm: ScalingActive is False: NoMetrics")
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "stranger"}, "maxReplicas": 2}
    assert Autoscaler.of({"metadata": {"name": "x"}, "spec": spec}, {("deployments", "llm"): "inference"}) is None


def test_endpoints_are_counted_once_where_they_are_ready_or_nothing_is_said() -> None:
    def slice_of(service: str, *endpoints: Any) -> Any:
        return {"metadata": {"labels": {"kubernetes.io/service-name": service}}, "endpoints": list(endpoints)}

    def endpoint(address: str, uid: str | None = None, **conditions: Any) -> Any:
        return {"addresses": [address], "conditions": conditions} | ({"targetRef": {"uid": uid}} if uid else {})

    slices = [
        slice_of("llm", endpoint("10.0.0.1", "a", ready=True), endpoint("10.0.0.2", "b", ready=False)),
        slice_of("llm", endpoint("fd00::1", "a", ready=True), endpoint("10.0.0.3")),
        slice_of("cache", endpoint("10.0.0.4", "c", ready=True)),
        {"metadata": {}, "endpoints": None},
    ]
    assert [ready_addresses(slices, service=one) for one in ("llm", "cache", "nobody")] == [2, 1, 0]

    # Led through the fault proxy, `llm` has one endpoint, the proxy; its own pods are behind that.
    behind = slice_of("brownout-proxy-1-behind", *slices[0]["endpoints"], endpoint("10.0.0.9", "z", ready=True))
    behind["metadata"]["labels"]["brownout.dev/stands-for"] = "llm"
    led = [slice_of("llm", endpoint("10.0.0.8", "proxy", ready=True)), behind, slices[2]]
    assert [ready_addresses(led, service=one) for one in ("llm", "cache")] == [2, 1]


def event(**changes: Any) -> Any:
    about = {"kind": "Pod", "name": "llm-5d8f-abcde"}
    usual = {"metadata": {"uid": "e", "resourceVersion": "7"}, "involvedObject": about, "type": "Warning"}
    return {**usual, "reason": "Unhealthy", "message": "probe\n failed", "lastTimestamp": AT.format(3), **changes}


def test_a_warning_is_marked_when_it_is_first_heard_and_everything_else_is_only_kept() -> None:
    first = Told(AT.format(3), "warning", "Unhealthy: pod llm-5d8f-abcde: probe failed")
    assert of_event(event(), repeated=False) == first
    assert of_event(event(), repeated=True).kind == "platform"
    assert of_event(event(type="Normal"), repeated=False).kind == "platform"
    assert of_event(event(series={"lastObservedTime": AT.format(8)}), repeated=False).at == AT.format(8)
    assert len(of_event(event(message="x" * 999), repeated=False).text) < LONGEST + 50


@pytest.mark.parametrize(
    ("kind", "name", "service"),
    [
        ("Pod", "llm-5d8fb9c7-abcde", "inference"),
        ("Pod", "llm-primary-5d8fb9c7-abcde", "other"),
        ("Pod", "pgvector-0", "store"),
        ("Pod", "llm-abcde", None),
        ("ReplicaSet", "llm-5d8fb9c7", "inference"),
        ("Deployment", "llm", "inference"),
        ("Deployment", "llm-secondary", None),
        ("StatefulSet", "pgvector", "store"),
        ("HorizontalPodAutoscaler", "scaler", "inference"),
        ("Node", "llm", None),
    ],
)
def test_whose_an_object_is_is_told_by_its_name(kind: str, name: str, service: str | None) -> None:
    assert owner(kind, name, DESCRIPTION, {"scaler": "inference"}) == service


class Forgetful:
    """Of an API server only what is asked of it here: one that compacted its history away, and knows a list."""

    def __init__(self) -> None:
        self.events = [event()]
        self.asked: list[str] = []

    async def changes(self, path: str, version: str, *, within: int) -> tuple[str, Sequence[Any]]:
        self.asked.append(version)
        if version == "old":
            raise Refused(410, path, "too old resource version")
        return version, []

    async def version(self, path: str) -> tuple[str, Sequence[Any]]:
        return ("new" if self.asked else "old"), self.events

    async def list(self, path: str, *, labels: str = "") -> Sequence[Mapping[str, Any]]:
        return []


def test_where_the_server_forgot_what_changed_all_is_listed_and_what_was_not_heard_yet_is_told() -> None:
    api = Forgetful()
    observing = Observing(Namespace(cast("Api", api), "shop", DESCRIPTION))

    async def hear() -> list[str]:
        await observing.begin()
        api.events = [event(), event(metadata={"uid": "f", "resourceVersion": "8"}, reason="BackOff")]
        return [one.text.split(":")[0] for _ in range(3) for one in await observing.happenings()]

    assert asyncio.run(hear()) == ["BackOff"]
    assert api.asked == ["old", "new", "new"]
