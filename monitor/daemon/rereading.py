"""Keeps the web configuration as its files are: looks at them every second, and hands over what is good."""

import asyncio
import os
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from monitor.config.web_config import WebConfig, read_web_config, ssl_context

_EVERY_S = 1.0

log = structlog.get_logger()

Apply = Callable[[WebConfig, ssl.SSLContext | None], None]
Marks = tuple[tuple[int, int, int] | None, ...]


class Rereading:
    """
    Watches what ``web`` was read from, and calls ``apply`` with what takes its place.

    A file is read when it looks the same twice in a row: half of one, still being written, may be good YAML that lets
    everybody in. While the newest is bad it is read at each look, as it may be any of the files that it names.
    """

    def __init__(self, web: WebConfig, apply: Apply) -> None:
        self._web = web
        self._apply = apply
        self._seen = self._read = marks(web.files)
        self._problems: tuple[str, ...] = ()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Look once; not on the loop, as the files may lie on a network."""
        before, self._seen = self._seen, await asyncio.to_thread(marks, self._web.files)
        if self._seen == before and (self._seen != self._read or self._problems):
            await self._reread()

    async def _reread(self) -> None:
        web, context, problems = await asyncio.to_thread(_ready, self._web)
        self._read = self._seen
        if problems and problems != self._problems:
            log.warning("web_config_bad", problems=problems)
        self._problems = problems
        if web is not None:
            if web.files != self._web.files:
                self._seen = self._read = await asyncio.to_thread(marks, web.files)
            self._web = web
            self._apply(web, context)
            log.info("web_config_reread", file=str(web.path))


def _ready(before: WebConfig) -> tuple[WebConfig | None, ssl.SSLContext | None, tuple[str, ...]]:
    """Read it and make of it what the sockets need, or say why not."""
    web, problems = read_web_config(before.path)
    if web is None:
        return None, None, problems
    if (web.tls is None) != (before.tls is None):
        return None, None, (f"{web.path}: tls_server_config: found a change from or to plain HTTP, expected a restart",)
    try:
        return web, ssl_context(web.tls) if web.tls else None, ()
    except (OSError, ValueError) as error:  # between two looks at one file
        return None, None, (f"{web.path}: tls_server_config: cannot be used: {type(error).__name__}",)


def marks(files: Iterable[Path]) -> Marks:
    """What changes when a file is written, replaced, or a link to it is turned; None where there is none."""
    return tuple(_mark(file) for file in files)


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116  one name for all that follows
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
