"""The connection to a Controller: firewalls that forget it in silence, and replies that never end."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from yarl import URL

from monitor.avi.client import Client
from monitor.avi.connection import KEEPALIVE_S, open_socket
from monitor.model.errors import BadAnswer
from monitor.model.snapshot import ObjectList
from monitor.simulator import ControllerSpec, Fault, SimulatedController, Simulator
from tests.support.daemons import connected
from tests.support.idle_firewall import IdleFirewall, idle_firewall
from tests.support.limits import WAIT_TIMEOUT_S

NOTHING = ObjectList()
RENAME = b'{"replace": {"name": "renamed"}}'


@pytest.fixture
async def dc1() -> AsyncIterator[SimulatedController]:
    async with Simulator([ControllerSpec(name="dc1", version="30.2.1", images=1)], speed=0.0) as simulator:
        yield simulator.controllers["dc1"]


@pytest.fixture
async def firewall(dc1: SimulatedController) -> AsyncIterator[IdleFirewall]:
    async with idle_firewall(dc1.url) as firewall:
        yield firewall


@pytest.fixture
async def client(dc1: SimulatedController, firewall: IdleFirewall) -> AsyncIterator[Client]:
    """Behind the firewall, with one good poll behind it; it sends a GET again at once."""
    async with connected(dc1, url=firewall.url, timeout_s=WAIT_TIMEOUT_S, resend_after=0.0) as client:
        await client.list_images(NOTHING)
        yield client


def paths(controller: SimulatedController, method: str) -> list[str]:
    return [request.path for request in controller.requests if request.method == method]


# -- firewalls


async def test_a_poll_on_a_connection_that_a_firewall_has_forgotten_is_good(
    dc1: SimulatedController, firewall: IdleFirewall, client: Client
) -> None:
    for _ in range(4):
        firewall.forget()
        assert len((await client.list_images(NOTHING)).raws) == 1
    assert dc1.logins == 1


async def test_a_patch_on_a_connection_that_a_firewall_has_forgotten_is_sent_once_and_done(
    dc1: SimulatedController, firewall: IdleFirewall, client: Client
) -> None:
    uuid = dc1.upload(duration=60.0)
    firewall.forget()
    await client.patch_image(uuid, RENAME, api_version="30.2.1")
    assert dc1.image(uuid)["name"] == "renamed"
    assert paths(dc1, "PATCH") == [f"/api/image/{uuid}"]


async def test_a_log_in_on_a_connection_that_a_firewall_has_forgotten_is_sent_once_and_good(
    dc1: SimulatedController, firewall: IdleFirewall, client: Client
) -> None:
    await client.log_out()
    firewall.forget()
    await client.list_images(NOTHING)
    assert paths(dc1, "POST") == ["/login", "/logout", "/login"]


async def test_a_slow_controller_is_asked_once_more_and_the_reply_to_either_request_is_good(
    dc1: SimulatedController, client: Client
) -> None:
    dc1.faults.add(Fault("hang"))
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(client.list_images(NOTHING), name="poll")
        await dc1.wait_for_requests(len(paths(dc1, "GET")) + 2, path="/api/image")
        dc1.faults.clear()
    assert len(poll.result().raws) == 1


async def test_a_poll_that_is_cancelled_on_an_idle_connection_sends_nothing_more(dc1: SimulatedController) -> None:
    """Would find a timer that outlives its request, and then sends it again."""
    async with connected(dc1, timeout_s=WAIT_TIMEOUT_S, resend_after=1e-3) as client:
        await client.list_images(NOTHING)
        loop, errors = asyncio.get_running_loop(), list[object]()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        poll = asyncio.ensure_future(client.list_images(NOTHING))
        await asyncio.sleep(0)  # it has sent its request
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        timer_passed = asyncio.Event()
        loop.call_later(2e-3 * WAIT_TIMEOUT_S, timer_passed.set)
        await timer_passed.wait()
        assert errors == []


async def test_an_idle_connection_is_probed_so_that_no_firewall_forgets_it(dc1: SimulatedController) -> None:
    with open_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 0))) as opened:
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_S
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == KEEPALIVE_S
    async with connected(dc1) as client:
        await client.list_images(NOTHING)
        assert timers_of_connections_to(dc1.url) == {"02"}


def timers_of_connections_to(url: str) -> set[str]:
    """The kind of the kernel's timer for each connection to this port (proc(5), /proc/net/tcp); 02: of keepalive."""
    port = f":{URL(url).port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {fields[5].partition(":")[0] for fields in lines if fields[2].endswith(port) and fields[3] == "01"}


# -- replies without end


async def test_interim_replies_without_end_are_a_failure(dc1: SimulatedController) -> None:
    async with connected(dc1) as client:
        await client.list_images(NOTHING)
        dc1.faults.add(Fault("interim_replies"))
        with pytest.raises(BadAnswer, match="more than 16 interim replies") as caught:
            await client.list_images(NOTHING)
        assert caught.value.reason == "decode"
        dc1.faults.clear()
        await client.list_images(NOTHING)
    assert dc1.logins == 1


async def test_a_few_interim_replies_before_each_reply_are_good(dc1: SimulatedController) -> None:
    dc1.faults.add(Fault("interim_replies", path="/", size=3))
    async with connected(dc1) as client:
        for _ in range(10):
            assert len((await client.list_images(NOTHING)).raws) == 1
    assert dc1.logins == 1
