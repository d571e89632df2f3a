"""Each line of a readiness report: what lets it go, what warns, and what speaks against an upgrade."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from monitor.model.cluster import NodesState
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.image import Image, MandatoryPatch, Requirements
from monitor.model.tracked import Event, TrackedObject
from monitor.model.upgrade import Check, Checks, Engines, Upgrade, Version
from monitor.polling.fleet import Entry
from monitor.polling.readiness import LINES, ReadinessReport, readiness
from monitor.polling.readiness_facts import Verdict, facts_of, span
from tests.support.polling import entry_of, tracked_of, with_units

AT = 1_750_000_000.0
DAY_S = 86400.0
UP = SessionHealth(up=True, version="30.2.1", certificate_expires_at=AT + 90 * DAY_S, clock_ahead_s=-1.0)
READ = ReadHealth(readable=True, succeeded_at=AT - 12.0)
IMAGE = Image(uuid="image-1", name="31.2.2-9123", version="31.2.2", type="system", state="completed")
NODES = ("10.0.0.11", "10.0.0.12")
EVENTS = tuple(Event("Copy", node, "succeeded", "SYSERR_SUCCESS") for node in NODES)
REQUIRED = Requirements(("22.1.6", "30.2.1"), 2)
PASSED = Checks(state="checked", image_uuid="image-1", checks=20, checks_completed=20, ended_at=AT - 7200.0)
CLUSTER = Upgrade(
    uuid="cluster-1",
    kind="controller",
    name="cluster-0-1",
    state="completed",
    version=Version("30.2.1-9053-20240610.111213"),
    previous=Version("22.1.6-9000-20230101.000000"),
    started_at=AT - 90 * DAY_S,
    rollback_possible=True,
    checks=PASSED,
)
GROUP = Upgrade(
    uuid="serviceenginegroup-1",
    kind="se_group",
    name="Default-Group",
    cloud="aws",
    state="completed",
    version=CLUSTER.version,
    started_at=AT - 90 * DAY_S,
    engines=Engines(completed=("se-1",), listed=True, at_start={"disconnected": 0}),
)
PATCH = MandatoryPatch("Service Engines", "image-2", "2p1")


WHOLE = NodesState("CLUSTER_UP_HA_ACTIVE", 3)


@dataclass(frozen=True)
class Given:
    """What is known; by default, all that an upgrade needs."""

    units: tuple[Upgrade, ...] | None = (CLUSTER, GROUP)
    image: Image = IMAGE
    more: tuple[Image, ...] = ()
    events: tuple[Event, ...] = EVENTS
    requirements: Requirements = REQUIRED
    session: SessionHealth = UP
    read: ReadHealth = READ
    of_units: ReadHealth = READ
    acknowledged: tuple[str, ...] = ()
    nodes: NodesState | None = WHOLE

    def entry(self) -> Entry:
        images = {each.uuid: tracked_of(each) for each in (self.image, *self.more)}
        entry = entry_of("dc1", images, session=self.session, read=self.read)
        if self.units is None:
            return entry
        entry = with_units(entry, *map(self._tracked, self.units), read=self.of_units)
        assert entry.overview
        return replace(entry, overview=replace(entry.overview, nodes=self.nodes))

    def _tracked(self, unit: Upgrade) -> TrackedObject[Upgrade]:
        return tracked_of(unit, **({"acknowledged": "yes"} if unit.uuid in self.acknowledged else {}))

    def report(self) -> ReadinessReport:
        return readiness(facts_of(self.entry(), self.image.uuid, self.events, self.requirements, at=AT))


@dataclass(frozen=True)
class Case:
    verdict: Verdict
    reason: str
    given: Given = Given()


def image(**fields: Any) -> Given:  # noqa: ANN401
    return Given(image=replace(IMAGE, **fields))


def cluster(**fields: Any) -> Given:  # noqa: ANN401
    return Given(units=(replace(CLUSTER, **fields), GROUP))


def group(**fields: Any) -> Given:  # noqa: ANN401
    return Given(units=(CLUSTER, replace(GROUP, **fields)))


def checked(*exceptions: Check, **fields: Any) -> Given:  # noqa: ANN401
    return cluster(checks=replace(PASSED, exceptions=exceptions, **fields))


def nodes(state: str, count: int, inactive: tuple[str, ...] = ()) -> Given:
    return Given(nodes=NodesState(state, count, inactive))


def session(**fields: Any) -> Given:  # noqa: ANN401
    return Given(session=replace(UP, **fields))


def events(*states: str) -> Given:
    pairs = zip(NODES, states, strict=False)
    return Given(events=tuple(Event("Copy", node, state, "") for node, state in pairs))  # type: ignore[arg-type]


def replace_image(given: Given, **fields: Any) -> Given:  # noqa: ANN401
    return dataclasses.replace(given, image=replace(given.image, **fields))


def patched(*, state: str = "completed", patch: MandatoryPatch = PATCH) -> Given:
    found = Image(uuid="image-2", name="2p1", type="patch", state=state)  # type: ignore[arg-type]
    return Given(requirements=replace(REQUIRED, patches=(patch,)), more=(found,))


def required(**fields: Any) -> Given:  # noqa: ANN401
    return Given(requirements=replace(REQUIRED, **fields))


OLDER, NEWER = Version("22.1.6-9000-20230101.000000"), Version("31.2.2-9123-20250615.024303")
UNREADABLE = Given(of_units=ReadHealth(readable=False, reason="forbidden"))
FORBIDDEN = "its upgrade status cannot be read (forbidden)"
AFTER = "after the upgrade they would go back to 30.2.1"
IN_USE = "30.2.1, 31.2.2 would be in use after the Controllers are upgraded; at most 2 may be"

CASES: Mapping[str, Mapping[str, Case]] = {
    "view": {
        "fresh": Case("go", "the last good poll was 12 s ago"),
        "the last poll failed": Case(
            "warn", "the last poll failed (connect); all lines are as of 12 s ago", session(up=False, reason="connect")
        ),
        "never polled": Case("no_go", "the controller was not polled yet", Given(read=ReadHealth())),
        "stale": Case(
            "no_go",
            "the last good poll was 2 h ago (timeout)",
            Given(read=ReadHealth(stale=True, succeeded_at=AT - 7200.0), session=replace(UP, reason="timeout")),
        ),
        "units forbidden": Case("no_go", FORBIDDEN, UNREADABLE),
        "units not watched": Case("no_go", "its upgrades are not watched", Given(units=None)),
    },
    "image_state": {
        "completed": Case("go", "the image is completed"),
        "not told": Case(
            "warn", "not known: the Controller does not say whether the image is completed", image(state="unknown")
        ),
        "failed": Case("no_go", "the image has failed: Disk full", image(state="failed", reason="Disk full")),
        "failed without a reason": Case(
            "no_go", "the image has failed: the Controller does not say why", image(state="failed")
        ),
        "under way": Case("no_go", "the image is still being processed (in_progress)", image(state="in_progress")),
    },
    "image_nodes": {
        "succeeded on every node": Case("go", "all tasks have succeeded on 10.0.0.11, 10.0.0.12"),
        "not told": Case("warn", "not known: the Controller does not say what its nodes did", Given(events=())),
        "failed on one": Case("no_go", "failed: Copy on 10.0.0.12", events("running", "failed")),
        "completed, but not told of one": Case(
            "warn",
            "the image is completed, but the Controller does not say that these are: Copy on 10.0.0.12",
            events("succeeded", "pending"),
        ),
        "not done on one": Case(
            "no_go",
            "not done yet: Copy on 10.0.0.12",
            replace_image(events("succeeded", "running"), state="in_progress"),
        ),
    },
    "image_type": {
        "system": Case("go", "the image is of type system"),
        "not told": Case("warn", "not known: the Controller does not say of which type the image is", image(type="")),
        "patch": Case("no_go", "the image is of type patch: an upgrade takes one of type system", image(type="patch")),
    },
    "image_patches": {
        "none": Case("go", "the image names no mandatory patch"),
        "completed": Case("go", "completed: 2p1 of the Service Engines", patched()),
        "completed, known by its name": Case(
            "go", "completed: 2p1 of the Service Engines", patched(patch=replace(PATCH, uuid=""))
        ),
        "of no state": Case(
            "warn",
            "not known whether they are completed: 2p1 of the Service Engines (unknown)",
            patched(state="unknown"),
        ),
        "under way": Case(
            "no_go", "not completed: 2p1 of the Service Engines (in_progress)", patched(state="in_progress")
        ),
        "missing": Case(
            "no_go",
            "not on the Controller: image-3 of the Controllers",
            patched(patch=MandatoryPatch("Controllers", "image-3", "")),
        ),
    },
    "migration": {
        "possible": Case("go", "one can upgrade from 30.2.1 to 31.2.2"),
        "the Controllers are there, a group is not": Case(
            "go", "the Controllers run 31.2.2, but not yet Default-Group@aws", cluster(version=NEWER)
        ),
        "everything is there": Case(
            "warn", "the Controllers run 31.2.2 already", Given(units=(replace(CLUSTER, version=NEWER),))
        ),
        "the image does not say": Case(
            "warn",
            "not known: the image does not say from which versions one can upgrade to 31.2.2",
            required(versions=()),
        ),
        "of no version": Case("warn", "not known: the version of the image is not told", image(version="")),
        "Controllers of no version": Case(
            "warn", "not known: the version of the Controllers is not told", Given((), session=SessionHealth())
        ),
        "from another version only": Case(
            "no_go", "one cannot upgrade from 30.2.1 to 31.2.2; only from 22.1.6", required(versions=("22.1.6",))
        ),
        "to an older version": Case(
            "no_go",
            "22.1.6 is older than 30.2.1: to go back is a rollback, not an upgrade",
            image(version="22.1.6"),
        ),
        "by the version that the log-in told": Case("go", "one can upgrade from 30.2.1 to 31.2.2", UNREADABLE),
    },
    "active_versions": {
        "two": Case("go", IN_USE),
        "two, by the documented limit": Case("go", IN_USE, required(max_active_versions=None)),
        "of a group not known": Case(
            "warn",
            f"{IN_USE.removeprefix('30.2.1, ')}; not known of Default-Group@aws",
            group(version=Version()),
        ),
        "of the image not known": Case("warn", "not known: the version of the image is not told", image(version="")),
        "units not known": Case("warn", f"not known: {FORBIDDEN}", UNREADABLE),
        "three": Case(
            "no_go",
            "22.1.6, 30.2.1, 31.2.2 would be in use after the Controllers are upgraded; at most 2 may be: "
            "upgrade first what runs 22.1.6 (old@aws)",
            Given(units=(CLUSTER, GROUP, replace(GROUP, uuid="g2", name="old", version=OLDER))),
        ),
    },
    "units": {
        "at rest": Case("go", "all 2 units are at rest"),
        "none": Case("warn", "not known: the Controller lists no units", Given(units=())),
        "not known": Case("warn", f"not known: {FORBIDDEN}", UNREADABLE),
        "failed years ago": Case(
            "warn",
            "failed long ago, or acknowledged: cluster-0-1 (failed)",
            cluster(state="failed", ended_at=AT - 400 * DAY_S),
        ),
        "failed and acknowledged": Case(
            "warn",
            "failed long ago, or acknowledged: cluster-0-1 (failed)",
            Given(units=(replace(CLUSTER, state="failed"), GROUP), acknowledged=("cluster-1",)),
        ),
        "left behind": Case(
            "warn", "left behind by the last upgrade: Default-Group@aws", group(version=OLDER)
        ),
        "of a state that is not known": Case(
            "warn", "in a state that is not known: Default-Group@aws", group(state="unknown")
        ),
        "failed": Case(
            "no_go", "failed: cluster-0-1 (failed)", cluster(state="failed", state_changed_at=AT - DAY_S)
        ),
        "under way": Case("no_go", "under way: Default-Group@aws (running)", group(state="running")),
        "suspended": Case("no_go", "under way: Default-Group@aws (suspended)", group(state="suspended")),
    },
    "service_engines": {
        "well": Case(
            "go", "1 of 1 SE groups list their Service Engines: none has failed or was disconnected"
        ),
        "no groups": Case("go", "there are no SE groups", Given(units=(CLUSTER,))),
        "never upgraded": Case(
            "warn",
            "not known: no SE group lists its Service Engines, as long as it was never upgraded",
            Given(units=(CLUSTER, replace(GROUP, engines=None), replace(GROUP, uuid="g2", engines=Engines()))),
        ),
        "failed and disconnected": Case(
            "warn",
            "in or before the last operation, Default-Group@aws: 1 failed, 2 disconnected, 1 ip missing",
            group(
                engines=Engines(
                    failed=("se-1",), listed=True, at_start={"already_upgraded": 3, "disconnected": 2, "ip_missing": 1}
                )
            ),
        ),
        "not known": Case("warn", f"not known: {FORBIDDEN}", UNREADABLE),
    },
    "prechecks": {
        "passed": Case("go", "passed 2 h ago"),
        "none": Case("warn", "none for this image are known", cluster(checks=None)),
        "of another image": Case(
            "warn", "none for this image are known; the last ones were for another one", checked(image_uuid="image-9")
        ),
        "old": Case("warn", "passed 2 d ago", checked(ended_at=AT - 2 * DAY_S)),
        "of no time": Case("warn", "passed, but it is not known when", checked(ended_at=None)),
        "under way": Case("warn", "not passed: cluster-0-1 (checking)", checked(state="checking")),
        "with warnings": Case(
            "warn",
            "passed with warnings: cluster-0-1: SYSERR_CHECK_DISK: Checks the disk: 9 GB free",
            checked(Check("SYSERR_CHECK_DISK", "warning", "Checks the disk", ("9 GB free",))),
        ),
        "with an error": Case(
            "no_go",
            "failed: cluster-0-1: SYSERR_CHECK_DISK",
            checked(Check("other", "warning"), Check("SYSERR_CHECK_DISK", "error"), state="check_failed"),
        ),
        "failed without a text": Case("no_go", "failed: cluster-0-1", checked(state="check_failed")),
        "not known": Case("warn", f"not known: {FORBIDDEN}", UNREADABLE),
    },
    "cluster": {
        "whole": Case("go", "the Controllers' cluster is CLUSTER_UP_HA_ACTIVE, nodes: 3"),
        "of one node": Case(
            "go", "the Controllers' cluster is CLUSTER_UP_NO_HA, nodes: 1", nodes("CLUSTER_UP_NO_HA", 1)
        ),
        "without HA": Case(
            "warn", "the Controllers' cluster is CLUSTER_UP_NO_HA, nodes: 3", nodes("CLUSTER_UP_NO_HA", 3)
        ),
        "a node down": Case(
            "no_go",
            "the Controllers' cluster is CLUSTER_UP_HA_COMPROMISED, nodes: 3, not active: n3 (CLUSTER_DOWN)",
            nodes("CLUSTER_UP_HA_COMPROMISED", 3, ("n3 (CLUSTER_DOWN)",)),
        ),
        "a node that is not active in a cluster that is whole": Case(
            "warn",
            "the Controllers' cluster is CLUSTER_UP_HA_ACTIVE, nodes: 3, not active: n2 (CLUSTER_STANDBY)",
            nodes("CLUSTER_UP_HA_ACTIVE", 3, ("n2 (CLUSTER_STANDBY)",)),
        ),
        "a word of a later release": Case(
            "warn", "the Controllers' cluster is CLUSTER_UP_SOMEHOW, nodes: 3", nodes("CLUSTER_UP_SOMEHOW", 3)
        ),
        "no word": Case(
            "warn", "the Controllers' cluster is in a state that it does not tell, nodes: 0", nodes("", 0)
        ),
        "not read": Case("warn", "not known: the state of the nodes was not read", Given(nodes=None)),
        "not known": Case("warn", f"not known: {FORBIDDEN}", dataclasses.replace(UNREADABLE, nodes=None)),
    },
    "rollback": {
        "possible": Case("go", f"the Controllers could go back to 22.1.6 at present; {AFTER}"),
        "never upgraded": Case(
            "go", f"there is nothing to go back to at present; {AFTER}", cluster(previous=Version())
        ),
        "not possible": Case(
            "warn", f"the Controllers could not go back to 22.1.6 at present; {AFTER}", cluster(rollback_possible=False)
        ),
        "not told": Case(
            "warn",
            f"not known whether the Controllers could go back to 22.1.6 at present; {AFTER}",
            cluster(rollback_possible=None),
        ),
        "no Controllers": Case(
            "warn", "not known: the Controllers are not among the units", Given(units=(GROUP,))
        ),
        "not known": Case("warn", f"not known: {FORBIDDEN}", UNREADABLE),
    },
    "certificate": {
        "valid": Case("go", "the Controller's certificate expires in 90 d"),
        "expires soon": Case(
            "warn", "the Controller's certificate expires in 3 d", session(certificate_expires_at=AT + 3 * DAY_S)
        ),
        "none": Case(
            "warn", "not known: the Controller presented no certificate", session(certificate_expires_at=None)
        ),
        "expired": Case(
            "no_go", "the Controller's certificate expired 2 h ago", session(certificate_expires_at=AT - 7200.0)
        ),
    },
    "clock": {
        "agrees": Case("go", "the Controller's clock agrees with the monitor's to 5 s"),
        "ahead": Case("warn", "the Controller's clock is 3 min ahead of the monitor's", session(clock_ahead_s=180.0)),
        "behind": Case("warn", "the Controller's clock is 6 s behind the monitor's", session(clock_ahead_s=-6.0)),
        "not told": Case("warn", "not known: the Controller did not tell its time", session(clock_ahead_s=None)),
    },
}  # fmt: skip
EVERY = [(name, case) for name, cases in CASES.items() for case in cases.values()]


@pytest.mark.parametrize(
    ("name", "case"), EVERY, ids=[f"{name}-{each}" for name, cases in CASES.items() for each in cases]
)
def test_a_line_says_go_warn_or_no_go_with_its_reason(name: str, case: Case) -> None:
    report = case.given.report()
    (line,) = [line for line in report.lines if line.name == name]
    assert (line.verdict, line.reason) == (case.verdict, case.reason)


def test_every_line_is_in_every_report_in_the_same_order() -> None:
    assert list(CASES) == list(LINES)
    reports = [case.given.report() for _, case in EVERY]
    assert set(chain.from_iterable([tuple(line.name for line in each.lines)] for each in reports)) == {LINES}


def test_the_verdict_is_that_of_the_worst_line() -> None:
    report = Given().report()
    assert [line.name for line in report.lines if line.verdict != "go"] == []
    assert report.verdict == "go"
    assert Given(nodes=None).report().verdict == "warn"
    assert image(state="failed").report().verdict == "no_go"


def test_a_report_is_of_an_image_and_ends_with_the_request_for_prechecks() -> None:
    report = to_builtins(Given().report())
    del report["lines"]
    assert report == {
        "controller": "dc1",
        "image": {"uuid": "image-1", "name": "31.2.2-9123", "version": "31.2.2", "patch": "", "type": "system"},
        "verdict": "go",
        "observed_at": AT - 12.0,
        "prechecks": {
            "method": "POST",
            "path": "/api/upgrade",
            "body": {"image_ref": "/api/image/image-1", "system": True, "prechecks_only": True},
        },
    }


@pytest.mark.parametrize(
    ("version", "can"),
    {"22.1.5": False, "22.1.6": True, "30.1.2": False, "30.2.1": True, "31.2.2": True, "": False}.items(),
)
def test_a_controller_that_cannot_run_prechecks_alone_is_sent_no_such_request(version: str, *, can: bool) -> None:
    report = Given(units=(), session=replace(UP, version=version)).report()
    assert (report.prechecks is not None) is can


@pytest.mark.parametrize(
    ("seconds", "text"), {0.2: "0 s", 59.0: "59 s", 60.0: "1 min", -7200.0: "2 h", 200_000.0: "2 d"}.items()
)
def test_a_span_is_whole_in_its_largest_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text
