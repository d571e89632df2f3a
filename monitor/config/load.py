"""
YAML and secret files to one frozen Config, or every problem at once. Reads the environment for them.

``settings`` and ``controller_settings`` have the shape of the files, ``values`` the meaning of their texts, ``checks``
what must hold between files. Knows no network: no Controller is asked.
"""

import glob
import os
from collections.abc import Iterable, Mapping, MutableMapping
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from monitor.config.access import token_of, user_of
from monitor.config.checks import AnyConfigFile, ConfigFile, check_files, controllers_of
from monitor.config.controller_settings import ControllerFile, ControllerSettings, TlsSettings, WriteSettings
from monitor.config.database import DATABASE_FILE, read_database_file
from monitor.config.file_state import FileState, file_state
from monitor.config.settings import Settings
from monitor.config.settings_rules import RULES_OF_SETTINGS
from monitor.config.text_file import without_newlines
from monitor.config.types import Account, Config, Controller, SecretFile, SecretSource, SecretVariable, Tls
from monitor.config.validation import ParseContext, check, quoted
from monitor.config.values import has_wildcard, read_authorities
from monitor.config.web_config import WebConfig, read_web_config
from monitor.config.yaml_reader import read_tree
from monitor.model.errors import ConfigError
from monitor.model.secret import Secret

T = TypeVar("T")


def load(
    path: Path,
    environ: Mapping[str, str] = os.environ,  # noqa: TID251 the daemon's environment
    web_config: Path | None = None,
    listen: tuple[str, int] | None = None,
) -> Config:
    """
    Read the config file, the controller files it names, the web configuration, and the files that all of them name.

    ``listen``: the address of a socket that is open already, in place of the configured one.
    Raises: ConfigError with every problem of every file; none shows a secret.
    """
    seen: dict[Path, FileState] = {}
    main = _listening_at(listen, _read(path, Settings, environ, seen))
    more = tuple(_read(file, ControllerFile, environ, seen) for file in _named_files(main))
    files: tuple[AnyConfigFile, ...] = (main, *more)
    web, web_problems = read_web_config(web_config, seen) if web_config else (None, ())
    authorities, ca_problems = _read_authorities(files)
    database, database_problems = _read_database(main)
    problems = (*check_files(main, more, web, web_problems), *ca_problems, *database_problems)
    if problems or main.content is None:
        raise ConfigError(problems, seen)
    watch_upgrades = main.content.upgrades.watch
    controllers = tuple(
        _controller(each, environ, authorities, watch_upgrades=watch_upgrades)
        for file in files
        for each in controllers_of(file)
    )
    return _config(main.content, controllers, tuple(file.path for file in files), web, seen, database=database)


def _listening_at(listen: tuple[str, int] | None, main: ConfigFile[Settings]) -> ConfigFile[Settings]:
    if listen is None or main.content is None:
        return main
    return replace(main, content=replace(main.content, listen=listen))


def _read(
    path: Path, shape: type[T], environ: Mapping[str, str], seen: MutableMapping[Path, FileState]
) -> ConfigFile[T]:
    seen[path] = file_state(path)
    tree, repeated_keys = read_tree(path)
    if tree is None:
        return ConfigFile(path, None, repeated_keys)
    content, problems = check(tree, shape, ParseContext(path.parent, environ, seen), RULES_OF_SETTINGS)
    return ConfigFile(path, content if isinstance(content, shape) else None, repeated_keys + problems)


def _named_files(main: ConfigFile[Settings]) -> tuple[Path, ...]:
    patterns: Iterable[object] = main.content.controller_files if main.content else ()
    return _find(main.path.parent, (pattern for pattern in patterns if isinstance(pattern, str)))


def find_controller_files(config: Config) -> tuple[Path, ...]:
    """Give the files that ``controller_files`` names at this moment."""
    return _find(config.files[0].parent, config.controller_files)


def _find(directory: Path, patterns: Iterable[str]) -> tuple[Path, ...]:
    """Give the files of each pattern sorted, each file once."""
    return tuple(dict.fromkeys(path for pattern in patterns for path in _expand(directory, pattern)))


def _expand(directory: Path, pattern: str) -> list[Path]:
    if not has_wildcard(pattern):
        return [directory / pattern]
    names = glob.glob(pattern, root_dir=directory)  # noqa: PTH207 Path.glob takes no absolute pattern
    # Unlike Path.is_dir this does not raise: a file that cannot be looked at becomes a problem when it is read.
    return sorted(directory / name for name in names if not os.path.isdir(directory / name))  # noqa: PTH112


def _read_authorities(files: Iterable[AnyConfigFile]) -> tuple[Mapping[Path, str], tuple[str, ...]]:
    """
    Read each ``ca_file`` of the files without problems. What is read here is trusted later, so it is checked here.

    It was checked with its config file a moment ago, but it may have been written since.
    """
    authorities: dict[Path, str] = {}
    problems = []
    for file in files:
        for place, controller in enumerate(() if file.problems else controllers_of(file)):
            path = controller.tls.ca_file
            if path is UNSET or path in authorities:
                continue
            try:
                authorities[path] = read_authorities(path)
            except ValueError as error:
                found = f"found {quoted(str(path))}, expected a PEM file of CA certificates: {error}"
                problems.append(file.problem(f"controllers[{place}].tls.ca_file: {found}"))
    return authorities, tuple(problems)


def _read_database(main: ConfigFile[Settings]) -> tuple[str, tuple[str, ...]]:
    """Return the URL of the database. That of ``database_file`` is read again, as a ``ca_file`` is."""
    if main.content is None or main.problems or main.content.database_file is UNSET:
        return main.content.database if main.content else "", ()
    path = main.content.database_file
    try:
        return read_database_file(path), ()
    except ValueError as error:
        return "", (
            main.problem(f"database_file: found {quoted(str(path))}, expected {DATABASE_FILE.expected}: {error}"),
        )


def _config(
    settings: Settings,
    controllers: tuple[Controller, ...],
    files: tuple[Path, ...],
    web: WebConfig | None,
    seen: Mapping[Path, FileState],
    *,
    database: str,
) -> Config:
    host, port = settings.listen
    return Config(
        listen_host=host,
        listen_port=port,
        database=database,
        database_file=_given(settings.database_file),
        database_password_file=_given(settings.database_password_file),
        health=settings.health,
        poll=settings.poll,
        log=settings.log,
        events=settings.events,
        controllers=controllers,
        files=files,
        controller_files=settings.controller_files,
        upgrades=settings.upgrades,
        annotations=settings.annotations,
        stalled_after_s=settings.stalled_after_s,
        anonymous=_given(settings.anonymous),
        server_names=settings.server_names,
        trusted_proxies=frozenset(map(ip_network, settings.trusted_proxies)),
        tokens=tuple(map(token_of, settings.tokens)),
        users=tuple(map(user_of, settings.users)),
        web=web,
        file_states=seen,
    )


def _controller(
    settings: ControllerSettings, environ: Mapping[str, str], authorities: Mapping[Path, str], *, watch_upgrades: bool
) -> Controller:
    """``watch_upgrades``: of the controllers that do not say it themselves."""
    upgrades = settings.upgrades
    return Controller(
        name=settings.name,
        url=settings.url,
        username=settings.username,
        password=_secret_source(settings, environ),
        tenant=settings.tenant,
        api_version=None if settings.api_version == "auto" else settings.api_version,
        tls=_tls(settings.tls, authorities),
        write=None if settings.write is UNSET else _account(settings.write, environ),
        watch_upgrades=watch_upgrades if upgrades.watch is UNSET else upgrades.watch,
        upgrades_tenant=_given(upgrades.tenant) or "",
    )


def _account(settings: WriteSettings, environ: Mapping[str, str]) -> Account:
    return Account(settings.username, _secret_source(settings, environ))


def _secret_source(settings: ControllerSettings | WriteSettings, environ: Mapping[str, str]) -> SecretSource:
    if settings.password_file is not UNSET:
        return SecretFile(settings.password_file)
    name = str(settings.password_env)
    return SecretVariable(name, Secret(without_newlines(environ[name])))


def _tls(settings: TlsSettings, authorities: Mapping[Path, str]) -> Tls:
    ca_file = _given(settings.ca_file)
    pins = settings.fingerprints if settings.fingerprint is UNSET else frozenset({settings.fingerprint})
    return Tls(
        authorities=authorities[ca_file] if ca_file else None,
        fingerprints=_given(pins) or frozenset(),
        insecure=settings.insecure_skip_verify,
    )


def _given(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value
