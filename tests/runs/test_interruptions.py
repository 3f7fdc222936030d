"""However a run ends, nothing of ours is left: no process, no port, no fault."""

import json
import signal
import socket
import sqlite3

import psutil
import pytest

from tests.busy import Cpu, in_time, wait_for_calm
from tests.runs.commandline import EXPERIMENTS, TRIES, Chaos, Started

pytestmark = pytest.mark.run


def mid_fault(chaos: Chaos) -> Started:
    for attempt in range(TRIES):
        # A machine that is too busy for a steady state is asked again.
        started = chaos.start(
            *("run", str(EXPERIMENTS / "vector_db_partition.yaml"), "--scale", "0.3", "--seed", "7"),
            folder=chaos.folder / f"attempt-{attempt}",
        )
        if started.saw("partition gateway → vector-db: on"):
            break
        wait_for_calm()
    started.wait_for("partition gateway → vector-db: on")
    started.remember_family()
    return started


def assert_nothing_listens(ports: set[int]) -> None:
    assert len(ports) >= 8
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} still answers"


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_an_interrupted_run_heals_judges_and_leaves_nothing(chaos: Chaos, number: signal.Signals) -> None:
    started = mid_fault(chaos)
    ports = started.listening()

    started.process.send_signal(number)
    code = started.process.wait(60)

    assert code == 4, started.log.read_text()
    assert started.survivors(within=0) == []
    assert_nothing_listens(ports)
    assert "Traceback" not in started.log.read_text()
    assert number.name in started.log.read_text()
    with sqlite3.connect(started.run / "evidence.sqlite") as evidence:
        assert evidence.execute("SELECT count(*) FROM fault WHERE off_at IS NULL").fetchone() == (0,)
    journal = json.loads((started.run / "journal.json").read_text())
    assert journal["status"] == "interrupted"


def test_after_sigkill_nothing_is_left_within_ten_seconds_without_any_help(chaos: Chaos) -> None:
    started = mid_fault(chaos)
    ports = started.listening()

    killed = Cpu.now()
    started.process.kill()

    assert started.survivors(within=60) == []
    assert in_time(killed, 10.0)
    assert_nothing_listens(ports)
    # What was recorded up to the last second can still be read and judged.
    code, out, _ = chaos("verify", "--json", str(started.run))
    assert code == 3, out
    with sqlite3.connect(started.run / "evidence.sqlite") as evidence:
        (requests,) = evidence.execute("SELECT count(*) FROM request").fetchone()
    assert requests > 20
    # The ledger still holds it; healing it finds nothing left to do and says so.
    code, out, said = chaos("heal", "--json")
    assert code == 0, said
    code, out, _ = chaos("heal")
    assert code == 0


def test_an_interruption_while_it_comes_up_leaves_nothing(chaos: Chaos) -> None:
    started = chaos.start("run", str(EXPERIMENTS / "vector_db_partition.yaml"))
    started.wait_for("starting the services")
    family = psutil.Process(started.process.pid)
    started.family = {child.pid: child for child in family.children(recursive=True)}

    started.process.send_signal(signal.SIGINT)

    assert started.process.wait(60) == 4
    assert "SIGINT" in started.log.read_text()
    assert started.survivors(within=0) == []


@pytest.mark.long
def test_our_own_proxy_dying_is_no_finding(chaos: Chaos) -> None:
    started = mid_fault(chaos)
    (proxy,) = (process for process in started.family.values() if "brownout.proxy" in process.cmdline())

    proxy.kill()

    assert started.process.wait(60) == 4
    assert "the fault proxy was ended by SIGKILL" in started.log.read_text()
    assert started.survivors(within=0) == []


@pytest.mark.long
def test_a_killed_supervisor_takes_its_services_with_it(chaos: Chaos) -> None:
    started = mid_fault(chaos)
    (supervisor,) = psutil.Process(started.process.pid).children()

    supervisor.kill()
    code = started.process.wait(60)

    assert code == 4, started.log.read_text()
    assert started.survivors(within=30) == []
    assert "Traceback" not in started.log.read_text()
