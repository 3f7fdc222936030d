"""What can be done to a container is done, is seen, and ends."""

import re

import pytest

from brownout.breakage import (
    CapMemory,
    CrashLoop,
    Disconnect,
    FillDisk,
    Freeze,
    Kill,
    ServicePlace,
    SlowStart,
    StarveCpu,
    Stop,
)
from brownout.errors import FaultError, InvalidInput
from brownout.fit import fit
from brownout.fixtures.docker import DockerTarget
from brownout.reader import parse_experiment
from brownout.target import Document, NotAcknowledged
from tests.docker.helpers import Up
from tests.runs.commandline import EXPERIMENTS

pytestmark = pytest.mark.process
PROVIDER = "llm-secondary"
MIB = 2**20


def test_a_killed_container_is_started_again_and_keeps_its_documents(up: Up) -> None:
    before = up.state("vector-db")
    documents = up.documents()

    with up.broken("vector-db", Kill()) as proof:
        back = up.until(lambda one: one.restarts > before.restarts and one.ready, "vector-db")
        proved = proof()

    assert back.pid != before.pid
    assert proved.works, proved.summary
    assert proved.figures["exit_code"] == 137
    assert up.documents() == documents


def test_a_stopped_container_stays_down_until_it_is_healed(up: Up) -> None:
    restarts = up.state(PROVIDER).restarts

    with up.broken(PROVIDER, Stop(grace=1.0)) as proof:
        down = up.until(lambda one: one.pid is None, PROVIDER)
        proved = proof()

    assert (down.up, down.ready, down.restarts) == (False, False, restarts)
    assert proved.works, proved.summary
    up.until(lambda one: one.ready and one.restarts == restarts + 1, PROVIDER)


def test_a_paused_container_is_there_and_answers_nothing(up: Up) -> None:
    with up.broken("cache", Freeze()) as proof:
        state = up.until(lambda one: not one.up, "cache")
        proved = proof()

    assert state.pid is not None
    assert not state.ready
    assert proved.works, proved.summary
    assert up.until(lambda one: one.ready, "cache").pid == state.pid


def test_a_disconnected_container_runs_on_and_nobody_reaches_it(up: Up) -> None:
    before = up.state(PROVIDER)

    with up.broken(PROVIDER, Disconnect()) as proof:
        away = up.until(lambda one: not one.ready, PROVIDER)
        proved = proof()

    assert (away.up, away.pid) == (True, before.pid)
    assert proved.works, proved.summary
    assert up.until(lambda one: one.ready, PROVIDER).pid == before.pid


def test_a_container_with_a_cpu_quota_is_throttled(up: Up) -> None:
    with up.broken("gateway", StarveCpu(share=0.03)) as proof:
        for number in range(20):
            up.ask(f"Which terms apply to delivery number {number}?")
        proved = proof()

    assert proved.works, proved.summary
    assert proved.figures["throttled"] > 0


def test_a_container_that_takes_more_memory_than_is_left_is_oom_killed_and_comes_back(up: Up) -> None:
    before = up.state(PROVIDER)

    with up.broken(PROVIDER, CapMemory(headroom=0)) as proof:
        up.fill(PROVIDER, 64 * MIB)
        up.until(lambda one: one.pid is None or one.restarts > before.restarts, PROVIDER)
        proved = proof()

    assert proved.works, proved.summary
    assert proved.figures["oom_killed"] == 1.0
    assert "OOMKilled, exit 137" in proved.summary
    assert up.until(lambda one: one.ready, PROVIDER).restarts > before.restarts


def test_a_database_on_a_full_disk_takes_no_document_until_there_is_room_again(up: Up) -> None:
    document = Document(id="too-much", tenant="northwind-clinic", text="word " * 4_000_000)

    with up.broken("vector-db", FillDisk()) as proof:
        with pytest.raises(NotAcknowledged):
            up.run(up.target.store(document))
        proved = proof()

    assert proved.works, proved.summary
    up.until(lambda one: one.ready, "vector-db")
    assert up.documents() > 0


def test_a_service_that_keeps_nothing_on_a_disk_has_none_that_could_be_full(up: Up) -> None:
    with pytest.raises(FaultError, match="llm-secondary keeps nothing on a disk; vector-db does"):
        up.run(up.target.inject(ServicePlace(PROVIDER), FillDisk(), lease="full", ttl=5.0))


def test_a_full_disk_of_a_service_that_has_none_is_refused_before_anything_starts() -> None:
    source = (EXPERIMENTS / "vector_db_partition.yaml").read_text()
    partition = "partition: {from: gateway, to: vector-db}"
    assert partition in source

    def fitted(service: str) -> None:
        text = source.replace(partition, f"disk_full: {{service: {service}}}")
        experiment = parse_experiment(text, file="e.yaml")
        fit(experiment, target_name="docker", topology=DockerTarget.topology_of({}), settings={})

    fitted("vector-db")
    with pytest.raises(InvalidInput) as caught:
        fitted(PROVIDER)

    assert re.fullmatch(
        r"e\.yaml:\d+:5: disk_full: llm-secondary keeps nothing on a disk of its own, which could be full"
        r" \(allowed: vector-db\)",
        str(caught.value),
    )


def test_a_crash_loop_kills_what_was_started_again(up: Up) -> None:
    restarts = up.state(PROVIDER).restarts

    with up.broken(PROVIDER, CrashLoop(up_for=0.2)) as proof:
        up.until(lambda one: one.restarts >= restarts + 2, PROVIDER)
        proved = proof()

    assert proved.works, proved.summary
    assert proved.figures["exits"] >= 2
    up.until(lambda one: one.ready, PROVIDER)


def test_a_lease_that_is_not_renewed_ends_its_fault(up: Up) -> None:
    place, freeze = ServicePlace("cache"), Freeze()
    up.run(up.target.inject(place, freeze, lease="short", ttl=0.5))

    up.until(lambda one: one.ready, "cache")

    with pytest.raises(FaultError, match="lapsed"):
        up.run(up.target.renew("short", ttl=5.0))


def test_a_slow_start_puts_the_next_start_off(up: Up) -> None:
    restarts = up.state("embedding").restarts

    with up.broken("embedding", SlowStart(delay=1.0)) as proof:
        up.run(up.target.inject(ServicePlace("embedding"), Kill(), lease="kill", ttl=5.0))
        up.until(lambda one: one.restarts > restarts, "embedding")
        proved = proof()

    assert proved.works, proved.summary
    up.until(lambda one: one.ready, "embedding")
