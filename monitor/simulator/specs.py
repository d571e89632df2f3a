"""What a simulated Controller is made of, said before it runs. Scenarios are these structs and nothing else."""

from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["system", "patch", "must_check"]
Outcome: TypeAlias = Literal["completed", "failed", "stuck"]


class UploadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """
    One planned upload. Seconds are simulated.

    ``started_ago`` may be negative: the image appears that much later. ``failing_node`` counts the nodes from 0, the
    leader; -1 is the last. ``failing_task`` empty: the task where this kind of trouble belongs.
    """

    name: str | None = None
    kind: Kind = "system"
    outcome: Outcome = "completed"
    duration: float = 60.0
    started_ago: float = 0.0
    version: str = ""  # empty: the release after the Controller's own
    failing_task: str = ""
    failing_node: int = -1
    smooth: bool = True  # progress moves inside a task; else only when a task is done


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One who may log in; ``token`` empty: with the password only."""

    username: str
    password: str
    token: str = ""
    writes: bool = True


class PatchPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What the Controller thinks of PATCH; nobody has published what real ones do, so each answer can be chosen."""

    plain: Literal["refuse", "merge"] = "refuse"
    json_patch: bool = True
    owned: Literal["refuse", "accept"] = "refuse"  # progress, events, times and the like
    anything: bool = True  # False: images cannot be changed at all, 405


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """Requests above the rate are delayed; those beyond the burst are refused with 429."""

    per_second: float = 32.0
    burst: int = 32


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that happens to a Controller at a simulated time, seconds after the start.

    ``upgrading``: writes are refused. ``down``: connections are refused. ``unready``: 503. ``back``: all is well again,
    at ``version`` where given, and nobody is logged in.
    """

    at: float
    event: Literal["upgrading", "down", "unready", "back"]
    version: str = ""


class ControllerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One Controller cluster. ``images`` is how many finished ones lie there already; ``port`` 0 takes a free one."""

    name: str
    version: str = "30.2.1"
    nodes: int = 3
    images: int = 0
    uploads: tuple[UploadSpec, ...] = ()
    moments: tuple[Moment, ...] = ()
    port: int = 0
    username: str = "admin"
    password: str = ""  # empty: made from the seed
    accounts: tuple[Account, ...] = ()  # beside the first
    tenants: tuple[str, ...] = ()  # beside admin
    page_size: int = 25  # what a list gives when none is asked for
    upload_duration: float = 60.0  # of images that come in by POST, simulated seconds
    max_image_bytes: int = 10 * 1024**3
    follower: bool = False  # a follower node: serves reads, refuses uploads
    patching: PatchPolicy = PatchPolicy()
    rate_limit: RateLimit | None = None
    lock_after: int = 20  # failed log-ins in a row; 0 = never
    lock_s: float = 30 * 60.0
    idle_timeout_s: float = 15 * 60.0  # sessions live in real seconds: a fast clock must not log anybody out
    force_timeout_s: float = 24 * 3600.0
    max_sessions: int = 0  # 0 = any number; else the oldest is thrown out
    remember: int = 10_000  # requests


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet with a name; ``summary`` is one line for people."""

    summary: str
    controllers: tuple[ControllerSpec, ...]
