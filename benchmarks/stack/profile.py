"""Where a process spends its time: py-spy's samples, by the module whose code was running."""

import asyncio
import re
from collections import Counter
from pathlib import Path

__all__ = ["shares"]

_HERTZ = 500
_EVENT_LOOP = "asyncio/runners.py"
_OURS = "target_stack"


async def shares(py_spy: str, pid: int, *, seconds: int, output: Path) -> list[tuple[str, float]]:
    """Sample a process while it works; return each module's share of the samples, the largest first.

    C code, system calls included, counts for the Python function that called it. What no Python function has called is
    left out: the event loop's own work, and waiting. The process is not stopped for a sample: it would always stop in
    system calls, whatever it spends its time on.
    """
    process = await asyncio.create_subprocess_exec(
        *(py_spy, "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(_HERTZ)),
        *("--format", "raw", "--full-filenames", "--nonblocking", "--output", str(output)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _shares_in(output)


def _shares_in(samples: Path) -> list[tuple[str, float]]:
    """Read lines of frames, outermost first, with the number of samples behind them."""
    found: Counter[str] = Counter()
    for line in samples.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        innermost = stack.rpartition(";")[2]
        if _EVENT_LOOP not in innermost:
            found[_module(innermost)] += int(count)
    whole = found.total() or 1
    return [(name, count / whole) for name, count in found.most_common()]


def _module(frame: str) -> str:
    """`package` of somebody else's, `target_stack.module` of the stack itself."""
    match = re.search(r"\((.*)\.py(?::\d+)?\)$", frame)
    if match is None:
        return "other"
    parts = match[1].split("/")
    if _OURS in parts:
        return ".".join(parts[parts.index(_OURS) :])
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return "the standard library: " + parts[-2 if parts[-2] == "asyncio" else -1]
