"""Decoding upgrade status: as real Controllers send it, every value of the vendor's enumerations, and any bytes."""

import json
from math import isfinite
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.avi.paging import assemble, decode_page
from monitor.avi.upgrade import UPGRADE_UNKNOWN_FIELDS, decode_spans, decode_upgrade
from monitor.model.errors import BadObject
from monitor.model.tracked import Event, EventState
from monitor.model.upgrade import (
    ENGINE_STATES,
    Check,
    CheckResult,
    Checks,
    DryRun,
    Engines,
    ImageRef,
    OperationName,
    UnitKind,
    Upgrade,
    UpgradeState,
    Version,
)
from tests.support.strategies import BOUNDED, dumps, json_values
from tests.support.upgrade_strategies import FSM_STATES, OPERATIONS, unit_fields, units

AT_REST = (Path(__file__).parents[2] / "data" / "upgrade-status-at-rest.json").read_bytes()
"""The form of a list that a Controller of 20.1.6 gave at rest, with other uuids and names."""

START, END = "2025-02-13 10:31:05", "2025-02-13 10:32:40"
STARTED_AT, ENDED_AT = 1739442665.0, 1739442760.0
IMAGE = "https://avi.example.net/api/image/"
ENGINE = "https://avi.example.net/api/serviceengine/"


def raw(**fields: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps({"uuid": "serviceenginegroup-1", **fields}).encode())


def upgrade_of(**fields: object) -> Upgrade:
    upgrade, _ = decode_upgrade(raw(**fields))
    return upgrade


def unknown_of(**fields: object) -> tuple[str, ...]:
    _, unknown = decode_upgrade(raw(**fields))
    return unknown


def in_state(fsm: str, **fields: object) -> Upgrade:
    return upgrade_of(state={"state": fsm}, **fields)


def engines_of(**fields: object) -> Engines:
    engines = upgrade_of(seg_status=fields).engines
    assert engines
    return engines


def event_of(**fields: object) -> Event:
    events = [{"task_name": "MigrateConfig", "sub_events": [{"ip": {"addr": "10.0.0.11"}, **fields}]}]
    (event,) = upgrade_of(upgrade_events=events).events
    return event


# --- the recorded form


def test_units_at_rest_are_decoded() -> None:
    listing = assemble([decode_page(AT_REST)])
    assert listing
    found = [decode_upgrade(raw_unit) for raw_unit in listing.raws.values()]
    assert [unknown for _, unknown in found] == [()] * 5
    units_found = [upgrade for upgrade, _ in found]
    assert [unit.kind for unit in units_found] == ["controller", "se_group", "se_group", "se", "se"]
    assert [unit.state_changed_at for unit in units_found] == [
        1637183042.423598,
        1637183048.07712,
        1637184391.104598180,
        1637185520.961219738,
        1637185533.020417,
    ]
    assert {(unit.state, unit.fsm, unit.progress_ratio) for unit in units_found} == {("idle", "UPGRADE_FSM_INIT", None)}
    assert {unit.version for unit in units_found} == {Version("20.1.6-9132-20210615.024303")}
    assert {unit.version.version for unit in units_found} == {"20.1.6"}
    assert {unit.previous for unit in units_found} == {Version()}
    assert {(unit.rollback_possible, unit.patch_rollback_possible) for unit in units_found} == {(False, False)}


def test_two_groups_of_one_name_are_two_units_of_two_clouds() -> None:
    listing = assemble([decode_page(AT_REST)])
    assert listing
    groups = [unit for unit, _ in map(decode_upgrade, listing.raws.values()) if unit.kind == "se_group"]
    assert [(group.name, group.cloud) for group in groups] == [
        ("Default-Group", "Default-Cloud"),
        ("Default-Group", "AWS"),
    ]
    assert len({group.uuid for group in groups}) == 2


def test_the_notes_of_a_group_at_rest_are_no_lists_of_service_engines() -> None:
    unit = upgrade_of(seg_status={"notes": ["2021-11-17 21:04:08 Init segroup(Default-Group)"]})
    assert unit.engines == Engines()
    assert unit.notes == ("2021-11-17 21:04:08 Init segroup(Default-Group)",)


def test_one_bad_unit_does_not_affect_the_others() -> None:
    body = AT_REST.replace(b'"progress": 0', b'"progress": []', 1)
    listing = assemble([decode_page(body)])
    assert listing
    bad, *others = listing.raws.values()
    with pytest.raises(BadObject, match=r"at `\$.progress`"):
        decode_upgrade(bad)
    assert len([decode_upgrade(each) for each in others]) == 4


def test_a_unit_may_have_nothing_but_its_uuid() -> None:
    assert decode_upgrade(raw()) == (Upgrade(uuid="serviceenginegroup-1", kind="se_group"), ())


def test_a_unit_without_uuid_and_url_is_bad() -> None:
    with pytest.raises(BadObject, match="neither `uuid` nor `url`"):
        decode_upgrade(msgspec.Raw(b'{"name": "x"}'))


def test_empty_texts_are_absent_everywhere() -> None:
    empty = {name: "" for name in unit_fields if name not in _NO_TEXTS}
    assert decode_upgrade(raw(**empty)) == (Upgrade(uuid="serviceenginegroup-1", kind="se_group"), ())


_NO_TEXTS = {"system", "enable_rollback", "enable_patch_rollback", "patch_list", "previous_patch_list", "params"} | {
    "seg_params",
    "seg_status",
    "upgrade_readiness",
    "dryrun_info",
    "upgrade_events",
}


def test_null_is_absent_everywhere() -> None:
    nothing = dict.fromkeys(unit_fields)
    assert decode_upgrade(raw(**nothing)) == (Upgrade(uuid="serviceenginegroup-1", kind="se_group"), ())


# --- a unit under way


def test_every_field_of_a_cluster_under_way_is_decoded() -> None:
    upgrade, unknown = decode_upgrade(
        raw(
            uuid="cluster-1",
            node_type="NODE_CONTROLLER_CLUSTER",
            name="cluster-0-1",
            tenant_ref="https://avi.example.net/api/tenant/admin#admin",
            state={
                "state": "UPGRADE_FSM_IN_PROGRESS",
                "reason": "of the state",
                "last_changed_time": {"secs": "1739442670", "usecs": "250000000"},
                "rebooted": True,
            },
            reason="of the unit",
            upgrade_ops="UPGRADE",
            system=True,
            enable_rollback=True,
            enable_patch_rollback=False,
            progress="37",
            total_tasks="16",
            tasks_completed=5,
            duration="95",
            enqueue_time=START,
            start_time=START,
            end_time=END,
            _last_modified="1739442671000000",
            version="30.2.1-9053-20240610.111213",
            patch_version="2p1",
            previous_version="22.1.6-9191-20240101.111213",
            previous_patch_version="6p3",
            image_ref=f"{IMAGE}image-1#30.2.1-9053",
            params={"image_ref": f"{IMAGE}image-2#31.2.2-9123", "patch_ref": f"{IMAGE}image-3"},
            upgrade_events=[
                {
                    "task_name": "SwitchAndReboot",
                    "sub_events": [
                        {"ip": {"addr": "10.0.0.11"}, "status": True, "start_time": START, "end_time": END},
                        {"ip": {"addr": "10.0.0.12"}, "status": False, "start_time": START, "message": "reboots"},
                    ],
                }
            ],
        )
    )
    assert unknown == ()
    assert upgrade == Upgrade(
        uuid="cluster-1",
        kind="controller",
        name="cluster-0-1",
        tenant="admin",
        state="running",
        fsm="UPGRADE_FSM_IN_PROGRESS",
        reason="of the unit",
        operation="upgrade",
        system=True,
        rollback_possible=True,
        patch_rollback_possible=False,
        progress_ratio=0.37,
        tasks=16,
        tasks_completed=5,
        duration_s=95.0,
        state_changed_at=1739442670.25,
        enqueued_at=STARTED_AT,
        started_at=STARTED_AT,
        ended_at=ENDED_AT,
        last_modified_at=1739442671.0,
        version=Version("30.2.1-9053-20240610.111213", "2p1"),
        previous=Version("22.1.6-9191-20240101.111213", "6p3"),
        images=(
            ImageRef("image-1", "current", "30.2.1-9053"),
            ImageRef("image-2", "target", "31.2.2-9123"),
            ImageRef("image-3", "target"),
        ),
        events=(
            Event("SwitchAndReboot", "10.0.0.11", "succeeded", "", STARTED_AT, ENDED_AT),
            Event("SwitchAndReboot", "10.0.0.12", "running", "", STARTED_AT, message="reboots"),
        ),
    )


def test_a_group_tells_by_its_lists_how_far_it_is() -> None:
    unit = upgrade_of(
        state={"state": "UPGRADE_FSM_IN_PROGRESS"},
        seg_status={
            "progress": 25,
            "duration": "0:12:05",
            "enqueue_time": START,
            "start_time": START,
            "end_time": END,
            "reason": ["one SE does not come back", "", "waiting"],
            "num_se": "7",
            "num_vs": 12,
            "num_vs_disrupted": 2,
            "se_upgrade_completed": [f"{ENGINE}se-1#se one", f"{ENGINE}se-1"],
            "se_upgrade_failed": [f"{ENGINE}se-2"],
            "se_upgrade_in_progress": [f"{ENGINE}se-3"],
            "se_upgrade_not_started": [f"{ENGINE}se-4", f"{ENGINE}se-5"],
            "se_upgrade_suspended": [],
            "se_upgrade_skip_suspended": [f"{ENGINE}se-6"],
            "se_already_upgraded_at_start": [f"{ENGINE}se-7"],
            "se_disconnected_at_start": None,
            "se_reboot_in_progress_ref": f"{ENGINE}se-3",
            "se_upgrade_errors": [{"task": "SE_UPGRADE_ERROR", "reason": ["timeout"]}, {"task": "VS_DISRUPTED"}],
        },
    )
    assert (unit.progress_ratio, unit.duration_s) == (0.25, 725.0)
    assert (unit.enqueued_at, unit.started_at, unit.ended_at) == (STARTED_AT, STARTED_AT, ENDED_AT)
    assert unit.reason == "one SE does not come back; waiting"
    assert unit.engines == Engines(
        completed=("se-1",),
        failed=("se-2",),
        in_progress=("se-3",),
        not_started=("se-4", "se-5"),
        skipped=("se-6",),
        at_start={"already_upgraded": 1, "disconnected": 0, "powered_off": 0, "ip_missing": 0},
        listed=True,
        expected=7,
        virtual_services=12,
        virtual_services_disrupted=2,
        rebooting="se-3",
        errors=2,
    )


def test_what_the_unit_says_wins_over_its_group_status() -> None:
    unit = upgrade_of(
        state={"state": "UPGRADE_FSM_IN_PROGRESS", "reason": "of the state"},
        progress=50,
        duration=10,
        start_time=START,
        seg_status={"progress": 25, "duration": "99", "start_time": END, "reason": "of the group"},
    )
    assert (unit.progress_ratio, unit.duration_s, unit.started_at) == (0.5, 10.0, STARTED_AT)
    assert unit.reason == "of the state"


# --- states


EXPECTED: dict[str, UpgradeState] = {
    "UPGRADE_FSM_INIT": "idle",
    "UPGRADE_FSM_STARTED": "running",
    "UPGRADE_FSM_WAITING": "queued",
    "UPGRADE_FSM_IN_PROGRESS": "running",
    "UPGRADE_FSM_ENQUEUED": "queued",
    "UPGRADE_FSM_ERROR": "failed",
    "UPGRADE_FSM_SUSPENDED": "suspended",
    "UPGRADE_FSM_ENQUEUE_FAILED": "failed",
    "UPGRADE_FSM_PAUSED": "suspended",
    "UPGRADE_FSM_COMPLETED": "completed",
    "UPGRADE_FSM_ABORT_IN_PROGRESS": "aborting",
    "UPGRADE_FSM_ABORTED": "failed",
    "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS": "running",
    "UPGRADE_FSM_CONTROLLER_COMPLETED": "running",
    "UPGRADE_FSM_DUMMY_3": "unknown",
    "UPGRADE_FSM_DUMMY_4": "unknown",
    "UPGRADE_FSM_DUMMY_5": "unknown",
    "UPGRADE_PRE_CHECK_STARTED": "checking",
    "UPGRADE_PRE_CHECK_IN_PROGRESS": "checking",
    "UPGRADE_PRE_CHECK_SUCCESS": "checked",
    "UPGRADE_PRE_CHECK_ERROR": "check_failed",
    "UPGRADE_PRE_CHECK_WARNING": "checked",
}
OF_EVALUATIONS: dict[str, UpgradeState] = EXPECTED | {
    "UPGRADE_FSM_STARTED": "checking",
    "UPGRADE_FSM_IN_PROGRESS": "checking",
    "UPGRADE_FSM_COMPLETED": "checked",
    "UPGRADE_FSM_ERROR": "check_failed",
}


@pytest.mark.parametrize("fsm", FSM_STATES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_value_of_the_vendor_has_its_state(fsm: str, operation: str) -> None:
    unit, unknown = decode_upgrade(raw(state={"state": fsm}, upgrade_ops=operation))
    only_checked = operation.startswith("EVAL_") or operation == "UPGRADE_DRYRUN"
    assert unit.state == (OF_EVALUATIONS if only_checked else EXPECTED)[fsm]
    assert unit.fsm == fsm
    assert unknown == (("upgrade_state",) if "DUMMY" in fsm else ())


@pytest.mark.parametrize(
    ("state", "expected", "fsm", "unknown"),
    [
        pytest.param(None, "idle", "", (), id="absent"),
        pytest.param({}, "idle", "", (), id="without a value"),
        pytest.param({"state": ""}, "idle", "", (), id="empty"),
        pytest.param("UPGRADE_FSM_ERROR", "failed", "UPGRADE_FSM_ERROR", (), id="only its name"),
        pytest.param({"state": "UPGRADE_FSM_TEA"}, "unknown", "UPGRADE_FSM_TEA", ("upgrade_state",), id="new"),
        pytest.param({"state": "at tea"}, "unknown", "other", ("upgrade_state",), id="no enumeration"),
    ],
)
def test_a_state_that_is_absent_or_unknown(
    state: object, expected: UpgradeState, fsm: str, unknown: tuple[str, ...]
) -> None:
    unit, found = decode_upgrade(raw(state=state))
    assert (unit.state, unit.fsm, found) == (expected, fsm, unknown)


def test_an_idle_unit_has_no_progress() -> None:
    assert in_state("UPGRADE_FSM_INIT", progress=0).progress_ratio is None
    assert in_state("UPGRADE_FSM_COMPLETED", progress=0).progress_ratio == 0.0


# --- kinds, operations, versions, images


@pytest.mark.parametrize(
    ("uuid", "node_type", "kind", "unknown"),
    [
        ("cluster-1", None, "controller", ()),
        ("serviceenginegroup-1", "", "se_group", ()),
        ("se-i-0c41d2e3f4a5b6c78", None, "se", ()),
        ("seven-1", None, "unknown", ()),
        ("se-1", "NODE_SE_GROUP", "se_group", ()),
        ("cluster-1", "NODE_TEA", "controller", ("node_type",)),
    ],
)
def test_the_kind_of_a_unit(uuid: str, node_type: str | None, kind: UnitKind, unknown: tuple[str, ...]) -> None:
    unit, found = decode_upgrade(raw(uuid=uuid, node_type=node_type))
    assert (unit.kind, found) == (kind, unknown)


@pytest.mark.parametrize(
    ("value", "operation", "label", "unknown"),
    [
        (None, "", "", ()),
        ("", "", "", ()),
        ("UPGRADE", "upgrade", "upgrade", ()),
        ("ROLLBACKPATCH", "rollback_patch", "rollback_patch", ()),
        ("SEGROUP_RESUME", "resume", "resume", ()),
        ("EVAL_PATCH", "patch", "eval_patch", ()),
        ("UPGRADE_DRYRUN", "dry_run", "dry_run", ()),
        ("EVAL_TEA", "unknown", "eval_unknown", ("upgrade_ops",)),
    ],
)
def test_the_operation_of_a_unit(
    value: str | None, operation: OperationName, label: str, unknown: tuple[str, ...]
) -> None:
    unit, found = decode_upgrade(raw(upgrade_ops=value))
    assert (unit.operation, unit.operation_label, found) == (operation, label, unknown)


@pytest.mark.parametrize(
    ("fields", "patch"),
    [
        ({"patch_version": "2p1", "patch_list": [{"patch_version": "2p2"}]}, "2p1"),
        ({"patch_version": "", "patch_list": [{"patch_version": "2p1"}, {"patch_version": "2p2"}, {}]}, "2p2"),
        ({"patch_list": [{"patch_image_ref": "x"}]}, ""),
    ],
)
def test_the_patch_of_a_unit(fields: dict[str, object], patch: str) -> None:
    assert upgrade_of(version="31.2.2", **fields).version == Version("31.2.2", patch)


def test_every_reference_to_an_image_has_its_role() -> None:
    fields = {
        "image_ref": f"{IMAGE}image-1",
        "patch_image_ref": f"{IMAGE}image-2",
        "se_patch_image_ref": f"{IMAGE}image-2#the same one",
        "patch_list": [{"patch_image_ref": f"{IMAGE}image-3"}, {"patch_image_ref": f"{IMAGE}image-2"}],
        "previous_image_ref": f"{IMAGE}image-4#30.2.1-9053",
        "previous_patch_image_ref": f"{IMAGE}image-5",
        "previous_patch_list": [{"patch_image_ref": "/api/image/?name=by-name"}, {}],
        "params": {"image_ref": f"{IMAGE}image-6", "patch_ref": f"{IMAGE}image-7"},
        "seg_params": {"image_ref": f"{IMAGE}image-6", "patch_ref": f"{IMAGE}image-8"},
        "upgrade_readiness": {"image_ref": f"{IMAGE}image-6", "patch_image_ref": f"{IMAGE}image-9"},
        "remote_image_ref": "https://elsewhere.example.net/image-10",
    }
    at_rest = [
        ImageRef("image-1", "current"),
        ImageRef("image-4", "previous", "30.2.1-9053"),
        ImageRef("image-2", "patch", "the same one"),
        ImageRef("image-3", "patch"),
        ImageRef("image-5", "previous_patch"),
    ]
    targets = [ImageRef(f"image-{n}", "target") for n in (6, 7, 8, 9)]
    assert list(in_state("UPGRADE_FSM_COMPLETED", **fields).images) == at_rest
    for fsm in ("UPGRADE_FSM_IN_PROGRESS", "UPGRADE_FSM_SUSPENDED", "UPGRADE_PRE_CHECK_STARTED"):
        assert list(in_state(fsm, **fields).images) == [at_rest[0], *targets, *at_rest[1:]]


# --- values


@pytest.mark.parametrize(
    ("duration", "seconds", "unknown"),
    [
        (None, None, ()),
        ("", None, ()),
        ("725", 725.0, ()),
        ("725.5", 725.5, ()),
        ("0:12:05", 725.0, ()),
        ("100:00:01", 360001.0, ()),
        ("0:12:05.123456", 725.0, ()),
        ("725 sec", 725.0, ()),
        ("725sec", 725.0, ()),
        ("725 seconds", 725.0, ()),
        ("12:05", None, ("duration",)),
        ("a while", None, ("duration",)),
    ],
)
def test_the_duration_of_a_group(duration: str | None, seconds: float | None, unknown: tuple[str, ...]) -> None:
    unit, found = decode_upgrade(raw(seg_status={"duration": duration}))
    assert (unit.duration_s, found) == (seconds, unknown)


@pytest.mark.parametrize(
    ("fields", "state", "unknown"),
    [
        pytest.param({}, "pending", (), id="nothing"),
        pytest.param({"status": False}, "pending", (), id="false and no time"),
        pytest.param({"start_time": START}, "running", (), id="a start"),
        pytest.param({"start_time": START, "status": False}, "running", (), id="false while it runs"),
        pytest.param({"start_time": START, "end_time": END, "status": True}, "succeeded", (), id="true"),
        pytest.param({"start_time": START, "status": True}, "succeeded", (), id="true before an end"),
        pytest.param({"end_time": END, "status": False}, "failed", (), id="false at the end"),
        pytest.param({"end_time": END}, "succeeded", ("event_status",), id="an end without a status"),
        pytest.param({"end_time": END, "status": "true"}, "succeeded", (), id="true as text"),
        pytest.param({"end_time": END, "status": "False"}, "failed", (), id="false as text"),
        pytest.param({"start_time": START, "status": "SYSERR_IO"}, "running", ("event_status",), id="another text"),
    ],
)
def test_the_state_of_an_event(fields: dict[str, object], state: EventState, unknown: tuple[str, ...]) -> None:
    assert event_of(**fields).state == state
    assert unknown_of(upgrade_events=[{"task_name": "T", "nodes_events": [fields]}]) == unknown


@pytest.mark.parametrize(
    ("task", "name", "unknown"),
    [
        ({"task_name": "MigrateConfig", "task": "BREW_TEA"}, "MigrateConfig", ()),
        ({"task_name": "BrewTea"}, "BrewTea", ()),
        ({"task": "MIGRATE_CONFIG"}, "MIGRATE_CONFIG", ()),
        ({"task": "BREW_TEA"}, "BREW_TEA", ("task",)),
        ({}, "unknown", ()),
    ],
)
def test_the_task_of_an_event(task: dict[str, object], name: str, unknown: tuple[str, ...]) -> None:
    unit, found = decode_upgrade(raw(upgrade_events=[{**task, "sub_events": [{"start_time": START}]}]))
    assert ([event.task for event in unit.events], found) == ([name], unknown)


def test_one_task_on_one_node_is_one_event_over_both_lists_and_repeated_tasks() -> None:
    maps = [
        {"task_name": "T", "nodes_events": [{"start_time": START}], "sub_events": [{"start_time": END}]},
        {"task_name": "T", "sub_events": [{"ip": {"addr": "10.0.0.11"}, "start_time": START}]},
    ]
    assert upgrade_of(upgrade_events=maps).events == (
        Event("T", "unknown", "running", "", ENDED_AT),
        Event("T", "10.0.0.11", "running", "", STARTED_AT),
    )


def test_a_span_lasts_from_the_first_start_of_a_task_on_a_node_to_its_last_end() -> None:
    first = {"ip": {"addr": "n1"}, "start_time": START, "end_time": "2025-02-13 10:31:30", "status": True}
    second = {"ip": {"addr": "n1"}, "start_time": "2025-02-13 10:32:00", "end_time": END, "status": True}
    fields = {"name": "blue", "upgrade_events": [{"task_name": "Install", "sub_events": [second, first]}]}
    (event,) = decode_spans(raw(**fields)).events
    assert (event.started_at, event.ended_at, event.state) == (STARTED_AT, ENDED_AT, "succeeded")
    assert msgspec.structs.replace(decode_spans(raw(**fields)), events=()) == upgrade_of(name="blue")


def test_checks_are_the_exceptions_that_the_controller_lists() -> None:
    unit, unknown = decode_upgrade(
        raw(
            upgrade_readiness={
                "state": {"state": "UPGRADE_PRE_CHECK_WARNING"},
                "total_checks": 42,
                "checks_completed": "42",
                "start_time": START,
                "end_time": END,
                "image_ref": "https://10.0.0.1/api/image/image-6#31.2.2",
                "checks": [
                    {
                        "check_code": "SYSERR_MC_DISK",
                        "state": "UPGRADE_PRE_CHECK_ERROR",
                        "description": "too little space",
                        "details": ["10.0.0.11: 3 GB"],
                        "error_details": ["df"],
                    },
                    {"check_code": "SYSERR_MC_VS", "state": {"state": "UPGRADE_PRE_CHECK_WARNING"}},
                    {"check_code": "no code", "state": "UPGRADE_FSM_ERROR"},
                    {},
                ],
            }
        )
    )
    assert unknown == ()
    assert unit.checks == Checks(
        state="checked",
        image_uuid="image-6",
        checks=42,
        checks_completed=42,
        started_at=STARTED_AT,
        ended_at=ENDED_AT,
        exceptions=(
            Check("SYSERR_MC_DISK", "error", "too little space", ("10.0.0.11: 3 GB", "df")),
            Check("SYSERR_MC_VS", "warning"),
            Check("other", "error"),
            Check("other", "other"),
        ),
    )


def test_checks_that_run_change_nothing_of_the_state_of_the_unit() -> None:
    readiness = {"state": {"state": "UPGRADE_FSM_IN_PROGRESS"}, "patch_image_ref": "https://10.0.0.1/api/image/image-7"}
    unit = in_state("UPGRADE_FSM_INIT", upgrade_readiness=readiness)
    assert unit.checks
    assert (unit.state, unit.checks.state, unit.checks.image_uuid) == ("idle", "checking", "image-7")


def test_a_dry_run_has_a_state_of_its_own() -> None:
    info = {"state": {"state": "UPGRADE_FSM_IN_PROGRESS"}, "progress": "40", "worker": "10.0.0.12", "total_tasks": 9}
    unit = in_state("UPGRADE_FSM_COMPLETED", dryrun_info=info)
    assert (unit.state, unit.dry_run) == ("completed", DryRun(state="running", progress_ratio=0.4, worker="10.0.0.12"))
    assert upgrade_of(dryrun_info={"progress": 0}).dry_run == DryRun()


def test_free_texts_are_clipped() -> None:
    unit = upgrade_of(
        name="n" * 300, reason="r" * 300, seg_status={"notes": [f"{n:03}" + "x" * 300 for n in range(50)]}
    )
    assert (len(unit.name), len(unit.reason)) == (200, 200)
    assert [note[:3] for note in unit.notes] == [f"{n:03}" for n in range(30, 50)]
    assert {len(note) for note in unit.notes} == {200}
    assert len(event_of(message="x" * 20_000).message) == 10_000


def test_more_events_than_any_budget_exports_are_left_out_and_counted() -> None:
    flood = [{"task_name": f"T{n}", "sub_events": [{}]} for n in range(5_001)]
    assert decode_upgrade(raw(upgrade_events=flood, name="x")) == (
        Upgrade(uuid="serviceenginegroup-1", kind="se_group", name="x"),
        ("events",),
    )


def test_an_object_with_a_huge_history_is_bad_and_says_why() -> None:
    with pytest.raises(BadObject, match="expected at most 1048576"):
        decode_upgrade(raw(history=["x" * 2**20]))


# --- properties


def is_valid(unit: Upgrade) -> bool:
    numbers = [unit.progress_ratio, unit.state_changed_at, unit.started_at, unit.duration_s, unit.enqueued_at]
    return bool(unit.uuid) and all(number is None or (isfinite(number) and number >= 0) for number in numbers)


def decoded_or_message(body: bytes) -> Upgrade | str:
    try:
        upgrade, unknown = decode_upgrade(msgspec.Raw(body))
    except BadObject as error:
        return str(error)
    assert set(unknown) <= set(UPGRADE_UNKNOWN_FIELDS)
    return upgrade


members = st.dictionaries(st.sampled_from([*unit_fields, "uuid"]), json_values, max_size=8)


@BOUNDED
@given(
    st.binary(max_size=60)
    | json_values.map(dumps)
    | members.map(lambda found: dumps({"uuid": "se-1", **found}))
    | units.map(lambda fields: dumps({"uuid": "se-1", **fields}))
)
@example(b"[" * 200_000 + b"]" * 200_000)
@example(b'{"uuid": "se-1", "history": %s%s}' % (b"[" * 200_000, b"]" * 200_000))
@example(rb'{"uuid": "\ud800"}')
@example(b'{"uuid": "se-1", "state": {"last_changed_time": {"secs": "1%s"}}}' % (b"0" * 5000))
@example(b'{"uuid": "se-1", "progress": NaN}')
@example(b'{"uuid": "se-1", "seg_status": {"num_se": -1, "duration": 1e308}}')
@example(b'{"uuid": "se-1", "upgrade_events": [null]}')
@example(b"")
def test_any_bytes_are_a_valid_unit_or_a_bad_object_with_a_short_message(body: bytes) -> None:
    found = decoded_or_message(body)
    assert is_valid(found) if isinstance(found, Upgrade) else 0 < len(found) <= 200


@BOUNDED
@given(units)
def test_a_unit_with_the_right_types_is_never_bad(fields: dict[str, object]) -> None:
    """It never has two events of one task and node, or an engine twice in a list."""
    unit = upgrade_of(**fields)
    assert unit.state in get_args(UpgradeState)
    assert unit.operation in get_args(OperationName)
    assert unit.kind in get_args(UnitKind)
    keys = [(event.task, event.node) for event in unit.events]
    assert len(keys) == len(set(keys))
    for state in ENGINE_STATES:
        listed = getattr(unit.engines or Engines(), state)
        assert len(listed) == len(set(listed))
    checks = unit.checks or Checks()
    assert {check.result for check in checks.exceptions} <= {*get_args(CheckResult)}
