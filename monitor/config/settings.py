"""
The shape of the YAML, declared once: validation, defaults, JSON schema and what a reload may change come from here.

A field ending in ``_s`` is in seconds; its key in the file has no unit, as its text has one. Each key is declared
``LIVE`` (a reload changes it) or ``RESTART`` (a reload that would change it is refused).
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec import inspect as mi

from monitor.config import values
from monitor.config.access import AnonymousScope, TokenSettings, UserSettings
from monitor.config.controller_settings import (
    Controllers,
    ControllerSettings,
    ControllerUpgrades,
    TlsSettings,
    WriteSettings,
)
from monitor.config.database import DATABASE, DATABASE_FILE, DEFAULT_DATABASE
from monitor.config.reload_rules import LIVE, RESTART
from monitor.config.validation import text_format_of, written_as

STALLED_AFTER_S: Final = 600.0
"""The default of ``stalled_after``."""

Duration = Annotated[float, written_as(values.DURATION)]
Size = Annotated[int, written_as(values.SIZE)]


class Poll(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often Controllers are polled, and the limits of a poll."""

    active_interval_s: Annotated[
        Duration, LIVE, Meta(description="From the start of a poll to the next, while an image is processed.")
    ] = field(default=5.0, name="active_interval")
    idle_interval_s: Annotated[Duration, LIVE, Meta(description="From the start of a poll to the next, otherwise.")] = (
        field(default=60.0, name="idle_interval")
    )
    timeout_s: Annotated[Duration, LIVE, Meta(description="Deadline of one request.")] = field(
        default=10.0, name="timeout"
    )
    stale_after_s: Annotated[
        Duration, LIVE, Meta(description="How long the result of the last good poll is exported while polls fail.")
    ] = field(default=300.0, name="stale_after")
    max_backoff_s: Annotated[
        Duration, LIVE, Meta(description="Longest back-off after failures; a longer Retry-After is obeyed.")
    ] = field(default=60.0, name="max_backoff")
    concurrency: Annotated[int, LIVE, Meta(ge=1, description="Polls in flight at once, over all controllers.")] = 64
    max_response: Annotated[Size, LIVE, Meta(description="Most bytes that one poll reads of a controller.")] = (
        32 * 1024 * 1024
    )


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Level and format of the log."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], RESTART, Meta(description="Lowest level that is logged.")
    ] = "info"
    format: Annotated[
        Literal["json", "console"], RESTART, Meta(description="`json` for machines, `console` for a terminal.")
    ] = "json"


class Events(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much detail of tasks and nodes is exported as series."""

    detail_for_s: Annotated[
        Duration, LIVE, Meta(description="How long the detail of an image is exported after it ended.")
    ] = field(default=86400.0, name="detail_for")
    max_series_per_image: Annotated[
        int, LIVE, Meta(ge=1, description="Series of one image; detail is dropped first.")
    ] = 2000
    max_series_per_controller: Annotated[
        int, LIVE, Meta(ge=1, description="Series of one controller; detail is dropped first.")
    ] = 10000


class Upgrades(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How upgrades of Controllers, SE groups and Service Engines (the units) are watched."""

    watch: Annotated[
        bool, LIVE, Meta(description="Read the upgrade status; `upgrades.watch` of a controller takes precedence.")
    ] = True
    full_interval_s: Annotated[
        Duration,
        LIVE,
        Meta(
            description="From one full read of all units, and of the state of the nodes, to the next; between them, "
            "only units that move are read."
        ),
    ] = field(default=900.0, name="full_interval")
    hold_for_s: Annotated[
        Duration,
        LIVE,
        Meta(
            description="How long the result of the last good poll is exported while polls fail because of an upgrade "
            "of the Controllers, in place of poll.stale_after; at least that."
        ),
    ] = field(default=7200.0, name="hold_for")
    return_backoff_s: Annotated[
        Duration,
        LIVE,
        Meta(
            description="Longest back-off while polls fail because of an upgrade of the Controllers; a longer "
            "Retry-After is obeyed. Without effect if poll.max_backoff is less."
        ),
    ] = field(default=15.0, name="return_backoff")
    max_reads_per_poll: Annotated[
        int, LIVE, Meta(ge=1, description="Units that one poll reads one by one; the others wait for the next poll.")
    ] = 24
    se_series: Annotated[
        int,
        LIVE,
        Meta(ge=0, description="Service Engines of one controller that have a series of their own, failed ones first."),
    ] = 200
    max_series_per_controller: Annotated[
        int, LIVE, Meta(ge=1, description="Series of the units of one controller; detail is dropped first.")
    ] = 10000


class Health(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Probes for a kubelet or a load balancer, which can present neither a certificate nor a password."""

    listen: (
        Annotated[
            tuple[str, int],
            written_as(values.ADDRESS),
            RESTART,
            Meta(description="Address that serves the probes alone, over plain HTTP to everyone; by default none."),
        ]
        | UnsetType
    ) = UNSET


class Annotations(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Export of annotations."""

    export: Annotated[
        frozenset[Annotated[str, written_as(values.ANNOTATION_KEY)]],
        LIVE,
        Meta(description="Keys that are exported as avi_image_annotation_info."),
    ] = frozenset()


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The config file of avi-upgrade-monitor. Relative paths are relative to the file that names them."""

    listen: Annotated[
        tuple[str, int],
        written_as(values.ADDRESS),
        RESTART,
        Meta(description="Address to serve on; without a host, all of IPv4 and IPv6; port 0 takes a free one."),
    ] = ("127.0.0.1", 9972)
    database: Annotated[
        str,
        written_as(DATABASE),
        RESTART,
        Meta(description="Database of annotations, audit and progress."),
    ] = DEFAULT_DATABASE
    database_file: (
        Annotated[
            Path,
            written_as(DATABASE_FILE),
            RESTART,
            Meta(description="File with the URL of the database, instead of `database`; read at each connection."),
        ]
        | UnsetType
    ) = UNSET
    database_password_file: (
        Annotated[
            Path,
            written_as(values.PASSWORD_FILE),
            RESTART,
            Meta(description="File with the password of the user in `database`; read at each connection."),
        ]
        | UnsetType
    ) = UNSET
    health: Health = field(default_factory=Health)
    poll: Poll = field(default_factory=Poll)
    log: Log = field(default_factory=Log)
    events: Events = field(default_factory=Events)
    upgrades: Upgrades = field(default_factory=Upgrades)
    annotations: Annotations = field(default_factory=Annotations)
    stalled_after_s: Annotated[
        Duration,
        LIVE,
        Meta(description="How long an upload that is under way may not move before it counts as stalled."),
    ] = field(default=STALLED_AFTER_S, name="stalled_after")
    anonymous: (
        Annotated[
            frozenset[AnonymousScope],
            LIVE,
            Meta(description="Scopes without credentials; by default both on loopback while there are no users."),
        ]
        | UnsetType
    ) = UNSET
    server_names: Annotated[
        frozenset[Annotated[str, written_as(values.HOST)]],
        LIVE,
        Meta(description="Names by which clients call the daemon, beside localhost and addresses."),
    ] = frozenset()
    trusted_proxies: Annotated[
        frozenset[Annotated[str, written_as(values.NETWORK)]],
        LIVE,
        Meta(description="Networks of proxies, whose X-Forwarded-For is believed."),
    ] = frozenset()
    tokens: Annotated[tuple[TokenSettings, ...], LIVE, Meta(description="Bearer tokens and their scopes.")] = ()
    users: Annotated[
        tuple[UserSettings, ...], LIVE, Meta(description="Scopes of the users of the web configuration.")
    ] = ()
    controllers: Controllers = ()
    controller_files: Annotated[
        tuple[Annotated[str, written_as(values.FILES)], ...],
        LIVE,
        Meta(description="More files with a `controllers` list: paths, or patterns which may match nothing."),
    ] = ()


_STRUCTS: Final = (
    Settings, Health, Poll, Log, Events, Upgrades, Annotations, TlsSettings, WriteSettings, ControllerUpgrades,
    ControllerSettings, TokenSettings, UserSettings,
)  # fmt: skip


def schema() -> dict[str, Any]:
    """
    Return the JSON schema (2020-12) of the config file.

    A value that has a `TextFormat` (a duration, a path) is described as the text in the file; so is its default.
    """
    generated = msgspec.json.schema(Settings)
    for struct in _STRUCTS:
        properties = generated["$defs"][struct.__name__]["properties"]
        for each in mi.type_info(struct).fields:  # type: ignore[attr-defined]
            properties[each.encode_name] = _as_written(properties[each.encode_name], each)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "avi-upgrade-monitor", **generated}


def _as_written(generated: dict[str, Any], each: mi.Field) -> dict[str, Any]:
    text_format = text_format_of(each.type)
    if not text_format:
        return generated
    default = {} if each.default is msgspec.NODEFAULT else {"default": text_format.write(each.default)}
    text = {"type": "string", "pattern": f"^(?:{text_format.pattern})$"}
    described = {**generated, "description": f"{generated['description']} Expected: {text_format.expected}."}
    return {key: described[key] for key in ("description", "x-reload") if key in described} | text | default
