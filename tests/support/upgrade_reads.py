"""What a daemon asked a simulated Controller for, poll by poll, and what it shows of the units."""

from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from monitor.daemon.app import Daemon
from monitor.simulator import Account, SimulatedController
from tests.support.daemons import Series, until

SUMMARY, INFO = "/api/upgradestatussummary", "/api/upgradestatusinfo"
Log = MutableMapping[str, Any]


def polls_of(controller: SimulatedController) -> list[list[str]]:
    """
    Return the paths that each poll asked for, shortened: ``image``, ``summary``, ``info``, ``info/se-…``.

    The last poll is left out, because it may be under way.
    """
    polls: list[list[str]] = []
    for request in controller.requests:
        if request.path == "/api/image":
            polls.append([])
        if polls and request.path.startswith("/api/"):
            polls[-1].append(request.path.removeprefix("/api/").removeprefix("upgradestatus"))
    return polls[:-1]


def asked_for(controller: SimulatedController, path: str) -> int:
    """How often the daemon asked for what has this path, or begins with it."""
    return sum(request.path.startswith(path) for request in controller.requests)


async def read_fails(daemon: Daemon, controller: str, times: int = 1) -> None:
    """Wait until so many more reads of the upgrade status have failed."""

    def failures() -> int:
        return sum(daemon.fleet.entries[controller].collections["upgrade"].health.failures.values())

    before = failures()
    await until(daemon, controller, lambda _: failures() >= before + times)


def labels_of(series: Series, name: str, **wanted: str) -> list[dict[str, str]]:
    """The labels of the series of this name that have these labels, sorted by them; with value 0 they are left out."""
    found = (dict(labels) for (each, labels), value in series.items() if each == name and value)
    return sorted((each for each in found if wanted.items() <= each.items()), key=lambda each: sorted(each.items()))


def account_of_config(folder: Path, account: Account) -> dict[str, object]:
    """The keys of a controller in the config with which the daemon logs in with this account."""
    secret = folder / f"{account.username}.password"
    secret.touch(mode=0o600)
    secret.write_text(account.password)
    return {"username": account.username, "password_file": secret.name}


@contextmanager
def logging() -> Iterator[list[Log]]:
    """Collect all that is logged."""
    with capture_logs() as logs:
        yield logs


def logged(logs: Iterable[Log], event: str, resource: str = "upgrade") -> list[tuple[str, str, str]]:
    """The level, the controller and the reason of each of these events about the resource."""
    found = [log for log in logs if log["event"] == event and log.get("resource", resource) == resource]
    return [(log["log_level"], log["controller"], log.get("reason", "")) for log in found]
