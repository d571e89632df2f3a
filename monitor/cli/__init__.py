"""
The command line: one module of ``commands`` a command, registered here.

Exit codes: 0 done; 1 it failed, or its outcome is unknown (the log or the last line says why); 2 the configuration or
the command line is wrong (every problem is listed); 3 the timeout of ``watch`` is over, or no upgrade has begun; 4 a
running daemon rejected the request, or has no such object (its message is shown).
"""

import signal

import click

from monitor import __version__
from monitor.cli.commands.audit import audit_verify
from monitor.cli.commands.check_config import check_config
from monitor.cli.commands.config_schema import config_schema
from monitor.cli.commands.demo import demo
from monitor.cli.commands.images import image, images
from monitor.cli.commands.metrics import metrics
from monitor.cli.commands.patch import annotate, patch
from monitor.cli.commands.readiness import readiness
from monitor.cli.commands.record import record
from monitor.cli.commands.report import report
from monitor.cli.commands.run import run
from monitor.cli.commands.simulate import simulate
from monitor.cli.commands.token import token_new
from monitor.cli.commands.upgrades import upgrade, upgrades
from monitor.cli.commands.watch import watch


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="avi-upgrade-monitor")
@click.pass_context
def main(context: click.Context) -> None:
    """Watch image uploads and upgrades of Avi Load Balancer Controllers, and export them to Prometheus."""
    if context.invoked_subcommand != run.name:  # `run` lets it through when it can handle it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


@main.group()
def token() -> None:
    """Manage the tokens that the daemon's API accepts."""


@main.group()
def audit() -> None:
    """Check the record of changes."""


for command in (
    run,
    demo,
    simulate,
    record,
    check_config,
    images,
    image,
    upgrades,
    upgrade,
    watch,
    readiness,
    report,
    annotate,
    patch,
    config_schema,
    metrics,
):
    main.add_command(command)
token.add_command(token_new)
audit.add_command(audit_verify)
