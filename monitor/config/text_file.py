"""
Reads the text files of operators: configuration, passwords, tokens, certificates. No other module opens one.

All are read by one rule: UTF-8 with or without a byte order mark, lines that end in LF or CRLF. Editors on other
systems write the mark and CRLF, and show neither.
"""

import errno
import os
from pathlib import Path
from typing import Final

_CONFIG_LIMIT: Final = 16 * 1024 * 1024  # some 50,000 controllers; a larger file is a device or a mistake
_SECRET_LIMIT: Final = 64 * 1024  # likewise


def read_text(path: Path, *, limit: int = _CONFIG_LIMIT) -> str:
    """
    Read a file of at most ``limit`` bytes. Returns: its text, without byte order mark, each line ended by LF.

    Raises: OSError, also for a larger file; ValueError for a path that cannot exist, UnicodeDecodeError for bytes that
    are not UTF-8. See `reason`.
    """
    return _read(path, limit).decode("utf-8-sig").replace("\r\n", "\n")


def read_secret(path: Path) -> str:
    """
    Read a password or a token without the newlines at its end; empty when the file has none yet.

    Raises: as `read_text`.
    """
    return without_newlines(read_text(path, limit=_SECRET_LIMIT))


def without_newlines(secret: str) -> str:
    """Return a secret without the newlines at its end, which editors and shells add."""
    return secret.rstrip("\r\n")


def read_pem(path: Path) -> str:
    """
    Read certificates or a key. Returns: ASCII text; in PEM only comments, in whatever encoding, can be anything else.

    Raises: OSError; ValueError for a path that cannot exist.
    """
    return _read(path, _CONFIG_LIMIT).decode("ascii", "ignore")


def reason(error: Exception) -> str:
    """Say why a file could not be read, in the system's words, without its path and without any byte of it."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if not isinstance(error, UnicodeDecodeError):
        return "not a usable path"
    utf_16 = error.object.startswith((b"\xff\xfe", b"\xfe\xff"))
    return "UTF-16 text; save it as UTF-8" if utf_16 else "not UTF-8 text"


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        body = file.read(limit + 1)
    if len(body) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return body
