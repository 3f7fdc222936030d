"""The schema for editors says what the reader accepts."""

from brownout.gameday import schema
from brownout.gameday.reader import KEYS, REQUIRED


def test_the_committed_schema_is_fresh() -> None:
    assert schema.main(["--check"]) == 0, "run python -m brownout.gameday.schema"


def test_it_knows_the_reader_s_keys_and_no_others() -> None:
    made = schema.json_schema()
    assert tuple(made["properties"]) == KEYS
    assert made["required"] == list(REQUIRED)
    assert made["additionalProperties"] is False
    assert made["properties"]["schedule"]["required"] == ["cron", "time-zone"]
