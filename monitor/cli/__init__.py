"""
The command line: one module of ``commands`` a command, imported when it is called.

Exit codes: 0 done; 1 it failed, or its outcome is unknown (the log or the last line says why); 2 the configuration or
the command line is wrong (every problem is listed), or a newer version wrote the database; 3 the timeout of ``watch``
is over, or no upgrade has begun; 4 a running daemon rejected the request, or has no such object (its message is shown).
"""

import signal
from collections import UserDict
from importlib import import_module
from typing import Any, Final

import click

from monitor import __version__


class _Commands(UserDict[str, Any]):
    """
    The commands by name, made of the names of their modules.

    A module is imported when its command is looked up: the imports of all take several times as long as most commands.
    """

    def __getitem__(self, name: str) -> click.Command:
        module = import_module(f"monitor.cli.commands.{self.data[name]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command


_COMMANDS: Final = _Commands(
    {
        "run": "run",
        "demo": "demo",
        "simulate": "simulate",
        "record": "record",
        "check-config": "check_config",
        "images": "images",
        "image": "images",
        "upgrades": "upgrades",
        "upgrade": "upgrades",
        "watch": "watch",
        "readiness": "readiness",
        "report": "report",
        "annotate": "patch",
        "patch": "patch",
        "config-schema": "config_schema",
        "metrics": "metrics",
        "kit": "kit",
        "token": "token",
        "audit": "audit",
    }
)


@click.group(commands=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="avi-upgrade-monitor")
@click.pass_context
def main(context: click.Context) -> None:
    """Watch image uploads and upgrades of Avi Load Balancer Controllers, and export them to Prometheus."""
    if context.invoked_subcommand != "run":  # `run` lets it through when it can handle it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
