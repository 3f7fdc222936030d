"""Docker Compose v2, which Debian 12 does not have: built once from its Go module (two minutes of one processor).

python -m tools.compose    # makes it if it is missing, prints where it is
"""

import sys
from pathlib import Path

from tools.go_install import Unavailable, installed

__all__ = ["VERSION", "Unavailable", "binary"]

VERSION = "v2.28.1"
"""Of those that `go install` takes: later ones exclude versions of what they need, which only a checkout heeds."""
_PACKAGE = f"github.com/docker/compose/v2/cmd@{VERSION}"


def binary() -> Path:
    """That of the cache; built at the first call. It is a command by itself, and needs no `docker`.

    Raises:
        Unavailable: there is no Go, or it could not build it.
    """
    return installed("Docker Compose v2", f"compose-{VERSION}", [_PACKAGE]) / "cmd"


def main() -> int:
    try:
        print(binary())
    except Unavailable as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
