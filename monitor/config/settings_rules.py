"""What must hold between keys of one config file. Each key by itself is checked by its type and its format."""

from typing import Final

from msgspec import UNSET

from monitor.config import access, controller_settings
from monitor.config.database import DEFAULT_DATABASE, DatabaseUrl
from monitor.config.settings import Poll, Settings
from monitor.config.validation import Rule, SchemaRules, quoted
from monitor.config.values import write_address, write_duration


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


def _check_database_file(settings: Settings) -> str | None:
    if settings.database_file is UNSET or settings.database == DEFAULT_DATABASE:
        return None
    return "found database as well, expected one of them"


def _check_database_password_file(settings: Settings) -> str | None:
    if settings.database_password_file is UNSET:
        return None
    if settings.database_file is not UNSET:
        return "found database_file as well, expected one of them: its URL has the password"
    if not settings.database.startswith("postgresql:"):
        return "found one for SQLite, which has no password, expected a postgresql:// URL in database"
    if DatabaseUrl(settings.database).has_password:
        return "found a password in database as well (not shown), expected one of them"
    return None


def _check_hold_for(settings: Settings) -> str | None:
    least_s = settings.poll.stale_after_s
    if settings.upgrades.hold_for_s >= least_s:
        return None
    return (
        f"found {quoted(write_duration(settings.upgrades.hold_for_s))}, expected at least poll.stale_after "
        f"({write_duration(least_s)}), or a controller would go stale sooner during an upgrade than at any other time"
    )


def _check_health_address(settings: Settings) -> str | None:
    if settings.health.listen is UNSET or not settings.health.listen[1]:
        return None
    (host, port), (health_host, health_port) = settings.listen, settings.health.listen
    if port != health_port or (host and health_host and host != health_host):
        return None
    return f"found {quoted(write_address(settings.health.listen))}, expected another port than that of listen"


RULES_OF_SETTINGS: Final = SchemaRules(
    rules={
        Settings: (
            Rule("upgrades.hold_for", ("poll", "upgrades"), _check_hold_for),
            Rule("health.listen", ("listen", "health"), _check_health_address),
            Rule("database_file", ("database", "database_file"), _check_database_file),
            Rule(
                "database_password_file",
                ("database", "database_file", "database_password_file"),
                _check_database_password_file,
            ),
        ),
        Poll: (
            Rule("stale_after", ("stale_after_s", "idle_interval_s", "timeout_s"), _check_stale_after),
            Rule("active_interval", ("active_interval_s", "idle_interval_s"), _check_active_interval),
        ),
        **controller_settings.RULES,
        **access.RULES,
    },
    unknown={
        "password": "found a password in the file itself (not shown), expected password_file or password_env instead",
        "token": "found a token in the file itself (not shown), expected sha256 instead",
    },
)
