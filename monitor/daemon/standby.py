"""What a daemon does for the other daemons on its database: says where it is, and passes changes on to the writer."""

from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from monitor.config.types import Config
from monitor.config.values import write_address
from monitor.daemon.controllers import Controllers
from monitor.model.errors import StoreError
from monitor.patching.client import PATCH_TIMEOUT_FACTOR
from monitor.patching.queue import LOCK_TIMEOUT_S
from monitor.store import Store
from monitor.web.forward import Forwarder
from monitor.web.server import Listener

_EVERY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  compared, not bound


class _Changed(msgspec.Struct):
    """What the writer says after a change, as far as it is read here. Empty after a dry run."""

    controller: str = ""


def own_url(config: Config, listener: Listener) -> str:
    """Return the URL of this daemon; empty where it listens on every address, of which none need be reachable."""
    if config.listen_host in _EVERY_ADDRESS:
        return ""
    return f"{listener.scheme}://{write_address((config.listen_host, listener.address[1]))}"


def make_forwarder(store: Store, controllers: Controllers) -> Forwarder:
    """Return what passes changes on for as long as the store is a standby."""
    return Forwarder(
        is_standby=lambda: store.standby,
        writer_url=lambda: store.writer_url,
        timeout_s=lambda: LOCK_TIMEOUT_S + PATCH_TIMEOUT_FACTOR * controllers.timeout_s,
        changed=partial(_show_change, store, controllers),
    )


async def _show_change(store: Store, controllers: Controllers, response: bytes) -> None:
    """Show what the writer has changed at once, at least its annotations."""
    with suppress(StoreError):  # the next flush tries again
        await store.audit_log.read()
    if target := controllers.targets.get(msgspec.json.decode(response, type=_Changed).controller):
        target.view.poll_soon()
