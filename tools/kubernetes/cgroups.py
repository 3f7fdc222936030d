"""The control group that all pods of a node are in, in each hierarchy of version 1, or in the one of version 2."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_INHERITED = ("cpuset.cpus", "cpuset.mems")


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A folder of this name in every hierarchy."""

    name: str

    def make(self) -> None:
        """Make it, with all processors and memory nodes, without which no process can enter it in version 1."""
        for hierarchy in _hierarchies():
            folder = hierarchy / self.name
            folder.mkdir()
            for setting in _INHERITED:
                if (folder / setting).exists():
                    (folder / setting).write_text((hierarchy / setting).read_text(encoding="ascii"), encoding="ascii")

    def remove(self) -> None:
        """Remove it and what is in it. Its processes are gone, or about to."""
        for hierarchy in _hierarchies():
            folder = hierarchy / self.name
            inner = sorted((one for one in folder.rglob("*") if one.is_dir()), reverse=True)
            for one in [*inner, folder]:
                _remove(one)


def _hierarchies() -> Iterator[Path]:
    if (_ROOT / "cgroup.controllers").exists():
        yield _ROOT
        return
    for one in _ROOT.iterdir():
        # cpu and cpuacct are often one hierarchy with two names.
        if one.is_dir() and not one.is_symlink() and (one / "cgroup.procs").exists():
            yield one


def _remove(folder: Path) -> None:
    for _ in range(50):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            # A killed process stays in it until it is gone.
            time.sleep(0.1)
        else:
            return
