"""Plugins are found by name, imported one by one, and named where they are broken."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from brownout import registry
from brownout.errors import EnvironmentProblem, InvalidInput
from brownout.registry import Registry

Distribution = Callable[..., None]

PROBE = """
from brownout.evidence import Window
from brownout.probe import Verdict, inconclusive, probe

@probe
def quiet(window: Window) -> Verdict:
    return inconclusive("", samples=0, why="")

def plain(window: Window) -> Verdict: ...

@probe
def odd(window: Window, *, a: list) -> Verdict: ...

number = 3
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distribution:
    """Installs a distribution with probes: `distribution("acme", "acme_probes", quiet="acme_probes:quiet")`."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, module: str, source: str = PROBE, **probes: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        points = "\n".join(f"{key} = {value}" for key, value in probes.items())
        (info / "entry_points.txt").write_text(f"[brownout.probes]\n{points}\n")
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def installed() -> Registry[Any]:
    return Registry.installed("probe")


def test_built_in_plugins_are_there() -> None:
    assert {"latency", "partition"} <= set(registry.faults().names())
    assert {"availability", "breaker", "ttft"} <= set(registry.probes().names())
    assert "embedded" in registry.targets().names()
    assert registry.faults() is registry.faults()


def test_names_are_listed_without_importing_anything(distribution: Distribution) -> None:
    distribution("acme", "acme_listed", source="raise SystemError", loud="acme_listed:loud")
    assert "loud" in installed().names()
    assert "loud" in installed()
    assert "acme_listed" not in sys.modules


def test_a_plugin_of_another_distribution_is_loaded_once(distribution: Distribution) -> None:
    distribution("acme", "acme_good", quiet="acme_good:quiet")
    probes = installed()
    assert probes.get("quiet") is probes.get("quiet") is sys.modules["acme_good"].quiet


def test_one_distribution_can_be_asked_for_alone(distribution: Distribution) -> None:
    distribution("acme", "acme_alone", quiet="acme_alone:quiet")
    assert Registry[Any].installed("probe", distribution="acme").names() == ("quiet",)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("acme_bad:missing", "AttributeError"),
        ("acme_nowhere:quiet", "ModuleNotFoundError: No module named 'acme_nowhere'"),
        ("acme_bad:plain", "TypeError: it is not decorated with @probe"),
        ("acme_bad:number", "TypeError: it cannot be called"),
        ("acme_bad:odd", "TypeError: odd: no experiment can write a"),
    ],
)
def test_a_broken_plugin_is_named_with_its_distribution(distribution: Distribution, value: str, why: str) -> None:
    distribution("acme", "acme_bad", broken=value)
    with pytest.raises(EnvironmentProblem) as caught:
        installed().get("broken")
    assert f"probe 'broken' of acme ({value}) cannot be used: {why}" in str(caught.value)


def test_a_broken_plugin_hinders_no_other(distribution: Distribution) -> None:
    distribution("acme", "acme_half", broken="acme_half:missing", quiet="acme_half:quiet")
    assert installed().get("quiet").__name__ == "quiet"


def test_two_plugins_of_one_name_are_both_named(distribution: Distribution) -> None:
    distribution("acme", "acme_one", quiet="acme_one:quiet")
    distribution("umbrella", "acme_two", quiet="acme_two:quiet")
    with pytest.raises(EnvironmentProblem) as caught:
        installed().get("quiet")
    told = str(caught.value)
    assert "probe 'quiet' is registered twice" in told
    assert "acme (acme_one:quiet)" in told
    assert "umbrella (acme_two:quiet)" in told


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(InvalidInput, match="unknown fault 'partitoin'; did you mean 'partition'"):
        registry.faults().get("partitoin")
