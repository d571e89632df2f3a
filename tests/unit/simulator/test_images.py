"""The store of images: planned uploads that follow the clock, and literal images."""

from typing import Any

import msgspec
import pytest

from monitor.simulator.image_builds import base_image
from monitor.simulator.images import ImageStore, LiteralImage, UploadedImage
from monitor.simulator.lifecycle import plan_upload
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.specs import UploadSpec

START = 1_740_000_000.0
NEW = (32, 2, 1)


def store(**literals: dict[str, Any]) -> ImageStore:
    images = ImageStore()
    for key, document in literals.items():
        images.add(key, LiteralImage(document))
    return images


def upload(images: ImageStore, spec: UploadSpec | None = None) -> str:
    spec = spec or UploadSpec(duration=100.0)
    built = base_image(SeededRandom("7"), version="30.2.1", kind=spec.kind, name=spec.name, host="10.0.0.1")
    plan = plan_upload(spec, built, nodes=("10.0.0.1",), started_at=START, rng=SeededRandom("7"))
    images.add(built["uuid"], UploadedImage(plan))
    return str(built["uuid"])


def test_an_image_appears_when_its_upload_starts() -> None:
    images = ImageStore()
    upload(images)
    assert (len(images.served(START - 1, NEW)), len(images.served(START, NEW))) == (0, 1)


def test_the_encoded_bytes_are_reused_while_the_image_does_not_change() -> None:
    images = ImageStore()
    upload(images)
    assert images.served(START + 200, NEW)[0].encoded is images.served(START + 300, NEW)[0].encoded


def test_the_encoded_bytes_change_when_the_image_changes() -> None:
    images = ImageStore()
    upload(images)
    assert images.served(START, NEW)[0].encoded != images.served(START + 50, NEW)[0].encoded


def test_each_api_version_has_its_own_encoded_bytes() -> None:
    images = ImageStore()
    upload(images)
    old, new = (msgspec.json.decode(images.served(START, version)[0].encoded) for version in ((20, 1, 9), NEW))
    assert ("progress" in old, "progress" in new) == (False, True)


def test_a_literal_image_is_the_same_in_every_api_version() -> None:
    document = {"uuid": "string", "progress": "string", "nonsense": [1]}
    images = store(string=document)
    assert all(images.served(0, version)[0].image == document for version in ((16, 4, 2), NEW))


def test_every_write_increases_last_modified_while_the_clock_stands_still() -> None:
    images = store(one={"_last_modified": "5"})
    key = upload(images)
    for written in ("one", key):
        seen = [int(images.image(written, START + 1).get("_last_modified", 0))]
        for name in ("a", "b"):
            images.write(written, {"name": name}, now=START + 1)
            seen.append(int(images.image(written, START + 1)["_last_modified"]))
        assert seen == sorted(set(seen))


def test_a_write_is_kept_while_the_upload_continues() -> None:
    images = ImageStore()
    key = upload(images)
    images.write(key, {"name": "mine"}, now=START + 1, unset=frozenset({"uber_bundle"}))
    later = images.image(key, START + 99)
    assert (later["name"], "uber_bundle" in later) == ("mine", False)


def test_a_field_that_was_unset_can_be_set_again() -> None:
    images = ImageStore()
    key = upload(images)
    images.write(key, {}, now=START, unset=frozenset({"uber_bundle"}))
    images.write(key, {"uber_bundle": True}, now=START)
    assert images.image(key, START)["uber_bundle"] is True


def test_fields_of_a_literal_image_can_be_unset() -> None:
    images = store(one={"name": "n", "uber_bundle": True})
    images.write("one", {}, now=START, unset=frozenset({"uber_bundle"}))
    assert "uber_bundle" not in images.image("one", START)


def test_a_removed_image_is_no_longer_served() -> None:
    images = store(one={}, two={})
    images.served(0, NEW)
    images.remove("one")
    assert [image.key for image in images.served(0, NEW)] == ["two"]
    with pytest.raises(KeyError):
        images.remove("one")
