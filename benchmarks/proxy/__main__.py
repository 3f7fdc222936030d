"""Runs it all, round by round, and prints figures, ratios and targets. See benchmarks/README.md."""

import argparse
import contextlib
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.proxy import cpu
from benchmarks.proxy.measure import bulk, load, switching
from benchmarks.proxy.precision import precision
from benchmarks.proxy.report import comparison, table
from benchmarks.proxy.sides import SIDES, Side
from benchmarks.proxy.upstream import Upstream, find, nginx
from tools.toxiproxy import Unavailable

_LOADED = (1, 32, 256)
_DELAYED = (1, 32, 256, 1000)
# On one connection so many answers come under the toxic that their p99 is not simply the worst.
_LONGEST_S = 6
_SWITCHES = 5
# Cores that others may take before a round is called noisy.
_NOISE = 0.2
# Who has had its turn may still be busy with the end of its connections: the next one waits until all are idle, for so
# long at most. A look takes several of the kernel's ticks.
_IDLE_S = 0.1
_SETTLING_S = 3.0


@dataclass(slots=True)
class _Bench:
    wrk: str
    upstream: Upstream
    sides: Sequence[Side]
    seconds: int
    figures: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    round: int = 0

    def served_s(self) -> float:
        """CPU seconds that the upstream and all proxies have used so far."""
        return self.upstream.cpu_s() + sum(side.cpu_s() for side in self.sides)

    def turns(self) -> Iterator[Side]:
        """The sides, in another order each round: each on a machine on which the one before has come to rest."""
        first = self.round % len(self.sides)
        for side in (*self.sides[first:], *self.sides[:first]):
            deadline = time.monotonic() + _SETTLING_S
            before = -1.0
            while (now := self.served_s()) > before and time.monotonic() < deadline:
                before = now
                time.sleep(_IDLE_S)
            yield side

    def load(self) -> None:
        for connections in _LOADED:
            for side in self.turns():
                found = load(self.wrk, side, self.upstream, connections=connections, seconds=self.seconds)
                self._note(f"requests/s at {connections}", side, found.requests_per_s)
                self._note(f"p50 ms at {connections}", side, found.p50_ms)
                self._note(f"p99 ms at {connections}", side, found.p99_ms)
                if side.pid is not None:
                    self._note(f"CPU µs/request at {connections}", side, found.cpu_us)
                self._note(f"total CPU µs/request at {connections}", side, found.total_cpu_us)

    def bulk(self) -> None:
        for side in self.turns():
            self._note("bulk MB/s", side, bulk(self.wrk, side, self.upstream, seconds=self.seconds))

    def precision(self) -> None:
        for connections in _DELAYED:
            seconds = self.seconds if connections > 1 else min(3 * self.seconds, _LONGEST_S)
            for side in self.turns():
                if side.pid is not None and side.client is None:
                    continue
                found = precision(side, connections=connections, seconds=seconds)
                self._note(f"late p50 ms at {connections}", side, found.p50_ms)
                self._note(f"late p99 ms at {connections}", side, found.p99_ms)
                self._note(f"least late ms at {connections}", side, found.earliest_ms)
                if side.pid is not None:
                    self._note(f"late CPU µs/request at {connections}", side, found.cpu_us)

    def switching(self) -> None:
        turns = [
            (side, switching(side, connections=_LOADED[-1])) for _ in range(_SWITCHES) for side in self._with_toxics()
        ]
        for side in self._with_toxics():
            felt, healed = zip(*(found for turn, found in turns if turn is side), strict=True)
            self._note("inject to effective ms", side, median(felt))
            self._note("heal to effective ms", side, median(healed))

    def _with_toxics(self) -> list[Side]:
        return [side for side in self.sides if side.client is not None]

    def _note(self, what: str, side: Side, value: float) -> None:
        self.figures[what][side.name].append(value)


_PARTS: dict[str, Callable[[_Bench], None]] = {
    "load": _Bench.load,
    "bulk": _Bench.bulk,
    "precision": _Bench.precision,
    "switching": _Bench.switching,
}


def main() -> int:
    """The exit code: 0, or 2 where something needed is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proxy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="how often each side has its turn (default: 4)")
    parser.add_argument("--seconds", type=int, default=2, help="length of each measurement (default: 2)")
    parser.add_argument("--quick", action="store_true", help="one round of one second each")
    parser.add_argument("--only", choices=_PARTS, help="measure just that")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single value there")
    options = parser.parse_args()
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    programs = {name: find(name) for name in ("nginx", "wrk")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        hint = ", ".join(f"{name.upper()}_BINARY" for name in missing)
        print(f"skipped: no {' and no '.join(missing)}; `apt install nginx-light wrk`, or set {hint}", file=sys.stderr)
        return 2
    _raise_file_limit()
    parts = [_PARTS[options.only]] if options.only else list(_PARTS.values())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(nginx(str(programs["nginx"]), folder))
        sides: list[Side] = []
        for side in SIDES:
            try:
                sides.append(stack.enter_context(side(upstream.port, folder)))
            except Unavailable as exc:
                print(f"{side.__name__} is left out: {exc}", file=sys.stderr)
        bench = _Bench(str(programs["wrk"]), upstream, sides, seconds)
        print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {rounds} rounds")
        noise = [_round(bench, parts, number) for number in range(1, rounds + 1)]
    names = [side.name for side in sides]
    print(f"\n{table(bench.figures, names)}\n\n{comparison(bench.figures, names)}")
    if options.json:
        whole = {"cores taken by others": noise, "figures": bench.figures}
        options.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    return 0


def _round(bench: _Bench, parts: Sequence[Callable[[_Bench], None]], number: int) -> float:
    """How many cores were taken by processes that have no part in it, on average."""

    bench.round = number

    def ours() -> float:
        return bench.served_s() + time.process_time() + cpu.of_children()

    began, all_before, ours_before = time.monotonic(), cpu.of_machine(), ours()
    for part in parts:
        part(bench)
    elapsed = time.monotonic() - began
    others = max(0.0, cpu.of_machine() - all_before - (ours() - ours_before)) / elapsed
    said = f"round {number}: {elapsed:.0f} s, load average {os.getloadavg()[0]:.1f}, others took {others:.2f} cores"
    print(f"{said}{' (noisy)' if others > _NOISE else ''}", flush=True)
    return others


def _raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
