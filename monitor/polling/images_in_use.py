"""Which images are in use, by the Controller's own inventory: for an account that may not read the units."""

import asyncio
from collections.abc import Mapping
from math import inf

from structlog.typing import FilteringBoundLogger

from monitor.model.errors import PollError, Reason
from monitor.model.health import ReadHealth
from monitor.polling import poll_log
from monitor.polling.ports import Source


class ImagesInUse:
    """``by_uuid``: whether each image is in use, as told last; empty where units are read, or nothing is told."""

    def __init__(self, source: Source, log: FilteringBoundLogger) -> None:
        self._source = source
        self._log = log
        self._due = -inf
        self._reason: Reason | None = None
        """Why the last read failed."""
        self.by_uuid: Mapping[str, bool] = {}

    async def update(self, units: ReadHealth, *, interval_s: float) -> None:
        """Read the inventory if the units cannot be read, and the last read is so long ago. A failure is logged."""
        if units.readable is not False:
            self.by_uuid, self._reason, self._due = {}, None, -inf
            return
        now = asyncio.get_running_loop().time()
        if now < self._due:
            return
        self._due = now + interval_s
        try:
            self.by_uuid, self._reason = await self._source.list_images_in_use(), None
        except PollError as error:
            poll_log.read_failed(self._log, "image_inventory", error, before=self._reason)
            self.by_uuid, self._reason = {}, error.reason
