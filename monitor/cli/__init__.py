"""
The command line: arguments in, one call out.

Exit codes: 0 done; 1 it could not be done, or nobody knows whether it was (the log or the last line says why); 2 the
configuration or the command line is wrong (every problem is listed); 3 what was waited for has not come in the time
there was; 4 a running daemon refused it, or has nothing of the name (what it says is shown).
"""

from functools import partial
from pathlib import Path
from typing import Literal, get_args

import click
import msgspec

from monitor import __version__
from monitor.cli.commands import COMMANDS
from monitor.cli.options import output_option
from monitor.cli.params import Anchor, Duration
from monitor.cli.runner import exit_on_error, run_loop
from monitor.config.access import ANONYMOUS, Scope
from monitor.config.load import load
from monitor.config.settings import schema
from monitor.config.types import Config
from monitor.daemon import logging as log
from monitor.polling.resources import FAMILIES

DEFAULT_CONFIG = Path("/etc/avi-upgrade-monitor/config.yml")

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The configuration, YAML.",
)
web_option = click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(path_type=Path),
    help="TLS, passwords and headers of our own door, as every Prometheus exporter takes them.",
)
level_option = click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="The least important that is logged."
)
format_option = click.option("--log-format", type=click.Choice(["json", "console"]), help="For machines or for people.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="avi-upgrade-monitor")
def main() -> None:
    """Watch image uploads on Avi Load Balancer Controllers, and export them to Prometheus."""


for each in COMMANDS:
    main.add_command(each)


@main.command()
@config_option
@web_option
@level_option
@format_option
@exit_on_error
def run(
    config_file: Path,
    web_config_file: Path | None,
    log_level: str | None,
    log_format: Literal["json", "console"] | None,
) -> None:
    """Run the daemon."""
    from monitor.cli.commands import run as daemon  # noqa: PLC0415  the other commands start faster without it

    passed = daemon.inherit()
    listen = passed.getsockname()[:2] if passed else None
    read = partial(load, config_file, web_config=web_config_file, listen=listen)
    config = read()
    log.configure(log_level or config.log.level, log_format or config.log.format)
    run_loop(daemon.run(config, read, passed))


@main.command("demo")
@click.option("--listen", default="127.0.0.1:9972", show_default=True, help="Where the daemon listens; port 0: any.")
@click.option("--for", "for_s", type=Duration(), help="End by itself after this long.")
@click.option("--speed", default=20.0, show_default=True, help="How much faster than life the Controllers' clocks run.")
@click.option("--seed", default=7, show_default=True, help="The same seed shows the same uploads.")
@level_option
@exit_on_error
def demo_command(listen: str, for_s: float | None, speed: float, seed: int, log_level: str | None) -> None:
    """Show it working: the daemon on a fleet of simulated Controllers."""
    from monitor.cli.commands import demo  # noqa: PLC0415

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
@exit_on_error
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
    from monitor.cli.commands import simulate  # noqa: PLC0415

    if list_scenarios:
        click.echo(simulate.describe())
    else:
        run_loop(simulate.run(scenario, speed=speed, seed=seed, host=host, port=port, tls=tls, config_dir=config_dir))


@main.command()
@config_option
@web_option
@click.option("--probe", is_flag=True, help="Also log in to every controller, and read its images once.")
@exit_on_error
def check_config(config_file: Path, web_config_file: Path | None, probe: bool) -> None:
    """Say whether a configuration is good; nothing is started."""
    config = load(config_file, web_config=web_config_file)
    click.echo(f"{config_file}: good, {_controllers(config)}")
    if probe:
        from monitor.cli.commands import check_config as prober  # noqa: PLC0415

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


def _caller_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """As the config takes it."""
    if not 0 < len(name) <= 63 or not name.isprintable() or name == ANONYMOUS:
        raise click.BadParameter(f"expected 1 to 63 printable characters, and not {ANONYMOUS}")
    return name


@main.group("token")
def token_group() -> None:
    """Tokens with which to come in at the daemon's own door."""


@token_group.command("new")
@click.option("--name", required=True, callback=_caller_name, help="Who it is for, as the audit will name him.")
@click.option(
    "--scope", "scopes", required=True, multiple=True, type=click.Choice(get_args(Scope)), help="What it may do."
)
@click.option("--controller", "controllers", multiple=True, help="Only this one; more than one can be named.")
@output_option
def token_new(
    name: str, scopes: tuple[Scope, ...], controllers: tuple[str, ...], output: Literal["text", "json"]
) -> None:
    """Print a new token, once, and the line of the config that lets it in."""
    from monitor.cli.commands import token  # noqa: PLC0415

    token.new(name, scopes, controllers, output)


@main.group("audit")
def audit_group() -> None:
    """The record of who changed what."""


@audit_group.command("verify")
@config_option
@web_option
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    type=Anchor(),
    help="A record that must be there as it was, from the log: NUMBER:HASH; more than one can be given.",
)
@output_option
@exit_on_error
def audit_verify(
    config_file: Path,
    web_config_file: Path | None,
    output: Literal["text", "json"],
    anchors: tuple[tuple[int, bytes], ...],
) -> None:
    """Look for records that were altered or removed; a running daemon is not disturbed."""
    from monitor.cli.commands import audit  # noqa: PLC0415

    config = load(config_file, web_config=web_config_file)
    log.configure("error", "console")
    run_loop(audit.verify(config, output, dict(anchors)))
