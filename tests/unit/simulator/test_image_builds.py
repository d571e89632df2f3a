"""Releases and their order."""

from monitor.simulator.image_builds import next_release, older_releases


def test_the_next_release_follows_the_version_and_the_newest_has_no_next() -> None:
    assert (next_release("30.2.1"), next_release("32.2.1")) == ("31.1.1", "32.2.1")


def test_older_releases_start_with_the_version_itself_and_repeat_the_oldest() -> None:
    assert older_releases("20.1.9", 4) == ("20.1.9", "18.2.13", "18.2.13", "18.2.13")
