"""Commands of Go modules that neither Debian nor PyPI has: built once, and kept outside of the checkout."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_BUILD_S = 600.0


class Unavailable(Exception):
    """There is none, and none can be built here; the message says why."""


def installed(what: str, folder: str, packages: Sequence[str]) -> Path:
    """The folder of the cache that holds them, each by the last part of its package's path; built at the first call.

    Args:
        what: what they are, for the message.
        folder: its name in the cache, with the version.
        packages: each as `PATH@VERSION`.

    Raises:
        Unavailable: there is no Go, or it could not build them.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "brownout" / folder
    if all((cache / package.partition("@")[0].rpartition("/")[2]).exists() for package in packages):
        return cache
    go = shutil.which("go")
    if go is None:
        msg = f"no {what} at {cache}, and no Go to build one with"
        raise Unavailable(msg)
    cache.mkdir(parents=True, exist_ok=True)
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
            msg = f"no {what}: go install took more than {_BUILD_S:.0f} s"
            raise Unavailable(msg) from exc
        if done.returncode:
            msg = f"no {what}: go install failed: {' '.join(done.stderr.split())[-400:]}"
            raise Unavailable(msg)
        # One by one, and whole: two builds at the same time do not meet.
        for binary in Path(built).iterdir():
            binary.replace(cache / binary.name)
    return cache
