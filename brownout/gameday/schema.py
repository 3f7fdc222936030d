"""The JSON Schema of a game day's file, for editors. `python -m brownout.gameday.schema` writes it.

The reader stays the judge. Written for JSON Schema 2020-12.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from brownout.gameday.blackoutreader import BLACKOUTS, MONTH_END
from brownout.gameday.reader import GOALS, KEYS, PEOPLE, RADIUS, REQUIRED, SCHEDULE
from brownout.gameday.tellingreader import DETECTION, NOTIFY, VARIABLE, WEBHOOK
from brownout.schema import Schema, of_type, write_or_check
from brownout.units import Duration, Share

FILE = Path(__file__).with_name("gameday.schema.json")


def json_schema() -> Schema:
    """The schema."""
    date: Schema = {"type": "string", "format": "date", "examples": ["2027-12-24"]}
    names: Schema = {"anyOf": [of_type(str, "One name."), {"type": "array", "items": of_type(str, "A name.")}]}
    experiment = {
        "run": of_type(str, "The experiment's file, from where the plan lies."),
        "pause": of_type(Duration, "To wait after it, before the next one; at most 4h."),
    }
    phase = {
        "name": of_type(str, "What this part of the drill is called."),
        "experiments": {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [of_type(str, "A file."), _object(experiment, experiment, required=("run",))]},
            "description": "In the order in which they are played.",
        },
    }
    schedule = {
        "cron": of_type(str, "Minute, hour, day of the month, month, day of the week: 0 3 * * SUN."),
        "time-zone": of_type(str, "Of the wall on which the clock hangs: Europe/Berlin."),
        "week": {**_integer(1, 4), "description": "Only the first, second, third or fourth such day of the month."},
        "window": of_type(Duration, "Within which the drill may start and go on; 2h where it is not said."),
    }
    radius = {
        "traffic": of_type(Share, "Share of the requests."),
        "pods": {**_integer(1), "description": "Of each service."},
        "tenants": {**names, "description": "Whom it may hit; everybody where it is not said."},
    }
    people = {
        "commander": of_type(str, "Who leads."),
        "abort": {**names, "description": "Who may hold the abort: one of them has to have checked in."},
        "scribe": of_type(str, "Who writes down what is seen."),
        "responders": {**names, "description": "Who detects and mitigates."},
    }
    blackout = {
        "date": {**date, "description": "One day."},
        "from": {**date, "description": "The first day."},
        "to": {**date, "description": "The last day."},
        "month-end": _object(
            {
                "before": {**_integer(1, 15), "description": "The last days of a month; 1 where it is not said."},
                "after": {**_integer(0, 15), "description": "The first days of the next; none where it is not said."},
            },
            MONTH_END,
        ),
        "launch-week": {"type": "string", "pattern": r"^\d{4}-W\d{2}$", "examples": ["2027-W14"]},
        "calendar": of_type(str, "An iCalendar file, from where the plan lies: no drill during its events."),
        "why": of_type(str, "What a refusal says."),
    }
    goals = {
        "detect": of_type(Duration, "Time to detect; 5m where it is not said."),
        "mitigate": of_type(Duration, "Time to mitigate; 15m where it is not said."),
    }
    detection = {
        "alerts": {**names, "description": "By their label alertname; all of them where it is not said."},
        "matching": {
            "type": "object",
            "additionalProperties": of_type(str, "Its value."),
            "description": "Labels or annotations that an alert must have.",
        },
    }
    variable: Schema = {
        "type": "string",
        "pattern": f"^{VARIABLE.pattern}$",
        "description": "The environment variable that holds the URL, which is a secret.",
        "examples": ["SLACK_WEBHOOK_URL"],
    }
    webhook = _object({"env": variable}, WEBHOOK, required=WEBHOOK)
    notify: dict[str, Schema] = {"webhook": {"anyOf": [webhook, {"type": "array", "minItems": 1, "items": webhook}]}}
    top: dict[str, Schema] = {
        "title": of_type(str, "What is drilled."),
        "purpose": of_type(str, "What it is to show."),
        "schedule": _object(schedule, SCHEDULE, required=("cron", "time-zone")),
        "target": of_type(str, "What is broken; the experiments' own where it is not said."),
        "context": of_type(str, "Of the kubeconfig, for the target kubernetes; there is no default."),
        "namespace": of_type(str, "Where its services are; there is no default."),
        "description": of_type(str, "Which workloads are its services and links: a file from where the plan lies."),
        "blast-radius": _object(radius, RADIUS),
        "phases": {"type": "array", "minItems": 1, "items": _object(phase, phase, required=("name", "experiments"))},
        "goals": _object(goals, GOALS),
        "runbook": of_type(str, "A URL, or a file from where the plan lies. No drill without one."),
        "rollback": of_type(str, "How all is undone, in words. No drill without it."),
        "people": _object(people, PEOPLE),
        "blackouts": {"type": "array", "items": _object(blackout, BLACKOUTS), "description": "No drill then."},
        "review": _object({"within": of_type(Duration, "Of the drill's end; at most 48h.")}, ("within",)),
        "detection": {**_object(detection, DETECTION), "description": "Which alerts count as detection."},
        "notify": {**_object(notify, NOTIFY, required=NOTIFY), "description": "Told start, abort and end."},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Brownout game day",
        **_object(top, KEYS, required=REQUIRED),
    }


def _object(properties: Mapping[str, Schema], keys: Iterable[str], *, required: Iterable[str] = ()) -> Schema:
    # By the reader's own list of keys: what it does not know cannot be described, what it knows must be.
    found: Schema = {"type": "object", "properties": {key: properties[key] for key in keys}}
    found["additionalProperties"] = False
    return {**found, "required": list(required)} if required else found


def _integer(least: int, most: int | None = None) -> Schema:
    return {"type": "integer", "minimum": least} | ({} if most is None else {"maximum": most})


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schema of a plan file; or, with `--check`, say whether it is up to date."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    return write_or_check(FILE, text, by="brownout.gameday.schema", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
