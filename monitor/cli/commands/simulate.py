"""``simulate``: simulated or recorded Controllers until a signal ends them, and a config that watches them."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import click

from monitor.cli.runner import exit_on_error, run_loop, stop_on_signals
from monitor.config.settings import Poll
from monitor.config.values import write_duration
from monitor.model.errors import MonitorError

if TYPE_CHECKING:
    from monitor.simulator import Replay, Simulator

_SHORTEST_S: Final = 0.05  # between two polls, however fast the simulated clocks run


@click.command()
@click.option("--scenario", default="fleet", show_default=True, help="The scenario; --list prints their names.")
@click.option("--list", "list_scenarios", is_flag=True, help="Print the names of the scenarios, and end.")
@click.option("--replay", type=click.Path(path_type=Path), help="A folder that `record` made, instead of a scenario.")
@click.option("--speed", default=1.0, show_default=True, help="How many times faster the simulated clocks run.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same objects.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on, or a name; it takes those of its addresses that exist.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port of the first Controller; the others follow. 0 takes free ones.",
)
@click.option("--tls", is_flag=True, help="Serve HTTPS, with a new self-signed certificate.")
@click.option("--config-dir", type=click.Path(path_type=Path), help="Where to write a config for the daemon.")
@exit_on_error
def simulate(  # noqa: PLR0917  one argument an option
    scenario: str,
    list_scenarios: bool,
    replay: Path | None,
    speed: float,
    seed: int,
    host: str,
    port: int,
    tls: bool,
    config_dir: Path | None,
) -> None:
    """Run simulated Controllers, to try the daemon or a script on."""
    if list_scenarios:
        click.echo(_scenario_table())
    else:
        run_loop(_serve(scenario, replay, speed=speed, seed=seed, host=host, port=port, tls=tls, config_dir=config_dir))


def _scenario_table() -> str:
    from monitor.simulator import SCENARIOS  # noqa: PLC0415

    width = max(map(len, SCENARIOS))
    return "\n".join(f"{name:{width}}  {scenario.summary}" for name, scenario in SCENARIOS.items())


async def _serve(
    scenario: str,
    replay: Path | None,
    *,
    speed: float,
    seed: int,
    host: str,
    port: int,
    tls: bool,
    config_dir: Path | None,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises: MonitorError, also when it cannot listen."""
    from monitor.cli.commands.certificate import make_certificate  # noqa: PLC0415

    stop = stop_on_signals(asyncio.get_running_loop())
    make_simulator = _recorded(replay, port) if replay else _invented(scenario, port)
    async with AsyncExitStack() as stack:
        temporary = stack.enter_context(TemporaryDirectory(prefix="avi-simulate-"))
        folder = config_dir or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        ca_file = folder / "ca.pem" if tls else None
        context = make_certificate(host, ca_file) if ca_file else None
        simulator = make_simulator(speed=speed, seed=seed, host=host, tls=context)
        try:
            await stack.enter_async_context(simulator)
        except OSError as error:
            raise MonitorError(f"cannot listen on {host or 'an empty host'}: {error.strerror}") from error
        settings: dict[str, object] = {"database": f"sqlite:///{folder}/state.db"}
        if replay:
            settings["poll"] = _intervals(speed)
        config = write_config(simulator, folder, settings, ca_file)
        for controller in simulator.controllers.values():
            click.echo(f"{controller.name}  {controller.url}  {controller.username}  {controller.password}")
        click.echo(f"\nWatch them with:  avi-upgrade-monitor run --config {config}\nCtrl-C ends.")
        await stop.wait()


def _invented(scenario: str, first_port: int) -> Callable[..., "Simulator"]:
    """Return what makes the Controllers of a scenario. Raises: MonitorError when there is no such scenario."""
    from monitor.simulator import SCENARIOS, Simulator  # noqa: PLC0415

    if scenario not in SCENARIOS:
        raise MonitorError(f"no scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    return partial(Simulator.of, scenario, first_port=first_port)


def _recorded(folder: Path, port: int) -> Callable[..., "Replay"]:
    """Return what makes the Controller of a recording. Raises: MonitorError when it cannot be read."""
    from monitor.simulator import RecordingError, Replay, read_recording  # noqa: PLC0415

    try:
        recording = read_recording(folder)
    except RecordingError as error:
        raise MonitorError(str(error)) from error
    span = write_duration(max(1, round(recording.ended_at - recording.started_at)))
    click.echo(f"A recording of {span}; after its end, the last answers are repeated.\n")
    return partial(Replay, recording, port=port)


def _intervals(speed: float) -> dict[str, str]:
    """Return intervals of polls that are as long in simulated time as the defaults, so that no change is missed."""
    poll = Poll()
    intervals = {"active_interval": poll.active_interval_s, "idle_interval": poll.idle_interval_s}
    return {key: write_duration(max(_SHORTEST_S, round(s / max(1.0, speed), 3))) for key, s in intervals.items()}


def write_config(
    simulator: "Simulator | Replay", folder: Path, settings: Mapping[str, object], ca_file: Path | None = None
) -> Path:
    """
    Write a config for the daemon, and one password file a controller, that match these simulated Controllers.

    ``settings``: further keys of the config. ``controllers.yml`` has the Controllers alone, for `controller_files` of
    another config.
    """
    import yaml  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    controllers = []
    for controller in simulator.controllers.values():
        secret = folder / f"{controller.name}.password"
        secret.touch(mode=0o600)
        secret.chmod(0o600)  # one that is left over may be open to others
        secret.write_text(controller.password)
        tls = {"tls": {"ca_file": ca_file.name}} if ca_file else {}
        facts = {"name": controller.name, "url": controller.url, "username": controller.username}
        controllers.append({**facts, "password_file": secret.name, **tls})
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump({**settings, "controllers": controllers}, sort_keys=False))
    (folder / "controllers.yml").write_text(yaml.safe_dump({"controllers": controllers}, sort_keys=False))
    return path
