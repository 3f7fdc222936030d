"""The reference stack, deployed in a namespace of its own, as a run attaches to it."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from brownout.fixtures.kubernetes.waiting import why_waiting
from tests.kubernetes.cluster import Cluster, until
from tests.kubernetes.kubectl import Kubectl

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "fixtures" / "kubernetes"
PARTS = ("vector-db", "cache", "embedding", "llm-primary", "llm-secondary", "inference", "gateway")
"""Its services."""
TOKEN = "look-around-reception"
"""Of somebody who may be answered from caches, and without documents."""
PATIENCE = 240.0
ENOUGH = 50.0
"""Percent, well below the share at which the shipped autoscaler adds workers."""
ASKS_ITSELF = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
Patch = Mapping[str, object]
TWO_WORKERS: Patch = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "inference"},
    "spec": {"maxReplicas": 2},
}
"""Whatever figures the autoscaler has: experiments are on pods that come and go, not on how many there are."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One, that answers."""

    kubectl: Kubectl
    folder: Path
    images: Mapping[str, str]
    proxy: str = ""
    """The image of the fault proxy, where it is used."""

    @property
    def kubeconfig(self) -> Path:
        """Of the account that breaks, with the rights that are shipped and no others."""
        return self.folder / "restricted.kubeconfig"

    @property
    def options(self) -> tuple[str, ...]:
        """Where a run finds it."""
        description = str(self.folder / "described.yaml")
        return ("--context", "restricted", "--namespace", self.kubectl.namespace, "--description", description)

    def apply(self, *patches: Patch, autoscaled: bool = False) -> None:
        """Have it as it ships but for these, and wait until that is so: with two workers, and more only if it may.

        What the workers did before is then no reason to scale out any more, nor is that they have just started.
        """
        self._apply(TWO_WORKERS, *patches)
        until(lambda: len(self.pods("inference")) == 2, self._autoscaler)
        self.settle()
        if autoscaled:
            until(lambda: self._used() < ENOUGH, self._autoscaler)
            self._apply(*patches)

    def forget(self) -> None:
        """Begin anew with a gateway whose breakers are closed: what opened them stays with it for minutes."""
        with urllib.request.urlopen(f"http://{self._address()}:8000/metrics", timeout=10) as page:
            families = list(text_string_to_metric_families(page.read().decode()))
        states = [one.value for family in families if family.name == "circuit_breaker_state" for one in family.samples]
        assert states
        if any(states):
            self.kubectl("rollout", "restart", "deployment/gateway")
            self.settle()

    def settle(self) -> None:
        """Wait until every rollout has ended, and no pod of an earlier one is left."""
        every = ("deployments,statefulsets", "--selector=app.kubernetes.io/part-of=target-stack")
        done = self.kubectl.run("rollout", "status", *every, f"--timeout={PATIENCE:g}s")
        assert done.returncode == 0, f"{done.stderr or done.stdout}; {self.why_not()}"
        until(lambda: not any("deletionTimestamp" in one["metadata"] for one in self.pods()), self.pods)

    def why_not(self) -> str:
        """What the cluster says of pods that do not run: where no processor is left, no node takes them."""
        told = sorted(why_waiting(self.pods()))
        return "; ".join(told) or self.kubectl("get", "pods")

    def _apply(self, *patches: Patch) -> None:
        base = ROOT / "target-stack" / "kubernetes"
        changed = Kubectl.overlay(self.folder / "overlay", base, images=self.images, patches=patches)
        self.kubectl("apply", "--kustomize", str(changed))

    def _autoscaler(self) -> str:
        return self.kubectl("describe", "horizontalpodautoscaler", "inference")

    def _used(self) -> float:
        """The share of their requested processor time that the autoscaler knows the workers to use, in percent."""
        status = json.loads(self.kubectl("get", "horizontalpodautoscaler", "inference", "--output=json"))["status"]
        (metric,) = status.get("currentMetrics") or [{}]
        return float(metric.get("resource", {}).get("current", {}).get("averageUtilization", "inf"))

    def pods(self, service: str = "") -> list[Any]:
        """Those that there are, of one service or of all."""
        labels = f"app.kubernetes.io/component={service}" if service else "app.kubernetes.io/part-of=target-stack"
        found: list[Any] = json.loads(self.kubectl("get", "pods", f"--selector={labels}", "--output=json"))["items"]
        return found

    def answered(self) -> Mapping[str, float]:
        """How many questions each worker has answered since it started."""
        # From inside: nobody but the gateway may reach them.
        ask = ("/opt/stack/bin/python", "-c", ASKS_ITSELF)
        names = [one["metadata"]["name"] for one in self.pods("inference")]
        return {name: sum(_answered(self.kubectl("exec", name, "--", *ask))) for name in names}

    def selectors(self) -> Mapping[str, Mapping[str, str]]:
        """Where each Service leads to."""
        found = json.loads(self.kubectl("get", "services", "--output=json"))["items"]
        return {one["metadata"]["name"]: one["spec"]["selector"] for one in found}

    def left(self) -> str:
        """What a run has made and not removed, its ledger included; pods go with what made them, in their time."""
        kinds = "leases,deployments,jobs,services,secrets,networkpolicies"
        return self.kubectl("get", kinds, "--selector=app.kubernetes.io/managed-by=brownout", "--output=name")

    def describe(self) -> None:
        """Write its description: the shipped one, with the door where it is."""
        address = self._address()
        text = (SHIPPED / "reference.yaml").read_text(encoding="utf-8").replace("127.0.0.1:8000", f"{address}:8000")
        text += "network-policies: enforced\n" + (f"proxy: {{image: '{self.proxy}'}}\n" if self.proxy else "")
        (self.folder / "described.yaml").write_text(text, encoding="utf-8")
        documents = (ROOT / "fixtures" / "corpus" / "documents.jsonl").read_bytes()
        headers = {"Authorization": "Bearer look-around-admin", "Content-Type": "application/x-ndjson"}
        request = urllib.request.Request(f"http://{address}:8000/v1/documents", documents, headers)
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - an address of ours
            assert response.status == 200

    def _address(self) -> str:
        return self.kubectl("get", "service", "gateway", "--output", "jsonpath={.spec.clusterIP}")

    def allow(self) -> None:
        """Let it be broken, by an account with the shipped rights."""
        kubectl, account = self.kubectl, f"{self.kubectl.namespace}:brownout"
        kubectl("label", "namespace", kubectl.namespace, "brownout.dev/chaos=allowed")
        kubectl("apply", "--filename", str(SHIPPED / "rbac.yaml"))
        nodes = yaml.safe_load((SHIPPED / "rbac-nodes.yaml").read_text(encoding="utf-8"))
        nodes["metadata"]["name"] = kubectl.namespace
        kubectl("create", "--filename", "-", given=json.dumps(nodes))
        bound = (f"--clusterrole={kubectl.namespace}", f"--serviceaccount={account}")
        kubectl("create", "clusterrolebinding", kubectl.namespace, *bound)
        token = kubectl("create", "token", "brownout", "--duration=2h")
        config = yaml.safe_load(kubectl("config", "view", "--minify", "--flatten", "--raw", "--output=yaml"))
        (cluster,) = config["clusters"]
        config["users"] = [{"name": "restricted", "user": {"token": token}}]
        config["contexts"] = [{"name": "restricted", "context": {"cluster": cluster["name"], "user": "restricted"}}]
        config["current-context"] = "restricted"
        self.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")


def _answered(page: str) -> Iterator[float]:
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "vllm:request_success_total" and sample.labels["finished_reason"] in ("stop", "length"):
                yield sample.value


@contextmanager
def deployed(
    cluster: Cluster, name: str, folder: Path, images: Mapping[str, str], *, proxy: str = ""
) -> Iterator[Stack]:
    """One that is ready, with its documents; it is taken away in the end."""
    with Kubectl.in_namespace(cluster, name) as kubectl:
        stack = Stack(kubectl, folder, images, proxy)
        try:
            stack.apply()
            stack.allow()
            stack.describe()
            yield stack
        finally:
            kubectl("delete", "clusterrole,clusterrolebinding", name, "--ignore-not-found")
