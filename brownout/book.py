"""A SQLite file in this user's state folder, in which nothing is lost: what the ledger and the journal are kept in."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, ClassVar, Self

from brownout.errors import EnvironmentProblem
from brownout.state import state_dir


class Book:
    """Safe to use from several threads and from several processes at once. All methods block for one disk write."""

    file: ClassVar[str]
    """In the state folder."""
    called: ClassVar[str]
    """What messages call it."""
    schema: ClassVar[str]
    """SQL that makes what is not there yet."""
    version: ClassVar[int] = 1
    """Of the file's tables, all books in it together; grows when an older Brownout could not use them any more."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def _connected(cls) -> sqlite3.Connection:
        """The file, made on first use. Every change is on the disk when it is done (`synchronous=FULL`).

        Raises:
            EnvironmentProblem: it cannot be made, read or written.
        """
        path = state_dir() / cls.file
        try:
            # SQLite gives the files beside it (-wal, -shm) the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
            try:
                (written,) = connection.execute("PRAGMA user_version").fetchone()
                if written > cls.version:
                    msg = f"{cls.called} {path} was written by a newer Brownout: use that one"
                    raise EnvironmentProblem(msg)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.executescript(cls.schema)
                if written < cls.version:
                    connection.execute(f"PRAGMA user_version = {cls.version:d}")
            except (sqlite3.Error, EnvironmentProblem):
                connection.close()
                raise
        except (OSError, sqlite3.Error) as problem:
            msg = f"{cls.called} {path} cannot be used: {problem}"
            raise EnvironmentProblem(msg) from problem
        return connection

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, sql: str, *values: object) -> None:
        with self._said(), self._lock:
            self._connection.execute(sql, values)

    def _read(self, sql: str, *values: object) -> list[Any]:
        with self._said(), self._lock, closing(self._connection.execute(sql, values)) as cursor:
            return cursor.fetchall()

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            msg = f"{self.called} cannot be used: {problem}"
            raise EnvironmentProblem(msg) from problem
