"""How a reply meets the socket: whole and at once, or by drops, torn, padded, under a length that is a lie. Pure."""

import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from monitor.simulator.faults import Fault
from monitor.simulator.http_types import Reply

MIB = 1024 * 1024
UNSAID = -1  # no Content-Length: the body is sent in chunks


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    A reply and what happens to it on the way.

    ``send``: how many bytes of the body go out before the connection ends (None: all of it, and it stays open; 0 with
    an ``end``: not even a status line). ``announced``: the Content-Length that is told (None: the true one).
    ``padding``: white space after the body, in bytes. ``drop`` bytes at a time, with ``pause_s`` in between.
    """

    reply: Reply
    send: int | None = None
    end: Literal["", "fin", "rst"] = ""
    announced: int | None = None
    padding: int = 0
    drop: int = 0
    pause_s: float = 0.0
    wait_s: float = 0.0

    @property
    def plain_on_the_wire(self) -> bool:
        """Late perhaps, but whole and in one piece."""
        return self == Delivery(self.reply, wait_s=self.wait_s)


def _with_body(delivery: Delivery, body: bytes) -> Delivery:
    return replace(delivery, reply=replace(delivery.reply, body=body))


def drip_feed(delivery: Delivery, fault: Fault) -> Delivery:
    """``size`` (16) bytes at a time, ``seconds`` (0.01) in between."""
    return replace(delivery, drop=fault.size or 16, pause_s=0.01 if fault.seconds is None else fault.seconds)


def slow_reply(delivery: Delivery, fault: Fault) -> Delivery:
    """The work is done at once, the reply waits for ``seconds`` (1)."""
    return replace(delivery, wait_s=1.0 if fault.seconds is None else fault.seconds)


def reset(delivery: Delivery, _: Fault) -> Delivery:
    """A reset in the middle of the body; the work is done."""
    return replace(delivery, send=len(delivery.reply.body) // 2, end="rst")


def short_body(delivery: Delivery, _: Fault) -> Delivery:
    """The connection ends in good order in the middle of the body; the work is done."""
    return replace(delivery, send=len(delivery.reply.body) // 2, end="fin")


def lost_reply(delivery: Delivery, _: Fault) -> Delivery:
    """The work is done, and the connection closed without a byte."""
    return replace(delivery, send=0, end="fin")


def truncated_json(delivery: Delivery, _: Fault) -> Delivery:
    """A whole and honest HTTP reply whose JSON stops in the middle."""
    return _with_body(delivery, delivery.reply.body[: len(delivery.reply.body) // 2])


def invalid_json(delivery: Delivery, fault: Fault) -> Delivery:
    """``value`` instead of the body."""
    return _with_body(delivery, (fault.value or '{"count": 1, "results": [}').encode())


def invalid_utf8(delivery: Delivery, _: Fault) -> Delivery:
    """The first name starts with two bytes that are no UTF-8."""
    return _with_body(delivery, delivery.reply.body.replace(b'"name":"', b'"name":"\xff\xfe', 1))


def oversized_body(delivery: Delivery, fault: Fault) -> Delivery:
    """``size`` (64 MiB) more than the body, in chunks; with ``value="lying"`` under a length that never comes."""
    size = fault.size or 64 * MIB
    if fault.value != "lying":
        return replace(delivery, padding=size, announced=UNSAID)
    whole = len(delivery.reply.body) + size
    return replace(delivery, padding=size, announced=8 * whole, send=whole, end="fin")


def gzip_bomb(delivery: Delivery, fault: Fault) -> Delivery:
    """A few KiB that unpack to ``size`` (64 MiB), with an honest Content-Encoding."""
    bomb = _with_body(delivery, _bomb(fault.size or 64 * MIB))
    return replace(bomb, reply=bomb.reply.carrying(("Content-Encoding", "gzip")))


@lru_cache(maxsize=4)
def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    blank = b" " * MIB
    head = packer.compress(b'{"count":0,"results":[')
    filling = b"".join(packer.compress(blank[: min(MIB, size - sent)]) for sent in range(0, size, MIB))
    return head + filling + packer.compress(b"]}") + packer.flush()


def wrong_content_type(delivery: Delivery, fault: Fault) -> Delivery:
    """``value`` (text/html) instead of what it is."""
    return replace(delivery, reply=replace(delivery.reply, content_type=fault.value or "text/html"))
