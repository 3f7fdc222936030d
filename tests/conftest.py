"""Every test's state of Brownout is its own: no ledger, lock or run folder of the user's is touched."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Machines are shared: how long an example takes says nothing about us. The same examples each time: a test that fails
# fails again, and no other one fails by chance. `--hypothesis-profile=explore` looks for new ones, and for more.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("explore", patient, max_examples=500)
settings.register_profile("shared", patient, max_examples=50, derandomize=True, database=None)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "state"))
