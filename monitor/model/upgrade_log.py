"""What the daemon saw of one upgrade of a controller, from its beginning to its end."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from monitor.model.upgrade import Upgrade, UpgradePhase


class UpgradeEvent(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """
    One change. ``at``: when the daemon saw it, Unix seconds.

    ``what``: of what the state changed: of the whole controller (its phase), of a unit, or of a Service Engine of a
    group. ``unit``: uuid of the unit or group. ``engine``: uuid of the Service Engine. ``before``: empty when it was
    not known. ``reason``: free text of the Controller.
    """

    at: float
    what: Literal["phase", "unit", "service_engine"]
    unit: str = ""
    engine: str = ""
    before: str = ""
    after: str = ""
    reason: str = ""


class UpgradeLog(Struct, frozen=True, gc=False, kw_only=True):
    """
    One upgrade. Times in Unix seconds of the daemon's clock; ``ended_at``: None while it goes on.

    ``units``: the cluster and the groups as seen last, by uuid. ``disrupted``: by the uuid of a group, the most of its
    virtual services that were disrupted at once. ``cluster``, ``done``: as `monitor.model.upgrade.Overview` has them.
    ``left_behind``: the uuids of the units; none while it goes on, when those that wait or are suspended may still get
    there. ``engine_names``: of Service Engines by uuid. ``events_left_out``: how many changes are too many to be kept.
    """

    began_at: float
    ended_at: float | None = None
    phase: UpgradePhase = "none"
    cluster: str = ""
    done: bool | None = None
    left_behind: tuple[str, ...] = ()
    units: Mapping[str, Upgrade] = {}
    disrupted: Mapping[str, int] = {}
    engine_names: Mapping[str, str] = {}
    events: tuple[UpgradeEvent, ...] = ()
    events_left_out: int = 0
