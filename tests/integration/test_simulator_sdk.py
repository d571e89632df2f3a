"""The vendor's SDK works with a simulated Controller as with a real one."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from monitor.simulator import (
    ControllerSpec,
    Fault,
    GroupSpec,
    PatchPolicy,
    SimulatedController,
    Simulator,
    UpgradeSpec,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK uses deprecated idioms
    from avi.sdk.avi_api import APIError, ApiSession

START = 1_740_000_000.0
SPEC = ControllerSpec(name="dc1", version="30.2.1", images=3)


@pytest.fixture
async def dc1() -> AsyncIterator[SimulatedController]:
    async with Simulator([SPEC], start=START, speed=0.0) as simulator:
        yield simulator.controllers["dc1"]


@pytest.fixture
async def upgrading() -> AsyncIterator[SimulatedController]:
    groups = (GroupSpec(ses=2), GroupSpec(cloud="aws", ses=1))
    spec = replace(SPEC, groups=groups, upgrade=UpgradeSpec(version="31.2.2"))
    async with Simulator([spec], start=START, speed=0.0) as simulator:
        simulator.clock.advance(100.0)
        await simulator.wait_timelines()
        yield simulator.controllers["dc1"]


@pytest.fixture(autouse=True)
def no_sessions_from_other_tests() -> Iterator[None]:
    yield
    ApiSession.clear_cached_sessions()


def log_in(controller: SimulatedController, **changed: Any) -> Any:  # noqa: ANN401  the SDK has no types
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        credentials = {"username": controller.username, "password": controller.password, **changed}
        return ApiSession(controller_ip=controller.url, api_version="30.2.1", **credentials)


async def with_sdk(controller: SimulatedController, work: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Log in and do the work, in a thread: the SDK blocks."""

    def run() -> Any:  # noqa: ANN401
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work(log_in(controller))

    return await asyncio.to_thread(run)


async def test_the_sdk_logs_in_and_learns_the_version(dc1: SimulatedController) -> None:
    details = await with_sdk(dc1, lambda api: api.get_controller_details())
    assert details["controller_api_version"]["Version"] == "30.2.1"
    assert (dc1.logins, len(dc1.sessions)) == (1, 1)


async def test_a_wrong_password_is_an_error_after_one_attempt(dc1: SimulatedController) -> None:
    with pytest.raises(APIError, match="Invalid credentials"):
        await asyncio.to_thread(log_in, dc1, password="wrong")
    assert dc1.failed_logins == 1


async def test_the_sdk_reads_the_list(dc1: SimulatedController) -> None:
    listing = await with_sdk(dc1, lambda api: api.get("image").json())
    assert listing["count"] == 3
    assert listing["results"][0]["img_state"]["state"] == "IMAGE_FSM_COMPLETED"


async def test_the_sdk_finds_an_image_by_its_name(dc1: SimulatedController) -> None:
    uuid = dc1.upload("31.1.1-9122-20250213.101500")
    found = await with_sdk(dc1, lambda api: api.get_object_by_name("image", "31.1.1-9122-20250213.101500"))
    assert found["uuid"] == uuid


async def test_the_sdk_finds_no_image_with_an_unknown_name(dc1: SimulatedController) -> None:
    assert await with_sdk(dc1, lambda api: api.get_object_by_name("image", "no such name")) is None


async def test_the_sdk_reads_all_pages(dc1: SimulatedController) -> None:
    uuids = await with_sdk(
        dc1, lambda api: [image["uuid"] for image in api.get_objects_iter("image", params={"page_size": 2})]
    )
    assert len(set(uuids)) == 3
    listings = await dc1.wait_for_requests(2, path="/api/image", answered=True)
    assert [request.query.get("page") for request in listings] == [None, "2"]


@pytest.mark.parametrize(
    "body",
    [
        {"replace": {"name": "renamed"}},
        {"json_patch": [{"op": "replace", "path": "/name", "value": "renamed"}]},
    ],
    ids=["envelope", "json-patch"],
)
async def test_the_sdk_patches_in_both_forms(dc1: SimulatedController, body: dict[str, Any]) -> None:
    uuid = dc1.upload()
    response = await with_sdk(dc1, lambda api: api.patch(f"image/{uuid}", body))
    assert (response.status_code, response.json()["name"], dc1.image(uuid)["name"]) == (200, "renamed", "renamed")


async def test_the_sdk_patches_with_a_plain_body_if_the_controller_allows_it() -> None:
    async with Simulator([ControllerSpec(name="c", images=1, patching=PatchPolicy(plain="merge"))]) as simulator:
        controller = simulator.controllers["c"]
        uuid = controller.upload()
        await with_sdk(controller, lambda api: api.patch(f"image/{uuid}", {"name": "renamed"}))
        assert controller.image(uuid)["name"] == "renamed"


async def test_a_rejected_patch_shows_the_text_of_the_controller(dc1: SimulatedController) -> None:
    uuid = dc1.upload()
    with pytest.raises(APIError, match="Field uuid of object Image is read-only"):
        await with_sdk(dc1, lambda api: api.patch(f"image/{uuid}", {"replace": {"uuid": "x"}}).json())


async def test_the_sdk_deletes_an_image(dc1: SimulatedController) -> None:
    uuid = dc1.upload()
    assert (await with_sdk(dc1, lambda api: api.delete(f"image/{uuid}"))).status_code == 204


@pytest.mark.parametrize("kind", ["session_expiry", "switch_session", "unauthorized"])
async def test_the_sdk_logs_in_again_after_its_session_was_lost(dc1: SimulatedController, kind: str) -> None:
    dc1.faults.add(Fault(kind, times=1))
    listing = await with_sdk(dc1, lambda api: api.get("image").json())
    assert (listing["count"], dc1.logins) == (3, 2)


async def test_the_sdk_gives_up_when_the_401_stays(dc1: SimulatedController) -> None:
    dc1.faults.add(Fault("unauthorized"))
    with pytest.raises(APIError, match="Status Code 401"):
        await with_sdk(dc1, lambda api: api.get("image"))


async def test_the_sdk_logs_in_again_after_the_csrf_token_changed(dc1: SimulatedController) -> None:
    uuid = dc1.upload()

    def patch_after_a_rotation(api: Any) -> Any:  # noqa: ANN401
        api.get("image")
        return api.patch(f"image/{uuid}", {"replace": {"name": "renamed"}})

    dc1.faults.add(Fault("csrf_rotation", times=1, method="GET"))
    assert (await with_sdk(dc1, patch_after_a_rotation)).status_code == 200
    assert dc1.logins == 2


async def test_the_sdk_retries_after_a_closed_connection(dc1: SimulatedController) -> None:
    dc1.faults.add(Fault("close", times=1))
    assert (await with_sdk(dc1, lambda api: api.get("image").json()))["count"] == 3


async def test_the_sdk_logs_out(dc1: SimulatedController) -> None:
    assert (await with_sdk(dc1, lambda api: api.post("logout"))).status_code == 200
    assert (dc1.logouts, dc1.sessions) == (1, {})


async def test_the_sdk_shows_that_the_version_is_too_new(dc1: SimulatedController) -> None:
    response = await with_sdk(dc1, lambda api: api.get("image", api_version="99.1.1"))
    assert (response.status_code, "Invalid version" in response.text) == (400, True)


# -- upgrades


async def test_the_sdk_reads_the_units_in_pages(upgrading: SimulatedController) -> None:
    def read(api: Any) -> dict[str, list[str]]:  # noqa: ANN401
        kinds = ("upgradestatusinfo", "upgradestatussummary")
        return {kind: [unit["uuid"] for unit in api.get_objects_iter(kind, params={"page_size": 2})] for kind in kinds}

    infos, summaries = (await with_sdk(upgrading, read)).values()
    assert (len(set(infos)), infos) == (6, summaries)


@pytest.mark.parametrize("kind", ["upgradestatusinfo", "upgradestatussummary"])
async def test_the_sdk_finds_a_unit_by_its_name_and_its_uuid(upgrading: SimulatedController, kind: str) -> None:
    def read(api: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401
        by_name = api.get_object_by_name(kind, "cluster-0-1")
        of_kind = api.get(kind, params={"node_type": "NODE_CONTROLLER_CLUSTER"}).json()
        return by_name, api.get(f"{kind}/{by_name['uuid']}").json(), of_kind["results"]

    by_name, by_uuid, of_kind = await with_sdk(upgrading, read)
    assert by_name["state"]["state"] == "UPGRADE_FSM_IN_PROGRESS"
    assert (by_uuid, of_kind) == (by_name, [by_name])


async def test_the_sdk_starts_an_upgrade_once(dc1: SimulatedController) -> None:
    uuid = dc1.upload("31.2.2-9000-20250826.101010", version="31.2.2", started_ago=600.0)

    def start(api: Any) -> Any:  # noqa: ANN401
        return [api.post("upgrade", data={"image_ref": f"/api/image/{uuid}"}) for _ in range(2)]

    first, second = await with_sdk(dc1, start)
    assert (first.status_code, second.status_code) == (202, 403)
    assert "disallowed during upgrade" in second.text
