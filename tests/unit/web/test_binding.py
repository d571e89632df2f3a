"""Which addresses of a host are bound. The resolver of the event loop knows one name; the sockets are real."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from monitor.model.errors import MonitorError
from monitor.web.binding import Bound, bind

HERE, ALSO_HERE = "127.0.0.1", "127.0.0.2"
ELSEWHERE, ELSEWHERE_6 = "198.51.100.7", "2001:db8::7"  # for documentation: no machine has them


class ResolvingLoop(asyncio.SelectorEventLoop):
    """An event loop for which every name means these addresses, as a hosts file may say."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self._addresses = addresses

    async def getaddrinfo(self, host: Any, port: Any, **how: Any) -> Any:  # noqa: ANN401, ARG002  as the base class
        found = []
        for address in self._addresses:
            is_6 = ":" in address
            family = socket.AF_INET6 if is_6 else socket.AF_INET
            found.append((family, socket.SOCK_STREAM, 6, "", (address, port, 0, 0) if is_6 else (address, port)))
        return found


def run(main: Callable[[], Awaitable[None]], *addresses: str) -> None:
    async def awaited() -> None:
        await main()

    with asyncio.Runner(loop_factory=lambda: ResolvingLoop(*addresses)) as runner:
        runner.run(awaited())


def close(bound: Bound) -> list[tuple[str, int]]:
    """Close the sockets, and return where they listened."""
    places = [each.getsockname()[:2] for each in bound.sockets]
    for each in bound.sockets:
        each.close()
    return places


def test_addresses_that_this_machine_does_not_have_are_left_out_with_the_reason() -> None:
    async def main() -> None:
        bound = await bind("somewhere", 0)
        assert [host for host, _ in close(bound)] == [HERE]
        missing, missing_6 = bound.missing
        assert missing.address.startswith(f"{ELSEWHERE}:")
        assert missing.cause == "Cannot assign requested address"
        assert missing_6.address.startswith(f"[{ELSEWHERE_6}]:")
        assert missing_6.cause in {"Cannot assign requested address", "Address family not supported by protocol"}

    run(main, ELSEWHERE, HERE, ELSEWHERE_6)


def test_the_address_that_is_in_use_is_an_error_although_another_is_free() -> None:
    async def main() -> None:
        with socket.create_server((ALSO_HERE, 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(MonitorError) as raised:
                await bind("somewhere", port)
        assert str(raised.value) == f"cannot listen on somewhere:{port}: {ALSO_HERE}:{port}: Address already in use"
        with socket.create_server((HERE, port)):
            """The socket of the free address was closed."""

    run(main, HERE, ALSO_HERE)


def test_when_no_address_exists_each_is_named_with_its_reason() -> None:
    async def main() -> None:
        with pytest.raises(MonitorError) as raised:
            await bind("somewhere", 9972)
        assert str(raised.value) == (
            f"cannot listen on somewhere:9972: {ELSEWHERE}:9972: Cannot assign requested address; "
            "198.51.100.8:9972: Cannot assign requested address"
        )

    run(main, ELSEWHERE, "198.51.100.8")


def test_port_0_is_one_free_port_on_every_address() -> None:
    async def main() -> None:
        (first, port), (second, same) = close(await bind("somewhere", 0))
        assert (first, second, same) == (HERE, ALSO_HERE, port)

    run(main, HERE, ALSO_HERE, HERE)


async def test_an_empty_host_is_every_address_of_ipv4_and_of_ipv6() -> None:
    bound = await bind("", 0)
    families = {each.family for each in bound.sockets}
    missing = {each.address.rpartition(":")[0] for each in bound.missing}
    assert {host for host, _ in close(bound)} | missing >= {"0.0.0.0"}  # noqa: S104  what it is about
    assert families == ({socket.AF_INET} if "[::]" in missing else {socket.AF_INET, socket.AF_INET6})


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("no.such.host.invalid", "[A-Z][a-z ]+"),  # depends on the resolver
        ("a" * 64 + ".invalid", "not a host name"),
        ("198.51.100.7", "Cannot assign requested address"),
    ],
)
async def test_a_host_that_means_no_address_here_is_named_with_the_reason(host: str, reason: str) -> None:
    with pytest.raises(MonitorError, match=f"^cannot listen on {host}:9972: {reason}$"):
        await bind(host, 9972)
