"""The entries of all controllers: the columns of an entry, what listeners are told, and which objects are shown."""

from collections.abc import Mapping

from msgspec.structs import replace

from monitor.metrics.controller import READ_FAMILIES, SESSION_FAMILIES
from monitor.metrics.family import Family, Subject, line_of
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.metrics.scrape_order import AnyFamily, scrape_columns
from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.image import Image, TrackedImage
from monitor.model.snapshot import Appeared, Change, Snapshot
from monitor.model.tracked import ProgressMark
from monitor.polling.fleet import Collection, Entry, Fleet
from tests.support.polling import entry_of

TOY_FAMILIES: tuple[Family[Subject[Image]], ...] = (
    Family(
        name="avi_toy_size",
        kind="gauge",
        help="A family of a second resource.",
        identity=("controller", "toy_uuid"),
        rows=lambda _subject: (("1.0",),),
        line=line_of("avi_toy_size", ("controller", "toy_uuid")),
    ),
)
IMAGE = TrackedImage(Image(uuid="image-1"), ProgressMark(b"", changed_at=0.0, first_seen_at=0.0), 0.0)

Told = tuple[str, Entry | None, tuple[Change, ...]]


def collection_of(families: tuple[AnyFamily, ...], resource: str) -> Collection[Image]:
    """A collection whose pieces are the names of their families."""
    pieces = tuple(family.name.encode() for family in families)
    health_pieces = tuple(f"{family.name} {resource}".encode() for family in READ_FAMILIES)
    return Collection(Snapshot(), ReadHealth(), pieces, health_pieces)


def test_the_pieces_of_an_entry_are_in_the_columns_of_a_scrape() -> None:
    tables: Mapping[str, tuple[AnyFamily, ...]] = {"image": IMAGE_FAMILIES, "toy": TOY_FAMILIES}
    collections = {resource: collection_of(families, resource) for resource, families in tables.items()}
    session_pieces = tuple(family.name.encode() for family in SESSION_FAMILIES)
    entry = Entry("dc1", SessionHealth(), collections, session_pieces)

    texts = [column.decode() for column in entry.columns()]
    columns = scrape_columns(list(tables.values()))

    assert len(texts) == len(columns)
    family = columns[0]
    for text, column in zip(texts, columns, strict=True):
        family = column or family  # None: the column continues the family before it
        assert family
        assert text.split()[0] == family.name
    assert [text.split()[1] for text in texts if " " in text] == ["image", "toy"] * len(READ_FAMILIES)


def test_listeners_are_told_the_new_entry_and_the_changes() -> None:
    fleet, told = Fleet(), list[Told]()
    fleet.subscribe(lambda *published: told.append(published))
    entry, changes = entry_of("dc1"), (Appeared(IMAGE.object),)

    fleet.publish(entry, changes)

    assert told == [("dc1", entry, changes)]
    assert fleet.entries == {"dc1": entry}


def test_listeners_are_told_the_removal_of_a_controller() -> None:
    fleet, told = Fleet(), list[Told]()
    fleet.publish(entry_of("dc1"))
    fleet.publish(entry_of("dc2"))
    fleet.subscribe(lambda *published: told.append(published))

    fleet.remove("dc1")

    assert told == [("dc1", None, ())]
    assert list(fleet.entries) == ["dc2"]


def test_an_unsubscribed_listener_is_not_called() -> None:
    fleet, told, other = Fleet(), list[Told](), list[Told]()
    unsubscribe = fleet.subscribe(lambda *published: told.append(published))
    fleet.subscribe(lambda *published: other.append(published))

    unsubscribe()
    fleet.publish(entry_of("dc1"))
    fleet.remove("dc1")

    assert told == []
    assert len(other) == 2


def test_a_listener_may_unsubscribe_while_it_is_called() -> None:
    fleet, told = Fleet(), list[str]()

    def listen_once(name: str, _entry: Entry | None, _changes: tuple[Change, ...]) -> None:
        told.append(name)
        unsubscribe()

    unsubscribe = fleet.subscribe(listen_once)
    fleet.subscribe(lambda name, _entry, _changes: told.append(f"other: {name}"))
    fleet.publish(entry_of("dc1"))
    fleet.publish(entry_of("dc2"))

    assert told == ["dc1", "other: dc1", "other: dc2"]


def test_stale_objects_are_left_out() -> None:
    fleet = Fleet()
    good, stale = entry_of("dc1", {"image-1": IMAGE}), entry_of("dc2", {"image-1": IMAGE}, read=ReadHealth(stale=True))
    fleet.publish(good)
    fleet.publish(stale)

    assert list(fleet.shown_objects("image")) == [(good, IMAGE)]
    assert stale.objects("image") == {"image-1": IMAGE}


def test_a_new_entry_takes_the_place_of_the_old_one() -> None:
    fleet, before = Fleet(), entry_of("dc1")
    fleet.publish(before)
    fleet.publish(entry_of("dc2"))
    after = replace(before, session=SessionHealth(up=True))

    fleet.publish(after)

    assert list(fleet.entries) == ["dc1", "dc2"]
    assert fleet.entries["dc1"] is after
