"""
Decode single values of a Controller: times, numbers, versions, references. Pure.

A value that cannot be decoded is left out, and its field is added to ``unknown``, which is counted.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

from monitor.avi import wire

HIGHEST_VERSION: Final = "32.2.1"
"""The newest object model that this package knows; requests to a newer Controller ask for this one."""

LABEL_LENGTH: Final = 200
"""Free text that becomes a label is clipped to so many characters, so that no Controller can bloat a scrape."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  for times without a zone, which are UTC; faster than to add a zone
_LATEST = 253402300799.0  # the last second of the year 9999


def clip(text: str) -> str:
    """Clip text of a Controller to the length of a label."""
    return text[:LABEL_LENGTH]


def last_segment(ref: str) -> str:
    """Return ``admin`` for ``https://ctl/api/tenant/admin``; a name after ``#``, if the Controller adds one, wins."""
    path, _, name = ref.partition("#")
    return name or path.rpartition("/")[2]


def api_version_for(controller: str) -> str:
    """
    Return the version to ask for: the Controller's own, at most HIGHEST_VERSION, which also replaces an unreadable one.

    Only digits and dots are returned, though a Controller's own may go on: ``20.1.4(9087) 2021-02-15``.
    """
    highest = version_key(HIGHEST_VERSION)
    return ".".join(map(str, min(version_key(controller) or highest, highest)))


def version_key(version: str) -> tuple[int, ...]:
    """Return (30, 2, 1) for ``30.2.1``, for comparison; empty for another form."""
    match = re.match(r"\d{1,9}(\.\d{1,9})*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def parse_time(text: str | None, unknown: list[str]) -> float | None:
    """
    Decode a time of the Controller to Unix seconds: ISO 8601, ``YYYY-MM-DD HH:MM:SS`` (UTC), or microseconds as digits.

    None when absent or empty; None, too, when unreadable, and then ``time`` is added to ``unknown``.
    """
    if not text:
        return None
    if text.isdecimal():
        return parse_microseconds(text, unknown)
    try:
        return _plausible(_seconds(text), unknown)
    except ValueError:
        unknown.append("time")
        return None


@lru_cache(maxsize=8192)  # a new version of an image repeats most of its times
def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    return moment.timestamp() if moment.tzinfo else (moment - _EPOCH).total_seconds()


def parse_progress(percent: float | None, unknown: list[str]) -> float | None:
    """Convert percent to a ratio from 0 to 1."""
    if percent is not None and not 0 <= percent <= 100:
        unknown.append("progress")
        return None
    return None if percent is None else percent / 100


def parse_tasks(number: float | None, unknown: list[str]) -> int | None:
    """Check a number of tasks, an int32 on the wire."""
    if number is not None and not (0 <= number < 2**31 and number.is_integer()):
        unknown.append("tasks")
        return None
    return None if number is None else int(number)


def parse_duration(seconds: float | None, unknown: list[str]) -> float | None:
    """Check a number of seconds, a uint32 on the wire."""
    if seconds is not None and not 0 <= seconds < 2**32:
        unknown.append("duration")
        return None
    return seconds


def parse_timestamp(stamp: wire.TimeStamp | None, unknown: list[str]) -> float | None:
    """Convert a ``TimeStamp`` to Unix seconds."""
    return _plausible(stamp.secs + (stamp.usecs or 0.0) / 1e6, unknown) if stamp and stamp.secs else None


def parse_microseconds(text: str | float | None, unknown: list[str]) -> float | None:
    """Convert microseconds since 1970, also as text, to Unix seconds."""
    try:
        return _plausible(float(text or 0) / 1e6, unknown)
    except ValueError:
        unknown.append("time")
        return None


def _plausible(seconds: float, unknown: list[str]) -> float | None:
    """Zero means «never» in the Controller's object model; before 1970 and after 9999 is not plausible."""
    if not 0 <= seconds <= _LATEST:
        unknown.append("time")
        return None
    return seconds or None
