"""People with tokens at the door of a real daemon: what they send, and what they get."""

import hashlib
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from aiohttp.typedefs import Query

from monitor.daemon.app import Daemon

ALICE, BOB, ROOT, EVE = "aum_alice", "aum_bob", "aum_root", "aum_eve"


def token(name: str, secret: str, *scopes: str, **more: object) -> dict[str, object]:
    """An entry of ``tokens`` in the config."""
    return {"name": name, "sha256": hashlib.sha256(secret.encode()).hexdigest(), "scopes": list(scopes), **more}


TOKENS = [
    token("alice", ALICE, "annotate"),
    token("bob", BOB, "adjust"),
    token("root", ROOT, "admin"),
    token("eve", EVE, "read"),
]


class Got(msgspec.Struct, frozen=True):
    """One answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  whatever came
        """What the body says."""
        return msgspec.json.decode(self.body)

    @property
    def kind(self) -> str:
        """The last part of the problem's type."""
        return str(self.json["type"]).rpartition(":")[2]

    @property
    def tag(self) -> str:
        """The ETag, with its quotes."""
        return self.headers["ETag"]


async def ask(
    daemon: Daemon,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str = BOB,
    query: Query = None,
    **headers: str | None,
) -> Got:
    """
    One request, with the headers that every PATCH needs.

    ``body``: bytes as they are, else as JSON. ``headers``: ``If_Match`` is If-Match; None leaves one out.
    """
    every: dict[str, str | None] = {"Authorization": f"Bearer {token}" if token else None}
    if method == "PATCH":
        every |= {"X-Avi-Version": "30.2.1", "Content-Type": "application/json"}
    every |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value for name, value in every.items() if value is not None}
    raw = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
    skip = [] if "Content-Type" in sent else ["Content-Type"]
    async with (
        aiohttp.ClientSession(skip_auto_headers=skip) as session,
        session.request(method, daemon.url + path, data=raw, params=query, headers=sent) as response,
    ):
        return Got(response.status, response.headers.copy(), await response.read())


async def patch(daemon: Daemon, uuid: str, body: object, **how: Any) -> Got:  # noqa: ANN401  as ask
    """``PATCH /api/image/{uuid}``, as bob who may adjust."""
    return await ask(daemon, "PATCH", f"/api/image/{uuid}", body, **how)


async def audit(daemon: Daemon, **query: str) -> list[dict[str, Any]]:
    """What the audit says, the newest first."""
    got = await ask(daemon, "GET", "/api/audit", token=ROOT, query=query)
    assert got.status == 200, got.body
    results: list[dict[str, Any]] = got.json["results"]
    return results
