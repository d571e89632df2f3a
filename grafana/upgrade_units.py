"""The panels of *Upgrade* that show units: Controllers, SE groups, Service Engines, checks and tasks."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from grafana import looks
from grafana.looks import RED, YELLOW
from grafana.panels import Ask, Head, Panel, bars, lines, now_stacked, shaded, stacked
from grafana.promql import PLACE, UNIT, Scope, is_in, is_not, of
from grafana.tables import Column, columns, cross, label, labels_of, value

OF: Final = Scope(f'{PLACE}, controller="$controller"')
_BEGUN: Final = f"({OF.each('avi_upgrade_state', is_not('idle'), by=UNIT)} == 1)"
_FAILED: Final = OF.units("check_failed|suspended|failed")
_CLUSTER: Final = is_in("controller", "kind")


def _each(family: str, *more: str, own: str = "") -> str:
    return OF.each(family, *more, by=f"{UNIT}, {own}" if own else UNIT)


def _begun(title: str, query: str, *properties: DynamicConfigValue) -> Column:
    """A column of the units with which anything was ever done."""
    return value(title, of(query, _BEGUN, on=UNIT), *properties)


def units() -> Panel:
    """What is upgraded."""
    text = (
        "The Controllers and the SE groups with which anything was ever done, the worst first. Ends: as this monitor "
        "foresees it, by its own clock."
    )
    labels = OF.unit_labels("kind", "operation", "version", "previous_version", "patch")
    moved = f"clamp_min(time() - {_each('avi_upgrade_progress_changed_timestamp_seconds')}, 0)"
    active = OF.units("checking|running|aborting")
    rows = (
        label("unit", "Unit"),
        label("kind", "Kind", *looks.width(90)),
        _begun("State", OF.unit_named(OF.unit_code()), *looks.colored(*looks.UNIT_STATES), *looks.width(115)),
        label("operation", "Operation", *looks.width(95)),
        label("previous_version", "From", *looks.width(80)),
        label("version", "Version", *looks.width(80)),
        label("patch", "Patch", *looks.width(70)),
        labels_of(of(labels, _BEGUN, on=UNIT)),
        _begun("Progress", _each("avi_upgrade_progress_ratio"), *looks.bar()),
        _begun("Done", _each("avi_upgrade_tasks_completed"), *looks.width(65)),
        _begun("Tasks", _each("avi_upgrade_tasks"), *looks.width(65)),
        value("No move for", of(moved, active, on=UNIT), *looks.unit("s", 0), *looks.warned(*looks.UNIT_STALL)),
        *(
            _begun(title, OF.seconds_to_end(bound), *looks.unit("s", 0), *looks.width(95))
            for title, bound in (("Ends in", "likely"), ("At least", "earliest"), ("At most", "latest"))
        ),
        value(
            "Acknowledged",
            of(_each("avi_upgrade_acknowledged"), _FAILED, on=UNIT),
            *looks.colored(*looks.ACKNOWLEDGED),
            *looks.width(115),
        ),
        _begun("Annotations", _each("avi_upgrade_annotations"), *looks.width(100)),
    )
    panel = columns(Head("What is upgraded", text, 24, 9), *rows, by="State", descending=True)
    return panel.no_value("Nothing was ever upgraded")


def facts() -> Panel:
    """What each unit is."""
    text = "What each unit is and when what happened to it, by the Controller's clock, in the Controller's own words."
    times = {
        "Queued": "avi_upgrade_enqueue_timestamp_seconds",
        "Began": "avi_upgrade_start_timestamp_seconds",
        "State changed": "avi_upgrade_state_changed_timestamp_seconds",
        "Ended": "avi_upgrade_end_timestamp_seconds",
    }
    rollbacks = {"Can roll back": "base", "Can roll back the patch": "patch"}
    rows = (
        label("unit", "Unit"),
        label("fsm", "State, raw"),
        labels_of(OF.unit_named(f"({OF.unit_labels('fsm', family='avi_upgrade_fsm_info')})")),
        label("tag", "Build"),
        label("tenant", "Tenant", *looks.width(90)),
        label("system", "Whole system", *looks.width(110)),
        labels_of(OF.unit_labels("tag", "tenant", "system")),
        *(
            value(title, f"{_each(family)} * 1000", *looks.unit("dateTimeAsIso"), *looks.width(160))
            for title, family in times.items()
        ),
        value("Took", _each("avi_upgrade_duration_seconds"), *looks.unit("s"), *looks.width(90)),
        *(
            value(
                title,
                _each("avi_upgrade_rollback_possible", is_in(of_what, "of")),
                *looks.unit("bool_yes_no"),
                *looks.width(120),
            )
            for title, of_what in rollbacks.items()
        ),
    )
    return columns(Head("Facts", text, 24, 8), *rows, by="Unit")


def checks() -> Panel:
    """Which checks did not pass."""
    text = "Pre-checks that did not simply pass: warnings may be skipped, errors may not. The page has their texts."
    query = _each("avi_upgrade_check_info", own="check, result")
    rows = (
        label("unit", "Unit", *looks.width(180)),
        label("result", "Result", *looks.width(100)),
        label("check", "Check"),
        labels_of(OF.unit_named(query)),
    )
    return columns(Head("Checks with warnings or errors", text, 10, 8), *rows, by="Result").no_value("None")


def counted_checks() -> Panel:
    """How many checks there were, and the dry run."""
    text = "How the pre-checks of each unit went, when they ended, and the dry run if there was one."
    results = {"Errors": "error", "Warnings": "warning", "Other": "other"}
    ended = f"{_each('avi_upgrade_check_end_timestamp_seconds')} * 1000"
    dry_run = OF.unit_code(family="avi_upgrade_dry_run_state")
    rows = (
        label("unit", "Unit"),
        value("Done", OF.unit_named(_each("avi_upgrade_checks_completed")), *looks.width(65)),
        value("Checks", _each("avi_upgrade_checks"), *looks.width(75)),
        *(
            value(
                title,
                _each("avi_upgrade_check_exceptions", is_in(result, "result")),
                *looks.warned((1, RED if result == "error" else YELLOW)),
                *looks.width(85),
            )
            for title, result in results.items()
        ),
        value("Checks ended", ended, *looks.unit("dateTimeFromNow"), *looks.width(130)),
        value("Dry run", OF.unit_named(dry_run), *looks.colored(*looks.UNIT_STATES), *looks.width(110)),
        value("Dry run done", _each("avi_upgrade_dry_run_progress_ratio"), *looks.unit("percentunit", 0)),
    )
    return columns(Head("Checks and dry run", text, 14, 8), *rows, by="Unit").no_value("No checks")


def matrix() -> Panel:
    """Tasks × nodes."""
    text = "The present state of each task on each node of the Controllers. Where nodes differ, one is behind."
    query = OF.event_code("node, task", "avi_upgrade_node_event_state", _CLUSTER)
    return cross(Head("Tasks by node", text, 12, 9), query, row="task", column="node", shades=looks.EVENT_STATES)


def durations() -> Panel:
    """How long each task took on each node."""
    text = "How long each task of the Controllers took on each node, as reported."
    query = OF.each("avi_upgrade_node_event_duration_seconds", _CLUSTER, by="node, task")
    return bars(Head("Duration by task and node", text, 12, 9), query, row="task", column="node", unit="s")


def raw() -> Panel:
    """Every event."""
    text = "Every task of the Controllers and of the SE groups, and where it ran."
    own, family = f"{UNIT}, node, task", "avi_upgrade_node_event"
    times = {"Began": f"{family}_start_timestamp_seconds", "Ended": f"{family}_end_timestamp_seconds"}
    rows = (
        label("unit", "Unit", *looks.width(180)),
        label("node", "Node", *looks.width(130)),
        label("task", "Task"),
        value(
            "State",
            OF.unit_named(OF.event_code(own, f"{family}_state")),
            *looks.colored(*looks.EVENT_STATES),
            *looks.width(110),
        ),
        *(
            value(title, f"{OF.each(name, by=own)} * 1000", *looks.unit("dateTimeAsIso"), *looks.width(160))
            for title, name in times.items()
        ),
        value("Took", OF.each(f"{family}_duration_seconds", by=own), *looks.unit("s"), *looks.width(90)),
    )
    return columns(Head("What ran where", text, 16, 10), *rows, by="Began", descending=True)


def events() -> Panel:
    """Events of all nodes."""
    text = "Events of all nodes of the Controllers, by state: grey turns to green when all goes well."
    asks = (
        Ask(f"sum({OF.each('avi_upgrade_node_events', is_in(shade.text), by=f'{UNIT}, node')})", shade.text)
        for shade in reversed(looks.EVENT_STATES)
    )
    return shaded(stacked(lines(Head("Events by state", text, 8, 10), *asks, unit="none")), looks.EVENT_STATES)


def engines_by_group() -> Panel:
    """A bar a group."""
    text = "The Service Engines of each SE group that takes part, by state."
    query = f"{OF.unit_named(_each('avi_upgrade_service_engines', own='state'))} > 0"
    panel = bars(Head("Service Engines by group", text, 8, 10), query, row="unit", column="state", unit="none")
    for state, shade in looks.ENGINE_STATES.items():
        panel.override_by_name(state, [*looks.series_color(shade.color), looks.prop("displayName", shade.text)])
    return now_stacked(panel)


def engines_over_time() -> Panel:
    """All groups together."""
    text = "The Service Engines of all SE groups that take part, by state: grey turns to green when all goes well."
    asks = (Ask(f"sum({OF.engines(state)})", shade.text) for state, shade in looks.ENGINE_STATES.items())
    panel = lines(Head("Service Engines over time", text, 8, 10), *asks, unit="none")
    return shaded(stacked(panel), tuple(looks.ENGINE_STATES.values()))


def engines_done() -> Panel:
    """Completed Service Engines, stacked by group."""
    text = "How many Service Engines each SE group has done, on top of each other."
    ask = Ask(OF.unit_named(f"({OF.engines('completed')})"), "{{unit}}")
    return stacked(lines(Head("Done by group", text, 8, 10), ask, unit="none"))


def groups() -> Panel:
    """A row a group."""
    text = (
        "The SE groups that take part, the worst first. In progress for: of the Service Engine that takes longest, as "
        "this monitor saw it. Disrupted: virtual services."
    )
    counts = {
        "Failed": ("failed", looks.warned((1, RED))),
        "Suspended": ("suspended", looks.warned((1, YELLOW))),
        "In progress": ("in_progress", ()),
        "Not started": ("not_started", ()),
        "Skipped": ("skipped", ()),
        "Completed": ("completed", ()),
    }
    taking_part = f"({_each('avi_upgrade_service_engines_expected')} or {OF.engines('completed')})"
    oldest = f"clamp_min(time() - {_each('avi_upgrade_oldest_service_engine_timestamp_seconds')}, 0)"
    state = of(OF.unit_named(OF.unit_code()), taking_part, on=UNIT)
    rows = (
        label("unit", "SE group"),
        value("State", state, *looks.colored(*looks.UNIT_STATES), *looks.width(115)),
        *(value(title, OF.engines(state), *more, *looks.width(95)) for title, (state, more) in counts.items()),
        value("Of", _each("avi_upgrade_service_engines_expected"), *looks.width(65)),
        value("In progress for", oldest, *looks.unit("s", 0), *looks.warned((1500.0, RED)), *looks.width(130)),
        value("Errors", _each("avi_upgrade_service_engine_errors"), *looks.warned((1, YELLOW)), *looks.width(75)),
        value(
            "Disrupted",
            _each("avi_upgrade_virtual_services_disrupted"),
            *looks.warned((1, RED)),
            *looks.width(95),
        ),
        value("Virtual services", _each("avi_upgrade_virtual_services"), *looks.width(120)),
    )
    return columns(Head("SE groups", text, 24, 9), *rows, by="State", descending=True).no_value("None takes part")


def engines() -> Panel:
    """Service Engines by themselves."""
    text = "Service Engines that are upgraded at present, or are suspended or failed, the worst first."
    query = OF.unit_code(family="avi_upgrade_service_engine_state")
    rows = (
        label("unit_uuid", "Service Engine"),
        value("State", query, *looks.colored(*looks.UNIT_STATES), *looks.width(140)),
    )
    panel = columns(Head("Service Engines at work or failed", text, 10, 9), *rows, by="State", descending=True)
    return panel.no_value("None")


def engines_at_start() -> Panel:
    """What the groups began with."""
    text = "How many Service Engines of each SE group were so before it began."
    conditions = {
        "Already upgraded": "already_upgraded",
        "Disconnected": "disconnected",
        "Powered off": "powered_off",
        "Without address": "ip_missing",
    }
    named, *others = (
        _each("avi_upgrade_service_engines_at_start", is_in(condition, "condition"))
        for condition in conditions.values()
    )
    queries = zip(conditions, (OF.unit_named(named), *others), strict=True)
    rows = (label("unit", "SE group"), *(value(title, query, *looks.width(130)) for title, query in queries))
    return columns(Head("Before it began", text, 14, 9), *rows, by="SE group").no_value("None takes part")
