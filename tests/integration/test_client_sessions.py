"""Sessions that the client gives up: they are logged out of, and a refusal that stays costs no log-in at each poll."""

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


@pytest.fixture
async def client(dc1: SimulatedController) -> AsyncIterator[Client]:
    """Logged in, with one good poll behind it."""
    async with connected(dc1) as client:
        await client.list_images(NOTHING)
        yield client


async def the_errors(client: Client, polls: int) -> list[PollError]:
    errors: list[PollError] = []
    for _ in range(polls):
        with pytest.raises(PollError) as caught:
            await client.list_images(NOTHING)
        errors.append(caught.value)
    return errors


REFUSALS = {
    "400": Fault("bad_request"),
    "400-of-the-version": Fault("bad_request", value="Invalid version 30.2.1"),
    "419": Fault("switch_session"),
}


@pytest.mark.parametrize("fault", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_that_stays_costs_one_log_in_and_not_one_at_each_poll(
    dc1: SimulatedController, client: Client, fault: Fault
) -> None:
    dc1.faults.add(fault)
    errors = await the_errors(client, 20)
    assert {error.reason for error in errors} == {"http_4xx"}
    assert (dc1.logins - 1 - dc1.logouts, len(dc1.sessions)) == (0, 1)
    assert dc1.logins == 2
    dc1.faults.clear()
    await client.list_images(NOTHING)
    assert dc1.logins == 2


async def test_a_session_is_given_up_again_after_many_refusals_and_then_after_the_first_of_others(
    dc1: SimulatedController, client: Client
) -> None:
    """In case the second session, too, is the reason."""
    dc1.faults.add(Fault("bad_request"))
    await the_errors(client, 62)
    assert (dc1.logins, len(dc1.sessions)) == (3, 1)
    dc1.faults.clear()
    await client.list_images(NOTHING)
    dc1.faults.add(Fault("bad_request"))
    await the_errors(client, 2)
    assert (dc1.logins, len(dc1.sessions)) == (4, 1)


async def test_sessions_do_not_pile_up_on_a_controller_that_refuses_every_one(
    dc1: SimulatedController, client: Client
) -> None:
    dc1.faults.add(Fault("unauthorized"))
    errors = await the_errors(client, 5)
    assert {error.reason for error in errors} == {"auth"}
    assert dc1.logins == 1 + 5
    assert len(dc1.sessions) <= 1  # the first one, of which the Controller said itself that it had ended


async def test_a_session_that_an_older_version_replaced_is_logged_out(dc1: SimulatedController, client: Client) -> None:
    dc1.version = "22.1.6"
    await client.list_images(NOTHING)
    assert (dc1.logins, dc1.logouts, len(dc1.sessions)) == (2, 1, 1)


async def test_a_write_whose_session_is_refused_logs_out_of_it(dc1: SimulatedController, client: Client) -> None:
    uuid = dc1.upload(duration=60.0)
    dc1.faults.add(Fault("unauthorized", method="PATCH", times=1))
    await client.patch_image(uuid, b'{"replace": {"name": "renamed"}}', api_version="30.2.1")
    assert (dc1.logins, dc1.logouts, len(dc1.sessions)) == (2, 1, 1)
    assert dc1.image(uuid)["name"] == "renamed"


async def test_the_session_of_an_account_without_the_configured_tenant_is_ended(dc1: SimulatedController) -> None:
    async with connected(dc1, tenant="red") as client:
        with pytest.raises(PollError, match="Tenant 'red' does not exist"):
            await client.list_images(NOTHING)
        await client.log_out()
    assert (dc1.logouts, dict(dc1.sessions)) == (1, {})


async def test_a_log_in_with_a_reply_of_no_use_leaves_no_session(dc1: SimulatedController) -> None:
    dc1.faults.add(Fault("oversized_body", path="/login", size=2 * MIB))
    async with connected(dc1, max_response=64 * 1024) as client:
        errors = await the_errors(client, 3)
    assert {(error.reason, error.phase) for error in errors} == {("oversize", "login")}
    assert (dc1.logins, dc1.logouts, len(dc1.sessions)) == (3, 3, 0)


async def test_a_reply_with_many_short_cookies_costs_no_memory(dc1: SimulatedController) -> None:
    """Each of them is a secret; a filter that ran over its own output doubled the text for each."""
    dc1.faults.add(Fault("http_500", path="/login", value="eeee and e"))
    dc1.faults.add(Fault("extra_cookies", path="/login", size=20, value="e"))
    async with connected(dc1) as client:
        tracemalloc.start()
        (error,) = await the_errors(client, 1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert error.detail == "500 eeee and e"
    assert peak < 4 * MIB


async def test_a_secret_of_four_characters_is_masked_and_a_shorter_one_is_not(dc1: SimulatedController) -> None:
    dc1.faults.add(Fault("http_500", path="/login", value="both abc and abcd"))
    dc1.faults.add(Fault("extra_cookies", path="/login", size=1, value="abc"))
    dc1.faults.add(Fault("extra_cookies", path="/login", size=32, value="abcd"))
    async with connected(dc1) as client:
        (error,) = await the_errors(client, 1)
    assert error.detail == "500 both abc and <secret>"
