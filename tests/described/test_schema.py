"""The schema for editors knows what the reader knows."""

import json
from pathlib import Path
from typing import Any

from brownout.fixtures.described import door as door_reader
from brownout.fixtures.described import questions, reader
from brownout.units import TIME_UNITS

SCHEMA: Any = json.loads(Path(reader.__file__).with_name("description.schema.json").read_text(encoding="utf-8"))


def test_it_has_the_readers_keys_and_no_others() -> None:
    top = SCHEMA["properties"]
    door, service = top["door"]["properties"], top["services"]["additionalProperties"]["properties"]
    _, question = SCHEMA["$defs"]["question"]["anyOf"]

    assert tuple(top) == reader.KEYS == tuple(SCHEMA["required"])
    assert tuple(door) == door_reader.DOOR
    assert set(door["request"]["properties"]) == set(door_reader.REQUEST)
    assert tuple(service) == reader.SERVICE
    assert tuple(service["breakers"]["properties"]) == reader.BREAKERS
    assert tuple(top["links"]["items"]["properties"]) == reader.LINK
    assert set(question["properties"]) == set(questions.QUESTION_KEYS)


def test_every_mapping_in_it_refuses_what_it_does_not_know() -> None:
    def mappings(node: Any) -> list[Any]:
        found = [node] if isinstance(node, dict) and "object" in str(node.get("type")) else []
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        return found + [one for child in children for one in mappings(child)]

    assert len(mappings(SCHEMA)) >= 8
    assert all("additionalProperties" in one for one in mappings(SCHEMA))


def test_its_spans_have_the_units_of_the_reader() -> None:
    pattern = SCHEMA["properties"]["services"]["additionalProperties"]["properties"]["within"]["pattern"]

    assert f"({'|'.join(TIME_UNITS)})" in pattern
