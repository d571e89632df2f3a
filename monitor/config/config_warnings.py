"""
What ``check-config`` warns of in a valid configuration: no controllers, secrets that look mistaken, and files open to
other users.

Reads the secrets again, and shows nothing of them.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_IROTH, S_ISREG, S_IWOTH
from typing import Final

from monitor.config.database import DatabaseUrl
from monitor.config.types import Config, SecretFile, SecretSource
from monitor.config.validation import printable

_RIGHTS: Final = {S_IROTH: "read", S_IWOTH: "write"}


def warnings_of(config: Config) -> Iterator[str]:
    """Yield a line for each, in the order in which an operator reads the files."""
    if not config.controllers:
        where = printable(str(config.files[0]))
        yield f"{where}: controllers: found none, here or in controller_files: the daemon starts and polls nothing"
    secret = dict.fromkeys(_files_with_a_secret(config))
    for path in (*secret, *(path for path in config.file_states if path not in secret)):
        yield from _check_mode(path, (S_IROTH, S_IWOTH) if path in secret else (S_IWOTH,))
    for source in dict.fromkeys(_passwords(config)):
        yield from _check_password(source)


def _passwords(config: Config) -> Iterator[SecretSource]:
    if config.database_password_file:
        yield SecretFile(config.database_password_file)
    for controller in config.controllers:
        yield controller.password
        if controller.write:
            yield controller.write.password


def _files_with_a_secret(config: Config) -> Iterator[Path]:
    if config.database_file:
        yield config.database_file
    elif DatabaseUrl(config.database).has_password:
        yield config.files[0]
    if config.web:
        yield from config.web.secret_files
    yield from (source.path for source in _passwords(config) if isinstance(source, SecretFile))


def _check_mode(path: Path, wrong: Iterable[int]) -> Iterator[str]:
    try:
        mode = path.stat().st_mode
    except OSError:  # it was there when it was read
        return
    may = " and ".join(_RIGHTS[bit] for bit in wrong if mode & bit)
    if may and S_ISREG(mode):
        rights = f"found mode {mode & 0o7777:04o}, with which every user of this machine may {may} it"
        yield f"{printable(str(path))}: {rights}, expected one for the daemon's user and group alone, such as 0600"


def _check_password(source: SecretSource) -> Iterator[str]:
    where = printable(str(source.path)) if isinstance(source, SecretFile) else f"environment variable {source.name}"
    secret = source.read()
    text = secret.reveal() if secret else ""
    if text != text.strip():
        yield f"{where}: found blanks at the beginning or the end, which are part of the password; remove them if not"
    if not text.strip().isprintable():
        yield (
            f"{where}: found characters that are not printable, such as a line break or a zero-width space, "
            "which are part of the password; remove them if not"
        )
