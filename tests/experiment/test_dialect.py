"""Whose experiment is it? An ordinary Chaos Toolkit experiment still runs, and ours is never taken for one."""

import json
from pathlib import Path
from typing import Any

import pytest

from brownout.reader import looks_like_chaostoolkit

SHIPPED = Path(__file__).parents[2] / "experiments" / "vector_db_partition.yaml"

THEIRS: dict[str, Any] = {
    "title": "Are we up?",
    "description": "N/A",
    "steady-state-hypothesis": {"title": "Up", "probes": []},
    "method": [{"type": "action", "name": "nothing", "provider": {"type": "process", "path": "true"}}],
    "rollbacks": [],
}
PLAIN_YAML = "title: T\nmethod:\n- type: action\n  name: a\n  provider: {type: process, path: 'true'}\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps(THEIRS)),
        ("a.json", json.dumps({"title": "T", "method": []})),
        ("a.yaml", json.dumps(THEIRS, indent=2)),
        ("a.yaml", "---\n" + "\n".join(f"{key}: {json.dumps(value)}" for key, value in THEIRS.items())),
        ("a.yaml", PLAIN_YAML),
        ("a.yaml", "title: T\ndescription: D\nmethod: []\n"),
        ("a.yml", "title: T\nruntime:\n  rollbacks:\n    strategy: always\nmethod: []\n"),
        ("a.json", json.dumps({**THEIRS, "secrets": {"a": "x" * 300_000}})),
    ],
)
def test_an_ordinary_experiment_is_recognised(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert looks_like_chaostoolkit(path)
    assert looks_like_chaostoolkit(str(path))


@pytest.mark.parametrize(
    "text",
    [
        SHIPPED.read_text(encoding="utf-8"),
        SHIPPED.read_text(encoding="utf-8") + "description: a slip\n",
        SHIPPED.read_text(encoding="utf-8").replace("abort:", "rollbacks:"),
        json.dumps({"title": "T", "hypothesis": "H", "steady-state": [], "method": []}),
        "title: T\nmethod: []\n",
        "",
        "[",
        "{",
        "{" * 100_000,
        '{"a":' * 50_000,
        "- type: x",
    ],
)
def test_everything_else_is_ours_to_report(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert not looks_like_chaostoolkit(path)


def test_what_cannot_be_read_is_ours_to_report(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert not looks_like_chaostoolkit(tmp_path / "bytes.yaml")
    assert not looks_like_chaostoolkit(tmp_path / "missing.yaml")
    assert not looks_like_chaostoolkit(tmp_path)


def test_an_address_is_theirs() -> None:
    assert looks_like_chaostoolkit("https://example.org/experiment.json")
    assert looks_like_chaostoolkit("http://example.org/experiment.yaml")
