"""The shape of a controller in the YAML, and of a controller file. Declared as `monitor.config.settings` says."""

from pathlib import Path
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType, field

from monitor.config import values
from monitor.config.reload_rules import LIVE
from monitor.config.validation import Rule, quoted, written_as
from monitor.config.values import host_of, is_loopback

PasswordFile = Annotated[
    Path, written_as(values.PASSWORD_FILE), LIVE, Meta(description="File with its password; read at each log-in.")
]
PasswordVariable = Annotated[
    str, written_as(values.PASSWORD_ENV), LIVE, Meta(description="Environment variable with its password.")
]


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


class ControllerUpgrades(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the upgrades of one Controller are watched."""

    watch: (
        Annotated[bool, LIVE, Meta(description="Read its upgrade status; by default as `upgrades.watch` says.")]
        | UnsetType
    ) = UNSET
    tenant: (
        Annotated[
            str,
            written_as(values.WORD),
            LIVE,
            Meta(description="Tenant whose SE groups are watched, `*` for all; by default the one of the images."),
        ]
        | UnsetType
    ) = UNSET


class ControllerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Avi Controller cluster. Exactly one of password_file and password_env."""

    name: Annotated[str, written_as(values.NAME), LIVE, Meta(description="The label `controller` of all its series.")]
    url: Annotated[str, written_as(values.ORIGIN), LIVE, Meta(description="Scheme, host and port of its API.")]
    username: Annotated[
        str,
        written_as(values.WORD),
        LIVE,
        Meta(description="An account that may read Image and, where upgrades are watched, Controller."),
    ]
    password_file: PasswordFile | UnsetType = UNSET
    password_env: PasswordVariable | UnsetType = UNSET
    tenant: Annotated[
        str, written_as(values.WORD), LIVE, Meta(description="Tenant whose images are watched; `*` for all.")
    ] = "admin"
    api_version: Annotated[str, written_as(values.API_VERSION), LIVE, Meta(description="Pins X-Avi-Version.")] = "auto"
    allow_http: Annotated[bool, LIVE, Meta(description="Allow http:// to another host than loopback.")] = False
    tls: TlsSettings = field(default_factory=TlsSettings)
    write: Annotated[WriteSettings, _ONE_PASSWORD, LIVE] | UnsetType = UNSET
    upgrades: ControllerUpgrades = field(default_factory=ControllerUpgrades)


Controllers = Annotated[
    tuple[Annotated[ControllerSettings, _ONE_PASSWORD], ...], LIVE, Meta(description="Controllers to watch.")
]


class ControllerFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that ``controller_files`` names."""

    controllers: Controllers


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


RULES: Final[dict[type, tuple[Rule, ...]]] = {
    TlsSettings: (
        Rule("", ("ca_file", "fingerprint", "fingerprints", "insecure_skip_verify"), _check_one_verification),
        Rule("fingerprints", ("fingerprints",), _check_fingerprints),
    ),
    ControllerSettings: (
        Rule("password_file", ("password_file", "password_env"), _check_one_password),
        Rule("url", ("url", "allow_http"), _check_https),
    ),
    WriteSettings: (Rule("password_file", ("password_file", "password_env"), _check_one_password),),
}
