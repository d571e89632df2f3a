"""The store: uploads that live by the clock, literals that are what they are."""

from typing import Any

import msgspec
import pytest

from monitor.simulator.image_builds import base_image, next_release, older_releases
from monitor.simulator.images import ImageStore, LiteralImage, UploadedImage
from monitor.simulator.lifecycle import plan_upload
from monitor.simulator.random_values import SeededRandom
from monitor.simulator.rate_limit import LeakyBucket
from monitor.simulator.specs import RateLimit, UploadSpec

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


def test_bytes_are_the_same_object_while_nothing_changes() -> None:
    images = ImageStore()
    upload(images)
    assert images.served(START + 200, NEW)[0].encoded is images.served(START + 300, NEW)[0].encoded


def test_bytes_are_made_anew_when_the_image_changes() -> None:
    images = ImageStore()
    upload(images)
    assert images.served(START, NEW)[0].encoded != images.served(START + 50, NEW)[0].encoded


def test_bytes_are_kept_apart_by_version() -> None:
    images = ImageStore()
    upload(images)
    old, new = (msgspec.json.decode(images.served(START, version)[0].encoded) for version in ((20, 1, 9), NEW))
    assert ("progress" in old, "progress" in new) == (False, True)


def test_a_literal_is_served_as_given_to_every_version() -> None:
    document = {"uuid": "string", "progress": "string", "nonsense": [1]}
    images = store(string=document)
    assert all(images.served(0, version)[0].image == document for version in ((16, 4, 2), NEW))


def test_every_write_moves_last_modified_on_while_the_clock_stands_still() -> None:
    images = store(one={"_last_modified": "5"})
    key = upload(images)
    for written in ("one", key):
        seen = [int(images.image(written, START + 1).get("_last_modified", 0))]
        for name in ("a", "b"):
            images.write(written, {"name": name}, now=START + 1)
            seen.append(int(images.image(written, START + 1)["_last_modified"]))
        assert seen == sorted(set(seen))


def test_what_was_written_outlives_the_next_step_of_the_upload() -> None:
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


def test_a_literal_loses_the_fields_that_are_unset() -> None:
    images = store(one={"name": "n", "uber_bundle": True})
    images.write("one", {}, now=START, unset=frozenset({"uber_bundle"}))
    assert "uber_bundle" not in images.image("one", START)


def test_what_was_removed_is_gone() -> None:
    images = store(one={}, two={})
    images.served(0, NEW)
    images.remove("one")
    assert [image.key for image in images.served(0, NEW)] == ["two"]
    with pytest.raises(KeyError):
        images.remove("one")


def test_requests_beyond_the_rate_wait_and_those_beyond_the_burst_are_refused() -> None:
    bucket = LeakyBucket(RateLimit(per_second=10.0, burst=3))
    assert [bucket.reserve(1.0) for _ in range(4)] == [0.0, 0.1, 0.2, None]


def test_the_limit_forgets_with_time() -> None:
    bucket = LeakyBucket(RateLimit(per_second=10.0, burst=1))
    assert (bucket.reserve(1.0), bucket.reserve(1.0), bucket.reserve(1.2)) == (0.0, None, 0.0)


def test_the_next_release_is_the_next_and_the_newest_stays() -> None:
    assert (next_release("30.2.1"), next_release("32.2.1")) == ("31.1.1", "32.2.1")


def test_older_releases_begin_with_the_own_and_repeat_the_oldest() -> None:
    assert older_releases("20.1.9", 4) == ("20.1.9", "18.2.13", "18.2.13", "18.2.13")
