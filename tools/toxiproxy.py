"""A real Toxiproxy, to compare with and to make an image of: built once of its Go module, kept out of the checkout."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

VERSION = "v2.12.0"
_MODULE = "github.com/Shopify/toxiproxy/v2/cmd"
_BUILD_S = 600.0


class Unavailable(Exception):
    """There is none, and none can be built here; the message says why."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """What the module's two commands are called."""

    server: Path
    cli: Path


def binaries() -> Binaries:
    """Those of the cache; built at the first call, which takes about a minute.

    Raises:
        Unavailable: there is no Go, or it could not build them.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "brownout" / f"toxiproxy-{VERSION}"
    found = Binaries(cache / "server", cache / "cli")
    if not (found.server.exists() and found.cli.exists()):
        _build(cache)
    return found


def _build(cache: Path) -> None:
    go = shutil.which("go")
    if go is None:
        msg = f"no real Toxiproxy at {cache}, and no Go to build one with"
        raise Unavailable(msg)
    cache.mkdir(parents=True, exist_ok=True)
    packages = [f"{_MODULE}/{name}@{VERSION}" for name in ("server", "cli")]
    with tempfile.TemporaryDirectory(dir=cache) as built:
        # Pure Go, so that no C compiler is needed.
        env = {**os.environ, "GOBIN": built, "CGO_ENABLED": "0"}
        try:
            done = subprocess.run(
                [go, "install", *packages],
                cwd=built,
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_BUILD_S,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            msg = f"no real Toxiproxy: go install took more than {_BUILD_S:.0f} s"
            raise Unavailable(msg) from exc
        if done.returncode:
            msg = f"no real Toxiproxy: go install failed: {' '.join(done.stderr.split())[-400:]}"
            raise Unavailable(msg)
        # One by one, and whole: two builds at the same time do not meet.
        for binary in Path(built).iterdir():
            binary.replace(cache / binary.name)
