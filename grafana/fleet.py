"""*Fleet*: all images and upgrades of all Controllers on one page; they link to *Image* and *Upgrade*."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard, DynamicConfigValue

from grafana import frame, looks
from grafana.alerts import alerts
from grafana.frame import CONTROLLERS, Marked, Section, choices
from grafana.looks import BLUE, GREEN, ORANGE, PALE, PURPLE, RED, YELLOW
from grafana.panels import Ask, Head, Panel, lines, numbers, timeline
from grafana.promql import IMAGE, IMAGES, PLACE, UNIT, Scope, count, is_in, of
from grafana.tables import Column, columns, label, labels_of, value

OF: Final = Scope(f'{PLACE}, controller=~"$controller"')
ACTIVE, FAILED = OF.active(), OF.failed()
_PATCHES: Final = Scope(PLACE)("avi_upgrade_monitor_patches_total")
NAME = "{{controller}} · {{image}}"

_ALERTS: Final = "What fires on these Controllers and on the monitors; an image or a Controller leads to its dashboard."
IDENTITY: Final = (
    label("controller", "Controller", *looks.width(140)),
    label("image", "Image", *frame.TO_IMAGE),
    label("image_uuid", "uuid", *looks.HIDDEN),
)


def dashboard() -> Dashboard:
    """Build the dashboard."""
    return frame.framed(
        frame.FLEET,
        "Avi images: Fleet",
        "Image uploads and upgrades of all Avi Load Balancer Controllers: what is under way, and what failed.",
        variables=[*frame.places(), choices("controller", "Controller", CONTROLLERS, all_value=".+")],
        page="",
        annotations=_annotations(),
        sections=(
            Section("Now", (*_glance(), alerts(Scope(f'{PLACE}, controller=~"$controller|"'), _ALERTS))),
            Section("Uploads in flight", (_in_flight(), _progress(), _states())),
            Section("Upgrades", (_upgrades(), _versions(), _unused())),
            Section("Failures", (_failed_images(), _failed_tasks())),
            Section("Controllers", (_controllers(), _health(), _poll_failures())),
        ),
        refresh="10s",
        since="now-1h",
    )


def _annotations() -> list[Marked]:
    changed = f"{OF.each('avi_image_state_changed_timestamp_seconds')} * 1000"
    ended = {"failed": (RED, FAILED), "completed": (GREEN, f"({OF.each('avi_image_state', is_in('completed'))} == 1)")}
    marks = [
        Marked(
            f"Upload {state}",
            color=color,
            query=OF.named(f"({of(changed, whose)})"),
            title=f"{NAME} {state}",
            tags="controller",
            at_value=True,
        )
        for state, (color, whose) in ended.items()
    ]
    upgrading = OF.each("avi_controller_upgrade_in_progress", by="controller")
    acknowledged = OF.named(f"({OF.each('avi_image_acknowledged')} == 1)")
    changes = f"sum by (outcome) (increase({_PATCHES}[$__rate_interval])) > 0"
    return [
        *marks,
        Marked("Acknowledged", color=PALE, query=acknowledged, title=f"{NAME} is acknowledged"),
        Marked("Changes", color=PURPLE, query=changes, title="PATCH {{outcome}}"),
        Marked("Upgrade", color=BLUE, query=upgrading, title="{{controller}} is being upgraded"),
    ]


def _glance() -> tuple[Panel, ...]:
    every = f"group by (controller) ({OF('avi_controller_polls_total')})"
    away = f"({OF.each('avi_controller_upgrade_in_progress', by='controller')} == 1)"
    down = f"{OF.each('avi_controller_up', by='controller')} == 0 unless on (controller) {away}"
    unmoved = of(f"({OF.seconds_without_move()} > {looks.STALLED_AFTER_S:.0f})", ACTIVE)
    acknowledged = f"({OF.each('avi_image_acknowledged')} == 1)"
    unseen = f"{FAILED} unless on ({IMAGE}) {acknowledged}"
    bad_nodes = f"{OF.each('avi_image_node_events', is_in('failed'), by='controller, image_uuid, node')} > 0"
    rows = (
        ("Controllers watched", "How many Controllers are watched by the monitor.", f"count({every})", ()),
        ("Controllers down", "Their last poll failed, and not for an upgrade.", count(down), ((1, RED),)),
        ("In flight", "Images that are being processed.", count(ACTIVE), ((1, BLUE),)),
        ("Standing still", "Uploads in flight that have not moved for ten minutes.", count(unmoved), ((1, RED),)),
        ("Failed, unseen", "Failed images that are not acknowledged.", count(unseen), ((1, RED),)),
        ("Nodes with failures", "Nodes on which a task of an image failed.", count(bad_nodes), ((1, ORANGE),)),
    )
    return tuple(
        numbers(Head(title, text, 4, 4), Ask(query, ""), unit="none", steps=steps, base="text")
        for title, text, query, steps in rows
    )


def _in_flight() -> Panel:
    text = "Every upload that is being processed; the image leads to its page. Time left goes by the pace so far."
    rows: tuple[Column, ...] = (
        *IDENTITY,
        value("State", of(OF.named(OF.image_code()), ACTIVE), *looks.colored(*looks.IMAGE_STATES), *looks.width(120)),
        value("Progress", of(OF.each("avi_image_progress_ratio"), ACTIVE), *looks.bar()),
        value("Done", of(OF.each("avi_image_tasks_completed"), ACTIVE), *looks.width(70)),
        value("Tasks", of(OF.each("avi_image_tasks"), ACTIVE), *looks.width(70)),
        value("Time left", of(OF.time_left(), ACTIVE), *looks.unit("s", 0), *looks.width(110)),
        value("No move for", of(OF.seconds_without_move(), ACTIVE), *looks.unit("s", 0), *looks.warned(*looks.STALL)),
    )
    return columns(Head("Uploads in flight", text, 24, 8), *rows, by="Progress", descending=True)


def _progress() -> Panel:
    text = "Progress of the uploads in flight; one that stands still is a flat line. A series leads to its image."
    query = of(OF.named(OF.each("avi_image_progress_ratio")), ACTIVE)
    panel = lines(Head("Progress", text, 12, 9), Ask(query, NAME), unit="percentunit").max(1)
    return panel.override_by_regexp(".*", list(frame.IMAGE_OF_SERIES))


def _states() -> Panel:
    text = "States of the images that were in flight or failed at some time of the range. A row leads to its image."
    seen = OF("avi_image_state", is_in("started|in_progress|failed"))
    moved = f"(max by ({IMAGE}) (max_over_time({seen}[$__range] @ end())) == 1)"
    query = of(OF.named(OF.image_code()), moved)
    panel = timeline(Head("States", text, 12, 9), Ask(query, NAME), looks.IMAGE_STATES, rows=12)
    return panel.override_by_regexp(".*", list(frame.IMAGE_OF_SERIES))


def _upgrades() -> Panel:
    text = (
        "Controllers on an upgrade, and those of which a unit failed or is suspended and is not acknowledged, or was "
        "left behind. Time left: of what is under way and has a forecast, the last to end."
    )
    unseen = f"{OF.units('check_failed|suspended|failed')} unless on ({UNIT}) {OF.acknowledged_units()}"
    failed = f"count by (controller) ({unseen})"
    behind = f"sum by (controller) ({OF.each('avi_controller_upgrade_left_behind', by='controller, kind')})"
    still_behind = f"({behind} > 0 and on (controller) {OF.phase_code()} == 1)"
    shown = f"({OF.phase_code()} > 1 or {failed} or {still_behind})"
    disrupted = f"sum by (controller) ({OF.each('avi_upgrade_virtual_services_disrupted', by=UNIT)})"
    ends = f"max by (controller) ({OF.seconds_to_end('likely')})"

    def column(title: str, query: str, *properties: DynamicConfigValue) -> Column:
        return value(title, of(query, shown, on="controller"), *properties, *looks.width(120))

    rows = (
        label("controller", "Controller", *frame.TO_UPGRADE),
        column("Phase", OF.phase_code(), *looks.colored(*looks.PHASES)),
        value("Away for", OF.seconds_away(), *looks.unit("s", 0), *looks.warned(*looks.AWAY)),
        column("Time left", ends, *looks.unit("s", 0)),
        column("SEs upgraded", OF.units_at("se")),
        column("of", OF.units_of("se")),
        column("SEs failed", f"sum by (controller) ({OF.engines('failed|suspended')})", *looks.warned((1, RED))),
        column("Disrupted", disrupted, *looks.warned((1, RED))),
        value("Units failed", failed, *looks.warned((1, RED))),
        value("Left behind", still_behind, *looks.warned((1, RED))),
    )
    panel = columns(Head("Upgrades to look at", text, 24, 6), *rows, by="Phase", descending=True)
    return panel.no_value("No upgrade is under way, and none failed")


def _versions() -> Panel:
    text = "How many units of each kind run which version; a Controller leads to its upgrade."
    rows = (
        label("controller", "Controller", *frame.TO_UPGRADE),
        label("kind", "Kind", *looks.width(110)),
        label("version", "Version", *looks.width(110)),
        label("patch", "Patch", *looks.width(90)),
        value("Units", OF.each("avi_controller_upgrade_units", by="controller, kind, version, patch")),
    )
    return columns(Head("Versions in use", text, 12, 9), *rows, by="Controller")


def _unused() -> Panel:
    text = (
        "Images that no unit refers to: the Controller would let them be deleted, as far as is known. One that was "
        "uploaded for the next upgrade is among them."
    )
    unused = f"({OF.each('avi_image_pinned')} == 0 unless on ({IMAGE}) {ACTIVE})"
    versions = f"topk by ({IMAGE}) (1, {OF.each('avi_image_info', by=f'{IMAGE}, image, version, type')})"
    rows = (
        *IDENTITY,
        label("version", "Version", *looks.width(110)),
        label("type", "Type", *looks.width(110)),
        labels_of(of(versions, unused)),
    )
    panel = columns(Head("Images that may be deleted", text, 12, 9), *rows, by="Controller")
    return panel.no_value("Every image is in use")


def _failed_images() -> Panel:
    text = "Failed images that are still there; an acknowledged one is known to an operator, and raises no alert."
    since = of(f"{OF.each('avi_image_state_changed_timestamp_seconds')} * 1000", FAILED)
    acknowledged = of(OF.each("avi_image_acknowledged"), FAILED)
    rows = (
        *IDENTITY,
        labels_of(OF.named(FAILED)),
        value("Failed", since, *looks.unit("dateTimeFromNow"), *looks.width(140)),
        value("Acknowledged", acknowledged, *looks.colored(*looks.ACKNOWLEDGED), *looks.width(120)),
        value("Annotations", of(OF.each("avi_image_annotations"), FAILED), *looks.width(100)),
    )
    return columns(Head("Failed images", text, 12, 8), *rows, by="Failed", descending=True).no_value("None failed")


def _failed_tasks() -> Panel:
    text = "Which task failed on which node, and with which status of the Controller."
    by = f"{IMAGE}, node, task, status"
    query = OF.named(OF.each("avi_image_node_event_state", is_in("failed"), by=by))
    rows = (
        *IDENTITY,
        label("node", "Node", *looks.width(130)),
        label("task", "Task"),
        label("status", "Status"),
        labels_of(query),
    )
    return columns(Head("Failed tasks", text, 12, 8), *rows, by="Controller").no_value("None failed")


def _flag(title: str, family: str, *shades: looks.Shade, more: tuple[str, ...] = ()) -> Column:
    return value(title, OF.each(family, *more, by="controller"), *looks.colored(*shades), *looks.width(130))


def _controllers() -> Panel:
    text = (
        "What the monitor knows of each Controller. Stale: so long without a good poll that its images were withdrawn."
    )
    ago = f"clamp_min(time() - {OF.each('avi_controller_last_poll_success_timestamp_seconds', by='controller')}, 0)"
    expires = f"{OF.each('avi_controller_tls_certificate_expiry_timestamp_seconds', by='controller')} - time()"
    info = f"topk by (controller) (1, max by (controller, version, api_version) ({OF('avi_controller_info')}))"
    rows = (
        label("controller", "Controller"),
        _flag("Up", "avi_controller_up", *looks.GOOD),
        label("version", "Version"),
        label("api_version", "API version"),
        labels_of(info),
        value("Last good poll", ago, *looks.unit("s", 0), *looks.warned((120.0, YELLOW), (300.0, RED))),
        value("Interval", OF.each("avi_controller_poll_interval_seconds", by="controller"), *looks.unit("s")),
        _flag("Stale", "avi_controller_stale", *looks.BAD, more=(IMAGES,)),
        _flag("Log-in suspended", "avi_controller_auth_suspended", *looks.BAD),
        _flag("Upgrading", "avi_controller_upgrade_in_progress", *looks.BUSY),
        _flag("TLS unverified", "avi_controller_tls_insecure", *looks.BAD),
        value(
            "Certificate ends in", expires, *looks.unit("s", 0), *looks.ends((7 * 86400.0, RED), (30 * 86400.0, ORANGE))
        ),
        _flag("Upgrades readable", "avi_controller_upgrades_readable", *looks.READABLE),
    )
    return columns(Head("Controllers", text, 24, 8), *rows, by="Controller")


def _health() -> Panel:
    text = "The worst health of each Controller, over time; if two daemons differ, the better health is shown."
    return timeline(Head("Health", text, 12, 9), Ask(OF.health_code(), "{{controller}}"), looks.HEALTH)


def _poll_failures() -> Panel:
    text = "Polls that failed, by reason. During an upgrade, the reasons connect and upgrading are expected."
    failures = OF("avi_controller_poll_failures_total", IMAGES)
    query = f"sum by (controller, reason) (increase({failures}[$__rate_interval])) > 0"
    panel = lines(Head("Poll failures", text, 12, 9), Ask(query, "{{controller}} · {{reason}}"), unit="short")
    return panel.no_value("None failed")
