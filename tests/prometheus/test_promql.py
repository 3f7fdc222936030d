"""PromQL that needs no server, and what a probe makes of answers and of scraped samples."""

from typing import Any

import pytest

from brownout.evidence import Sample
from brownout.probes.detected import detected
from brownout.probes.metric import metric
from brownout.promql import LOOKED, SOURCE, PromQL, plain_selector
from brownout.units import Duration
from tests.evidence.making import window


@pytest.mark.parametrize(
    ("query", "labels", "selected"),
    [
        ("queue_depth", {"tier": "pro"}, True),
        ("queue_depth{}", {}, True),
        ('queue_depth{tier="pro"}', {"tier": "pro"}, True),
        ('queue_depth{tier="pro"}', {"tier": "free"}, False),
        ('queue_depth{tier!="pro",}', {"tier": "free"}, True),
        ('queue_depth { tier != "pro" , zone="" }', {"tier": "free"}, True),
        ('queue_depth{tier="pro", job="gateway"}', {"tier": "pro"}, True),
    ],
)
def test_a_plain_selector_selects_as_prometheus_would(query: str, labels: dict[str, str], selected: bool) -> None:
    selector = plain_selector(query)
    assert selector is not None
    assert selector.name == "queue_depth"
    assert selector.selects(labels) is selected


@pytest.mark.parametrize(
    "query",
    [
        "sum(queue_depth)",
        "rate(requests_total[5m])",
        "queue_depth > 3",
        'queue_depth{tier=~"p.*"}',
        'queue_depth{tier="a\\"b"}',
        'queue_depth{tier="pro" zone="a"}',
        'queue_depth{job!="gateway"}',
        '{__name__="queue_depth"}',
        "queue_depth offset 5s",
        "ttft_seconds_bucket",
        "process_cpu_seconds_total",
        "1",
    ],
)
def test_anything_richer_takes_a_server(query: str) -> None:
    assert plain_selector(query) is None


def scraped(value: float, *, source: str = "gateway", tier: str = "pro") -> list[Sample]:
    return [Sample(float(n), source, "queue_depth", (("tier", tier),), value) for n in range(5)]


def answered(query: str, values: list[float]) -> list[Sample]:
    found = []
    for n in range(5):
        found.append(Sample(float(n), SOURCE, LOOKED, (("query", query),), float(len(values))))
        found += [Sample(float(n), SOURCE, query, (("n", str(i)),), value) for i, value in enumerate(values)]
    return found


def test_without_a_server_a_selector_reads_what_was_scraped() -> None:
    given = window(samples=[*scraped(3.0), *scraped(5.0, tier="free"), *scraped(9.0, source="other")])
    assert metric(given, promql='queue_depth{tier="pro", job="gateway"}', at_most=3.0).value == 3.0
    assert metric(given, promql='queue_depth{tier="free"}', at_most=3.0).outcome == "failed"
    assert metric(given, promql="queue_depth", at_most=50.0).value == 17.0


def test_without_a_server_what_needs_one_is_inconclusive_and_says_so() -> None:
    verdict = metric(window(samples=scraped(3.0)), promql="sum(queue_depth)", at_most=3.0)
    assert (verdict.outcome, verdict.why) == (
        "inconclusive",
        "Prometheus was not asked: sum(queue_depth) needs --prometheus",
    )


def test_a_servers_answers_are_judged_and_not_what_was_scraped() -> None:
    given = window(samples=[*scraped(3.0), *answered("queue_depth", [7.0, 1.0])])
    verdict = metric(given, promql="queue_depth", at_most=10.0)
    assert (verdict.outcome, verdict.value, verdict.samples) == ("passed", 8.0, 5)


def test_a_server_that_knows_nothing_is_not_overruled_by_what_was_scraped() -> None:
    given = window(samples=[*scraped(3.0), *answered("queue_depth", [])])
    verdict = metric(given, promql="queue_depth", at_most=10.0)
    assert (verdict.outcome, verdict.why) == ("inconclusive", "Prometheus had nothing to answer to queue_depth")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"name": "a", "promql": "a"},
        {"promql": "a", "labels": "tier=pro"},
        {"promql": "a", "source": "gateway"},
    ],
)
def test_a_name_and_a_query_do_not_go_together(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"name or promql|go with name"):
        metric(window(), at_least=1.0, **arguments)


def test_a_query_can_tell_that_something_was_noticed() -> None:
    query = 'ALERTS{alertname="GatewayErrors"}'
    fired = Sample(7.0, SOURCE, query, (("alertname", "GatewayErrors"),), 1.0)
    given = window(samples=[*answered(query, []), fired])
    verdict = detected(given, promql=PromQL(query), within=Duration(8.0))
    assert (verdict.outcome, verdict.value, verdict.why) == ("passed", 7.0, f"{query} 1")
    assert detected(given, promql=PromQL(query), within=Duration(6.0)).outcome == "failed"

    silent = detected(window(samples=answered(query, [])), promql=PromQL(query), within=Duration(8.0))
    assert (silent.outcome, silent.figure) == ("failed", "not detected in 10 s")
    unasked = detected(window(), promql=PromQL(query), within=Duration(8.0))
    assert (unasked.outcome, unasked.why) == ("inconclusive", f"{query} was never seen")
    with pytest.raises(ValueError, match="one of dependency, metric and promql"):
        detected(given, promql=PromQL(query), metric="x", within=Duration(6.0))
