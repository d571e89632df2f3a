"""``PATCH /api/image/{uuid}`` on a real daemon and simulated Controllers: every form, condition and refusal."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from monitor.daemon.app import Daemon
from monitor.patching.audit import shorten
from monitor.simulator import Account, ControllerSpec, Fault, PatchPolicy, SimulatedController, Simulator
from monitor.web.context import Limits
from tests.support.conformance import require_conformance
from tests.support.daemons import QUICK, polled, samples, scrape, until, watching
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import ALICE, BOB, EVE, ROOT, TOKENS, ask, audit, patch, token

SPEC = ControllerSpec(name="dc1", version="30.2.1", images=2)
RARE = {**QUICK, "active_interval": "1h", "idle_interval": "1h", "stale_after": "2h"}
CLOUD = {"cloud_name": "vc", "cloud_data_values": [{"key": "region", "values": ["eu"]}]}


class Site:
    """A daemon that has polled its one controller, and two completed images there."""

    def __init__(self, daemon: Daemon, controller: SimulatedController) -> None:
        self.daemon = daemon
        self.controller = controller
        self.uuid, self.other = sorted(daemon.fleet.entries["dc1"].objects("image"))[:2]

    @property
    def image(self) -> dict[str, Any]:
        """The image as the Controller has it now."""
        return dict(self.controller.image(self.uuid))

    async def patch(self, body: object, **how: Any) -> Any:  # noqa: ANN401
        return await patch(self.daemon, self.uuid, body, **how)

    async def tag(self) -> str:
        return (await ask(self.daemon, "GET", f"/api/image/{self.uuid}")).tag

    def patches(self) -> int:
        """How many PATCH requests the Controller has received."""
        return sum(request.method == "PATCH" for request in self.controller.requests)


@pytest.fixture
def poll_timeout() -> str:
    """Of a request to the Controller; tests in which it has to pass have a shorter one."""
    return str(RARE["timeout"])


@pytest.fixture
async def site(tmp_path: Path, poll_timeout: str) -> AsyncIterator[Site]:
    poll = {**RARE, "timeout": poll_timeout}
    async with (
        Simulator([SPEC], speed=0.0) as simulator,
        watching(
            simulator,
            tmp_path,
            poll=poll,
            tokens=TOKENS,
            annotations={"export": ["change"]},
            limits=Limits(max_changes=1_000),
        ) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        yield Site(daemon, simulator.controllers["dc1"])


# --- annotations


async def test_an_annotation_is_stored_shown_counted_and_not_sent_to_the_controller(site: Site) -> None:
    before = len(site.controller.requests)
    got = await site.patch({"annotations": {"change": "CHG1", "acknowledged": "yes"}}, token=ALICE)
    assert (got.status, got.json["annotations"]) == (200, {"acknowledged": "yes", "change": "CHG1"})
    assert got.json["controller"] == "dc1"
    text = await scrape(site.daemon)
    labels = {"image_uuid": site.uuid}
    assert samples(text, "avi_image_annotations", **labels) == [2.0]
    assert samples(text, "avi_image_acknowledged", **labels) == [1.0]
    assert samples(text, "avi_image_annotation_info", key="change", value="CHG1", **labels) == [1.0]
    assert samples(text, "avi_upgrade_monitor_patches_total", outcome="done") == [1.0]
    openmetrics = await scrape(site.daemon, "/metrics", Accept="application/openmetrics-text")
    (counted,) = re.findall(r'^avi_upgrade_monitor_patches_total\{outcome="done"\} .*$', openmetrics, re.MULTILINE)
    assert f'# {{request_id="{got.headers["X-Request-ID"]}"}}' in counted, "it leads to the record of the audit"
    shown = await ask(site.daemon, "GET", f"/api/image/{site.uuid}", token=EVE)
    assert (shown.json["annotations"], shown.tag) == (got.json["annotations"], got.tag)
    listing = await ask(site.daemon, "GET", "/api/image", token=EVE, query={"uuid": site.uuid})
    assert listing.json["results"][0]["annotations"] == got.json["annotations"]
    assert len(site.controller.requests) == before


@pytest.mark.parametrize(
    ("body", "after"),
    [
        ({"annotations": {"b": "2", "a": None}}, {"b": "2"}),
        ({"add": {"annotations": {"b": "2"}}}, {"a": "1", "b": "2"}),
        ({"replace": {"annotations": {"b": "2"}}}, {"b": "2"}),
        ({"delete": {"annotations": {"a": "whatever"}}}, {}),
        ({"delete": {"annotations": ["a"]}}, {}),
        ({"json_patch": [{"op": "add", "path": "/annotations/b", "value": "2"}]}, {"a": "1", "b": "2"}),
        ({"json_patch": [{"op": "remove", "path": "/annotations/a"}]}, {}),
        ({}, {"a": "1"}),
    ],
    ids=["merge", "add", "replace", "delete", "delete-list", "json-patch", "json-patch-remove", "nothing"],
)
async def test_each_form_changes_annotations_as_documented(site: Site, body: object, after: dict[str, str]) -> None:
    await site.patch({"annotations": {"a": "1"}}, token=ALICE)
    assert (await site.patch(body, token=ALICE)).json["annotations"] == after


async def test_annotations_survive_a_restart_and_are_in_the_first_scrape(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        async with watching(simulator, tmp_path, tokens=TOKENS) as daemon:
            await until(daemon, "dc1", lambda entry: entry.session.up)
            (uuid, *_) = daemon.fleet.entries["dc1"].objects("image")
            await patch(daemon, uuid, {"annotations": {"note": "größer\n«ok»"}}, token=ALICE)
        async with watching(simulator, tmp_path, tokens=TOKENS) as daemon:
            await until(daemon, "dc1", lambda entry: entry.session.up)
            assert samples(await scrape(daemon), "avi_image_annotations", image_uuid=uuid) == [1.0]
            got = await ask(daemon, "GET", f"/api/image/{uuid}")
            assert got.json["annotations"] == {"note": "größer\n«ok»"}


async def test_one_annotation_too_many_is_refused_and_changes_nothing(site: Site) -> None:
    full = {f"k{number}": "x" for number in range(64)}
    assert (await site.patch({"annotations": full})).status == 200
    got = await site.patch({"annotations": {"one": "more", "k0": None, "two": "more"}})
    assert (got.status, got.kind, got.json["path"]) == (422, "too-many-annotations", "$.annotations")
    assert (await ask(site.daemon, "GET", f"/api/image/{site.uuid}")).json["annotations"] == full


# --- adjustments


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"name": "renamed"}, {"replace": {"name": "renamed"}}),
        ({"replace": {"name": "renamed"}}, {"replace": {"name": "renamed"}}),
        ({"add": {"name": "renamed"}}, {"add": {"name": "renamed"}}),
        ({"json_patch": [{"op": "replace", "path": "/name", "value": "renamed"}]}, {"replace": {"name": "renamed"}}),
        ({"name": "renamed", "annotations": {"a": "b"}}, {"replace": {"name": "renamed"}}),
    ],
    ids=["plain", "replace", "add", "json-patch", "with-annotations"],
)
async def test_a_rename_is_sent_as_one_request_in_the_controllers_own_form(
    site: Site, body: dict[str, Any], sent: object
) -> None:
    got = await site.patch(body)
    assert (got.status, got.json["name"], site.image["name"]) == (200, "renamed", "renamed")
    assert got.json["annotations"] == body.get("annotations", {})
    (request,) = [request for request in site.controller.requests if request.method == "PATCH"]
    assert json.loads(request.body) == sent
    assert request.headers["X-Avi-Version"] == "30.2.1"
    shown = await ask(site.daemon, "GET", f"/api/image/{site.uuid}")
    assert (shown.tag, without_assessment(shown.json)) == (got.tag, got.json), "the response is what GET shows at once"


def without_assessment(image: dict[str, Any]) -> dict[str, Any]:
    """The image without what a GET adds to it: standing and estimates, which change with the clock."""
    return {
        key: value for key, value in image.items() if not key.startswith(("eta_seconds", "stalled_seconds", "standing"))
    }


async def test_the_fleet_has_an_adjustment_before_the_next_poll(site: Site) -> None:
    await site.patch({"name": "renamed"})
    await until(site.daemon, "dc1", lambda entry: entry.objects("image")[site.uuid].object.name == "renamed")


async def test_a_link_is_set_and_unset(site: Site) -> None:
    ref = f"{site.controller.url}/api/image/{site.other}"
    assert (await site.patch({"se_patch_ref": ref, "se_patch_name": "p"})).json["se_patch_ref"] == ref
    got = await site.patch({"se_patch_ref": None, "se_patch_name": None})
    assert (got.status, "se_patch_ref" in got.json, "se_patch_ref" in site.image) == (200, False, False)
    (*_, request) = [request for request in site.controller.requests if request.method == "PATCH"]
    assert json.loads(request.body) == {"delete": {"se_patch_ref": ref, "se_patch_name": "p"}}


async def test_a_list_gains_and_loses_entries(site: Site) -> None:
    other = {"cloud_name": "other"}
    await site.patch({"add": {"cloud_info_values": [CLOUD]}})
    await site.patch({"json_patch": [{"op": "add", "path": "/cloud_info_values/-", "value": other}]})
    assert site.image["cloud_info_values"] == [CLOUD, other]
    await site.patch({"delete": {"cloud_info_values": [CLOUD]}})
    assert site.image["cloud_info_values"] == [other]


async def test_a_dry_run_returns_what_would_be_done_and_does_nothing(site: Site) -> None:
    before = site.image
    body = {"name": "renamed", "annotations": {"a": "b"}}
    got = await site.patch(body, query={"dry_run": "true"})
    assert (got.status, got.json["dry_run"]) == (200, True)
    assert got.json["changes"] == {"annotations.a": [None, "b"], "name": [before["name"], "renamed"]}
    annotated = await site.patch({"annotations": {"a": "b"}}, query={"dry_run": "true"})
    assert annotated.json["changes"] == {"annotations.a": [None, "b"]}
    assert (site.image, site.patches(), await audit(site.daemon)) == (before, 0, [])
    assert (await ask(site.daemon, "GET", f"/api/image/{site.uuid}")).json["annotations"] == {}


@pytest.mark.parametrize(
    "body",
    [
        {"name": "renamed", "type": "IMAGE_TYPE_PATCH"},
        {"name": "renamed", "annotations": {"a": "b"}},
        {"add": {"cloud_info_values": [CLOUD]}},
        {"se_patch_name": None},
        {"annotations": {"a": "b"}},
    ],
    ids=lambda body: json.dumps(body)[:40],
)
async def test_a_dry_run_returns_the_image_that_the_change_then_makes(site: Site, body: dict[str, Any]) -> None:
    site.controller.touch(site.uuid, se_patch_name="p")
    dry_run = (await site.patch(body, query={"dry_run": "true"})).json
    for field, (_, after) in dry_run["changes"].items():
        first, _, key = field.partition(".")
        found = dry_run["image"].get(first)
        assert (found[key] if key else found) == after
    done = (await site.patch(body)).json
    volatile = {"_last_modified"}
    assert {key: dry_run["image"].get(key) for key in done.keys() - volatile} == {
        key: done[key] for key in done.keys() - volatile
    }
    assert dry_run["image"].keys() == done.keys()


async def test_adjustments_use_the_write_account_and_polls_the_other(tmp_path: Path) -> None:
    accounts = (Account(username="reader", password="r", can_write=False), Account(username="writer", password="w"))
    spec = ControllerSpec(name="dc1", images=1, accounts=accounts)
    (tmp_path / "reader").write_text("r")
    (tmp_path / "writer").write_text("w")
    of_each = {
        "username": "reader",
        "password_file": str(tmp_path / "reader"),
        "write": {"username": "writer", "password_file": str(tmp_path / "writer")},
    }
    async with Simulator([spec], speed=0.0) as simulator:
        async with watching(simulator, tmp_path, poll=RARE, tokens=TOKENS, of_each=of_each) as daemon:
            await until(daemon, "dc1", lambda entry: entry.session.up)
            assert simulator.controllers["dc1"].logins == 1
            (uuid,) = daemon.fleet.entries["dc1"].objects("image")
            assert (await patch(daemon, uuid, {"name": "renamed"})).status == 200
            assert simulator.controllers["dc1"].logins == 2
            assert {each.account.username for each in simulator.controllers["dc1"].sessions.values()} == {
                "reader",
                "writer",
            }
        assert simulator.controllers["dc1"].logouts == 2


# --- conditions


async def test_the_current_tag_allows_a_change_and_an_old_one_does_not(site: Site) -> None:
    first = await site.tag()
    done = await site.patch({"annotations": {"a": "1"}}, If_Match=first)
    assert done.status == 200
    late = await site.patch({"annotations": {"a": "2"}}, If_Match=first)
    assert (late.status, late.kind, late.tag) == (412, "precondition-failed", done.tag)
    assert (await site.patch({"annotations": {"a": "2"}}, If_Match=f'"other", {late.tag}')).status == 200


async def test_the_condition_of_an_adjustment_is_checked_against_the_controller(site: Site) -> None:
    tag, modified = await site.tag(), site.image["_last_modified"]
    site.controller.touch(site.uuid, name="by another client")
    late = await site.patch({"name": "mine"}, If_Match=tag)
    assert (late.status, late.kind) == (412, "precondition-failed")
    assert (await site.patch({"name": "mine", "_last_modified": modified})).status == 412
    assert (await site.patch({"replace": {"name": "mine", "_last_modified": modified}})).status == 412
    assert (site.patches(), site.image["name"]) == (0, "by another client")
    assert (await site.patch({"name": "mine"}, If_Match=late.tag)).status == 200


async def test_last_modified_is_a_condition_and_is_never_sent(site: Site) -> None:
    got = await site.patch({"name": "x", "_last_modified": site.image["_last_modified"]})
    assert got.status == 200
    (request,) = [request for request in site.controller.requests if request.method == "PATCH"]
    assert json.loads(request.body) == {"replace": {"name": "x"}}
    assert (await site.patch({"annotations": {"a": "b"}, "_last_modified": "1"})).status == 412


@pytest.mark.parametrize(
    "made", ["W/{}", "{}-gzip", "{};gzip", '"other", W/{}, "third"'], ids=["weak", "gzip", "semicolon", "list"]
)
async def test_a_tag_that_a_compressing_proxy_has_changed_is_the_same(site: Site, made: str) -> None:
    path = f"/api/image/{site.uuid}"
    tag = (await ask(site.daemon, "GET", path)).tag
    changed = made.format(tag) if "gzip" not in made else f'"{made.format(tag[1:-1])}"'
    assert (await ask(site.daemon, "GET", path, If_None_Match=changed)).status == 304
    assert (await site.patch({"annotations": {"a": "b"}}, If_Match=changed)).status == 200
    assert (await site.patch({"annotations": {"a": "c"}}, If_Match=changed)).status == 412


@pytest.mark.parametrize("condition", ["garbage", 'W/"other"', '""', '"-gzip"'])
async def test_a_condition_without_the_current_tag_fails(site: Site, condition: str) -> None:
    assert (await site.patch({"annotations": {"a": "b"}}, If_Match=condition)).status == 412


async def test_if_match_any_is_always_met(site: Site) -> None:
    assert (await site.patch({"annotations": {"a": "b"}}, If_Match="*")).status == 200


async def test_of_many_changes_with_one_tag_exactly_one_succeeds(site: Site) -> None:
    rounds = 3
    for number in range(rounds):
        tag = await site.tag()
        changes = [{"annotations": {"winner": f"{number}-{place}"}} for place in range(40)]
        got = await in_parallel([site.patch(change, If_Match=tag) for change in changes])
        assert sorted(each.status for each in got) == [200] + [412] * 39
        (winner,) = [change for change, each in zip(changes, got, strict=True) if each.status == 200]
        assert (await ask(site.daemon, "GET", f"/api/image/{site.uuid}")).json["annotations"] == winner["annotations"]
    outcomes = [entry["outcome"] for entry in await audit(site.daemon, page_size="500")]
    assert (outcomes.count("done"), outcomes.count("refused")) == (rounds, 39 * rounds)


async def test_of_many_adjustments_with_one_tag_exactly_one_succeeds(site: Site) -> None:
    tag = await site.tag()
    got = await in_parallel([site.patch({"name": f"n{place}"}, If_Match=tag) for place in range(40)])
    assert sorted(each.status for each in got) == [200] + [412] * 39
    assert site.patches() == 1


async def test_many_parallel_annotations_with_different_keys_are_all_kept(site: Site) -> None:
    keys = [f"k{number}" for number in range(25)]
    got = await in_parallel([site.patch({"annotations": {key: key}}) for key in keys])
    got += await in_parallel([patch(site.daemon, site.other, {"annotations": {key: key}}) for key in keys])
    assert {each.status for each in got} == {200}
    for uuid in (site.uuid, site.other):
        shown = (await ask(site.daemon, "GET", f"/api/image/{uuid}")).json["annotations"]
        assert shown == {key: key for key in keys}


async def in_parallel(calls: list[Awaitable[Any]]) -> list[Any]:
    async def wait(call: Awaitable[Any]) -> Any:  # noqa: ANN401
        return await call

    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(wait(call)) for call in calls]
    return [task.result() for task in started]


# --- scopes, controllers, request


@pytest.mark.parametrize(
    ("body", "secret", "status", "kind"),
    [
        ({"annotations": {"a": "b"}}, "", 401, "unauthorized"),
        ({"annotations": {"a": "b"}}, "aum_nobody", 401, "unauthorized"),
        ({"annotations": {"a": "b"}}, EVE, 403, "forbidden"),
        ({"name": "x"}, ALICE, 403, "forbidden"),
        ({"annotations": {"a": "b"}, "name": "x"}, ALICE, 403, "forbidden"),
        ({"name": "x"}, ROOT, 200, ""),
    ],
    ids=["anonymous", "unknown", "reader", "annotator-adjusts", "annotator-does-both", "admin"],
)
async def test_each_scope_allows_its_own_changes(site: Site, body: object, secret: str, status: int, kind: str) -> None:
    before = site.image
    got = await site.patch(body, token=secret)
    assert (got.status, kind) == (status, kind if status == 200 else got.kind)
    if status != 200:
        assert (site.image, site.patches(), await audit(site.daemon)) == (before, 0, [])


async def test_without_the_scope_adjust_no_change_is_sent(tmp_path: Path) -> None:
    tokens = [token("alice", ALICE, "annotate"), token("eve", EVE, "read")]
    async with Simulator([SPEC], speed=0.0) as simulator, watching(simulator, tmp_path, tokens=tokens) as daemon:
        await until(daemon, "dc1", lambda entry: entry.session.up)
        (uuid, *_) = daemon.fleet.entries["dc1"].objects("image")
        bodies: list[object] = [{"name": "x"}, {"replace": {"name": "x"}}, {"name": "x", "annotations": {"a": "b"}}]
        for secret in (ALICE, EVE, "", BOB):
            for body in bodies:
                assert (await patch(daemon, uuid, body, token=secret)).status in {401, 403}
        assert not [each for each in simulator.controllers["dc1"].requests if each.method not in {"GET", "POST"}]


async def test_a_token_of_one_controller_cannot_patch_images_of_another(tmp_path: Path) -> None:
    specs = [ControllerSpec(name=name, images=1) for name in ("dc1", "dc2")]
    tokens = [token("bob", BOB, "adjust", controllers=["dc1"]), token("root", ROOT, "admin")]
    async with Simulator(specs, speed=0.0) as simulator, watching(simulator, tmp_path, tokens=tokens) as daemon:
        for name in ("dc1", "dc2"):
            await until(daemon, name, lambda entry: entry.session.up)
        (uuid,) = daemon.fleet.entries["dc2"].objects("image")
        assert (await patch(daemon, uuid, {"annotations": {"a": "b"}})).kind == "no-such-image"
        assert (await ask(daemon, "GET", "/api/image")).json["count"] == 1
        assert (await patch(daemon, uuid, {"annotations": {"a": "b"}}, token=ROOT)).status == 200
        assert [entry["controller"] for entry in await audit(daemon)] == ["dc2"]


async def test_an_image_on_two_controllers_needs_the_parameter_controller(tmp_path: Path) -> None:
    specs = [ControllerSpec(name=name) for name in ("dc1", "dc2")]
    async with Simulator(specs, speed=0.0) as simulator:
        for controller in simulator.controllers.values():
            controller.put({"uuid": "image-1", "name": "x", "url": "/api/image/image-1"})
        async with watching(simulator, tmp_path, tokens=TOKENS) as daemon:
            for name in ("dc1", "dc2"):
                await until(daemon, name, lambda entry: entry.session.up)
            got = await patch(daemon, "image-1", {"annotations": {"a": "b"}})
            assert (got.status, got.kind) == (409, "ambiguous-image")
            assert "dc1, dc2" in got.json["detail"]
            done = await patch(daemon, "image-1", {"annotations": {"a": "b"}}, query={"controller": "dc2"})
            assert (done.status, done.json["controller"]) == (200, "dc2")
            other = await ask(daemon, "GET", "/api/image/image-1", query={"controller": "dc1"})
            assert other.json["annotations"] == {}


INVALID_REQUESTS: Sequence[tuple[dict[str, Any], int, str]] = (
    ({"query": {"name": "another"}}, 404, "name-mismatch"),
    ({"query": {"controller": "dc9"}}, 404, "no-such-image"),
    ({"X_Avi_Tenant": "others"}, 404, "tenant-mismatch"),
    ({"X_Avi_Tenant_UUID": "tenant-1"}, 404, "tenant-mismatch"),
    ({"X_Avi_Tenant": "*"}, 404, "tenant-mismatch"),
    ({"X_Avi_Version": None}, 400, "no-version"),
    ({"X_Avi_Version": "latest"}, 400, "no-version"),
    ({"X_Avi_Version": "99.1.1"}, 400, "unknown-version"),
    ({"query": {"dry_run": "maybe"}}, 400, "bad-query"),
    ({"query": {"force": "yes"}}, 400, "bad-query"),
    ({"query": {"dryrun": "true"}}, 400, "bad-query"),
    ({"query": {"Name": "another"}}, 400, "bad-query"),
    ({"query": [("dry_run", "false"), ("dry_run", "true")]}, 400, "bad-query"),
    ({"If_Match": ""}, 412, "precondition-failed"),
    ({"If_Match": '"*"'}, 412, "precondition-failed"),
    ({"Content_Type": "text/plain"}, 415, "unsupported-media-type"),
    ({"Content_Type": "application/json; charset=utf-16"}, 415, "unsupported-media-type"),
    ({"Content_Type": "application/json-patch+json"}, 415, "unsupported-media-type"),
    ({"Content_Type": None}, 415, "unsupported-media-type"),
    ({"Content_Encoding": "gzip"}, 415, "unsupported-media-type"),
)


async def test_an_invalid_request_is_refused_and_changes_nothing(site: Site) -> None:
    before = site.image
    for how, status, kind in INVALID_REQUESTS:
        got = await site.patch({"name": "x", "annotations": {"a": "b"}}, **how)
        assert (got.status, got.kind) == (status, kind), how
        assert got.json["request_id"] == got.headers["X-Request-ID"]
        assert got.json["error"] == got.json["detail"]
        if status == 415:
            assert got.headers["Accept-Patch"] == "application/json, application/merge-patch+json"
        assert (site.image, site.patches()) == (before, 0), how
        assert (await ask(site.daemon, "GET", f"/api/image/{site.uuid}")).json["annotations"] == {}, how


@pytest.mark.parametrize(
    "how",
    [
        {"X_Avi_Tenant": "admin"},
        {"X_Avi_Tenant_UUID": "admin"},
        {"Content_Type": "application/merge-patch+json"},
        {"Content_Type": "application/json; charset=UTF-8"},
        {"X_Avi_Version": "22.1.3"},
        {"X_CSRFToken": "any-token"},
    ],
    ids=str,
)
async def test_a_valid_request_is_carried_out(site: Site, how: dict[str, Any]) -> None:
    name = site.image["name"]
    assert (await site.patch({"name": "x"}, query={"name": name}, **how)).status == 200
    (request,) = [request for request in site.controller.requests if request.method == "PATCH"]
    assert request.headers["X-Avi-Version"] == how.get("X_Avi_Version", "30.2.1")
    assert request.headers["X-Avi-Tenant"] == "admin"


async def test_an_unsupported_version_refuses_an_adjustment_but_not_an_annotation(site: Site) -> None:
    annotated = await site.patch({"annotations": {"a": "b"}}, X_Avi_Version="99.1.1")
    assert (annotated.status, annotated.json["annotations"]) == (200, {"a": "b"})
    adjusted = await site.patch({"name": "x", "annotations": {"a": "c"}}, X_Avi_Version="99.1.1")
    assert (adjusted.status, adjusted.kind, site.patches()) == (400, "unknown-version", 0)
    assert (await ask(site.daemon, "GET", f"/api/image/{site.uuid}")).json["annotations"] == {"a": "b"}


async def test_a_controller_watched_in_all_tenants_accepts_any_tenant(tmp_path: Path) -> None:
    async with (
        Simulator([SPEC], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS, of_each={"tenant": "*"}) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        (uuid, *_) = daemon.fleet.entries["dc1"].objects("image")
        assert (await patch(daemon, uuid, {"annotations": {"a": "b"}}, X_Avi_Tenant="others")).status == 200


INVALID_BODIES: Sequence[tuple[object, int, str]] = (
    (b"{", 400, "bad-json"),
    (b'{"annotations": {"a": "1", "a": "2"}}', 400, "bad-json"),
    (b'{"name": NaN}', 400, "bad-json"),
    (b'{"name": "\xff"}', 400, "bad-json"),
    (b"[" * 60_000, 400, "bad-json"),
    (b" " * 65_537, 413, "too-large"),
    ({"progress": 100}, 422, "read-only-field"),
    ({"nmae": "x"}, 422, "unknown-field"),
    ({"name": 5}, 422, "bad-patch"),
    ({"name": "\0"}, 422, "bad-patch"),
    ({"replace": {"se_patch_name": "a\nb\x1b[31m"}}, 422, "bad-patch"),
    ({"name": "x", "se_patch_ref": None}, 422, "two-operations"),
)


async def test_an_invalid_body_changes_nothing(site: Site) -> None:
    before = site.image
    for body, status, kind in INVALID_BODIES:
        got = await site.patch(body)
        found = got.status, got.kind, got.headers["Content-Type"]
        assert found == (status, kind, "application/problem+json"), str(body)[:40]
        assert (site.image, site.patches(), await audit(site.daemon)) == (before, 0, []), str(body)[:40]


async def test_a_body_of_the_maximum_size_is_accepted(site: Site) -> None:
    assert (await site.patch(b"{}" + b" " * (65_536 - 2))).status == 200


async def test_a_body_that_is_too_large_is_refused_without_a_content_length_too(site: Site) -> None:
    host, port = site.daemon.address
    head = (
        f"PATCH /api/image/{site.uuid} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {BOB}\r\nX-Avi-Version: 30.2.1\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(head.encode() + b"11000\r\n" + b" " * 0x11000 + b"\r\n0\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"413"
    writer.close()


async def test_large_values_are_whole_on_the_image_and_cut_in_audit_and_log(site: Site) -> None:
    long, longer = "x" * 1_000, "y" * 100_000
    site.controller.touch(site.uuid, name=longer)
    with capture_logs() as logs:
        assert (await site.patch({"annotations": {"a": long}})).json["annotations"] == {"a": long}
        assert (await site.patch({"annotations": {"a": "short"}, "name": "renamed"})).status == 200
    renamed, annotated = await audit(site.daemon)
    assert annotated["asked"]["annotations"] == {"a": shorten(long)}
    assert annotated["changes"] == {"annotations.a": [None, shorten(long)]}
    assert renamed["changes"] == {"annotations.a": [shorten(long), "short"], "name": [shorten(longer), "renamed"]}
    assert max(len(str(line)) for line in logs if line["event"] == "audit") < 2_000


async def test_a_credential_has_a_budget_of_changes_and_others_have_their_own(tmp_path: Path) -> None:
    async with (
        Simulator([SPEC], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS, limits=Limits(max_changes=5)) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        uuid = next(iter(daemon.fleet.entries["dc1"].objects("image")))
        done, got = 0, await patch(daemon, uuid, {"annotations": {"n": "0"}}, token=ALICE)
        while got.status == 200:  # as fast as this machine is, while one more is allowed every three seconds
            done += 1
            got = await patch(daemon, uuid, {"annotations": {"n": str(done)}}, token=ALICE)
        assert (got.status, got.kind, done >= 5) == (429, "too-many-changes", True)
        assert int(got.headers["Retry-After"]) in {1, 2, 3}
        require_conformance("PATCH", f"/api/image/{uuid}", got.status, got.headers, got.body)
        assert len(await audit(daemon)) == done
        assert (await patch(daemon, uuid, {"name": "x"}, token=BOB, query={"dry_run": "true"})).status == 200
        assert (await patch(daemon, uuid, {"annotations": {"n": "last"}}, token=BOB)).status == 200
        reloads = [(await ask(daemon, "POST", "/-/reload", token=ROOT)).status for _ in range(5)]
        while reloads[-1] == 200:
            reloads.append((await ask(daemon, "POST", "/-/reload", token=ROOT)).status)
        assert reloads[-1] == 429


async def test_a_body_that_arrives_too_slowly_is_refused(tmp_path: Path) -> None:
    async with (
        Simulator([SPEC], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS, limits=Limits(body_timeout_s=0.2)) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        (uuid, *_) = daemon.fleet.entries["dc1"].objects("image")

        async def slow_body() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        headers = {"Authorization": f"Bearer {BOB}", "X-Avi-Version": "30.2.1", "Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(daemon.url, headers=headers, timeout=aiohttp.ClientTimeout(WAIT_TIMEOUT_S)) as http,
            http.patch(f"/api/image/{uuid}", data=slow_body()) as response,
        ):
            problem = await response.json(content_type="application/problem+json")
        assert (response.status, problem["type"].rpartition(":")[2]) == (408, "request-timeout")
        assert problem["detail"] == "the body did not arrive within 0.2 s"


async def test_an_unknown_image_is_not_found(site: Site) -> None:
    got = await patch(site.daemon, "image-none", {"annotations": {"a": "b"}})
    assert (got.status, got.kind) == (404, "no-such-image")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_other_methods_are_refused_with_the_allowed_ones(site: Site, method: str) -> None:
    got = await ask(site.daemon, method, f"/api/image/{site.uuid}", {}, Content_Type="application/json")
    assert (got.status, got.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, PATCH")


async def test_options_lists_the_accepted_media_types(site: Site) -> None:
    got = await ask(site.daemon, "OPTIONS", f"/api/image/{site.uuid}")
    assert (got.status, got.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, PATCH")
    assert got.headers["Accept-Patch"] == "application/json, application/merge-patch+json"


# --- responses of the Controller


async def test_an_active_image_is_adjusted_only_by_force(site: Site) -> None:
    uuid = site.controller.upload(duration=1000.0, started_ago=100.0)
    site.controller.clock.advance(0.0)
    await refreshed(site)
    got = await patch(site.daemon, uuid, {"name": "x"})
    assert (got.status, got.kind, site.patches()) == (409, "image-active", 0)
    assert (await patch(site.daemon, uuid, {"annotations": {"a": "b"}})).status == 200
    assert (await patch(site.daemon, uuid, {"name": "x"}, query={"force": "true"})).status == 200


async def test_the_request_of_a_disconnected_client_is_dropped(site: Site) -> None:
    site.controller.faults.add(Fault("hang", method="PATCH", times=1))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(site.patch({"add": {"cloud_info_values": [{"cloud_name": "first"}]}}))
        await site.controller.wait_for_requests(1, method="PATCH")
        for number in range(3):  # a script that times out and tries again
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await site.patch({"add": {"cloud_info_values": [{"cloud_name": f"again-{number}"}]}})
        site.controller.faults.clear()
    assert first.result().status == 200
    assert (await site.patch({"annotations": {"a": "b"}})).status == 200, "it was not their turn before"
    assert site.patches() == 1
    assert [entry["outcome"] for entry in await audit(site.daemon)] == ["done", "done"]


async def test_a_change_in_progress_is_finished_and_answered_before_the_daemon_ends(tmp_path: Path) -> None:
    async with Simulator([SPEC], speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        async with watching(simulator, tmp_path, poll=RARE, tokens=TOKENS) as daemon, asyncio.TaskGroup() as tasks:
            await until(daemon, "dc1", lambda entry: entry.session.up)
            (uuid, *_) = daemon.fleet.entries["dc1"].objects("image")
            dc1.faults.add(Fault("slow_reply", method="PATCH", seconds=2.5))
            call = asyncio.get_running_loop().create_task(patch(daemon, uuid, {"name": "renamed"}))
            tasks.create_task(dc1.wait_for_requests(1, method="PATCH"))
        got = await call
        assert (got.status, got.json["name"]) == (200, "renamed")
        async with watching(simulator, tmp_path, poll=RARE, tokens=TOKENS) as daemon:
            await until(daemon, "dc1", lambda entry: entry.session.up)
            assert [entry["outcome"] for entry in await audit(daemon)] == ["done"]
            assert sum(request.method == "PATCH" for request in dc1.requests) == 1


async def refreshed(site: Site) -> None:
    """Make the daemon poll now, and wait for it."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(polled(site.daemon, "dc1"))
        site.daemon.context.patcher._targets["dc1"].view.replace_image(b"{}")


@pytest.mark.parametrize(
    ("fault", "status", "kind", "outcome"),
    [
        (Fault("forbidden_upgrade", method="PATCH"), 503, "controller-upgrading", "refused"),
        (Fault("html_503", method="PATCH"), 503, "controller-upgrading", "refused"),
        (Fault("html_502", method="PATCH"), 502, "controller-failed", "unknown"),
        (Fault("html_502", method="GET"), 502, "controller-failed", "failed"),
        (Fault("too_many_requests", method="PATCH"), 503, "controller-busy", "refused"),
        (Fault("close", method="PATCH"), 504, "outcome-unknown", "unknown"),
        (Fault("lost_reply", method="PATCH"), 504, "outcome-unknown", "unknown"),
        (Fault("reset", method="PATCH"), 504, "outcome-unknown", "unknown"),
        (Fault("short_body", method="PATCH"), 504, "outcome-unknown", "unknown"),
        (Fault("oversized_body", method="PATCH"), 504, "outcome-unknown", "unknown"),
        (Fault("http_500", method="PATCH"), 502, "controller-failed", "unknown"),
        (Fault("redirect", method="PATCH"), 502, "controller-failed", "failed"),
        (Fault("not_an_object", method="GET"), 502, "controller-failed", "failed"),
        (Fault("invalid_json", method="GET"), 502, "controller-failed", "failed"),
        (Fault("unauthorized", method="PATCH"), 502, "controller-failed", "failed"),
    ],
    ids=lambda value: f"{value.kind}-{value.method}" if isinstance(value, Fault) else "",
)
async def test_a_failed_request_to_the_controller_is_answered_and_audited(
    site: Site, fault: Fault, status: int, kind: str, outcome: str
) -> None:
    await require_answered_and_audited(site, fault, status, kind, outcome)


@pytest.mark.parametrize("poll_timeout", ["1s"])
async def test_a_controller_that_does_not_answer_is_reported_and_audited(site: Site) -> None:
    await require_answered_and_audited(site, Fault("hang", method="PATCH"), 504, "outcome-unknown", "unknown")


async def require_answered_and_audited(site: Site, fault: Fault, status: int, kind: str, outcome: str) -> None:
    site.controller.faults.add(fault)
    got = await site.patch({"name": "x", "annotations": {"a": "b"}})
    assert (got.status, got.kind) == (status, kind)
    assert "<" not in got.json["detail"]
    assert ("Retry-After" in got.headers) is (status == 503)
    (entry,) = await audit(site.daemon)
    assert (entry["outcome"], entry["asked"]["fields"]) == (outcome, {"name": "x"})
    assert (await ask(site.daemon, "GET", f"/api/image/{site.uuid}")).json["annotations"] == {}
    assert site.patches() <= (2 if fault.kind == "unauthorized" else 1)


async def test_after_an_unknown_outcome_a_poll_shows_the_result(site: Site) -> None:
    site.controller.faults.add(Fault("lost_reply", method="PATCH", times=1))
    async with asyncio.TaskGroup() as tasks:  # polls are an hour apart
        tasks.create_task(
            until(site.daemon, "dc1", lambda entry: entry.objects("image")[site.uuid].object.name == "renamed")
        )
        assert (await site.patch({"name": "renamed"})).kind == "outcome-unknown"
    assert (site.image["name"], site.patches()) == ("renamed", 1)


@pytest.mark.parametrize("kind", ["session_expiry", "switch_session", "csrf_rotation"])
async def test_after_an_expired_session_the_change_is_sent_again(site: Site, kind: str) -> None:
    site.controller.faults.add(Fault(kind, times=1, method="PATCH"))
    got = await site.patch({"name": "x"})
    assert (got.status, site.image["name"]) == (200, "x")


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"se_patch_ref": "https://x/api/image/image-none"}, 400, "Image object not found"),
        ({"name": "{other}"}, 409, "already exists"),
    ],
    ids=["bad-ref", "name-taken"],
)
async def test_a_refusal_of_the_controller_is_passed_on(
    site: Site, body: dict[str, str], status: int, text: str
) -> None:
    taken = site.controller.image(site.other)["name"]
    got = await site.patch({field: value.replace("{other}", str(taken)) for field, value in body.items()})
    assert (got.status, got.kind) == (status, "controller-refused")
    assert text in got.json["error"]
    (entry,) = await audit(site.daemon)
    assert (entry["outcome"], entry["answer"]) == ("refused", status)


async def test_a_controller_that_allows_no_changes_is_a_refusal(tmp_path: Path) -> None:
    spec = ControllerSpec(name="dc1", images=1, patching=PatchPolicy(enabled=False))
    async with Simulator([spec], speed=0.0) as simulator, watching(simulator, tmp_path, tokens=TOKENS) as daemon:
        await until(daemon, "dc1", lambda entry: entry.session.up)
        (uuid,) = daemon.fleet.entries["dc1"].objects("image")
        got = await patch(daemon, uuid, {"name": "x"})
        assert (got.status, got.kind) == (422, "controller-refused")
        assert "not allowed" in got.json["detail"]


async def test_an_image_that_the_controller_has_deleted_is_not_found(site: Site) -> None:
    site.controller.images_in_use.clear()
    site.controller.remove(site.uuid)
    got = await site.patch({"name": "x"})
    assert (got.status, got.kind) == (404, "no-such-image")


async def test_a_refused_log_in_is_not_reported_as_the_callers_fault(site: Site) -> None:
    site.controller.password = "precondition-failed"
    site.controller.expire_sessions()
    got = await site.patch({"name": "x"})
    assert (got.status, got.kind) == (502, "controller-failed")
    again = await site.patch({"name": "x"})
    assert (again.status, site.controller.failed_logins) == (502, 1)


async def test_an_unreachable_controller_is_a_502_and_annotations_still_work(site: Site) -> None:
    await site.controller.stop_listening()
    got = await site.patch({"name": "x"})
    assert (got.status, got.kind) == (502, "controller-failed")
    assert (await audit(site.daemon))[0]["outcome"] == "failed"
    assert (await site.patch({"annotations": {"a": "b"}})).status == 200
