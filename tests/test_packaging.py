"""What a wheel is made of: an editable install, as developers have it, shows nothing of what is left out."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_package_is_in_the_wheel() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    there = {
        ".".join((name, *made.parent.relative_to(ROOT / folder).parts))
        for name, folder in setuptools["package-dir"].items()
        for made in (ROOT / folder).rglob("__init__.py")
    }
    assert set(setuptools["packages"]) == there
