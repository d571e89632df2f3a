"""How a file looks from outside, so that a change, or a writer that has not finished, is noticed."""

import os
from collections.abc import Iterable
from pathlib import Path
from stat import S_ISREG

FileState = tuple[int, int, int] | None
"""Time of the last write in nanoseconds, size and inode; None: there is no such file, or it cannot be looked at."""


def file_state(path: Path) -> FileState:
    """
    Look at the file that a link points at: to point it at another one is a change.

    A pipe changes by being read, and can be read only once, so of what is not a regular file only the inode counts.
    """
    try:
        found = os.stat(path)  # noqa: PTH116  one name for all that follows
    except (OSError, ValueError):  # ValueError: no file can have such a path
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if S_ISREG(found.st_mode) else (0, 0, found.st_ino)


def file_states(paths: Iterable[Path]) -> dict[Path, FileState]:
    """Look at every file now."""
    return {path: file_state(path) for path in paths}
