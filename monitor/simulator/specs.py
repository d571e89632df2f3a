"""The description of a simulated Controller before it runs. A scenario consists of these structs and nothing else."""

from typing import Literal, TypeAlias

import msgspec

from monitor.simulator.upgrade_specs import GroupSpec, UnitOptions, UpgradeSpec

ImageKind: TypeAlias = Literal["system", "patch", "must_check"]
UploadOutcome: TypeAlias = Literal["completed", "failed", "stalled"]
EventKind: TypeAlias = Literal["upgrading", "down", "unready", "bad_gateway", "ready", "upgraded"]


class UploadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """
    One planned upload. All times are simulated seconds.

    ``started_ago``: negative for an upload that starts later. ``outcome``: ``stalled`` uploads never end.
    ``failing_task``: where a failed or stalled upload stops; empty: the task that fits a failure chosen by the seed.
    ``failing_node``: an index into the nodes; 0 is the leader, -1 the last.
    """

    name: str | None = None
    kind: ImageKind = "system"
    outcome: UploadOutcome = "completed"
    duration: float = 60.0
    started_ago: float = 0.0
    version: str = ""  # empty: the next release after the Controller's version
    failing_task: str = ""
    failing_node: int = -1
    smooth: bool = True  # progress changes during a task; False: only when a task ends


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """
    An account of the Controller. ``token``: accepted in the place of the password; empty: none.

    ``superuser``: what the log-in reply says of it; what it may write is ``can_write``. ``reads_upgrades``: whether it
    has the permission to read the Controller's own objects.
    """

    username: str
    password: str
    token: str = ""
    can_write: bool = True
    superuser: bool = True
    reads_upgrades: bool = True


class PatchPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How the Controller treats a PATCH of an image. The vendor publishes no rules for it, so each one is an option."""

    enabled: bool = True  # False: 405 for every PATCH
    plain: Literal["reject", "merge"] = "reject"  # a partial Image without add, replace or delete
    json_patch: bool = True
    owned: Literal["reject", "accept"] = "reject"  # fields that the Controller owns: progress, events, times and others


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """Requests above the rate are delayed; those beyond the burst are rejected with 429."""

    per_second: float = 32.0
    burst: int = 32


class TimelineEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    A change of a Controller at a simulated time, ``at`` seconds after the start.

    ``upgrading``: writes are rejected. ``down``: connections are refused. ``unready``: 503 for every request;
    ``bad_gateway``: 502, from the web server in front of the API. ``ready``: all requests are served again, at
    ``version`` where given, and all sessions have ended. ``upgraded``: writes are accepted again. An `UpgradeSpec`
    makes these changes by itself.
    """

    at: float
    kind: EventKind
    version: str = ""


class ControllerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One Controller cluster."""

    name: str
    version: str = "30.2.1"
    nodes: int = 3
    images: int = 0  # completed images that exist at the start
    uploads: tuple[UploadSpec, ...] = ()
    timeline: tuple[TimelineEvent, ...] = ()
    groups: tuple[GroupSpec, ...] = ()  # SE groups
    upgrade: UpgradeSpec | None = None
    units: UnitOptions = UnitOptions()
    port: int = 0  # 0: a free one
    username: str = "admin"
    password: str = ""  # empty: made from the seed
    accounts: tuple[Account, ...] = ()  # further accounts
    tenants: tuple[str, ...] = ()  # further tenants, besides admin
    page_size: int = 25  # of a list when the request has no page_size
    upload_duration: float = 60.0  # simulated seconds, of images that arrive by POST
    max_image_bytes: int = 10 * 1024**3
    follower: bool = False  # a follower node serves reads and rejects uploads
    patching: PatchPolicy = PatchPolicy()
    rate_limit: RateLimit | None = None
    lock_after: int = 20  # failed log-ins in a row; 0: never
    lock_s: float = 30 * 60.0
    idle_timeout_s: float = 15 * 60.0  # real seconds, as all times of sessions
    force_timeout_s: float = 24 * 3600.0
    max_sessions: int = 0  # 0: no limit; else a new session ends the oldest
    max_logged_requests: int = 10_000


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet with a name. ``summary``: one line for ``simulate --list``."""

    summary: str
    controllers: tuple[ControllerSpec, ...]
