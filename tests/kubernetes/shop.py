"""A small system in a namespace of its own: workloads that the cluster's own controllers keep, and pods nobody starts.

Its pods name a scheduler that there is not, so that no node takes them, whatever the cluster has. A stand-in for the
kubelet says of them that they are ready. Everything else is the cluster's own: API server, RBAC, controllers.
"""

import asyncio
import base64
import contextlib
import json
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from brownout.attachment import Attachment
from brownout.fixtures.kubernetes import Kubernetes, KubernetesTarget, kubernetes
from brownout.fixtures.kubernetes.api import Api, Call, Refused
from brownout.fixtures.kubernetes.breaking import Breaking
from brownout.fixtures.kubernetes.ledger import Ledger
from brownout.fixtures.kubernetes.namespace import Namespace
from brownout.fixtures.kubernetes.planning import Engine
from brownout.fixtures.kubernetes.reader import read_description
from tests.kubernetes.cluster import Cluster

SHIPPED = Path(__file__).parents[2] / "fixtures" / "kubernetes"
PATIENCE = 60.0
DESCRIPTION = """\
door: {{url: {door}}}
services:
  gateway: {{deployment: gateway}}
  inference: {{deployment: inference, replicas: 4}}
  store: {{statefulset: store}}
links:
  - {{from: gateway, to: inference}}
  - {{from: inference, to: store}}
questions: [What is the capital of France?]
network-policies: enforced
"""


class Shop:
    """One."""

    def __init__(self, api: Api, namespace: str, folder: Path, cluster: Cluster) -> None:
        self.api = api
        self.namespace = namespace
        self.folder = folder
        self.cluster = cluster
        self.restricted = folder / "restricted.kubeconfig"
        """Of the service account that rbac.yaml makes, and no rights but those."""
        self.description = folder / "shop.yaml"
        self.describe()

    def describe(self, old: str = "", new: str = "", *, door: str = "http://127.0.0.1:1") -> None:
        text = DESCRIPTION.format(door=door)
        assert old in text
        self.description.write_text(text.replace(old, new, 1))

    def target(self) -> KubernetesTarget:
        """By the restricted account."""
        return self.factory()()

    def factory(self) -> Kubernetes:
        return kubernetes.to(Attachment("restricted", self.namespace, self.description))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.api, self.namespace)

    async def get(self, kind: str, name: str = "") -> Any:
        return await self.api.get(self.path(kind, name))

    def path(self, kind: str, name: str = "") -> str:
        groups = {
            "deployments": "/apis/apps/v1",
            "statefulsets": "/apis/apps/v1",
            "networkpolicies": "/apis/networking.k8s.io/v1",
            "poddisruptionbudgets": "/apis/policy/v1",
            "leases": "/apis/coordination.k8s.io/v1",
        }
        return f"{groups.get(kind, '/api/v1')}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    async def make(self, kind: str, body: Mapping[str, Any]) -> Any:
        return await self.api.do(Call("POST", self.path(kind), body))

    async def change(self, kind: str, name: str, **fields: Any) -> None:
        """Somebody else sets fields of its spec."""
        operations = [{"op": "add", "path": f"/spec/{key}", "value": value} for key, value in fields.items()]
        await self.api.do(Call("PATCH", self.path(kind, name), operations))

    async def apply(self, manifest: Path) -> None:
        """Rights, as they are shipped."""
        for one in yaml.safe_load_all(await asyncio.to_thread(manifest.read_text)):
            kind = f"{one['kind'].lower()}s"
            group = "/api/v1" if kind == "serviceaccounts" else "/apis/rbac.authorization.k8s.io/v1"
            for subject in one.get("subjects") or []:
                subject["namespace"] = self.namespace
            await self.api.do(Call("POST", f"{group}/namespaces/{self.namespace}/{kind}", one))

    async def pods(self, app: str) -> list[Any]:
        found = await self.api.list(self.path("pods"), labels=f"app={app}")
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]

    async def until(self, holds: Callable[[], Coroutine[Any, Any, object]]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await holds():  # noqa: ASYNC110 - the API is asked, there is no event
                await asyncio.sleep(0.1)


def workload(
    kind: str, name: str, *, replicas: int, image: str | None = None, command: Sequence[str] = ()
) -> dict[str, Any]:
    """With an image its pods really run, and are ready as soon as they do; or as port 8000 answers, with a command."""
    labels = {"app": name}
    container = {
        "name": "main",
        "image": f"example.invalid/{name}:1",
        "resources": {"requests": {"memory": "96Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
    }
    template: dict[str, Any] = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    if image is None:
        template["spec"]["schedulerName"] = "nobody"
    else:
        container |= {"image": image, "imagePullPolicy": "IfNotPresent", "command": ["/pause", "serve", "8000"]}
        container["resources"] = {"requests": {"memory": "16Mi"}, "limits": {"memory": "32Mi"}}
        del container["readinessProbe"]
        if command:
            container |= {
                "command": list(command),
                "ports": [{"name": "http", "containerPort": 8000}],
                "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
                "resources": {"requests": {"memory": "24Mi"}, "limits": {"memory": "128Mi"}},
            }
        template["spec"]["terminationGracePeriodSeconds"] = 1
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@contextlib.contextmanager
def opened(cluster: Cluster, folder: Path, *, image: str | None = None, command: Sequence[str] = ()) -> Iterator[Shop]:
    """One that is up, and goes with everything in it; with an image its pods are the cluster's to run."""
    api = Api.of(kubeconfig=str(cluster.kubeconfig), context=cluster.context)
    name = f"brownout-test-{secrets.token_hex(4)}"
    shop = Shop(api, name, folder, cluster)
    ended = threading.Event()
    kubelet = threading.Thread(target=_stand_in, args=(api, shop, ended), daemon=True)
    try:
        asyncio.run(_make(shop, image, command))
        if image is None:
            kubelet.start()
        yield shop
    finally:
        ended.set()
        with contextlib.suppress(RuntimeError):
            kubelet.join()
        with contextlib.suppress(Refused):
            asyncio.run(api.do(Call("DELETE", f"/api/v1/namespaces/{name}")))
        api.close()


@contextlib.asynccontextmanager
async def breaking(shop: Shop, kubeconfig: Path | None = None, *, engine: Engine = "own") -> AsyncIterator[Breaking]:
    """Attached by the restricted account, with every service ready."""
    api = Api.of(kubeconfig=str(kubeconfig or shop.restricted), context="restricted")
    try:
        namespace = Namespace(api, shop.namespace, read_description(shop.description))
        await namespace.learn()

        async def ready() -> bool:
            await namespace.look()
            return all(one.ready for one in namespace.states())

        await shop.until(ready)
        made = Breaking(namespace, Ledger(api, shop.namespace), run="test", holder="test", engine=engine)
        yield made
        await made.close()
    finally:
        api.close()


async def _make(shop: Shop, image: str | None, command: Sequence[str]) -> None:
    metadata = {"name": shop.namespace, "labels": {"brownout.dev/chaos": "allowed"}}
    await shop.api.do(Call("POST", "/api/v1/namespaces", {"metadata": metadata}))
    runs: dict[str, Any] = {"image": image, "command": command}
    await shop.make("deployments", workload("Deployment", "gateway", replicas=1, **runs))
    await shop.make("deployments", workload("Deployment", "inference", replicas=4, **runs))
    await shop.make("statefulsets", workload("StatefulSet", "store", replicas=1, **runs))
    await shop.apply(SHIPPED / "rbac.yaml")
    shop.restricted.write_text(json.dumps(await _account(shop)))


async def _account(shop: Shop) -> dict[str, Any]:
    """A kubeconfig with two contexts: of the account that breaks, and of the janitor's."""
    config = yaml.safe_load(shop.cluster.kubeconfig.read_text())
    context = next(one["context"] for one in config["contexts"] if one["name"] == shop.cluster.context)
    server = next(one["cluster"] for one in config["clusters"] if one["name"] == context["cluster"])
    if authority := server.pop("certificate-authority", None):
        data = (shop.cluster.kubeconfig.parent / authority).read_bytes()
        server["certificate-authority-data"] = base64.b64encode(data).decode()
    users, contexts = [], []
    for name, account in (("restricted", "brownout"), ("janitor", "brownout-janitor")):
        path = f"{shop.path('serviceaccounts', account)}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = (await shop.api.do(Call("POST", path, body)))["status"]["token"]
        users.append({"name": name, "user": {"token": token}})
        contexts.append({"name": name, "context": {"cluster": "tested", "user": name}})
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tested", "cluster": server}],
        "users": users,
        "contexts": contexts,
    }


def _stand_in(api: Api, shop: Shop, ended: threading.Event) -> None:
    """Says of every pod that it runs, and is ready unless its image or its probe says otherwise."""

    async def work() -> None:
        while not ended.is_set():
            with contextlib.suppress(Refused, OSError):
                for pod in await api.list(shop.path("pods")):
                    await _run(api, shop, pod)
            await asyncio.sleep(0.1)

    asyncio.run(work())


async def _run(api: Api, shop: Shop, pod: Any) -> None:
    path, spec = shop.path("pods", pod["metadata"]["name"]), pod["spec"]["containers"][0]
    if "deletionTimestamp" in pod["metadata"]:
        await api.do(Call("DELETE", path, {"gracePeriodSeconds": 0}))
        return
    if pod["status"].get("phase") == "Running":
        return
    now, pulled = pod["metadata"]["creationTimestamp"], "no-such-image" not in spec["image"]
    ready = pulled and "tcpSocket" not in spec.get("readinessProbe", {})
    state = {"running": {"startedAt": now}} if pulled else {"waiting": {"reason": "ImagePullBackOff"}}
    status = {
        "phase": "Running" if pulled else "Pending",
        "startTime": now,
        "podIPs": [{"ip": "10.250.0.9"}],
        "podIP": "10.250.0.9",
        "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": now}],
        "containerStatuses": [
            {"name": "main", "image": spec["image"], "imageID": "", "ready": ready, "restartCount": 0, "state": state}
        ],
    }
    current = {**pod["status"], **status}
    await api.do(Call("PATCH", f"{path}/status", [{"op": "replace", "path": "/status", "value": current}]))
