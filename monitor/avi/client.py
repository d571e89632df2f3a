"""
What the daemon asks of one Controller: lists of images and units, one image, a change of it.

Every read of a list has a time limit here. `monitor.avi.requester` sends the requests. Knows nothing of metrics or of
schedules.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from monitor.avi.cluster import decode_nodes
from monitor.avi.errors import Reply
from monitor.avi.exchange import RESEND_AFTER
from monitor.avi.inventory import FIRST_VERSION, decode_images_in_use
from monitor.avi.link import Link
from monitor.avi.list_reader import read_list
from monitor.avi.login_password import UpgradeWindow
from monitor.avi.paging import PAGE_SIZE, identify
from monitor.avi.requester import Observer, Requester
from monitor.avi.unit_reader import UnitReader
from monitor.avi.values import version_key
from monitor.config.settings import Upgrades
from monitor.config.types import Controller
from monitor.model.cluster import NodesState
from monitor.model.errors import BadStatus, Phase, PollError, Unreachable
from monitor.model.masking import KnownSecrets
from monitor.model.snapshot import ObjectList

IMAGES_TIMEOUT_FACTOR: Final = 10
"""The time limit of the read of all images, as a multiple of the timeout of one request; it may make more of them."""
UNITS_TIMEOUT_FACTOR: Final = 5
"""The same of the upgrade status, which has to be in time for the next poll."""
POLL_TIMEOUT_FACTOR: Final = IMAGES_TIMEOUT_FACTOR + UNITS_TIMEOUT_FACTOR
"""The same of a whole poll."""

_VERSION_MAY_HAVE_CHANGED: Final = frozenset({"connect", "timeout", "upgrading", "http_5xx"})


class Client:
    """
    The client of one Controller.

    ``http``: for this Controller alone, see :func:`monitor.avi.connection.open_session`. ``now``: Unix seconds.
    ``secrets``: what was ever held for this Controller, also by clients before this one; it is never shown.
    ``upgrade``: when an upgrade was last under way; shared by the clients of one Controller.
    ``resend_after``: see :mod:`monitor.avi.exchange`. ``observe``: None: there is no observer.
    """

    def __init__(
        self,
        controller: Controller,
        http: aiohttp.ClientSession,
        *,
        timeout_s: float,
        max_response: int,
        now: Callable[[], float],
        secrets: KnownSecrets | None = None,
        upgrade: UpgradeWindow | None = None,
        images_timeout_factor: float = IMAGES_TIMEOUT_FACTOR,
        resend_after: float = RESEND_AFTER,
        observe: Observer | None = None,
    ) -> None:
        self._controller = controller
        self.units = UnitReader(self._list_units, self._get_unit, self._get_cluster_uuid, monotonic=time.monotonic)
        self._requester = Requester(
            controller,
            http,
            timeout_s=timeout_s,
            max_response=max_response,
            now=now,
            secrets=secrets or KnownSecrets(),
            upgrade=upgrade or UpgradeWindow(),
            resend_after=resend_after,
            observe=observe or (lambda _request, _outcome, _took_s: None),
            on_log_in=self.units.read_all_next,  # the Controllers may have another leader
        )
        self._images_timeout_factor = images_timeout_factor
        self._images_url = URL(f"{controller.url}/api/image?page_size={PAGE_SIZE}")

    @property
    def link(self) -> Link:
        """What is known of the connection to the Controller, and of its session."""
        return self._requester.link

    @property
    def received(self) -> int:
        """How many pieces of replies have come: it grows as long as the Controller is not silent."""
        return self._requester.exchange.received

    def set_limits(self, *, timeout_s: float, max_response: int, upgrades: Upgrades) -> None:
        """Set the limits after a reload. A refused password stays refused: a reload must not lock the account."""
        self._requester.exchange.timeout_s = timeout_s
        self._requester.exchange.max_response = max_response
        self.units.settings = upgrades

    def inherit_refusal(self, before: "Client") -> None:
        """Do not try a password that the Controller refused to the client before, for the same account."""
        ours, theirs = self._controller, before._controller  # noqa: SLF001  of the same class
        if (ours.url, ours.username) == (theirs.url, theirs.username):
            self._requester.password.inherit(before._requester.password)  # noqa: SLF001

    async def list_images(self, before: ObjectList) -> ObjectList:
        """
        Read all images. A page whose bytes did not change is not decoded again. Returns: ``before`` itself when none
        changed.

        Raises: PollError; ``incomplete`` when the pages of two reads did not fit together.
        """
        try:
            async with self._limit(self._images_timeout_factor, "images"):
                await self._requester.confirm_version()
                return await self._read_list(self._images_url, before, "images")
        except PollError as error:
            if error.reason in _VERSION_MAY_HAVE_CHANGED:
                self._requester.version_uncertain = True
                self.units.read_all_next()
            raise

    async def list_units(self, before: ObjectList) -> ObjectList:
        """
        Read the upgrade status of the cluster, the SE groups and the Service Engines; see `UnitReader`.

        Returns: ``before`` itself when nothing changed. Raises: PollError; its reason is ``forbidden`` when the account
        may not read it, and ``absent`` when the Controller is too old to have it.
        """
        with _forbidden("upgrade"):
            async with self._limit(UNITS_TIMEOUT_FACTOR, "upgrade"):
                await self.log_in()
                return await self.units.read(before, version=self.link.version)

    async def list_images_in_use(self) -> Mapping[str, bool]:
        """
        Read which images the Controller says are in use, by uuid: an account that may read images may read this.

        Returns: empty from a Controller before release 32.2.1, which does not say it. Raises: PollError.
        """
        if version_key(self.link.version) < FIRST_VERSION:
            return {}
        body = await self._get(URL(f"{self._controller.url}/api/image-inventory"), "inventory")
        # in a thread: it has every image, with all its events
        return await asyncio.to_thread(decode_images_in_use, body, max_response=self._requester.exchange.max_response)

    async def get_nodes(self) -> NodesState:
        """
        Read whether the nodes of the Controllers' cluster are up.

        Raises: PollError; its reason is ``forbidden`` when the account may not read it.
        """
        with _forbidden("cluster"):
            return decode_nodes(await self._get(URL(f"{self._controller.url}/api/cluster/runtime"), "cluster"))

    def note_upgrade(self) -> None:
        """Note that an upgrade is under way at present."""
        self._requester.password.note_upgrade()

    @asynccontextmanager
    async def _limit(self, factor: float, phase: Phase) -> AsyncIterator[None]:
        """Limit the time of all requests that one list takes."""
        limit_s = self._requester.exchange.timeout_s * factor
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError as error:
            raise Unreachable("timeout", f"no complete list within {limit_s:g} s", phase=phase) from error

    async def _list_units(self, name: str, before: ObjectList) -> ObjectList:
        url = URL(f"{self._controller.url}/api/{name}?page_size={PAGE_SIZE}&include_name=true")
        return await self._read_list(url, before, "upgrade")

    async def _get_unit(self, name: str, uuid: str) -> bytes:
        path = f"/api/{name}/{quote(uuid, safe='')}?include_name=true"
        return await self._get(URL(f"{self._controller.url}{path}", encoded=True), "upgrade")

    async def _get_cluster_uuid(self) -> str:
        return identify(msgspec.Raw(await self._get(URL(f"{self._controller.url}/api/cluster"), "upgrade")))

    async def get_image(self, uuid: str) -> bytes:
        """
        Read one image as it is now.

        Raises: PollError; its status is 404 when the image does not exist.
        """
        return await self._get(self._image_url(uuid), "image")

    async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> Reply:
        """
        Change an image. The request is sent once; a second time only after a reply that the session is not valid.

        ``body``: JSON, as the Controller expects it. ``api_version``: of the body. Returns: any 2xx, also an empty one.
        Raises: PollError; Unanswered when it is unknown whether the change was made.
        """
        headers = {"X-Avi-Version": api_version, "Content-Type": "application/json"}
        return await self._requester.send_once("PATCH", self._image_url(uuid), "patch", body=body, headers=headers)

    async def log_in(self) -> None:
        """
        Log in, unless there is a session.

        Raises: PollError; LoginRefused without a request when the Controller has already refused the current password.
        """
        await self._requester.log_in()

    async def log_out(self) -> None:
        """End the session on the Controller; errors are ignored."""
        await self._requester.log_out()

    async def _read_list(self, url: URL, before: ObjectList, phase: Phase) -> ObjectList:
        def get(page: int) -> Awaitable[bytes]:
            return self._get(url.update_query(page=page) if page > 1 else url, phase)

        return await read_list(get, before, max_response=self._requester.exchange.max_response, phase=phase)

    def _image_url(self, uuid: str) -> URL:
        return URL(f"{self._controller.url}/api/image/{quote(uuid, safe='')}", encoded=True)

    async def _get(self, url: URL, phase: Phase) -> bytes:
        tenant = self._controller.upgrades_tenant if phase == "upgrade" else ""
        return await self._requester.get(url, phase, headers={"X-Avi-Tenant": tenant} if tenant else {})


@contextmanager
def _forbidden(phase: Phase) -> Iterator[None]:
    """Turn a 403 that is not for an upgrade into ``forbidden``: the account may not read it, which is no failure."""
    try:
        yield
    except PollError as error:
        if error.status == 403 and error.reason == "http_4xx":
            raise BadStatus("forbidden", error.detail, phase=phase, status=403) from error
        raise
