"""The reference pages, from the signatures: `python -m brownout.reference` writes them.

docs/probes.md is written whole. docs/faults.md is written by hand but for its tables of parameters, each of which
stands between `<!-- parameters: NAME -->` and `<!-- end -->`.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast, get_args, get_origin

from brownout import registry
from brownout.parameters import Parameter, parameters_of
from brownout.promql import PromQL
from brownout.registry import Probe, Registry
from brownout.system import DependencyName, DependencyPattern, LoadName, ServiceFamily, ServiceName, TierName
from brownout.units import (
    Bandwidth,
    Duration,
    Latency,
    Rate,
    Share,
    Size,
    format_seconds,
    format_share,
    format_size,
)

DOCS = Path(__file__).parents[1] / "docs"
FAULTS, PROBES = "faults.md", "probes.md"

_HEAD = """\
# Probes

<!-- Written by `python -m brownout.reference` from the probes' signatures and docstrings. Change those. -->

A probe judges a window of recorded evidence; what an experiment may say of each is below. Every verdict tells how many
samples it rests on and, where a share, a quantile or a mean is judged, the 95 % confidence interval of its figure. The
figure itself decides: what a run recorded is all that its users asked, no sample of it. With too few samples (20
requests, unless a probe says otherwise) a verdict is *inconclusive*, never a pass.

Where a probe takes `tier` and `load`, it judges the requests of that tier's callers, or of that stream of load, alone.

A *time of the run* (such as `within`) shrinks with `--scale`; a *latency* never does. As an abort condition, a probe is
judged twice a second on the last `over` seconds; that it passes means: abort.
"""
_TABLE = re.compile(r"(<!-- parameters: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_TYPES: Mapping[object, str] = {
    Duration: "time of the run, `20s`",
    Latency: "latency, `500ms`",
    Rate: "rate, `20/s`",
    Bandwidth: "bandwidth, `64kB/s`",
    Size: "size, `64MiB`",
    Share: "share, `99%`",
    ServiceName: "service",
    ServiceFamily: "service with replicas",
    TierName: "tier",
    DependencyName: "dependency",
    DependencyPattern: "dependency, or `llm-*`",
    LoadName: "name of a stream",
    PromQL: "PromQL",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "switch, `on`",
}
_FORMATS: Mapping[object, Callable[[float], str]] = {
    Duration: format_seconds,
    Latency: format_seconds,
    Size: format_size,
    Share: format_share,
}


def page(probes: Registry[Probe]) -> str:
    """The page for these probes, in Markdown.

    Raises:
        EnvironmentProblem: one of them cannot be loaded.
    """
    names = probes.names()
    index = "".join(f"- [`{name}`](#{name}): {_doc(probes.get(name))[0]}\n" for name in names)
    return "\n".join([_HEAD, index, *(_section(name, probes.get(name)) for name in names)])


def filled(text: str) -> str:
    """The page of the faults with each of its tables as it should be.

    Raises:
        InvalidInput: it has a table for a fault that there is not.
    """
    return _TABLE.sub(lambda found: f"{found[1]}{table(registry.faults().get(found['name']))}{found[3]}", text)


def sections(text: str) -> Sequence[str]:
    """The faults that have a table on the page."""
    return [found["name"] for found in _TABLE.finditer(text)]


def table(of: Callable[..., object]) -> str:
    """What may be said of a fault or a probe, as a table in Markdown; nothing where there is nothing to say."""
    rows = [
        f"| `{one.key}` | {_type(one)} | {_default(one)} | {' '.join(one.doc.split())} |" for one in parameters_of(of)
    ]
    return "".join(f"{row}\n" for row in ["| parameter | | default | |", "|---|---|---|---|", *rows]) if rows else ""


def _doc(probe: Callable[..., object]) -> Sequence[str]:
    """The paragraphs of a docstring before its sections, each on one line."""
    text = (inspect.getdoc(probe) or "").split("\n\nArgs:")[0].split("\n\nRaises:")[0]
    return [" ".join(part.split()) for part in text.split("\n\n")]


def _section(name: str, probe: Probe) -> str:
    return "\n".join([f"## {name}", "", "\n\n".join(_doc(probe)), "", table(probe)])


def _type(parameter: Parameter) -> str:
    if get_origin(parameter.type) is None:
        return _TYPES[parameter.type]
    return ", ".join(f"`{choice}`" for choice in get_args(parameter.type))


def _default(parameter: Parameter) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if default is None or default is False:
        return ""
    shown = _FORMATS.get(parameter.type)
    return f"`{default}`" if shown is None else shown(cast("float", default))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages; or, with `--check`, say whether they are as they would be written."""
    parser = argparse.ArgumentParser(prog="python -m brownout.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is out of date")
    options = parser.parse_args(arguments)
    probes = cast("Registry[Probe]", Registry.installed("probe", distribution="brownout"))
    pages = {PROBES: page(probes), FAULTS: filled((DOCS / FAULTS).read_text(encoding="utf-8"))}
    stale = []
    for name, text in pages.items():
        file = DOCS / name
        if not options.check:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.stderr.write(f"docs: {' and '.join(stale)} out of date; run python -m brownout.reference\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
