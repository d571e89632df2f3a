"""Simulated Controllers over HTTPS, and a certificate that is swapped while they run."""

import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
import trustme

from monitor.simulator import ControllerSpec, SimulatedController, Simulator


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def dc1(authority: trustme.CA) -> AsyncIterator[SimulatedController]:
    async with Simulator([ControllerSpec(name="dc1", images=1)], tls=server_context(authority)) as simulator:
        yield simulator.controllers["dc1"]


async def status(controller: SimulatedController, trusted: trustme.CA) -> int:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{controller.url}/api/cluster/status", ssl=client_context(trusted)) as response,
    ):
        return response.status


async def test_a_client_that_trusts_the_ca_connects(dc1: SimulatedController, authority: trustme.CA) -> None:
    assert dc1.url.startswith("https://")
    assert await status(dc1, authority) == 200


async def test_a_client_that_trusts_another_ca_does_not_connect(dc1: SimulatedController) -> None:
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await status(dc1, trustme.CA())


async def test_after_a_swap_new_handshakes_use_the_other_certificate(
    dc1: SimulatedController, authority: trustme.CA
) -> None:
    other = trustme.CA()
    dc1.swap_certificate(server_context(other))
    assert await status(dc1, other) == 200
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await status(dc1, authority)


async def test_a_swap_does_not_affect_other_controllers(authority: trustme.CA) -> None:
    specs = [ControllerSpec(name="one"), ControllerSpec(name="two")]
    async with Simulator(specs, tls=server_context(authority)) as simulator:
        simulator.controllers["one"].swap_certificate(server_context(trustme.CA()))
        assert await status(simulator.controllers["two"], authority) == 200


async def test_cookies_are_secure_over_https(dc1: SimulatedController, authority: trustme.CA) -> None:
    form = {"username": dc1.username, "password": dc1.password}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{dc1.url}/login", data=form, ssl=client_context(authority)) as response,
    ):
        assert {cookie["secure"] for cookie in response.cookies.values()} == {True}


async def test_without_tls_a_certificate_cannot_be_swapped(authority: trustme.CA) -> None:
    async with Simulator([ControllerSpec(name="dc1")]) as simulator:
        with pytest.raises(ValueError, match="no certificate"):
            simulator.controllers["dc1"].swap_certificate(server_context(authority))
