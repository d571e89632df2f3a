"""What readers of the event stream are told of a controller, and what of a change."""

from typing import Any, Final, get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.image import Image
from monitor.model.snapshot import Snapshot
from monitor.model.tracked import ProgressMark, Tracked, TrackedObject
from monitor.model.upgrade import Overview, Upgrade, UpgradePhase, UpgradeState
from monitor.polling.fleet import Collection, Entry
from monitor.polling.resources import RESOURCES
from monitor.polling.upgrade_status import UpgradeStatus
from monitor.web.stream.messages import Part, Seen, difference, full_part, seen_of
from tests.support.strategies import BOUNDED

UP: Final = SessionHealth(up=True)
IMAGE: Final = Image(uuid="image-1", state="completed")
GROUP: Final = Upgrade(uuid="serviceenginegroup-1", kind="se_group", state="running")


def entry(*units: Upgrade, watched: bool = True, session: SessionHealth = UP, **overview: Any) -> Entry:  # noqa: ANN401
    """An image, and these units. ``overview``: what they amount to."""
    collections = {"image": collection(IMAGE)}
    if watched:
        collections["upgrade"] = collection(*units)
    return Entry("dc1", session, collections, (), Overview(**overview) if watched else None)


def collection(*objects: Tracked, health: ReadHealth = ReadHealth(succeeded_at=5.0)) -> Collection[Tracked]:  # noqa: B008
    tracked = {each.uuid: TrackedObject(each, ProgressMark(b"", 1.0, 1.0), 0.0) for each in objects}
    return Collection(Snapshot(objects=tracked), health, (), ())


def change(before: Entry, after: Entry) -> dict[str, Any] | None:
    """The JSON of the change from one entry to another."""
    return as_json(difference(seen_of(before, RESOURCES), after, RESOURCES))


def as_json(part: Part | None) -> dict[str, Any] | None:
    shown: dict[str, Any] | None = msgspec.json.decode(msgspec.json.encode(part))
    return shown


def test_a_full_part_has_the_units_beside_the_images_and_what_they_amount_to() -> None:
    told = full_part(entry(GROUP, phase="service_engines"), RESOURCES)
    assert {name: [each.uuid for each in part.objects] for name, part in told.resources.items()} == {
        "image": ["image-1"],
        "upgrade": ["serviceenginegroup-1"],
    }
    assert told.upgrade is not None
    assert told.upgrade.phase == "service_engines"


def test_where_no_upgrades_are_watched_no_member_speaks_of_them() -> None:
    told = as_json(full_part(entry(watched=False), RESOURCES))
    assert told is not None
    assert told.keys() == {"controller", "session", "resources"}
    assert told["resources"].keys() == {"image"}


def test_what_was_not_told_yet_is_a_change() -> None:
    assert difference(Seen(), entry(GROUP), RESOURCES) == full_part(entry(GROUP), RESOURCES)


def test_a_unit_that_changed_is_sent_alone() -> None:
    told = change(entry(GROUP), entry(replace(GROUP, state="suspended")))
    assert told is not None
    assert told.keys() == {"controller", "resources"}
    assert told["resources"].keys() == {"upgrade"}
    assert [unit["state"] for unit in told["resources"]["upgrade"]["objects"]] == ["suspended"]


def test_a_unit_that_vanished_is_gone() -> None:
    gone = {"controller": "dc1", "resources": {"upgrade": {"gone": ["serviceenginegroup-1"]}}}
    assert change(entry(GROUP), entry()) == gone


def test_a_phase_that_changed_is_sent_alone() -> None:
    before, after = entry(GROUP, phase="checking"), entry(GROUP, phase="controllers")
    told = change(before, replace(after, collections=before.collections))
    assert told is not None
    assert told.keys() == {"controller", "upgrade"}
    assert told["upgrade"]["phase"] == "controllers"


def test_the_health_of_the_session_comes_with_that_of_every_read() -> None:
    told = change(entry(GROUP), entry(GROUP, session=SessionHealth(up=False)))
    assert told is not None
    health = {"stale": False, "seen_at": 5.0}
    assert told["resources"] == {"image": {"health": health}, "upgrade": {"health": health}}


def test_what_is_the_same_is_not_sent_again() -> None:
    assert change(entry(GROUP, phase="none"), entry(GROUP, phase="none")) is None


def test_units_that_are_not_watched_any_more_are_gone_and_nothing_is_known_of_their_upgrade() -> None:
    told = change(entry(GROUP, phase="none"), entry(watched=False))
    assert told is not None
    assert told["resources"]["upgrade"] == {"gone": ["serviceenginegroup-1"]}
    assert told["upgrade"]["phase"] is None


units = st.dictionaries(
    st.sampled_from(["u1", "u2", "u3"]), st.sampled_from(get_args(UpgradeState)[:3]), max_size=3
).map(lambda found: [replace(GROUP, uuid=uuid, state=state) for uuid, state in found.items()])
entries = st.builds(
    lambda units, watched, up, phase: entry(*units, watched=watched, session=SessionHealth(up=up), phase=phase),
    units,
    st.booleans(),
    st.booleans(),
    st.sampled_from(get_args(UpgradePhase)[:2]),
)


class Told(Struct):
    """What a client knows after some parts: the objects by kind and uuid, the session, and the upgrade."""

    objects: dict[tuple[str, str], Any]
    session: object = None
    upgrade: object = None

    def apply(self, part: Part | None) -> "Told":
        if part is not None:
            self.session = part.session or self.session
            self.upgrade = part.upgrade or self.upgrade
            for name, resource in part.resources.items():
                self.objects |= {(name, each.uuid): each for each in resource.objects}
                for uuid in resource.gone:
                    del self.objects[name, uuid]
        return self


@BOUNDED
@given(st.lists(entries, min_size=1, max_size=4))
def test_a_client_that_applied_every_change_knows_what_a_new_client_is_told(entries: list[Entry]) -> None:
    known, seen = Told({}), Seen()
    for each in entries:
        known.apply(difference(seen, each, RESOURCES))
        seen = seen_of(each, RESOURCES)
    told = Told({}).apply(full_part(entries[-1], RESOURCES))
    assert (known.objects, known.session) == (told.objects, told.session)
    assert (known.upgrade or UpgradeStatus()) == (told.upgrade or UpgradeStatus())
