"""
Reload the configuration while the daemon runs: config file, controller files, web configuration, and all they name.

SIGHUP, ``POST /-/reload`` and the watcher of the files take one path: read everything → check → compare with the
running configuration → apply all or nothing. They, and the start, reject a bad configuration with the same messages.

A file that is being written is never applied: it may be good YAML that gives access to every client. So each file must
look the same just before it was read and a while later; ``read_settled`` repeats the reading until they all do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from msgspec import Struct

from monitor.config.file_state import FileState, file_states
from monitor.config.load import find_controller_files
from monitor.config.reload_rules import check_restart
from monitor.config.settings import Settings
from monitor.config.types import Config, Difference
from monitor.config.validation import printable
from monitor.config.values import write_duration
from monitor.config.web_config import WebSettings
from monitor.metrics.self_metrics import SelfMetrics
from monitor.model.errors import ConfigError

log = structlog.get_logger()


class ReloadTiming(Struct, frozen=True, kw_only=True):
    """In seconds."""

    watch_interval_s: float | None = 1.0
    """
    How often the watcher checks the files. It reads them when two checks in a row find the same change.

    None: there is no watcher; a reload has to be requested.
    """
    settle_s: float = 0.25
    """How long each file must stay the same after it was read."""
    max_reads: int = 20
    """How often it is read, each time followed by ``settle_s``, before a file that keeps changing is refused."""
    retry_interval_s: float = 5.0
    """How often the watcher reads a bad configuration again: a file that it names may have been corrected."""


async def read_settled(load: Callable[[], Config], timing: ReloadTiming = ReloadTiming()) -> Config:  # noqa: B008  frozen
    """
    Read the configuration with files that are not being written.

    Raises: ConfigError with every problem.
    """
    changed: list[Path] = []
    for _ in range(timing.max_reads):
        read = await asyncio.to_thread(_load_or_error, load)
        await asyncio.sleep(timing.settle_s)
        now = await asyncio.to_thread(file_states, read.file_states)
        changed = [path for path, state in read.file_states.items() if now[path] != state]
        if changed:
            continue
        if isinstance(read, ConfigError):
            raise read
        return read
    expected = f"expected it to stay the same for {write_duration(timing.settle_s)}"
    raise ConfigError(tuple(f"{printable(str(path))}: changed while it was read, {expected}" for path in changed))


def _load_or_error(load: Callable[[], Config]) -> Config | ConfigError:
    try:
        return load()
    except ConfigError as error:
        return error


class Reloader:
    """
    Owns the running configuration.

    ``load``: reads the files; may block. ``apply``: applies a checked configuration; must not fail.
    ``on_begin``, ``on_end``: called before and after each requested reload, and each that the watcher applies.
    """

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config],
        apply: Callable[[Config], Awaitable[Difference]],
        metrics: SelfMetrics,
        *,
        now: Callable[[], float],
        on_begin: Callable[[], None],
        on_end: Callable[[], None],
        timing: ReloadTiming = ReloadTiming(),  # noqa: B008  frozen
    ) -> None:
        self._config = config
        self._load = load
        self._apply = apply
        self._metrics = metrics
        self._now = now
        self._on_begin = on_begin
        self._on_end = on_end
        self._timing = timing
        self._lock = asyncio.Lock()
        self._requested = asyncio.Event()
        self._logged_problems: tuple[str, ...] = ()
        self._states_seen = self._states_read = config.file_states
        """The watched files at the last check of the watcher, and as they were last read."""
        self._retry_at: float | None = None
        self._mark_succeeded()

    def request(self) -> None:
        """Reload soon; for signal handlers, which cannot wait."""
        self._requested.set()

    async def reload(self) -> Difference:
        """
        Apply the configuration as its files are now.

        Raises: ConfigError with every problem; the running configuration stays in use.
        """
        async with self._lock:
            self._logged_problems = ()  # a request logs its problems even if they are the same as before
            with self._notifying():
                return await self._apply_checked(await self._read_checked())

    async def _reload_changed(self) -> None:
        """Raises: ConfigError; the watcher tries again later."""
        async with self._lock:
            config = await self._read_checked()
            with self._notifying():
                await self._apply_checked(config)

    @contextmanager
    def _notifying(self) -> Iterator[None]:
        self._on_begin()
        try:
            yield
        finally:
            self._on_end()

    async def _read_checked(self) -> Config:
        try:
            config = await read_settled(self._load, self._timing)
            _reject_restart_changes(self._config, config)
        except ConfigError as error:
            self._metrics.reload_successful.set(0)
            if error.problems != self._logged_problems:
                log.warning("reload_failed", problems=error.problems)
            self._logged_problems = error.problems
            raise
        return config

    async def _apply_checked(self, config: Config) -> Difference:
        difference = await self._apply(config)
        self._config = config
        self._states_seen = self._states_read = config.file_states
        self._retry_at = None
        self._mark_succeeded()
        log.info("reloaded", added=difference.added, changed=difference.changed, removed=difference.removed)
        return difference

    def _mark_succeeded(self) -> None:
        self._logged_problems = ()
        self._metrics.reload_successful.set(1)
        self._metrics.reload_success_at.set(self._now())

    async def run(self) -> None:
        """Reload when requested, and when the watched files have changed and then stayed the same."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.watch_interval_s):
                    await self._requested.wait()
            try:
                if self._requested.is_set():
                    self._requested.clear()
                    await self.reload()
                else:
                    await self.check_files()
            except ConfigError:  # it was logged
                continue
            except Exception:  # a bug in a reload must not end the daemon
                self._metrics.reload_successful.set(0)
                log.exception("reload_exception")

    async def check_files(self) -> None:
        """
        Check the watched files once, and reload if they have changed and then stayed the same.

        Raises: ConfigError; the reload is retried after ``retry_interval_s``, or when a watched file changes.
        """
        before, self._states_seen = self._states_seen, await asyncio.to_thread(_watched_now, self._config)
        now = asyncio.get_running_loop().time()
        retry = self._retry_at is not None and now >= self._retry_at
        if self._states_seen != before or (self._states_seen == self._states_read and not retry):
            return
        self._states_read, self._retry_at = self._states_seen, None  # a bug is not repeated every few seconds
        try:
            await self._reload_changed()
        except ConfigError:
            self._retry_at = now + self._timing.retry_interval_s
            raise


def _watched_now(config: Config) -> Mapping[Path, FileState]:
    """Return the states of every file that was read, and of those that `controller_files` names by now."""
    return file_states(dict.fromkeys((*config.file_states, *find_controller_files(config))))


def _reject_restart_changes(before: Config, after: Config) -> None:
    """Raises: ConfigError for what only a restart can change."""
    file = printable(str(after.files[0]))
    problems = [f"{file}: {problem}" for problem in check_restart(Settings, before, after)]
    if before.web and after.web:
        file = printable(str(after.web.path))
        problems += [f"{file}: {problem}" for problem in check_restart(WebSettings, before.web, after.web)]
    if problems:
        raise ConfigError(tuple(problems))
