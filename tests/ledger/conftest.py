from pathlib import Path

import pytest


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where the test's own state is kept."""
    return tmp_path / "state"
