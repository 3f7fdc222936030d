"""A Prometheus server of a run's own, and what is asked of it: the real program, a real service to scrape."""

import asyncio
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from brownout.clock import RunClock
from brownout.errors import EnvironmentProblem
from brownout.evidence.model import Sample
from brownout.prometheus.client import BadQuery, NoAnswer, Prometheus, number
from brownout.prometheus.server import lacking, own_server
from brownout.promql import LOOKED, SOURCE
from brownout.recorders import follow_promql
from tests.prometheus.conftest import SECRET, Running, Scraped

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(lacking() is not None, reason="no Prometheus here: apt-get install prometheus"),
]


def test_a_query_is_answered_by_the_real_server(prometheus: Running) -> None:
    client = Prometheus(prometheus.url, own=True)
    try:
        assert number(client.ask("sum(requests_total)")) == 40.0
        assert number(client.ask("vector(2) * 3")) == 6.0
        assert number(client.ask("scalar(queue_depth)")) == 3.0
        assert {dict(point.labels)["tier"]: point.value for point in client.ask("requests_total")} == {
            "pro": 10.0,
            "free": 30.0,
        }
        assert client.ask("nothing_of_that_name") == []
        assert number(client.ask("requests_total")) is None
        (empty,) = client.ask("0 * vector(1) / 0")
        assert math.isnan(empty.value)
    finally:
        client.close()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sum(", "parse error"),
        ("nosuch(up)", "unknown function"),
        ('up{job="a"', "parse error"),
    ],
)
def test_a_query_that_is_none_is_refused_in_the_servers_words(prometheus: Running, query: str, said: str) -> None:
    client = Prometheus(prometheus.url, own=True)
    with pytest.raises(BadQuery, match=said):
        client.ask(query)
    client.close()


def test_an_answer_of_very_many_series_is_refused(prometheus: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brownout.prometheus.client.MOST_SERIES", 1)
    client = Prometheus(prometheus.url, own=True)
    with pytest.raises(BadQuery, match=r"^it gives 2 series, and at most 1 are kept: .*sum\(\)$"):
        client.ask("requests_total")
    client.close()


@pytest.mark.parametrize("query", ["queue_depth[30s]", '"text"'])
def test_an_answer_without_a_number_of_now_is_none(prometheus: Running, query: str) -> None:
    client = Prometheus(prometheus.url, own=True)
    with pytest.raises(NoAnswer, match="gives no numbers"):
        client.ask(query)
    client.close()


def test_the_targets_token_is_sent_to_the_target_and_stands_in_no_file(scraped: Scraped, prometheus: Running) -> None:
    assert set(scraped.tokens) == {f"Bearer {SECRET}"}
    files = [path for path in prometheus.folder.rglob("*") if path.is_file()]
    assert files
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
    (process,) = [psutil.Process(prometheus.server.process.pid)]
    assert SECRET not in " ".join(process.cmdline())


def test_it_listens_on_the_loopback_alone(prometheus: Running) -> None:
    listening = [
        each.laddr.ip
        for each in psutil.Process(prometheus.server.process.pid).net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_answers_are_recorded_series_by_series_with_how_many_there_were(prometheus: Running) -> None:
    seen: list[Sample] = []

    async def work() -> None:
        client = Prometheus(prometheus.url, own=True)
        enough = asyncio.Event()

        def add(sample: Sample) -> None:
            seen.append(sample)
            if len(seen) >= 8:
                enough.set()

        task = asyncio.create_task(
            follow_promql(client, ["requests_total", "nothing"], clock=RunClock(), add=add, every=0.05)
        )
        async with asyncio.timeout(20):
            await enough.wait()
        task.cancel()
        await asyncio.wait({task})
        client.close()

    asyncio.run(work())
    first = [sample for sample in seen if sample.at == seen[0].at]
    assert [(sample.source, sample.metric, sample.value) for sample in first if sample.metric == LOOKED] == [
        (SOURCE, LOOKED, 2.0),
        (SOURCE, LOOKED, 0.0),
    ]
    answers = [sample for sample in first if sample.metric == "requests_total"]
    assert sorted(sample.value for sample in answers) == [10.0, 30.0]


def test_a_server_that_is_killed_is_noticed_and_its_data_removed(scraped: Scraped, tmp_path: Path) -> None:
    async def work() -> str:
        async with own_server([scraped.source()], tmp_path) as server:
            watching = asyncio.create_task(server.watch())
            server.process.send_signal(signal.SIGKILL)
            with pytest.raises(EnvironmentProblem) as caught:
                await watching
            return str(caught.value)

    assert "ended by itself (exit code -9)" in asyncio.run(work())
    assert [path.name for path in tmp_path.iterdir()] == ["prometheus.log"]


def test_it_dies_with_whoever_started_it(scraped: Scraped, tmp_path: Path) -> None:
    program = f"""
import asyncio, os, signal
from pathlib import Path
from brownout.prometheus.server import own_server
from brownout.target import Source

async def work():
    source = Source("prometheus", "gateway", "{scraped.url}/metrics")
    async with own_server([source], Path({str(tmp_path)!r})) as server:
        print(server.process.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(work())
"""
    started = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with started:
        assert started.stdout is not None
        child = psutil.Process(int(started.stdout.readline()))
        assert child.name() == "prometheus"
        os.kill(started.pid, signal.SIGKILL)
        gone, alive = psutil.wait_procs([child], timeout=10)
    assert (len(gone), alive) == (1, [])


def test_a_target_that_nobody_can_scrape_needs_no_server(tmp_path: Path) -> None:
    async def work() -> None:
        async with own_server([], tmp_path):
            pass

    with pytest.raises(EnvironmentProblem, match="nothing that Prometheus could scrape"):
        asyncio.run(work())


def test_a_server_that_is_not_there_is_told_in_one_sentence() -> None:
    client = Prometheus("http://127.0.0.1:9")
    with pytest.raises(NoAnswer, match=r"^Prometheus at http://127.0.0.1:9 did not answer \(ConnectionError\)$"):
        client.ask("up")
    client.close()
