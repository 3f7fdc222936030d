"""What is wrong with a run's use of Prometheus is told before anything is started."""

import shutil
from pathlib import Path

import pytest

from brownout import registry
from brownout.errors import EnvironmentProblem, InvalidInput
from brownout.plan import PrometheusPlan
from brownout.prometheus import check, server
from brownout.prometheus.check import plan_prometheus
from brownout.prometheus.server import lacking
from brownout.reader import parse_experiment
from brownout.system import Topology
from tests.prometheus.conftest import Running, Scraped
from tests.tiny import EXPERIMENT

needs_prometheus = pytest.mark.skipif(lacking() is not None, reason="no Prometheus here: apt-get install prometheus")
REFUSED = r"^tiny\.yaml:13:12: metric: Prometheus does not take this query: 1:5: parse error: unclosed left paren.*$"
TOPOLOGY = Topology((), (), frozenset(), cross_checks={"request-rate": "sum(rate(requests_total[$window]))"})


def planned(asked: str | None, query: str = "queue_depth", token: str | None = None) -> PrometheusPlan | None:
    text = EXPERIMENT.replace(
        "after: [", f"after: [{{metric: {{promql: {query!r}, at-least: 1}}}}, {{metric: {{name: x, at-least: 1}}}}, "
    )
    experiment = parse_experiment(text, file="tiny.yaml")
    return plan_prometheus(experiment, asked, topology=TOPOLOGY, probes=registry.probes(), token=token)


def test_without_a_server_a_selector_will_do() -> None:
    assert planned(None) is None


@pytest.mark.parametrize("query", ["sum(queue_depth)", "ttft_seconds_bucket", "sum("])
def test_without_a_server_a_richer_query_is_refused_with_its_place(query: str) -> None:
    with pytest.raises(InvalidInput, match=r"^tiny\.yaml:13:12: metric: .* needs a Prometheus server: .*--prometheus"):
        planned(None, query)


@pytest.mark.parametrize(
    "url",
    ["nonsense", "localhost:9090", "ftp://localhost", "http://", "http://host:99999", "http://[::1", ""],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"^--prometheus: expected a URL such as http://127.0.0.1:9090, or auto$"):
        planned(url)


@pytest.mark.parametrize(
    "url", ["http://me:s3cret@prom:9090", "http://s3cret@prom:9090", "http://prom/?token=s3cret", "http://prom/#s3cret"]
)
def test_a_url_with_a_secret_is_refused_and_the_secret_not_told(url: str) -> None:
    with pytest.raises(InvalidInput, match="BROWNOUT_PROMETHEUS_TOKEN") as caught:
        planned(url)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_told() -> None:
    with pytest.raises(EnvironmentProblem, match=r"^--prometheus: Prometheus at http://127.0.0.1:9 did not answer"):
        planned("http://127.0.0.1:9")


@pytest.mark.process
def test_something_that_is_no_prometheus_is_told(scraped: Scraped) -> None:
    with pytest.raises(EnvironmentProblem, match=r"^--prometheus: Prometheus at http://127\.0\.0\.1:\d+ answered 404$"):
        planned(scraped.url)


def test_a_missing_library_is_told_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'brownout\[prometheus\]'"):
        planned("auto")


def test_a_missing_program_is_told_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match="prometheus and promtool on PATH: apt-get install prometheus"):
        planned("auto")


@needs_prometheus
@pytest.mark.process
def test_a_query_that_is_none_is_refused_before_a_server_of_ones_own_is_started() -> None:
    with pytest.raises(
        InvalidInput,
        match=REFUSED,
    ):
        planned("auto", "sum(")
    plan = planned("auto", "sum(rate(x[5s]))")
    assert plan == PrometheusPlan("auto", ("sum(rate(x[5s]))",), TOPOLOGY.cross_checks)
    assert plan is not None
    assert plan.own


@needs_prometheus
@pytest.mark.process
def test_a_query_that_a_given_server_does_not_take_is_refused_in_its_words(prometheus: Running) -> None:
    with pytest.raises(
        InvalidInput,
        match=REFUSED,
    ):
        planned(prometheus.url, "sum(")
    plan = planned(f"{prometheus.url}/", "sum(queue_depth)", token="t0ken")
    assert plan is not None
    assert (plan.server, plan.own, plan.token) == (prometheus.url, False, "t0ken")
    assert "t0ken" not in repr(plan)


@needs_prometheus
@pytest.mark.process
def test_a_checker_that_cannot_be_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = shutil.which(server.PROGRAM)
    assert program is not None
    (tmp_path / "prometheus").symlink_to(program)
    (tmp_path / "promtool").write_text("not a program")
    (tmp_path / "promtool").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match=f"{server.CHECKER} cannot be run"):
        planned("auto")
    assert check.TOKEN == "BROWNOUT_PROMETHEUS_TOKEN"
