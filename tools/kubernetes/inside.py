"""The first process of a node: in namespaces of its own (processes, mounts, network), so that all ends with it.

It is told everything by lines of JSON on standard input: what to mount, what to start now, and what to start when the
control plane is there. It gathers the processes that others leave behind.
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Ends when any of its servers does."""
    _mounts(json.loads(sys.stdin.readline()))
    running: dict[int, str] = {}
    for line in sys.stdin:
        for name, argv, log in json.loads(line):
            with Path(log).open("wb") as output:
                process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            running[process.pid] = name
        # That line is the last one.
        if "kubelet" in running.values():
            break
    while True:
        pid, status = os.wait()
        if pid in running:
            sys.exit(f"{running[pid]} ended with status {os.waitstatus_to_exitcode(status)}")


def _mounts(told: dict[str, dict[str, str]]) -> None:
    # What a kubelet or a runtime mounts is to be seen by the pods, and by nobody outside.
    _mount("--make-rshared", "/")
    for place, own in told["over"].items():
        layers = f"lowerdir={place},upperdir={own}/upper,workdir={own}/work"
        _mount("-t", "overlay", "overlay", "-o", layers, place)
    for place, source in told["bound"].items():
        _mount("--bind", source, place)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], stdin=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
