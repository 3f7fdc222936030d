"""The servers of Kubernetes, compiled once of the published Go modules and kept outside of the checkout.

    python -m tools.kubernetes.build [NAME...]    # what is missing of them; prints the folder

Debian and PyPI have none; the modules are there for every Go, and go.mod beside this file says which. A build of all
takes some 9 minutes on two cores.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_SOURCE = Path(__file__).resolve().parent
_PACKAGES = {
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "pause": "./pause",
    "dns": "./dns",
    "policies": "./policies",
    "metrics": "./metrics",
}
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kubectl")
"""What a cluster without nodes needs."""
ALL = tuple(_PACKAGES)
_MEMORY = {"GOGC": "400", "GOMEMLIMIT": "2GiB"}
"""The compiler's processes, as many as processors, may take up to 2 GiB each, and so take a fifth less time."""


class Unavailable(Exception):
    """They are not there and cannot be built here; the message says why."""


def version() -> str:
    """The release that is built, as `v1.32.13`."""
    found = re.search(
        r"^(?:require |\t)k8s\.io/kubernetes (v\S+)$", (_SOURCE / "go.mod").read_text(encoding="utf-8"), re.M
    )
    if found is None:
        msg = f"{_SOURCE / 'go.mod'} requires no k8s.io/kubernetes"
        raise Unavailable(msg)
    return found[1]


def folder() -> Path:
    """Where they are kept."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "brownout" / f"kubernetes-{version()}"


def binaries(wanted: Sequence[str] = ALL) -> Path:
    """The folder that has all of these; compiles those that are missing.

    Raises:
        Unavailable: there is no Go, or it could not build them.
    """
    cache = folder()
    missing = [name for name in wanted if not _there(name, cache)]
    if missing and (go := shutil.which("go")) is None:
        msg = f"there is no {missing[0]} in {cache}, and no Go to build one with"
        raise Unavailable(msg)
    cache.mkdir(parents=True, exist_ok=True)
    if missing:
        print(f"building {', '.join(missing)} of {version()}", file=sys.stderr, flush=True)
        _build(str(go), missing, cache)
    return cache


def _there(name: str, cache: Path) -> bool:
    if not _own(name):
        return (cache / name).exists()
    stamp = _stamp(name, cache)
    return (cache / name).exists() and stamp.exists() and stamp.read_text(encoding="ascii") == _sources(name)


def _own(name: str) -> bool:
    """Whether it is one of the programs beside this file, which change without a new release."""
    return _PACKAGES[name].startswith("./")


def _stamp(name: str, cache: Path) -> Path:
    return cache / f"{name}.sources"


def _sources(name: str) -> str:
    found = hashlib.sha256()
    for file in (_SOURCE / "go.mod", *sorted((_SOURCE / _PACKAGES[name]).glob("*.go"))):
        found.update(file.read_bytes())
    return found.hexdigest()


def _build(go: str, names: Sequence[str], cache: Path) -> None:
    major, minor, _ = version().removeprefix("v").split(".")
    # Without a version the servers refuse what they take for a downgrade, and clients what they take for a stranger.
    stamps = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    variables = " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamps.items())
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        # All at once: while one is linked, which takes one processor, packages of the next are compiled by the others.
        argv = ["nice", "-n", "10", go, "build", "-mod=readonly", "-buildvcs=false", "-trimpath"]
        # Nobody debugs them: what the linker would drop need not be made.
        argv += ["-gcflags=all=-dwarf=false", "-ldflags", f"-s -w {variables}"]
        argv += ["-o", f"{scratch}/", *(_PACKAGES[name] for name in names)]
        # Pure Go, so that no C compiler is needed, and one result runs on any Linux.
        env = {**_MEMORY, **os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
        done = subprocess.run(
            argv, cwd=_SOURCE, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            msg = f"{', '.join(names)} cannot be built: {' '.join(done.stderr.split())[-600:]}"
            raise Unavailable(msg)
        for name in names:
            (Path(scratch) / name).replace(cache / name)
            if _own(name):
                _stamp(name, cache).write_text(_sources(name), encoding="ascii")


def main() -> int:
    """Builds what the arguments name, else all."""
    try:
        unknown = sorted(set(sys.argv[1:]) - set(ALL))
        if unknown:
            msg = f"there is no {', '.join(unknown)}; there are {', '.join(ALL)}"
            raise Unavailable(msg)
        print(binaries(sys.argv[1:] or ALL))
    except Unavailable as problem:
        print(f"build: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
