"""``PATCH /api/upgradestatusinfo/{uuid}``: annotations of one operation of a unit, and nothing else."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from monitor.daemon.app import Daemon
from monitor.patching.audit import AnnotationReplay, Record, faults
from monitor.simulator import SimulatedController, Simulator, UpgradeSpec
from monitor.store.audit_log import AuditLog
from monitor.store.audit_queries import Head, StoredAnnotation
from tests.support.conformance import require_conformance
from tests.support.daemons import polled, samples, scrape, until, watching
from tests.support.nights import planned, upgrade_night
from tests.support.operators import ALICE, EVE, ROOT, TOKENS, Got, ask, audit, token
from tests.support.unit_client import SPEC
from tests.support.upgrade_reads import logging

NARROW = "aum_narrow"
NOTE = {"annotations": {"change": "CHG1"}}
TRUE = {"annotations": {"acknowledged": "true"}}


class Unit:
    """The cluster of a controller, as clients of the daemon reach it; alice may annotate."""

    def __init__(self, daemon: Daemon, controller: SimulatedController) -> None:
        self.daemon = daemon
        self.controller = controller
        self.uuid = controller.upgrades.cluster_uuid
        self.path = f"/api/upgradestatusinfo/{self.uuid}"

    async def ask(self, method: str, body: object = None, **how: Any) -> Got:  # noqa: ANN401
        got = await ask(self.daemon, method, self.path, body, **{"token": ALICE, **how})
        require_conformance(method, self.path, got.status, got.headers, got.body)
        return got

    async def patch(self, body: object, **how: Any) -> Got:  # noqa: ANN401
        return await self.ask("PATCH", body, **how)

    async def annotations(self) -> dict[str, str]:
        found: dict[str, str] = (await self.ask("GET")).json["annotations"]
        return found

    async def series(self, name: str) -> list[float]:
        return samples(await scrape(self.daemon), name, unit_uuid=self.uuid)


@pytest.fixture
async def unit(tmp_path: Path) -> AsyncIterator[Unit]:
    narrow = token("narrow", NARROW, "annotate", controllers=["dc2"])
    async with (
        Simulator([SPEC, replace(SPEC, name="dc2")], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=[*TOKENS, narrow]) as daemon,
    ):
        await polled(daemon, "dc1")
        yield Unit(daemon, simulator.controllers["dc1"])


async def test_a_unit_at_rest_is_annotated_and_its_controller_is_sent_nothing(unit: Unit) -> None:
    before = (await unit.ask("GET")).tag
    got = await unit.patch({"annotations": {"change": "CHG1", "acknowledged": "yes"}}, token=ALICE)
    assert (got.status, got.json["uuid"]) == (200, unit.uuid)
    assert got.json["annotations"] == await unit.annotations() == {"change": "CHG1", "acknowledged": "yes"}
    assert got.tag == (await unit.ask("GET")).tag != before
    assert (await unit.series("avi_upgrade_annotations"), await unit.series("avi_upgrade_acknowledged")) == (
        [2.0],
        [1.0],
    )
    assert {request.method for request in unit.controller.requests if request.path != "/login"} == {"GET"}

    (entry,) = await audit(unit.daemon, uuid=unit.uuid)
    assert (entry["uuid"], entry["image_uuid"], entry["operation_key"]) == (unit.uuid, "", "")
    assert (entry["actor"], entry["outcome"]) == ("alice", "done")
    assert entry["changes"]["annotations.change"] == [None, "CHG1"]
    assert await audit(unit.daemon, image=unit.uuid) == [entry], "by the name of before"


FORMS: list[tuple[object, dict[str, str]]] = [
    ({"annotations": {"a": None, "c": "d"}}, {"b": "1", "c": "d"}),
    ({"add": {"annotations": {"c": "d"}}}, {"a": "1", "b": "1", "c": "d"}),
    ({"replace": {"annotations": {"c": "d"}}}, {"c": "d"}),
    ({"delete": {"annotations": ["a"]}}, {"b": "1"}),
    ({"json_patch": [{"op": "remove", "path": "/annotations/a"}]}, {"b": "1"}),
]


async def test_each_form_changes_annotations_as_of_an_image(unit: Unit) -> None:
    for body, after in FORMS:
        await unit.patch({"replace": {"annotations": {"a": "1", "b": "1"}}})
        assert (await unit.patch(body)).status == 200
        assert await unit.annotations() == after, body


REFUSED: list[tuple[int, str, object, dict[str, Any]]] = [
    (422, "read-only-field", {"name": "x"}, {"token": ROOT}),
    (422, "read-only-field", {"replace": {"state": {"state": "UPGRADE_FSM_COMPLETED"}}}, {"token": ROOT}),
    (422, "bad-patch", {"annotations": {"a": 5}}, {}),
    (422, "too-many-annotations", {"annotations": {f"k{each}": "x" for each in range(65)}}, {}),
    (400, "bad-query", NOTE, {"query": {"force": "true"}}),
    (400, "no-version", NOTE, {"X_Avi_Version": None}),
    (403, "forbidden", NOTE, {"token": EVE}),
    (404, "no-such-unit", NOTE, {"token": NARROW}),
    (404, "no-such-unit", NOTE, {"query": {"controller": "dc2"}}),
    (404, "name-mismatch", NOTE, {"query": {"name": "another"}}),
    (404, "tenant-mismatch", NOTE, {"X_Avi_Tenant": "others"}),
    (412, "precondition-failed", NOTE, {"If_Match": '"another"'}),
    (415, "unsupported-media-type", NOTE, {"Content_Type": "text/plain"}),
]


async def test_a_refused_request_changes_nothing(unit: Unit) -> None:
    for status, kind, body, how in REFUSED:
        got = await unit.patch(body, **how)
        assert (got.status, got.kind) == (status, kind), (body, how)
    assert await unit.annotations() == {}
    assert {request.method for request in unit.controller.requests if request.path != "/login"} == {"GET"}


async def test_of_two_changes_with_one_tag_only_the_first_is_made(unit: Unit) -> None:
    tag = (await unit.ask("GET")).tag
    assert (await unit.patch(NOTE, If_Match=tag)).status == 200
    got = await unit.patch({"annotations": {"change": "CHG2"}}, If_Match=tag)
    assert (got.status, got.tag) == (412, (await unit.ask("GET")).tag)
    assert "the unit has changed" in got.json["detail"]
    assert [entry["outcome"] for entry in await audit(unit.daemon, uuid=unit.uuid)] == ["refused", "done"]


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(unit: Unit) -> None:
    got = await unit.patch(NOTE, query={"dry_run": "true"})
    assert (got.status, got.json["dry_run"]) == (200, True)
    assert got.json["unit"]["annotations"] == {"change": "CHG1"}
    assert got.json["changes"] == {"annotations.change": [None, "CHG1"]}
    assert (await unit.annotations(), await audit(unit.daemon)) == ({}, [])


async def test_options_lists_the_accepted_media_types(unit: Unit) -> None:
    got = await unit.ask("OPTIONS")
    assert (got.status, got.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, PATCH")
    assert "application/merge-patch+json" in got.headers["Accept-Patch"]


async def test_the_tenant_is_that_in_which_units_are_watched(tmp_path: Path) -> None:
    """Units of all tenants, images of one."""
    every = {"upgrades": {"tenant": "*"}}
    async with (
        Simulator([SPEC], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS, of_each=every) as daemon,
    ):
        await polled(daemon, "dc1")
        unit = Unit(daemon, simulator.controllers["dc1"])
        assert (await unit.patch(NOTE, X_Avi_Tenant="blue")).status == 200
        image = next(iter(daemon.fleet.entries["dc1"].objects("image")))
        got = await ask(daemon, "PATCH", f"/api/image/{image}", NOTE, token=ALICE, X_Avi_Tenant="blue")
        assert (got.status, got.kind) == (404, "tenant-mismatch")


async def test_an_acknowledgement_is_made_while_the_controllers_are_away_and_stays_when_they_return(
    tmp_path: Path,
) -> None:
    async with upgrade_night(tmp_path, planned(), step_s=60.0, tokens=TOKENS) as (daemon, night):
        await night.go_to("away", after_s=60.0)
        unit = Unit(daemon, night.controller)
        assert not daemon.fleet.entries["dc1"].session.up
        got = await unit.patch(TRUE)
        assert (got.status, got.json["annotations"]) == (200, TRUE["annotations"])
        await night.go_to("back", after_s=60.0)
        assert await unit.annotations() == TRUE["annotations"]
        assert await unit.series("avi_upgrade_acknowledged") == [1.0]


async def test_annotations_lapse_with_the_operation_and_stay_in_the_audit(tmp_path: Path) -> None:
    spec = planned(outcome="controller_failed")
    with logging() as logs:
        async with upgrade_night(tmp_path, spec, step_s=60.0, tokens=TOKENS) as (daemon, night):
            unit = Unit(daemon, night.controller)
            await unit.patch({"annotations": {"planned": "tonight"}})
            await night.go_to("controllers", after_s=380.0)
            assert await unit.annotations() == {}, "that was before the upgrade"
            assert (await unit.patch({"annotations": {"acknowledged": "true", "by": "alice"}})).status == 200
            assert (await unit.ask("GET")).json["standing"] == "acknowledged"
            (key,) = {entry["operation_key"] for entry in await audit(daemon, uuid=unit.uuid)} - {""}

            night.controller.upgrades.start(UpgradeSpec(version="31.2.2"), at=night.simulator.clock.now() + 10.0)
            await night.advance(20.0)
            assert await unit.annotations() == {}
            assert await unit.series("avi_upgrade_acknowledged") == [0.0]
            assert (await unit.patch({"annotations": {"second": "try"}})).status == 200
            entries = await audit(daemon, uuid=unit.uuid)
            asked = [list(entry["asked"]["annotations"]) for entry in entries]
            assert asked == [["second"], ["acknowledged", "by"], ["planned"]]
            assert len({entry["operation_key"] for entry in entries}) == 3
            assert await faults_of(daemon) == []
        lapsed = [log for log in logs if log["event"] == "annotations_lapsed"]
        assert [(log["uuid"], log["operation_key"], log["keys"]) for log in lapsed] == [
            (unit.uuid, "", ["planned"]),
            (unit.uuid, key, ["acknowledged", "by"]),
        ]
        assert {(log["log_level"], log["controller"], log["resource"]) for log in lapsed} == {
            ("info", "dc1", "upgrade")
        }


async def test_annotations_of_an_operation_survive_a_restart(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        found = {}
        for body in (NOTE, TRUE):
            async with watching(simulator, tmp_path, tokens=TOKENS) as daemon:
                await until(daemon, "dc1", lambda entry: bool(entry.objects("upgrade")))
                unit = Unit(daemon, simulator.controllers["dc1"])
                assert (await unit.patch(body)).status == 200
                found = await unit.annotations()
    assert found == NOTE["annotations"] | TRUE["annotations"]


async def faults_of(daemon: Daemon) -> list[str]:
    """What ``audit verify`` finds wrong with the records, and with the annotations that they give."""

    def check(records: Iterator[Record], head: Head, stored: Iterator[StoredAnnotation]) -> list[str]:
        replay = AnnotationReplay()
        return [*faults(replay.follow(records), head), *replay.faults(stored)]

    audit_log = daemon.context.audit_log
    assert isinstance(audit_log, AuditLog)
    return await audit_log.read_chain(check)
