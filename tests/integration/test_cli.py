"""The commands that need no daemon, and the daemon as a process: exit codes, and what is printed."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import aiohttp
import pytest
import yaml
from jsonschema import Draft202012Validator

from monitor import __version__
from monitor.cli.commands.simulate import write_config
from monitor.polling.resources import FAMILIES
from monitor.simulator import SCENARIOS, ControllerSpec, Fault, Simulator
from tests.support.command_line import call, called
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import BOB, TOKENS
from tests.support.programs import line_with, output_of

COMMAND = (sys.executable, "-W", "error", "-m", "monitor")


@asynccontextmanager
async def process(
    *arguments: str, command: tuple[str, ...] = COMMAND, environ: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start the command; kill it if the test does not end it. ``environ``: None: ours."""
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(*command, *arguments, stdout=pipe, stderr=pipe, env=environ)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def ended(running: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        await running.communicate()
    assert running.returncode is not None
    return running.returncode


async def test_ctrl_c_ends_the_daemon_and_its_sessions_cleanly_and_the_debug_log_contains_no_secret(
    tmp_path: Path,
) -> None:
    """SIGTERM ends it in the tests of a reload."""
    async with Simulator([ControllerSpec(name="dc1", images=1, password="canary-3f81")], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"})
        async with process("run", "--config", str(config), "--log-level", "debug") as daemon:
            started = json.loads(await line_with(daemon.stderr, '"started"'))
            await line_with(daemon.stderr, "controller_up")
            arguments = Path(f"/proc/{daemon.pid}/cmdline").read_bytes()  # noqa: ASYNC240  in memory
            sessions = list(simulator.controllers["dc1"].sessions)
            async with aiohttp.ClientSession() as http, http.get(f"http://{started['address']}/-/ready") as response:
                assert response.status == 200
            daemon.send_signal(signal.SIGINT)
            async with asyncio.timeout(WAIT_TIMEOUT_S):
                _, log = await daemon.communicate()
            assert daemon.returncode == 0
        assert simulator.controllers["dc1"].logouts == 1
    assert sessions
    assert [canary for canary in ("canary-3f81", *sessions) if canary in log.decode() + arguments.decode()] == []
    assert os.linesep in log.decode()


@pytest.mark.parametrize("told", ["", "https://monitor-1.example.net:9972"], ids=["not-told", "told"])
async def test_a_daemon_on_every_address_tells_the_others_only_where_it_was_told_that_it_is(
    tmp_path: Path, told: str
) -> None:
    """A standby would send the credentials of its clients to 0.0.0.0, which is itself."""
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        settings = {"listen": "0.0.0.0:0", "database": f"sqlite:///{tmp_path}/s.db", "tokens": TOKENS}
        config = write_config(simulator, tmp_path, settings)
        environ = {**os.environ, "AVI_UPGRADE_MONITOR_ADVERTISE_URL": told}
        async with process("run", "--config", str(config), environ=environ) as daemon:
            await line_with(daemon.stderr, '"started"')
            with closing(sqlite3.connect(tmp_path / "s.db", timeout=WAIT_TIMEOUT_S)) as database:
                assert database.execute("SELECT url FROM writer").fetchall() == [(told,)]


async def test_sighup_reloads_the_configuration(tmp_path: Path) -> None:
    specs = [ControllerSpec(name=name, images=1) for name in ("dc1", "dc2")]
    async with Simulator(specs, speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"})
        whole = config.read_text()
        both = yaml.safe_load(whole)
        config.write_text(yaml.safe_dump({**both, "controllers": both["controllers"][:1]}))
        async with process("run", "--config", str(config), "--no-config-watch") as daemon:
            await line_with(daemon.stderr, "controller_up")
            config.write_text("controllers: [")
            daemon.send_signal(signal.SIGHUP)
            assert "not YAML" in await line_with(daemon.stderr, "reload_failed")
            config.write_text(whole)
            daemon.send_signal(signal.SIGHUP)
            assert json.loads(await line_with(daemon.stderr, '"reloaded"'))["added"] == ["dc2"]
            await line_with(daemon.stderr, "controller_up")
            daemon.send_signal(signal.SIGTERM)
            assert await ended(daemon) == 0
        assert [simulator.controllers[name].logouts for name in ("dc1", "dc2")] == [1, 1]


async def test_a_config_map_that_is_replaced_is_reloaded_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    """As the kubelet does it: the config is a link through `..data`, which is renamed to the new folder."""
    specs = [ControllerSpec(name=name, images=1) for name in ("dc1", "dc2")]
    async with Simulator(specs, speed=0.0) as simulator:
        settings = {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"}
        whole = yaml.safe_load(write_config(simulator, tmp_path, settings).read_text())
        controllers = [
            {**each, "password_file": f"{tmp_path}/{each['name']}.password"} for each in whole["controllers"]
        ]
        mount = tmp_path / "mount"
        mount.mkdir()
        (mount / "config.yml").symlink_to("..data/config.yml")

        def swap(folder: str, text: str) -> None:
            (mount / folder).mkdir()
            (mount / folder / "config.yml").write_text(text)
            (mount / "..data_tmp").symlink_to(folder)
            (mount / "..data_tmp").rename(mount / "..data")

        swap("..1", yaml.safe_dump({**whole, "controllers": controllers[:1]}))
        async with process("run", "--config", str(mount / "config.yml")) as daemon:
            await line_with(daemon.stderr, "controller_up")
            swap("..2", "controllers: [")
            assert "not YAML" in await line_with(daemon.stderr, "reload_failed")
            assert simulator.controllers["dc1"].logouts == 0
            swap("..3", yaml.safe_dump({**whole, "controllers": controllers}))
            assert json.loads(await line_with(daemon.stderr, '"reloaded"'))["added"] == ["dc2"]
            daemon.send_signal(signal.SIGTERM)
            assert await ended(daemon) == 0


async def test_sighup_during_the_start_reloads_after_it(tmp_path: Path) -> None:
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        settings = {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"}
        config = write_config(simulator, tmp_path, settings)
        pipe = tmp_path / "pipe.yml"
        os.mkfifo(pipe)
        async with process("run", "--config", str(pipe)) as daemon:
            with await asyncio.to_thread(pipe.open, "w") as reader:  # this waits until the daemon opens the pipe
                daemon.send_signal(signal.SIGHUP)
                reader.write(config.read_text())
            await line_with(daemon.stderr, '"started"')
            await asyncio.to_thread(pipe.write_text, config.read_text())
            await line_with(daemon.stderr, '"reloaded"')
            daemon.send_signal(signal.SIGTERM)
            assert await ended(daemon) == 0


@pytest.mark.parametrize(
    "command", [COMMAND, (f"{Path(sys.executable).parent}/avi-upgrade-monitor",)], ids=["module", "script"]
)
async def test_no_sighup_ends_the_daemon_while_it_imports_starts_or_stops(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """One is sent at each import from the first library on, and when it has stopped until its process has ended."""
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"})
        printing = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}  # each import is a line on standard error
        async with process("run", "--config", str(config), command=command, environ=printing) as daemon:
            line = await line_with(daemon.stderr, " click")
            while '"started"' not in line:
                daemon.send_signal(signal.SIGHUP)
                line = await line_with(daemon.stderr, "")
            await line_with(daemon.stderr, '"reloaded"')
            daemon.send_signal(signal.SIGTERM)
            await line_with(daemon.stderr, '"stopped"')
            while daemon.returncode is None:
                with suppress(ProcessLookupError):
                    os.kill(daemon.pid, signal.SIGHUP)  # its own method would take the exit code from the event loop
                await asyncio.sleep(0)
            assert daemon.returncode == 0


async def test_a_patch_in_flight_is_answered_before_the_daemon_ends_within_its_deadlines(
    tmp_path: Path,
) -> None:
    """The deadlines of the last reload apply: those of the start would end the request after two seconds."""
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        settings = {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db", "tokens": TOKENS}
        config = write_config(simulator, tmp_path, {**settings, "poll": {"timeout": "200ms"}})
        (uuid,) = dc1.images.names(simulator.clock.now())
        async with process("run", "--config", str(config)) as daemon:
            url = "http://" + json.loads(await line_with(daemon.stderr, '"started"'))["address"]
            await line_with(daemon.stderr, "controller_up")
            config.write_text(config.read_text().replace("timeout: 200ms", "timeout: 10s"))
            daemon.send_signal(signal.SIGHUP)
            await line_with(daemon.stderr, '"reloaded"')
            dc1.faults.add(Fault("slow_reply", method="PATCH", seconds=4.0))
            headers = {"Authorization": f"Bearer {BOB}", "X-Avi-Version": "30.2.1"}
            async with aiohttp.ClientSession(headers=headers) as http, asyncio.TaskGroup() as tasks:
                answer = tasks.create_task(http.patch(f"{url}/api/image/{uuid}", json={"name": "renamed"}))
                await dc1.wait_for_requests(1, method="PATCH")
                daemon.send_signal(signal.SIGTERM)
            assert answer.result().status == 200
            assert await ended(daemon) == 0
        assert (dc1.logouts, dc1.sessions) == (1, {})


async def test_a_controller_that_hangs_does_not_block_the_shutdown(tmp_path: Path) -> None:
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {"listen": "127.0.0.1:0", "database": f"sqlite:///{tmp_path}/s.db"})
        async with process("run", "--config", str(config)) as daemon:
            await line_with(daemon.stderr, "controller_up")
            simulator.controllers["dc1"].faults.add(Fault("hang", path="/"))
            daemon.send_signal(signal.SIGTERM)
            await line_with(daemon.stderr, "log_out_incomplete")
            assert await ended(daemon) == 0


def test_a_port_in_use_is_reported_on_one_line(tmp_path: Path) -> None:
    controllers = [{"name": "dc1", "url": "https://127.0.0.1:1", "username": "svc", "password_file": "password"}]
    (tmp_path / "password").write_text("not needed here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = f"127.0.0.1:{server.getsockname()[1]}"
        settings = {"listen": taken, "database": f"sqlite:///{tmp_path}/s.db", "controllers": controllers}
        (tmp_path / "config.yml").write_text(yaml.safe_dump(settings))
        status, _, errors = called("run", "--config", str(tmp_path / "config.yml"))
    assert status == 1
    assert errors.splitlines()[-1] == f"avi-upgrade-monitor: cannot listen on {taken}: Address already in use"


def test_a_demo_whose_port_is_in_use_says_how_to_choose_another() -> None:
    """Its port is the daemon's: a demo is the first thing that a person tries beside one that runs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = f"127.0.0.1:{server.getsockname()[1]}"
        status, _, errors = called("demo", "--listen", taken)
    choose = "choose another port: `demo --listen 127.0.0.1:0` takes a free one"
    assert (status, errors) == (1, f"avi-upgrade-monitor: cannot listen on {taken}: Address already in use; {choose}\n")


@pytest.mark.parametrize("command", ["run", "check-config"])
def test_an_invalid_config_ends_with_2_and_every_problem(tmp_path: Path, command: str) -> None:
    config = tmp_path / "bad.yml"
    config.write_text("listen: 7\npol: {}\ncontrollers: 7\n")
    status, out, errors = called(command, "--config", str(config))
    assert (status, out) == (2, "")
    assert {line.split(": ")[1] for line in errors.splitlines()} == {"listen", "pol", "controllers"}


async def test_check_config_prints_what_it_read(tmp_path: Path) -> None:
    async with Simulator.of("fleet", speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {})
    assert await call("check-config", "--config", str(config)) == (
        0,
        f"{config}: valid, 5 controllers in 1 file\n",
        "",
    )


async def test_a_probe_reports_every_controller_and_fails_when_one_does(tmp_path: Path) -> None:
    specs = [ControllerSpec(name=name, images=2, version="30.2.1") for name in ("dc1", "dc2", "dc3")]
    async with Simulator(specs, speed=0.0) as simulator:
        config = write_config(simulator, tmp_path, {})
        (tmp_path / "dc2.password").write_text("wrong")
        await simulator.controllers["dc3"].stop_listening()
        status, out, errors = await output_of(*COMMAND, "check-config", "--probe", "--config", str(config))
        assert simulator.controllers["dc2"].failed_logins == 1
        assert simulator.controllers["dc1"].logouts == 1
    assert status == 1
    assert "dc1: ok, version 30.2.1, api_version 30.2.1, 2 images\n" in out
    assert "dc2: failed, auth (login): 401" in out
    assert "dc3: failed, connect (login)" in out
    assert errors == "avi-upgrade-monitor: 2 of 3 controllers failed the probe\n"


async def test_the_config_schema_accepts_a_valid_config_and_rejects_an_invalid_one(tmp_path: Path) -> None:
    status, out, _ = await call("config-schema")
    assert status == 0
    validator = Draft202012Validator(json.loads(out))
    async with Simulator.of("fleet", speed=0.0) as simulator:
        written = yaml.safe_load(write_config(simulator, tmp_path, {"poll": {"timeout": "3s"}}).read_text())
    assert validator.is_valid(written)
    assert not validator.is_valid({**written, "pol": {}})
    assert not validator.is_valid({**written, "poll": {"timeout": 3}})


def test_metrics_prints_every_family() -> None:
    status, out, _ = called("metrics")
    assert status == 0
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [family.name for family in FAMILIES]


async def test_the_version_is_the_packages() -> None:
    assert await output_of(*COMMAND, "--version") == (0, f"avi-upgrade-monitor, version {__version__}\n", "")


async def test_the_demo_ends_by_itself_and_prints_the_fleet_as_plain_lines() -> None:
    status, out, errors = await output_of(*COMMAND, "demo", "--for", "4s", "--speed", "200", "--listen", "127.0.0.1:0")
    assert (status, errors) == (0, "")
    assert "5 simulated Controllers; the daemon listens at http://127.0.0.1:" in out
    assert [state for state in ("in_progress", "completed  100%", "failed") if state not in out] == []
    assert out.endswith("Ended after 4 s, as asked.\n")


async def test_the_demo_ends_cleanly_with_ctrl_c() -> None:
    async with process("demo", "--listen", "127.0.0.1:0") as demo:
        await line_with(demo.stdout, "in_progress")
        demo.send_signal(signal.SIGINT)
        assert await ended(demo) == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_simulate_writes_a_config_that_watches_its_controllers(tmp_path: Path, scheme: str) -> None:
    tls = ["--tls"] if scheme == "https" else []
    async with process("simulate", "--scenario", "happy", "--config-dir", str(tmp_path), *tls) as simulate:
        assert f"  {scheme}://127.0.0.1:" in await line_with(simulate.stdout, "dc1")
        line = await line_with(simulate.stdout, "Watch them with")
        config = line.split()[-1]
        status, out, errors = await output_of(*COMMAND, "check-config", "--probe", "--config", config)
        assert (status, errors) == (0, "")
        assert "dc1: ok" in out
        (tmp_path / "other.yml").write_text("controller_files: [controllers.yml]\n")
        assert await output_of(*COMMAND, "check-config", "--config", str(tmp_path / "other.yml")) == (
            0,
            f"{tmp_path}/other.yml: valid, 1 controller in 2 files\n",
            "",
        )
        simulate.send_signal(signal.SIGINT)
        assert await ended(simulate) == 0


def test_an_address_that_does_not_exist_is_reported_by_simulate_on_one_line() -> None:
    assert called("simulate", "--host", "198.51.100.7") == (
        1,
        "",
        "avi-upgrade-monitor: cannot listen on 198.51.100.7: Cannot assign requested address\n",
    )


def test_scenarios_are_listed_also_for_an_unknown_one() -> None:
    status, out, _ = called("simulate", "--list")
    assert (status, [line.split()[0] for line in out.splitlines()]) == (0, list(SCENARIOS))
    status, _, errors = called("simulate", "--scenario", "nonsense")
    assert status == 1
    assert [name for name in SCENARIOS if name not in errors] == []


def test_a_bad_duration_is_a_usage_error_that_shows_a_good_one() -> None:
    status, _, errors = called("demo", "--for", "soon")
    assert status == 2
    assert "'soon' is not a duration such as 300ms, 30s or 5m" in errors


async def test_the_demo_ends_when_its_output_is_closed() -> None:
    """As in ``demo | head``."""
    pipe = asyncio.subprocess.PIPE
    demo = await asyncio.create_subprocess_exec(*COMMAND, "demo", "--listen", "127.0.0.1:0", stdout=pipe, stderr=pipe)
    assert demo.stdout
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        await demo.stdout.readline()
        demo.stdout._transport.close()  # type: ignore[attr-defined]  # there is no other way to close the pipe
        _, errors = await demo.communicate()
    assert (demo.returncode, errors) == (0, b"")
