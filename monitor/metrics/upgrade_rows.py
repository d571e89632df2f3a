"""The samples of a unit that is upgraded: what the families of `monitor.metrics.upgrade` export. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, get_args

from monitor.metrics.family import Row, Subject, escape, format_number, row_if_known, rows_of_choice
from monitor.metrics.objects import rows_of_eta
from monitor.model.upgrade import ENGINE_STATES, CheckResult, Checks, Engines, Upgrade, UpgradeProgress, UpgradeState

_MAX_IMAGES: Final = 8  # of a unit
_MAX_CHECKS: Final = 40  # of a unit


def info(subject: Subject[Upgrade]) -> Iterable[Row]:
    unit = subject.object
    versions = unit.version.version, unit.version.tag, unit.version.patch, unit.previous.version
    texts = (unit.name, unit.cloud, unit.tenant, *versions, unit.operation_label)
    return ((*map(escape, texts), str(unit.system).lower(), "1.0"),)


def states(subject: Subject[Upgrade]) -> Iterable[Row]:
    return rows_of_choice(get_args(UpgradeState), subject.object.state)


def fsm(subject: Subject[Upgrade]) -> Iterable[Row]:
    return ((subject.object.fsm, "1.0"),) if subject.object.fsm else ()


def forecast(subject: Subject[Upgrade]) -> Iterable[Row]:
    return rows_of_eta(subject.progress.forecast if subject.progress else None)


def rollbacks(subject: Subject[Upgrade]) -> Iterable[Row]:
    told = {"base": subject.object.rollback_possible, "patch": subject.object.patch_rollback_possible}
    return [(of, format_number(possible)) for of, possible in told.items() if possible is not None]


def images(subject: Subject[Upgrade]) -> Iterable[Row]:
    return [(escape(image.uuid), image.role, "1.0") for image in subject.object.images[:_MAX_IMAGES]]


def engines(subject: Subject[Upgrade]) -> Iterable[Row]:
    engines = subject.object.engines
    if engines is None or not engines.listed:
        return ()
    return [(state, format_number(len(getattr(engines, state)))) for state in ENGINE_STATES]


def engines_at_start(subject: Subject[Upgrade]) -> Iterable[Row]:
    engines = subject.object.engines or Engines()
    return [(condition, format_number(count)) for condition, count in engines.at_start.items()]


def oldest_engine(subject: Subject[Upgrade]) -> Iterable[Row]:
    progress = subject.progress
    since = progress.engines.since.values() if isinstance(progress, UpgradeProgress) else ()
    return row_if_known(min(since, default=None))


def check_exceptions(subject: Subject[Upgrade]) -> Iterable[Row]:
    checks = subject.object.checks
    if checks is None:
        return ()
    counts = Counter(check.result for check in checks.exceptions)
    return [(result, format_number(counts[result])) for result in get_args(CheckResult)]


def check_info(subject: Subject[Upgrade]) -> Iterable[Row]:
    checks = subject.object.checks or Checks()
    distinct = dict.fromkeys((check.code, check.result) for check in checks.exceptions)
    return [(code, result, "1.0") for code, result in [*distinct][:_MAX_CHECKS]]


def dry_run_states(subject: Subject[Upgrade]) -> Iterable[Row]:
    dry_run = subject.object.dry_run
    return rows_of_choice(get_args(UpgradeState), dry_run.state) if dry_run else ()


def dry_run_progress(subject: Subject[Upgrade]) -> Iterable[Row]:
    dry_run = subject.object.dry_run
    return row_if_known(dry_run.progress_ratio) if dry_run else ()


def event_states(subject: Subject[Upgrade]) -> Iterable[Row]:
    return [(escape(event.node), escape(event.task), event.state, "1.0") for event in subject.object.events]


def engine_state(subject: Subject[Upgrade]) -> Iterable[Row]:
    unit = subject.object
    return ((unit.state, "1.0"),) if unit.active or unit.failed else ()
