"""Where a controller stands, whether its upgrade is done, and who was left behind: no true that is a mistake."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from monitor.avi.upgrade import decode_upgrade
from monitor.model.upgrade import (
    Engines,
    ImageRef,
    Overview,
    UnitKind,
    Upgrade,
    UpgradePhase,
    UpgradeState,
    Version,
)
from monitor.polling.upgrade import (
    MAX_VERSIONS,
    Units,
    blocks_configuration,
    done,
    engines_without_series,
    from_and_to,
    image_users,
    is_under_way,
    left_behind,
    overview_of,
    phase_of,
    sort_units,
    stalled_after_s,
    took_part,
    versions,
)
from tests.support.strategies import BOUNDED, dumps
from tests.support.upgrade_strategies import TAGS, unit_uuids, units

OLD, NEW = Version("30.2.1-9053-20240610.111213"), Version("31.2.2-9123-20250615.024303")
BEGAN, LATER, YEARS_AGO = 1_750_000_000.0, 1_750_000_600.0, 1_600_000_000.0
FSM: Mapping[UpgradeState, str] = {"running": "UPGRADE_FSM_IN_PROGRESS", "completed": "UPGRADE_FSM_COMPLETED"}
SE_PHASE = "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS"


def unit(uuid: str, kind: UnitKind, state: UpgradeState, **fields: Any) -> Upgrade:  # noqa: ANN401
    """A unit of an upgrade to NEW that began at BEGAN."""
    at_rest = state == "idle"
    usual: dict[str, Any] = {
        "version": OLD if state in {"idle", "queued", "checking", "running"} else NEW,
        "started_at": None if at_rest else BEGAN,
        "operation": "" if at_rest else "upgrade",
        "fsm": FSM.get(state, ""),
    }
    return Upgrade(uuid=uuid, kind=kind, state=state, **(usual | fields))


def cluster(state: UpgradeState = "completed", **fields: Any) -> Upgrade:  # noqa: ANN401
    return unit("cluster-1", "controller", state, **({"system": True} | fields))


def group(state: UpgradeState = "completed", **fields: Any) -> Upgrade:  # noqa: ANN401
    return unit(
        "serviceenginegroup-1", "se_group", state, **({"started_at": None if state == "idle" else LATER} | fields)
    )


def engine(state: UpgradeState = "completed", **fields: Any) -> Upgrade:  # noqa: ANN401
    return unit("se-1", "se", state, **({"started_at": None if state == "idle" else LATER} | fields))


def of(*found: Upgrade) -> Units:
    return sort_units(found)


CONTROLLERS_DONE = cluster("running", fsm=SE_PHASE, version=NEW)


# --- which cluster drives


def test_units_are_sorted_by_kind() -> None:
    found = [engine(), group(), cluster(), Upgrade(uuid="x")]
    assert sort_units(found) == Units(found[2], (found[1],), (found[0], found[3]))
    assert sort_units([]) == Units()


def test_of_several_clusters_the_one_that_is_named_drives_or_the_one_that_changed_last() -> None:
    old = replace(cluster("failed"), uuid="cluster-old", state_changed_at=YEARS_AGO)
    current = replace(cluster(), uuid="cluster-new", state_changed_at=BEGAN)
    unknown = replace(cluster(), uuid="cluster-silent", state_changed_at=None)
    found = [old, current, unknown]
    assert sort_units(found).cluster is current
    assert sort_units(found, cluster_uuid="cluster-old").cluster is old
    assert sort_units(found, cluster_uuid="cluster-gone").cluster is current


def test_a_cluster_that_does_not_drive_changes_nothing() -> None:
    leftover = replace(cluster("running"), uuid="cluster-old", state_changed_at=YEARS_AGO)
    found = of(leftover, replace(cluster(), state_changed_at=BEGAN), group())
    assert (phase_of(found), done(found), is_under_way(found)) == ("none", True, False)


# --- phases


@dataclass(frozen=True)
class Case:
    units: tuple[Upgrade, ...]
    phase: UpgradePhase
    failing: bool = False


PHASES = {
    "nothing is known": Case((), "none"),
    "never upgraded": Case((cluster("idle"), group("idle")), "none"),
    "all completed": Case((cluster(), group(), engine()), "none"),
    "an old failure": Case((cluster("failed"), group("failed")), "none"),
    "the cluster is checked": Case((cluster("checking"),), "checking"),
    "an evaluation waits": Case((cluster("queued", evaluation=True), group("idle")), "checking"),
    "a group is checked": Case((cluster("idle"), group("checking")), "checking"),
    "the cluster waits": Case((cluster("queued"), group("checking")), "controllers"),
    "the cluster runs": Case((cluster("running"), group("queued"), engine("running")), "controllers"),
    "polls fail meanwhile": Case((cluster("running"), group("idle")), "away", failing=True),
    "polls fail while it aborts": Case((cluster("aborting"),), "away", failing=True),
    "polls fail while it rolls back": Case((cluster("running", operation="rollback"),), "away", failing=True),
    "polls fail with the groups": Case((CONTROLLERS_DONE, group("running")), "service_engines", failing=True),
    "polls fail without an upgrade": Case((cluster(), group()), "none", failing=True),
    "polls fail while it is checked": Case((cluster("checking"),), "checking", failing=True),
    "the groups run": Case((CONTROLLERS_DONE, group("running")), "service_engines"),
    "the groups run in their own night": Case((cluster("idle"), group("queued")), "service_engines"),
    "no group has begun": Case((CONTROLLERS_DONE, group("idle")), "service_engines"),
    "the controllers are completed": Case(
        (cluster("running", fsm="UPGRADE_FSM_CONTROLLER_COMPLETED"), group("completed")), "service_engines"
    ),
    "a group is suspended": Case((cluster(), group("suspended")), "suspended"),
    "the last group is suspended": Case((CONTROLLERS_DONE, group("suspended")), "suspended"),
    "another group goes on": Case((CONTROLLERS_DONE, group("suspended"), group("running")), "service_engines"),
    "the cluster is suspended": Case((cluster("suspended"), group("checking")), "suspended"),
    "the cluster aborts": Case((cluster("aborting"), group("running")), "rolling_back"),
    "the cluster rolls back": Case((cluster("running", operation="rollback"),), "rolling_back"),
    "a patch is taken back": Case((cluster("idle"), group("queued", operation="rollback_patch")), "rolling_back"),
    "an evaluation of a rollback": Case((cluster("checking", operation="rollback", evaluation=True),), "checking"),
}


@pytest.mark.parametrize("case", PHASES.values(), ids=PHASES)
def test_the_phase_when(case: Case) -> None:
    assert phase_of(of(*case.units), failing=case.failing) == case.phase


@pytest.mark.parametrize(
    ("found", "under_way"),
    [
        (cluster("queued"), True),
        (cluster("running"), True),
        (CONTROLLERS_DONE, False),
        (cluster("aborting"), True),
        (cluster("checking"), False),
        (cluster("queued", evaluation=True), False),
        (cluster("suspended"), False),
        (cluster(), False),
        (group("running"), False),
    ],
)
def test_the_controllers_may_be_gone_while_the_cluster_is_at_work(found: Upgrade, *, under_way: bool) -> None:
    assert is_under_way(of(found)) is under_way


@pytest.mark.parametrize(
    ("found", "blocked"),
    [
        ((CONTROLLERS_DONE,), True),
        ((cluster(), group("running")), True),
        ((cluster(system=False), group("running")), False),
        ((cluster(started_at=None), group("running")), False),
        ((cluster(), group()), False),
        ((cluster("running"),), False),
        ((group("running"),), False),
    ],
)
def test_configuration_is_blocked_until_the_groups_of_a_system_upgrade_end(
    found: tuple[Upgrade, ...], *, blocked: bool
) -> None:
    assert blocks_configuration(of(*found)) is blocked


def test_a_group_may_stand_still_for_longer_than_a_cluster() -> None:
    assert [stalled_after_s(unit) for unit in (cluster(), group(), engine())] == [900.0, 1500.0, 1500.0]


# --- whether the upgrade is done

HALF = Engines(listed=True, completed=("a",), failed=("b",))
SEPARATE = cluster(system=False)
PATCHED = cluster(operation="patch", version=Version(NEW.tag, "2p2"))

TOOK_PART = {
    "began later": (group("running"), SEPARATE, True),
    "began together": (group("running", started_at=BEGAN), SEPARATE, True),
    "began together, told in whole seconds": (group(started_at=BEGAN), replace(SEPARATE, started_at=BEGAN + 0.9), True),
    "waits since the cluster began": (group("queued", started_at=YEARS_AGO, enqueued_at=BEGAN), SEPARATE, True),
    "another night": (group(started_at=YEARS_AGO), SEPARATE, False),
    "another night, with system": (group(started_at=YEARS_AGO), cluster(), True),
    "never, with system": (group("idle"), cluster(), True),
    "made after the upgrade": (group("idle", version=NEW), cluster(), False),
    "never": (group("idle"), SEPARATE, False),
    "the flag without a start": (group("idle"), cluster(started_at=None), False),
    "without times": (group("failed", started_at=None), SEPARATE, True),
    "a cluster without times": (group(started_at=YEARS_AGO), replace(SEPARATE, started_at=None), True),
}


@pytest.mark.parametrize(("found", "of_cluster", "part"), TOOK_PART.values(), ids=TOOK_PART)
def test_a_group_took_part(found: Upgrade, of_cluster: Upgrade, *, part: bool) -> None:
    assert took_part(found, of_cluster) is part


DONE: Mapping[str, tuple[tuple[Upgrade, ...], bool | None]] = {
    "nothing is known": ((), None),
    "never upgraded": ((cluster("idle"), group("idle")), None),
    "only the controllers": ((cluster(),), True),
    "all of it": ((cluster(), group(), engine()), True),
    "a group that was made since": ((cluster(), group(), group("idle", version=NEW)), True),
    "groups of another night, though old": ((SEPARATE, group(started_at=YEARS_AGO, version=OLD)), True),
    "skipped service engines": ((cluster(), group(engines=Engines(skipped=("a",)))), True),
    "the cluster runs": ((CONTROLLERS_DONE, group()), False),
    "the controllers are completed": ((cluster("running", fsm="UPGRADE_FSM_CONTROLLER_COMPLETED"),), False),
    "only checks": ((cluster("checked"), group()), False),
    "the cluster failed": ((cluster("failed"), group()), False),
    "a version that is not told": ((cluster(version=Version()),), False),
    "a group runs": ((cluster(), group("running", version=NEW)), False),
    "a group waits": ((cluster(), group("queued", version=NEW)), False),
    "a group failed": ((cluster(), group("failed")), False),
    "a group in a state unheard of": ((cluster(), group("unknown")), False),
    "a group was left behind": ((cluster(), group(version=OLD)), False),
    "a group did not begin": ((cluster(), group("idle")), False),
    "a group has another build": ((cluster(), group(version=Version("31.2.2-9999-x"))), False),
    "a group does not tell its version": ((cluster(), group(version=Version())), False),
    "completed with failed service engines": ((cluster(), group(engines=HALF)), False),
    "completed with suspended ones": ((cluster(), group(engines=Engines(suspended=("a",)))), False),
    "a service engine failed": ((cluster(), group(), engine("failed")), False),
    "a service engine is suspended": ((cluster(), group(), engine("suspended")), False),
    "a service engine stayed behind": ((cluster(), group(), engine(version=OLD)), False),
    "patched, and the group since": ((PATCHED, group(operation="patch", version=Version(NEW.tag, "se2"))), True),
    "patched, and the group as well": ((PATCHED, group(started_at=YEARS_AGO, version=PATCHED.version)), True),
    "patched, and the group is to be": ((PATCHED, group(started_at=YEARS_AGO)), False),
    "patched, and the group was upgraded": ((PATCHED, group()), False),
}


@pytest.mark.parametrize(("found", "expected"), DONE.values(), ids=DONE)
def test_an_upgrade_is_done(found: tuple[Upgrade, ...], expected: bool | None) -> None:
    assert done(of(*found)) is expected


@pytest.mark.parametrize(
    ("found", "behind"),
    [
        pytest.param((cluster("idle"), group("idle", version=NEW)), set(), id="never upgraded"),
        pytest.param((group(),), set(), id="no cluster"),
        pytest.param((cluster(), group(), engine()), set(), id="all of it"),
        pytest.param((cluster(), group(version=OLD), engine(version=OLD)), {"se_group", "se"}, id="old ones"),
        pytest.param((cluster(), group(engines=HALF)), {"se_group"}, id="failed service engines"),
        pytest.param((SEPARATE, group(started_at=YEARS_AGO, version=OLD)), set(), id="of another night"),
    ],
)
def test_units_are_left_behind(found: tuple[Upgrade, ...], behind: set[str]) -> None:
    assert {each.kind for each in left_behind(of(*found))} == behind


# --- properties

decoded_units = st.dictionaries(unit_uuids, units, max_size=5).map(
    lambda found: [decode_upgrade(Raw(dumps({**fields, "uuid": uuid})))[0] for uuid, fields in found.items()]
)
"""Units as a Controller might send them: anything, of which nearly nothing is done."""

moments = st.none() | st.sampled_from((YEARS_AGO, BEGAN - 5.0, BEGAN, LATER))
engine_lists = st.lists(st.sampled_from("abc"), max_size=1).map(tuple)
engines_drawn = st.none() | st.builds(
    Engines, completed=engine_lists, failed=engine_lists, suspended=engine_lists, skipped=engine_lists
)
at_any_version = st.builds(Version, st.sampled_from((*TAGS, NEW.tag, NEW.tag)), st.sampled_from(("", "2p1")))
plausible_units = st.builds(
    Upgrade,
    uuid=st.just("u1"),
    kind=st.sampled_from(("se_group", "se")),
    state=st.sampled_from(("completed", "completed", "completed", *get_args(UpgradeState))),
    operation=st.sampled_from(("upgrade", "patch", "")),
    version=at_any_version,
    enqueued_at=moments,
    started_at=moments,
    engines=engines_drawn,
)
plausible_clusters = st.builds(
    cluster,
    st.sampled_from(("completed", "completed", "completed", *get_args(UpgradeState))),
    system=st.booleans(),
    operation=st.sampled_from(("upgrade", "patch", "rollback")),
    version=at_any_version,
    started_at=moments,
)
"""Clusters and units of which many are done."""


def surely_took_part(found: Upgrade, of_cluster: Upgrade) -> bool:
    """By the contract, and not by our function; false where the contract leaves it open."""
    if of_cluster.system and of_cluster.started_at is not None:
        return found.state != "idle"
    return None not in (found.started_at, of_cluster.started_at) and found.started_at >= of_cluster.started_at  # type: ignore[operator]


@settings(BOUNDED, max_examples=500)
@given(plausible_clusters, st.lists(plausible_units, max_size=3))
def test_done_is_never_true_with_a_failed_engine_a_suspended_one_or_an_old_version(
    of_cluster: Upgrade, below: list[Upgrade]
) -> None:
    if not done(of(of_cluster, *below)):
        return
    assert of_cluster.state == "completed"
    for found in filter(lambda each: surely_took_part(each, of_cluster), below):
        engines = found.engines or Engines()
        assert (engines.failed, engines.suspended) == ((), ())
        assert found.version.version == of_cluster.version.version != ""
        assert found.state == "completed" or (found.kind == "se" and found.state not in {"failed", "suspended"})


SPOILT: Mapping[str, Callable[[Upgrade], Upgrade]] = {
    "a failed engine": lambda found: replace(found, engines=Engines(failed=("x",))),
    "a suspended engine": lambda found: replace(found, engines=Engines(suspended=("x",))),
    "an old version": lambda found: replace(found, version=OLD),
    "no version": lambda found: replace(found, version=Version()),
    **{
        f"{state}": (lambda found, state=state: replace(found, state=state))  # type: ignore[misc]
        for state in get_args(UpgradeState)
        if state not in {"completed", "idle"}
    },
}


@BOUNDED
@given(
    st.lists(plausible_units.filter(lambda found: found.kind == "se_group"), min_size=1, max_size=4),
    st.sampled_from(sorted(SPOILT)),
    st.booleans(),
    st.data(),
)
def test_an_upgrade_that_is_done_is_not_with_one_group_spoilt(
    drawn: list[Upgrade],
    spoil: str,
    system: bool,
    data: st.DataObject,
) -> None:
    groups = [
        replace(group(), uuid=f"g{place}", engines=None, enqueued_at=each.enqueued_at)
        for place, each in enumerate(drawn)
    ]
    of_cluster = cluster(system=system)
    assert done(of(of_cluster, *groups))
    at = data.draw(st.integers(0, len(groups) - 1))
    groups[at] = SPOILT[spoil](groups[at])
    assert done(of(of_cluster, *groups)) is False


@BOUNDED
@given(decoded_units, st.booleans())
def test_any_units_have_one_phase_and_an_overview_that_counts_each_of_them_once(
    found: list[Upgrade],
    failing: bool,
) -> None:
    """The phase is none only when nothing is at work."""
    sorted_units = sort_units(found)
    phase = phase_of(sorted_units, failing=failing)
    driving = [each for each in (sorted_units.cluster, *sorted_units.below) if each]
    at_work = any(each.active or each.state == "suspended" for each in driving)
    assert phase in get_args(UpgradePhase)
    assert (phase == "none") is not at_work
    overview = overview_of(found, ["image-0", "image-9"])
    assert sum(overview.units.values()) == len(found)
    assert overview.images_pinned["image-9"] is False
    assert overview.images_pinned["image-0"] is any(ref.uuid == "image-0" for each in found for ref in each.images)
    assert (overview.done is None) is (overview.left_behind == {})


# --- images, versions, series of Service Engines


def test_the_users_of_an_image_are_counted_by_role() -> None:
    current, previous = ImageRef("i1", "current", "31.2.2"), ImageRef("i0", "previous")
    assert image_users([cluster(images=(current, previous)), group(images=(replace(current, name=""),))]) == {
        ("i1", "current"): 2,
        ("i0", "previous"): 1,
    }


def test_versions_are_counted_by_kind_and_patch() -> None:
    patched = engine(version=Version(NEW.tag, "2p1"))
    assert versions([cluster(), group(), engine(), patched, patched]) == {
        ("controller", "31.2.2", ""): 1,
        ("se_group", "31.2.2", ""): 1,
        ("se", "31.2.2", ""): 1,
        ("se", "31.2.2", "2p1"): 2,
    }


def test_only_so_many_versions_of_a_kind_are_counted_apart() -> None:
    engines = [engine(version=Version(f"1.{n}")) for n in range(MAX_VERSIONS + 5)] + [engine(version=Version("1.24"))]
    counted = versions([*engines, group()])
    assert len(counted) == MAX_VERSIONS + 2
    assert counted["se", "other", "other"] == 5
    assert counted["se", "1.24", ""] == 2
    assert counted["se_group", "31.2.2", ""] == 1


TARGET = ImageRef("i2", "target", "31.2.2-9123-20250615.024303")
AT_PATCH, PATCH = Version(NEW.tag, "2p2"), ImageRef("i3", "target", "31.2.2-2p2-9130-20250701.101112")
COURSES = {
    "nothing was ever done": (cluster("idle", previous=OLD), ("", "")),
    "it waits": (cluster("queued", images=(ImageRef("i1", "current", "x"), TARGET)), ("30.2.1", "31.2.2")),
    "its target is not told": (cluster("running", previous=Version("30.1.1")), ("30.2.1", "")),
    "the target has a name of its own": (
        cluster("running", images=(ImageRef("i2", "target", "2025-spring"),)),
        ("30.2.1", "2025-spring"),
    ),
    "it has arrived": (cluster("running", version=NEW, previous=OLD, images=(TARGET,)), ("30.2.1", "31.2.2")),
    "its Controllers are done": (replace(CONTROLLERS_DONE, previous=OLD), ("30.2.1", "31.2.2")),
    "it is done": (cluster(version=AT_PATCH, previous=Version(OLD.tag, "1p4")), ("30.2.1-1p4", "31.2.2-2p2")),
    "it was rolled back": (cluster("failed", version=OLD, previous=Version("30.1.1")), ("30.2.1", "")),
    "a patch goes on": (
        cluster("running", operation="patch", version=Version(NEW.tag, "2p1"), images=(PATCH,)),
        ("31.2.2-2p1", "31.2.2-2p2"),
    ),
    "a patch is done": (
        cluster(operation="patch", version=AT_PATCH, previous=Version("", "2p1")),
        ("31.2.2-2p1", "31.2.2-2p2"),
    ),
}


@pytest.mark.parametrize(("unit", "course"), COURSES.values(), ids=COURSES)
def test_the_versions_from_and_to_which_an_upgrade_goes(unit: Upgrade, course: tuple[str, str]) -> None:
    assert from_and_to(unit) == course


def test_an_overview_says_all_of_it() -> None:
    found = [cluster(images=(ImageRef("i1", "current"),)), group(version=OLD)]
    assert overview_of(found, ["i1", "i2"]) == Overview(
        readable=True,
        phase="none",
        units={("controller", "31.2.2", ""): 1, ("se_group", "30.2.1", ""): 1},
        done=False,
        left_behind={"se_group": 1, "se": 0},
        cluster="cluster-1",
        operation="upgrade",
        from_version="",
        to_version="31.2.2",
        image_users={("i1", "current"): 1},
        images_pinned={"i1": True, "i2": False},
    )


def test_the_worst_service_engines_have_series_and_those_at_rest_have_none() -> None:
    states: list[UpgradeState] = ["running", "completed", "failed", "queued", "suspended", "idle", "failed"]
    engines = [replace(engine(state), uuid=f"se-{place}") for place, state in enumerate(states)]
    assert engines_without_series([*engines, group("failed")], most=10) == {"se-1", "se-5"}
    assert engines_without_series(engines, most=3) == {"se-0", "se-1", "se-3", "se-5"}
