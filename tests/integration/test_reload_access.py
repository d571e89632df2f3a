"""
A web configuration that is replaced or half written never gives access, whatever makes the daemon read it.

With TLS, client certificates and passwords, over real connections. The four ways are the start, SIGHUP, ``POST
/-/reload`` and the watcher of the files.
"""

import asyncio
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import bcrypt
import pytest
import trustme
from aiohttp import encode_basic_auth
from structlog.testing import capture_logs

from monitor.cli.commands.run import serve
from monitor.cli.commands.simulate import write_config
from monitor.config.load import load
from monitor.config.types import Config
from monitor.daemon.app import Daemon, running
from monitor.daemon.reload import ReloadTiming, read_settled
from monitor.simulator import ControllerSpec, Simulator
from tests.support.daemons import QUICK, samples, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import ROOT, TOKENS

CA = trustme.CA()
PASSWORD = "prometheus-password"
WITH_PASSWORD = {"Authorization": encode_basic_auth("prometheus", PASSWORD)}
TLS = """
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
"""
SANS = "  client_allowed_sans: [prometheus.example.net]\n"
USERS = f"""
basic_auth_users:
  prometheus: {bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}
"""
WHOLE = TLS + SANS + USERS
NO_TLS = "tls_server_config: found nothing, expected a mapping as at the start: adding or removing it needs a restart"
TIMING = ReloadTiming(watch_interval_s=0.05, settle_s=0.1, retry_interval_s=0.05)

Logs = list[MutableMapping[str, Any]]
Way = Callable[[Daemon], Awaitable[None]]


def client(san: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    CA.issue_cert(san).configure_cert(context)
    return context


ALLOWED, OTHER = client("prometheus.example.net"), client("grafana.example.net")


async def ask(
    url: str, context: ssl.SSLContext, headers: dict[str, str], *, method: str = "GET", path: str = "/metrics"
) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(WAIT_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        http.request(method, url + path, ssl=context, headers=headers) as response,
    ):
        return response.status, await response.text()


async def access(url: str) -> tuple[int, int, int]:
    """The answer to a client with the right certificate and password, without the password, with another name."""
    answers = [await ask(url, *how) for how in ((ALLOWED, WITH_PASSWORD), (ALLOWED, {}), (OTHER, WITH_PASSWORD))]
    allowed, no_password, other_name = (status for status, _ in answers)
    return allowed, no_password, other_name


PROTECTED = (200, 401, 403)


@pytest.fixture
def web(tmp_path: Path) -> Path:
    server = CA.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    for pem in server.cert_chain_pems:
        pem.write_to_path(tmp_path / "server.pem", append=True)
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "web.yml").write_text(WHOLE)
    return tmp_path / "web.yml"


@asynccontextmanager
async def serving(web: Path, timing: ReloadTiming = TIMING) -> AsyncIterator[Daemon]:
    async with (
        Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
        watching(simulator, web.parent, web_config=web, tokens=TOKENS, reload_timing=timing) as daemon,
    ):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, daemon.reloader.request)
        yield daemon
        loop.remove_signal_handler(signal.SIGHUP)


def write(path: Path, text: str) -> None:
    """In place, as an editor does."""
    path.write_text(text)


# -- three ways of a daemon that runs


async def by_post(daemon: Daemon) -> None:
    await ask(daemon.url, ALLOWED, {"Authorization": f"Bearer {ROOT}"}, method="POST", path="/-/reload")


async def by_signal(_: Daemon) -> None:
    os.kill(os.getpid(), signal.SIGHUP)


async def by_watcher(_: Daemon) -> None:
    """The watcher needs no request."""


WAYS = pytest.mark.parametrize("way", [by_post, by_signal, by_watcher])
ON_REQUEST_ONLY = ReloadTiming(watch_interval_s=None, settle_s=0.1)


def timing_of(way: Way) -> ReloadTiming:
    """The watcher looks only where it is the way that is tested."""
    return TIMING if way is by_watcher else ON_REQUEST_ONLY


async def logged(logs: Logs, event: str) -> MutableMapping[str, Any]:
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        while not (found := [log for log in logs if log["event"] == event]):  # noqa: ASYNC110  a log has no event to wait for
            await asyncio.sleep(0.01)
    return found[0]


@WAYS
async def test_a_file_without_tls_is_refused_and_clients_that_were_refused_stay_refused(web: Path, way: Way) -> None:
    async with serving(web, timing_of(way)) as daemon:
        assert await access(daemon.url) == PROTECTED
        write(web, "{}\n")
        with capture_logs() as logs:
            await way(daemon)
            assert (await logged(logs, "reload_failed"))["problems"] == (f"{web}: {NO_TLS}",)
        for _ in range(3):
            assert await access(daemon.url) == PROTECTED
        _, metrics = await ask(daemon.url, ALLOWED, WITH_PASSWORD)
        assert samples(metrics, "avi_upgrade_monitor_config_last_reload_successful") == [0.0]


async def test_the_reply_to_a_post_has_the_problem(web: Path) -> None:
    async with serving(web, ON_REQUEST_ONLY) as daemon:
        write(web, "{}\n")
        headers = {"Authorization": f"Bearer {ROOT}"}
        status, text = await ask(daemon.url, ALLOWED, headers, method="POST", path="/-/reload")
        assert status == 422
        assert f"{web}: {NO_TLS}" in text


@WAYS
async def test_after_a_refused_file_a_good_one_is_applied(web: Path, way: Way) -> None:
    async with serving(web, timing_of(way)) as daemon:
        for text, event in (("{}\n", "reload_failed"), (WHOLE.replace(SANS, ""), "reloaded")):
            with capture_logs() as logs:
                write(web, text)
                await way(daemon)
                await logged(logs, event)
        assert await access(daemon.url) == (200, 401, 200), "the operator allowed every certificate of the CA"


HALVES = pytest.mark.parametrize(
    "half",
    [
        pytest.param("{}\n", id="empty"),
        pytest.param(TLS + SANS, id="users-removed"),
        pytest.param(USERS, id="tls-off"),
        pytest.param(TLS + USERS, id="sans-widened"),
    ],
)


async def write_slowly(web: Path, half: str) -> None:
    """As a slow editor, which writes in place: what is there is good YAML the whole time."""
    for number in range(8):
        write(web, f"{half}#{'.' * number}\n")
        await asyncio.sleep(0.02)
    write(web, f"{WHOLE}# whole\n")


async def probe(daemon: Daemon, answers: set[tuple[int, int, int]]) -> None:
    while True:
        answers.add(await access(daemon.url))


@WAYS
@HALVES
async def test_a_half_written_file_never_gives_access(web: Path, way: Way, half: str) -> None:
    answers: set[tuple[int, int, int]] = set()
    async with serving(web, timing_of(way)) as daemon:
        with capture_logs() as logs:
            async with asyncio.TaskGroup() as tasks:
                probing = tasks.create_task(probe(daemon, answers), name="probe")
                writing = tasks.create_task(write_slowly(web, half), name="write")
                await asyncio.sleep(0.05)  # the first half is there
                await way(daemon)
                await writing
                await logged(logs, "reloaded")
                answers.add(await access(daemon.url))
                probing.cancel()
    assert answers == {PROTECTED}
    assert [log["event"] for log in logs if log["event"].startswith("reload")] == ["reloaded"]


# -- the start


class SlowWriter:
    """Reads the configuration, and then goes on to write the web configuration: the second reading has it whole."""

    def __init__(self, read: Callable[[], Config], web: Path, half: str) -> None:
        self._read = read
        self._web = web
        self._half = half
        web.write_text(half)

    def load(self) -> Config:
        config = self._read()
        if self._web.read_text() == self._half:
            self._web.write_text(WHOLE)
        return config


@HALVES
async def test_a_start_with_a_half_written_file_waits_until_it_is_whole(web: Path, half: str) -> None:
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        settings = {"listen": "127.0.0.1:0", "database": f"sqlite:///{web.parent}/s.db", "poll": dict(QUICK)}
        path = write_config(simulator, web.parent, settings)
        read = SlowWriter(partial(load, path, web_config=web), web, half).load
        config = await read_settled(read, TIMING)
        async with running(config, now=time.time, rng=Random(7), load=read) as daemon:
            assert await access(daemon.url) == PROTECTED


async def test_the_command_reads_the_configuration_in_the_same_way(web: Path) -> None:
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        settings = {"listen": "127.0.0.1:0", "database": f"sqlite:///{web.parent}/s.db", "poll": dict(QUICK)}
        path = write_config(simulator, web.parent, settings)
        read = SlowWriter(partial(load, path, web_config=web), web, "{}\n").load
        with capture_logs() as logs:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(serve(read, lambda _: None), name="serve")
                address = (await logged(logs, "started"))["address"]
                assert await access(f"https://{address}") == PROTECTED
                write(web, "{}  # no TLS\n")
                os.kill(os.getpid(), signal.SIGHUP)
                assert (await logged(logs, "reload_failed"))["problems"] == (f"{web}: {NO_TLS}",)
                assert await access(f"https://{address}") == PROTECTED
                os.kill(os.getpid(), signal.SIGTERM)
