"""The secrets of a session that a Controller repeats."""

import tracemalloc
from collections.abc import AsyncIterator

import pytest

from monitor.avi.client import Client
from monitor.model.errors import PollError
from monitor.model.snapshot import ObjectList
from monitor.simulator import ControllerSpec, Fault, SimulatedController, Simulator
from tests.support.daemons import connected

NOTHING = ObjectList()
MIB = 1024 * 1024


@pytest.fixture
async def dc1() -> AsyncIterator[SimulatedController]:
    async with Simulator([ControllerSpec(name="dc1", version="30.2.1", images=1)], speed=0.0) as simulator:
        yield simulator.controllers["dc1"]


async def the_errors(client: Client, polls: int) -> list[PollError]:
    errors: list[PollError] = []
    for _ in range(polls):
        with pytest.raises(PollError) as caught:
            await client.list_images(NOTHING)
        errors.append(caught.value)
    return errors


async def test_a_reply_with_many_short_cookies_costs_no_memory(dc1: SimulatedController) -> None:
    """Each of them is a secret; a filter that ran over its own output doubled the text for each."""
    dc1.faults.order(Fault("http_500", path="/login", value="eeee and e"))
    dc1.faults.order(Fault("extra_cookies", path="/login", size=20, value="e"))
    async with connected(dc1) as client:
        tracemalloc.start()
        (error,) = await the_errors(client, 1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert error.detail == "500 eeee and e"
    assert peak < 4 * MIB


async def test_a_secret_of_four_characters_is_masked_and_a_shorter_one_is_not(dc1: SimulatedController) -> None:
    dc1.faults.order(Fault("http_500", path="/login", value="both abc and abcd"))
    dc1.faults.order(Fault("extra_cookies", path="/login", size=1, value="abc"))
    dc1.faults.order(Fault("extra_cookies", path="/login", size=32, value="abcd"))
    async with connected(dc1) as client:
        (error,) = await the_errors(client, 1)
    assert error.detail == "500 both abc and <secret>"
