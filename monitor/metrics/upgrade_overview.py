"""The metric families of what all units of one controller amount to. Pure."""

from collections.abc import Callable, Iterable
from typing import Final, get_args

from monitor.metrics.family import Family, Row, escape, format_number, line_of, row_if_known, rows_of_choice
from monitor.metrics.objects import rows_of_eta
from monitor.model.upgrade import Overview, UpgradePhase

_IDENTITY: Final = ("controller",)


def _family(
    name: str,
    text: str,
    rows: Callable[[Overview], Iterable[Row]],
    depends_on: Callable[[Overview], object],
    *labels: str,
) -> Family[Overview]:
    line = line_of(name, (*_IDENTITY, *labels))
    return Family(
        name=name,
        kind="gauge",
        help=text,
        identity=_IDENTITY,
        labels=labels,
        rows=rows,
        depends_on=depends_on,
        line=line,
    )


def _phases(overview: Overview) -> Iterable[Row]:
    return rows_of_choice(get_args(UpgradePhase), overview.phase) if overview.phase else ()


def _units(overview: Overview) -> Iterable[Row]:
    units = overview.units.items()
    return [(kind, escape(version), escape(patch), format_number(count)) for (kind, version, patch), count in units]


def _left_behind(overview: Overview) -> Iterable[Row]:
    return [(kind, format_number(count)) for kind, count in overview.left_behind.items()]


def _image_users(overview: Overview) -> Iterable[Row]:
    return [(escape(uuid), role, format_number(users)) for (uuid, role), users in overview.image_users.items()]


def _images_pinned(overview: Overview) -> Iterable[Row]:
    return [(escape(uuid), format_number(pinned)) for uuid, pinned in overview.images_pinned.items()]


OVERVIEW_FAMILIES: Final = (
    _family(
        "avi_controller_upgrade_phase",
        "Where the upgrade of the whole controller stands; exactly one phase is 1.",
        _phases,
        lambda overview: overview.phase,
        "phase",
    ),
    _family(
        "avi_controller_upgrade_units",
        "How many units of a kind run the version with the patch.",
        _units,
        lambda overview: overview.units,
        "kind",
        "version",
        "patch",
    ),
    _family(
        "avi_controller_upgrade_done",
        "Whether the last upgrade is done: all that took part are at the cluster's version, and nothing has failed.",
        lambda overview: row_if_known(overview.done),
        lambda overview: overview.done,
    ),
    _family(
        "avi_controller_upgrade_left_behind",
        "How many units took part, and are not at the cluster's version, or have failed Service Engines.",
        _left_behind,
        lambda overview: overview.left_behind,
        "kind",
    ),
    _family(
        "avi_controller_upgrade_forecast_end_timestamp_seconds",
        "When the upgrade of the whole controller will end, as this monitor estimates it, and its range, Unix seconds.",
        lambda overview: rows_of_eta(overview.eta),
        lambda overview: overview.eta,
        "bound",
    ),
    _family(
        "avi_controller_upgrades_readable",
        "Whether the Controller lets this monitor read its upgrade status.",
        lambda overview: row_if_known(overview.readable),
        lambda overview: overview.readable,
    ),
    _family(
        "avi_image_users",
        "How many units refer to the image in the role.",
        _image_users,
        lambda overview: overview.image_users,
        "image_uuid",
        "role",
    ),
    _family(
        "avi_image_pinned",
        "Whether the Controller would refuse to delete the image, because a unit refers to it, as far as is known.",
        _images_pinned,
        lambda overview: overview.images_pinned,
        "image_uuid",
    ),
)
"""Rendered with `monitor.metrics.render.render_changes`, as the health of a controller is."""
