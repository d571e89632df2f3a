"""Which images are in use and by whom, and what the vendor's rule says of the others; it is never said as a fact."""

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from monitor.model.health import ReadHealth, SessionHealth
from monitor.model.image import Image
from monitor.model.upgrade import ImageRef, Overview, Upgrade, Version
from monitor.polling.fleet import Entry
from monitor.polling.inventory import ImageUse, KeepReason, User, image_uses, listed
from tests.support.polling import entry_of, tracked_of, with_units

NOW, BEFORE, OLDER = "31.2.2-9123-20250615.024303", "30.2.1-9053-20240610.111213", "22.1.6-9000-20230101.000000"
POLLED = SessionHealth(up=True, version="31.2.2")


def unit(uuid: str = "cluster-1", **fields: Any) -> Upgrade:  # noqa: ANN401
    """A unit at rest at the present version; without more, the cluster, which was at the one before."""
    usual: dict[str, Any] = {"kind": "controller", "name": uuid, "version": Version(NOW), "previous": Version(BEFORE)}
    return Upgrade(uuid=uuid, **(usual | fields))


def group(uuid: str = "serviceenginegroup-1", **fields: Any) -> Upgrade:  # noqa: ANN401
    usual: dict[str, Any] = {"kind": "se_group", "name": "Default-Group", "cloud": "aws", "previous": Version()}
    return unit(uuid, **(usual | fields))


def entry(*units: Upgrade, image: Image | None = None, read: ReadHealth = ReadHealth(readable=True)) -> Entry:  # noqa: B008  frozen
    image = image or an_image()
    found = entry_of("dc1", {image.uuid: tracked_of(image)}, session=POLLED)
    return with_units(found, *map(tracked_of, units), read=read)


def an_image(version: str = "22.1.6", **fields: Any) -> Image:  # noqa: ANN401
    return Image(uuid="image-1", name="an image", version=version, **({"state": "completed"} | fields))


def use_in(found: Entry) -> ImageUse:
    return image_uses(found)["image-1"]


# --- who uses an image


def test_the_users_of_an_image_are_the_units_that_refer_to_it_each_once() -> None:
    refs = (ImageRef("image-1", "current"), ImageRef("image-1", "previous"), ImageRef("image-2", "patch"))
    cluster, others = unit(images=refs), group(images=(ImageRef("image-1", "previous_patch"),))
    found = use_in(entry(cluster, others, group("serviceenginegroup-2")))
    assert found.in_use is True
    assert found.users == (User(cluster, ("current", "previous")), User(others, ("previous_patch",)))
    text = "in use by cluster-1 (current, previous), Default-Group@aws (previous patch): the Controller would refuse"
    assert (found.deletable, found.reasons) == (False, (KeepReason("in-use", text),))


def test_what_is_in_use_is_what_the_metric_says() -> None:
    found = entry(unit(), group(images=(ImageRef("image-1", "target"),)))
    contradicted = replace(found, overview=Overview(readable=True, images_pinned={"image-1": False}))
    assert use_in(found).in_use is True
    assert use_in(contradicted).in_use is False


def test_many_users_are_counted_and_not_all_named() -> None:
    groups = [group(f"g{number}", name=f"g{number}", images=(ImageRef("image-1", "current"),)) for number in range(7)]
    text = use_in(entry(unit(), *groups)).reasons[0].text
    assert text.endswith("g4@aws (current) and 2 more: the Controller would refuse")
    assert listed(["a"]) == "a"


# --- what the rule says of the others


@dataclass(frozen=True)
class Case:
    found: Entry
    deletable: bool | None
    reason: KeepReason | None = None


def older_because(why: str) -> KeepReason:
    return KeepReason("not-known", f"it is older than 31.2.2, and {why}")


CASES = {
    "the version before": Case(
        entry(unit(), group(), image=an_image("30.2.1")),
        deletable=False,
        reason=KeepReason("rule", "30.2.1 is the version before 31.2.2: by the vendor's rule it is kept"),
    ),
    "older, and everything runs the present version": Case(entry(unit(), group(), unit("se-1", kind="se")), True),
    "older, and a group does not": Case(
        entry(unit(), group(version=Version(OLDER)), group("serviceenginegroup-2", version=Version())),
        deletable=False,
        reason=KeepReason(
            "rule",
            "by the vendor's rule it is kept until everything runs 31.2.2 "
            "(Default-Group@aws: 22.1.6, Default-Group@aws: not known)",
        ),
    ),
    "of the present version, and no unit refers to it": Case(
        entry(unit(), group(version=Version(OLDER)), image=an_image("31.2.2")), deletable=True
    ),
    "newer": Case(
        entry(unit(), group(version=Version(OLDER)), image=an_image("32.2.1")),
        deletable=True,
        reason=KeepReason("newer", "newer than 31.2.2: it may be meant for an upgrade"),
    ),
    "older, and never upgraded": Case(entry(unit(previous=Version()), image=an_image("30.2.1")), deletable=True),
    "being processed": Case(
        entry(unit(), image=an_image("32.2.1", state="in_progress")),
        deletable=False,
        reason=KeepReason("being-processed", "it is being processed (in_progress)"),
    ),
    "being processed, while nothing is known of the units": Case(
        entry(image=an_image(state="started"), read=ReadHealth(readable=True)),
        deletable=False,
        reason=KeepReason("being-processed", "it is being processed (started)"),
    ),
    "of no version": Case(
        entry(unit(), image=an_image("")), None, KeepReason("not-known", "its version is not known")
    ),
    "of Controllers of no version": Case(
        entry(unit(version=Version())), None, KeepReason("not-known", "the version of the Controllers is not known")
    ),
    "older, and no Controllers are among the units": Case(
        entry(group()), None, older_because("the Controllers are not among its units")
    ),
    "upgrades that cannot be read": Case(
        entry(read=ReadHealth(readable=False, reason="forbidden")),
        None,
        KeepReason("not-known", "its upgrade status cannot be read (forbidden)"),
    ),
    "upgrades that were not read yet": Case(
        entry(read=ReadHealth()), None, KeepReason("not-known", "its upgrade status was not read yet")
    ),
    "upgrades that were read too long ago": Case(
        replace(entry(unit(), read=ReadHealth(readable=True, stale=True)), overview=Overview(readable=True)),
        None,
        KeepReason("not-known", "its upgrade status was read too long ago"),
    ),
    "upgrades that are not watched": Case(
        entry_of("dc1", {"image-1": tracked_of(an_image())}, session=POLLED),
        None,
        KeepReason("not-known", "its upgrades are not watched"),
    ),
    "an image that came after the units were read": Case(
        replace(entry(unit()), overview=Overview(readable=True)),
        None,
        KeepReason("not-known", "which images are in use was not read yet"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_image_to_which_no_unit_refers_is_judged_by_the_rule(case: Case) -> None:
    found = use_in(case.found)
    assert found.deletable is case.deletable
    assert found.reasons == ((case.reason,) if case.reason else ())


def told_by_the_controller(*, in_use: bool, version: str) -> ImageUse:
    """The use of an image that the Controller's own inventory told, to an account that may not read upgrades."""
    unreadable = ReadHealth(readable=False, reason="forbidden")
    found = entry(image=an_image(version), read=unreadable)
    return use_in(replace(found, overview=Overview(readable=False, images_pinned={"image-1": in_use})))


def test_what_the_controller_itself_says_of_an_image_is_used_where_units_cannot_be_read() -> None:
    told = told_by_the_controller(in_use=True, version="30.2.1")
    assert (told.in_use, told.reasons) == (True, (KeepReason("in-use", "the Controller says that it is in use"),))
    assert told_by_the_controller(in_use=False, version="32.2.1").deletable is True
    told = told_by_the_controller(in_use=False, version="30.2.1")
    assert (told.in_use, told.deletable) == (False, None)
    assert told.reasons == (older_because("its upgrade status cannot be read (forbidden)"),)
