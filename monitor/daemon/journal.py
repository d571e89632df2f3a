"""The journal of systemd: whether it reads our stream, and the priority with which a line begins; sd-daemon(3)."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

_PRIORITIES: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""By the name of a log level: the priority of syslog(3)."""


def is_journal(environ: Mapping[str, str], descriptor: int) -> bool:
    """Whether the journal reads what is written here: ``JOURNAL_STREAM`` names device and inode; systemd.exec(5)."""
    with suppress(OSError):
        file = os.fstat(descriptor)
        return environ.get("JOURNAL_STREAM") == f"{file.st_dev}:{file.st_ino}"
    return False


def add_priority(text: str, level: str) -> str:
    """Begin each line with its priority, without which the journal takes it for information."""
    prefix = f"<{_PRIORITIES[level]}>"
    return prefix + text.replace("\n", f"\n{prefix}")
