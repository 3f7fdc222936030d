"""Whatever becomes of client, janitor, network and objects: nothing of ours is left, and nothing of others' is lost.

Among them what Chaos Mesh's users met: pods that are restarted while a partition is on (#4827 there), and a recovery
that fails half-way, and again (#4820 there).
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from brownout.breakage import Blackhole, FailImagePull, LinkPlace, ScaleToZero, ServicePlace
from brownout.cli.heal import heal
from brownout.errors import FaultError
from brownout.fixtures.kubernetes.api import Api, Call, Refused
from brownout.fixtures.kubernetes.janitor import look
from brownout.fixtures.kubernetes.lapse import Lapses
from brownout.fixtures.kubernetes.ledger import Ledger
from brownout.fixtures.kubernetes.rollouts import NO_IMAGE
from brownout.fixtures.kubernetes.undo import undo
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.relay import relayed
from tests.kubernetes.shop import PATIENCE, Shop, breaking, opened
from tests.kubernetes.tiny_door import answering

pytestmark = pytest.mark.process
INFERENCE, STORE = ServicePlace("inference"), ServicePlace("store")
IMAGE = "example.invalid/inference:1"


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(cluster, tmp_path_factory.mktemp("shop")) as found:
        yield found


@pytest.fixture(autouse=True)
def _nothing_left(shop: Shop) -> Iterator[None]:
    """What one test leaves is not the next one's trouble."""
    yield

    async def heal_all() -> None:
        for one in await shop.ledger.held():
            await shop.ledger.undo(one)

    asyncio.run(heal_all())


async def state(shop: Shop) -> tuple[str, int, int, int]:
    """Image of inference, replicas of store, policies and leases of ours."""
    template = (await shop.get("deployments", "inference"))["spec"]["template"]["spec"]
    policies = await shop.api.list(shop.path("networkpolicies"))
    replicas = (await shop.get("statefulsets", "store"))["spec"]["replicas"]
    return template["containers"][0]["image"], replicas, len(policies), len(await shop.ledger.held())


WHOLE, BROKEN = (IMAGE, 1, 0, 0), (NO_IMAGE, 0, 1, 3)


async def break_all(it: Any) -> None:
    await it.inject(INFERENCE, FailImagePull(), lease="run.1", ttl=1.0)
    await it.inject(STORE, ScaleToZero(), lease="run.2", ttl=1.0)
    await it.inject(LinkPlace("gateway", "inference"), Blackhole(), lease="run.3", ttl=1.0)


class Janitor:
    """With the janitor's own rights, and a clock that leaps."""

    def __init__(self, shop: Shop) -> None:
        self.api = Api.of(kubeconfig=str(shop.restricted), context="janitor")
        self.ledger = Ledger(self.api, shop.namespace)
        self.lapses = Lapses()
        self.now = 0.0
        self.said: list[str] = []

    async def look(self, *, later: float = 0.0) -> None:
        self.now += later
        await look(self.ledger, self.lapses, me="janitor", now=lambda: self.now, say=self.said.append)

    def close(self) -> None:
        self.api.close()


@contextmanager
def doomed(shop: Shop, folder: Path, door: str) -> Iterator[subprocess.Popen[str]]:
    shop.describe(door=door)
    script = Path(__file__).with_name("doomed.py")
    command = [sys.executable, str(script), shop.namespace, str(shop.description), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "broken\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("way", ["the ledger of this machine", "the ledger of the cluster", "the janitor"])
def test_a_client_that_is_killed_leaves_nothing_behind(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(shop.restricted))
    monkeypatch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "state"))
    with answering() as door, doomed(shop, tmp_path, door) as process:
        assert asyncio.run(state(shop)) == BROKEN
        process.send_signal(signal.SIGKILL)
        process.wait()

    if way == "the ledger of this machine":
        told = CliRunner().invoke(heal)
        assert told.exit_code == 0, told.output
        assert "doomed: healed" in told.output
    elif way == "the ledger of the cluster":
        at = ["--target", "kubernetes", "--context", "restricted", "--namespace", shop.namespace]
        # As from another machine, which knows nothing of the run.
        monkeypatch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "another"))
        told = CliRunner().invoke(heal, at)
        assert told.exit_code == 0, told.output
        assert told.output.count("healed") == 3
    else:
        command = [sys.executable, "-m", "brownout.fixtures.kubernetes.janitor", "--namespace", shop.namespace]
        with subprocess.Popen([*command, "--context", "janitor"], stdout=subprocess.PIPE, text=True) as janitor:

            async def healed() -> bool:
                return await state(shop) == WHOLE

            asyncio.run(shop.until(healed))
            janitor.terminate()
            assert janitor.stdout is not None
            assert janitor.stdout.read().count("nobody renewed it") == 3
            assert janitor.wait(PATIENCE) == 0
    assert asyncio.run(state(shop)) == WHOLE


def test_a_client_that_lives_is_let_alone_by_all_of_them(shop: Shop, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("KUBECONFIG", str(shop.restricted))
    monkeypatch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "state"))
    at = ["--target", "kubernetes", "--context", "restricted", "--namespace", shop.namespace]
    with answering() as door, doomed(shop, tmp_path, door):
        told = CliRunner().invoke(heal, at)
        assert told.exit_code == 0, told.output
        assert told.output.count("is being renewed; left alone") == 3
        assert asyncio.run(state(shop)) == BROKEN
        told = CliRunner().invoke(heal, [*at, "--force"])
        assert told.output.count("healed") == 3
        assert asyncio.run(state(shop)) == WHOLE


def test_a_janitor_that_is_ended_in_the_middle_of_a_heal_has_a_successor_that_goes_on(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            await break_all(it)
        first = (await shop.ledger.held())[0]
        assert first.steps
        with closing(Janitor(shop)) as janitor:
            mine = await janitor.ledger.take_over(first, by="the first janitor")
            assert mine is not None
            # It undoes the fault and is gone before it can strike it out.
            await undo(janitor.api, first.steps)
            assert len(await shop.ledger.held()) == 3
        with closing(Janitor(shop)) as successor:
            await successor.look()
            assert len(await shop.ledger.held()) == 3
            await successor.look(later=60.0)
            assert await state(shop) == WHOLE
            assert sum("is as it was" in one or "is no more" in one for one in successor.said) == 1

    asyncio.run(play())


def test_what_somebody_else_has_changed_or_deleted_meanwhile_is_not_clobbered(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            await break_all(it)
            await shop.change("statefulsets", "store", replicas=2)
            (policy,) = await shop.api.list(shop.path("networkpolicies"))
            name = policy["metadata"]["name"]
            await shop.api.do(Call("DELETE", shop.path("networkpolicies", name)))
            # Somebody makes one of their own that has the name of ours.
            theirs = {
                "metadata": {"name": name},
                "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
            }
            await shop.make("networkpolicies", theirs)
            assert not (await it.prove("run.2")).works
            for lease in ("run.1", "run.2", "run.3"):
                await it.heal(lease)
            assert await state(shop) == (IMAGE, 2, 1, 0)
            await shop.api.do(Call("DELETE", shop.path("networkpolicies", name)))
            await shop.change("statefulsets", "store", replicas=1)

    asyncio.run(play())


def test_a_workload_that_was_made_anew_meanwhile_is_not_touched(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            before = await shop.get("statefulsets", "store")
            await it.inject(STORE, ScaleToZero(), lease="run.1", ttl=1.0)
            await shop.api.do(Call("DELETE", shop.path("statefulsets", "store")))
            again = {"metadata": {"name": "store"}, "spec": {**before["spec"], "replicas": 0}}

            async def gone() -> bool:
                try:
                    await shop.get("statefulsets", "store")
                except Refused:
                    return True
                return False

            await shop.until(gone)
            await shop.make("statefulsets", again)
            await it.heal("run.1")
            assert await state(shop) == (IMAGE, 0, 0, 0)
            await shop.change("statefulsets", "store", replicas=1)

    asyncio.run(play())


def test_pods_that_are_replaced_during_a_partition_are_cut_off_as_well_and_reachable_in_the_end(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            await it.inject(LinkPlace("gateway", "inference"), Blackhole(), lease="run.1", ttl=5.0)
            (pod,) = await shop.pods("gateway")
            await shop.api.do(Call("DELETE", shop.path("pods", pod["metadata"]["name"]), {"gracePeriodSeconds": 0}))

            async def replaced() -> bool:
                found = await shop.pods("gateway")
                new = bool(found) and found[0]["metadata"]["uid"] != pod["metadata"]["uid"]
                return new and found[0]["status"]["phase"] == "Running"

            await shop.until(replaced)
            (new,) = await shop.pods("gateway")
            status = {**new["status"], "podIPs": [{"ip": "10.250.0.77"}], "podIP": "10.250.0.77"}
            path = shop.path("pods", new["metadata"]["name"]) + "/status"

            await shop.api.do(Call("PATCH", path, [{"op": "replace", "path": "/status", "value": status}]))

            async def followed() -> bool:
                (policy,) = await shop.api.list(shop.path("networkpolicies"))
                return "10.250.0.77/32" in str(policy["spec"])

            await shop.until(followed)
            await it.heal("run.1")
            assert await state(shop) == WHOLE

    asyncio.run(play())


def test_a_server_that_is_away_for_a_while_ends_nothing_and_is_asked_again(shop: Shop, tmp_path: Path) -> None:
    async def play() -> None:
        there = tmp_path / "relayed.kubeconfig"
        async with relayed(shop.restricted, there) as relay, breaking(shop, there) as it:
            await it.inject(STORE, ScaleToZero(), lease="run.1", ttl=1.0)
            with closing(Janitor(shop)) as janitor:
                await janitor.look()
                relay.cut()
                with pytest.raises(OSError, match="the API server does not answer"):
                    await it.renew("run.1")
                with pytest.raises(OSError, match="the API server does not answer"):
                    await it.heal("run.1")
                relay.mend()
                await it.renew("run.1")
                await janitor.look(later=60.0)
                assert janitor.said == []
                relay.cut()
                # It stays away for good: whoever can reach it heals.
                await janitor.look(later=60.0)
                assert await state(shop) == WHOLE
                relay.mend()
                with pytest.raises(FaultError, match="its Lease was taken over"):
                    await it.renew("run.1")
                await it.heal("run.1")

    asyncio.run(play())


def test_what_one_fault_has_changed_no_other_changes_which_could_not_put_it_back(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            await it.inject(STORE, ScaleToZero(), lease="run.1", ttl=5.0)
            with pytest.raises(FaultError, match=r"spec/replicas of .*store is changed already.*scale_to_zero"):
                await it.inject(STORE, ScaleToZero(), lease="run.2", ttl=5.0)
            assert len(await shop.ledger.held()) == 1
            await it.heal("run.1")
        assert await state(shop) == WHOLE

    asyncio.run(play())


def test_a_fault_whose_lease_is_no_more_is_undone_all_the_same(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            await it.inject(STORE, ScaleToZero(), lease="run.1", ttl=5.0)
            (held,) = await shop.ledger.held()
            # As a janitor leaves it that has healed before the last call of the fault had arrived.
            await shop.api.do(Call("DELETE", shop.path("leases", held.name)))
            with pytest.raises(FaultError, match="its Lease was taken over"):
                await it.renew("run.1")
            await it.heal("run.1")
        assert await state(shop) == WHOLE

    asyncio.run(play())


def test_whoever_is_cancelled_while_it_is_written_down_leaves_no_lease(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            for delay in (0.0, 0.005, 0.01, 0.02, 0.04):
                injecting = asyncio.create_task(it.inject(STORE, ScaleToZero(), lease="run.1", ttl=5.0))
                await asyncio.sleep(delay)
                injecting.cancel()
                await asyncio.wait({injecting})
                # What runs as well is waited for, and healed by whoever broke it.
                await it.heal("run.1")
                assert (await state(shop), await shop.ledger.held()) == (WHOLE, [])

    asyncio.run(play())


def test_a_lease_that_nobody_understands_is_told_and_kept(shop: Shop) -> None:
    async def play() -> None:
        labels = {"app.kubernetes.io/managed-by": "brownout"}
        metadata = {"name": "strange", "labels": labels, "annotations": {"brownout.dev/undo": "[{}]"}}
        spec = {"holderIdentity": "somebody", "leaseDurationSeconds": 1}
        await shop.make("leases", {"metadata": metadata, "spec": spec})
        with closing(Janitor(shop)) as janitor:
            await janitor.look()
            await janitor.look(later=60.0)
            assert "what undoes it cannot be read" in janitor.said[0]
        assert len(await shop.ledger.held()) == 1
        await shop.api.do(Call("DELETE", shop.path("leases", "strange")))

    asyncio.run(play())


def test_the_fault_is_not_done_where_it_cannot_be_written_down(shop: Shop) -> None:
    async def play() -> None:
        quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/leases.coordination.k8s.io": "0"}}}
        async with breaking(shop) as it:
            await shop.make("resourcequotas", quota)

            async def counted() -> bool:
                found = await shop.get("resourcequotas", "none")
                return "hard" in found.get("status", {})

            await shop.until(counted)
            with pytest.raises(FaultError, match="exceeded quota"):
                await it.inject(STORE, ScaleToZero(), lease="run.1", ttl=1.0)
            await shop.api.do(Call("DELETE", shop.path("resourcequotas", "none")))
        assert await state(shop) == WHOLE

    asyncio.run(play())
