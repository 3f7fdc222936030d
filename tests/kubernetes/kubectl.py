"""kubectl, as a user would use it."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.kubernetes.cluster import Cluster, until


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Commands in one namespace of a cluster."""

    cluster: Cluster
    namespace: str

    @classmethod
    @contextmanager
    def in_namespace(cls, cluster: Cluster, name: str) -> Iterator["Kubectl"]:
        """A namespace that is made, with the account that pods run as, and taken away again."""
        found = cls(cluster, name)
        found("create", "namespace", name)
        try:
            until(lambda: found.run("get", "serviceaccount", "default").returncode == 0)
            yield found
        finally:
            found("delete", "namespace", name, "--wait=false")

    @staticmethod
    def overlay(
        folder: Path,
        base: Path,
        *,
        images: Mapping[str, str] | None = None,
        components: Sequence[Path] = (),
        patches: Sequence[Mapping[str, object]] = (),
    ) -> Path:
        """A kustomization of one's own, over another; `patches` are merged into the objects that they name."""
        content: dict[str, object] = {"resources": [os.path.relpath(base, folder)]}
        content["components"] = [os.path.relpath(one, folder) for one in components]
        named = [(old, *new.rsplit(":", 1)) for old, new in (images or {}).items()]
        content["images"] = [{"name": old, "newName": new, "newTag": tag} for old, new, tag in named]
        content["patches"] = [{"patch": yaml.safe_dump(one)} for one in patches]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return folder

    def run(self, *arguments: str, timeout: float = 300, given: str = "") -> subprocess.CompletedProcess[str]:
        """What became of a command; `given` is its standard input."""
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            pytest.skip("no kubectl")
        where = [f"--kubeconfig={self.cluster.kubeconfig}", f"--context={self.cluster.context}"]
        argv = [kubectl, *where, f"--namespace={self.namespace}", *arguments]
        return subprocess.run(argv, input=given, capture_output=True, text=True, timeout=timeout, check=False)

    def __call__(self, *arguments: str, timeout: float = 300, given: str = "") -> str:
        """What a command says; it succeeds."""
        done = self.run(*arguments, timeout=timeout, given=given)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout.strip()
