"""The import rule: the core imports no plugin folder; a plugin folder imports the core and its own siblings only."""

import ast
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLUGINS = ("faults", "probes", "fixtures")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(level, dotted name) of every import, those inside functions included."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield node.level, base
            yield from ((node.level, f"{base}.{alias.name}".strip(".")) for alias in node.names)


def parsed(path: Path) -> ast.Module:
    text = path.read_text(encoding="utf-8")
    # What a collection runs in the middle of it fails the parser of some 3.11s: python/cpython#106905.
    gc.disable()
    try:
        return ast.parse(text)
    finally:
        gc.enable()


def modules(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, folder
    return found


@pytest.mark.parametrize("plugin", PLUGINS)
def test_the_core_imports_no_plugin_folder(plugin: str) -> None:
    for path in modules("brownout"):
        for level, name in imports(path):
            assert level or not name.startswith((f"brownout.{plugin}", plugin)), f"{path}: {name}"


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_folder_imports_the_core_and_its_own_siblings_only(plugin: str) -> None:
    own_names = {f"brownout.{other}" for other in PLUGINS} | set(PLUGINS) | {"target_stack"}
    for path in modules(plugin):
        depth = len(path.relative_to(ROOT / plugin).parts)
        for level, name in imports(path):
            assert level <= depth, f"{path}: reaches out of {plugin} with {'.' * level}{name}"
            assert level or name.split(".")[0] not in own_names - {"brownout"}, f"{path}: {name}"
            assert level or ".".join(name.split(".")[:2]) not in own_names, f"{path}: {name}"


def test_brownout_and_the_reference_stack_do_not_import_each_other() -> None:
    for folder in ("brownout", *PLUGINS):
        for path in modules(folder):
            assert not any(name.startswith("target_stack") for _, name in imports(path)), path
    for path in modules("target-stack/src"):
        assert not any(name.startswith("brownout") for level, name in imports(path) if not level), path
