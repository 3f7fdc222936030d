"""The cluster that tools/with_kubernetes makes: what runs on it, and that nothing of it is left."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.kubernetes.cluster import PAUSE, Cluster, until
from tests.kubernetes.kubectl import Kubectl
from tools.kubernetes import build

ROOT = Path(__file__).resolve().parents[2]
WITH_KUBERNETES = str(ROOT / "tools" / "with_kubernetes")


@pytest.fixture
def pods(cluster: Cluster) -> Iterator[Kubectl]:
    """A namespace of a cluster that runs pods."""
    cluster.needs_nodes()
    with Kubectl.in_namespace(cluster, f"pods-{uuid.uuid4().hex[:8]}") as found:
        yield found


@pytest.fixture(scope="module")
def built() -> None:
    """The servers, already compiled: no test compiles them."""
    lacking = [name for name in build.CONTROL_PLANE if not (build.folder() / name).exists()]
    if lacking or shutil.which("etcd") is None:
        pytest.skip(f"no servers to start: {', '.join(lacking) or 'etcd'} (python -m tools.kubernetes.build)")


def test_a_pod_runs_and_a_killed_one_is_replaced(pods: Kubectl) -> None:
    pods.cluster.needs_pause()
    pods("create", "deployment", "idle", f"--image={PAUSE}")
    pods("rollout", "status", "deployment/idle", "--timeout=120s")
    first = pods("get", "pods", "--output", "name")
    pods("delete", first, "--grace-period=0", "--force")
    pods("rollout", "status", "deployment/idle", "--timeout=120s")
    assert pods("get", "pods", "--field-selector=status.phase=Running", "--output", "name") not in ("", first)


def test_a_network_policy_cuts_one_direction_and_its_end_joins_it_again(pods: Kubectl) -> None:
    address = _dialling(pods, "near", "far")

    def reaches(one: str, other: str) -> bool:
        return _reaches(pods, one, address[other])

    assert reaches("near", "far")
    assert reaches("far", "near")
    _policy(pods, "far", {"policyTypes": ["Ingress"], "ingress": []})
    until(lambda: not reaches("near", "far"))
    assert reaches("far", "near")
    pods("delete", "networkpolicy", "far")
    until(lambda: reaches("near", "far"))


def test_a_network_policy_allows_a_block_of_addresses_but_for_its_exceptions(pods: Kubectl) -> None:
    address = _dialling(pods, "near", "far", "other")
    block = {"cidr": "0.0.0.0/0", "except": [f"{address['far']}/32", "192.0.2.0/24"]}
    _policy(pods, "near", {"policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": block}]}]})
    until(lambda: not _reaches(pods, "near", address["far"]))
    assert _reaches(pods, "near", address["other"])
    assert _reaches(pods, "other", address["far"])


def _dialling(pods: Kubectl, *names: str) -> Mapping[str, str]:
    """Pods that take connections and can be told to make some; the address of each."""
    pods.cluster.needs_pause()
    for name in names:
        pods("run", name, f"--image={PAUSE}", f"--labels=name={name}", "--command", "--", "/pause", "serve", "8000")
    for name in names:
        pods("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")
    return {name: pods("get", "pod", name, "--output", "jsonpath={.status.podIP}") for name in names}


def _reaches(pods: Kubectl, name: str, address: str) -> bool:
    return pods.run("exec", name, "--", "/pause", "dial", f"{address}:8000").returncode == 0


def _policy(pods: Kubectl, name: str, rules: Mapping[str, object]) -> None:
    """A policy about the pod of that name."""
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {"name": name}}, **rules},
    }
    pods("apply", "--filename", "-", given=json.dumps(policy))


@pytest.mark.long
@pytest.mark.usefixtures("built")
def test_a_cluster_without_nodes_ends_with_its_command_and_leaves_nothing() -> None:
    code = "import os; print(os.environ['BROWNOUT_TEST_KUBECONFIG']); raise SystemExit(7)"
    done = subprocess.run(
        [WITH_KUBERNETES, "--no-nodes", sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    folder = Path(done.stdout.strip()).parent
    assert folder.name.startswith("brownout-kubernetes-")
    assert not folder.exists()
    assert _processes_of(folder.name) == []


@pytest.mark.long
@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("nodes", [False, True], ids=["control plane", "node"])
def test_a_cluster_whose_keeper_is_killed_ends_and_the_next_one_clears_up_after_it(tmp_path: Path, nodes: bool) -> None:
    if nodes and (lacking := _lacking_for_nodes()):
        pytest.skip(lacking)
    options = [] if nodes else ["--no-nodes"]
    told = tmp_path / "told"
    code = f"""if True:
        import os, pathlib, time
        keeper = os.getppid()
        pathlib.Path({str(told)!r}).write_text(os.environ["KUBECONFIG"])
        while os.getppid() == keeper:
            time.sleep(0.1)
    """
    keeper = subprocess.Popen([WITH_KUBERNETES, *options, sys.executable, "-c", code])
    try:
        until(lambda: told.exists() and told.read_text() != "")
        folder = Path(told.read_text()).parent
        assert _processes_of(folder.name)
        assert bool(_cgroups_of(folder.name)) == nodes
    finally:
        keeper.kill()
        keeper.wait()
    until(lambda: not _processes_of(folder.name))
    assert folder.exists()
    subprocess.run([WITH_KUBERNETES, "--no-nodes", "true"], check=True)
    assert not folder.exists()
    assert _cgroups_of(folder.name) == []


@pytest.mark.parametrize(("command", "said"), [([], "which command?"), (["nosuch"], "there is no command nosuch")])
def test_a_mistake_is_one_message_and_starts_nothing(command: list[str], said: str) -> None:
    done = subprocess.run([WITH_KUBERNETES, "--no-nodes", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"with_kubernetes: error: {said}"


def _lacking_for_nodes() -> str:
    needed = {"containerd": "docker.io", "/usr/lib/cni/bridge": "containernetworking-plugins"}
    lacking = [package for command, package in needed.items() if shutil.which(command) is None]
    lacking += [name for name in build.ALL if not (build.folder() / name).exists()]
    if os.geteuid() != 0:
        lacking.append("root")
    return f"a node needs {', '.join(lacking)}" if lacking else ""


def _cgroups_of(name: str) -> list[Path]:
    return list(Path("/sys/fs/cgroup").glob(f"*/{name}"))


def _processes_of(name: str) -> list[str]:
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = one.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if name in command:
            found.append(command)
    return found
