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

from monitor.config import access, values
from monitor.config.access import AnonymousScope, TokenSettings, UserSettings
from monitor.config.reload_rules import LIVE, RESTART
from monitor.config.validation import Rule, SchemaRules, quoted, text_format_of, written_as
from monitor.config.values import host_of, is_loopback, write_duration

STALLED_AFTER_S: Final = 600.0
"""The default of ``stalled_after``."""

Duration = Annotated[float, written_as(values.DURATION)]
Size = Annotated[int, written_as(values.SIZE)]
PasswordFile = Annotated[
    Path, written_as(values.PASSWORD_FILE), LIVE, Meta(description="File with its password; read at each log-in.")
]
PasswordVariable = Annotated[
    str, written_as(values.PASSWORD_ENV), LIVE, Meta(description="Environment variable with its password.")
]


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


class Annotations(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Export of annotations."""

    export: Annotated[
        frozenset[Annotated[str, written_as(values.ANNOTATION_KEY)]],
        LIVE,
        Meta(description="Keys that are exported as avi_image_annotation_info."),
    ] = frozenset()


class TlsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the certificate of a Controller is verified; without any of these keys by the system's CAs. At most one."""

    ca_file: (
        Annotated[Path, written_as(values.CA_FILE), LIVE, Meta(description="CA certificates, PEM.")] | UnsetType
    ) = UNSET
    fingerprint: (
        Annotated[bytes, written_as(values.FINGERPRINT), LIVE, Meta(description="SHA-256 of its certificate.")]
        | UnsetType
    ) = UNSET
    fingerprints: (
        Annotated[
            frozenset[Annotated[bytes, written_as(values.FINGERPRINT)]],
            LIVE,
            Meta(min_length=1, description="SHA-256 of its certificates, of which it presents one."),
        ]
        | UnsetType
    ) = UNSET
    insecure_skip_verify: Annotated[bool, LIVE, Meta(description="Verify nothing; this is logged and exported.")] = (
        False
    )


_ONE_PASSWORD: Final = Meta(
    extra_json_schema={"oneOf": [{"required": ["password_file"]}, {"required": ["password_env"]}]}
)


class WriteSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account that adjusts images. Exactly one of password_file and password_env."""

    username: Annotated[str, written_as(values.WORD), LIVE, Meta(description="An account that may change images.")]
    password_file: PasswordFile | UnsetType = UNSET
    password_env: PasswordVariable | UnsetType = UNSET


class ControllerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Avi Controller cluster. Exactly one of password_file and password_env."""

    name: Annotated[str, written_as(values.NAME), LIVE, Meta(description="The label `controller` of all its series.")]
    url: Annotated[str, written_as(values.ORIGIN), LIVE, Meta(description="Scheme, host and port of its API.")]
    username: Annotated[str, written_as(values.WORD), LIVE, Meta(description="An account that may read images.")]
    password_file: PasswordFile | UnsetType = UNSET
    password_env: PasswordVariable | UnsetType = UNSET
    tenant: Annotated[
        str, written_as(values.WORD), LIVE, Meta(description="Tenant whose images are watched; `*` for all.")
    ] = "admin"
    api_version: Annotated[str, written_as(values.API_VERSION), LIVE, Meta(description="Pins X-Avi-Version.")] = "auto"
    allow_http: Annotated[bool, LIVE, Meta(description="Allow http:// to another host than loopback.")] = False
    tls: TlsSettings = field(default_factory=TlsSettings)
    write: Annotated[WriteSettings, _ONE_PASSWORD, LIVE] | UnsetType = UNSET


_Controllers = Annotated[
    tuple[Annotated[ControllerSettings, _ONE_PASSWORD], ...], LIVE, Meta(description="Controllers to watch.")
]


class ControllerFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that ``controller_files`` names."""

    controllers: _Controllers


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The config file of avi-upgrade-monitor. Relative paths are relative to the file that names them."""

    listen: Annotated[
        tuple[str, int],
        written_as(values.ADDRESS),
        RESTART,
        Meta(description="Address to serve on; port 0 takes a free one."),
    ] = ("127.0.0.1", 9972)
    database: Annotated[
        str, written_as(values.DATABASE), RESTART, Meta(description="Database of annotations, audit and progress.")
    ] = "sqlite:////var/lib/avi-upgrade-monitor/state.db"
    poll: Poll = field(default_factory=Poll)
    log: Log = field(default_factory=Log)
    events: Events = field(default_factory=Events)
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
    tokens: Annotated[tuple[TokenSettings, ...], LIVE, Meta(description="Bearer tokens and their scopes.")] = ()
    users: Annotated[
        tuple[UserSettings, ...], LIVE, Meta(description="Scopes of the users of the web configuration.")
    ] = ()
    controllers: _Controllers = ()
    controller_files: Annotated[
        tuple[Annotated[str, written_as(values.FILES)], ...],
        LIVE,
        Meta(description="More files with a `controllers` list: paths, or patterns which may match nothing."),
    ] = ()


_STRUCTS: Final = (
    Settings, Poll, Log, Events, Annotations, TlsSettings, WriteSettings, ControllerSettings, TokenSettings,
    UserSettings,
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


def _check_stale_after(poll: Poll) -> str | None:
    least_s = poll.idle_interval_s + poll.timeout_s
    if poll.stale_after_s >= least_s:
        return None
    return (
        f"found {quoted(write_duration(poll.stale_after_s))}, expected at least idle_interval + timeout "
        f"({write_duration(least_s)}), or a healthy controller would go stale between two polls"
    )


def _check_active_interval(poll: Poll) -> str | None:
    if poll.active_interval_s <= poll.idle_interval_s:
        return None
    idle = write_duration(poll.idle_interval_s)
    return f"found {quoted(write_duration(poll.active_interval_s))}, expected at most idle_interval ({idle})"


def _check_one_verification(tls: TlsSettings) -> str | None:
    given = (
        ("ca_file", tls.ca_file),
        ("fingerprint", tls.fingerprint),
        ("fingerprints", tls.fingerprints),
        ("insecure_skip_verify", tls.insecure_skip_verify),
    )
    names = [name for name, value in given if value not in (UNSET, False)]
    return None if len(names) < 2 else f"found {' and '.join(names)}, expected at most one of them"


def _check_fingerprints(tls: TlsSettings) -> str | None:
    return "found an empty list, expected at least one" if tls.fingerprints == frozenset() else None


def _check_one_password(account: ControllerSettings | WriteSettings) -> str | None:
    given = (account.password_file is not UNSET) + (account.password_env is not UNSET)
    return (
        None
        if given == 1
        else f"found {('none', '', 'both')[given]}, expected exactly one of password_file and password_env"
    )


def _check_https(controller: ControllerSettings) -> str | None:
    host = host_of(controller.url)
    if controller.allow_http or controller.url.startswith("https:") or is_loopback(host):
        return None
    return f"found http:// to {quoted(host)}, expected https://, or allow_http: true to send the password unencrypted"


RULES_OF_SETTINGS: Final = SchemaRules(
    rules={
        Poll: (
            Rule("stale_after", ("stale_after_s", "idle_interval_s", "timeout_s"), _check_stale_after),
            Rule("active_interval", ("active_interval_s", "idle_interval_s"), _check_active_interval),
        ),
        TlsSettings: (
            Rule("", ("ca_file", "fingerprint", "fingerprints", "insecure_skip_verify"), _check_one_verification),
            Rule("fingerprints", ("fingerprints",), _check_fingerprints),
        ),
        ControllerSettings: (
            Rule("password_file", ("password_file", "password_env"), _check_one_password),
            Rule("url", ("url", "allow_http"), _check_https),
        ),
        WriteSettings: (Rule("password_file", ("password_file", "password_env"), _check_one_password),),
        **access.RULES,
    },
    unknown={
        "password": "found a password in the file itself (not shown), expected password_file or password_env instead",
        "token": "found a token in the file itself (not shown), expected sha256 instead",
    },
)
