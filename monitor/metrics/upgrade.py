"""
The metric families of a unit that is upgraded, one entry each. Pure.

Most are of clusters and groups only: a Service Engine has one series, while it does or needs something.
"""

from collections.abc import Callable, Iterable
from typing import Final

from monitor.metrics import upgrade_rows as rows
from monitor.metrics.family import CORE, DETAIL, NODE, Family, Row, Subject, row_if_known
from monitor.metrics.objects import event_values, node_events, object_gauge, row_of_annotations
from monitor.model.tracked import is_acknowledged
from monitor.model.upgrade import Checks, Engines, UnitKind, Upgrade

_IDENTITY: Final = ("controller", "unit_uuid", "kind")
_BOTH: Final = frozenset[UnitKind]({"controller", "se_group", "unknown"})  # what this monitor does not know is shown
_CLUSTER: Final = frozenset[UnitKind]({"controller"})
_GROUP: Final = frozenset[UnitKind]({"se_group"})
_ENGINE: Final = frozenset[UnitKind]({"se"})

_Rows = Callable[[Subject[Upgrade]], Iterable[Row]]


def _family(
    name: str,
    text: str,
    samples: _Rows,
    labels: tuple[str, ...] = (),
    tier: int = CORE,
    *,
    of: frozenset[UnitKind] = _BOTH,
    changes_alone: bool = False,
) -> Family[Subject[Upgrade]]:
    def rows_of_kind(subject: Subject[Upgrade]) -> Iterable[Row]:
        return samples(subject) if subject.object.kind in of else ()

    return object_gauge(
        name, text, identity=_IDENTITY, rows=rows_of_kind, labels=labels, tier=tier, changes_alone=changes_alone
    )


def _gauge(name: str, text: str, read: Callable[[Upgrade], float | None]) -> Family[Subject[Upgrade]]:
    return _family(name, text, lambda subject: row_if_known(read(subject.object)))


def _engine_gauge(name: str, text: str, read: Callable[[Engines], float | None]) -> Family[Subject[Upgrade]]:
    def samples(subject: Subject[Upgrade]) -> Iterable[Row]:
        engines = subject.object.engines
        return row_if_known(read(engines)) if engines else ()

    return _family(name, text, samples, tier=NODE, of=_GROUP)


def _check_gauge(name: str, text: str, read: Callable[[Checks], float | None]) -> Family[Subject[Upgrade]]:
    def samples(subject: Subject[Upgrade]) -> Iterable[Row]:
        checks = subject.object.checks
        return row_if_known(read(checks)) if checks else ()

    return _family(name, text, samples, tier=NODE)


UPGRADE_FAMILIES: Final = (
    _family(
        "avi_upgrade_info",
        "What the unit is, and what it does or did last; the value is always 1. Join it on controller and unit_uuid.",
        rows.info,
        ("unit", "cloud", "tenant", "version", "tag", "patch", "previous_version", "operation", "system"),
    ),
    _family("avi_upgrade_state", "State of the unit; exactly one state is 1.", rows.states, ("state",)),
    _family("avi_upgrade_fsm_info", "The Controller's own word for it; the value is always 1.", rows.fsm, ("fsm",)),
    _gauge(
        "avi_upgrade_progress_ratio",
        "Share of the operation that is done, 0 to 1, as the Controller says.",
        lambda unit: unit.progress_ratio,
    ),
    _gauge("avi_upgrade_tasks", "How many tasks the operation has.", lambda unit: unit.tasks),
    _gauge("avi_upgrade_tasks_completed", "How many of these tasks are done.", lambda unit: unit.tasks_completed),
    _gauge(
        "avi_upgrade_enqueue_timestamp_seconds",
        "When the operation was put into the queue, as the Controller says, Unix seconds.",
        lambda unit: unit.enqueued_at,
    ),
    _gauge(
        "avi_upgrade_start_timestamp_seconds",
        "When the operation began, as the Controller says, Unix seconds.",
        lambda unit: unit.started_at,
    ),
    _gauge(
        "avi_upgrade_end_timestamp_seconds",
        "When the operation ended, as the Controller says, Unix seconds.",
        lambda unit: unit.ended_at,
    ),
    _gauge(
        "avi_upgrade_state_changed_timestamp_seconds",
        "When the state changed last, as the Controller says, Unix seconds.",
        lambda unit: unit.state_changed_at,
    ),
    _gauge(
        "avi_upgrade_duration_seconds",
        "How long the operation took, as the Controller reports it.",
        lambda unit: unit.duration_s,
    ),
    _family(
        "avi_upgrade_progress_changed_timestamp_seconds",
        "When this monitor last saw the unit move, Unix seconds; survives a restart.",
        lambda subject: row_if_known(subject.changed_at),
    ),
    _family(
        "avi_upgrade_forecast_end_timestamp_seconds",
        "When the operation will end, as this monitor estimates it, and its range, Unix seconds.",
        rows.forecast,
        ("bound",),
        changes_alone=True,
    ),
    _family(
        "avi_upgrade_rollback_possible",
        "Whether the Controller could roll back the version, or the patch.",
        rows.rollbacks,
        ("of",),
    ),
    _family(
        "avi_upgrade_image_info",
        "An image that the unit refers to; the value is always 1. Join it on controller and image_uuid.",
        rows.images,
        ("image_uuid", "role"),
    ),
    _family(
        "avi_upgrade_annotations",
        "How many annotations operators have put on the unit during this operation.",
        row_of_annotations(len),
        changes_alone=True,
    ),
    _family(
        "avi_upgrade_acknowledged",
        "Whether the annotation acknowledged is true, yes or 1: an operator knows, and alerts stay quiet.",
        row_of_annotations(is_acknowledged),
        changes_alone=True,
    ),
    _family(
        "avi_upgrade_service_engines",
        "How many Service Engines of the group are in the state, during its operation or after it.",
        rows.engines,
        ("state",),
        NODE,
        of=_GROUP,
    ),
    _family(
        "avi_upgrade_service_engines_at_start",
        "How many Service Engines of the group were so before the operation.",
        rows.engines_at_start,
        ("condition",),
        NODE,
        of=_GROUP,
    ),
    _engine_gauge(
        "avi_upgrade_service_engines_expected",
        "How many Service Engines the group has, as the Controller says.",
        lambda engines: engines.expected,
    ),
    _engine_gauge(
        "avi_upgrade_virtual_services",
        "How many virtual services the group has.",
        lambda engines: engines.virtual_services,
    ),
    _engine_gauge(
        "avi_upgrade_virtual_services_disrupted",
        "How many virtual services of the group the operation has disrupted.",
        lambda engines: engines.virtual_services_disrupted,
    ),
    _family(
        "avi_upgrade_oldest_service_engine_timestamp_seconds",
        "Since when the Service Engine that is longest in progress has been, as this monitor saw it, Unix seconds.",
        rows.oldest_engine,
        tier=NODE,
        of=_GROUP,
    ),
    _engine_gauge(
        "avi_upgrade_service_engine_errors",
        "How many errors of Service Engines the Controller lists.",
        lambda engines: engines.errors,
    ),
    _check_gauge("avi_upgrade_checks", "How many pre-checks there are.", lambda checks: checks.checks),
    _check_gauge(
        "avi_upgrade_checks_completed", "How many of these checks are done.", lambda checks: checks.checks_completed
    ),
    _family(
        "avi_upgrade_check_exceptions",
        "How many pre-checks did not simply pass, by result.",
        rows.check_exceptions,
        ("result",),
        NODE,
    ),
    _check_gauge(
        "avi_upgrade_check_end_timestamp_seconds",
        "When the pre-checks ended, as the Controller says, Unix seconds.",
        lambda checks: checks.ended_at,
    ),
    _family(
        "avi_upgrade_check_info",
        "A pre-check that did not simply pass; the value is always 1.",
        rows.check_info,
        ("check", "result"),
        DETAIL,
    ),
    _family(
        "avi_upgrade_dry_run_state",
        "State of the dry run; exactly one state is 1.",
        rows.dry_run_states,
        ("state",),  # not of the node tier, which a cluster at rest has not: a dry run leaves it at rest
        of=_CLUSTER,
    ),
    _family(
        "avi_upgrade_dry_run_progress_ratio",
        "Share of the dry run that is done, 0 to 1.",
        rows.dry_run_progress,
        of=_CLUSTER,
    ),
    _family(
        "avi_upgrade_node_events",
        "How many events of the node are in the state.",
        node_events,
        ("node", "state"),
        NODE,
        of=_CLUSTER,
    ),
    _family(
        "avi_upgrade_node_event_state",
        "State of one task on one node; the value is always 1.",
        rows.event_states,
        ("node", "task", "state"),
        DETAIL,
    ),
    _family(
        "avi_upgrade_node_event_start_timestamp_seconds",
        "When the task began on the node, Unix seconds.",
        event_values("started_at"),
        ("node", "task"),
        DETAIL,
    ),
    _family(
        "avi_upgrade_node_event_end_timestamp_seconds",
        "When the task ended on the node, Unix seconds.",
        event_values("ended_at"),
        ("node", "task"),
        DETAIL,
    ),
    _family(
        "avi_upgrade_node_event_duration_seconds",
        "How long the task took on the node, as reported.",
        event_values("duration_s"),
        ("node", "task"),
        DETAIL,
    ),
    _family(
        "avi_upgrade_service_engine_state",
        "State of a Service Engine that does something, or needs an operator; the value is always 1.",
        rows.engine_state,
        ("state",),
        DETAIL,
        of=_ENGINE,
    ),
)
