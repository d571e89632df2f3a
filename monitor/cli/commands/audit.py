"""``audit verify``: walk the whole chain of the audit, beside a running daemon or without one."""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from typing import Literal

import click
import msgspec
from msgspec import Struct

from monitor.config.types import Config
from monitor.model.errors import MonitorError, StoreError
from monitor.patching.audit import Record, faults
from monitor.store.audit_log import AuditLog
from monitor.store.database import Database


class Verdict(Struct, frozen=True):
    """What a walk found. ``number`` and ``hash``: of the last record, to be compared with the log."""

    whole: bool
    records: int
    number: int
    hash: str
    faults: tuple[str, ...]


async def verify(config: Config, output: Literal["text", "json"], anchors: Mapping[int, bytes]) -> None:
    """
    Print what the chain is like. ``anchors``: hashes by number, as the log has them.

    Raises: MonitorError when it is not whole, or cannot be read.
    """
    database = Database(config.database, read_only=True)
    try:
        await database.open()
        verdict = await AuditLog(database, now=time.time).read_chain(partial(_judge, anchors))  # noqa: TID251
    except StoreError as error:
        raise MonitorError(f"the audit in {database.name} cannot be read: {error}") from error
    finally:
        await database.close()
    click.echo(msgspec.json.encode(verdict).decode() if output == "json" else _describe(verdict))
    if not verdict.whole:
        raise MonitorError("the audit is not whole")


def _judge(anchors: Mapping[int, bytes], records: Iterator[Record], head: tuple[int, bytes]) -> Verdict:
    seen = count()
    found = tuple(faults((record for record, _ in zip(records, seen, strict=False)), head, anchors))
    return Verdict(not found, next(seen), head[0], head[1].hex(), found)


def _describe(verdict: Verdict) -> str:
    if not verdict.whole:
        return "\n".join(verdict.faults)
    plural = "s" * (verdict.records != 1)
    return f"{verdict.records} record{plural}, whole; the last is {verdict.number}, {verdict.hash}"
