"""An image of nothing but static programs, as an archive that `ctr images import` and `docker load` take."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def write(path: Path, name: str, programs: Mapping[str, Path], *, entrypoint: Sequence[str]) -> None:
    """Write the archive of an image that has these programs in its root folder.

    The format is that of `docker save` (Docker Image Specification v1.2): a layer, a configuration and a manifest.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as layer:
        for program, source in programs.items():
            _add(layer, program, source.read_bytes(), mode=0o755)
    content = packed.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]},
            "history": [{"created_by": "brownout"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        _add(archive, "layer.tar", content)
        _add(archive, config_name, config)
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _add(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
