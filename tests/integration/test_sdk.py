"""The vendor's own client, unchanged: what it can ask of a Controller, it can ask of the daemon."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, GroupSpec, SimulatedController, Simulator
from tests.support.daemons import until, watching
from tests.support.operators import ALICE, BOB, TOKENS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK uses deprecated idioms
    from avi.sdk.avi_api import APIError, ApiSession


SPEC = ControllerSpec(name="dc1", version="30.2.1", images=3, groups=(GroupSpec(ses=2), GroupSpec(cloud="aws", ses=1)))


class Site:
    """A daemon that has polled its one controller."""

    def __init__(self, daemon: Daemon, controller: SimulatedController) -> None:
        self.daemon = daemon
        self.controller = controller
        self.uuid = next(iter(daemon.fleet.entries["dc1"].objects("image")))

    async def sdk(self, work: Callable[[Any], Any], token: str = BOB) -> Any:  # noqa: ANN401  the SDK has no types
        """Call ``work`` with a session, in a thread: the SDK blocks."""

        def run() -> Any:  # noqa: ANN401
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                session = ApiSession(
                    self.daemon.url,
                    "any-user",
                    "",
                    api_version="30.2.1",
                    user_hdrs={"Authorization": f"Bearer {token}"},
                )
                return work(session)

        return await asyncio.to_thread(run)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with (
        Simulator([SPEC], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        yield Site(daemon, simulator.controllers["dc1"])


@pytest.fixture(autouse=True)
def no_sessions_from_other_tests() -> Iterator[None]:
    yield
    ApiSession.clear_cached_sessions()


async def test_it_reads_the_list_and_one_image(site: Site) -> None:
    listing = await site.sdk(lambda api: api.get("image").json())
    assert listing["count"] == 3
    image = await site.sdk(lambda api: api.get(f"image/{site.uuid}").json())
    assert (image["uuid"], image["annotations"]) == (site.uuid, {})


async def test_it_finds_an_image_by_its_name(site: Site) -> None:
    name = site.controller.image(site.uuid)["name"]
    found = await site.sdk(lambda api: api.get_object_by_name("image", name))
    assert found["uuid"] == site.uuid
    assert await site.sdk(lambda api: api.get_object_by_name("image", "no such name")) is None


async def test_it_reads_the_upgrade_status_by_name_uuid_and_kind(site: Site) -> None:
    cluster = site.controller.upgrades.units.cluster(0.0)
    found = await site.sdk(lambda api: api.get_object_by_name("upgradestatusinfo", cluster["name"]))
    assert found["uuid"] == cluster["uuid"]
    one = await site.sdk(lambda api: api.get(f"upgradestatusinfo/{cluster['uuid']}").json())
    assert (one["version"], one["upgrade_state"]) == (cluster["version"], "idle")
    first = await site.sdk(lambda api: api.get("upgradestatusinfo").json()["results"][0])
    assert first["uuid"] == cluster["uuid"]
    query = {"node_type": "NODE_SE_GROUP"}
    groups = await site.sdk(lambda api: api.get("upgradestatusinfo", params=query).json())
    assert (groups["count"], {unit["node_type"] for unit in groups["results"]}) == (2, {"NODE_SE_GROUP"})


async def test_it_walks_through_the_pages_of_the_upgrade_status(site: Site) -> None:
    pages = {"page_size": 2}
    units = await site.sdk(lambda api: list(api.get_objects_iter("upgradestatusinfo", params=pages)))
    assert len({unit["uuid"] for unit in units}) == len(units) == 6


@pytest.mark.parametrize(
    "body",
    [
        {"name": "renamed"},
        {"replace": {"name": "renamed"}},
        {"json_patch": [{"op": "replace", "path": "/name", "value": "renamed"}]},
    ],
    ids=["plain", "operation", "json-patch"],
)
async def test_it_patches_in_all_three_forms(site: Site, body: dict[str, Any]) -> None:
    answer = await site.sdk(lambda api: api.patch(f"image/{site.uuid}", body))
    assert (answer.status_code, answer.json()["name"]) == (200, "renamed")
    assert site.controller.image(site.uuid)["name"] == "renamed"


async def test_it_annotates(site: Site) -> None:
    body = {"annotations": {"change": "CHG1"}}
    answer = await site.sdk(lambda api: api.patch(f"image/{site.uuid}", body), token=ALICE)
    assert answer.json()["annotations"] == {"change": "CHG1"}


@pytest.mark.parametrize(
    ("body", "token", "words"),
    [
        ({"progress": 100}, BOB, "adjustable are name"),
        ({"replace": {"se_patch_ref": "/api/image/none"}}, BOB, "Image object not found"),
        ({"name": "x"}, ALICE, "needs the scope adjust"),
    ],
    ids=["by-the-daemon", "by-the-controller", "by-the-scope"],
)
async def test_a_refused_patch_raises_with_the_detail(site: Site, body: dict[str, Any], token: str, words: str) -> None:
    with pytest.raises(APIError, match=words):
        await site.sdk(lambda api: api.patch(f"image/{site.uuid}", body).json(), token=token)


async def test_an_unknown_token_is_an_error_without_a_log_in(site: Site) -> None:
    with pytest.raises(APIError, match="credentials are not known"):
        await site.sdk(lambda api: api.get("image").json(), token="aum_wrong")
