"""Chaos Mesh for tests: definitions of our own for its kinds, with the fields that we use, and a stand-in controller.

The definitions are not Chaos Mesh's: they know its names, types and enumerations, as its API types have them, and the
server drops every other field. The controller injects nothing; it says that it has, and clears up before it lets an
object go.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from brownout.fixtures.kubernetes.api import Api, Call, Refused
from brownout.fixtures.kubernetes.chaosmesh import PLURALS
from tests.kubernetes.shop import Shop

OURS = {"brownout.dev/test": "stand-in"}
FINALIZER = "chaos-mesh/records"
LINGERS = 0.5
"""Seconds from its word that all is recovered until it lets an object go."""
TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
TEXTS = {"type": "array", "items": TEXT}


def one_of(*words: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


def fields(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


SELECTOR = fields(
    namespaces=TEXTS,
    labelSelectors={"type": "object", "additionalProperties": TEXT},
    pods={"type": "object", "additionalProperties": TEXTS},
)
CHOSEN = {"selector": SELECTOR, "mode": one_of("one", "all", "fixed", "fixed-percent", "random-max-percent")}
USUAL = {**CHOSEN, "value": TEXT, "duration": TEXT}
SPECS = {
    "PodChaos": {"action": one_of("pod-kill", "pod-failure", "container-kill"), "gracePeriod": WHOLE},
    "NetworkChaos": {
        "action": one_of("netem", "delay", "loss", "duplicate", "corrupt", "partition", "bandwidth"),
        "direction": one_of("to", "from", "both"),
        "target": fields("selector", "mode", **CHOSEN),
        "delay": fields("latency", latency=TEXT, jitter=TEXT, correlation=TEXT),
        "bandwidth": fields("rate", "limit", "buffer", rate=TEXT, limit=WHOLE, buffer=WHOLE),
    },
    "StressChaos": {"containerNames": TEXTS, "stressors": fields(cpu=fields("workers", workers=WHOLE, load=WHOLE))},
    "HTTPChaos": {
        "target": one_of("Request", "Response"),
        "port": WHOLE,
        "path": TEXT,
        "replace": fields(code=WHOLE),
    },
    "IOChaos": {
        "containerNames": TEXTS,
        "action": one_of("latency", "fault", "attrOverride", "mistake"),
        "errno": WHOLE,
        "percent": WHOLE,
        "methods": TEXTS,
        "volumePath": TEXT,
        "path": TEXT,
    },
    "TimeChaos": {"containerNames": TEXTS, "timeOffset": TEXT},
}
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


async def install(api: Api) -> None:
    """Make the definitions, and wait until they are served."""
    for kind, spec in SPECS.items():
        plural = PLURALS[kind]
        status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema = fields("spec", spec=fields("selector", "mode", **USUAL, **spec), status=status)
        version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.chaos-mesh.org", "labels": OURS},
            "spec": {
                "group": "chaos-mesh.org",
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": plural, "listKind": f"{kind}List"},
                "versions": [version],
            },
        }
        try:
            await api.do(Call("POST", _DEFINITIONS, body))
        except Refused as refusal:
            if refusal.status != 409:
                raise
            found = await api.get(f"{_DEFINITIONS}/{plural}.chaos-mesh.org")
            if found["metadata"].get("labels") != OURS:
                pytest.skip("this cluster has Chaos Mesh itself, whose controller would do what is only said here")
    for plural in PLURALS.values():
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(Refused):
                    await api.list(f"/apis/chaos-mesh.org/v1alpha1/{plural}")
                    break
                await asyncio.sleep(0.1)


async def uninstall(api: Api) -> None:
    """Take them away again."""
    for plural in PLURALS.values():
        with contextlib.suppress(Refused):
            await api.do(Call("DELETE", f"{_DEFINITIONS}/{plural}.chaos-mesh.org"))


class Controller:
    """Says of every object that all is injected, and of a removed one that all is recovered; or does not."""

    def __init__(self) -> None:
        self.injects = True
        self.recovers = True
        self.said: list[str] = []
        self.recovered: dict[str, float] = {}
        """When it said of which object that all is."""


@contextlib.contextmanager
def controlled(shop: Shop) -> Iterator[Controller]:
    controller, ended = Controller(), threading.Event()

    async def work() -> None:
        while not ended.is_set():
            for plural in PLURALS.values():
                for one in await shop.api.list(f"/apis/chaos-mesh.org/v1alpha1/namespaces/{shop.namespace}/{plural}"):
                    with contextlib.suppress(Refused):
                        await _look(shop.api, controller, plural, one)
            await asyncio.sleep(0.1)

    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    try:
        yield controller
    finally:
        ended.set()
        thread.join()


async def _look(api: Api, controller: Controller, plural: str, one: Any) -> None:
    metadata = one["metadata"]
    path = f"/apis/chaos-mesh.org/v1alpha1/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
    if "deletionTimestamp" in metadata:
        if controller.recovers and path not in controller.recovered:
            await api.do(Call("PATCH", path, [_status(injected=False, recovered=True)]))
            controller.recovered[path] = time.monotonic()
        elif controller.recovers and controller.recovered[path] + LINGERS < time.monotonic():
            controller.said.append("recovered")
            await api.do(Call("PATCH", path, [{"op": "remove", "path": "/metadata/finalizers"}]))
        return
    if FINALIZER not in metadata.get("finalizers", []):
        operations = [
            {"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]},
            _status(injected=controller.injects, recovered=False),
        ]
        controller.said.append("injected" if controller.injects else "not injected")
        await api.do(Call("PATCH", path, operations))


def _status(*, injected: bool, recovered: bool) -> dict[str, Any]:
    told = {"Selected": True, "AllInjected": injected, "AllRecovered": recovered, "Paused": False}
    conditions = [{"type": name, "status": str(value)} for name, value in told.items()]
    return {"op": "add", "path": "/status", "value": {"conditions": conditions}}
