"""Every test's state of Brownout is its own: no ledger, lock or run folder of the user's is touched."""

from pathlib import Path

import pytest
from hypothesis import settings

# Machines are shared: how long one example takes says nothing about us.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "state"))
