"""The JSON Schema of an experiment file, made from what is registered. `python -m brownout.schema` writes it.

Editors use it to complete and to underline; the reader stays the judge. Written for JSON Schema 2020-12.
"""

import argparse
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

from brownout.experiment import Load, Writes
from brownout.parameters import MAX_TEXT, SWITCH_WORDS, Parameter, parameters_of
from brownout.promql import PromQL
from brownout.reader import KEYS, MAX_TITLE, REQUIRED
from brownout.registry import Fault, Probe, Registry
from brownout.system import DependencyName, DependencyPattern, LoadName, ServiceFamily, ServiceName, TierName
from brownout.units import RATE_UNITS, SIZE_UNITS, TIME_UNITS, Bandwidth, Duration, Latency, Rate, Share, Size

FILE = Path(__file__).with_name("experiment.schema.json")
Schema = dict[str, Any]

_NUMBER = r"^\s*\+?(\d+(\.\d*)?|\.\d+)\s*"


def _quantity(units: Iterable[str], examples: Sequence[str]) -> Schema:
    alternatives = "|".join(re.escape(unit) for unit in units)
    return {"type": "string", "pattern": rf"{_NUMBER}({alternatives})\s*$", "examples": list(examples)}


_TIME = _quantity(TIME_UNITS, ["500ms", "20s", "5m"])
_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_TYPES: Mapping[object, Schema] = {
    Duration: _TIME,
    Latency: _TIME,
    Rate: _quantity((f"/{unit}" for unit in RATE_UNITS), ["20/s", "1200/m"]),
    Size: _quantity(SIZE_UNITS, ["64MiB", "10kB"]),
    Bandwidth: _quantity((f"{unit}/s" for unit in SIZE_UNITS), ["64kB/s", "1.5MB/s"]),
    Share: _quantity(("%",), ["99%", "99.9%"]),
    ServiceName: _TEXT,
    ServiceFamily: _TEXT,
    TierName: _TEXT,
    DependencyName: _TEXT,
    DependencyPattern: _TEXT,
    LoadName: _TEXT,
    PromQL: _TEXT,
    str: _TEXT,
    int: {"type": "integer"},
    float: {"type": "number"},
    # The words are truth values in YAML 1.1 and text in YAML 1.2; editors speak either.
    bool: {"enum": [True, False, *(word for word in SWITCH_WORDS if word not in ("true", "false"))]},
}
_LOAD: Mapping[str, str] = {
    "rate": "Requests per second, sent when they are due, however slow the answers are.",
    "arrivals": "Whether requests come at random (poisson) or evenly (constant).",
    "questions": "The question set that is asked.",
    "stream": "Whether answers are streamed.",
    "policy": "The consistency policy that requests ask for.",
    "timeout": "After which the client gives up on an answer.",
    "name": "By which the evidence and the checks know the stream; each of several needs one.",
    "tier": "Only callers of this tier ask.",
    "tenant": "Only callers of this tenant ask.",
    "at": "When the stream begins, from the start of the run; with the run where it is not said.",
    "for": "How long it lasts; until the end of the run where it is not said.",
    "deadline": "What the client says of its patience (X-Request-Timeout-Ms); nothing where it is not said.",
}

_WRITES: Mapping[str, str] = {
    "rate": "Documents per second, stored when they are due, however slow the acknowledgements are.",
    "timeout": "After which the client gives up on an acknowledgement.",
}


def json_schema(faults: Registry[Fault], probes: Registry[Probe]) -> Schema:
    """The schema of an experiment that may name these faults and probes.

    Raises:
        EnvironmentProblem: one of them cannot be loaded.
    """
    fault_arguments = {name: _arguments(faults.get(name)) for name in faults.names()}
    probe_arguments = {name: _arguments(probes.get(name)) for name in probes.names()}
    over = {"over": {**_TIME, "description": "Length of the rolling window, at least 1s; 5s where it is not said."}}
    abort_arguments = {
        name: {**one, "properties": {**one["properties"], **over}} for name, one in probe_arguments.items()
    }
    load = _object({one.key: _value(one, doc=_LOAD[one.key]) for one in parameters_of(Load)})
    streams = {"type": "array", "items": load, "minItems": 1}
    writes = {one.key: _value(one, doc=_WRITES[one.key]) for one in parameters_of(Writes)}
    check, abort_check = {"$ref": "#/$defs/check"}, {"$ref": "#/$defs/abort-check"}
    top: dict[str, Schema] = {
        "title": {**_TEXT, "maxLength": MAX_TITLE, "description": "What is to be shown, as one sentence."},
        "hypothesis": {**_TEXT, "description": "What the system is expected to do, and why."},
        "tags": {"type": "array", "items": _TEXT, "description": "Words to find this experiment by."},
        "target": {**_TEXT, "description": "Which system is broken; the embedded one where it is not said."},
        "settings": {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean"]},
            "description": "What is set on the system under test, by the target's own names.",
        },
        "load": {
            "anyOf": [load, streams],
            "description": "The traffic while the experiment runs: one stream, or several.",
        },
        "writes": _object(writes, description="Documents that are stored meanwhile, each then asked for."),
        "duration": {
            **_TIME,
            "description": "Length of the whole run; until 30s after the last fault where it is not said.",
        },
        "steady-state": _checks(
            check, "What must hold before the first fault, else the run is inconclusive, and again at the end.", least=1
        ),
        "method": {
            "type": "array",
            "items": {"$ref": "#/$defs/step"},
            "description": "The faults, each with its start and length on the run's clock; none to judge a spike.",
        },
        "expect": _object(
            {
                "during": _checks(check, "Judged from when the first fault was on until the last one was off."),
                "after": _checks(check, "Judged from when the last fault was off."),
            },
            description="What disproves the hypothesis where it does not hold.",
        ),
        "abort": _checks(abort_check, "Judged all along on a rolling window; a breach heals everything at once."),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Brownout experiment",
        **_object({key: top[key] for key in sorted(KEYS, key=list(top).index)}, required=REQUIRED),
        "$defs": {
            "check": _check(probe_arguments),
            "abort-check": _check(abort_arguments),
            "step": _object(
                {
                    **fault_arguments,
                    "at": {**_TIME, "description": "When the fault begins, from the start of the run; at least 1s."},
                    "for": {**_TIME, "description": "How long it lasts."},
                },
                required=("at", "for"),
                minProperties=3,
                maxProperties=3,
            ),
        },
    }


def _object(properties: Mapping[str, Schema], *, required: Iterable[str] = (), **more: object) -> Schema:
    schema = {"type": "object", "properties": dict(properties), "additionalProperties": False, **more}
    return {**schema, "required": list(required)} if required else schema


def _checks(item: Schema, description: str, *, least: int = 0) -> Schema:
    schema = {"type": "array", "items": item, "description": description}
    return {**schema, "minItems": least} if least else schema


def _check(arguments: Mapping[str, Schema]) -> Schema:
    """A mapping with one probe, or the bare name of one that needs no arguments."""
    mapping = _object(arguments, minProperties=1, maxProperties=1)
    bare = [name for name, one in arguments.items() if "required" not in one]
    return {"anyOf": [mapping, {"enum": bare}]} if bare else mapping


def _arguments(function: Callable[..., object]) -> Schema:
    parameters = parameters_of(function)
    schema = _object(
        {one.key: _value(one, doc=one.doc) for one in parameters},
        required=[one.key for one in parameters if one.required],
        description=(inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " "),
    )
    return schema if "required" in schema else {**schema, "type": ["object", "null"]}


def _value(parameter: Parameter, *, doc: str) -> Schema:
    if get_origin(parameter.type) is Literal:
        schema: Schema = {"enum": list(get_args(parameter.type))}
    else:
        schema = dict(_TYPES[parameter.type])
    return {**schema, "description": doc} if doc else schema


def of_type(kind: object, doc: str) -> Schema:
    """What a single value of a type of `brownout.units`, of text, of a number or of a switch looks like."""
    return {**_TYPES[kind], "description": doc}


def built_in() -> str:
    """The schema of what this distribution itself registers, as it is committed."""
    faults = cast("Registry[Fault]", Registry.installed("fault", distribution="brownout"))
    probes = cast("Registry[Probe]", Registry.installed("probe", distribution="brownout"))
    return json.dumps(json_schema(faults, probes), indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schema of an experiment file; or, with `--check`, say whether it is up to date."""
    return write_or_check(FILE, built_in(), by="brownout.schema", arguments=arguments)


def write_or_check(file: Path, text: str, *, by: str, arguments: Sequence[str] | None) -> int:
    """What a module does that makes a file: write it; or, with `--check`, say whether it is what would be written."""
    parser = argparse.ArgumentParser(prog=f"python -m {by}", description=f"Write {file.name}.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the file is out of date")
    options = parser.parse_args(arguments)
    if not options.check:
        file.write_text(text, encoding="utf-8")
    elif not file.exists() or file.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"{file.name} is out of date; run python -m {by}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
