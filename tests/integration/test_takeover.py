"""
Two daemons on one database, of which the writer dies in some way: the other takes over, and nothing is done twice.

With ``--all-kill-points`` (``make torture``) more than a hundred writers die.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random

import asyncpg
import pytest

from monitor.cli.commands.audit import verify
from monitor.cli.commands.simulate import write_config
from monitor.config.load import load
from monitor.daemon.app import Daemon, running
from monitor.model.errors import StoreError
from monitor.simulator import ControllerSpec, Simulator
from monitor.web.context import Limits
from tests.support.daemon_processes import RARE, DaemonProcess, started
from tests.support.daemons import polled, until, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import TOKENS, ask, audit, patch
from tests.support.postgres import Server, session
from tests.support.postgres_proxy import proxied
from tests.support.scripts import Scripts, count_done
from tests.support.stores import DONE, TICKET, chain_faults, intent, is_up, opened, recover

pytestmark = pytest.mark.unmeasured

WRITER, STANDBY, DOWN = b"writer\n", b"not writer: a standby: ", b"not writer: the database does not answer"
"""What daemons say at `/-/writer`. The first does not occur in the others."""


class Site:
    """A Controller with one image, and the configuration that all daemons share."""

    def __init__(self, simulator: Simulator, folder: Path, database_url: str) -> None:
        self.controller = simulator.controllers["dc1"]
        (self.uuid,) = self.controller.images.names(self.controller.clock.now())
        settings = {"listen": "127.0.0.1:0", "database": database_url, "poll": RARE, "tokens": TOKENS}
        self.config = write_config(simulator, folder, settings)

    def daemon(self) -> AbstractAsyncContextManager[DaemonProcess]:
        """One more daemon process on the database."""
        return started(self.config, self.uuid, kill_at=None)

    def sent(self) -> Counter[bytes]:
        """What the Controller got, and how often."""
        return Counter(request.body for request in self.controller.requests if request.method == "PATCH")

    async def require_whole(self, url: str, answers: Mapping[str, int]) -> None:
        """Check the audit against the Controller, and against the answers by change."""
        await verify(load(self.config), "text", {})  # raises when the chain is not whole
        assert max(self.sent().values(), default=0) <= 1, "nothing is sent twice"
        done = await count_done(url)
        assert max(done.values()) == 1, "nothing is done twice"
        lost = [change for change, status in answers.items() if status == 200 and not done[change]]
        assert not lost, "what was acknowledged is there"


@asynccontextmanager
async def site(folder: Path, database_url: str) -> AsyncIterator[Site]:
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        yield Site(simulator, folder, database_url)


@asynccontextmanager
async def pair(folder: Path, database_url: str) -> AsyncIterator[tuple[Site, DaemonProcess, DaemonProcess]]:
    """A writer and its standby, as processes."""
    async with (
        site(folder, database_url) as here,
        here.daemon() as writer,
        here.daemon() as standby,
    ):
        await standby.becomes("standby")
        yield here, writer, standby


async def test_a_writer_that_is_killed_is_replaced_by_the_standby(tmp_path: Path, database_url: str) -> None:
    """Changes would be refused until somebody looks."""
    async with pair(tmp_path, database_url) as (here, writer, standby):
        assert await writer.patch({"annotations": {"a": "1"}}) == 200
        assert await standby.patch({"annotations": {"b": "2"}}) == 200
        await writer.kill()
        await standby.becomes("writer")
        assert await standby.patch({"annotations": {"c": "3"}}) == 200
        image = await standby.get(f"/api/image/{here.uuid}")
        assert image["annotations"] == {"a": "1", "b": "2", "c": "3"}
        await here.require_whole(standby.url, {"1": 200, "2": 200, "3": 200})


async def test_a_writer_that_is_stopped_is_replaced_and_writes_nothing_when_it_goes_on(
    tmp_path: Path, postgres_url: str
) -> None:
    """Its kernel goes on acknowledging: the server would keep its lock for ever, and it would go on writing."""
    async with pair(tmp_path, postgres_url) as (here, writer, standby):
        writer.send_signal(signal.SIGSTOP)
        late = asyncio.create_task(writer.patch({"annotations": {"late": "1"}}), name="late")
        await standby.becomes("writer")
        assert await standby.patch({"annotations": {"a": "2"}}) == 200
        writer.send_signal(signal.SIGCONT)
        status = await late
        await writer.becomes("standby")
        await here.require_whole(standby.url, {"1": status, "2": 200})
        expected = (await standby.get(f"/api/image/{here.uuid}"))["annotations"]
        assert (await writer.get(f"/api/image/{here.uuid}"))["annotations"] == expected


@pytest.mark.timeout(3600)
async def test_a_writer_that_stops_in_a_change_sends_and_writes_nothing_of_it_when_it_goes_on(
    tmp_path: Path, postgres_url: str, request: pytest.FixtureRequest
) -> None:
    """The next writer has ended the change as unknown, and the client may have repeated it there."""
    async with site(tmp_path, postgres_url) as here:
        async with started(here.config, here.uuid) as daemon:
            assert await daemon.patch({"annotations": {"a": "0"}, "name": "0"}) == 200
            places = len(await daemon.places())
        answers, late_sends = {"0": 200}, 0
        everywhere = request.config.getoption("--all-kill-points")
        for point in range(1, places, 1 if everywhere else places // 3):
            late, other = f"late-{point}", f"other-{point}"
            async with (
                started(here.config, here.uuid, kill_at=point, sent=signal.SIGSTOP) as writer,
                here.daemon() as standby,
            ):
                await standby.becomes("standby")
                change = writer.patch({"annotations": {"a": late}, "name": late})
                changing = asyncio.create_task(change, name="change")
                await standby.becomes("writer")
                answers[other] = await standby.patch({"annotations": {"a": other}, "name": other})
                sent = here.sent()
                writer.send_signal(signal.SIGCONT)
                answers[late] = await changing
                await writer.becomes("standby")
                assert answers[other] == 200
                if here.sent() == sent:
                    assert here.controller.image(here.uuid)["name"] == other
                else:  # it stopped between its last look at the lock and the request, which nothing can take back
                    assert answers[late] == 500, "the client hears that it was made and not recorded"
                    late_sends += 1
                await here.require_whole(standby.url, answers)
        assert late_sends <= places // 5, "that is a short way"


async def test_a_writer_whose_term_is_over_cannot_write_although_it_has_noticed_nothing(postgres_url: str) -> None:
    """One that was stopped between its last look at the lock and the transaction would write beside the next one."""
    async with opened(postgres_url) as store, session(postgres_url) as other:
        await store.audit_log.record(intent(), DONE, TICKET, at=1)
        await other.execute("UPDATE writer SET term = term + 1")
        with pytest.raises(StoreError, match="another daemon has become the writer"):
            await store.audit_log.record(intent(), DONE, TICKET, at=2)
        assert not is_up(store)
        await recover(store)
        assert len(await store.audit_log.entries()) == 1
        assert not await chain_faults(store)
        async with store.database.transaction():
            await other.execute("SET lock_timeout = '10ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await other.execute("UPDATE writer SET term = term + 1")


async def has_role(daemon: Daemon, role: bytes) -> None:
    """Wait until this is what the daemon says of itself."""
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while role not in (await ask(daemon, "GET", "/-/writer")).body:
            await polled(daemon, "dc1")


async def test_a_writer_that_is_cut_off_is_replaced_and_follows_when_the_network_is_back(
    tmp_path: Path, postgres_server: Server, postgres_url: str
) -> None:
    """The server hears nothing of the end of a connection, and keeps the lock for as long as its system waits."""
    name = postgres_url.partition("@/")[2].partition("?")[0]
    for folder in ("near", "far"):
        (tmp_path / folder).mkdir()
    async with (
        Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
        proxied(postgres_server) as (proxy, port),
    ):
        far_url = f"postgresql://postgres@127.0.0.1:{port}/{name}"
        async with (
            watching(simulator, tmp_path / "far", database=far_url, tokens=TOKENS) as far,
            watching(simulator, tmp_path / "near", database=postgres_url, tokens=TOKENS) as near,
        ):
            for daemon in (far, near):
                await until(daemon, "dc1", lambda entry: entry.session.up)
            (uuid,) = near.fleet.entries["dc1"].objects("image")

            await has_role(far, WRITER)
            await has_role(near, STANDBY)
            assert (await patch(near, uuid, {"annotations": {"a": "1"}})).status == 200
            proxy.hold()
            await has_role(near, WRITER)
            assert (await patch(near, uuid, {"annotations": {"b": "2"}})).status == 200
            await has_role(far, DOWN)
            assert (await patch(far, uuid, {"annotations": {"lost": "3"}})).kind == "database-down"
            proxy.break_all()
            await has_role(far, STANDBY)
            assert (await patch(far, uuid, {"annotations": {"c": "4"}})).status == 200
            assert (await ask(near, "GET", f"/api/image/{uuid}")).json["annotations"] == {"a": "1", "b": "2", "c": "4"}
            assert [entry["outcome"] for entry in await audit(near)] == ["done"] * 3


@asynccontextmanager
async def changing(scripts: Scripts) -> AsyncIterator[None]:
    """Two scripts at work, until the context ends."""
    async with asyncio.TaskGroup() as tasks:
        for name in ("east", "west"):
            tasks.create_task(scripts.work(name), name=name)
        yield
        scripts.stop()


async def test_of_changes_during_a_rolling_restart_none_is_lost_and_none_is_made_twice(
    tmp_path: Path, database_url: str
) -> None:
    """A change in flight would be cut off with its daemon, or made by both."""
    async with site(tmp_path, database_url) as here, AsyncExitStack() as first, AsyncExitStack() as second:
        read = partial(load, here.config)

        async def start(stack: AsyncExitStack) -> str:
            limits = Limits(max_changes=1_000_000)
            daemon = await stack.enter_async_context(running(read(), now=time.time, rng=Random(7), limits=limits))
            await until(daemon, "dc1", lambda entry: entry.session.up)
            return daemon.url

        stacks = (first, second)
        scripts = Scripts([await start(stack) for stack in stacks], here.uuid)
        async with changing(scripts):
            for number in (0, 1, 0, 1):
                await scripts.succeed(4)
                await stacks[number].aclose()
                scripts.urls[number] = await start(stacks[number])
            await scripts.succeed(4)
        assert set(scripts.answers.values()) == {200}, "every client knows what was done"
        await here.require_whole(scripts.urls[0], scripts.answers)


@pytest.mark.timeout(7200)
async def test_of_changes_while_writers_die_none_is_lost_and_none_is_made_twice(
    tmp_path: Path, postgres_url: str, request: pytest.FixtureRequest
) -> None:
    deaths = 120 if request.config.getoption("--all-kill-points") else 2
    async with site(tmp_path, postgres_url) as here, AsyncExitStack() as first, AsyncExitStack() as second:
        stacks = (first, second)
        daemons = [await stack.enter_async_context(here.daemon()) for stack in stacks]
        scripts = Scripts([daemon.url for daemon in daemons], here.uuid)
        async with changing(scripts):
            for number, way in zip(range(deaths), cycle((signal.SIGKILL, signal.SIGSTOP)), strict=False):
                await scripts.succeed(2 + number % 5)
                place = await writer_of(daemons)
                writer, other = daemons[place], daemons[1 - place]
                writer.send_signal(way)
                await other.becomes("writer")
                if way == signal.SIGKILL:
                    await stacks[place].aclose()
                    daemons[place] = await stacks[place].enter_async_context(here.daemon())
                    scripts.urls[place] = daemons[place].url
                else:
                    writer.send_signal(signal.SIGCONT)
                await daemons[place].becomes("standby")
            await scripts.succeed(2)
        await here.require_whole(daemons[0].url, scripts.answers)


async def writer_of(daemons: Sequence[DaemonProcess]) -> int:
    """The place of the daemon that is the writer."""
    waiting = [asyncio.create_task(daemon.becomes("writer"), name="writer") for daemon in daemons]
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.wait(waiting)
    return waiting.index(done.pop())
