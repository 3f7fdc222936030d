"""Links that really go through our proxy in the cluster, and go straight again whatever becomes of the client."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from brownout.breakage import Blackhole, Delay, LinkPlace, ProviderFailure
from brownout.cli.heal import heal
from brownout.errors import EnvironmentProblem
from brownout.fixtures.kubernetes import target
from brownout.fixtures.kubernetes.reader import read_description
from brownout.target import TargetOptions
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.kubectl import Kubectl
from tests.kubernetes.shop import Shop, breaking, opened
from tests.kubernetes.test_ledger import Janitor
from tests.kubernetes.tiny_door import answering

pytestmark = pytest.mark.process
LINK = LinkPlace("gateway", "inference")
PYTHON = "/opt/proxy/bin/python"
ANSWER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
CALL = """
import time, urllib.error, urllib.request
body = b'{"model": "m", "messages": [{"role": "user", "content": "?"}]}'
headers = {"Content-Type": "application/json"}
request = urllib.request.Request("http://inference/v1/chat/completions", body, headers)
began = time.monotonic()
try:
    status = urllib.request.urlopen(request, timeout=4).status
except urllib.error.HTTPError as refused:
    status = refused.code
except OSError:
    status = 0
print(status, time.monotonic() - began)
"""
STRAIGHT = {"app": "inference"}
SERVICE = {
    "metadata": {"name": "inference"},
    "spec": {"selector": STRAIGHT, "ports": [{"port": 80, "targetPort": "http"}]},
}
POLICIES = {
    "nothing-else": {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}],
    },
    "to-inference": {
        "podSelector": {"matchLabels": {"app": "inference"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "gateway"}}}]}],
    },
    "from-gateway": {
        "podSelector": {"matchLabels": {"app": "gateway"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "inference"}}}]}],
    },
}
DESCRIPTION = """\
door: {{url: {door}}}
services:
  gateway: {{deployment: gateway}}
  inference: {{deployment: inference, replicas: 4, http: 8000}}
  store: {{statefulset: store}}
links:
  - {{from: gateway, to: inference}}
questions: [What is the capital of France?]
proxy: {{image: '{image}'}}
"""


@pytest.fixture(scope="module")
def shop(cluster: Cluster, proxy_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One whose pods answer on a port, behind policies that allow the one link and nothing else."""
    folder, command = tmp_path_factory.mktemp("shop"), (PYTHON, "-c", ANSWER)
    with opened(cluster, folder, image=proxy_image, command=command) as found:
        found.description.write_text(DESCRIPTION.format(door="http://127.0.0.1:1", image=proxy_image))

        async def make() -> None:
            await found.make("services", SERVICE)
            for name, spec in POLICIES.items():
                await found.make("networkpolicies", {"metadata": {"name": name}, "spec": spec})

        asyncio.run(make())
        yield found


async def called(shop: Shop) -> tuple[int, float]:
    """What the gateway's pod gets of the Service, and how long that takes: 0 where nothing comes."""
    (pod,) = await shop.pods("gateway")
    command = ("exec", pod["metadata"]["name"], "--", PYTHON, "-c", CALL)
    done = await asyncio.to_thread(Kubectl(shop.cluster, shop.namespace).run, *command)
    status, took = done.stdout.split() if done.returncode == 0 else ("0", "0")
    return int(status), float(took)


async def well(shop: Shop) -> bool:
    status, took = await called(shop)
    return status == 200 and took < 1.5


async def left(shop: Shop) -> list[str]:
    """What there is of ours."""
    kinds = ("services", "secrets", "deployments", "networkpolicies", "leases")
    found = [await shop.api.list(shop.path(kind), labels="app.kubernetes.io/managed-by=brownout") for kind in kinds]
    return [one["metadata"]["name"] for each in found for one in each]


async def leads(shop: Shop) -> dict[str, str]:
    return dict((await shop.get("services", "inference"))["spec"]["selector"])


async def slow(shop: Shop) -> bool:
    status, took = await called(shop)
    return status == 200 and took > 2.0


async def led_away(shop: Shop) -> bool:
    return "brownout.dev/proxy" in await leads(shop)


async def straight(shop: Shop) -> bool:
    return await left(shop) == [] and await leads(shop) == STRAIGHT and await well(shop)


def test_a_provider_that_refuses_is_met_from_pod_to_pod_and_is_over_in_the_end(shop: Shop) -> None:
    async def refused() -> bool:
        return (await called(shop))[0] == 429

    async def play() -> None:
        async with breaking(shop) as it:
            await shop.until(lambda: well(shop))
            failing = ProviderFailure(provider="openai", failure="rate_limited_requests")
            await it.prepare(LINK, failing, print)
            await shop.until(lambda: well(shop))
            await it.inject(LINK, failing, lease="run.1", ttl=30.0)
            await shop.until(refused)
            await it.renew("run.1")
            proof = await it.prove("run.1")
            assert proof.works, proof.summary
            await it.heal("run.1")
            await shop.until(lambda: well(shop))
            # No policy would stop what comes by the proxy.
            await it.inject(LINK, Blackhole(), lease="run.2", ttl=30.0)
            assert (await called(shop))[0] == 0
            proof = await it.prove("run.2")
            assert proof.works, proof.summary
            await it.heal("run.2")
            await shop.until(lambda: well(shop))
            assert await led_away(shop)
            await it.close()
            assert await left(shop) == []
            await shop.until(lambda: straight(shop))

    asyncio.run(play())


@pytest.mark.parametrize("way", ["the ledger of the cluster", "the janitor"])
def test_a_client_that_is_killed_leaves_no_proxy_and_no_latency_behind(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(shop.restricted))
    monkeypatch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "state"))
    image = read_description(shop.description).proxy
    with answering() as door:
        shop.description.write_text(DESCRIPTION.format(door=door, image=image))
        script = Path(__file__).with_name("doomed.py")
        command = [sys.executable, str(script), shop.namespace, str(shop.description), str(tmp_path), "slow"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == "broken\n"
                asyncio.run(shop.until(lambda: slow(shop)))
            finally:
                process.send_signal(signal.SIGKILL)
    assert asyncio.run(led_away(shop))

    if way == "the ledger of the cluster":
        at = ["--target", "kubernetes", "--context", "restricted", "--namespace", shop.namespace]
        # As from another machine, which knows nothing of the run.
        monkeypatch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "another"))
        told = CliRunner().invoke(heal, at)
        assert told.exit_code == 0, told.output
        assert "services/inference: put back" in told.output
        assert asyncio.run(left(shop)) == []
    else:

        async def heal_all() -> None:
            with closing(Janitor(shop)) as janitor:
                await janitor.look()
                await janitor.look(later=60.0)
                assert all("nobody renewed it" in one for one in janitor.said), janitor.said

        asyncio.run(heal_all())
        assert asyncio.run(left(shop)) == []
    asyncio.run(shop.until(lambda: straight(shop)))


def test_a_service_that_somebody_else_points_elsewhere_meanwhile_is_left_alone(shop: Shop) -> None:
    theirs = {"app": "inference", "owner": "somebody"}

    async def play() -> None:
        async with breaking(shop) as it:
            await it.inject(LINK, Delay(latency=2.0), lease="run.1", ttl=30.0)
            await shop.until(lambda: slow(shop))
            proof = await it.prove("run.1")
            assert proof.works, proof.summary
            await shop.change("services", "inference", selector=theirs)
            proof = await it.prove("run.1")
            assert not proof.works
            assert "somebody else has changed spec/selector" in proof.summary
            await it.heal("run.1")
            await it.close()
            assert await leads(shop) == theirs
            assert await left(shop) == []
            await shop.change("services", "inference", selector=STRAIGHT)

    asyncio.run(play())


def test_a_link_is_led_for_new_clients_and_the_service_keeps_its_own_endpoints(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(shop.restricted))
    monkeypatch.setattr(target, "_ANSWERED_WITHIN", 1.0)
    image, said = read_description(shop.description).proxy, list[str]()

    def describe(door: str, reconnect: str) -> None:
        text = DESCRIPTION.format(door=door, image=image)
        shop.description.write_text(text.replace("deployment: gateway", f"deployment: gateway, reconnect: {reconnect}"))

    async def lead(door: ExitStack) -> None:
        describe(door.enter_context(answering()), "rollout")
        (before,) = await shop.pods("gateway")
        attached = shop.factory()()
        await attached.up(TargetOptions(seed=1, scale=1.0, workdir=tmp_path), said.append)
        try:
            await attached.prepare(LINK, Delay(latency=2.0), said.append)
            assert await led_away(shop)
            (after,) = await shop.pods("gateway")
            assert after["metadata"]["uid"] != before["metadata"]["uid"]
            endpoints = [one for one in await attached.readings() if one.metric == "service_endpoints"]
            assert [(dict(one.labels), one.value) for one in endpoints] == [
                ({"service": "inference", "endpoints": "inference"}, 4.0)
            ]
            # What its pods went through for it was before the run.
            assert [one.text for one in await attached.happenings() if one.kind != "platform"] == []
            # A second fault of the link needs no more than that.
            done = len(said)
            await attached.prepare(LINK, Delay(latency=1.0), said.append)
            assert said[done:] == []
        finally:
            await attached.down()
        assert await straight(shop)

    async def in_vain(door: ExitStack) -> None:
        describe(door.enter_context(answering()), "by-itself")
        attached = shop.factory()()
        await attached.up(TargetOptions(seed=1, scale=1.0, workdir=tmp_path), said.append)
        door.close()
        try:
            with pytest.raises(EnvironmentProblem, match=r"with gateway → inference led through .* a first question"):
                await attached.prepare(LINK, Delay(latency=2.0), said.append)
        finally:
            await attached.down()
        assert await straight(shop)

    with ExitStack() as door:
        asyncio.run(lead(door))
    with ExitStack() as door:
        asyncio.run(in_vain(door))
