"""A run of some seconds with a real Prometheus beside it."""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from brownout.errors import EnvironmentProblem
from brownout.evidence.store import read_run
from brownout.judge import Judgement
from brownout.plan import OWN, PrometheusPlan
from brownout.prometheus.server import lacking
from brownout.rejudge import read_judged
from brownout.target import Source
from tests.prometheus.conftest import SECRET, Running, Scraped
from tests.tiny import Tiny, play

pytestmark = [
    pytest.mark.process,
    pytest.mark.long,
    pytest.mark.skipif(lacking() is not None, reason="no Prometheus here: apt-get install prometheus"),
]
QUERY = "sum(requests_total) / 4"
CHECK = f"metric: {{promql: {QUERY!r}, at-least: 10, at-most: 10}}"
TEXT = f"""
title: Ten seconds
hypothesis: Prometheus answers all the time
load: {{rate: 20/s}}
duration: 10s
steady-state: [{{availability: {{at-least: 50%}}}}]
method:
  - partition: {{from: gateway, to: store}}
    at: 5s
    for: 400ms
expect:
  after: [{{{CHECK}}}]
"""
FIGURES = {"request-rate": "vector(60)", "error-share": "vector(0)"}


@dataclass
class Watched(Tiny):
    """One whose metrics can be scraped."""

    scraped: Source | None = None

    def sources(self) -> Sequence[Source]:
        return [*super().sources(), *([self.scraped] if self.scraped is not None else [])]


def unless_busy(judgement: Judgement) -> list[str]:
    """Why it did not pass, other than that the machine is busy."""
    return [reason for reason in judgement.reasons if "this machine" not in reason]


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def servers_of(folder: Path) -> list[psutil.Process]:
    """Those that a run in this folder has started; the module's own is none of them."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.name() == "prometheus" and any(str(folder) in word for word in child.cmdline()):
                found.append(child)
    return found


def test_a_run_with_a_prometheus_of_its_own_keeps_its_answers_and_no_secret(
    scraped: Scraped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Watched(scraped=scraped.source())

    judgement, run = play(
        target, tmp_path / "run", monkeypatch, text=TEXT, prometheus=PrometheusPlan(OWN, (QUERY,), FIGURES)
    )

    assert unless_busy(judgement) == []
    folder = run.plan.folder
    assert not (folder / "logs" / "prometheus-data").exists()
    assert not any(SECRET.encode() in path.read_bytes() for path in files_of(folder))
    assert read_run(run.plan.evidence).info.environment["prometheus"] == "of the run's own"
    with contextlib.closing(sqlite3.connect(run.plan.evidence)) as file:
        asked = dict(file.execute("SELECT source, count(*) FROM sample GROUP BY source"))
    assert asked["prometheus"] >= 4
    # Each of the two figures, in three stretches and in all of the run.
    assert asked["cross-check"] == 8


def test_a_prometheus_that_dies_in_mid_run_takes_the_green_away_and_is_named(
    scraped: Scraped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill_it() -> None:
        servers_of(tmp_path)[0].kill()

    target = Watched(scraped=scraped.source(), on_inject=kill_it)

    judgement, _ = play(
        target, tmp_path / "run", monkeypatch, text=TEXT, prometheus=PrometheusPlan(OWN, (QUERY,), FIGURES)
    )

    assert judgement.outcome == "inconclusive"
    assert any("Prometheus server of this run ended by itself" in reason for reason in judgement.reasons)
    assert target.downs == 1


def test_a_given_servers_answers_are_judged_again_without_it_and_its_token_is_kept_nowhere(
    prometheus: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = PrometheusPlan(prometheus.url, (QUERY,), FIGURES, token="t0ken-of-the-server")

    judgement, run = play(Tiny(), tmp_path / "run", monkeypatch, text=TEXT, prometheus=plan)

    assert unless_busy(judgement) == []
    assert not any(b"t0ken-of-the-server" in path.read_bytes() for path in files_of(run.plan.folder))
    assert read_run(run.plan.evidence).info.environment["prometheus"] == prometheus.url
    again = read_judged(run.plan.folder)
    assert (again.judgement.outcome, list(again.differences)) == (judgement.outcome, [])
    (verdict,) = [one.verdict for one in again.judgement.judged if one.check.probe == "metric"]
    assert (verdict.outcome, verdict.value) == ("passed", 10.0)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda source: None, "nothing that Prometheus could scrape"),
        (lambda source: Source("prometheus", "gateway", f"{source.url}/elsewhere"), "gateway: .*404"),
    ],
    ids=["nothing to scrape", "not where it should be"],
)
def test_a_target_that_cannot_be_scraped_ends_the_run_before_its_load_is_on(
    broken: Callable[[Source], Source | None],
    said: str,
    scraped: Scraped,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("brownout.prometheus.server._FIRST_SCRAPE_TIMEOUT", 12.0)
    target = Watched(scraped=broken(scraped.source()))

    with pytest.raises(EnvironmentProblem, match=said):
        play(target, tmp_path / "run", monkeypatch, prometheus=PrometheusPlan(OWN))

    assert target.downs == 1
    assert servers_of(tmp_path) == []
