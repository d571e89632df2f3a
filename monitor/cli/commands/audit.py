"""``audit verify``: check the whole hash chain, and the annotations by it, with or without a running daemon."""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from monitor.cli.options import config_option, output_option, web_config_option
from monitor.cli.params import Anchor, OutputFormat
from monitor.cli.runner import exit_on_error, run_loop
from monitor.config.load import load
from monitor.config.types import Config
from monitor.model.errors import MonitorError, StoreError
from monitor.patching.audit import AnnotationReplay, Record, faults


class Verdict(Struct, frozen=True):
    """The result of a check. ``number`` and ``hash``: of the last record, to be compared with the log."""

    whole: bool
    records: int
    number: int
    hash: str
    faults: tuple[str, ...]


@click.group()
def audit() -> None:
    """Check the record of changes."""


@audit.command("verify")
@config_option
@web_config_option
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    type=Anchor(),
    help="NUMBER:HASH of a record, from the log: it must exist with this hash. Can be given more than once.",
)
@output_option
@exit_on_error
def audit_verify(
    config_file: Path,
    web_config_file: Path | None,
    output: OutputFormat,
    anchors: tuple[tuple[int, bytes], ...],
) -> None:
    """Find records and annotations that were altered or removed; a running daemon is not disturbed."""
    from monitor.daemon import logging  # noqa: PLC0415  it imports structlog

    config = load(config_file, web_config=web_config_file)
    logging.configure("error", "console")
    run_loop(verify(config, output, dict(anchors)))


async def verify(config: Config, output: OutputFormat, anchors: Mapping[int, bytes]) -> None:
    """
    Print the result. ``anchors``: hashes by number, from the log.

    Raises: MonitorError when the chain is not whole, or cannot be read.
    """
    from monitor.store.audit_log import AuditLog  # noqa: PLC0415  it imports SQLAlchemy
    from monitor.store.database import Database  # noqa: PLC0415

    database = Database(config.database, log_in=config.log_in_to_database, read_only=True)
    try:
        await database.open()
        verdict = await AuditLog(database, now=time.time).read_chain(partial(_check_chain, anchors))  # noqa: TID251
    except StoreError as error:
        raise MonitorError(f"the audit in {database.name} cannot be read: {error}") from error
    finally:
        await database.close()
    click.echo(msgspec.json.encode(verdict).decode() if output == "json" else _verdict_text(verdict))
    if not verdict.whole:
        raise MonitorError("the audit is not whole")


def _check_chain(
    anchors: Mapping[int, bytes],
    records: Iterator[Record],
    head: tuple[int, bytes],
    annotations: Iterator[tuple[str, str, str, object]],
) -> Verdict:
    """Read the records once: the chain is checked, the annotations are replayed, and the records are counted."""
    counter, replay = count(), AnnotationReplay()
    # `zip` takes the record first: when there is none left, it takes no number, so the next one is how many there were.
    counted = (record for record, _ in zip(replay.follow(records), counter, strict=False))
    found = (*faults(counted, head, anchors), *replay.faults(annotations))
    return Verdict(not found, next(counter), head[0], head[1].hex(), found)


def _verdict_text(verdict: Verdict) -> str:
    if not verdict.whole:
        return "\n".join(verdict.faults)
    plural = "s" * (verdict.records != 1)
    return f"{verdict.records} record{plural}, whole; the last is {verdict.number}, {verdict.hash}"
