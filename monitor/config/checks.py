"""
What must hold between the config file, its controller files and the web configuration.

Each file by itself was checked when it was read. In a file with problems a required value may be UNSET, and what seems
to be missing may stand in the part that could not be read.
"""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from msgspec import UNSET, Struct

from monitor.config.access import TokenSettings, UserSettings
from monitor.config.controller_settings import ControllerFile, ControllerSettings
from monitor.config.settings import Settings
from monitor.config.validation import printable, quoted
from monitor.config.values import is_loopback, write_address
from monitor.config.web_config import WebConfig

T = TypeVar("T")


class ConfigFile(Struct, Generic[T], frozen=True):
    """One file as read. ``content``: None when it could not be read; to be applied only when there are no problems."""

    path: Path
    content: T | None
    problems: tuple[str, ...]

    def problem(self, text: str) -> str:
        """Name the file in front of a problem."""
        return f"{printable(str(self.path))}: {text}"


AnyConfigFile = ConfigFile[Settings] | ConfigFile[ControllerFile]


def controllers_of(file: AnyConfigFile) -> tuple[ControllerSettings, ...]:
    """Give the controllers of the file; none when it could not be read."""
    return file.content.controllers if file.content else ()


def check_files(
    main: ConfigFile[Settings],
    more: tuple[ConfigFile[ControllerFile], ...],
    web: WebConfig | None,
    web_problems: tuple[str, ...],
) -> Iterator[str]:
    """Yield every problem of the files and between them."""
    files: tuple[AnyConfigFile, ...] = (main, *more)
    for file in files:
        yield from map(file.problem, file.problems)
    yield from _repeated_names(files)
    if not web_problems:
        yield from map(main.problem, _check_callers(main, files, web))
        yield from check_access(main, web)
    yield from web_problems


def _repeated_names(files: Iterable[AnyConfigFile]) -> Iterator[str]:
    """Yield a problem for each name that an earlier controller has: the label `controller` would join their series."""
    first: dict[str, str] = {}
    for file in files:
        for place, name in _names(file):
            here = file.problem(f"controllers[{place}].name")
            if name in first:
                yield f"{here}: found {quoted(name)} again, expected a name of its own; first at {first[name]}"
            first.setdefault(name, here)


def _names(file: AnyConfigFile) -> Iterator[tuple[int, str]]:
    """The good names of the controllers, with their place in the list."""
    for place, each in enumerate(controllers_of(file)):
        if isinstance(name := getattr(each, "name", None), str):
            yield place, name


def _check_callers(
    main: ConfigFile[Settings], files: tuple[AnyConfigFile, ...], web: WebConfig | None
) -> Iterator[str]:
    """Compare tokens, users, controllers and the web configuration with each other."""
    if main.content is None:
        return
    tokens, users = main.content.tokens, main.content.users
    yield from repeated_values("tokens", tokens, "sha256")
    yield from repeated_values("users", users, "name")
    yield from users_without_password(users, web)
    if not any(file.problems for file in files):  # else the controller may stand in what could not be read
        known = {name for file in files for _, name in _names(file)}
        yield from unknown_controllers("tokens", tokens, known)
        yield from unknown_controllers("users", users, known)


_Entries = Iterable[TokenSettings | UserSettings]  # where the file has problems, an element or a field may be UNSET


def repeated_values(key: str, entries: _Entries, field: str) -> Iterator[str]:
    """Every entry whose ``field``, named as in the file, has the value of one before it. The value is not shown."""
    first: dict[object, int] = {}
    for place, entry in enumerate(entries):
        value = getattr(entry, "digest" if field == "sha256" else field, UNSET)
        if value in first:
            yield f"{key}[{place}].{field}: found the value of {key}[{first[value]}] again, expected another one"
        if value is not UNSET:
            first.setdefault(value, place)


def users_without_password(users: Iterable[UserSettings], web: WebConfig | None) -> Iterator[str]:
    """Every user that the web configuration does not have: no password could ever be right."""
    where = f"a user of {printable(str(web.path))}" if web else "no users without a web configuration"
    for place, user in enumerate(users):
        name = getattr(user, "name", UNSET)
        if name is not UNSET and not (web and name in web.users):
            yield f"users[{place}].name: found {quoted(name)}, expected {where}"


def unknown_controllers(key: str, entries: _Entries, known: Collection[str]) -> Iterator[str]:
    """Every controller that an entry is limited to and that is not configured. The entries have no problems."""
    for place, entry in enumerate(entries):
        for name in sorted(set() if entry.controllers is UNSET else entry.controllers - set(known)):
            yield f"{key}[{place}].controllers: found {quoted(name)}, expected the name of a configured controller"


def check_access(main: ConfigFile[Settings], web: WebConfig | None) -> Iterator[str]:
    """Yield a problem if `listen` is not loopback and nothing gives any client access."""
    settings = main.content
    if settings is None or any(problem.startswith(("listen:", "anonymous", "tokens")) for problem in main.problems):
        return
    if is_loopback(settings.listen[0]) or settings.anonymous is not UNSET or settings.tokens or (web and web.users):
        return
    yield main.problem(
        f"listen: {quoted(write_address(settings.listen))} is not loopback, so the config must say who has access: "
        "set tokens, anonymous, or basic_auth_users in the web config"
    )
