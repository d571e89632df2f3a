"""Real programs as judges: found or skipped with the reason, started, asked, ended."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.limits import WAIT_TIMEOUT_S

T = TypeVar("T")

PATIENCE_S = WAIT_TIMEOUT_S


def program(name: str) -> str:
    """The path of a program of the system; without it the test is skipped, which CI does not allow."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"the program {name} is not installed; tests/debian-packages.sh installs it on Debian as root")
    return path


async def output_of(*command: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run a program to its end: exit status, standard output, standard error."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate(stdin)
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def started(*command: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs as long as the context; what it says goes to ``log``."""
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(*command, stdout=sink, stderr=sink)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def eventually(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
    """Ask a foreign program until its answer is good; it has no way to call us back."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + PATIENCE_S
    while not good(answer := await ask()):
        assert loop.time() < ends, f"the last answer was {answer!r}"
        await asyncio.sleep(0.1)
    return answer
