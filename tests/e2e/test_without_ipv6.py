"""A machine on which ``localhost`` means ``::1``, too, and that has no IPv6: a network namespace of its own."""

import sys
from pathlib import Path

import pytest

from tests.support.programs import output_of, program

ROOT = Path(__file__).parents[2]
HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
WITHOUT_IPV6 = 'mount --bind "$1" /etc/hosts && ip link set lo up && ip -6 address flush dev lo && shift && exec "$@"'
INSIDE = """
import asyncio, socket, sys
from pathlib import Path
import aiohttp
from monitor.simulator import ControllerSpec, Simulator
from tests.support.daemons import until, watching

async def main():
    assert {each[4][0] for each in socket.getaddrinfo("localhost", 80)} == {"127.0.0.1", "::1"}
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0, host="localhost") as simulator:
        async with watching(simulator, Path(sys.argv[1]), listen="localhost:9972") as daemon:
            await until(daemon, "dc1", lambda entry: entry.session.up)
            async with aiohttp.ClientSession() as session:
                async with session.get("http://localhost:9972/-/ready") as response:
                    print("ready", response.status, simulator.controllers["dc1"].url)

asyncio.run(main())
"""


async def namespaces() -> tuple[str, ...]:
    """Return the command that makes namespaces of the network and of mounts: as root, or with a user namespace."""
    unshare = program("unshare")
    refusals = []
    for command in ((unshare, "--net", "--mount"), (unshare, "--map-root-user", "--net", "--mount")):
        status, _, error = await output_of(*command, "true")
        if status == 0:
            return command
        refusals.append(error.strip())
    pytest.skip(f"this needs root, or user namespaces: {'; '.join(refusals)}")


async def test_localhost_is_served_where_it_means_an_ipv6_address_that_does_not_exist(tmp_path: Path) -> None:
    program("ip")
    hosts = tmp_path / "hosts"
    hosts.write_text(HOSTS)
    inside = (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{INSIDE}", str(tmp_path))
    command = (*await namespaces(), "sh", "-c", WITHOUT_IPV6, "sh", str(hosts))
    status, out, error = await output_of(*command, *inside)
    assert status == 0, error
    lines = out.splitlines()
    assert any("listening" in line and "127.0.0.1:9972" in line for line in lines)
    (missing,) = [line for line in lines if "listen_address_missing" in line]
    assert "[::1]:9972" in missing
    assert "Cannot assign requested address" in missing
    assert any(line.startswith("ready 200 http://localhost:") for line in lines)
