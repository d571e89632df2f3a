"""Replies that a Controller could send to cost the daemon the most: as long as the size limit allows, and dense."""

from collections.abc import Mapping
from typing import Final, NamedTuple

LIMIT: Final = 32 * 1024 * 1024  # the default of `max_response`


class Reply(NamedTuple):
    """``part`` as often as it fits, separated by commas, between ``head`` and ``tail``."""

    head: bytes
    part: bytes
    tail: bytes

    def body(self, size: int = LIMIT) -> bytes:
        times = (size - len(self.head) - len(self.part) - len(self.tail)) // (len(self.part) + 1)
        return self.head + (self.part + b",") * times + self.part + self.tail


WORST_PAGES: Final[Mapping[str, Reply]] = {
    "events of one task and node": Reply(
        b'{"count":1,"results":[{"uuid":"u1","events":[{"task_name":"t","nodes_events":[', b"{}", b"]}]}]}"
    ),
    "tasks without events": Reply(b'{"count":1,"results":[{"uuid":"u1","events":[', b"{}", b"]}]}"),
    "images without a field": Reply(b'{"count":1,"results":[', b"{}", b"]}"),
    "images that are numbers": Reply(b'{"count":1,"results":[', b"1", b"]}"),
    "a number as the uuid": Reply(b'{"count":1,"results":[{"uuid":5,"x":[', b"[]", b"]}]}"),
    "lists in a field that is not read": Reply(b'{"count":1,"results":[{"uuid":"u1","x":[', b"[]", b"]}]}"),
    "half a pair of surrogates": Reply(b'{"count":1,"results":[{"uuid":"u1","y":"\\ud800","x":[', b"[]", b"]}]}"),
    "many times half a pair": Reply(b'{"count":1,"results":[{"uuid":"u1","x":[', b'"\\ud800"', b"]}]}"),
    "bytes that are not UTF-8": Reply(b'{"count":1,"results":[{"uuid":"\xff","x":["', b"\xff", b'"]}]}'),
}
"""The worst replies to ``GET /api/image``, by what is in them."""


class _Growing(NamedTuple):
    """Members of an object, each with another name, between ``head`` and ``tail``."""

    head: bytes
    tail: bytes

    def body(self, size: int = LIMIT) -> bytes:
        each = len(b'"0000000":1,')
        members = b",".join(b'"%07d":1' % number for number in range((size - len(self.head + self.tail)) // each))
        return self.head + members + self.tail


WORST_UNITS: Final[Mapping[str, Reply | _Growing]] = {
    "members that are not read": _Growing(b'{"uuid":"u1","history":[],', b"}"),
    "members of an operation": _Growing(b'{"uuid":"u1","history":[{', b"}]}"),
    "operations without a member": Reply(b'{"uuid":"u1","history":[', b"{}", b"]}"),
    "operations that are numbers": Reply(b'{"uuid":"u1","history":[', b"1", b"]}"),
    "events of an operation": Reply(b'{"uuid":"u1","history":[{"upgrade_events":[', b"{}", b"]}]}"),
    "events": Reply(b'{"uuid":"u1","upgrade_events":[', b'{"nodes_events":[{}]}', b"]}"),
    "events of Service Engines": Reply(b'{"uuid":"u1","se_upgrade_events":[', b"{}", b"]}"),
    "Service Engines without a name": Reply(b'{"uuid":"u1","seg_status":{"se_upgrade_completed":[', b'""', b"]}}"),
    "checks": Reply(b'{"uuid":"u1","upgrade_readiness":{"checks":[', b"{}", b"]}}"),
}
"""The worst replies to ``GET /api/upgradestatusinfo/{uuid}``, by what is in them."""
