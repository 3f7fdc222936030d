"""A test that takes the node away has it for itself, and gets it though there is always another one that uses it."""

import fcntl
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kubernetes.cluster import until
from tests.kubernetes.sharing import alone, shared

PATIENCE, A_WHILE = 60.0, 0.3


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as found:
        yield found


def waits(future: "Future[None]") -> bool:
    with pytest.raises(TimeoutError):
        future.result(A_WHILE)
    return True


def is_held(path: Path) -> bool:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_those_who_share_are_there_together_and_who_wants_it_alone_waits_for_all(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    together, over = threading.Barrier(3), threading.Event()

    def use() -> None:
        with shared(tmp_path):
            together.wait(PATIENCE)
            over.wait(PATIENCE)

    def take() -> None:
        with alone(tmp_path):
            assert over.is_set()

    users = [threads.submit(use) for _ in range(2)]
    together.wait(PATIENCE)
    taker = threads.submit(take)
    assert waits(taker)
    over.set()
    for one in (*users, taker):
        one.result(PATIENCE)


def test_who_comes_while_somebody_waits_for_it_alone_lets_them_go_first(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    there, over, taken = threading.Event(), threading.Event(), threading.Event()

    def use() -> None:
        with shared(tmp_path):
            there.set()
            over.wait(PATIENCE)

    def take() -> None:
        with alone(tmp_path):
            taken.set()

    def come_late() -> None:
        with shared(tmp_path):
            assert taken.is_set()

    user = threads.submit(use)
    there.wait(PATIENCE)
    taker = threads.submit(take)
    until(lambda: is_held(tmp_path / "next.lock"))
    late = threads.submit(come_late)
    assert waits(late)
    over.set()
    for one in (user, taker, late):
        one.result(PATIENCE)
