"""The loop of one controller on a source with given answers: what is published, withdrawn and waited for."""

import asyncio

from structlog.testing import capture_logs

from monitor.avi.link import Link
from monitor.config.settings import Poll
from monitor.metrics.image import IMAGE_FAMILIES
from monitor.metrics.scrape_order import families_of
from monitor.model.errors import Unavailable, Unreachable
from monitor.model.snapshot import ObjectList
from monitor.polling.fleet import Fleet
from monitor.polling.schedule import PollLimiter
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.polling import (
    QUICK,
    ChangingAnnotations,
    NoUnits,
    ScriptedSource,
    exposition_of,
    idle_poller,
    image_fields,
    image_list,
    quick_poller,
    running_poller,
    wait_until,
)

DOWN = Unreachable("connect", "refused")


async def test_poll_soon_starts_a_poll_at_once() -> None:
    async with idle_poller(ScriptedSource([image_list(image_fields())]), ChangingAnnotations()) as (fleet, poller):
        poller.poll_soon()
        await wait_until(fleet, lambda entry: entry.session.polls == 2)
        poller.poll_soon()
        await wait_until(fleet, lambda entry: entry.session.polls == 3)


async def test_a_controller_is_published_before_its_first_poll() -> None:
    fleet = Fleet()
    quick_poller("dc1", ScriptedSource([DOWN]), fleet, PollLimiter(4))
    assert 'avi_controller_polls_total{controller="dc1"} 0.0\n' in exposition_of(fleet.entries["dc1"])
    assert "avi_controller_up{" not in exposition_of(fleet.entries["dc1"])
    assert len(list(fleet.entries["dc1"].columns())) == len(families_of([IMAGE_FAMILIES]))


async def test_a_failed_poll_keeps_the_last_snapshot_and_counts_its_reason() -> None:
    async with running_poller(image_list(image_fields()), DOWN) as (fleet, _):
        entry = await wait_until(fleet, lambda entry: bool(entry.collections["image"].health.failures))
        assert "avi_image_info{" in exposition_of(entry)
        assert 'avi_controller_up{controller="dc1"} 0.0\n' in exposition_of(entry)
        assert (
            'avi_controller_poll_failures_total{controller="dc1",reason="connect",resource="image"} 1.0\n'
            in exposition_of(entry)
        )


async def test_stale_images_are_withdrawn_and_published_again_by_a_good_poll() -> None:
    poll = Poll(active_interval_s=0.001, idle_interval_s=0.002, max_backoff_s=0.002, stale_after_s=0.01)
    good = image_list(image_fields())
    async with running_poller(good, DOWN, poll=poll) as (fleet, source):
        stale = await wait_until(fleet, lambda entry: entry.collections["image"].health.stale)
        assert "avi_image" not in exposition_of(stale)
        assert 'avi_controller_stale{controller="dc1",resource="image"} 1.0\n' in exposition_of(stale)
        assert list(fleet.shown_objects("image")) == []
        source.answers[:] = [good]
        back = await wait_until(fleet, lambda entry: entry.session.up)
        assert 'avi_image_info{controller="dc1",image="30.2.1"' in exposition_of(back)
        assert [tracked.object.uuid for _, tracked in fleet.shown_objects("image")] == ["image-1"]


async def test_polls_are_frequent_while_an_image_is_active() -> None:
    active = image_list(image_fields(img_state={"state": "IMAGE_FSM_IN_PROGRESS"}))
    async with running_poller(active, active, image_list(image_fields())) as (fleet, _):
        first = await wait_until(fleet, lambda entry: entry.session.up)
        assert first.session.interval_s == QUICK.active_interval_s
        third = await wait_until(fleet, lambda entry: entry.session.polls == 3)
        assert third.session.interval_s == QUICK.idle_interval_s


async def test_retry_after_is_honoured() -> None:
    throttled = Unavailable("throttled", "429", retry_after_s=1234.5)
    async with running_poller(throttled) as (fleet, _):
        assert (await wait_until(fleet, lambda entry: entry.session.polls == 1)).session.interval_s == 1234.5


async def test_a_controller_that_throttles_is_polled_no_more_often_than_usual() -> None:
    poll = Poll(active_interval_s=0.001, idle_interval_s=7.0, max_backoff_s=0.002)
    async with running_poller(Unavailable("throttled", "429"), poll=poll) as (fleet, _):
        assert (await wait_until(fleet, lambda entry: entry.session.polls == 1)).session.interval_s == 7.0


async def test_a_bug_in_a_poll_is_counted_and_polling_goes_on() -> None:
    with capture_logs() as logs:
        async with running_poller(RuntimeError("a bug"), image_list(image_fields())) as (fleet, _):
            entry = await wait_until(fleet, lambda entry: entry.session.up)
    assert entry.collections["image"].health.failures == {"internal": 1}
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["poll_exception"]


class BlockingSource(NoUnits):
    """A source whose polls last until ``release`` is set; counts how many run at once."""

    received = 0
    running = 0
    max_running = 0

    def __init__(self, release: asyncio.Event, *, failures: int = 0) -> None:
        self.link = Link()
        self._release = release
        self._failures = failures

    async def list_images(self, _before: ObjectList) -> ObjectList:
        if self._failures:
            self._failures -= 1
            raise DOWN
        type(self).running += 1
        type(self).max_running = max(self.max_running, self.running)
        try:
            await self._release.wait()
        finally:
            type(self).running -= 1
        return image_list(image_fields())


async def test_concurrent_polls_are_limited() -> None:
    class CountedSource(BlockingSource):
        """A class of this test alone, because the counts are attributes of the class."""

    fleet, limiter, release = Fleet(), PollLimiter(3, silence_s=WAIT_TIMEOUT_S), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        loops = [
            tasks.create_task(quick_poller(f"dc{number}", CountedSource(release), fleet, limiter).run(), name="poll")
            for number in range(12)
        ]
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while CountedSource.running < 3:  # noqa: ASYNC110  until the limit is reached
                await asyncio.sleep(0)
            for _ in range(10):
                await asyncio.sleep(0)  # time for a fourth poll to begin, if the limit did not hold
            release.set()
            while not all(entry.session.up for entry in fleet.entries.values()):  # noqa: ASYNC110
                await asyncio.sleep(0)
        for loop in loops:
            loop.cancel()
    assert CountedSource.max_running == 3


async def test_controllers_that_hang_after_two_failures_do_not_delay_the_healthy_ones() -> None:
    fleet, limiter, never = Fleet(), PollLimiter(8), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        sources = {f"dead{number}": BlockingSource(never, failures=2) for number in range(20)}
        every: dict[str, BlockingSource | ScriptedSource] = {
            **sources,
            "dc1": ScriptedSource([image_list(image_fields())]),
        }
        loops = [
            tasks.create_task(quick_poller(name, source, fleet, limiter).run(), name=name)
            for name, source in every.items()
        ]
        await wait_until(
            fleet,
            lambda entry: entry.session.polls >= 50 and all(fleet.entries[name].session.polls >= 2 for name in sources),
        )
        for loop in loops:
            loop.cancel()
    assert {entry.session.polls for name, entry in fleet.entries.items() if name in sources} == {2}


async def test_black_holes_delay_no_healthy_controller_also_when_all_start_at_once() -> None:
    fleet, limiter, never = Fleet(), PollLimiter(4, silence_s=0.01), asyncio.Event()
    black_holes = {f"dead{number}": BlockingSource(never) for number in range(8)}
    every: dict[str, BlockingSource | ScriptedSource] = {
        **black_holes,
        "dc1": ScriptedSource([image_list(image_fields())]),
    }
    async with asyncio.TaskGroup() as tasks:
        loops = [
            tasks.create_task(quick_poller(name, source, fleet, limiter).run(), name=name)
            for name, source in every.items()
        ]
        await wait_until(fleet, lambda entry: entry.session.polls >= 50)
        for loop in loops:
            loop.cancel()
    assert {fleet.entries[name].session.polls for name in black_holes} == {0}
