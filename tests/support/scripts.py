"""Scripts that change an image again and again at two daemons, and repeat what was certainly not done."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import count, cycle

from tests.support.daemon_processes import get_json, patch_status
from tests.support.limits import WAIT_TIMEOUT_S

_NOT_DONE = frozenset({-1, 421, 503})
_PAUSE_S = 0.1
"""Between two attempts."""
_GIVE_UP_S = 8.0
"""On a daemon that is stopped. Whether it makes the change when it goes on is then not known."""


class Scripts:
    """
    ``urls``: of the daemons at this moment; the test replaces them. ``answers``: the status by change.

    A change is one value of the annotation that has the name of its script.
    """

    def __init__(self, urls: Sequence[str], uuid: str) -> None:
        self.urls = list(urls)
        self.answers: dict[str, int] = {}
        self._uuid = uuid
        self._stopping = False
        self._answered = asyncio.Condition()

    async def work(self, name: str) -> None:
        """Change the image until told to stop; every other time on the Controller, too."""
        turns = cycle(range(len(self.urls)))
        for number in count():
            change = f"{name}-{number}"
            body = {"annotations": {name: change}, **({"name": change} if number % 2 else {})}
            while (status := await self._patch(next(turns), body)) in _NOT_DONE:  # noqa: ASYNC110  as any client waits
                await asyncio.sleep(_PAUSE_S)
            async with self._answered:
                self.answers[change] = status
                self._answered.notify_all()
            if self._stopping:
                return

    async def _patch(self, turn: int, body: object) -> int:
        return await patch_status(self.urls[turn], self._uuid, body, timeout_s=_GIVE_UP_S)

    async def succeed(self, times: int) -> None:
        """Wait until so many more changes were made."""
        already = self._made()
        async with asyncio.timeout(WAIT_TIMEOUT_S), self._answered:
            await self._answered.wait_for(lambda: self._made() >= already + times)

    def stop(self) -> None:
        """Let each script complete its change."""
        self._stopping = True

    def _made(self) -> int:
        return sum(status == 200 for status in self.answers.values())


async def count_done(url: str) -> Counter[str]:
    """How often each change was done, as the audit says."""
    done: Counter[str] = Counter()
    page = await get_json(url, "/api/audit?page_size=500")
    while page["results"]:
        for entry in page["results"]:
            assert entry["outcome"], "every intent has an outcome"
            if entry["outcome"] == "done":
                done.update(entry["asked"]["annotations"].values())
        page = await get_json(url, f"/api/audit?page_size=500&before={page['results'][-1]['number']}")
    return done
