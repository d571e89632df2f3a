"""Every kind of response of a running daemon is in its OpenAPI document."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Fault, GroupSpec, SimulatedController, Simulator, UploadSpec
from monitor.web.context import Limits
from monitor.web.openapi import problems_of
from monitor.web.problems import PROBLEM_KINDS
from monitor.web.routes import ROUTES
from tests.support.conformance import require_conformance
from tests.support.daemons import QUICK, UNHURRIED, polled, until, watching
from tests.support.operators import ALICE, EVE, ROOT, TOKENS, Got, ask

SPEC = ControllerSpec(
    name="dc1",
    version="30.2.1",
    images=2,
    uploads=(UploadSpec(duration=60.0, started_ago=20.0),),
    groups=(GroupSpec(ses=1),),
)
IMAGE = "/api/image/{idle}"
UNIT = "/api/upgradestatusinfo/{unit}"
ANNOTATE: dict[str, Any] = {"annotations": {"a": "b"}}
RENAME: dict[str, Any] = {"name": "renamed"}
TESTED_ELSEWHERE = {"/api/events", "/api/upgrade-report"}  # test_events.py, test_upgrade_report.py
SIMPLE = [route for route in ROUTES if route.path not in TESTED_ELSEWHERE]
"""Routes whose response ends, and which say something of a fleet that was never upgraded."""


class Site:
    """A daemon on one Controller that is processing one image, and has completed others."""

    def __init__(self, daemon: Daemon, controller: SimulatedController) -> None:
        tracks = [track.object for _, track in daemon.fleet.shown_objects("image")]
        self.daemon = daemon
        self.controller = controller
        self.idle = next(image.uuid for image in tracks if not image.active)
        self.active = next(image.uuid for image in tracks if image.active)
        self.unit = controller.upgrades.cluster_uuid

    async def ask(self, method: str, path: str, body: object = None, **how: Any) -> Got:  # noqa: ANN401
        """Send one request, as root; the response must be as documented."""
        path = path.replace("{idle}", self.idle).replace("{active}", self.active).replace("{unit}", self.unit)
        got = await ask(self.daemon, method, path, body, **{"token": ROOT, **how})
        require_conformance(method, path, got.status, got.headers, got.body)
        return got


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Simulator([SPEC], speed=0.0) as simulator:
        poll = {**QUICK, "timeout": "1s"}  # the test of a Controller that never answers takes as long
        async with watching(simulator, tmp_path, tokens=TOKENS, poll=poll) as daemon:
            await until(daemon, "dc1", lambda entry: entry.session.up)
            yield Site(daemon, simulator.controllers["dc1"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """For requests of which none changes the response to another."""
    folder, limits = tmp_path_factory.mktemp("site"), Limits(max_changes=1_000_000)
    async with (
        Simulator([SPEC], speed=0.0) as simulator,
        watching(simulator, folder, tokens=TOKENS, poll=UNHURRIED, limits=limits) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        yield Site(daemon, simulator.controllers["dc1"])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", SIMPLE, ids=lambda route: f"{route.method} {route.path}")
async def test_every_successful_response_is_as_documented(shared_site: Site, route: Any) -> None:  # noqa: ANN401
    site = shared_site
    await site.ask("PATCH", IMAGE, ANNOTATE | RENAME)  # something to show
    await site.ask("PATCH", UNIT, ANNOTATE)
    path = route.path.replace("info/{uuid}", "info/{unit}").replace("{uuid}", "{idle}").replace("{file}", "style.css")
    query = {"controller": "dc1", "image": site.idle} if route.path == "/api/readiness" else None
    got = await site.ask(route.method, path, ANNOTATE if route.request_body else None, query=query)
    assert got.status in route.responses
    if route.method == "GET":
        assert (await site.ask("HEAD", path, query=query)).status == got.status


@pytest.mark.parametrize("path", [IMAGE, UNIT])
async def test_an_unmodified_object_is_answered_as_documented(site: Site, path: str) -> None:
    tag = (await site.ask("GET", path)).tag
    assert (await site.ask("GET", path, If_None_Match=tag)).status == 304


@pytest.mark.parametrize(("path", "body"), [(IMAGE, ANNOTATE | RENAME), (UNIT, ANNOTATE)], ids=["image", "unit"])
async def test_a_dry_run_is_answered_as_documented(site: Site, path: str, body: dict[str, Any]) -> None:
    got = await site.ask("PATCH", path, body, query={"dry_run": "true"})
    assert (got.status, "ETag" in got.headers) == (200, False)


REFUSED: list[tuple[int, str, tuple[Any, ...], dict[str, Any]]] = [
    (400, "bad-query", ("GET", "/api/image"), {"query": {"page": "x"}}),
    (400, "bad-query", ("GET", "/api/audit"), {"query": {"since": "yesterday"}}),
    (400, "bad-query", ("PATCH", IMAGE, ANNOTATE), {"query": {"dry_run": "maybe"}}),
    (400, "bad-json", ("PATCH", IMAGE, b"{"), {}),
    (400, "no-version", ("PATCH", IMAGE, ANNOTATE), {"X_Avi_Version": None}),
    (400, "unknown-version", ("PATCH", IMAGE, RENAME), {"X_Avi_Version": "99.1.1"}),
    (400, "controller-refused", ("PATCH", IMAGE, {"se_patch_ref": "https://x/api/image/image-none"}), {}),
    (401, "unauthorized", ("PATCH", IMAGE, ANNOTATE), {"token": ""}),
    (401, "unauthorized", ("GET", "/api/controllers"), {"token": "aum_nobody"}),
    (403, "forbidden", ("PATCH", IMAGE, ANNOTATE), {"token": EVE}),
    (403, "forbidden", ("PATCH", IMAGE, RENAME), {"token": ALICE}),
    (403, "forbidden", ("GET", "/api/audit"), {"token": ALICE}),
    (404, "no-such-route", ("GET", "/api/images"), {}),
    (404, "no-such-route", ("GET", "/api/image/%7Bx%7D"), {}),
    (404, "no-such-image", ("GET", "/api/image/image-none"), {}),
    (404, "no-such-unit", ("GET", "/api/upgradestatusinfo/cluster-none"), {}),
    (404, "no-such-unit", ("GET", "/api/upgradestatusinfo/cluster-none/tasks"), {}),
    (400, "bad-query", ("GET", "/api/upgradestatusinfo"), {"query": {"state": "COMPLETED"}}),
    (404, "no-such-controller", ("GET", "/api/readiness"), {"query": {"controller": "dc9", "image": "x"}}),
    (404, "no-such-upgrade", ("GET", "/api/upgrade-report"), {"query": {"controller": "dc1"}}),
    (404, "no-such-image", ("PATCH", "/api/image/image-none", ANNOTATE), {}),
    (404, "name-mismatch", ("PATCH", IMAGE, ANNOTATE), {"query": {"name": "another"}}),
    (404, "tenant-mismatch", ("PATCH", IMAGE, ANNOTATE), {"X_Avi_Tenant": "others"}),
    (405, "method-not-allowed", ("DELETE", IMAGE), {}),
    (405, "method-not-allowed", ("OPTIONS", "/metrics"), {}),
    (409, "image-active", ("PATCH", "/api/image/{active}", RENAME), {}),
    (412, "precondition-failed", ("PATCH", IMAGE, ANNOTATE), {"If_Match": '"another"'}),
    (413, "too-large", ("PATCH", IMAGE, b" " * 65_537), {}),
    (415, "unsupported-media-type", ("PATCH", IMAGE, ANNOTATE), {"Content_Type": "text/plain"}),
    (422, "bad-patch", ("PATCH", IMAGE, {"name": 5}), {}),
    (422, "unknown-field", ("PATCH", IMAGE, {"nam": "x"}), {}),
    (422, "read-only-field", ("PATCH", IMAGE, {"progress": 5}), {}),
    (422, "two-operations", ("PATCH", IMAGE, {"name": "x", "se_patch_ref": None}), {}),
    (422, "too-many-annotations", ("PATCH", IMAGE, {"annotations": {f"k{each}": "x" for each in range(65)}}), {}),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("status", "kind", "what", "how"), REFUSED, ids=lambda value: str(value)[:50])
async def test_every_refusal_is_answered_as_documented(
    shared_site: Site, status: int, kind: str, what: tuple[Any, ...], how: dict[str, Any]
) -> None:
    got = await shared_site.ask(*what, **how)
    assert (got.status, got.kind) == (status, kind)


FAILED = [
    ("html_502", 502, "controller-failed"),
    ("forbidden_upgrade", 503, "controller-upgrading"),
    ("too_many_requests", 503, "controller-busy"),
    ("lost_reply", 504, "outcome-unknown"),
]


@pytest.mark.parametrize(("fault", "status", "kind"), FAILED, ids=str)
async def test_failures_of_the_controller_are_answered_as_documented(
    site: Site, fault: str, status: int, kind: str
) -> None:
    site.controller.faults.add(Fault(fault, method="PATCH"))
    got = await site.ask("PATCH", IMAGE, RENAME)
    assert (got.status, got.kind) == (status, kind)


async def test_too_many_failures_are_answered_as_documented(site: Site) -> None:
    answers = [await site.ask("GET", "/api/image", token="aum_nobody") for _ in range(12)]
    assert {got.kind for got in answers} == {"unauthorized", "too-many-failures"}


async def test_an_ambiguous_uuid_is_answered_as_documented(tmp_path: Path) -> None:
    specs = [ControllerSpec(name=name, images=1, uploads=SPEC.uploads) for name in ("dc1", "dc2")]
    async with Simulator(specs, speed=0.0) as simulator, watching(simulator, tmp_path, tokens=TOKENS) as daemon:
        await polled(daemon, "dc1")
        await polled(daemon, "dc2")
        site = Site(daemon, simulator.controllers["dc1"])
        simulator.controllers["dc2"].put(dict(site.controller.image(site.idle)))
        await until(daemon, "dc2", lambda entry: site.idle in entry.objects("image"))
        kinds = {(await site.ask("GET", IMAGE)).kind, (await site.ask("PATCH", IMAGE, ANNOTATE)).kind}
        assert kinds == {"ambiguous-image"}


async def test_an_ambiguous_unit_is_answered_as_documented(tmp_path: Path) -> None:
    """Two controllers of the config with one address."""
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path, tokens=TOKENS) as daemon:
        await polled(daemon, "dc1")
        path = tmp_path / "config.yml"
        config = yaml.safe_load(path.read_text())
        config["controllers"].append({**config["controllers"][0], "name": "dc2"})
        path.write_text(yaml.safe_dump(config))
        await daemon.reloader.reload()
        await until(daemon, "dc2", lambda entry: bool(entry.objects("upgrade")))
        site = Site(daemon, simulator.controllers["dc1"])
        kinds = {(await site.ask("GET", path)).kind for path in (UNIT, f"{UNIT}/tasks")}
        assert kinds | {(await site.ask("PATCH", UNIT, ANNOTATE)).kind} == {"ambiguous-unit"}


async def test_the_next_page_does_not_depend_on_the_host_header(site: Site) -> None:
    got = await site.ask("GET", "/api/image", query={"page_size": "1"}, Host="dc1:99999")
    assert (got.status, got.json["next"]) == (200, "?page_size=1&page=2")


async def test_an_unknown_expectation_is_ignored(site: Site) -> None:
    assert (await site.ask("GET", "/api/image", Expect="miracles")).status == 200


def test_every_problem_is_caused_here_or_in_the_test_that_is_named() -> None:
    elsewhere = {
        "internal-error",  # test_web.py
        "bad-request",  # test_web.py, on a raw socket
        "request-timeout",  # test_patching.py
        "database-down",  # test_store_down.py
        "not-recorded",  # test_store_down.py
        "altered-record",  # test_store_down.py
        "bad-config",  # test_reload.py
        "too-many-readers",  # test_events.py
        "too-many-changes",  # test_patching.py
        "misdirected-request",  # test_cross_site.py
        "too-many-requests",  # test_web_limits.py
        "not-writer",  # test_passed_on.py
        "image-busy",  # test_patcher.py, as are those below
        "shutting-down",
        "client-closed-request",  # the client is gone, and cannot check the response
    }
    here = {kind for _, kind, *_ in REFUSED} | {kind for *_, kind in FAILED}
    here |= {"too-many-failures", "ambiguous-image", "ambiguous-unit"}
    assert here == PROBLEM_KINDS.keys() - elsewhere
    assert elsewhere <= {kind for route in ROUTES for kind in problems_of(route)}
