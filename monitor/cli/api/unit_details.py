"""What the API says of one unit beyond the event stream: its own object, its tasks, and its earlier operations."""

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from monitor.cli.api.objects import unit_path
from monitor.cli.api.responses import decode
from monitor.cli.api.view import ObjectKey
from monitor.model.tracked import EventState

if TYPE_CHECKING:
    from monitor.cli.api.client import DaemonClient


class UnitEvent(Struct, frozen=True):
    """What one node did for one task."""

    task: str
    node: str
    state: EventState
    status: str = ""


class UnitEngine(Struct, frozen=True):
    """A Service Engine of a group. ``since``: Unix seconds, of one in progress. ``took_s``: of one that ended."""

    uuid: str
    name: str = ""
    state: str = ""
    since: float | None = None
    took_s: float | None = field(default=None, name="took_seconds")


class UnitCheck(Struct, frozen=True):
    """A pre-check that did not simply pass."""

    code: str
    result: str
    description: str = ""
    details: tuple[str, ...] = ()


class UnitTasks(Struct, frozen=True):
    """``GET /api/upgradestatusinfo/{uuid}/tasks``. ``notes``: the Controller's texts."""

    events: tuple[UnitEvent, ...] = ()
    engines: tuple[UnitEngine, ...] = ()
    checks: tuple[UnitCheck, ...] = ()
    notes: tuple[str, ...] = ()


class Operation(Struct, frozen=True):
    """An earlier operation, in the Controller's own words."""

    operation: str
    version: str
    state: str
    ended: str


async def read_unit(client: "DaemonClient", key: ObjectKey) -> bytes:
    """Return one UpgradeStatusInfo. Raises: Rejected; ServerError."""
    return (await client.request("GET", unit_path(key[1]), {"controller": key[0]})).body


async def read_tasks(client: "DaemonClient", key: ObjectKey) -> UnitTasks:
    """Return what was done in the operation of one unit. Raises: Rejected; ServerError."""
    return decode((await client.request("GET", f"{unit_path(key[1])}/tasks", {"controller": key[0]})).body, UnitTasks)


def earlier_operations(unit: bytes) -> list[Operation]:
    """Return the history of an UpgradeStatusInfo, the last one first; what has another form than known is left out."""
    history: Any = decode(unit, dict[str, Any]).get("history")
    found = [each for each in history if isinstance(each, dict)] if isinstance(history, list) else []
    return [
        Operation(_text(each.get("ops")), _text(each.get("version")), _state(each), _text(each.get("end_time")))
        for each in reversed(found)
    ]


def _state(operation: dict[str, Any]) -> str:
    state = operation.get("state")
    return _text(state.get("state") if isinstance(state, dict) else state)


def _text(value: Any) -> str:  # noqa: ANN401  any JSON
    return value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
