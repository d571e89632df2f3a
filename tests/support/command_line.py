"""The commands that use the API, as an operator runs them: against a daemon, or against another server."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from monitor.cli import main
from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Simulator, UploadSpec
from tests.support.daemons import until, watching
from tests.support.operators import BOB, TOKENS, ask

NO_FURTHER_POLLS = {"active_interval": "1h", "idle_interval": "1h", "stale_after": "2h", "timeout": "5s"}
"""Intervals with one poll at the start, and no other unless a PATCH causes it."""

DC1 = ControllerSpec(
    name="dc1",
    version="30.2.1",
    images=1,
    uploads=(
        UploadSpec(name="broken", duration=60.0, started_ago=100.0, outcome="failed", failing_task="Extract package"),
        UploadSpec(name="running", duration=1000.0, started_ago=500.0),
    ),
)
DC2 = ControllerSpec(name="dc2", version="31.2.2")


async def run(url: str, *arguments: str, token: str = BOB, width: int = 0, **environment: str) -> Result:
    """Run a command. ``width``: of the terminal; 0: standard output is none."""
    variables: dict[str, str | None] = {"AVI_UPGRADE_MONITOR_URL": url, "AVI_UPGRADE_MONITOR_TOKEN": token or None}
    if width:
        variables |= {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": str(width)}
    result = await asyncio.to_thread(CliRunner(env=variables | environment).invoke, main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def called(*arguments: str) -> tuple[int, str, str]:
    """As `output_of` a process, without the second of imports that each takes; logging is put back as it was."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    result = CliRunner().invoke(main, arguments)
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, result.stdout, result.stderr


async def call(*arguments: str) -> tuple[int, str, str]:
    """As `called`, beside an event loop; only for commands that handle no signals, which takes the main thread."""
    return await asyncio.to_thread(called, *arguments)


class CommandLine:
    """The commands, for a daemon on two Controllers."""

    def __init__(self, daemon: Daemon, simulator: Simulator) -> None:
        self.daemon = daemon
        self.dc1, self.dc2 = (simulator.controllers[name] for name in ("dc1", "dc2"))
        self.uuids = {track.object.name: track.object.uuid for _, track in daemon.fleet.shown_objects("image")}

    async def __call__(self, *arguments: str, **how: Any) -> Result:  # noqa: ANN401  as run
        return await run(self.daemon.url, *arguments, **how)

    async def annotations(self, name: str) -> dict[str, str]:
        """Return the annotations of an image from the API."""
        got = await ask(self.daemon, "GET", f"/api/image/{self.uuids[name]}")
        return msgspec.convert(got.json["annotations"], dict[str, str])


@asynccontextmanager
async def command_line(
    folder: Path, prepare: Callable[[Simulator], object] = str, *, poll: Mapping[str, object] = NO_FURTHER_POLLS
) -> AsyncIterator[CommandLine]:
    """Start the daemon. ``prepare``: adds further images to the Controllers."""
    with capture_logs():  # keeps the log out of the output of the command
        async with Simulator([DC1, DC2], speed=0.0) as simulator:
            prepare(simulator)
            async with watching(simulator, folder, poll=poll, tokens=TOKENS) as daemon:
                for name in ("dc1", "dc2"):
                    await until(daemon, name, lambda entry: entry.session.up)
                yield CommandLine(daemon, simulator)


@asynccontextmanager
async def fake_server(
    respond: Callable[[bytes], bytes], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that responds to the head of a request with these bytes and closes; its URL, and the heads."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1)
        heads.append(first if first == b"\x16" else first + await reader.readuntil(b"\r\n\r\n"))  # 16: a TLS hello
        writer.write(respond(heads[-1]))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


def http_response(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *lines))
    return head.encode() + b"\r\n\r\n" + body


def rows(result: Result) -> list[list[str]]:
    """Return the words of each line, without bars."""
    assert result.exit_code == 0, result.output
    return [line.replace("━", "").replace("╸", "").split() for line in result.stdout.splitlines()]
