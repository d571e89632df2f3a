"""
The log: structlog to standard error, JSON or console, with the messages of libraries in the same format.

A processor masks secrets anywhere in an event, in case a caller logs one.
"""

import io
import logging
import re
import sys
from contextlib import suppress
from functools import lru_cache
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from monitor.config.validation import printable
from monitor.daemon.journal import add_priority
from monitor.model.masking import MASK, SecretMask, mask_spans
from monitor.model.secret import Secret

_SECRET_KEYS = re.compile(
    r"password|passwd|secret|token|cookie|session_?id|csrf|authorization|credential", re.IGNORECASE
)
_SECRET_PAIRS = re.compile(
    r"(?:password|csrftoken|sessionid|avi-sessionid|X-CSRFToken|Cookie|Authorization)['\"]?\s*[=:]\s*['\"]?"
    r"(?:(?:Bearer|Basic|Digest)\s+)?(?P<value>[^'\"\s;,&]+)",
    re.IGNORECASE,
)


def configure(
    level: str, form: Literal["json", "console"], stream: TextIO | None = None, *, journal: bool = False
) -> None:
    """Set up logging for the process; called once, by the command line. ``journal``: whether systemd's reads it."""
    sink = cast("TextIO", _LossyStream(stream or sys.stderr))
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Processor] = [structlog.processors.format_exc_info, mask, *_renderers(form, sink, journal=journal)]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sink),
        cache_logger_on_first_use=False,  # loggers made before this call must follow it
    )
    foreign = logging.StreamHandler(sink)
    foreign.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop_internal_keys, *last])
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[foreign], force=True)


class _LossyStream(io.TextIOBase):
    """Drops what cannot be written (disk full, reader gone), so that a log never fails the daemon."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()


def mask(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Mask values of secret keys, ``key=value`` pairs in texts, and the text of every existing Secret."""
    secrets = _mask_of_all(Secret.created)
    return {key: MASK if _SECRET_KEYS.search(key) else _masked(value, secrets) for key, value in event.items()}


@lru_cache(maxsize=1)
def _mask_of_all(_created: int) -> SecretMask:
    return SecretMask(list(Secret.instances.values()))


def _masked(value: object, secrets: SecretMask) -> object:
    if isinstance(value, dict):
        return {key: _masked(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(inner, secrets) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    pairs = (pair.span("value") for pair in _SECRET_PAIRS.finditer(text))
    return mask_spans(text, sorted([*secrets.find(text), *pairs]))


def _renderers(form: Literal["json", "console"], stream: TextIO, *, journal: bool) -> tuple[Processor, ...]:
    last: tuple[Processor, ...] = (_begin_with_priority,) if journal else ()
    if form == "json":
        return structlog.processors.JSONRenderer(sort_keys=False), *last
    return _escape, structlog.dev.ConsoleRenderer(colors=stream.isatty()), *last


def _begin_with_priority(_logger: WrappedLogger, level: str, line: EventDict | str) -> str:
    return add_priority(str(line), level)


def _escape(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Escape control characters, which could move the cursor of a terminal; only a traceback may have lines."""
    texts = (key for key, value in event.items() if isinstance(value, str) and key != "exception")
    return {**event, **{key: printable(event[key]) for key in texts}}


def _drop_internal_keys(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Drop the keys that structlog adds for its own use."""
    return {key: value for key, value in event.items() if not key.startswith("_")}
