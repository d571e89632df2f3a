"""
Reads the configuration again, all or nothing: when told to, and when a file of controllers changes.

A bad configuration changes nothing; why it is bad is said in the log, in the reply to whoever asked, and in a metric.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from monitor.config import Config, find_controller_files
from monitor.kinds import write_address
from monitor.model import ConfigError
from monitor.own import OwnMetrics
from monitor.watches import Difference
from monitor.web.rereading import Marks, marks

_LOOK_EVERY_S = 5.0

log = structlog.get_logger()


class Reloading:
    """
    ``load``: reads the files; may block. ``apply``: puts a good configuration to use, and must not fail.

    ``begins``, ``ends``: are told of each reload, good or bad.
    """

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config],
        apply: Callable[[Config], Awaitable[Difference]],
        own: OwnMetrics,
        *,
        now: Callable[[], float],
        begins: Callable[[], None],
        ends: Callable[[], None],
    ) -> None:
        self._config = config
        self._load = load
        self._apply = apply
        self._own = own
        self._now = now
        self._begins = begins
        self._ends = ends
        self._turn = asyncio.Lock()
        self._asked = asyncio.Event()
        self._succeeded()

    def soon(self) -> None:
        """Reload as soon as may be; for signals, which cannot wait."""
        self._asked.set()

    async def reload(self) -> Difference:
        """
        Take the configuration as its files are now.

        Raises: ConfigError with every problem; what was in use stays.
        """
        async with self._turn:
            self._begins()
            try:
                config = await self._read()
                difference = await self._apply(config)
            finally:
                self._ends()
            self._config = config
            self._succeeded()
        log.info("reloaded", added=difference.added, changed=difference.changed, removed=difference.removed)
        return difference

    async def _read(self) -> Config:
        try:
            config = await asyncio.to_thread(self._load)
            _require_same(self._config, config)
        except ConfigError as error:
            self._own.reload_successful.set(0)
            log.warning("reload_failed", problems=error.problems)
            raise
        return config

    async def run(self) -> None:
        """Reload for ever: when asked to, and when the files of controllers have changed and then stood still."""
        seen = read = await self._look()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._asked.wait()
            before, seen = seen, await self._look()
            if self._asked.is_set() or (seen == before and seen != read):
                self._asked.clear()
                read = seen
                with suppress(ConfigError):  # it has been said
                    await self.reload()

    async def _look(self) -> tuple[tuple[object, ...], Marks]:
        return await asyncio.to_thread(_look, self._config)

    def _succeeded(self) -> None:
        self._own.reload_successful.set(1)
        self._own.reload_success_at.set(self._now())


def _look(config: Config) -> tuple[tuple[object, ...], Marks]:
    files = find_controller_files(config)
    return files, marks(files)


def _require_same(before: Config, after: Config) -> None:
    """Raises: ConfigError for what only a restart can change."""
    pairs = (
        ("listen", write_address((before.listen_host, before.listen_port)),
         write_address((after.listen_host, after.listen_port))),
        ("database", repr(before.database), repr(after.database)),  # which shows no password
        ("log", f"{before.log.level} {before.log.format}", f"{after.log.level} {after.log.format}"),
    )  # fmt: skip
    file = after.files[0]
    problems = tuple(
        f"{file}: {key}: found {new}, expected {old} as it was: that changes with a restart only"
        for key, old, new in pairs
        if old != new
    )
    if problems:
        raise ConfigError(problems)
