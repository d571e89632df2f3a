"""A disk that stalls: the driver's own threads are held, in a statement or on the way back from a commit."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest


class SlowDisk:
    """Holds whoever comes by while it stalls."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self._at = ""
        self._held = 0

    @property
    def holds(self) -> int:
        """How many threads."""
        return self._held

    @contextmanager
    def stalls(self, at: str) -> Iterator[None]:
        """``at``: how the statements begin that do not come back; ``committed``: each commit, when it is done."""
        self._at = at
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def pass_by(self, what: str) -> None:
        """Called by the driver's threads."""
        if not self._free.is_set() and what.startswith(self._at):
            self._held += 1
            self._free.wait()
            self._held -= 1


class _Connection(sqlite3.Connection):
    def __init__(self, disk: SlowDisk, *args: Any, **options: Any) -> None:  # noqa: ANN401  sqlite3's
        super().__init__(*args, **options)
        self._disk = disk
        self.set_trace_callback(disk.pass_by)

    def commit(self) -> None:
        super().commit()
        self._disk.pass_by("committed")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    """The disk of all databases that the test opens."""
    disk = SlowDisk()
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=partial(_Connection, disk)))
    return disk
