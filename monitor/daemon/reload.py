"""
Reads the configuration again, all or nothing: when told to, and when a file of controllers changes.

A bad configuration changes nothing; why it is bad is said in the log, in the reply to whoever asked, and in a metric.
What nobody asked for is tried again while it is bad, since any file that it names may be the one that is mended; the
log says each trouble once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from monitor.config.load import find_controller_files
from monitor.config.types import Config, Difference
from monitor.config.values import write_address
from monitor.daemon.rereading import Marks, marks
from monitor.metrics.self_metrics import SelfMetrics
from monitor.model.errors import ConfigError

_LOOK_EVERY_S = 5.0

log = structlog.get_logger()

_Seen = tuple[tuple[Path, ...], Marks]


class Reloading:
    """
    ``load``: reads the files; may block. ``apply``: puts a good configuration to use, and must not fail.

    ``begins``, ``ends``: are told of each reload that was asked for, good or bad, and of each other that is good.
    """

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config],
        apply: Callable[[Config], Awaitable[Difference]],
        own: SelfMetrics,
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
        self._told: tuple[str, ...] = ()
        """The problems that the log has said already."""
        self._seen: _Seen | None = None
        self._taken: _Seen | None = None
        """The files as they were at the last good reload; None: there was none since they changed."""
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
            self._told = ()  # whoever asks is told again
            with self._reported():
                return await self._use(await self._read())

    async def _reload_unasked(self) -> None:
        """Raises: ConfigError; then it is tried again."""
        async with self._turn:
            try:
                config = await self._read()
            except ConfigError:
                self._taken = None
                raise
            with self._reported():
                await self._use(config)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        self._begins()
        try:
            yield
        finally:
            self._ends()

    async def _read(self) -> Config:
        try:
            config = await asyncio.to_thread(self._load)
            _require_same(self._config, config)
        except ConfigError as error:
            self._own.reload_successful.set(0)
            if error.problems != self._told:
                log.warning("reload_failed", problems=error.problems)
            self._told = error.problems
            raise
        return config

    async def _use(self, config: Config) -> Difference:
        difference = await self._apply(config)
        self._config = config
        self._succeeded()
        log.info("reloaded", added=difference.added, changed=difference.changed, removed=difference.removed)
        return difference

    async def run(self) -> None:
        """Reload for ever: when asked to, and when the files of controllers have changed and then stood still."""
        self._seen = self._taken = await self._look()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._asked.wait()
            try:
                await self._look_and_reload()
            except ConfigError:  # it has been said
                continue
            except Exception:  # decision 5: the configuration that is in use is better than no daemon
                self._own.reload_successful.set(0)
                log.exception("reload_bug")

    async def _look_and_reload(self) -> None:
        asked = self._asked.is_set()
        self._asked.clear()
        before, self._seen = self._seen, await self._look()
        if asked:
            await self.reload()
            self._taken = self._seen
        elif self._seen == before and self._seen != self._taken:
            self._taken = self._seen  # whatever a bug makes of it: it would else be said every few seconds, for ever
            await self._reload_unasked()

    async def _look(self) -> _Seen:
        return await asyncio.to_thread(_look, self._config)

    def _succeeded(self) -> None:
        self._told = ()
        self._own.reload_successful.set(1)
        self._own.reload_success_at.set(self._now())


def _look(config: Config) -> _Seen:
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
