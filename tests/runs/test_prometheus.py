"""A whole run with a Prometheus server of its own."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from brownout.prometheus.server import lacking
from tests.runs.commandline import FULL_LENGTH, Chaos

pytestmark = [
    pytest.mark.run,
    pytest.mark.long,
    pytest.mark.skipif(lacking() is not None, reason="no Prometheus here: apt-get install prometheus"),
]


def test_a_run_is_judged_by_promql_and_its_load_agrees_with_what_prometheus_counted(
    chaos: Chaos, edited: Callable[[str, str], Path]
) -> None:
    path = edited(
        "  after:\n",
        "    - metric: {promql: 'max(circuit_breaker_state{dependency=\"vector-db\"})', value: max, at-least: 2}\n"
        "  after:\n    - metric: {promql: 'sum(rate(requests_total[5s]))', value: mean, at-least: 15}\n",
    )

    result = chaos.run(path, "--prometheus", "auto", scale=FULL_LENGTH)

    assert (result.code, result.verdict["outcome"]) == (0, "passed"), result.verdict
    assert result.of("during", "metric")["value"] == 2
    page = (result.run / "report.html").read_text()
    assert "Against Prometheus" in page
    assert not (result.run / "logs" / "prometheus-data").exists()
    with contextlib.closing(sqlite3.connect(result.run / "evidence.sqlite")) as evidence:
        query = "SELECT value FROM sample WHERE metric = 'request-rate' AND labels LIKE '%whole run%'"
        (counted,) = evidence.execute(query).fetchone()
        (asked, seconds) = evidence.execute(
            "SELECT count(*), (SELECT value FROM run WHERE key = 'end') FROM request"
        ).fetchone()
    assert counted == pytest.approx(asked / seconds, rel=0.1)
    assert chaos("verify", str(result.run))[0] == 0
