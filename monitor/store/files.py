"""
The files of a SQLite database: who may read them, and whether SQLite still uses those at their paths.

SQLite goes on using a file that was removed or replaced, and says nothing; what it writes there is lost when the
process ends. Knows no SQL.
"""

import os
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE

import structlog

from monitor.model.errors import FilesLost

_OTHERS = 0o077  # all that the group and everyone else may do


class DatabaseFiles:
    """
    The file at ``path``; beside it, in WAL mode, ``-wal`` (the log: what was committed last) and ``-shm`` (its index).

    A symbolic link is followed where SQLite follows it, so the log lies beside the file itself.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Path, tuple[int, int] | None] = {}
        self._log = structlog.get_logger()
        self._reported: set[Path] = set()

    def make_private(self) -> None:
        """
        Make the folder, an empty file and the file of the lock, for this user alone, where they are missing.

        Files that others may use lose these rights: the audit is in them, and a lock that others can open is a lock
        that they can hold. A folder that exists stays as it is: it may contain other files. Raises: OSError.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in (self._path.resolve(), self._beside("-lock")):
            with suppress(FileExistsError):  # such a file is not opened: to close it would end SQLite's locks on it
                made = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
                os.fchmod(made, 0o600)  # a umask may have taken rights of our own
                os.close(made)
        for file in (*self._all(), self._beside("-lock")):
            with suppress(FileNotFoundError):
                self._take_rights_from_others(file)

    def remember(self, *, log: bool) -> None:
        """
        Remember which files SQLite has opened: just now. ``log``: whether in WAL mode.

        Raises: FilesLost when one of them is gone already.
        """
        found = {file: _identity(file) for file in (self._all() if log else (self._path,))}
        if missing := [file for file, identity in found.items() if identity is None]:
            raise FilesLost(f"{self._describe(missing[0])} was removed or replaced")
        self._known = found

    def lost(self) -> str:
        """Say which file was removed or replaced since `remember`; empty: none."""
        changed = (file for file in self._known if not self._is_known(file))
        return next((f"{self._describe(file)} was removed or replaced" for file in changed), "")

    @property
    def database_lost(self) -> bool:
        """Whether the database itself was removed or replaced, and not only its log."""
        return not self._is_known(self._path)

    def forget(self) -> None:
        """Watch no file until `remember`: none is open."""
        self._known = {}

    def remove_mismatched(self) -> None:
        """
        Remove a log that does not belong to the database beside it. Raises: OSError.

        That is our log beside another database, or another log beside ours: SQLite would replay it, and so undo or
        destroy what the database has. Where both are others, an operator has put them there, and they stay.
        """
        ours = not self.database_lost
        for file in self._known.keys() - {self._path}:
            if self._is_known(file) is not ours:
                file.unlink(missing_ok=True)

    def _take_rights_from_others(self, file: Path) -> None:
        """Log it, as an operator may have given them. A file of another user stays as it is: that one decides."""
        mode = S_IMODE(file.stat().st_mode)
        if not mode & _OTHERS:
            return
        try:
            file.chmod(mode & ~_OTHERS)
        except OSError as error:
            if file not in self._reported:  # it is tried again every two seconds while the database is down
                self._reported.add(file)
                self._log.warning("database_file_not_private", file=str(file), mode=f"{mode:04o}", cause=str(error))
        else:
            self._log.warning("database_file_made_private", file=str(file), mode=f"{mode:04o}")

    def _all(self) -> tuple[Path, ...]:
        return self._path, self._beside("-wal"), self._beside("-shm")

    def _beside(self, suffix: str) -> Path:
        return Path(f"{self._path.resolve()}{suffix}")

    def _is_known(self, file: Path) -> bool:
        return _identity(file) == self._known.get(file)

    def _describe(self, file: Path) -> str:
        return "the database file" if file == self._path else file.name


def _identity(file: Path) -> tuple[int, int] | None:
    """Return device and inode; None without a file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
