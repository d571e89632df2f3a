"""A PostgreSQL server that is killed, and a network to it that breaks, while changes are written: what clients hear."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import get_args

import pytest

from monitor.daemon.app import Daemon
from monitor.model.errors import CommitUnknown, StoreError
from monitor.model.tracked import ProgressMark
from monitor.simulator import ControllerSpec, Simulator
from monitor.web.context import Limits
from tests.support.daemons import polled, samples, scrape, until, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import TOKENS, patch
from tests.support.postgres import Server, serving
from tests.support.postgres_proxy import Cut, proxied
from tests.support.stores import DONE, TICKET, chain_faults, intent, is_up, opened, recover

CRASHES = 3
OPERATORS = 6


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that these tests may crash."""
    with serving() as server:
        yield server


@pytest.fixture
def name(own_server: Server) -> Iterator[str]:
    name = own_server.create()
    yield name
    own_server.drop(name)


@pytest.mark.parametrize("cut", get_args(Cut))
async def test_a_change_whose_commit_was_cut_off_is_reported_as_unknown(
    own_server: Server, name: str, cut: Cut
) -> None:
    async with (
        proxied(own_server) as (proxy, port),
        opened(f"postgresql://postgres@127.0.0.1:{port}/{name}") as store,
    ):
        await store.audit_log.record(intent("image-1"), DONE, TICKET, at=1)
        proxy.cut_commit = cut
        with pytest.raises(CommitUnknown):
            await store.audit_log.record(intent("image-2"), DONE, TICKET, at=2)
        assert not is_up(store)
        await recover(store)
        expected = {"image-1", "image-2"} if cut == "after" else {"image-1"}
        assert set(store.audit_log.annotations_of("dc1")) == expected
        assert not await chain_faults(store)


@pytest.mark.parametrize("cut", get_args(Cut))
async def test_an_outcome_whose_commit_was_cut_off_is_written_once(own_server: Server, name: str, cut: Cut) -> None:
    change = intent("image-1")
    async with (
        proxied(own_server) as (proxy, port),
        opened(f"postgresql://postgres@127.0.0.1:{port}/{name}") as store,
    ):
        number = await store.audit_log.begin(change, at=1)
        proxy.cut_commit = cut
        with pytest.raises(CommitUnknown):
            await store.audit_log.finish(number, change, DONE, TICKET, at=2)
        await recover(store)
        (entry,) = await store.audit_log.entries()
        assert (entry.intent, entry.outcome, entry.ended_at) == (change, DONE, 2)
        assert store.audit_log.annotations_of("dc1") == {"image-1": {"ticket": "CHG-1"}}
        assert not await chain_faults(store)


async def test_a_change_after_a_commit_that_was_cut_off_is_known_not_to_be_made(own_server: Server, name: str) -> None:
    async with (
        proxied(own_server) as (proxy, port),
        opened(f"postgresql://postgres@127.0.0.1:{port}/{name}") as store,
    ):
        store.marks.set("dc1", "image", {"image-1": ProgressMark(b"e" * 16, changed_at=1.0, first_seen_at=1.0)})
        proxy.cut_commit = "before"
        await store.try_flush()
        with pytest.raises(StoreError) as raised:
            await store.audit_log.record(intent("image-1"), DONE, TICKET, at=1)
        assert not isinstance(raised.value, CommitUnknown)
        await recover(store)
        assert not store.audit_log.annotations_of("dc1")


async def test_a_network_that_passes_nothing_on_leaves_all_or_nothing(own_server: Server, name: str) -> None:
    async with (
        proxied(own_server) as (proxy, port),
        opened(f"postgresql://postgres@127.0.0.1:{port}/{name}") as store,
    ):
        await store.audit_log.record(intent("image-1"), DONE, TICKET, at=1)
        proxy.hold()
        store.database.transaction_timeout_s = 0.05
        with pytest.raises(StoreError, match="no answer in time") as raised:
            await store.audit_log.record(intent("image-2"), DONE, TICKET, at=2)
        assert not isinstance(raised.value, CommitUnknown), "the transaction did not even begin"
        proxy.break_all()
        store.database.transaction_timeout_s = 30.0
        await recover(store)
        assert set(store.audit_log.annotations_of("dc1")) == {"image-1"}


REFUSED, UNRECORDED, UNKNOWN = 503, 500, 504


class Operators:
    """Operators who go on changing images until they are told to stop. ``answers``: by number of the change."""

    def __init__(self, daemon: Daemon, uuids: list[str]) -> None:
        self.answers: dict[str, int] = {}
        self._daemon = daemon
        self._uuids = uuids
        self._numbers = count()
        self._stopping = False
        self._answered = asyncio.Condition()

    async def work(self, name: str) -> None:
        """Change one image after the other; every other time on the Controller, too."""
        while not self._stopping:
            number = next(self._numbers)
            body: dict[str, object] = {"annotations": {name: str(number)}}
            if number % 2:
                body["name"] = f"name-{number}"
            got = await patch(self._daemon, self._uuids[number % len(self._uuids)], body)
            async with self._answered:
                self.answers[str(number)] = got.status
                self._answered.notify_all()
            if got.status != 200:
                await polled(self._daemon, "dc1")

    async def succeed(self, times: int) -> None:
        """Wait until so many more changes were made."""
        already = self._made()
        async with asyncio.timeout(WAIT_TIMEOUT_S), self._answered:
            await self._answered.wait_for(lambda: self._made() >= already + times)

    def stop(self) -> None:
        self._stopping = True

    def _made(self) -> int:
        return sum(status == 200 for status in self.answers.values())


async def test_of_a_server_that_is_killed_while_changes_are_made_clients_hear_what_is_true(
    own_server: Server, name: str, tmp_path: Path
) -> None:
    url = own_server.url(name)
    async with (
        Simulator([ControllerSpec(name="dc1", images=3)], speed=0.0) as simulator,
        watching(simulator, tmp_path, database=url, tokens=TOKENS, limits=Limits(max_changes=1_000_000)) as daemon,
    ):
        polled_once = await until(daemon, "dc1", lambda entry: entry.session.up)
        operators = Operators(daemon, sorted(polled_once.objects("image")))
        async with asyncio.TaskGroup() as tasks:
            for each in range(OPERATORS):
                tasks.create_task(operators.work(f"operator-{each}"), name="operator")
            for _ in range(CRASHES):
                await operators.succeed(OPERATORS)
                await asyncio.to_thread(own_server.crash)
                await asyncio.to_thread(own_server.start)
            await operators.succeed(OPERATORS)
            operators.stop()
        await polled(daemon, "dc1")
        assert samples(await scrape(daemon), "avi_upgrade_monitor_store_up") == [1.0]
        shown = {uuid: tracked.annotations for uuid, tracked in daemon.fleet.entries["dc1"].objects("image").items()}
    async with opened(url) as store:
        entries = await store.audit_log.entries(limit=1_000_000)
        assert not await chain_faults(store)
        assert {uuid: known for uuid, known in shown.items() if known} == store.audit_log.annotations_of("dc1")
    outcomes: dict[str, str] = {}
    last: dict[tuple[str, str], str] = {}
    for entry in reversed(entries):
        ((key, number),) = entry.intent.asked["annotations"].items()
        assert number not in outcomes, "no change is recorded twice"
        assert entry.outcome
        outcomes[number] = entry.outcome.kind
        if entry.outcome.kind == "done":
            last[entry.intent.image_uuid, key] = number
    expected = {200: {"done"}, UNRECORDED: {"done"}, UNKNOWN: {"done", ""}, REFUSED: {"failed", ""}}
    for number, status in operators.answers.items():
        assert outcomes.get(number, "") in expected[status], f"what a client heard with {status} is true"
    assert last == {(uuid, key): number for uuid, known in shown.items() for key, number in known.items()}
