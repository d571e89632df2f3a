"""A client of a simulated Controller for the API of upgrades, and the Controller that its tests use."""

from typing import Any

import aiohttp

from monitor.simulator import Account, ControllerSpec, GroupSpec, SimulatedController, UploadSpec

START = 1_740_000_000.0
READER = Account(username="reader", password="reads images", can_write=False, reads_upgrades=False)
SPEC = ControllerSpec(
    name="dc1",
    version="30.2.1",
    images=2,
    uploads=(UploadSpec(started_ago=600.0, version="31.2.2"),),
    groups=(GroupSpec(ses=2), GroupSpec(cloud="aws", ses=1)),
    accounts=(READER,),
)


class UnitClient:
    """A client that logs in for each request, because a Controller that restarts ends all sessions."""

    def __init__(self, controller: SimulatedController) -> None:
        self.controller = controller

    async def ask(
        self,
        method: str,
        path: str,
        *,
        version: str = "30.2.1",
        tenant: str = "admin",
        account: Account | None = None,
        json: object = None,
    ) -> tuple[int, Any]:
        """Return the status and the JSON; None for a page of HTML. A refused connection is status 0."""
        username, password = self.controller.username, self.controller.password
        form = {
            "username": account.username if account else username,
            "password": account.password if account else password,
        }
        try:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
                async with http.post(f"{self.controller.url}/login", data=form) as response:
                    if response.status != 200:
                        return response.status, None
                    csrf = response.cookies["csrftoken"].value
                headers = {"X-CSRFToken": csrf, "Referer": self.controller.url}
                headers |= {"X-Avi-Version": version, "X-Avi-Tenant": tenant}
                async with http.request(method, f"{self.controller.url}{path}", headers=headers, json=json) as response:
                    is_json = response.content_type == "application/json"
                    return response.status, await response.json() if is_json else None
        except aiohttp.ClientConnectorError:
            return 0, None

    async def units(self, query: str = "", *, version: str = "30.2.1", tenant: str = "admin") -> list[dict[str, Any]]:
        """Return the first page of the units."""
        status, page = await self.ask("GET", f"/api/upgradestatusinfo{query}", version=version, tenant=tenant)
        assert status == 200, page
        found: list[dict[str, Any]] = page["results"]
        return found

    async def cluster(self) -> dict[str, Any]:
        """Return the cluster that ``GET /api/cluster`` names."""
        uuid = (await self.ask("GET", "/api/cluster"))[1]["uuid"]
        found: dict[str, Any] = (await self.ask("GET", f"/api/upgradestatusinfo/{uuid}"))[1]
        return found
