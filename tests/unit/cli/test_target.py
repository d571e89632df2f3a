"""Which image a target means, and whether it has reached the state that is waited for."""

import pytest

from monitor.cli.api.messages import Message
from monitor.cli.api.responses import Rejected, TargetFailed
from monitor.cli.output.target import find_image, has_reached
from monitor.cli.output.watch_state import Target
from tests.support.stream_messages import NEW, after, image, part, state

TWINS = state(part("dc1", image("1", name="x")), part("dc2", image("2", "failed", name="x")))


@pytest.mark.parametrize(
    ("target", "key"),
    [
        pytest.param(Target("1"), ("dc1", "1"), id="uuid"),
        pytest.param(Target("x", "dc2"), ("dc2", "2"), id="name-and-controller"),
        pytest.param(Target("x"), ("dc1", "1"), id="the-active-one-of-several"),
        pytest.param(Target("y"), None, id="none"),
        pytest.param(Target("1", "dc2"), None, id="on-another-controller"),
        pytest.param(Target(), None, id="all"),
    ],
)
def test_an_image_is_found_by_its_uuid_or_its_name(target: Target, key: tuple[str, str] | None) -> None:
    assert find_image(after(TWINS)[0], target) == key


@pytest.mark.parametrize("states", [("failed", "completed"), ("started", "in_progress")])
def test_an_ambiguous_name_is_rejected_with_all_images_that_match(states: tuple[str, str]) -> None:
    view, _ = after(state(part("dc1", *(image(str(n), each, name="x\x1b") for n, each in enumerate(states)))))
    with pytest.raises(
        Rejected,
        match=f'"x.*" matches 2 images; give --controller or a uuid:\n  dc1  0  {states[0]}\n  dc1  1  {states[1]}',
    ):
        find_image(view, Target("x\x1b"))


def test_an_unknown_controller_is_rejected() -> None:
    with pytest.raises(Rejected, match='there is no controller "dc9" that you may see'):
        find_image(after(TWINS)[0], Target("x", "dc9"))


@pytest.mark.parametrize(
    ("found", "is_reached"),
    [
        (image("1", "completed"), True),
        (image("1", "in_progress"), False),
        (image("1", "started"), False),
        (image("1", "unknown"), False),
    ],
)
def test_only_the_state_that_is_waited_for_counts_as_reached(found: dict[str, object], is_reached: bool) -> None:
    assert has_reached(after(state(part("dc1", found)))[0], ("dc1", "1"), "completed") is is_reached


def test_before_the_first_poll_the_target_is_not_reached() -> None:
    assert not has_reached(after(state(part("dc1", health=NEW)))[0], ("dc1", "1"), "completed")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (state(part("dc1", image("1", "failed", reason="disk\x1b full"))), r"dc1  n-1: failed: disk\\x1b full"),
        (state(part("dc1", image("1", "failed"))), "dc1  n-1: failed$"),
        (state(part("dc1")), "dc1  1: the image is gone"),
        (state(), "dc1: the daemon no longer watches this controller"),
    ],
)
def test_a_target_that_can_no_longer_be_reached_is_an_error(message: Message, words: str) -> None:
    with pytest.raises(TargetFailed, match=words) as caught:
        has_reached(after(message)[0], ("dc1", "1"), "completed")
    assert caught.value.exit_status == 1


def test_waiting_for_a_failure_fails_when_the_image_completes() -> None:
    with pytest.raises(TargetFailed, match="n-1: completed"):
        has_reached(after(state(part("dc1", image("1", "completed"))))[0], ("dc1", "1"), "failed")
