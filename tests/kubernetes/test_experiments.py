"""The shipped experiments on the reference stack: each passes as it ships, and fails without the defence it is about.

A run is a process of its own, with the rights that are shipped. The stack is deployed once; a mutant is a patch of it.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.stack import PARTS, ROOT, TOKEN, Patch, Stack, deployed
from tests.runs.commandline import PATIENCE, Chaos, Probe, Result, fails

pytestmark = [pytest.mark.process, pytest.mark.run, pytest.mark.long]
SCALE = "0.2"
LONGER = "0.3"
"""Where pods have to load their model in time, one after the other."""
LED = "0.25"
"""Where the gateway has only just begun, with new connections."""
PAID = ("during", "metric")
"""How many answers the providers behind the workers had to give."""
AVAILABILITY = ("during", "availability")
SCALED_OUT = ("during", "scaled_out")


@pytest.fixture(scope="module")
def stack(
    cluster: Cluster, images: Mapping[str, str], proxy_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    name, folder = f"stack-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("stack")
    with deployed(cluster, name, folder, images, proxy=proxy_image) as found:
        yield found


@pytest.fixture
def chaos(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chaos]:
    for name, value in (
        ("KUBECONFIG", str(stack.kubeconfig)),
        ("BROWNOUT_STACK_TOKEN", TOKEN),
        ("BROWNOUT_STATE_DIR", str(tmp_path / "state")),
    ):
        monkeypatch.setenv(name, value)
    command, selectors = Chaos(tmp_path / "work"), stack.selectors()
    yield command
    for started in command.started:
        if started.process.poll() is None:
            started.process.terminate()
            started.process.wait(PATIENCE)
    stack.settle()
    assert (stack.selectors(), stack.left()) == (selectors, "")


@contextmanager
def without(stack: Stack, *patches: Patch) -> Iterator[None]:
    """The stack with a defence less, and then as it ships again."""
    stack.apply(*patches)
    try:
        yield
    finally:
        stack.apply()


@contextmanager
def autoscaled(stack: Stack, *patches: Patch) -> Iterator[Callable[[], None]]:
    """A way to have it with its own autoscaler, from two workers on; in the end it has two, and gets no more."""
    if stack.kubectl.run("get", "--raw", "/apis/metrics.k8s.io/v1beta1").returncode:
        pytest.skip("autoscalers have nothing to go by: the cluster has no resource metrics")
    try:
        yield partial(stack.apply, *patches, autoscaled=True)
    finally:
        stack.apply()


def of(kind: str, name: str, spec: Mapping[str, Any]) -> Patch:
    """A patch of a workload's spec."""
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def container(name: str, **fields: Any) -> Patch:
    """A patch of the container of a Deployment, both of that name."""
    return of("Deployment", name, {"template": {"spec": {"containers": [{"name": name, **fields}]}}})


UNASKED = container("inference", startupProbe=None, readinessProbe=None)
"""Nobody asks whether a worker has loaded its model."""
ALL_AT_ONCE = of("Deployment", "inference", {"strategy": {"rollingUpdate": {"maxUnavailable": "100%", "maxSurge": 0}}})
"""A rollout need not keep any worker."""


def with_settings(changed: Mapping[str, object]) -> Patch:
    """The gateway with other settings than it ships with."""
    manifests = yaml.safe_load_all((ROOT / "target-stack" / "kubernetes" / "gateway.yaml").read_text("utf-8"))
    (only,) = next(one for one in manifests if one["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"]
    shipped = json.loads(next(one["value"] for one in only["env"] if one["name"] == "STACK_SETTINGS"))
    return container("gateway", env=[{"name": "STACK_SETTINGS", "value": json.dumps({**shipped, **changed})}])


NO_FALLBACKS = with_settings({"fallbacks": False, "vector-db.timeout": 5})
"""No answer without fresh documents, which are waited for with patience: a slow machine is no partition."""
PATIENT = with_settings({"vector-db.timeout": 30})
"""The database may take as long as it likes."""
NO_FAILOVER = with_settings({"failover": False})
"""Nobody is asked instead of a worker."""
ASKS_ITS_CACHE = "import socket; socket.create_connection(('cache', 6379), 1)"
AS_ALIVE_AS_ITS_CACHE = container(
    "gateway",
    livenessProbe={
        "httpGet": None,
        "exec": {"command": ["/opt/stack/bin/python", "-c", ASKS_ITS_CACHE]},
        "periodSeconds": 1,
        "failureThreshold": 2,
    },
)
"""The gateway is started again where its cache does not answer."""


def oom_killed(stack: Stack, over: Event) -> set[object]:
    """With which codes containers of the workers ended that the kernel killed for their memory."""
    codes: set[object] = set()
    while not over.wait(0.5):
        for pod in stack.pods("inference"):
            for one in pod["status"].get("containerStatuses", ()):
                ended = [one[key]["terminated"] for key in ("state", "lastState") if "terminated" in one[key]]
                codes |= {end["exitCode"] for end in ended if end.get("reason") == "OOMKilled"}
    return codes


def uids(stack: Stack, service: str) -> set[object]:
    """Which pods a service has."""
    return {one["metadata"]["uid"] for one in stack.pods(service)}


def passing(
    chaos: Chaos, stack: Stack, name: str, *, scale: str = SCALE, before: Callable[[], None] = lambda: None
) -> Result:
    return chaos.run(f"kubernetes/{name}.yaml", *stack.options, scale=scale, before=_first(before, stack.forget))


def failing(
    chaos: Chaos,
    stack: Stack,
    name: str,
    *by: Probe,
    spares: Sequence[Probe] = (),
    scale: str = SCALE,
    before: Callable[[], None] = lambda: None,
) -> Result:
    return chaos.run_defenceless(
        f"kubernetes/{name}.yaml",
        *(*stack.options, "--no-abort"),
        expect=fails(*by, spares=spares),
        scale=scale,
        before=_first(before, stack.forget),
    )


def _first(*steps: Callable[[], None]) -> Callable[[], None]:
    def play() -> None:
        for step in steps:
            step()

    return play


@pytest.mark.usefixtures("node_alone")
def test_a_killed_inference_pod_is_replaced_and_more_join_it_when_more_is_asked(chaos: Chaos, stack: Stack) -> None:
    with autoscaled(stack) as anew:
        passing(chaos, stack, "inference_pod_kill", scale=LONGER, before=anew)
        # The last of them may have come in the last second.
        answered = stack.answered()
        assert sum(answers >= 40 for answers in answered.values()) >= 3, answered


def test_without_a_readiness_probe_the_replacement_is_asked_before_it_can_answer(chaos: Chaos, stack: Stack) -> None:
    with autoscaled(stack, UNASKED) as anew:
        failing(chaos, stack, "inference_pod_kill", PAID, spares=[SCALED_OUT], scale=LONGER, before=anew)


@pytest.mark.usefixtures("node_alone")
def test_without_an_autoscaler_two_workers_stay_two_however_much_is_asked(chaos: Chaos, stack: Stack) -> None:
    failing(chaos, stack, "inference_pod_kill", SCALED_OUT, spares=[PAID], scale=LONGER)


def test_a_rolling_restart_is_hardly_noticed(chaos: Chaos, stack: Stack) -> None:
    passing(chaos, stack, "rolling_restart_under_load", scale=LONGER)


def test_a_rollout_that_may_take_every_pod_at_once_leaves_the_answers_to_others(chaos: Chaos, stack: Stack) -> None:
    with without(stack, ALL_AT_ONCE):
        failing(chaos, stack, "rolling_restart_under_load", PAID, scale=LONGER)


def test_pods_that_the_kernel_kills_for_their_memory_stop_the_rollout(chaos: Chaos, stack: Stack) -> None:
    with ThreadPoolExecutor(1) as looking:
        over = Event()
        killed = looking.submit(oom_killed, stack, over)
        try:
            passing(chaos, stack, "oom_killed")
        finally:
            over.set()
        assert killed.result() == {137}


def test_a_rollout_without_any_old_pod_leaves_the_answers_to_others(chaos: Chaos, stack: Stack) -> None:
    with without(stack, ALL_AT_ONCE):
        failing(chaos, stack, "oom_killed", PAID)


def test_a_partitioned_database_is_done_without(chaos: Chaos, stack: Stack) -> None:
    passing(chaos, stack, "network_policy_partition")


def test_without_its_fallbacks_the_gateway_needs_the_database(chaos: Chaos, stack: Stack) -> None:
    with without(stack, NO_FALLBACKS):
        failing(chaos, stack, "network_policy_partition", AVAILABILITY)


def test_a_slow_database_is_not_waited_for(chaos: Chaos, stack: Stack) -> None:
    passing(chaos, stack, "vector_db_latency", scale=LED)


def test_without_its_time_limit_the_gateway_is_as_slow_as_its_database(chaos: Chaos, stack: Stack) -> None:
    with without(stack, PATIENT):
        failing(chaos, stack, "vector_db_latency", ("during", "ttft"), scale=LED)


def test_workers_that_say_nothing_but_errors_are_done_without(chaos: Chaos, stack: Stack) -> None:
    passing(chaos, stack, "inference_engine_dead", scale=LED)


def test_without_failover_nobody_is_asked_in_the_workers_stead(chaos: Chaos, stack: Stack) -> None:
    with without(stack, NO_FAILOVER):
        failing(chaos, stack, "inference_engine_dead", PAID, scale=LED)


def test_a_cache_that_is_scaled_to_zero_is_done_without(chaos: Chaos, stack: Stack) -> None:
    passing(chaos, stack, "scale_to_zero_dependency")


def test_a_gateway_whose_liveness_is_its_caches_goes_down_with_it(chaos: Chaos, stack: Stack) -> None:
    with without(stack, AS_ALIVE_AS_ITS_CACHE):
        failing(chaos, stack, "scale_to_zero_dependency", AVAILABILITY, scale=LONGER)


@pytest.mark.usefixtures("node_alone")
def test_a_node_is_drained_as_far_as_budgets_allow_and_answers_go_on(chaos: Chaos, stack: Stack) -> None:
    before = {name: uids(stack, name) for name in PARTS}
    passing(chaos, stack, "node_drain")
    kept = {name for name in PARTS if before[name] & uids(stack, name)}
    # Of the two workers one goes each time that this is tried.
    assert kept - {"inference"} == {"gateway", "vector-db"}


@pytest.mark.usefixtures("node_alone")
def test_without_budgets_a_drain_takes_everything_that_answers(chaos: Chaos, stack: Stack) -> None:
    with without(stack):
        stack.kubectl("delete", "poddisruptionbudgets", "--all")
        failing(chaos, stack, "node_drain", AVAILABILITY)
