"""Somebody else's package, Brownout installed as a wheel: its `probes.py`, `faults.py` and `fixtures` are its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "pyproject.toml": """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "acme"
version = "1.0"

[project.entry-points."brownout.probes"]
answered = "probes:answered"

[project.entry-points."brownout.faults"]
outage = "faults:outage"

[project.entry-points."brownout.targets"]
acme = "fixtures.system:acme"

[tool.setuptools]
packages = ["fixtures"]
py-modules = ["probes", "faults"]

[tool.pytest.ini_options]
chaos_target = "acme"
filterwarnings = ["error"]
""",
    "probes.py": '''
"""What Acme asserts."""
from brownout.evidence import Window
from brownout.probe import Verdict, probe

@probe
def answered(window: Window, *, at_least: int) -> Verdict:
    """So many requests were answered."""
    count = len([one for one in window.requests if one.outcome == "ok"])
    return Verdict("passed" if count >= at_least else "failed", str(count), f"at least {at_least}", count)
''',
    "faults.py": '''
"""What Acme breaks."""
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Blackhole
from brownout.fault import fault
from brownout.system import ServiceName, System

@fault
@asynccontextmanager
async def outage(system: System, *, of: ServiceName) -> AsyncIterator[None]:
    """Nothing reaches a service of Acme's."""
    async with system.link(ServiceName("gateway"), of).broken(Blackhole()):
        yield
''',
    "fixtures/__init__.py": '"""Acme\'s own fixtures."""\n',
    "fixtures/pytest_plugin.py": '''
"""Acme's own plugin, of the name that ours has among its own."""
import pytest

@pytest.fixture
def customer():
    return "acme"
''',
    "fixtures/system.py": '''
"""Acme's system."""
''',
    "conftest.py": 'pytest_plugins = ["fixtures.pytest_plugin"]\n',
    "test_acme.py": """
import time
from pathlib import Path

import brownout.fixtures.pytest_plugin
import fixtures.pytest_plugin
import probes

HERE = Path(__file__).parent

def test_everybody_has_what_is_theirs():
    assert Path(probes.__file__).parent == HERE
    assert Path(fixtures.pytest_plugin.__file__).parent == HERE / "fixtures"
    assert "site-packages" in brownout.fixtures.pytest_plugin.__file__

def test_it(chaos_target, load, inject, judge, customer):
    assert (chaos_target.name, customer) == ("acme", "acme")
    with load(rate="40/s"), inject("outage", of="store"):
        time.sleep(1)
    judge("answered", at_least=5, window="during")
    judge("availability", at_least="1%")
""",
    "experiments/outage.yaml": """
title: Acme answers while its store is away
hypothesis: so it says
target: acme
load: {rate: 40/s, arrivals: constant}
duration: 3200ms
steady-state: [{answered: {at-least: 5}}]
method: [{outage: {of: store}, at: 1s, for: 1s}]
expect:
  during: [{answered: {at-least: 5}}]
""",
}


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    left_out = ("PYTHONPATH", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Brownout as others install it, from a copy: building leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns(".*", "*.egg-info", "runs", "build", "__pycache__", "target-stack", "tests")
    shutil.copytree(ROOT, folder / "source", ignore=unwanted)
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, folder / "source")
    run(*pip, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.long
def test_a_foreign_package_uses_the_plugin_and_nothing_clashes(wheel: Path, tmp_path: Path) -> None:
    package = tmp_path / "acme"
    for name, text in FILES.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    system = (ROOT / "tests" / "tiny.py").read_text().replace("from tests.busy import wait_for_calm\n", "")
    (package / "fixtures" / "tiny.py").write_text(system)
    small = (ROOT / "tests" / "plugin" / "stack.py").read_text().replace("from tests.tiny", "from .tiny")
    (package / "fixtures" / "system.py").write_text(small.replace('"small"', '"acme"').replace("small = ", "acme = "))
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    # What Brownout needs is there already; Brownout itself is not, since nobody reads this folder's own .pth files.
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "needed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--ignore-installed", wheel, folder=package)
    run(python, "-m", "pip", "install", "-q", "--no-deps", "-e", package, folder=package)

    said = run(
        *(python, "-m", "pytest", "-p", "no:asyncio", "-p", "no:cacheprovider", "--chaos", "-rA"),
        folder=package,
        BROWNOUT_STATE_DIR=str(tmp_path / "state"),
    )

    assert "3 passed" in said, said
