"""
YAML and secret files to one frozen Config, or every problem at once. The only reader of the environment.

The shape of the file is in ``settings``, the meaning of its texts in ``kinds``; here files are joined and what must
hold between them is checked. Knows no network: what the config says is not tried out.
"""

import glob
import os
import ssl
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from monitor.config.access import clashes, missing, strangers, token_of, user_of
from monitor.config.settings import (
    RULES_OF_SETTINGS,
    ControllerFile,
    ControllerSettings,
    Settings,
    TlsSettings,
    WriteSettings,
)
from monitor.config.types import Account, Config, Controller, SecretFile, SecretSource, SecretVariable, Tls
from monitor.config.validation import ParseContext, check, printable, quoted
from monitor.config.values import (
    has_wildcard,
    is_loopback,
    write_address,
)
from monitor.config.web_config import WebConfig, read_web_config
from monitor.config.yaml_reader import read_tree, reason
from monitor.model.errors import ConfigError
from monitor.model.secret import Secret

T = TypeVar("T")


class _File(Struct, Generic[T], frozen=True):
    """One file as read. ``content``: None when it could not be; to be used only when there are no problems."""

    path: Path
    content: T | None
    problems: tuple[str, ...]


_AnyFile = _File[Settings] | _File[ControllerFile]


def load(
    path: Path,
    environ: Mapping[str, str] = os.environ,  # noqa: TID251 the one place that reads it
    web_config: Path | None = None,
    listen: tuple[str, int] | None = None,
) -> Config:
    """
    Read the config file, the controller files it names and the web configuration, and look at all that they name.

    ``listen``: where we listen already, in place of what the file says; what must hold there, must hold here.
    Raises: ConfigError with every problem of every file; none shows a secret.
    """
    main = _listening_at(listen, _read(path, Settings, environ))
    more = tuple(_read(file, ControllerFile, environ) for file in _named_files(main))
    files: tuple[_AnyFile, ...] = (main, *more)
    trusted, distrusted = _read_authorities(files)
    web, unfit = read_web_config(web_config) if web_config else (None, ())
    problems = (
        *_own_problems(files),
        *distrusted,
        *_name_clashes(files),
        *_nobody_to_watch(main, more),
        *(() if unfit else (*_unfit_callers(main, files, web), *_open_to_nobody(main, web))),
        *unfit,
    )
    if problems or main.content is None:
        raise ConfigError(problems)
    controllers = tuple(_controller(each, environ, trusted) for file in files for each in _controllers(file))
    return _config(main.content, controllers, tuple(file.path for file in files), web)


def _listening_at(listen: tuple[str, int] | None, main: _File[Settings]) -> _File[Settings]:
    if listen is None or main.content is None:
        return main
    return replace(main, content=replace(main.content, listen=listen))


def _read(path: Path, shape: type[T], environ: Mapping[str, str]) -> _File[T]:
    tree, doubled = read_tree(path)
    if tree is None:
        return _File(path, None, doubled)
    content, problems = check(tree, shape, ParseContext(path.parent, environ), RULES_OF_SETTINGS)
    return _File(path, content if isinstance(content, shape) else None, doubled + problems)


def _named_files(main: _File[Settings]) -> tuple[Path, ...]:
    """Expand ``controller_files`` against the directory of the main file, each pattern sorted, each file once."""
    patterns: Iterable[object] = main.content.controller_files if main.content else ()
    found = (path for pattern in patterns if isinstance(pattern, str) for path in _expand(main.path.parent, pattern))
    return tuple(dict.fromkeys(found))


def find_controller_files(config: Config) -> tuple[Path, ...]:
    """The files that ``controller_files`` names at this moment."""
    directory = config.files[0].parent
    found = (path for pattern in config.controller_files for path in _expand(directory, pattern))
    return tuple(dict.fromkeys(found))


def _expand(directory: Path, pattern: str) -> list[Path]:
    if not has_wildcard(pattern):
        return [directory / pattern]
    names = glob.glob(pattern, root_dir=directory)  # noqa: PTH207 Path.glob takes no absolute pattern
    # Unlike Path.is_dir this does not raise: a file that may not be looked at is told when it is read.
    return sorted(directory / name for name in names if not os.path.isdir(directory / name))  # noqa: PTH112


def _own_problems(files: Iterable[_AnyFile]) -> Iterator[str]:
    for file in files:
        yield from (f"{printable(str(file.path))}: {problem}" for problem in file.problems)


def _name_clashes(files: Iterable[_AnyFile]) -> Iterator[str]:
    """Every name but the first of its kind: it is the label that keeps the series of two controllers apart."""
    first: dict[str, str] = {}
    for file in files:
        for place, name in _names(_controllers(file)):
            here = f"{printable(str(file.path))}: controllers[{place}].name"
            if name in first:
                yield f"{here}: found {quoted(name)} again, expected a name of its own; first at {first[name]}"
            first.setdefault(name, here)


def _names(controllers: Iterable[object]) -> Iterator[tuple[int, str]]:
    """Only of those that have a good one: elsewhere there may be problems."""
    for place, each in enumerate(controllers):
        if isinstance(name := getattr(each, "name", None), str):
            yield place, name


def _controllers(file: _AnyFile) -> tuple[ControllerSettings, ...]:
    return file.content.controllers if file.content else ()


def _read_authorities(files: Iterable[_AnyFile]) -> tuple[Mapping[Path, str], tuple[str, ...]]:
    """
    What is in each ``ca_file`` of files that are good so far, and the problems of what is in them.

    Each was good a moment ago; it is what is read here that is trusted later, so this is what has to be good.
    """
    trusted: dict[Path, str] = {}
    problems = []
    for file in files:
        for place, controller in enumerate(() if file.problems else _controllers(file)):
            path = controller.tls.ca_file
            if path is UNSET or path in trusted:
                continue
            try:
                trusted[path] = _read_pem(path)
            except ValueError as error:
                where = f"{printable(str(file.path))}: controllers[{place}].tls.ca_file"
                problems.append(f"{where}: found {quoted(str(path))}, expected a PEM file of CA certificates: {error}")
    return trusted, tuple(problems)


def _read_pem(path: Path) -> str:
    """Raises: ValueError that says what is wrong with it."""
    try:
        text = path.read_bytes().decode("ascii", "ignore")  # what is not ASCII are comments
    except OSError as error:
        raise ValueError(reason(error)) from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("there is none in it, or one that is not whole") from error
    return text


def _nobody_to_watch(main: _File[Settings], more: Iterable[_File[ControllerFile]]) -> Iterator[str]:
    """Said only when it is not for another problem that none were found."""
    excused = main.content is None or any(problem.startswith("controller") for problem in main.problems)
    if excused or any(file.problems or _controllers(file) for file in more) or _controllers(main):
        return
    yield f"{printable(str(main.path))}: controllers: found none, expected at least one, here or in controller_files"


def _unfit_callers(main: _File[Settings], files: tuple[_AnyFile, ...], web: WebConfig | None) -> Iterator[str]:
    """What is wrong between tokens, users, controllers and the web configuration, each by itself being good."""
    if main.content is None:
        return
    tokens, users = main.content.tokens, main.content.users
    said = [*clashes("tokens", tokens, "sha256"), *clashes("users", users, "name"), *missing(users, web)]
    if not any(file.problems for file in files):  # else a controller may be missing for another reason
        known = {name for file in files for _, name in _names(_controllers(file))}
        said += [*strangers("tokens", tokens, known), *strangers("users", users, known)]
    yield from (f"{printable(str(main.path))}: {problem}" for problem in said)


def _open_to_nobody(main: _File[Settings], web: WebConfig | None) -> Iterator[str]:
    """Said only when all that could let somebody in is good, and does not."""
    settings = main.content
    if settings is None or any(problem.startswith(("listen:", "anonymous", "tokens")) for problem in main.problems):
        return
    if is_loopback(settings.listen[0]) or settings.anonymous is not UNSET or settings.tokens or (web and web.users):
        return
    yield (
        f"{printable(str(main.path))}: anonymous: found nothing while listen is "
        f"{quoted(write_address(settings.listen))}, expected who may come in: tokens, a web configuration with users, "
        "or [metrics, read] here to let everybody in"
    )


def _config(
    settings: Settings, controllers: tuple[Controller, ...], files: tuple[Path, ...], web: WebConfig | None
) -> Config:
    host, port = settings.listen
    return Config(
        listen_host=host,
        listen_port=port,
        database=settings.database,
        poll=settings.poll,
        log=settings.log,
        events=settings.events,
        controllers=controllers,
        files=files,
        controller_files=settings.controller_files,
        annotations=settings.annotations,
        stalled_after_s=settings.stalled_after_s,
        anonymous=_given(settings.anonymous),
        tokens=tuple(map(token_of, settings.tokens)),
        users=tuple(map(user_of, settings.users)),
        web=web,
    )


def _controller(settings: ControllerSettings, environ: Mapping[str, str], trusted: Mapping[Path, str]) -> Controller:
    return Controller(
        name=settings.name,
        url=settings.url,
        username=settings.username,
        password=_secret_source(settings, environ),
        tenant=settings.tenant,
        api_version=None if settings.api_version == "auto" else settings.api_version,
        tls=_tls(settings.tls, trusted),
        write=None if settings.write is UNSET else _account(settings.write, environ),
    )


def _account(settings: WriteSettings, environ: Mapping[str, str]) -> Account:
    return Account(settings.username, _secret_source(settings, environ))


def _secret_source(settings: ControllerSettings | WriteSettings, environ: Mapping[str, str]) -> SecretSource:
    if settings.password_file is not UNSET:
        return SecretFile(settings.password_file)
    name = str(settings.password_env)
    return SecretVariable(name, Secret(environ[name].rstrip("\r\n")))


def _tls(settings: TlsSettings, trusted: Mapping[Path, str]) -> Tls:
    ca_file = _given(settings.ca_file)
    return Tls(
        authorities=trusted[ca_file] if ca_file else None,
        fingerprint=_given(settings.fingerprint),
        insecure=settings.insecure_skip_verify,
    )


def _given(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value
