"""What a compiled experiment's configuration says of a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from brownout import registry
from brownout.errors import InvalidInput
from brownout.toolkit.bridge import close_bridge, open_from_configuration
from tests.tiny import EXPERIMENT, Tiny


@pytest.fixture(autouse=True)
def _on_a_tiny_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "targets", lambda: registry.Registry("target", {"tiny": Tiny}))
    monkeypatch.chdir(tmp_path)
    yield
    close_bridge()


@pytest.mark.parametrize("scale", ["0", 0, "0.0"])
def test_a_scale_of_nothing_is_refused_and_is_no_full_length(scale: object) -> None:
    with pytest.raises(InvalidInput, match="scale must lie between"):
        open_from_configuration(EXPERIMENT, "e.yaml", {"brownout_target": "tiny", "brownout_scale": scale})


@pytest.mark.parametrize("scale", ["", None, "1"])
def test_without_a_scale_a_run_has_its_full_length(scale: object) -> None:
    bridge = open_from_configuration(EXPERIMENT, "e.yaml", {"brownout_target": "tiny", "brownout_scale": scale})
    assert (bridge.plan.scale, bridge.plan.experiment.duration) == (1.0, 2.5)
