"""An experiment is checked as it will run: at its scale."""

from pathlib import Path

import pytest

from brownout import registry
from brownout.errors import InvalidInput
from brownout.evidence.window import Window
from brownout.prepare import RunOptions, prepare
from brownout.probe import Verdict, inconclusive
from brownout.reader import parse_experiment
from brownout.units import Duration
from tests.tiny import EXPERIMENT, Tiny


@pytest.fixture(autouse=True)
def _on_a_tiny_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "targets", lambda: registry.Registry("target", {"embedded": Tiny}))


def prepared(text: str, runs: Path, scale: float) -> object:
    return prepare(parse_experiment(text, file="e.yaml"), RunOptions(scale=scale, runs_dir=runs))


def test_arguments_that_only_the_scale_makes_senseless_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    # So much load that a tenth of a second holds enough of it.
    text = EXPERIMENT.replace("to: store}", "to: store, cycle: 1s}").replace("rate: 100/s", "rate: 1000/s")
    runs = tmp_path / "runs"
    with pytest.raises(InvalidInput) as caught:
        prepared(text, runs, 0.05)
    assert str(caught.value) == "e.yaml:8:5: at --scale 0.05: partition: cycle: 100ms is the shortest"
    assert not runs.exists()
    prepared(text, runs, 0.1)


def test_what_is_wrong_at_full_length_too_is_told_without_the_scale(tmp_path: Path) -> None:
    text = EXPERIMENT.replace("to: store}", "to: store, cycle: 50ms}")
    with pytest.raises(InvalidInput) as caught:
        prepared(text, tmp_path, 0.5)
    assert str(caught.value) == "e.yaml:8:5: partition: cycle: 100ms is the shortest"


@pytest.mark.parametrize("block", ["during: [", "after: ["])
def test_a_check_whose_arguments_the_scale_makes_senseless_is_refused(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def patient(window: Window, *, within: Duration) -> Verdict:
        if within < 1:
            msg = "within: 1s at least"
            raise ValueError(msg)
        return inconclusive("", samples=0, why="")

    real = registry.probes().get
    known = registry.Registry("probe", {"patient": lambda: patient, "availability": lambda: real("availability")})
    monkeypatch.setattr(registry, "probes", lambda: known)
    with pytest.raises(InvalidInput, match=r"at --scale 0\.5: patient: within: 1s at least"):
        prepared(EXPERIMENT.replace(block, f"{block}patient: {{within: 1s}}, "), tmp_path, 0.5)
