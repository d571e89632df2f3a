"""
Decode single values of a Controller: times, numbers, versions, references. Pure.

A value that cannot be decoded is left out, and its field is added to ``unknown``, which is counted.
"""

import re
from datetime import datetime
from functools import lru_cache
from math import nan
from typing import Final

from monitor.avi import wire

HIGHEST_VERSION: Final = "32.2.1"
"""The newest object model that this package knows; requests to a newer Controller ask for this one."""

LABEL_LENGTH: Final = 200
"""Free text that becomes a label is clipped to so many characters, so that no Controller can bloat a scrape."""

_CODE: Final = re.compile(r"[A-Z0-9_]{1,64}\Z")
_MAX_LENGTH = 40  # of a number or a time as text; no format that a Controller uses needs more

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  for times without a zone, which are UTC; faster than to add a zone
_LATEST = 253402300799.0  # the last second of the year 9999


def clip(text: str) -> str:
    """Clip text of a Controller to the length of a label."""
    return text[:LABEL_LENGTH]


def last_segment(ref: str) -> str:
    """Return ``admin`` for ``https://ctl/api/tenant/admin``; a name after ``#``, if the Controller adds one, wins."""
    path, _, name = ref.partition("#")
    return name or path.rpartition("/")[2]


def api_version_for(version: str) -> str:
    """
    Return the API version to request from a Controller of this version: the same, at most HIGHEST_VERSION.

    HIGHEST_VERSION, too, when the version is unreadable. Only digits and dots are returned, though the version may go
    on: ``20.1.4(9087) 2021-02-15``.
    """
    highest = version_key(HIGHEST_VERSION)
    return ".".join(map(str, min(version_key(version) or highest, highest)))


def version_key(version: str) -> tuple[int, ...]:
    """Return (30, 2, 1) for ``30.2.1``, for comparison; empty for another form."""
    match = re.match(r"\d{1,9}(\.\d{1,9})*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def parse_code(text: str) -> str:
    """Return a value of an open set that becomes a label; ``other`` for one that no enumeration would have."""
    return text if not text or _CODE.match(text) else "other"


def parse_time(time: wire.Number, unknown: list[str]) -> float | None:
    """
    Decode a time of the Controller to Unix seconds: ISO 8601, ``YYYY-MM-DD HH:MM:SS`` (UTC), or microseconds.

    None when absent or empty; None, too, when unreadable, and then ``time`` is added to ``unknown``.
    """
    if not time:
        return None
    if isinstance(time, float) or time.isdecimal() or len(time) > _MAX_LENGTH:
        return parse_microseconds(time, unknown)
    try:
        return _plausible(_seconds(time), unknown)
    except ValueError:
        unknown.append("time")
        return None


@lru_cache(maxsize=8192)  # a new version of an image repeats most of its times; no key is longer than _MAX_LENGTH
def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    return moment.timestamp() if moment.tzinfo else (moment - _EPOCH).total_seconds()


def parse_progress(percent: wire.Number, unknown: list[str]) -> float | None:
    """Convert percent to a ratio from 0 to 1."""
    number = parse_number(percent)
    if number is not None and not 0 <= number <= 100:
        unknown.append("progress")
        return None
    return None if number is None else number / 100


def parse_tasks(tasks: wire.Number, unknown: list[str]) -> int | None:
    """Check a number of tasks, an int32 on the wire."""
    number = parse_number(tasks)
    if number is not None and not (0 <= number < 2**31 and number.is_integer()):
        unknown.append("tasks")
        return None
    return None if number is None else int(number)


def parse_duration(seconds: wire.Number, unknown: list[str]) -> float | None:
    """Check a number of seconds, a uint32 on the wire."""
    number = parse_number(seconds)
    if number is not None and not 0 <= number < 2**32:
        unknown.append("duration")
        return None
    return number


def parse_timestamp(stamp: wire.TimeStamp | None, unknown: list[str]) -> float | None:
    """
    Convert a ``TimeStamp`` to Unix seconds.

    ``usecs`` are nanoseconds where they are a million or more: some Controllers write these under the same name.
    """
    secs = parse_number(stamp.secs) if stamp else None
    if stamp is None or not secs:
        return None
    fraction = parse_number(stamp.usecs) or 0.0
    fraction_s = fraction / (1e9 if fraction >= 1e6 else 1e6)
    return _plausible(secs + fraction_s if 0 <= fraction_s < 1 else nan, unknown)


def parse_microseconds(time: wire.Number, unknown: list[str]) -> float | None:
    """Convert microseconds since 1970 to Unix seconds."""
    return _plausible((parse_number(time) or 0.0) / 1e6, unknown)


def parse_number(value: wire.Number) -> float | None:
    """Return a number that may be written as text; NaN, which no check lets through, for a text that is none."""
    if value is None or isinstance(value, float):
        return value
    try:
        return float(value) if len(value) <= _MAX_LENGTH else nan
    except ValueError:
        return None if not value else nan


def _plausible(seconds: float, unknown: list[str]) -> float | None:
    """Zero means «never» in the Controller's object model; before 1970 and after 9999 is not plausible."""
    if not 0 <= seconds <= _LATEST:
        unknown.append("time")
        return None
    return seconds or None
