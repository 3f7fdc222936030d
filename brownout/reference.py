"""The parameter tables of docs/faults.md, made from what is registered. `python -m brownout.reference` writes them.

A table stands between `<!-- parameters: NAME -->` and `<!-- end -->`; everything else on the page is written by hand.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin

from brownout import registry
from brownout.parameters import Parameter, parameters_of
from brownout.system import ServiceFamily, ServiceName
from brownout.units import Duration, Latency, Rate, Share, Size, format_seconds, format_share, format_size

FILE = Path(__file__).parents[1] / "docs" / "faults.md"
_TABLE = re.compile(r"(<!-- parameters: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_TYPES: Mapping[object, str] = {
    ServiceName: "a service",
    ServiceFamily: "a service with replicas",
    Duration: "a time",
    Latency: "a time, not scaled",
    Rate: "a rate",
    Size: "a size",
    Share: "a percentage",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "on or off",
}
_FORMATS: Mapping[object, Callable[[float], str]] = {
    Duration: format_seconds,
    Latency: format_seconds,
    Size: format_size,
    Share: format_share,
}


def table(name: str) -> str:
    """What may be said of a fault, as a table in Markdown.

    Raises:
        InvalidInput: there is no such fault.
    """
    rows = [
        f"| `{one.key}` | {_type(one)} | {_default(one)} | {one.doc} |"
        for one in parameters_of(registry.faults().get(name))
    ]
    return "\n".join(["| | | where it is not said | |", "|---|---|---|---|", *rows]) + "\n"


def filled(text: str) -> str:
    """The page with each of its tables as it should be. Raises `InvalidInput`, as `table`."""
    return _TABLE.sub(lambda found: f"{found[1]}{table(found['name'])}{found[3]}", text)


def sections(text: str) -> Sequence[str]:
    """The faults that have a table on the page."""
    return [found["name"] for found in _TABLE.finditer(text)]


def _type(parameter: Parameter) -> str:
    if get_origin(parameter.type) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(parameter.type))
    return _TYPES[parameter.type]


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "must be said"
    if parameter.default is None:
        return ""
    if (shown := _FORMATS.get(parameter.type)) is not None:
        return shown(parameter.default)
    return f"`{parameter.default}`"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables; or, with `--check`, say whether the page has them as they would be."""
    parser = argparse.ArgumentParser(prog="python -m brownout.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page is out of date")
    options = parser.parse_args(arguments)
    text = FILE.read_text(encoding="utf-8")
    if not options.check:
        FILE.write_text(filled(text), encoding="utf-8")
    elif filled(text) != text:
        sys.stderr.write(f"{FILE.name} is out of date; run python -m brownout.reference\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
