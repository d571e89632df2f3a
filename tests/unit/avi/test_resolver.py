"""Names are looked up outside the event loop's thread pool: one that hangs delays no other and can be abandoned."""

import asyncio
import socket
import threading
from collections.abc import Callable

import pytest

from monitor.avi.resolver import Resolver
from tests.support.limits import WAIT_TIMEOUT_S

Answer = list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]]


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], Answer]], list[str]]:
    """Replace the system's resolver, which no test can make hang. Returns: the hosts that were looked up."""

    def answer_with(answer: Callable[[str], Answer]) -> list[str]:
        hosts: list[str] = []

        def getaddrinfo(host: str, _port: int, **_options: object) -> Answer:
            hosts.append(host)
            return answer(host)

        monkeypatch.setattr("monitor.avi.resolver.socket.getaddrinfo", getaddrinfo)
        return hosts

    return answer_with


def found(address: str) -> Answer:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]


async def test_a_real_name_is_resolved() -> None:
    assert {each["host"] for each in await Resolver().resolve("localhost", 443)} == {"127.0.0.1"}


async def test_a_name_that_does_not_exist_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError):  # noqa: PT011  the words are the system's
        await Resolver().resolve("name.invalid", 443)


async def test_an_invalid_name_is_an_error_of_the_system_too() -> None:
    with pytest.raises(OSError):  # noqa: PT011
        await Resolver().resolve("a..b", 443)


async def test_twenty_names_that_hang_delay_no_other(
    looked_up: Callable[[Callable[[str], Answer]], list[str]],
) -> None:
    go_on = threading.Event()

    def answer(host: str) -> Answer:
        if host != "good":
            go_on.wait(2 * WAIT_TIMEOUT_S)
        return found("192.0.2.1")

    looked_up(answer)
    names = Resolver()
    async with asyncio.TaskGroup() as tasks:
        hanging = [tasks.create_task(names.resolve(f"hangs{number}"), name="hangs") for number in range(20)]
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            assert [each["host"] for each in await names.resolve("good")] == ["192.0.2.1"]
        assert not any(task.done() for task in hanging)
        go_on.set()


async def test_an_abandoned_look_up_is_not_repeated_while_it_hangs(
    looked_up: Callable[[Callable[[str], Answer]], list[str]],
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(_host: str) -> Answer:
        begun.set()
        go_on.wait(2 * WAIT_TIMEOUT_S)
        return found("192.0.2.1")

    hosts = looked_up(answer)
    names = Resolver()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(names.resolve("slow"), name="first")
        await asyncio.to_thread(begun.wait, WAIT_TIMEOUT_S)
        first.cancel()
    async with asyncio.TaskGroup() as tasks:
        second = tasks.create_task(names.resolve("slow"), name="second")
        await asyncio.sleep(0)
        go_on.set()
    assert [each["host"] for each in second.result()] == ["192.0.2.1"]
    assert hosts == ["slow"]
    await names.resolve("slow")
    assert hosts == ["slow", "slow"]
    await names.close()
