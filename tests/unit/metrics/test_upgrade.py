"""The families of units and of their overview: literal text, and byte for byte what prometheus-client makes of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from monitor.avi.upgrade import decode_upgrade
from monitor.metrics.exposition import order_pieces
from monitor.metrics.family import CORE, DETAIL, NODE, Subject
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.metrics.render import (
    apply_budget,
    header,
    join_by_family,
    render_again,
    render_changes,
    render_health,
    render_object,
)
from monitor.metrics.upgrade import UPGRADE_FAMILIES
from monitor.metrics.upgrade_overview import OVERVIEW_FAMILIES
from monitor.model.tracked import Eta, Event, RenderedObject, UploadProgress
from monitor.model.upgrade import (
    Check,
    Checks,
    DryRun,
    Engines,
    EngineTimes,
    ImageRef,
    Overview,
    UnitKind,
    Upgrade,
    UpgradePhase,
    UpgradeProgress,
    UpgradeState,
    Version,
)
from monitor.polling.upgrade import overview_of
from tests.support.strategies import BOUNDED, FEW, dumps, texts
from tests.support.upgrade_strategies import unit_uuids, units

Samples = Iterable[tuple[Sequence[str], float]]

CHANGED_AT = 1739443003.125
CLUSTER = Upgrade(
    uuid="cluster-1",
    kind="controller",
    name="cluster-0-1",
    tenant="admin",
    state="running",
    fsm="UPGRADE_FSM_IN_PROGRESS",
    operation="upgrade",
    system=True,
    version=Version("30.2.1-9053-20240610.111213", "2p1"),
    previous=Version("22.1.6-9191-20240101.111213"),
    progress_ratio=0.37,
    tasks=16,
    tasks_completed=5,
    enqueued_at=1739442660.0,
    started_at=1739442665.0,
    ended_at=1739443001.0,
    state_changed_at=1739443000.25,
    duration_s=335.0,
    rollback_possible=True,
    patch_rollback_possible=False,
    images=(ImageRef("image-1", "current"), ImageRef("image-2", "target", "31.2.2")),
    checks=Checks(
        state="checked",
        checks=42,
        checks_completed=41,
        ended_at=1739442650.0,
        exceptions=(Check("SYSERR_MC_DISK", "warning"), Check("SYSERR_MC_DISK", "warning"), Check("other", "error")),
    ),
    dry_run=DryRun(state="running", progress_ratio=0.4),
    events=(
        Event("SwitchAndReboot", "n1", "succeeded", "", 1739442665.0, 1739442760.0, 95.0),
        Event("SwitchAndReboot", "n2", "running", "", 1739442770.0),
    ),
)
GROUP = Upgrade(
    uuid="serviceenginegroup-1",
    kind="se_group",
    name="Default-Group",
    cloud="AWS",
    state="running",
    fsm="UPGRADE_FSM_IN_PROGRESS",
    engines=Engines(
        completed=("a", "b"),
        in_progress=("c",),
        failed=("d",),
        at_start={"already_upgraded": 1, "disconnected": 2, "powered_off": 0, "ip_missing": 0},
        listed=True,
        expected=6,
        virtual_services=12,
        virtual_services_disrupted=3,
        errors=2,
    ),
)
ENGINE = Upgrade(uuid="se-i-1", kind="se", state="failed", version=Version("31.2.2"), events=CLUSTER.events)
PROGRESS = UploadProgress(0.0, 0.0, Eta(1739445000.0, 1739444000.0, 1739446500.0))
GROUP_PROGRESS = UpgradeProgress(0.0, 0.0, PROGRESS.eta, engines=EngineTimes({"c": 1739443001.5, "x": 1739443002.5}))


def of_unit(name: str, unit: Upgrade, progress: UploadProgress | None = None) -> str:
    (family,) = (each for each in UPGRADE_FAMILIES if each.name == name)
    return family.render(("c1", *unit.identity), Subject(unit, CHANGED_AT, progress=progress)).decode()


C: Final = 'controller="c1",kind="controller"'
UNIT: Final = 'unit_uuid="cluster-1"'


CLUSTER_TEXTS: Mapping[str, str] = {
    "avi_upgrade_info": (
        f'avi_upgrade_info{{cloud="",{C},operation="upgrade",patch="2p1",previous_version="22.1.6",system="true",'
        f'tag="30.2.1-9053-20240610.111213",tenant="admin",unit="cluster-0-1",{UNIT},version="30.2.1"}} 1.0\n'
    ),
    "avi_upgrade_state": "".join(
        f'avi_upgrade_state{{{C},state="{state}",{UNIT}}} {"1.0" if state == "running" else "0.0"}\n'
        for state in (
            "idle", "queued", "checking", "checked", "check_failed", "running", "aborting", "suspended", "failed",
            "completed", "unknown",
        )
    ),
    "avi_upgrade_fsm_info": (
        f'avi_upgrade_fsm_info{{controller="c1",fsm="UPGRADE_FSM_IN_PROGRESS",kind="controller",{UNIT}}} 1.0\n'
    ),
    "avi_upgrade_progress_ratio": f"avi_upgrade_progress_ratio{{{C},{UNIT}}} 0.37\n",
    "avi_upgrade_tasks": f"avi_upgrade_tasks{{{C},{UNIT}}} 16.0\n",
    "avi_upgrade_tasks_completed": f"avi_upgrade_tasks_completed{{{C},{UNIT}}} 5.0\n",
    "avi_upgrade_enqueue_timestamp_seconds": f"avi_upgrade_enqueue_timestamp_seconds{{{C},{UNIT}}} 1.73944266e+09\n",
    "avi_upgrade_start_timestamp_seconds": f"avi_upgrade_start_timestamp_seconds{{{C},{UNIT}}} 1.739442665e+09\n",
    "avi_upgrade_end_timestamp_seconds": f"avi_upgrade_end_timestamp_seconds{{{C},{UNIT}}} 1.739443001e+09\n",
    "avi_upgrade_state_changed_timestamp_seconds": (
        f"avi_upgrade_state_changed_timestamp_seconds{{{C},{UNIT}}} 1.73944300025e+09\n"
    ),
    "avi_upgrade_duration_seconds": f"avi_upgrade_duration_seconds{{{C},{UNIT}}} 335.0\n",
    "avi_upgrade_progress_changed_timestamp_seconds": (
        f"avi_upgrade_progress_changed_timestamp_seconds{{{C},{UNIT}}} 1.739443003125e+09\n"
    ),
    "avi_upgrade_forecast_end_timestamp_seconds": (
        f'avi_upgrade_forecast_end_timestamp_seconds{{bound="likely",{C},{UNIT}}} 1.739445e+09\n'
        f'avi_upgrade_forecast_end_timestamp_seconds{{bound="earliest",{C},{UNIT}}} 1.739444e+09\n'
        f'avi_upgrade_forecast_end_timestamp_seconds{{bound="latest",{C},{UNIT}}} 1.7394465e+09\n'
    ),
    "avi_upgrade_rollback_possible": (
        f'avi_upgrade_rollback_possible{{{C},of="base",{UNIT}}} 1.0\n'
        f'avi_upgrade_rollback_possible{{{C},of="patch",{UNIT}}} 0.0\n'
    ),
    "avi_upgrade_image_info": (
        f'avi_upgrade_image_info{{controller="c1",image_uuid="image-1",kind="controller",role="current",{UNIT}}} 1.0\n'
        f'avi_upgrade_image_info{{controller="c1",image_uuid="image-2",kind="controller",role="target",{UNIT}}} 1.0\n'
    ),
    "avi_upgrade_annotations": f"avi_upgrade_annotations{{{C},{UNIT}}} 0.0\n",
    "avi_upgrade_acknowledged": f"avi_upgrade_acknowledged{{{C},{UNIT}}} 0.0\n",
    "avi_upgrade_service_engines": "",
    "avi_upgrade_service_engines_at_start": "",
    "avi_upgrade_service_engines_expected": "",
    "avi_upgrade_virtual_services": "",
    "avi_upgrade_virtual_services_disrupted": "",
    "avi_upgrade_oldest_service_engine_timestamp_seconds": "",
    "avi_upgrade_service_engine_errors": "",
    "avi_upgrade_checks": f"avi_upgrade_checks{{{C},{UNIT}}} 42.0\n",
    "avi_upgrade_checks_completed": f"avi_upgrade_checks_completed{{{C},{UNIT}}} 41.0\n",
    "avi_upgrade_check_exceptions": (
        f'avi_upgrade_check_exceptions{{{C},result="warning",{UNIT}}} 2.0\n'
        f'avi_upgrade_check_exceptions{{{C},result="error",{UNIT}}} 1.0\n'
        f'avi_upgrade_check_exceptions{{{C},result="other",{UNIT}}} 0.0\n'
    ),
    "avi_upgrade_check_end_timestamp_seconds": (
        f"avi_upgrade_check_end_timestamp_seconds{{{C},{UNIT}}} 1.73944265e+09\n"
    ),
    "avi_upgrade_check_info": (
        f'avi_upgrade_check_info{{check="SYSERR_MC_DISK",{C},result="warning",{UNIT}}} 1.0\n'
        f'avi_upgrade_check_info{{check="other",{C},result="error",{UNIT}}} 1.0\n'
    ),
    "avi_upgrade_dry_run_state": "".join(
        f'avi_upgrade_dry_run_state{{{C},state="{state}",{UNIT}}} {"1.0" if state == "running" else "0.0"}\n'
        for state in get_args(UpgradeState)
    ),
    "avi_upgrade_dry_run_progress_ratio": f"avi_upgrade_dry_run_progress_ratio{{{C},{UNIT}}} 0.4\n",
    "avi_upgrade_node_events": "".join(
        f'avi_upgrade_node_events{{{C},node="{node}",state="{state}",{UNIT}}} {count}\n'
        for node, state, count in (
            ("n1", "pending", "0.0"), ("n1", "running", "0.0"), ("n1", "succeeded", "1.0"), ("n1", "failed", "0.0"),
            ("n2", "pending", "0.0"), ("n2", "running", "1.0"), ("n2", "succeeded", "0.0"), ("n2", "failed", "0.0"),
        )
    ),
    "avi_upgrade_node_event_state": (
        f'avi_upgrade_node_event_state{{{C},node="n1",state="succeeded",task="SwitchAndReboot",{UNIT}}} 1.0\n'
        f'avi_upgrade_node_event_state{{{C},node="n2",state="running",task="SwitchAndReboot",{UNIT}}} 1.0\n'
    ),
    "avi_upgrade_node_event_start_timestamp_seconds": (
        f'avi_upgrade_node_event_start_timestamp_seconds{{{C},node="n1",task="SwitchAndReboot",{UNIT}}}'
        " 1.739442665e+09\n"
        f'avi_upgrade_node_event_start_timestamp_seconds{{{C},node="n2",task="SwitchAndReboot",{UNIT}}}'
        " 1.73944277e+09\n"
    ),
    "avi_upgrade_node_event_end_timestamp_seconds": (
        f'avi_upgrade_node_event_end_timestamp_seconds{{{C},node="n1",task="SwitchAndReboot",{UNIT}}} 1.73944276e+09\n'
    ),
    "avi_upgrade_node_event_duration_seconds": (
        f'avi_upgrade_node_event_duration_seconds{{{C},node="n1",task="SwitchAndReboot",{UNIT}}} 95.0\n'
    ),
    "avi_upgrade_service_engine_state": "",
}  # fmt: skip

G: Final = 'controller="c1",kind="se_group"'
OF_GROUP: Final = 'unit_uuid="serviceenginegroup-1"'
GROUP_TEXTS: Mapping[str, str] = {
    "avi_upgrade_service_engines": "".join(
        f'avi_upgrade_service_engines{{{G},state="{state}",{OF_GROUP}}} {count}\n'
        for state, count in {
            "completed": "2.0", "failed": "1.0", "in_progress": "1.0", "not_started": "0.0", "suspended": "0.0",
            "skipped": "0.0",
        }.items()
    ),
    "avi_upgrade_service_engines_at_start": "".join(
        f'avi_upgrade_service_engines_at_start{{condition="{condition}",{G},{OF_GROUP}}} {count}\n'
        for condition, count in {
            "already_upgraded": "1.0", "disconnected": "2.0", "powered_off": "0.0", "ip_missing": "0.0",
        }.items()
    ),
    "avi_upgrade_service_engines_expected": f"avi_upgrade_service_engines_expected{{{G},{OF_GROUP}}} 6.0\n",
    "avi_upgrade_virtual_services": f"avi_upgrade_virtual_services{{{G},{OF_GROUP}}} 12.0\n",
    "avi_upgrade_virtual_services_disrupted": f"avi_upgrade_virtual_services_disrupted{{{G},{OF_GROUP}}} 3.0\n",
    "avi_upgrade_oldest_service_engine_timestamp_seconds": (
        f"avi_upgrade_oldest_service_engine_timestamp_seconds{{{G},{OF_GROUP}}} 1.7394430015e+09\n"
    ),
    "avi_upgrade_service_engine_errors": f"avi_upgrade_service_engine_errors{{{G},{OF_GROUP}}} 2.0\n",
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), CLUSTER_TEXTS.items(), ids=CLUSTER_TEXTS)
def test_a_cluster_is_rendered_as(name: str, text: str) -> None:
    assert of_unit(name, CLUSTER, PROGRESS) == text


@pytest.mark.parametrize(("name", "text"), GROUP_TEXTS.items(), ids=GROUP_TEXTS)
def test_a_group_is_rendered_as(name: str, text: str) -> None:
    assert of_unit(name, GROUP, GROUP_PROGRESS) == text


def test_every_family_has_its_literal_text_here() -> None:
    assert [family.name for family in UPGRADE_FAMILIES] == list(CLUSTER_TEXTS)
    assert {name for name in GROUP_TEXTS if CLUSTER_TEXTS[name]} == set()


@pytest.mark.parametrize("state", get_args(UpgradeState))
def test_a_service_engine_has_one_series_while_it_does_or_needs_something(state: UpgradeState) -> None:
    engine = replace(ENGINE, state=state)
    shown = "".join(of_unit(family.name, engine, PROGRESS) for family in UPGRADE_FAMILIES)
    at_rest = {"idle", "checked", "completed", "unknown"}
    assert shown == (
        ""
        if state in at_rest
        else f'avi_upgrade_service_engine_state{{controller="c1",kind="se",state="{state}",unit_uuid="se-i-1"}} 1.0\n'
    )


AT_REST = {
    "avi_upgrade_info",
    "avi_upgrade_state",
    "avi_upgrade_progress_changed_timestamp_seconds",
    "avi_upgrade_annotations",
    "avi_upgrade_acknowledged",
}


@pytest.mark.parametrize("kind", ["controller", "se_group", "unknown"])
def test_a_family_without_a_value_has_no_series(kind: UnitKind) -> None:
    unit = Upgrade(uuid="u1", kind=kind)
    assert {family.name for family in UPGRADE_FAMILIES if of_unit(family.name, unit)} == AT_REST


def test_a_group_whose_lists_are_not_told_has_no_counts() -> None:
    unit = replace(GROUP, engines=Engines(errors=0))
    names = {family.name for family in UPGRADE_FAMILIES if of_unit(family.name, unit, PROGRESS)}
    assert names & GROUP_TEXTS.keys() == {"avi_upgrade_service_engine_errors"}


def test_a_unit_shows_so_many_images_and_checks_and_no_more() -> None:
    images = tuple(ImageRef(f"image-{n}", "patch") for n in range(20))
    checks = Checks(exceptions=tuple(Check(f"SYSERR_{n}", "error") for n in range(90)))
    unit = replace(CLUSTER, images=images, checks=checks)
    assert of_unit("avi_upgrade_image_info", unit).count("\n") == 8
    assert of_unit("avi_upgrade_check_info", unit).count("\n") == 40


def test_annotations_of_a_unit_are_rendered_without_its_events() -> None:
    rendered = rendered_of(CLUSTER)
    annotated = render_again(
        UPGRADE_FAMILIES, rendered, "c1", Subject(replace(CLUSTER, events=()), CHANGED_AT, {"acknowledged": "yes"})
    )
    texts_before, texts_after = rendered.lines, annotated.lines
    changed = [new.decode() for new, old in zip(texts_after, texts_before, strict=True) if new != old]
    assert changed == [
        f"avi_upgrade_annotations{{{C},{UNIT}}} 1.0\n",
        f"avi_upgrade_acknowledged{{{C},{UNIT}}} 1.0\n",
    ]


def test_a_forecast_is_withdrawn_and_made_anew_without_the_events_of_the_unit() -> None:
    def again(rendered: RenderedObject, progress: UploadProgress) -> RenderedObject:
        subject = Subject(replace(CLUSTER, events=()), CHANGED_AT, progress=progress)
        return render_again(UPGRADE_FAMILIES, rendered, "c1", subject)

    rendered = rendered_of(CLUSTER, PROGRESS)
    overdue = again(rendered, replace(PROGRESS, overdue=True))
    assert overdue == rendered_of(CLUSTER)
    assert again(overdue, PROGRESS) == rendered


def test_a_unit_at_rest_has_28_series_with_two_images_and_3_more_with_a_forecast() -> None:
    alone = replace(CLUSTER, dry_run=None)
    assert rendered_of(replace(alone, state="completed"), finest_tier=CORE).series == (28, 0, 0)
    assert rendered_of(alone, PROGRESS).series[CORE] == 31


def test_a_dry_run_leaves_the_cluster_at_rest_and_has_series_all_the_same() -> None:
    idle = Upgrade(uuid="cluster-1", name="cluster-0-1", kind="controller")
    alone = rendered_of(idle, finest_tier=CORE)
    with_dry_run = rendered_of(replace(idle, dry_run=DryRun(state="running", progress_ratio=0.4)), finest_tier=CORE)
    assert with_dry_run.series[CORE] - alone.series[CORE] == len(STATES) + 1


# --- budgets


def rendered_of(
    unit: Upgrade, progress: UploadProgress | None = None, *, finest_tier: int = DETAIL, max_series: int = 10**6
) -> RenderedObject:
    subject = Subject(unit, CHANGED_AT, progress=progress)
    return render_object(UPGRADE_FAMILIES, "c1", subject, finest_tier=finest_tier, max_series=max_series)


def test_a_budget_never_drops_the_cluster_or_what_does_or_needs_something() -> None:
    idle_groups = [replace(GROUP, uuid=f"idle-{n}", state="completed") for n in range(3)]
    active = [replace(GROUP, uuid=state, state=state) for state in ("running", "suspended", "failed")]
    engines = [replace(ENGINE, uuid=f"se-{n}") for n in range(3)]
    fleet = {unit.uuid: rendered_of(unit) for unit in (*idle_groups, *active, *engines, replace(CLUSTER, state="idle"))}
    kept, _ = apply_budget(UPGRADE_FAMILIES, fleet, max_series=0)
    assert {uuid for uuid, rendered in kept.items() if rendered.series[CORE]} == {
        "running",
        "suspended",
        "failed",
        "cluster-1",
    }
    assert sum(rendered.series[NODE] + rendered.series[DETAIL] for rendered in kept.values()) == 0


def test_a_budget_drops_service_engines_before_tasks_and_units_at_rest_before_others() -> None:
    fleet = {
        unit.uuid: rendered_of(unit)
        for unit in (
            CLUSTER,
            replace(GROUP, events=CLUSTER.events),
            replace(GROUP, uuid="g2", state="completed"),
            ENGINE,
        )
    }
    total = sum(sum(rendered.series) for rendered in fleet.values())
    kept, _ = apply_budget(UPGRADE_FAMILIES, fleet, max_series=total - 1)
    assert [uuid for uuid in fleet if kept[uuid] != fleet[uuid]] == ["se-i-1"]
    detail = sum(rendered.series[DETAIL] for rendered in fleet.values())
    kept, _ = apply_budget(UPGRADE_FAMILIES, fleet, max_series=total - detail - 1)
    assert kept["g2"].series == (fleet["g2"].series[CORE], 0, 0)
    assert kept["serviceenginegroup-1"].series[NODE] > 0


# --- the overview

OVERVIEW = Overview(
    readable=True,
    phase="service_engines",
    units={("controller", "31.2.2", "2p1"): 1, ("se", "30.2.1", ""): 12},
    done=False,
    left_behind={"se_group": 1, "se": 0},
    eta=Eta(1739445000.0, 1739444000.0, 1739446500.0),
    image_users={("image-1", "current"): 13},
    images_pinned={"image-1": True, "image-2": False},
)
OVERVIEW_TEXTS = {
    "avi_controller_upgrade_phase": "".join(
        f'avi_controller_upgrade_phase{{controller="c1",phase="{phase}"}} {value}\n'
        for phase, value in {
            "none": "0.0", "checking": "0.0", "controllers": "0.0", "away": "0.0", "service_engines": "1.0",
            "suspended": "0.0", "rolling_back": "0.0",
        }.items()
    ),
    "avi_controller_upgrade_units": (
        'avi_controller_upgrade_units{controller="c1",kind="controller",patch="2p1",version="31.2.2"} 1.0\n'
        'avi_controller_upgrade_units{controller="c1",kind="se",patch="",version="30.2.1"} 12.0\n'
    ),
    "avi_controller_upgrade_done": 'avi_controller_upgrade_done{controller="c1"} 0.0\n',
    "avi_controller_upgrade_left_behind": (
        'avi_controller_upgrade_left_behind{controller="c1",kind="se_group"} 1.0\n'
        'avi_controller_upgrade_left_behind{controller="c1",kind="se"} 0.0\n'
    ),
    "avi_controller_upgrade_forecast_end_timestamp_seconds": "".join(
        f'avi_controller_upgrade_forecast_end_timestamp_seconds{{bound="{bound}",controller="c1"}} {value}\n'
        for bound, value in {"likely": "1.739445e+09", "earliest": "1.739444e+09", "latest": "1.7394465e+09"}.items()
    ),
    "avi_controller_upgrades_readable": 'avi_controller_upgrades_readable{controller="c1"} 1.0\n',
    "avi_image_users": 'avi_image_users{controller="c1",image_uuid="image-1",role="current"} 13.0\n',
    "avi_image_pinned": (
        'avi_image_pinned{controller="c1",image_uuid="image-1"} 1.0\n'
        'avi_image_pinned{controller="c1",image_uuid="image-2"} 0.0\n'
    ),
}  # fmt: skip


def test_an_overview_is_rendered_as() -> None:
    rendered = render_health(OVERVIEW_FAMILIES, ("c1",), OVERVIEW)
    names = [family.name for family in OVERVIEW_FAMILIES]
    assert dict(zip(names, [text.decode() for text in rendered], strict=True)) == OVERVIEW_TEXTS


def test_upgrades_that_are_not_readable_have_one_series() -> None:
    rendered = b"".join(render_health(OVERVIEW_FAMILIES, ("c1",), Overview(readable=False)))
    assert rendered == b'avi_controller_upgrades_readable{controller="c1"} 0.0\n'


# --- the oracle: prometheus-client, after the contract's table and not after our rows


def one(value: float | None) -> Samples:
    return [] if value is None else [((), value)]


def only(kinds: str, read: Callable[[Upgrade], Samples]) -> Callable[[Upgrade], Samples]:
    """``kinds``: of C, G and S, as in the contract's table."""
    of = {"controller": "C", "se_group": "G", "se": "S", "unknown": "CG"}
    return lambda unit: (
        read(unit) if set(of[unit.kind]) & set(kinds) and not (unit.kind == "unknown" and kinds != "CG") else []
    )


def info(unit: Upgrade) -> Samples:
    version = unit.version.tag.split("-")[0]
    previous = unit.previous.tag.split("-")[0]
    operation = ("eval_" if unit.evaluation and unit.operation else "") + unit.operation
    system = "true" if unit.system else "false"
    values = (unit.name, unit.cloud, unit.tenant, version, unit.version.tag, unit.version.patch, previous, operation)
    yield (*values, system), 1


def engine_counts(unit: Upgrade) -> Samples:
    if unit.engines and unit.engines.listed:
        lists = unit.engines
        yield ("completed",), len(lists.completed)
        yield ("failed",), len(lists.failed)
        yield ("in_progress",), len(lists.in_progress)
        yield ("not_started",), len(lists.not_started)
        yield ("suspended",), len(lists.suspended)
        yield ("skipped",), len(lists.skipped)


def of_engines(read: Callable[[Engines], float | None]) -> Callable[[Upgrade], Samples]:
    return only("G", lambda unit: one(read(unit.engines)) if unit.engines else [])


def of_checks(read: Callable[[Checks], float | None]) -> Callable[[Upgrade], Samples]:
    return only("CG", lambda unit: one(read(unit.checks)) if unit.checks else [])


def of_events(read: Callable[[Event], float | None]) -> Callable[[Upgrade], Samples]:
    return only(
        "CG",
        lambda unit: [((event.node, event.task), value) for event in unit.events if (value := read(event)) is not None],
    )


def node_events(unit: Upgrade) -> Samples:
    for node in {event.node for event in unit.events}:
        for state in ("pending", "running", "succeeded", "failed"):
            yield (node, state), len([each for each in unit.events if (each.node, each.state) == (node, state)])


def check_exceptions(unit: Upgrade) -> Samples:
    for result in ("warning", "error", "other"):
        if unit.checks:
            yield (result,), len([each for each in unit.checks.exceptions if each.result == result])


def check_info(unit: Upgrade) -> Samples:
    return [(pair, 1) for pair in {(each.code, each.result) for each in (unit.checks or Checks()).exceptions}]


STATES = (
    "idle", "queued", "checking", "checked", "check_failed", "running", "aborting", "suspended", "failed", "completed",
    "unknown",
)  # fmt: skip
SHOWN = {"queued", "checking", "running", "aborting", "suspended", "failed", "check_failed"}
ORACLE: Mapping[str, tuple[tuple[str, ...], Callable[[Upgrade], Samples]]] = {
    "avi_upgrade_info": (
        ("unit", "cloud", "tenant", "version", "tag", "patch", "previous_version", "operation", "system"),
        only("CG", info),
    ),
    "avi_upgrade_state": (("state",), only("CG", lambda unit: [((each,), unit.state == each) for each in STATES])),
    "avi_upgrade_fsm_info": (("fsm",), only("CG", lambda unit: [((unit.fsm,), 1)] if unit.fsm else [])),
    "avi_upgrade_progress_ratio": ((), only("CG", lambda unit: one(unit.progress_ratio))),
    "avi_upgrade_tasks": ((), only("CG", lambda unit: one(unit.tasks))),
    "avi_upgrade_tasks_completed": ((), only("CG", lambda unit: one(unit.tasks_completed))),
    "avi_upgrade_enqueue_timestamp_seconds": ((), only("CG", lambda unit: one(unit.enqueued_at))),
    "avi_upgrade_start_timestamp_seconds": ((), only("CG", lambda unit: one(unit.started_at))),
    "avi_upgrade_end_timestamp_seconds": ((), only("CG", lambda unit: one(unit.ended_at))),
    "avi_upgrade_state_changed_timestamp_seconds": ((), only("CG", lambda unit: one(unit.state_changed_at))),
    "avi_upgrade_duration_seconds": ((), only("CG", lambda unit: one(unit.duration_s))),
    "avi_upgrade_progress_changed_timestamp_seconds": ((), only("CG", lambda _: one(CHANGED_AT))),
    "avi_upgrade_forecast_end_timestamp_seconds": (
        ("bound",),
        only("CG", lambda _: [(("likely",), 1739445000.0), (("earliest",), 1739444000.0), (("latest",), 1739446500.0)]),
    ),
    "avi_upgrade_rollback_possible": (
        ("of",),
        only(
            "CG",
            lambda unit: [
                *[(("base",), float(told)) for told in [unit.rollback_possible] if told is not None],
                *[(("patch",), float(told)) for told in [unit.patch_rollback_possible] if told is not None],
            ],
        ),
    ),
    "avi_upgrade_image_info": (
        ("image_uuid", "role"),
        only("CG", lambda unit: [((image.uuid, image.role), 1) for image in unit.images][:8]),
    ),
    "avi_upgrade_annotations": ((), only("CG", lambda _: one(0))),
    "avi_upgrade_acknowledged": ((), only("CG", lambda _: one(0))),
    "avi_upgrade_service_engines": (("state",), only("G", engine_counts)),
    "avi_upgrade_service_engines_at_start": (
        ("condition",),
        only(
            "G",
            lambda unit: [((each,), count) for each, count in (unit.engines or Engines()).at_start.items()],
        ),
    ),
    "avi_upgrade_service_engines_expected": ((), of_engines(lambda engines: engines.expected)),
    "avi_upgrade_virtual_services": ((), of_engines(lambda engines: engines.virtual_services)),
    "avi_upgrade_virtual_services_disrupted": ((), of_engines(lambda engines: engines.virtual_services_disrupted)),
    "avi_upgrade_oldest_service_engine_timestamp_seconds": ((), only("G", lambda _: one(1739443001.5))),
    "avi_upgrade_service_engine_errors": ((), of_engines(lambda engines: engines.errors)),
    "avi_upgrade_checks": ((), of_checks(lambda checks: checks.checks)),
    "avi_upgrade_checks_completed": ((), of_checks(lambda checks: checks.checks_completed)),
    "avi_upgrade_check_exceptions": (("result",), only("CG", check_exceptions)),
    "avi_upgrade_check_end_timestamp_seconds": ((), of_checks(lambda checks: checks.ended_at)),
    "avi_upgrade_check_info": (("check", "result"), only("CG", check_info)),
    "avi_upgrade_dry_run_state": (
        ("state",),
        only("C", lambda unit: [((each,), unit.dry_run.state == each) for each in STATES] if unit.dry_run else []),
    ),
    "avi_upgrade_dry_run_progress_ratio": (
        (),
        only("C", lambda unit: one(unit.dry_run.progress_ratio) if unit.dry_run else []),
    ),
    "avi_upgrade_node_events": (("node", "state"), only("C", node_events)),
    "avi_upgrade_node_event_state": (
        ("node", "task", "state"),
        only("CG", lambda unit: [((each.node, each.task, each.state), 1) for each in unit.events]),
    ),
    "avi_upgrade_node_event_start_timestamp_seconds": (("node", "task"), of_events(lambda event: event.started_at)),
    "avi_upgrade_node_event_end_timestamp_seconds": (("node", "task"), of_events(lambda event: event.ended_at)),
    "avi_upgrade_node_event_duration_seconds": (("node", "task"), of_events(lambda event: event.duration_s)),
    "avi_upgrade_service_engine_state": (
        ("state",),
        only("S", lambda unit: [((unit.state,), 1)] if unit.state in SHOWN else []),
    ),
}
PHASES = ("none", "checking", "controllers", "away", "service_engines", "suspended", "rolling_back")
ORACLE_OVERVIEW: Mapping[str, tuple[tuple[str, ...], Callable[[Overview], Samples]]] = {
    "avi_controller_upgrade_phase": (("phase",), lambda found: [((each,), found.phase == each) for each in PHASES]),
    "avi_controller_upgrade_units": (("kind", "version", "patch"), lambda found: list(found.units.items())),
    "avi_controller_upgrade_done": ((), lambda found: one(found.done)),
    "avi_controller_upgrade_left_behind": (
        ("kind",),
        lambda found: [((kind,), count) for kind, count in found.left_behind.items()],
    ),
    "avi_controller_upgrade_forecast_end_timestamp_seconds": (
        ("bound",),
        lambda _: [],
    ),  # of units alone, none is known
    "avi_controller_upgrades_readable": ((), lambda found: one(found.readable)),
    "avi_image_users": (("image_uuid", "role"), lambda found: list(found.image_users.items())),
    "avi_image_pinned": (
        ("image_uuid",),
        lambda found: [((uuid,), pinned) for uuid, pinned in found.images_pinned.items()],
    ),
}
HELPS = {family.name: family.help for family in (*UPGRADE_FAMILIES, *OVERVIEW_FAMILIES)}

Fleet = Mapping[str, Sequence[Upgrade]]
fleets: st.SearchStrategy[Fleet] = st.dictionaries(
    texts,
    st.dictionaries(unit_uuids, units, max_size=4).map(
        lambda found: [decode_upgrade(Raw(dumps({**fields, "uuid": uuid})))[0] for uuid, fields in found.items()]
    ),
    max_size=2,
)
IMAGES = ("image-0", "image-9")


class Oracle(Collector):
    """The same fleet as prometheus-client's own families."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        for name, (labels, read) in ORACLE.items():
            family = GaugeMetricFamily(name, HELPS[name], labels=("controller", "unit_uuid", "kind", *labels))
            for controller, found in self._fleet.items():
                for unit in found:
                    for values, sample in read(unit):
                        family.add_metric((controller, unit.uuid, unit.kind, *values), sample)
            yield family
        for name, (labels, read_overview) in ORACLE_OVERVIEW.items():
            family = GaugeMetricFamily(name, HELPS[name], labels=("controller", *labels))
            for controller, found in self._fleet.items():
                for values, sample in read_overview(overview_of(found, IMAGES)):
                    family.add_metric((controller, *values), sample)
            yield family


def scrape_of(fleet: Fleet, *, openmetrics: bool) -> bytes:
    headers = [header(family, openmetrics=openmetrics) for family in (*UPGRADE_FAMILIES, *OVERVIEW_FAMILIES)]
    rows = [
        [
            *join_by_family(UPGRADE_FAMILIES, [rendered_in(controller, unit) for unit in found]),
            *render_health(OVERVIEW_FAMILIES, (controller,), overview_of(found, IMAGES)),
        ]
        for controller, found in fleet.items()
    ]
    return b"".join([*order_pieces(headers, rows), b"# EOF\n" if openmetrics else b""])


def rendered_in(controller: str, unit: Upgrade) -> RenderedObject:
    subject = Subject(unit, CHANGED_AT, progress=GROUP_PROGRESS)
    return render_object(UPGRADE_FAMILIES, controller, subject, finest_tier=DETAIL, max_series=10**6)


def in_lines(text: bytes) -> list[bytes]:
    return sorted(text.split(b"\n"))


def test_the_oracle_knows_every_family() -> None:
    assert [*ORACLE, *ORACLE_OVERVIEW] == list(HELPS)
    assert HELPS.keys() & {family.name for family in IMAGE_FAMILIES} == set()
    assert get_args(UpgradePhase) == PHASES


@FEW
@given(fleets)
def test_the_text_format_is_that_of_prometheus_client(fleet: Fleet) -> None:
    """Byte for byte; no series comes twice, and every unit but Service Engines has exactly one state."""
    text = scrape_of(fleet, openmetrics=False)
    assert in_lines(text) == in_lines(generate_latest(Oracle(fleet)))
    series = [each.rpartition(b" ")[0] for each in text.split(b"\n") if each and not each.startswith(b"#")]
    assert len(series) == len(set(series))
    ones = [each for each in text.split(b"\n") if each.startswith(b"avi_upgrade_state{") and each.endswith(b" 1.0")]
    assert len(ones) == sum(unit.kind != "se" for found in fleet.values() for unit in found)


@FEW
@given(fleets)
def test_openmetrics_is_byte_for_byte_that_of_prometheus_client(fleet: Fleet) -> None:
    theirs: bytes = generate_openmetrics(Oracle(fleet))  # type: ignore[no-untyped-call]
    assert in_lines(scrape_of(fleet, openmetrics=True)) == in_lines(theirs)


overviews = st.lists(units, max_size=3).map(
    lambda found: overview_of(
        [decode_upgrade(Raw(dumps({**fields, "uuid": f"cluster-{n}"})))[0] for n, fields in enumerate(found)], IMAGES
    )
) | st.just(Overview())


@BOUNDED
@given(overviews, overviews)
def test_a_family_of_the_overview_that_is_not_rendered_again_has_the_same_text(
    before: Overview, after: Overview
) -> None:
    texts_before = render_health(OVERVIEW_FAMILIES, ("c1",), before)
    rendered = render_changes(OVERVIEW_FAMILIES, ("c1",), (before, texts_before), after)
    assert rendered == render_health(OVERVIEW_FAMILIES, ("c1",), after)
