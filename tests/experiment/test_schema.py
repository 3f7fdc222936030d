"""The schema for editors says what the reader accepts."""

import json
import re
from typing import Any

import pytest

from brownout import schema
from brownout.parameters import Parameter, parse
from brownout.schema import FILE, json_schema
from brownout.units import Bandwidth, Duration, Rate, Share, Size, UnitError


def test_the_committed_schema_is_fresh() -> None:
    assert schema.main(["--check"]) == 0, "run python -m brownout.schema"


def test_a_stale_schema_is_noticed_and_rewritten(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "FILE", tmp_path / "s.json")
    assert schema.main(["--check"]) == 1
    assert schema.main([]) == 0
    assert schema.main(["--check"]) == 0
    assert (tmp_path / "s.json").read_text(encoding="utf-8") == FILE.read_text(encoding="utf-8")


def test_every_parameter_is_described_by_its_type_and_docstring(stand_ins: Any) -> None:
    made = json_schema(stand_ins.faults, stand_ins.probes)
    step = made["$defs"]["step"]
    assert step["required"] == ["at", "for"]
    assert set(step["properties"]) == {"at", "for", *stand_ins.faults.names()}
    partition = step["properties"]["partition"]
    assert partition["description"] == "Sever a link."
    assert partition["required"] == ["from", "to"]
    assert partition["additionalProperties"] is False
    assert partition["properties"]["from"]["description"] == "who asks, and is not answered."
    assert partition["properties"]["manner"] == {"enum": ["blackhole", "reset"]}


def test_a_load_is_one_stream_or_a_list_of_them(stand_ins: Any) -> None:
    one, several = json_schema(stand_ins.faults, stand_ins.probes)["properties"]["load"]["anyOf"]
    assert several == {"type": "array", "items": one, "minItems": 1}
    assert {"rate", "name", "tier", "tenant", "at", "for", "deadline"} <= one["properties"].keys()
    assert all(key["description"] for key in one["properties"].values())


def test_a_probe_without_required_arguments_may_stand_alone(stand_ins: Any) -> None:
    check, bare = json_schema(stand_ins.faults, stand_ins.probes)["$defs"]["check"]["anyOf"]
    assert check["maxProperties"] == 1
    assert "alive" in bare["enum"]
    assert "breaker" not in bare["enum"]


def test_a_rolling_window_is_an_abort_condition_s_alone(stand_ins: Any) -> None:
    defs = json_schema(stand_ins.faults, stand_ins.probes)["$defs"]
    for name, there in (("check", False), ("abort-check", True)):
        level = defs[name]["anyOf"][0]["properties"]["level"]
        assert ("over" in level["properties"]) is there


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (Duration, ["500ms", "1.5 m", ".5s", "20", "20x", "s", "1:30", "-1s", "5 µs", "1h ", "2min"]),
        (Rate, ["20/s", "1200/m", "20", "20/x", "20s", "1.5/min"]),
        (Size, ["64MiB", "10 kB", "64", "64mb", "1B"]),
        (Bandwidth, ["64kB/s", "1.5 MiB/s", "64kB", "64/s", "64kB/m"]),
        (Share, ["99%", "99.9 %", "0.99", "99 percent"]),
    ],
)
def test_patterns_and_parsers_agree(kind: Any, texts: list[str]) -> None:
    pattern = re.compile(schema._TYPES[kind]["pattern"])
    verdicts = []
    for text in texts:
        try:
            parse(Parameter("key", "key", kind), text)
            accepted = True
        except UnitError:
            accepted = False
        assert (pattern.search(text) is not None) is accepted, text
        verdicts.append(accepted)
    assert set(verdicts) == {True, False}


def test_the_committed_file_is_json_of_the_draft_it_names() -> None:
    committed = json.loads(FILE.read_text(encoding="utf-8"))
    assert committed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert committed["required"] == ["title", "hypothesis", "steady-state", "method"]
