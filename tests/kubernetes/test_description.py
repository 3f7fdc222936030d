"""A description of what runs in a cluster, and what a user may get wrong in it."""

from pathlib import Path

import pytest

from brownout.attachment import Attachment
from brownout.errors import InvalidInput
from brownout.fixtures.kubernetes import kubernetes
from brownout.fixtures.kubernetes.description import IMAGE, Hog
from brownout.fixtures.kubernetes.factory import REFERENCE
from brownout.fixtures.kubernetes.reader import read_description
from brownout.prepare import RunOptions, selected
from brownout.reader import read_experiment
from tests.kubernetes.shop import DESCRIPTION

EXPERIMENTS = Path(__file__).parents[2] / "experiments" / "kubernetes"
TEXT = DESCRIPTION.format(door="http://127.0.0.1:8080")


def described(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in TEXT
    path = folder / "shop.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    return path


def test_services_are_workloads_and_each_of_their_pods(tmp_path: Path) -> None:
    topology = kubernetes.to(Attachment("c", "n", described(tmp_path))).topology_of({})

    slots = ("inference-1", "inference-2", "inference-3", "inference-4")
    assert topology.services == ("gateway", "inference", *slots, "store")
    assert topology.families == {"inference": slots}
    assert topology.links == (("gateway", "inference"), ("inference", "store"))
    assert "service.kill" in topology.capabilities
    assert {"link.blackhole.one-way", "link.delay"} <= topology.capabilities
    assert "link.dns_failure" not in topology.capabilities


@pytest.mark.parametrize(
    ("said", "at_most"),
    [("replicas: 4", 1), ("replicas: 12", 3), ("replicas: 4, at-most: 2", 2), ("replicas: 4, at-most: 75%", 3)],
)
def test_one_pod_or_a_quarter_may_be_taken_unless_the_owner_says_otherwise(
    tmp_path: Path, said: str, at_most: int
) -> None:
    description = read_description(described(tmp_path, "replicas: 4", said))

    assert description.of("inference").at_most == description.of("inference-2").at_most == at_most


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("to: store", "to: stor", r"shop.yaml:8:\d+: to: there is no service 'stor'; did you mean 'store'"),
        ("statefulset: store", "daemonset: store", r"shop.yaml:5:\d+: .*'daemonset'"),
        ("deployment: gateway", "deployment: gateway, statefulset: gateway", "expected one of 'deployment' and"),
        ("deployment: gateway", "deployment: Gateway_1", "no name of a Kubernetes object"),
        ("replicas: 4", "replicas: 0", r"shop.yaml:4:\d+: replicas: got 0"),
        ("replicas: 4", "at-most: 0", "at-most: got 0; expected one pod at least"),
        ("store: {", "inference-2: {", "inference-2 is the name of a pod of inference already"),
        ("policies: enforced", "policies: sure", "network-policies: got 'sure'"),
        ("from: gateway, to: inference", "from: gateway, to: gateway", "not to gateway itself"),
        ("policies: enforced", "policies: enforced\nproxy: {imag: x}", r"'imag'.*did you mean 'image'"),
        ("policies: enforced", "policies: enforced\nproxy: {image: 'a b'}", r"shop.yaml:11:\d+: image: got 'a b'"),
        ("replicas: 4", "reconnect: restart", r"shop.yaml:4:\d+: reconnect: got 'restart'.*by-itself, rollout"),
        ("replicas: 4", "service: A_b", r"shop.yaml:4:\d+: service: got 'A_b'; that is no name of"),
        ("door:", "dor:", "did you mean 'door'"),
        ("questions:", "load: {from: jop}\nquestions:", r"shop.yaml:9:\d+: from: got 'jop'"),
        ("questions:", "gpu-hog: {host: much}\nquestions:", r"shop.yaml:9:\d+: host: got 'much'"),
        ("questions:", "load: {image: x}\nquestions:", r"shop.yaml:9:\d+: load: 'from' is missing"),
        ("questions:", "load: {from: client, image: x}\nquestions:", "load from the client has none"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        read_description(described(tmp_path, old, new))


@pytest.mark.parametrize(
    ("said", "image"),
    [
        ("", None),
        ("load: {from: client}\n", None),
        ("load: {from: job}\n", IMAGE),
        ("load: {from: job, image: x:1}\n", "x:1"),
    ],
)
def test_load_comes_from_here_unless_a_job_is_said(tmp_path: Path, said: str, image: str | None) -> None:
    assert read_description(described(tmp_path, "questions:", f"{said}questions:")).load_image == image


EXPERIMENT = """\
title: Two clients
hypothesis: One of them meets nothing.
load: {rate: 5/s}
steady-state: [{availability: {at-least: 99%}}]
method:
  - FAULT
    at: 5s
    for: 5s
expect:
  during: [{availability: {at-least: 90%}}]
"""


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            "latency: {from: gateway, to: inference, latency: 1s}",
            r"two.yaml:6:\d+: latency: the link gateway → inference cannot be broken so: the fault proxy would stand "
            r"before inference, and break store → inference as well",
        ),
        (
            "provider_error: {from: inference, to: store, failure: forbidden}",
            r"two.yaml:6:\d+: .*the link inference → store carries no HTTP",
        ),
        ("dns_failure: {from: inference, to: store, answer: nxdomain}", r"two.yaml:6:\d+: .*resolved"),
    ],
)
def test_a_link_that_the_proxy_cannot_break_alone_is_refused_with_its_place(
    tmp_path: Path, fault: str, says: str
) -> None:
    second = "inference, to: store}\n  - {from: store, to: inference}"
    attachment = Attachment("c", "n", described(tmp_path, "inference, to: store}", second))
    path = tmp_path / "two.yaml"
    path.write_text(EXPERIMENT.replace("FAULT", fault))

    with pytest.raises(InvalidInput, match=says):
        selected(read_experiment(path), RunOptions(target="kubernetes", attachment=attachment))


def test_a_partition_of_such_a_link_needs_no_proxy(tmp_path: Path) -> None:
    second = "inference, to: store}\n  - {from: store, to: inference}"
    attachment = Attachment("c", "n", described(tmp_path, "inference, to: store}", second))
    path = tmp_path / "two.yaml"
    path.write_text(EXPERIMENT.replace("FAULT", "partition: {from: gateway, to: inference}"))

    assert selected(read_experiment(path), RunOptions(target="kubernetes", attachment=attachment))[0] == "kubernetes"


def test_a_description_says_how_a_neighbour_sees_the_gpu(tmp_path: Path) -> None:
    said = "gpu-hog: {image: x:1, runtime-class: nvidia, visible-devices: GPU-1, host: 64MiB}\n"
    assert read_description(described(tmp_path)).hog == Hog()
    assert read_description(described(tmp_path, "questions:", f"{said}questions:")).hog == Hog(
        "x:1", "nvidia", "GPU-1", 64 * 2**20
    )


def test_the_shipped_description_is_right() -> None:
    description = read_description(REFERENCE)

    assert description.of("inference-1").name == "inference"
    assert [description.of(one).reconnect for one in ("gateway", "inference")] == ["rollout", "by-itself"]


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease", "kube-flannel", "istio-system"])
def test_what_the_cluster_itself_lives_on_is_never_broken(namespace: str) -> None:
    with pytest.raises(InvalidInput, match=f"{namespace} is one of those that the cluster itself lives on"):
        kubernetes.to(Attachment("c", namespace))


@pytest.mark.parametrize(
    ("attachment", "missing"),
    [
        (Attachment(), "--context and --namespace"),
        (Attachment("c"), "--namespace"),
        (Attachment(None, "n"), "--context"),
    ],
)
def test_there_is_no_default_context_and_no_default_namespace(attachment: Attachment, missing: str) -> None:
    with pytest.raises(InvalidInput, match=f"the kubernetes target needs {missing}: .*there is no default"):
        kubernetes.to(attachment)


@pytest.mark.parametrize("name", sorted(path.name for path in EXPERIMENTS.glob("*.yaml")))
def test_every_shipped_experiment_fits_the_reference_stack(name: str) -> None:
    options = RunOptions(attachment=Attachment("c", "n"))

    assert selected(read_experiment(EXPERIMENTS / name), options)[0] == "kubernetes"
