"""What a good file becomes; and that whatever a file says, the answer is an experiment or a clear refusal."""

import math
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brownout.errors import InvalidInput
from brownout.experiment import DEFAULT_RECOVERY, Experiment, Load
from brownout.reader import parse_experiment, read_experiment
from brownout.units import Duration, Latency, Rate

SHIPPED = Path(__file__).parents[2] / "experiments" / "vector_db_partition.yaml"
SOURCE = SHIPPED.read_text(encoding="utf-8")

SMALL = """\
title: T
hypothesis: H
steady-state: [alive]
method:
  - latency: {from: gateway, to: cache, latency: 500ms}
    at: 2s
    for: 3s
expect: {after: [alive]}
"""


def _place_of(words: str) -> tuple[int, int]:
    before = SOURCE[: SOURCE.index(words)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def test_the_shipped_experiment_reads_as_it_is_meant() -> None:
    experiment = read_experiment(SHIPPED)
    assert experiment.title == "The assistant keeps answering while its vector database is unreachable"
    assert experiment.hypothesis.startswith("Retrieval falls back to cached documents")
    assert experiment.tags == ("rag", "partition")
    assert experiment.duration == 60
    assert experiment.load == (
        Load(rate=Rate(20.0), arrivals="poisson", questions="golden", stream=True, policy="balanced"),
    )
    assert [check.title for check in experiment.steady_state] == [
        "availability: at-least 99.9%",
        "ttft: p95 500ms",
        "degradation: level 0, share 99%",
        "breaker: dependency vector-db, state closed",
    ]
    (step,) = experiment.method
    assert step.title == "partition gateway → vector-db"
    assert (step.at, step.for_, step.end) == (10, 20, 30)
    assert step.arguments == {"from_": "gateway", "to": "vector-db"}
    assert (step.location.line, step.location.column) == _place_of("partition: {")
    assert [len(block) for block in (experiment.during, experiment.after, experiment.abort)] == [4, 3, 1]
    assert experiment.steady_state[0].arguments == {"at_least": 0.999}
    assert experiment.after[0].arguments == {"dependency": "vector-db", "becomes": "closed", "within": 15}
    assert experiment.abort[0].over == 5
    assert experiment.abort[0].arguments == {"below": 0.5}
    assert experiment.source == SOURCE
    policy = experiment.locations["load.0.policy"]
    assert (policy.line, policy.column) == _place_of("balanced")


def test_scaling_shortens_the_clock_and_leaves_the_wire_alone() -> None:
    experiment = read_experiment(SHIPPED)
    scaled = experiment.scaled(0.2)
    assert scaled.duration == pytest.approx(12)
    assert (scaled.method[0].at, scaled.method[0].for_) == (pytest.approx(2), pytest.approx(4))
    assert scaled.after[0].arguments["within"] == pytest.approx(3)
    assert scaled.abort[0].over == 5, "a system collapses at its own pace"
    recovered = next(check for check in scaled.after if check.probe == "recovered")
    assert recovered.arguments["ttft_p95"] == 0.5
    assert scaled.load == experiment.load
    assert experiment.scaled(1) is experiment


def test_what_a_file_leaves_out_has_its_default(stand_ins: Any) -> None:
    experiment = parse_experiment(SMALL, file="e.yaml", **stand_ins.registries)
    assert experiment.duration == 5 + DEFAULT_RECOVERY
    assert experiment.load == (Load(),)
    assert experiment.target is None
    assert experiment.abort == experiment.during == ()
    assert experiment.method[0].title == "latency gateway → cache (latency: 500ms)"


@pytest.mark.parametrize(
    ("step", "full"), [("stop: {service: cache}", 30.0), ("slow_start: {service: cache, delay: 8s}", 8.0)]
)
def test_a_faults_own_spans_are_scaled_with_the_run_and_so_are_their_defaults(step: str, full: float) -> None:
    text = SMALL.replace("[alive]", "[{ttft: {p95: 500ms}}]")
    experiment = parse_experiment(text.replace("latency: {from: gateway, to: cache, latency: 500ms}", step), file="e")
    (name,) = experiment.method[0].scaled
    assert experiment.method[0].arguments[name] == full
    assert experiment.scaled(0.25).method[0].arguments[name] == full / 4
    # The title says what the file says.
    assert "grace" not in experiment.method[0].title


def test_a_probe_without_arguments_may_be_named_in_three_ways(stand_ins: Any) -> None:
    text = SMALL.replace("[alive]\nmethod", "[alive, alive: , alive: {}]\nmethod")
    experiment = parse_experiment(text, file="e.yaml", **stand_ins.registries)
    assert [check.title for check in experiment.steady_state] == ["alive"] * 3


@pytest.mark.parametrize("expect", ["", "expect: {during: [alive]}\n"])
def test_an_empty_method_is_a_run_without_faults(stand_ins: Any, expect: str) -> None:
    # What is expected of a fault that is not there is read; judging finds it inconclusive.
    text = f"title: T\nhypothesis: H\nsteady-state: [alive]\nmethod: []\n{expect}"
    experiment = parse_experiment(text, file="e.yaml", **stand_ins.registries)
    assert experiment.method == ()
    assert experiment.duration == DEFAULT_RECOVERY
    assert experiment.first_fault == experiment.last_heal == DEFAULT_RECOVERY / 2


@pytest.mark.parametrize(
    "second",
    [
        "partition: {from: gateway, to: cache}\n    at: 3s",  # another fault, at the same place
        "latency: {from: gateway, to: vector-db, latency: 1s}\n    at: 3s",  # the same fault, elsewhere
        "latency: {from: gateway, to: cache, latency: 1s}\n    at: 5s",  # the same fault there, right after
    ],
)
def test_compound_faults_may_overlap(second: str, stand_ins: Any) -> None:
    text = SMALL.replace("expect:", f"  - {second}\n    for: 1s\nexpect:")
    assert len(parse_experiment(text, file="e.yaml", **stand_ins.registries).method) == 2


def test_an_overlap_is_seen_whatever_the_order_in_the_file_and_whoever_lies_between(stand_ins: Any) -> None:
    fault = "  - latency: {from: gateway, to: cache, latency: 1s}\n"
    text = SMALL.replace("for: 3s", "for: 30s").replace(
        "expect:", f"{fault}    at: 40s\n    for: 1s\n{fault}    at: 31s\n    for: 2s\nexpect:"
    )
    with pytest.raises(InvalidInput, match=r"begins at 31 s.*line 5 is on, from 2 s to 32 s") as caught:
        parse_experiment(text, file="e.yaml", **stand_ins.registries)
    assert caught.value.at is not None
    assert caught.value.at.line == 11


@pytest.mark.parametrize(
    ("word", "meant"), [("on", True), ("Yes", True), ("off", False), ("no", False), ("FALSE", False)]
)
def test_words_are_truth_values_where_one_is_wanted(word: str, meant: bool, stand_ins: Any) -> None:
    text = SMALL + f"load: {{stream: {word}}}\nabort: [level: {{exact: {word}}}]\n"
    experiment = parse_experiment(text, file="e.yaml", **stand_ins.registries)
    assert experiment.load[0].stream is meant
    assert experiment.abort[0].arguments == {"exact": meant}


def test_a_load_of_several_streams_is_read_and_its_times_are_scaled(stand_ins: Any) -> None:
    streams = """load:
  - {name: quiet, rate: 5/s}
  - {name: spike, tier: free, tenant: acme, at: 4s, for: 8s, deadline: 2s}
"""
    experiment = parse_experiment(SMALL + streams, file="e.yaml", **stand_ins.registries)
    assert experiment.load == (
        Load(name="quiet", rate=Rate(5.0)),
        Load(
            name="spike",
            tier="free",
            tenant="acme",
            at=Duration(4.0),
            for_=Duration(8.0),
            deadline=Latency(2.0),
        ),
    )
    quiet, spike = experiment.scaled(0.5).load
    assert (quiet.at, quiet.for_, quiet.end) == (0, None, math.inf)
    assert (spike.at, spike.for_, spike.end) == (2, 4, 6)
    assert (spike.timeout, spike.deadline, spike.rate) == (30, 2, 20), "the wire keeps its own time"
    assert experiment.locations["load.1.tier"].line == SMALL.count("\n") + 3


def test_a_list_of_one_stream_needs_no_name_and_is_the_same_load(stand_ins: Any) -> None:
    one, other = (
        parse_experiment(SMALL + f"load: {load}\n", file="e.yaml", **stand_ins.registries).load
        for load in ("{rate: 5/s}", "[{rate: 5/s}]")
    )
    assert one == other == (Load(rate=Rate(5.0)),)


def test_a_run_of_a_spike_alone_goes_on_for_a_while_after_it(stand_ins: Any) -> None:
    text = "title: T\nhypothesis: H\nsteady-state: [alive]\nmethod: []\nexpect: {during: [alive]}\n"
    text += "load: [{name: quiet}, {name: spike, at: 20s, for: 15s}]\n"
    experiment = parse_experiment(text, file="e.yaml", **stand_ins.registries)
    assert experiment.duration == 35 + DEFAULT_RECOVERY
    assert (experiment.first_fault, experiment.last_heal) == (20, 35)
    for duration in ("30s", "35.5s"):
        with pytest.raises(InvalidInput, match=r"for: the stream ends at 35 s|at least 1s must remain"):
            parse_experiment(text + f"duration: {duration}\n", file="e.yaml", **stand_ins.registries)


def test_the_peak_rate_is_that_of_the_streams_that_are_on_together(stand_ins: Any) -> None:
    streams = """load:
  - {name: quiet, rate: 5/s}
  - {name: spike, rate: 50/s, tier: free, at: 4s, for: 8s}
  - {name: later, rate: 20/s, tier: pro, at: 12s, for: 2s}
"""
    experiment = parse_experiment(SMALL + streams, file="e.yaml", **stand_ins.registries)
    assert experiment.peak_rate() == 55
    assert experiment.peak_rate(tier="pro") == 25
    assert experiment.peak_rate(tier="enterprise") == 5
    assert experiment.peak_rate(load="later") == 20
    assert experiment.peak_rate(load="none of them") == 0


def test_words_are_words_where_text_is_wanted(stand_ins: Any) -> None:
    text = SMALL.replace("title: T", "title: No") + "tags: [on, off, 'true', 2024-01-01, 010]\n"
    experiment = parse_experiment(text, file="e.yaml", **stand_ins.registries)
    assert experiment.title == "No"
    assert experiment.tags == ("on", "off", "true", "2024-01-01", "010")


def test_aliases_and_merge_keys_work_as_in_any_yaml(stand_ins: Any) -> None:
    text = SMALL.replace("{from: gateway, to: cache, latency: 500ms}", "&slow {from: gateway, to: cache, latency: 1s}")
    text = text.replace(
        "expect:", "  - latency: {<<: *slow, latency: 2s, jitter: 1s}\n    at: 8s\n    for: 1s\nexpect:"
    )
    experiment = parse_experiment(text, file="e.yaml", **stand_ins.registries)
    assert experiment.method[1].arguments == {"from_": "gateway", "to": "cache", "latency": 2, "jitter": 1}


def test_reading_costs_little() -> None:
    read_experiment(SHIPPED)  # the plugins are imported once
    took = []
    for _ in range(5):
        start = time.process_time()
        read_experiment(SHIPPED)
        took.append(time.process_time() - start)
    assert min(took) < 0.03


def _outcome(text: str) -> Experiment | InvalidInput:
    try:
        return parse_experiment(text, file="e.yaml")
    except InvalidInput as refused:
        return refused


LINES = SOURCE.splitlines()
JUNK = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "\t",
            "\0",
            "\x1b[31m",
            "﻿",
            "\u2028",
            "💥",
            "é",
            "- ",
            ": ",
            "{",
            "}",
            "[",
            "]",
            "&a ",
            "*a",
            "<<: ",
            "!!int ",
            "|\n",
            "#",
        ]
    ),
    st.integers(-(10**40), 10**40).map(str),
    st.sampled_from(["1e999", ".inf", "-.nan", "0x10", "1:30", "9" * 5000, "[" * 300, "{a: " * 100, "- " * 100]),
)


@st.composite
def mutated_text(draw: st.DrawFn) -> str:
    """The shipped file after a few strokes of a careless editor."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        index = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["delete", "duplicate", "swap", "insert", "replace", "indent"])):
            case "delete" if len(lines) > 1:
                del lines[index]
            case "duplicate":
                lines.insert(index, lines[index])
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[index], lines[other] = lines[other], lines[index]
            case "insert":
                column = draw(st.integers(0, len(lines[index])))
                lines[index] = lines[index][:column] + draw(JUNK) + lines[index][column:]
            case "replace":
                lines[index] = lines[index].partition(":")[0] + ": " + draw(JUNK)
            case _:
                lines[index] = " " * draw(st.integers(0, 6)) + lines[index].lstrip()
    return "\n".join(lines)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["20s", "0s", "99%", "1/s", "gateway", "closed", "on", "a\0b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated_tree(draw: st.DrawFn) -> str:
    """The shipped experiment as data, a few of its nodes exchanged, removed or renamed."""
    tree: Any = yaml.safe_load(SOURCE)
    for _ in range(draw(st.integers(1, 3))):
        node = tree
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and draw(st.booleans()):
                node = node[key]
                continue
            match draw(st.sampled_from(["value", "remove", "rename", "steal"])):
                case "remove":
                    del node[key]
                case "rename" if isinstance(node, dict):
                    node[draw(st.text(max_size=5) | st.sampled_from(list(tree) or ["title"]))] = node.pop(key)
                case "steal":
                    node[key] = draw(st.sampled_from(list(tree.values()) or [None])) if node is not tree else None
                case _:
                    node[key] = draw(VALUES)
            break
    return yaml.safe_dump(tree, allow_unicode=draw(st.booleans()), sort_keys=False)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated_text())
def test_a_carelessly_edited_file_gives_an_experiment_or_a_clear_refusal(text: str) -> None:
    _assert_clear(_outcome(text))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated_tree())
def test_any_exchange_of_values_gives_an_experiment_or_a_clear_refusal(text: str) -> None:
    _assert_clear(_outcome(text))


def _assert_clear(outcome: Experiment | InvalidInput) -> None:
    if isinstance(outcome, Experiment):
        assert outcome.duration - outcome.last_heal >= 1
        assert outcome.first_fault >= 1
    else:
        for line in str(outcome).splitlines():
            assert line.startswith(("e.yaml:", "and "))
            assert line.isprintable()
