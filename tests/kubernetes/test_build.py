"""What tools/kubernetes/build.py compiles, and when it does so again."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.kubernetes import build

OWN = Path(build.__file__).resolve().parent


def test_what_is_not_there_cannot_be_had_without_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.Unavailable, match=r"there is no kubectl in .*, and no Go to build one with"):
        build.binaries(["kubectl"])
    build.folder().mkdir(parents=True)
    (build.folder() / "kubectl").touch()
    assert build.binaries(["kubectl"]) == build.folder()


@pytest.mark.long
def test_a_program_of_our_own_is_compiled_again_when_its_source_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go")
    # Else what Go keeps would be elsewhere, too, and all of its library be compiled.
    kept = subprocess.run([go, "env", "GOCACHE"], capture_output=True, text=True, check=True).stdout.strip()
    monkeypatch.setenv("GOCACHE", kept)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "source"
    shutil.copytree(OWN / "pause", source / "pause")
    for name in ("go.mod", "go.sum"):
        shutil.copy(OWN / name, source)
    monkeypatch.setattr(build, "_SOURCE", source)

    def made() -> int:
        return (build.binaries(["pause"]) / "pause").stat().st_mtime_ns

    first = made()
    assert made() == first
    program = source / "pause" / "main.go"
    program.write_text(f"{program.read_text(encoding='utf-8')}\n// Changed.\n", encoding="utf-8")
    assert made() > first
