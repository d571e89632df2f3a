"""Real programs that tests start and ask: found, or the test is skipped with the reason."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import TypeVar

import aiohttp
import pytest

from tests.support.limits import WAIT_TIMEOUT_S

T = TypeVar("T")

_PORTS = range(20_000, 32_000)
_MOST_WORKERS = 64


def program(name: str) -> str:
    """The path of a program of the system; without it the test is skipped, which CI does not allow."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")  # not on the path of every user of Debian
    if path is None:
        pytest.skip(f"the program {name} is not installed; tests/debian-packages.sh installs it on Debian as root")
    return path


async def output_of(*command: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run a program to its end, however long that takes: exit status, standard output, standard error."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        out, err = await process.communicate(stdin)
    finally:
        if process.returncode is None:  # its pipes, left open, would fail another test
            process.kill()
            await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def started(*command: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs as long as the context; its output goes to ``log``."""
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(*command, stdout=sink, stderr=sink)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def line_with(stream: asyncio.StreamReader | None, text: str) -> str:
    """Return the first line with the text."""
    assert stream is not None
    seen: list[str] = []
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while line := (await stream.readline()).decode():
            seen.append(line)
            if text in line:
                return line
    pytest.fail(f"{text!r} was not printed, but {seen}")


async def eventually(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
    """Ask a program until its answer is good, where it has no way to tell us."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + WAIT_TIMEOUT_S
    while not good(answer := await ask()):
        assert loop.time() < ends, f"the last answer was {answer!r}"
        await asyncio.sleep(0.1)
    return answer


async def is_up(session: aiohttp.ClientSession, url: str, *, verified: bool = True) -> bool:
    """Whether a server answers this with 200 already. ``verified``: whether its certificate has to be."""
    try:
        async with session.get(url, ssl=verified) as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False


def free_address() -> str:
    """
    Return an address on which a program can listen.

    Its port is below those that the kernel gives to other sockets, and no two workers of pytest-xdist use the same
    ones: nothing takes it before the program does.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(_PORTS.start + worker % _MOST_WORKERS, _PORTS.stop, _MOST_WORKERS)
    while True:
        address = ("127.0.0.1", SystemRandom().choice(ports))
        with socket.socket() as probe:
            try:
                probe.bind(address)
            except OSError:  # it is in use
                continue
        return "{}:{}".format(*address)
