"""Runs it all, round by round, and prints figures and ratios. See benchmarks/README.md."""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.proxy.measure import LATENCY_MS, bulk, lateness, load, switching
from benchmarks.proxy.sides import Side, brownout, toxiproxy
from benchmarks.proxy.upstream import find, nginx
from tools.toxiproxy import Unavailable, binaries

CONNECTIONS = (1, 32, 256)
Figures = dict[str, dict[str, list[float]]]
"""By what was measured and by side: one value a round, or several."""


def main() -> int:
    """The exit code: 0, or 2 where something needed is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proxy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side has its turn (default: 3)")
    parser.add_argument("--seconds", type=int, default=3, help="length of each measurement (default: 3)")
    parser.add_argument("--quick", action="store_true", help="one round of one second each")
    parser.add_argument("--loop", choices=("auto", "asyncio", "uvloop"), default="auto", help="Brownout's event loop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single value there")
    options = parser.parse_args()
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    programs = {name: find(name) for name in ("nginx", "wrk")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        hint = ", ".join(f"{name.upper()}_BINARY" for name in missing)
        print(f"skipped: no {' and no '.join(missing)}; `apt install nginx-light wrk`, or set {hint}", file=sys.stderr)
        return 2
    figures: Figures = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(nginx(str(programs["nginx"]), folder))
        sides = [Side("direct", upstream)]
        sides += [stack.enter_context(brownout(upstream, loop=options.loop, http=http)) for http in (False, True)]
        try:
            sides.append(stack.enter_context(toxiproxy(binaries().server, upstream)))
        except Unavailable as exc:
            print(f"Toxiproxy's side is left out: {exc}", file=sys.stderr)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            _round(str(programs["wrk"]), sides, figures, seconds=seconds)
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {rounds} rounds")
    _print(figures, [side.name for side in sides])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _round(wrk: str, sides: Sequence[Side], figures: Figures, *, seconds: int) -> None:
    for connections in CONNECTIONS:
        for side in sides:
            found = load(wrk, side, connections=connections, seconds=seconds)
            figures[f"requests/s at {connections}"][side.name].append(found.requests_per_s)
            figures[f"p99 ms at {connections}"][side.name].append(found.p99_ms)
            if side.client is not None:
                figures[f"CPU µs/request at {connections}"][side.name].append(found.cpu_us)
    for side in sides:
        figures["bulk MB/s"][side.name].append(bulk(wrk, side, seconds=seconds))
    proxies = [side for side in sides if side.client is not None]
    for connections in CONNECTIONS:
        for side in proxies:
            p50, p99 = lateness(wrk, side, connections=connections, seconds=seconds)
            figures[f"late of {LATENCY_MS} ms, p50 ms at {connections}"][side.name].append(p50)
            figures[f"late of {LATENCY_MS} ms, p99 ms at {connections}"][side.name].append(p99)
    for side in proxies:
        for _ in range(5):
            felt, healed = switching(side, connections=CONNECTIONS[-1])
            figures["inject to effective ms"][side.name].append(felt)
            figures["heal to effective ms"][side.name].append(healed)


def _print(figures: Mapping[str, Mapping[str, Sequence[float]]], sides: Sequence[str]) -> None:
    print("".join(f"{cell:>26}" for cell in ("", *sides, "brownout/toxiproxy")))
    for what, by_side in figures.items():
        cells = [_cell(by_side.get(side, ())) for side in sides]
        ours, theirs = (by_side.get(side, ()) for side in ("brownout", "toxiproxy"))
        ratio = f"{median(ours) / median(theirs):.2f}" if ours and theirs and median(theirs) > 0 else ""
        print("".join(f"{cell:>26}" for cell in (what, *cells, ratio)))


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "-"
    digits = 0 if median(values) >= 1000 else 2
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
