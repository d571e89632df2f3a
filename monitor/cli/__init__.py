"""
The command line: arguments in, one call out.

Exit codes: 0 done, 1 it could not be done (the log or the last line says why), 2 the configuration or the command line
is wrong (every problem is listed).
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec

import click
import msgspec

from monitor import __version__, log
from monitor.config import Config, load, parse_duration_s, schema
from monitor.families import FAMILIES
from monitor.model import ConfigError, MonitorError

P = ParamSpec("P")

DEFAULT_CONFIG = Path("/etc/avi-upgrade-monitor/config.yml")

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The configuration, YAML.",
)
level_option = click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="The least important that is logged."
)
format_option = click.option("--log-format", type=click.Choice(["json", "console"]), help="For machines or for people.")


class Duration(click.ParamType[float]):
    """``30s``, ``5m``, ``1h30m``: seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Read it, or say what it should look like."""
        try:
            return value if isinstance(value, float) else parse_duration_s(value)
        except ValueError:
            self.fail(f"{value!r} is not a duration such as 300ms, 30s or 5m", param, ctx)


def complaining(command: Callable[P, None]) -> Callable[P, None]:
    """Errors that we raise on purpose become lines on standard error and an exit code, never a traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ConfigError as error:
            click.echo("\n".join(error.problems), err=True)
            sys.exit(2)
        except MonitorError as error:
            click.echo(f"avi-upgrade-monitor: {error}", err=True)
            sys.exit(1)

    return wrapped


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run on the fastest event loop that is installed."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        from uvloop import new_event_loop as factory  # noqa: PLC0415  the extra `speed`
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="avi-upgrade-monitor")
def main() -> None:
    """Watch image uploads on Avi Load Balancer Controllers, and export them to Prometheus."""


@main.command()
@config_option
@level_option
@format_option
@complaining
def run(config_file: Path, log_level: str | None, log_format: Literal["json", "console"] | None) -> None:
    """Run the daemon."""
    from monitor.cli import daemon  # noqa: PLC0415  the other commands start faster without it

    config = load(config_file)
    log.configure(log_level or config.log.level, log_format or config.log.format)
    run_loop(daemon.run(config))


@main.command("demo")
@click.option("--listen", default="127.0.0.1:9972", show_default=True, help="Where the daemon listens; port 0: any.")
@click.option("--for", "for_s", type=Duration(), help="End by itself after this long.")
@click.option("--speed", default=20.0, show_default=True, help="How much faster than life the Controllers' clocks run.")
@click.option("--seed", default=7, show_default=True, help="The same seed shows the same uploads.")
@level_option
@complaining
def demo_command(listen: str, for_s: float | None, speed: float, seed: int, log_level: str | None) -> None:
    """Show it working: the daemon on a fleet of simulated Controllers."""
    from monitor.cli import demo  # noqa: PLC0415

    log.configure(log_level or "error", "console")
    run_loop(demo.run(listen=listen, for_s=for_s, speed=speed, seed=seed))


@main.command("simulate")
@click.option("--scenario", default="fleet", show_default=True, help="Which; --list names them.")
@click.option("--list", "list_scenarios", is_flag=True, help="Name the scenarios and end.")
@click.option("--speed", default=1.0, show_default=True, help="How much faster than life their clocks run.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same objects.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=0, help="The first port; the others follow it. 0: any.")
@click.option("--tls", is_flag=True, help="Speak HTTPS, with a certificate made for the occasion.")
@click.option("--config-dir", type=click.Path(path_type=Path), help="Where to write a config for the daemon.")
@complaining
def simulate_command(  # noqa: PLR0917  one argument an option
    scenario: str,
    list_scenarios: bool,
    speed: float,
    seed: int,
    host: str,
    port: int,
    tls: bool,
    config_dir: Path | None,
) -> None:
    """Run simulated Controllers, to try the daemon or a script on."""
    from monitor.cli import simulate  # noqa: PLC0415

    if list_scenarios:
        click.echo(simulate.describe())
    else:
        run_loop(simulate.run(scenario, speed=speed, seed=seed, host=host, port=port, tls=tls, config_dir=config_dir))


@main.command()
@config_option
@click.option("--probe", is_flag=True, help="Also log in to every controller, and read its images once.")
@complaining
def check_config(config_file: Path, probe: bool) -> None:
    """Say whether a configuration is good; nothing is started."""
    config = load(config_file)
    click.echo(f"{config_file}: good, {_controllers(config)}")
    if probe:
        from monitor.cli import probe as prober  # noqa: PLC0415

        log.configure("error", "console")
        run_loop(prober.probe(config))


def _controllers(config: Config) -> str:
    number = len(config.controllers)
    return f"{number} controller{'s' * (number != 1)} in {len(config.files)} file{'s' * (len(config.files) != 1)}"


@main.command()
def config_schema() -> None:
    """Print the JSON schema of the configuration, for editors."""
    click.echo(msgspec.json.format(msgspec.json.encode(schema()), indent=2))


@main.command()
def metrics() -> None:
    """Print the table of the metric families."""
    for family in FAMILIES:
        labels = ", ".join((*family.identity, *family.labels))
        click.echo(f"{family.name}\n    {family.kind}; {labels}\n    {family.help}")
