"""The manual page, in the macros of man(7), made of the help texts of the commands."""

from collections.abc import Iterator
from typing import Final

import click

_PROGRAM: Final = "avi-upgrade-monitor"


def man_page(main: click.Command, version: str) -> str:
    """Write the page of a group of commands: each with its options."""
    lines = [
        f'.TH {_PROGRAM.upper()} 1 "" "{_PROGRAM} {version}"',
        ".SH NAME",
        f"{_escaped(_PROGRAM)} \\- {_escaped(_first_sentence(main))}",
        ".SH SYNOPSIS",
        f".B {_escaped(_PROGRAM)}",
        ".I COMMAND",
        "[options]",
        ".SH COMMANDS",
        *(line for context in _contexts(click.Context(main, info_name=_PROGRAM)) for line in _command(context)),
    ]
    return "\n".join(lines) + "\n"


def _first_sentence(main: click.Command) -> str:
    return (main.help or "").partition("\n")[0].rstrip(".")


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """Yield a context of each command that can be called, groups first."""
    group = context.command
    if not isinstance(group, click.Group) or group.invoke_without_command:
        yield context
    if isinstance(group, click.Group):
        for name, command in sorted(group.commands.items()):
            yield from _contexts(click.Context(command, info_name=name, parent=context))


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    yield f".SS {_escaped(usage)}"
    for number, paragraph in enumerate((command.help or "").split("\n\n")):
        if number:
            yield ".PP"
        yield _escaped(" ".join(paragraph.split()))
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record:
            yield ".TP"
            yield f".B {_escaped(record[0])}"
            yield _escaped(" ".join(record[1].split()))


def _escaped(text: str) -> str:
    """As text for troff: hyphens that are copied as such, no escapes, no request at the start of a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
