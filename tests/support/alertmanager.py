"""A real Alertmanager, as a test starts and asks it."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.support.programs import eventually, is_up, program, started

Json = dict[str, Any]


class Alertmanager:
    """The API of a running Alertmanager."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ready(self) -> bool:
        return await is_up(self._session, f"{self._url}/-/ready")

    async def alerts(self, name: str) -> list[Json]:
        """Those that fire and whose name matches, inhibited or not."""
        query = {"filter": f'alertname=~"{name}"'}
        async with self._session.get(f"{self._url}/api/v2/alerts", params=query) as response:
            answer: list[Json] = await response.json()
        return answer

    async def fire(self, alerts: Iterable[Mapping[str, str]]) -> None:
        """Send alerts, each by its labels, as a Prometheus does."""
        sent = [{"labels": labels} for labels in alerts]
        async with self._session.post(f"{self._url}/api/v2/alerts", json=sent) as response:
            assert response.status == 200, await response.text()


@asynccontextmanager
async def alertmanager_running(settings: Json, folder: Path, address: str) -> AsyncIterator[Alertmanager]:
    """Run one with this configuration, which listens on the address."""
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(settings))
    command = (program("prometheus-alertmanager"), f"--config.file={folder}/alertmanager.yml",
               f"--storage.path={folder}/alertmanager", f"--web.listen-address={address}",
               "--cluster.listen-address=")  # fmt: skip
    async with started(*command, log=folder / "alertmanager.log"), aiohttp.ClientSession() as session:
        alertmanager = Alertmanager(f"http://{address}", session)
        await eventually(alertmanager.ready, bool)
        yield alertmanager
