"""*Monitor*: the health of the daemon itself."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import frame, looks
from grafana.frame import Marked, Section, choices
from grafana.looks import BLUE, PURPLE, RED, YELLOW
from grafana.panels import Ask, Head, Panel, lines, numbers, stacked, state
from grafana.promql import IMAGES, PLACE, Scope
from grafana.tables import columns, label, labels_of

OF: Final = Scope(f'{PLACE}, instance=~"$instance"')
INSTANCE: Final = "{{instance}}"
_BUILD: Final = "avi_upgrade_monitor_build_info"
_HTTP: Final = "avi_upgrade_monitor_http_request_duration_seconds"


def dashboard() -> Dashboard:
    """Build the dashboard."""
    return frame.framed(
        frame.MONITOR,
        "Avi images: Monitor",
        "The avi-upgrade-monitor daemon: scrapes, polls, changes and health. Each of several daemons has its series.",
        variables=[  # «All» is a list of these daemons, not a wildcard: every job of the Prometheus has process_*
            *frame.places(_BUILD, job=""),
            choices("instance", "Instance", f"label_values({_BUILD}{{{PLACE}}}, instance)"),
        ],
        page="",
        annotations=_annotations(),
        sections=(
            Section("Now", _glance()),
            Section("Scrapes and requests", (_requests(), _scrape_time(), _answers(), _readers())),
            Section("Polls", (_polls(), _failures(), _poll_time(), _lateness(), _logins(), _intervals())),
            Section("What came from the Controllers", (_unreadable(), _unknown_values(), _dropped())),
            Section("Changes and access", (_patches(), _refused(), _audit())),
            Section("The process", (_lag(), _memory(), _cpu(), _descriptors(), _versions())),
        ),
        refresh="30s",
        since="now-3h",
    )


def _rate(family: str, *more: str, by: str = "instance") -> str:
    return f"sum by ({by}) (rate({OF(family, *more)}[$__rate_interval]))"


def _quantile(share: float, family: str, *more: str) -> str:
    return f"histogram_quantile({share}, {_rate(f'{family}_bucket', *more, by='instance, le')})"


def _more(family: str, by: str = "instance") -> str:
    return f"sum by ({by}) (increase({OF(family)}[$__rate_interval]))"


def _annotations() -> list[Marked]:
    started = f"{OF.each('process_start_time_seconds', by='job, instance')} * 1000"
    read = f"{OF.each('avi_upgrade_monitor_config_last_reload_success_timestamp_seconds', by='job, instance')} * 1000"
    return [
        Marked("Started", color=PURPLE, query=started, title=f"{INSTANCE} started", at_value=True),
        Marked("Config read", color=BLUE, query=read, title=f"{INSTANCE} read its config", at_value=True),
    ]


def _glance() -> tuple[Panel, ...]:
    daemons = f"count({OF(_BUILD)})"
    uptime = f"time() - max({OF('process_start_time_seconds')})"
    read = f"time() - min({OF('avi_upgrade_monitor_config_last_reload_success_timestamp_seconds')})"
    lag = f"max({OF('avi_upgrade_monitor_event_loop_lag_seconds')})"
    return (
        numbers(Head("Daemons", "How many daemons are scraped.", 4, 4), Ask(daemons, ""), unit="none", base="text"),
        numbers(Head("Up for", "Since the youngest of them started.", 4, 4), Ask(uptime, ""), unit="s", base="text"),
        state(
            Head("Store", "Whether the database of each daemon answers.", 4, 4),
            f"min({OF('avi_upgrade_monitor_store_up')})",
            looks.STORE,
        ),
        state(
            Head(
                "Config", "Whether the configuration was good when it was read last; a bad one changes nothing.", 4, 4
            ),
            f"min({OF('avi_upgrade_monitor_config_last_reload_successful')})",
            looks.CONFIG,
        ),
        numbers(Head("Config read", "Since a good one was read last.", 4, 4), Ask(read, ""), unit="s", base="text"),
        numbers(
            Head("Event loop lag", "The longest of the last minute; above 0.1 s, scrapes and polls wait.", 4, 4),
            Ask(lag, ""),
            unit="s",
            steps=((0.1, YELLOW), (1.0, RED)),
        ),
    )


def _requests() -> Panel:
    text = "Requests answered a second, by route; /metrics is the scrapes."
    ask = Ask(_rate(f"{_HTTP}_count", by="route, method"), "{{method}} {{route}}")
    return lines(Head("Requests", text, 6, 8), ask, unit="reqps")


def _scrape_time() -> Panel:
    text = "How long scrapes took; nothing is computed for one, so that it grows with the size of the body alone."
    route = 'route="/metrics"'
    asks = (
        Ask(_quantile(share, _HTTP, route), f"{name} {INSTANCE}") for share, name in ((0.5, "half"), (0.99, "99 %"))
    )
    return lines(Head("Scrape time", text, 6, 8), *asks, unit="s")


def _answers() -> Panel:
    text = "Requests answered a second, by status: 4xx are mistakes of clients, 5xx need a look at the log."
    return stacked(
        lines(Head("Answers", text, 6, 8), Ask(_rate(f"{_HTTP}_count", by="code"), "{{code}}"), unit="reqps")
    )


def _readers() -> Panel:
    text = "Clients that read the event stream: open pages, and programs such as watch. At most a thousand."
    ask = Ask(OF.each("avi_upgrade_monitor_event_readers", by="instance"), INSTANCE)
    return lines(Head("Live readers", text, 6, 8), ask, unit="short")


def _polls() -> Panel:
    text = "Polls a second, and how many of them failed."
    failed = _rate("avi_controller_poll_failures_total", IMAGES)
    asks = (Ask(_rate("avi_controller_polls_total"), f"all {INSTANCE}"), Ask(failed, f"failed {INSTANCE}"))
    panel = lines(Head("Polls", text, 8, 8), *asks, unit="ops")
    return panel.override_by_regexp("^failed .*", looks.series_color(RED))


def _failures() -> Panel:
    text = "Reads of all Controllers that failed, by reason: those of images, and those of upgrade status."
    query = f"{_more('avi_controller_poll_failures_total', by='reason')} > 0"
    return lines(Head("Failed reads", text, 8, 8), Ask(query, "{{reason}}"), unit="short").no_value("None failed")


def _poll_time() -> Panel:
    text = "How long whole polls took, all pages together; 95 of 100 are below the upper line."
    family = "avi_controller_poll_duration_seconds"
    asks = (Ask(_quantile(share, family), f"{name} {INSTANCE}") for share, name in ((0.5, "half"), (0.95, "95 %")))
    return lines(Head("Poll time", text, 8, 8), *asks, unit="s")


def _lateness() -> Panel:
    text = "By how much the next poll of the most overdue Controller is late; polls that take long are late as well."
    gone = f"time() - {OF('avi_controller_last_poll_attempt_timestamp_seconds')}"
    query = f"max by (instance) (clamp_min({gone} - {OF('avi_controller_poll_interval_seconds')}, 0))"
    return lines(Head("Lateness", text, 8, 8), Ask(query, INSTANCE), unit="s")


def _logins() -> Panel:
    text = "Log-ins tried. One a Controller at the start and when its session ends; many mean that sessions are lost."
    return lines(Head("Log-ins", text, 8, 8), Ask(_more("avi_controller_logins_total"), INSTANCE), unit="short")


def _intervals() -> Panel:
    text = "The time between two polls of a Controller: short while an image is active, long while it is backed off."
    family = OF("avi_controller_poll_interval_seconds")
    words = {"min": "shortest", "avg": "mean", "max": "longest"}
    asks = (Ask(f"{how} by (instance) ({family})", f"{word} {INSTANCE}") for how, word in words.items())
    return lines(Head("Poll interval", text, 8, 8), *asks, unit="s")


def _unreadable() -> Panel:
    text = "Images, and objects of the upgrade status, that could not be decoded and were left out."
    ask = Ask(_more("avi_controller_bad_objects_total", by="controller"), "{{controller}}")
    return lines(Head("Bad objects", text, 8, 7), ask, unit="short")


def _unknown_values() -> Panel:
    text = "Values that this monitor does not know, by field: the Controller may be newer than the monitor."
    ask = Ask(_more("avi_controller_unknown_values_total", by="controller, field"), "{{controller}} · {{field}}")
    return lines(Head("Unknown values", text, 8, 7), ask, unit="short").no_value("None seen")


def _dropped() -> Panel:
    text = "Series left out to stay within the budgets of events and upgrades in the configuration."
    ask = Ask(_more("avi_controller_series_dropped_total", by="controller"), "{{controller}}")
    return lines(Head("Dropped series", text, 8, 7), ask, unit="short")


def _patches() -> Panel:
    text = "PATCH requests by outcome; after unknown, an operator has to look at the image."
    ask = Ask(_more("avi_upgrade_monitor_patches_total", by="outcome"), "{{outcome}}")
    return lines(Head("PATCHes", text, 8, 8), ask, unit="short")


def _refused() -> Panel:
    text = "Requests with unknown credentials; a lasting rise means that a client guesses, or has an old token."
    ask = Ask(_more("avi_upgrade_monitor_auth_failures_total"), INSTANCE)
    return lines(Head("Refused credentials", text, 8, 8), ask, unit="short")


def _audit() -> Panel:
    text = (
        "Whether the database answers, which daemon writes to it, and audit records that could not be written at once."
    )
    asks = (
        Ask(f"min by (instance) ({OF('avi_upgrade_monitor_store_up')})", f"store up {INSTANCE}"),
        Ask(f"max by (instance) ({OF('avi_upgrade_monitor_writer')})", f"writer {INSTANCE}"),
        Ask(_more("avi_upgrade_monitor_audit_write_failures_total"), f"failed writes {INSTANCE}"),
    )
    return lines(Head("Store and audit", text, 8, 8), *asks, unit="short")


def _lag() -> Panel:
    text = "The longest lag of the event loop in the last minute. Polls, scrapes and requests wait during a lag."
    ask = Ask(f"max by (instance) ({OF('avi_upgrade_monitor_event_loop_lag_seconds')})", INSTANCE)
    return lines(Head("Event loop lag over time", text, 8, 8), ask, unit="s")


def _memory() -> Panel:
    text = "Resident memory; flat but for the number of images."
    ask = Ask(OF.each("process_resident_memory_bytes", by="instance"), INSTANCE)
    return lines(Head("Memory", text, 8, 8), ask, unit="bytes")


def _cpu() -> Panel:
    text = "Share of one core. The daemon is one process on one loop: near 100 % it is late."
    return lines(Head("CPU", text, 8, 8), Ask(_rate("process_cpu_seconds_total"), INSTANCE), unit="percentunit")


def _descriptors() -> Panel:
    text = "Open files and connections, and how many there may be; one connection or two a Controller."
    opened = Ask(OF.each("process_open_fds", by="instance"), f"open {INSTANCE}")
    limit = Ask(OF.each("process_max_fds", by="instance"), f"limit {INSTANCE}")
    panel = lines(Head("File descriptors", text, 8, 8), opened, limit, unit="short")
    return panel.override_by_regexp("^limit .*", [looks.prop("custom.axisPlacement", "right")])


def _versions() -> Panel:
    text = "The versions of the daemon and of its Python."
    daemon = OF.each(_BUILD, by="job, instance, version")
    python = f'label_replace({OF("python_info")}, "python", "$1", "version", "(.*)")'
    rows = (
        label("job", "Job"),
        label("instance", "Instance"),
        label("version", "Version"),
        labels_of(daemon),
        label("python", "Python"),
        label("implementation", "Implementation"),
        labels_of(f"max by (job, instance, python, implementation) ({python})"),
    )
    return columns(Head("Versions", text, 16, 8), *rows, by="Instance")
