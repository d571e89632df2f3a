"""*Upgrade*: the upgrade of one Controller, from its pre-checks to the last Service Engine."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import frame, looks
from grafana.alerts import alerts
from grafana.frame import Marked, Section, choice
from grafana.looks import BLUE, GREEN, ORANGE, PALE, PURPLE, RED, YELLOW
from grafana.panels import Ask, Head, Panel, lines, numbers, state, timeline, words
from grafana.promql import PLACE, UNIT, UPGRADES, Scope, is_in, is_not, of
from grafana.tables import columns, label, labels_of, value
from grafana.upgrade_units import (
    OF,
    checks,
    counted_checks,
    durations,
    engines,
    engines_at_start,
    engines_by_group,
    engines_done,
    engines_over_time,
    events,
    facts,
    groups,
    matrix,
    raw,
    units,
)

EVERY: Final = Scope(f'{PLACE}, controller=~".+"')
_CLUSTER: Final = is_in("controller", "kind")


def dashboard() -> Dashboard:
    """Build the dashboard."""
    return frame.framed(
        frame.UPGRADE,
        "Avi images: Upgrade",
        "The upgrade of one Avi Load Balancer Controller: its Controllers, its SE groups and their Service Engines.",
        variables=[
            *frame.places(),
            choice(
                "controller",
                "Controller",
                f"query_result({_newest()})".replace("\n", " "),
                regex='/controller="(?<value>[^"]*)"/',
                ordered=False,
            ),
        ],
        page="#/upgrade/${controller:percentencode}",
        annotations=_annotations(),
        sections=(
            Section("$controller", (*_glance(), *_counts(), alerts(OF, "What fires on this Controller."))),
            Section("The course so far", (_phases(), _health(), _states(), _progress())),
            Section("Controllers and SE groups", (units(), facts())),
            Section("Pre-checks and dry run", (checks(), counted_checks())),
            Section("Tasks", (matrix(), durations(), raw(), events())),
            Section(
                "Service Engines",
                (
                    engines_by_group(),
                    engines_over_time(),
                    engines_done(),
                    groups(),
                    engines(),
                    engines_at_start(),
                ),
            ),
            Section("Images and versions", (_images(), _references(), _versions())),
            Section("Reads of the upgrade status", (*_reads(), _failures())),
        ),
        refresh="10s",
        since="now-3h",
    )


def _newest() -> str:
    """Every controller; first those on an upgrade, then those of which a unit moved last."""
    moved = EVERY.each("avi_upgrade_progress_changed_timestamp_seconds", by="controller")
    on_upgrade = EVERY.each("avi_controller_upgrade_phase", is_not("none", "phase"), by="controller")
    every = EVERY.each("avi_controller_polls_total", by="controller")
    return f"sort_desc({moved} + 1e10 * {on_upgrade} or on (controller) 0 * {every})"


def _annotations() -> list[Marked]:
    away = OF.each("avi_controller_upgrade_phase", is_in("away", "phase"), by="controller")
    changed = f"{OF.each('avi_upgrade_state_changed_timestamp_seconds', by=UNIT)} * 1000"
    state_now = f"max by ({UNIT}, state) ({OF('avi_upgrade_state', is_not('idle'))} == 1)"
    moments = OF.unit_named(f"({changed}\n* on ({UNIT}) group_left (state) {state_now})")
    acknowledged = OF.unit_named(f"({OF.each('avi_upgrade_acknowledged', by=UNIT)} == 1)")
    return [
        Marked("Away", color=YELLOW, query=away, title="{{controller}} is away for its upgrade"),
        Marked("Acknowledged", color=PALE, query=acknowledged, title="{{unit}} is acknowledged"),
        Marked("State", color=PURPLE, query=moments, title="{{unit}} {{state}}", tags="state", at_value=True),
    ]


def _glance() -> tuple[Panel, ...]:
    ends = {bound: f"max({OF.seconds_to_end(bound)})" for bound in ("likely", "earliest", "latest")}
    return (
        state(
            Head("Phase", "Where the upgrade of the whole Controller stands; none: nothing is under way.", 4, 4),
            OF.phase_code(),
            looks.PHASES,
        ),
        words(
            Head(
                "From → to",
                "The version before, and the target. When nothing is under way, those of the last upgrade, or the only "
                "version; of a patch, the version with the patch that is there now.",
                6,
                4,
            ),
            Ask(_way(), "{{way}}"),
        ),
        numbers(
            Head("Progress of the Controllers", "Share that is done; the SE groups follow, and are not in it.", 4, 4),
            Ask(OF.each("avi_upgrade_progress_ratio", _CLUSTER, by=UNIT), ""),
            unit="percentunit",
            base=BLUE,
            steps=((1.0, GREEN),),
        ),
        numbers(
            Head(
                "Longest time left",
                "Of what is under way and has a forecast, the last to end; all: of the whole upgrade, with what "
                "waits. While the Controller is away, a forecast stands as it was, until its latest end has passed.",
                6,
                4,
            ),
            *(Ask(query, bound) for bound, query in ends.items()),
            Ask(f"max({OF.seconds_to_end_of_all('likely')})", "all"),
            unit="s",
            base="text",
        ),
        numbers(
            Head(
                "Away for",
                "Since the last good poll, while its Controllers reboot: 4 to 10 minutes are usual.",
                4,
                4,
            ),
            Ask(OF.seconds_away(), ""),
            unit="s",
            base="text",
            steps=looks.AWAY,
        ),
    )


def _way() -> str:
    """The versions before and after as the label ``way``; what is under way comes before what was."""
    own = OF.unit_labels("version", "patch", more=(_CLUSTER,))
    upgraded = (_CLUSTER, is_not("", "previous_version"), is_not("patch|rollback_patch", "operation"))
    behind = OF.unit_labels("version", "previous_version", more=upgraded)
    refs = OF.each("avi_upgrade_image_info", _CLUSTER, is_in("target", "role"), by=f"{UNIT}, image_uuid")
    target = f"topk by ({UNIT}) (1, {OF.named(f'({refs})', 'version')})"
    begun = f'label_replace({own}, "from", "$1", "version", "(.*)")'
    aimed = f'label_replace({target}, "to", "$1", "version", "(.*)")'
    ahead = f"({begun}\n* on ({UNIT}) group_left (to) {aimed} unless on ({UNIT}, version) {target})"
    ways = (
        f'label_join({ahead}, "way", " → ", "from", "to")',
        f'label_join({behind}, "way", " → ", "previous_version", "version")',
        f'label_replace(label_join({own}, "way", " ", "version", "patch"), "way", "$1", "way", "(.*) ")',
    )
    return f"\nor on ({UNIT}) ".join(ways)


def _counts() -> tuple[Panel, ...]:
    known = OF("avi_controller_upgrade_phase")  # absent while no units are shown: then 0 would be a lie

    def engines_in(states: str) -> str:
        return f"sum({OF.engines(states)}) or 0 * max({known})"

    def behind(kind: str) -> str:
        left = OF.each("avi_controller_upgrade_left_behind", is_in(kind, "kind"), by="controller")
        return of(left, f"({OF.phase_code()} == 1)", on="controller")

    disrupted = f"sum({OF.each('avi_upgrade_virtual_services_disrupted', by=UNIT)}) or 0 * max({known})"
    acknowledged = OF.acknowledged_units()
    failed = OF.units("check_failed|suspended|failed")
    return (
        state(
            Head(
                "Whole upgrade",
                "Done: all that took part are at the Controllers' version, and no Service Engine has failed.",
                4,
                4,
            ),
            f"min({OF('avi_controller_upgrade_done')})",
            looks.DONE,
        ),
        numbers(
            Head("At the Controllers' version", "Service Engines, and how many there are; patches do not count.", 4, 4),
            Ask(OF.units_at("se"), "Service Engines"),
            Ask(OF.units_of("se"), "of"),
            unit="none",
            base="text",
        ),
        numbers(
            Head("Service Engines to look at", "Those that failed, and those that an SE group stopped at.", 4, 4),
            Ask(engines_in("failed"), "failed"),
            Ask(engines_in("suspended"), "suspended"),
            unit="none",
            steps=((1, RED),),
        ),
        numbers(
            Head("Virtual services disrupted", "Of all SE groups, as the Controller counts them.", 4, 4),
            Ask(disrupted, ""),
            unit="none",
            steps=((1, RED),),
        ),
        numbers(
            Head(
                "Failed and unseen",
                "Units that failed or are suspended. Acknowledged: they are, or the Controllers of the same night.",
                4,
                4,
            ),
            Ask(f"count({failed} unless on ({UNIT}) {acknowledged}) or 0 * max({known})", "unseen"),
            Ask(f"count({failed} and on ({UNIT}) {acknowledged}) or 0 * max({known})", "acknowledged"),
            unit="none",
            steps=((1, ORANGE),),
        ),
        numbers(
            Head(
                "Left behind",
                "What took part and is not at the Controllers' version, or has failed; told once nothing is under way.",
                4,
                4,
            ),
            Ask(behind("se_group"), "SE groups"),
            Ask(behind("se"), "Service Engines"),
            unit="none",
            steps=((1, RED),),
        ),
    )


def _phases() -> Panel:
    text = "The Controllers that were on an upgrade at some time of the range. A row leads to its upgrade."
    on_upgrade = EVERY("avi_controller_upgrade_phase", is_not("none", "phase"))
    seen = f"(max by (controller) (max_over_time({on_upgrade}[$__range] @ end())) == 1)"
    ask = Ask(of(EVERY.phase_code(), seen, on="controller"), "{{controller}}")
    panel = timeline(Head("Phases of all Controllers", text, 12, 7), ask, looks.PHASES, rows=8)
    return panel.override_by_regexp(".*", list(frame.UPGRADE_OF_SERIES)).no_value("None on an upgrade")


def _health() -> Panel:
    text = "Whether the Controller answers; «upgrading» is the time in which it is away, or refuses changes."
    ask = Ask(OF.health_code(), "{{controller}}")
    return timeline(Head("The Controller answers", text, 12, 7), ask, looks.HEALTH)


def _states() -> Panel:
    text = "Units that were queued, active, suspended or failed at some time of the range."
    seen = OF("avi_upgrade_state", is_not("idle|completed|checked"))
    moved = f"(max by ({UNIT}) (max_over_time({seen}[$__range] @ end())) == 1)"
    query = of(OF.unit_named(OF.unit_code()), moved, on=UNIT)
    return timeline(Head("States", text, 12, 9), Ask(query, "{{unit}}"), looks.UNIT_STATES, rows=12)


def _progress() -> Panel:
    text = "Share of each operation that is done, as the Controller says; «Away» is shaded."
    ask = Ask(OF.unit_named(OF.each("avi_upgrade_progress_ratio", by=UNIT)), "{{unit}}")
    return lines(Head("Progress", text, 12, 9), ask, unit="percentunit").max(1)


def _images() -> Panel:
    text = "How many units refer to each image, Service Engines included; the Controller does not delete one in use."
    roles = {
        "Current": "current",
        "Target": "target",
        "Previous": "previous",
        "Patch": "patch",
        "Previous patch": "previous_patch",
    }
    pinned = OF.each("avi_image_pinned")
    rows = (
        label("controller", "Controller", *looks.HIDDEN),
        label("image", "Image", *frame.TO_IMAGE),
        label("image_uuid", "uuid", *looks.HIDDEN),
        value("Delete", OF.named(pinned), *looks.colored(*looks.PINNED), *looks.width(120)),
        *(
            value(title, of(OF.each("avi_image_users", is_in(role, "role")), pinned), *looks.width(110))
            for title, role in roles.items()
        ),
    )
    return columns(Head("Images in use", text, 24, 7), *rows, by="Image")


def _references() -> Panel:
    text = "Which unit refers to which image, and how; the image leads to its page."
    query = OF.each("avi_upgrade_image_info", by=f"{UNIT}, kind, role, image_uuid")
    rows = (
        label("controller", "Controller", *looks.HIDDEN),
        label("unit", "Unit"),
        label("kind", "Kind", *looks.width(110)),
        label("role", "Role", *looks.width(130)),
        label("image", "Image", *frame.TO_IMAGE),
        label("image_uuid", "uuid", *looks.HIDDEN),
        labels_of(OF.named(f"({OF.unit_named(query)})")),
    )
    return columns(Head("References to images", text, 14, 9), *rows, by="Unit")


def _versions() -> Panel:
    text = "How many units of each kind run which version; the dashboard Fleet has those of all Controllers."
    rows = (
        label("kind", "Kind", *looks.width(110)),
        label("version", "Version"),
        label("patch", "Patch"),
        value("Units", OF.each("avi_controller_upgrade_units", by="controller, kind, version, patch")),
    )
    return columns(Head("Versions in use", text, 10, 9), *rows, by="Kind")


def _reads() -> tuple[Panel, ...]:
    return (
        state(
            Head("Readable", "Whether the account may read the upgrade status; without it this page is empty.", 4, 8),
            OF.each("avi_controller_upgrades_readable", by="controller"),
            looks.GOOD,
        ),
        numbers(
            Head("Last good read", "What stands on this page is of then. While the Controller is away, it ages.", 4, 8),
            Ask(OF.seconds_since_read(UPGRADES), ""),
            unit="s",
            base="text",
            steps=((120.0, YELLOW), (300.0, RED)),
        ),
        state(
            Head("Units", "Withdrawn: so long without a good read that the series of the units are gone.", 4, 8),
            f"min({OF('avi_controller_stale', UPGRADES)})",
            looks.WITHDRAWN,
        ),
    )


def _failures() -> Panel:
    text = "Reads of the upgrade status that failed, by reason; they do not make a poll fail."
    failures = OF("avi_controller_poll_failures_total", UPGRADES)
    query = f"sum by (reason) (increase({failures}[$__rate_interval])) > 0"
    return lines(Head("Failed reads", text, 12, 8), Ask(query, "{{reason}}"), unit="short").no_value("None failed")
