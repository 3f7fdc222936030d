"""Brings the stack up, puts load on it, and prints what it held and what that cost. See benchmarks/README.md."""

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.proxy import cpu
from benchmarks.stack.bring_up import Running, running
from benchmarks.stack.client import Orders, answers
from benchmarks.stack.profile import shares
from brownout.errors import EnvironmentProblem
from brownout.fixtures.embedded import data

_PROVIDER_TTFT_MS = 80.0
_CLIENT = "client"
_WARM_UP_S = 3.0
_PROFILED_S = 20
_LEAST_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """One measurement. Times in milliseconds; `cpu_ms` is for each answer, by process."""

    rate: float
    achieved: float
    asked: int
    errors: Mapping[str, int]
    tokens: float
    ttft: Mapping[str, float]
    overhead: float
    late: float
    cpu_ms: Mapping[str, float]
    others: float

    def lines(self) -> list[str]:
        ttft = " / ".join(f"{self.ttft[name]:.0f}" for name in ("p50", "p95", "p99"))
        cpu_ms = ", ".join(f"{name} {value:.2f}" for name, value in self.cpu_ms.items())
        return [
            f"{self.rate:g} questions/s: {self.asked} asked, {sum(self.errors.values())} errors {dict(self.errors)}",
            f"  {self.achieved:.1f} answers/s of {self.tokens:.0f} tokens; TTFT p50 / p95 / p99 {ttft} ms; "
            f"overhead p50 {self.overhead:.1f} ms; client late by p95 {self.late:.1f} ms",
            f"  CPU ms an answer: {sum(self.cpu_ms.values()):.2f}, of which {cpu_ms}",
            f"  others took {self.others:.2f} cores",
        ]


def _percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


def _used(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds of each service so far, with its children: PostgreSQL has a process for each connection."""
    return {
        name: sum(
            cpu.of_process(one)
            for one in (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))
        )
        for name, pid in pids.items()
    }


def _orders(stack: Running, *, rate: float, seconds: float, seed: int) -> Orders:
    address = urlsplit(stack.gateway)
    tokens: dict[str, list[str]] = {}
    for caller in stack.callers:
        tokens.setdefault(caller.tenant, []).append(caller.token)
    return Orders(
        host=address.hostname or "",
        port=address.port or 0,
        questions=[(one.tenant, one.text) for one in data.questions("golden")],
        tokens=tokens,
        rate=rate,
        seconds=seconds,
        seed=seed,
    )


async def _measure(stack: Running, *, rate: float, seconds: float, seed: int) -> _Found:
    before, all_before, began = _used(stack.pids), cpu.of_machine(), time.monotonic()
    asked, client_s = await answers(_orders(stack, rate=rate, seconds=seconds, seed=seed))
    elapsed, all_used = time.monotonic() - began, cpu.of_machine() - all_before
    used = {name: value - before[name] for name, value in _used(stack.pids).items()} | {_CLIENT: client_s}
    good = [one for one in asked if not one.error]
    ttft = [(one.first - one.due) * 1000 for one in good]
    span = max((one.ended for one in good), default=0.0) - min((one.due for one in asked), default=0.0)
    return _Found(
        rate=rate,
        achieved=len(good) / span if good else 0.0,
        asked=len(asked),
        errors=Counter(one.error for one in asked if one.error),
        # The first chunk of each says who speaks, and has no text.
        tokens=sum(one.tokens for one in good) / len(good) - 1 if good else 0.0,
        ttft={f"p{share:g}": _percentile(ttft, share / 100) for share in (50, 95, 99)},
        overhead=_percentile(ttft, 0.5) - _PROVIDER_TTFT_MS,
        late=_percentile([(one.began - one.due) * 1000 for one in good], 0.95),
        cpu_ms={name: value / max(len(good), 1) * 1000 for name, value in used.items()},
        others=max(all_used - sum(used.values()), 0.0) / elapsed,
    )


async def _profile(stack: Running, py_spy: str, services: Sequence[str], *, rate: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for service in services:
            load = asyncio.create_task(answers(_orders(stack, rate=rate, seconds=_PROFILED_S + 2, seed=7)))
            found = await shares(py_spy, stack.pids[service], seconds=_PROFILED_S, output=Path(folder) / service)
            await load
            print(f"\nwhere {service} spends its time, at {rate:g} questions/s (others below 1 % left out)")
            for name, share in found:
                if share >= _LEAST_SHARE:
                    print(f"  {share:6.1%}  {name}")


async def _run(options: argparse.Namespace) -> None:
    settings = {f"{name}.ttft": _PROVIDER_TTFT_MS / 1000 for name in ("llm-primary", "llm-secondary")}
    found: list[_Found] = []
    async with running(settings) as stack:
        await answers(_orders(stack, rate=20, seconds=_WARM_UP_S, seed=0))
        for turn in range(options.rounds):
            for rate in options.rate:
                found.append(await _measure(stack, rate=rate, seconds=options.seconds, seed=turn * 1000 + int(rate)))
                print("\n".join(found[-1].lines()), flush=True)
        if options.profile:
            await _profile(stack, options.profile, options.services, rate=options.rate[-1])
    if options.json:
        fields = _Found.__slots__
        whole = [{name: getattr(one, name) for name in fields} for one in found]
        options.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """The exit code: 0, or 2 where something needed is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stack", description=__doc__)
    parser.add_argument("--rate", type=float, nargs="+", default=[100.0], help="questions a second (default: 100)")
    parser.add_argument("--seconds", type=float, default=60, help="length of each measurement (default: 60)")
    parser.add_argument("--rounds", type=int, default=1, help="how often each rate has its turn (default: 1)")
    parser.add_argument("--profile", action="store_true", help="then show where time goes; needs py-spy")
    parser.add_argument("--services", nargs="+", default=["gateway"], help="what to profile (default: gateway)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    options = parser.parse_args()
    if options.profile:
        options.profile = os.environ.get("PY_SPY_BINARY") or shutil.which("py-spy")
        if options.profile is None:
            print("no py-spy; `pip install py-spy`, or set PY_SPY_BINARY", file=sys.stderr)
            return 2
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    code = 0
    try:
        asyncio.run(_run(options))
    except* EnvironmentProblem as problems:
        print(*problems.exceptions, sep="\n", file=sys.stderr)
        code = 2
    return code


if __name__ == "__main__":
    sys.exit(main())
