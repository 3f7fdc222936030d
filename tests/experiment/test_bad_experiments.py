"""Every mistake is told with its place, what was seen, and what is allowed or was likely meant."""

from dataclasses import dataclass
from typing import Any

import pytest

from brownout.errors import EnvironmentProblem, InvalidInput, InvalidInputs
from brownout.reader import parse_experiment

BASE = """\
title: It keeps answering
hypothesis: The fallback is used.
tags: [rag]
target: embedded
settings: {breakers: off}
duration: 60s
load: {rate: 20/s, arrivals: poisson, stream: true}
steady-state:
  - availability: {at-least: 99%}
method:
  - partition: {from: gateway, to: vector-db}
    at: 10s
    for: 20s
expect:
  during:
    - level: {at-least: 1, factor: 0.5}
  after:
    - breaker: {dependency: vector-db, becomes: closed, within: 15s}
abort:
  - availability: {below: 50%, over: 5s}
"""


@dataclass(frozen=True)
class Case:
    """`old` in the good experiment becomes `new`; the error stands at `at` and says all of `says`."""

    name: str
    old: str
    new: str
    at: str
    says: tuple[str, ...]


def case(name: str, old: str, new: str, at: str, *says: str) -> Any:
    return pytest.param(Case(name, old, new, at, says), id=name)


LOAD = "{rate: 20/s, arrivals: poisson, stream: true}"
AVAILABLE = "availability: {at-least: 99%}"
PARTITION = "partition: {from: gateway, to: vector-db}"
LEVEL = "level: {at-least: 1, factor: 0.5}"
BREAKER = "breaker: {dependency: vector-db, becomes: closed, within: 15s}"
ABORT = "availability: {below: 50%, over: 5s}"
METHOD = f"method:\n  - {PARTITION}\n    at: 10s\n    for: 20s\n"
EXPECT = BASE[BASE.index("expect:") : BASE.index("abort:")]

CASES = [
    # The top level.
    case("no title", "title: It keeps answering\n", "", "1:1", "'title' is missing"),
    case("no hypothesis", "hypothesis: The fallback is used.\n", "", "1:1", "'hypothesis' is missing"),
    case("no steady state", f"steady-state:\n  - {AVAILABLE}\n", "", "1:1", "'steady-state' is missing"),
    case("no method", METHOD, "", "1:1", "'method' is missing"),
    case("blank title", "It keeps answering", "", "1:7", "title: got nothing", "expected text"),
    case("empty title", "It keeps answering", "'  '", "1:8", "title: got '  '", "not an empty one"),
    case("title of a number", "It keeps answering", "42", "1:8", "title: got 42", "quotes"),
    case("title of a truth value", "It keeps answering", "true", "1:8", "title: got true", "quotes"),
    case("title of a list", "It keeps answering", "[a]", "1:8", "title: got a list", "a single value"),
    case("title too long", "It keeps answering", "x" * 201, "1:8", "got 'xxx", "at most 200 characters"),
    case("hypothesis too long", "The fallback is used.", "x" * 2001, "2:13", "got 'xxx", "at most 2000", "2001"),
    case("misspelt key", "duration:", "duratoin:", "6:1", "'duratoin'", "did you mean 'duration'", "abort"),
    case("python's spelling", "steady-state:", "steady_state:", "8:1", "'steady_state'", "did you mean 'steady-state'"),
    case("key of the toolkit", "abort:", "rollbacks:", "19:1", "unknown key 'rollbacks'", "allowed: title"),
    case("capital key", "title:", "Title:", "1:1", "unknown key 'Title'", "did you mean 'title'"),
    case("tags of one word", "[rag]", "rag", "3:7", "tags: got 'rag'", "expected a list of words"),
    case("tag of a number", "[rag]", "[rag, 2024]", "3:13", "tags: got 2024", "quotes"),
    case("tag of nothing", "[rag]", "[~]", "3:8", "tags: got nothing", "expected text"),
    case("target of a list", "embedded", "[embedded]", "4:9", "target: got a list"),
    case("settings of a list", "{breakers: off}", "[breakers]", "5:11", "settings: got a list", "expected a mapping"),
    case("setting of a list", "off}", "[off]}", "5:22", "breakers: got a list", "a single value"),
    case("setting of nothing", "off}", "~}", "5:22", "breakers: got nothing", "a single value"),
    # Quantities, and what YAML 1.1 would have made of them.
    case("bare duration", "60s", "60", "6:11", "duration: got 60", "needs its unit", "20s"),
    case("unknown unit", "60s", "60sec", "6:11", "got '60sec'", "unknown unit 'sec'", "ms, s, m"),
    case("negative duration", "60s", "-60s", "6:11", "got '-60s'", "cannot be negative"),
    case("endless duration", "60s", "9999999h", "6:11", "got '9999999h'", "more than a year"),
    case("infinite duration", "60s", ".inf", "6:11", "got '.inf'", "a number with its unit"),
    case("sexagesimal duration", "60s", "1:30", "6:11", "got '1:30'", "unknown unit ':30'"),
    case("octal duration", "60s", "010", "6:11", "got '010'", "needs its unit"),
    case("grouped digits", "60s", "1_000", "6:11", "got '1_000'", "unknown unit '_000'"),
    case("timestamp", "60s", "2024-01-01", "6:11", "got '2024-01-01'", "a number with its unit"),
    case("foreign digits", "60s", "٦٠s", "6:11", "got '٦٠s'", "a number with its unit"),
    case("quantity of a switch", "60s", "on", "6:11", "got 'on'", "a number with its unit"),
    case("quantity of a mapping", "60s", "{s: 60}", "6:11", "duration: got a mapping", "a single value"),
    case("overlong quantity", "60s", "6" + "0" * 70 + "s", "6:11", "a number with its unit"),
    # The load.
    case("writes of nothing", "steady-state:", "writes: {rate: 0/s}\nsteady-state:", "8:16", "rate: got '0/s'"),
    case("writes without a wait", "steady-state:", "writes: {timeout: 0s}\nsteady-state:", "8:19", "timeout: got 0s"),
    case("unknown key of writes", "steady-state:", "writes: {rte: 1/s}\nsteady-state:", "8:10", "mean 'rate'"),
    case("load of text", "{rate: 20/s, arrivals: poisson, stream: true}", "heavy", "7:7", "load: got 'heavy'"),
    case("unknown key of load", "arrivals:", "arival:", "7:20", "unknown key 'arival' of load", "mean 'arrivals'"),
    case("unknown arrivals", "poisson", "possion", "7:30", "arrivals: got 'possion'", "mean 'poisson'", "constant"),
    case("rate of a time", "20/s", "20s", "7:14", "rate: got '20s'", "expected a rate such as 20/s"),
    case("rate of nothing", "20/s", "0/s", "7:14", "rate: got '0/s'", "above 0 and at most 100000/s"),
    case("huge rate", "20/s", "1000000/s", "7:14", "rate: got '1000000/s'", "at most 100000/s"),
    case("stream of a number", "stream: true", "stream: 1", "7:47", "stream: got 1", "on, off, true, false"),
    case("stream of a typo", "stream: true", "stream: of", "7:47", "stream: got 'of'", "did you mean 'off'"),
    case("policy of a number", "stream: true", "policy: 3", "7:47", "policy: got 3", "quotes"),
    case("no timeout", "stream: true", "timeout: 0s", "7:48", "timeout: got 0s", "such as 30s"),
    # Several streams of it.
    case("no streams", LOAD, "[]", "7:7", "load: got an empty list", "at least one stream"),
    case("two streams without names", LOAD, "[{rate: 1/s}, {name: b}]", "7:8", "'name' is missing", "several streams"),
    case(
        "two streams of one name", LOAD, "[{name: a}, {name: a}]", "7:26", "name: 'a' is the stream of line 7 already"
    ),
    case("stream of text", LOAD, "[{name: a}, b]", "7:19", "load: got 'b'", "expected a mapping"),
    case(
        "unknown key of a stream", LOAD, "[{name: a, teir: free}]", "7:18", "unknown key 'teir' of load", "mean 'tier'"
    ),
    case("name of two words", LOAD, "{name: a b}", "7:14", "name: got 'a b'", "one word", "spike"),
    case("name too long", LOAD, "{name: " + "x" * 41 + "}", "7:14", "name: got 'xxx", "one word"),
    case("name of a number", LOAD, "{name: 7}", "7:14", "name: got 7", "quotes"),
    case("stream without unit", LOAD, "{at: 20}", "7:12", "at: got 20", "needs its unit"),
    case("stream of no time", LOAD, "{for: 0s}", "7:13", "for: got 0s", "lasts for some time"),
    case("stream after the run", LOAD, "{at: 60s}", "7:12", "at: the stream begins at 60 s", "whose duration is 60 s"),
    case(
        "stream into the end", LOAD, "{at: 50s, for: 11s}", "7:22", "for: the stream ends at 61 s", "duration is 60 s"
    ),
    case("stream after an unstated end", f"duration: 60s\nload: {LOAD}", "load: {at: 61s}", "6:12", "duration is 60 s"),
    case("no patience", LOAD, "{deadline: 0s}", "7:18", "deadline: got 0s", "such as 30s"),
    # Checks.
    case("empty steady state", f"\n  - {AVAILABLE}", " []", "8:15", "steady-state: expected at least one check"),
    case("blank steady state", f"\n  - {AVAILABLE}", "", "8:14", "steady-state: got nothing", "a list of checks"),
    case("checks of a mapping", f"  - {AVAILABLE}", f"  {AVAILABLE}", "9:3", "steady-state: got a mapping", "'- '"),
    case("unknown probe", "availability: {at", "availabilty: {at", "9:5", "'availabilty'", "mean 'availability'"),
    case("unknown bare probe", AVAILABLE, "aliv", "9:5", "unknown probe 'aliv'", "did you mean 'alive'", "level"),
    case("bare probe without its arguments", AVAILABLE, "breaker", "9:5", "breaker: 'dependency' is missing"),
    case("check of a number", AVAILABLE, "99", "9:5", "a check: got 99", "expected a mapping"),
    case("check of a list", AVAILABLE, "[alive]", "9:5", "a check: got a list", "expected a mapping"),
    case("empty check", AVAILABLE, "{}", "9:5", "no probe is named here", "alive, availability"),
    case("two probes", AVAILABLE, AVAILABLE + "\n    alive:", "10:5", "'alive' stands beside 'availability'", "'- '"),
    case(
        "argument not indented",
        AVAILABLE,
        "availability:\n    at-least: 99%",
        "10:5",
        "'at-least' does not belong here",
        "indented below 'availability'",
    ),
    case("arguments of text", AVAILABLE, "availability: 99%", "9:19", "availability: got '99%'", "a mapping"),
    case("arguments of a list", AVAILABLE, "availability: [99%]", "9:19", "availability: got a list", "a mapping"),
    case("unknown argument", "at-least: 99%", "atleast: 99%", "9:20", "'atleast'", "mean 'at-least'", "below"),
    case("missing argument", "dependency: vector-db, ", "", "18:7", "breaker: 'dependency' is missing", "becomes"),
    case("nonsense to the probe", "{at-least: 99%}", "{at-least: 99%, below: 1%}", "9:5", "availability: say either"),
    case("no threshold", AVAILABLE, "availability", "9:5", "availability: say either at-least or below"),
    case("bare share", "at-least: 99%", "at-least: 0.99", "9:30", "at-least: got 0.99", "needs its unit", "99%"),
    case("share above one", "at-least: 99%", "at-least: 101%", "9:30", "got '101%'", "between 0% and 100%"),
    case("share of nothing", "at-least: 99%", "at-least: ~", "9:30", "at-least: got nothing", "quantity such as 99%"),
    case(
        "whole number of a fraction", "at-least: 1,", "at-least: 1.5,", "16:25", "got 1.5", "a whole number such as 3"
    ),
    case("whole number of a switch", "at-least: 1,", "at-least: true,", "16:25", "got true", "a whole number"),
    case("whole number of octal", "at-least: 1,", "at-least: 010,", "16:25", "got '010'", "a whole number"),
    case("whole number of text", "at-least: 1,", "at-least: '1',", "16:25", "got '1'", "a whole number"),
    case("whole number too long", "at-least: 1,", f"at-least: {'9' * 30},", "16:25", "got '999", "a whole number"),
    case("number of nan", "factor: 0.5", "factor: .nan", "16:36", "factor: got '.nan'", "a number such as 0.5"),
    case("number too large", "factor: 0.5", "factor: 1e999", "16:36", "got '1e999'", "a number such as 0.5"),
    case("number of a switch", "factor: 0.5", "factor: false", "16:36", "got false", "a number such as 0.5"),
    case("choice of a typo", "becomes: closed", "becomes: close", "18:49", "got 'close'", "mean 'closed'", "half-open"),
    case("choice of a number", "becomes: closed", "becomes: 1", "18:49", "becomes: got 1", "closed, open, half-open"),
    case("text of a list", "dependency: vector-db", "dependency: [a]", "18:29", "dependency: got a list"),
    case("window in expect", "within: 15s", "over: 5s", "18:57", "abort conditions only"),
    case("window too short", "over: 5s", "over: 500ms", "20:38", "over: got 500ms", "at least 1s"),
    case("window without unit", "over: 5s", "over: 5", "20:38", "over: got 5", "needs its unit"),
    case("unknown argument of abort", "over: 5s", "ovr: 5s", "20:32", "'ovr'", "mean 'over'", "at-least, below, over"),
    # What is expected.
    case("expect of a list", EXPECT, f"expect:\n  - {BREAKER}\n", "15:3", "expect: got a list", "a mapping"),
    case("nothing expected", EXPECT, "", "1:1", "nothing is expected", "'during' or in 'after'"),
    case("empty expectations", EXPECT, "expect: {during: [], after: []}\n", "14:1", "nothing is expected"),
    case("unknown window", "  during:", "  durring:", "15:3", "'durring'", "mean 'during'", "during, after"),
    # The method.
    case("method of nothing", METHOD, "method:\n", "10:8", "method: got nothing", "a list of faults"),
    case("method of a mapping", METHOD, f"method: {{{PARTITION}}}\n", "10:9", "method: got a mapping", "a list"),
    case("bare fault", METHOD, "method: [partition]\n", "10:10", "an entry of the method: got 'partition'"),
    case("unknown fault", "partition: {from", "partiton: {from", "11:5", "'partiton'", "mean 'partition'", "restart"),
    case("no fault", f"{PARTITION}\n    at", "at", "11:5", "no fault is named here", "partition"),
    case("two faults", "    at: 10s", "    restart: {service: cache}\n    at: 10s", "12:5", "'restart' stands beside"),
    case("misspelt time", "    for:", "    fro:", "13:5", "'fro' does not belong here", "did you mean 'for'"),
    case("no start", "    at: 10s\n", "", "11:5", "'at' is missing", "at: 10s"),
    case("no length", "    for: 20s\n", "", "11:5", "'for' is missing", "for: 20s"),
    case("start at once", "at: 10s", "at: 0s", "12:9", "at: got 0s", "no time to see the steady state", "1s or later"),
    case("start too early", "at: 10s", "at: 999ms", "12:9", "at: got 999ms", "1s or later"),
    case("no length at all", "for: 20s", "for: 0s", "13:10", "for: got 0s", "lasts for some time"),
    case("fault argument missing", ", to: vector-db", "", "11:5", "partition: 'to' is missing", "from, to, manner"),
    case("fault argument unknown", "to: vector-db", "too: cache", "11:32", "'too' of partition", "mean 'to'"),
    case("fault without arguments", PARTITION, "restart:", "11:5", "restart: 'service' is missing"),
    case("service of a number", "to: vector-db", "to: 7", "11:36", "to: got 7", "quotes"),
    case("size without unit", PARTITION, "flood: {rate: 1/s, size: 64}", "11:30", "got 64", "64MiB"),
    case("size in bits", PARTITION, "flood: {rate: 1/s, size: 64Mb}", "11:30", "unknown unit 'Mb'", "MiB"),
    case("longer than the run", "for: 20s", "for: 55s", "13:10", "ends at 65 s", "duration is 60 s (line 6)"),
    case("no time to heal", "for: 20s", "for: 49.5s", "6:11", "duration: got 60s", "at least 1s", "59.5 s"),
    case("no time at all", "for: 20s", "for: 50s", "6:11", "duration: got 60s", "at least 1s must remain"),
    case(
        "one fault twice at once",
        "    for: 20s\n",
        f"    for: 20s\n  - {PARTITION}\n    at: 29s\n    for: 2s\n",
        "14:5",
        "partition gateway → vector-db begins at 29 s",
        "fault of line 11 is on, from 10 s to 30 s",
    ),
    # YAML.
    case("same key twice", "tags: [rag]", "title: B", "3:1", "'title' stands here a second time", "line 1, column 1"),
    case("same argument twice", "at-least: 99%", "at-least: 99%, at-least: 9%", "9:35", "'at-least'", "line 9"),
    case("unquoted colon", "It keeps answering", "It: keeps", "1:10", "mapping values", "quotes"),
    case("tab", "  during:", "\tduring:", "15:1", "a tab", "indented with spaces"),
    case("unquoted percent", "99%}", "%99}", "9:30", "cannot start any token", "needs quotes"),
    case("unclosed bracket", "[rag]", "[rag", "4:7", "not valid YAML", "','"),
    case("two documents", "abort:", "---\nabort:", "19:1", "a second document"),
    case("tag on a value", "[rag]", "!!python/name:os.system", "3:7", "python/name:os.system", "remove it"),
    case("custom tag", "[rag]", "!secret rag", "3:7", "'!secret'", "remove it"),
    case("key of a number", "tags:", "1:", "3:1", "a key must be text, not 1"),
    case("key of a list", "tags:", "[a]:", "3:1", "a key must be text, not a list"),
    case("key of nothing", "tags:", "~:", "3:1", "a key must be text, not nothing"),
    case("unknown alias", "[rag]", "[&word rag, *wrod]", "3:19", "*wrod", "did you mean 'word'"),
    case("merge of text", "{breakers: off}", "{<<: off}", "5:16", "'<<' merges mappings, not 'off'"),
    case("control character", "It keeps", "It\x07keeps", "1:10", r"'\x07'", "text file"),
    case("escaped control character", "It keeps answering", r'"It\x1bkeeps"', "1:8", r"'\x1b'"),
    case("nul", "It keeps", "It\0keeps", "1:10", r"'\x00'", "text file"),
    case("too deep", "[rag]", "[" * 200 + "]" * 200, "3:39", "nested deeper than 32 levels"),
]


@pytest.mark.parametrize("bad", CASES)
def test_a_mistake_is_told_with_its_place_its_value_and_what_is_allowed(bad: Case, stand_ins: Any) -> None:
    assert BASE.count(bad.old) >= 1, "the case changes nothing"
    text = BASE.replace(bad.old, bad.new, 1)
    with pytest.raises(InvalidInput) as caught:
        parse_experiment(text, file="e.yaml", **stand_ins.registries)
    told = str(caught.value)
    there = [line for line in told.splitlines() if line.startswith(f"e.yaml:{bad.at}: ")]
    assert any(all(words in line for words in bad.says) for line in there), told


def test_there_are_as_many_cases_as_it_takes() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 60


def test_a_single_mistake_reads_as_a_single_line(stand_ins: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_experiment(BASE.replace("60s", "60"), file="e.yaml", **stand_ins.registries)
    assert not isinstance(caught.value, InvalidInputs)
    assert str(caught.value) == (
        "e.yaml:6:11: duration: got 60; a bare number needs its unit, such as 500ms, 20s or 5m"
    )


def test_independent_mistakes_are_told_together_in_the_order_of_the_file(stand_ins: Any) -> None:
    text = BASE.replace("20/s", "20").replace("vector-db}", "7}").replace("closed", "shut").replace("title:", "titel:")
    with pytest.raises(InvalidInputs) as caught:
        parse_experiment(text, file="e.yaml", **stand_ins.registries)
    places = [line.split(": ")[0] for line in str(caught.value).splitlines()]
    assert places == ["e.yaml:1:1", "e.yaml:1:1", "e.yaml:7:14", "e.yaml:11:36", "e.yaml:18:49"]


def test_more_than_ten_mistakes_are_counted_not_listed(stand_ins: Any) -> None:
    text = BASE.replace("[rag]", str(list(range(25))))
    with pytest.raises(InvalidInputs) as caught:
        parse_experiment(text, file="e.yaml", **stand_ins.registries)
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 15 more"


def test_a_probe_that_raises_anything_but_a_value_error_is_called_broken(stand_ins: Any) -> None:
    with pytest.raises(EnvironmentProblem, match=r"probe 'crashing' is broken.*ZeroDivisionError"):
        parse_experiment(BASE.replace(AVAILABLE, "crashing"), file="e.yaml", **stand_ins.registries)


def test_a_probe_that_returns_no_verdict_is_called_broken(stand_ins: Any) -> None:
    with pytest.raises(EnvironmentProblem, match=r"probe 'silent' is broken; .* it returned nothing instead of a"):
        parse_experiment(BASE.replace(AVAILABLE, "silent"), file="e.yaml", **stand_ins.registries)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "42", "[]", "null", "title", "{}"])
def test_a_file_that_is_no_mapping_of_keys_is_refused(text: str, stand_ins: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^e\.yaml:\d+:\d+: "):
        parse_experiment(text, file="e.yaml", **stand_ins.registries)
