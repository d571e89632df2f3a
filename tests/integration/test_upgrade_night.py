"""An operator's whole evening: what the monitor is for on the night of an upgrade, from the log-in to the audit."""

from pathlib import Path

from monitor.model.image import Image
from monitor.simulator import ControllerSpec, Fault, Simulator, UploadSpec
from tests.support.daemons import polled, samples, scrape, until, watching
from tests.support.operators import ALICE, BOB, EVE, ROOT, TOKENS, ask, audit, patch

DC1 = ControllerSpec(
    name="dc1",
    version="30.2.1",
    images=1,
    uploads=(
        UploadSpec(version="31.1.1", duration=60.0, started_ago=100.0, outcome="failed"),
        UploadSpec(kind="patch", version="31.1.1", duration=60.0, started_ago=100.0),
        UploadSpec(version="31.2.2", duration=1000.0, started_ago=10.0),
    ),
)


async def test_an_operators_evening(tmp_path: Path) -> None:
    async with (
        Simulator([DC1], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS, annotations={"export": ["change"]}) as daemon,
    ):
        dc1 = simulator.controllers["dc1"]
        await until(daemon, "dc1", lambda entry: len(entry.objects("image")) == 4)
        images = daemon.fleet.entries["dc1"].objects("image")
        (failed,) = [uuid for uuid, track in images.items() if track.object.state == "failed"]
        (running,) = [uuid for uuid, track in images.items() if track.object.active]
        (package,) = [
            uuid for uuid, track in images.items() if isinstance(track.object, Image) and track.object.type == "patch"
        ]

        # the door knows alice by her token, and nobody without one
        assert (await ask(daemon, "GET", "/api/image", token="aum_wrong")).status == 401
        assert (await ask(daemon, "GET", "/api/image", token=ALICE)).json["count"] == 4

        # the failed upload gets its change number, and is acknowledged: the alert's series goes quiet at once
        alarm = {"image_uuid": failed}
        assert samples(await scrape(daemon), "avi_image_acknowledged", **alarm) == [0.0]
        got = await patch(daemon, failed, {"annotations": {"change": "CHG0042", "acknowledged": "true"}}, token=ALICE)
        assert (got.status, got.json["annotations"]["change"]) == (200, "CHG0042")
        text = await scrape(daemon)
        assert samples(text, "avi_image_acknowledged", **alarm) == [1.0]
        assert samples(text, "avi_image_annotation_info", key="change", value="CHG0042", **alarm) == [1.0]

        # bob, who may, renames it and links the patch
        tag = got.tag
        renamed = await patch(daemon, failed, {"name": "31.1.1-broken"}, If_Match=tag)
        assert (renamed.status, renamed.json["name"], dc1.image(failed)["name"]) == (200, *["31.1.1-broken"] * 2)
        link = {"replace": {"controller_patch_ref": f"{dc1.url}/api/image/{package}"}}
        linked = await patch(daemon, failed, link)
        assert (linked.status, linked.json["controller_patch_ref"]) == (200, link["replace"]["controller_patch_ref"])
        await polled(daemon, "dc1")
        assert samples(await scrape(daemon), "avi_image_info", image="31.1.1-broken") == [1.0]

        # and is refused: a field of the Controller's own, a tag of before, an image under way, an upgrade, a scope
        own = await patch(daemon, failed, {"progress": 100})
        assert (own.status, own.kind, own.json["path"]) == (422, "read-only-field", "$.progress")
        late = await patch(daemon, failed, {"name": "31.1.1"}, If_Match=tag)
        assert (late.status, late.kind, late.tag) == (412, "precondition-failed", linked.tag)
        busy = await patch(daemon, running, {"name": "31.2.2"})
        assert (busy.status, busy.kind) == (409, "image-active")
        dc1.faults.add(Fault("forbidden_upgrade", times=1, method="PATCH"))
        night = await patch(daemon, failed, {"name": "31.1.1"})
        assert (night.status, night.kind, "Retry-After" in night.headers) == (503, "controller-upgrading", True)
        scope = await patch(daemon, failed, {"name": "31.1.1"}, token=ALICE)
        assert (scope.status, scope.kind) == (403, "forbidden")
        assert (await patch(daemon, failed, {"annotations": {"a": "b"}}, token=EVE)).status == 403
        assert dc1.image(failed)["name"] == "31.1.1-broken"

        # root looks at what happened: who, what, from what to what, and what came of it
        assert (await ask(daemon, "GET", "/api/audit", token=BOB)).status == 403
        entries = await audit(daemon)
        assert [(entry["actor"], entry["outcome"], entry["answer"]) for entry in reversed(entries)] == [
            ("alice", "done", None),
            ("bob", "done", 200),
            ("bob", "done", 200),
            ("bob", "refused", None),
            ("bob", "refused", None),
            ("bob", "refused", 403),
        ]
        first, second = entries[-1], entries[-2]
        assert first["changes"] == {"annotations.acknowledged": [None, "true"], "annotations.change": [None, "CHG0042"]}
        assert second["changes"]["name"][1] == "31.1.1-broken"
        assert (second["source"], second["image_uuid"], second["controller"]) == ("127.0.0.1", failed, "dc1")
        assert second["request_id"] == renamed.headers["X-Request-ID"]
        assert [entry["actor"] for entry in await audit(daemon, actor="alice")] == ["alice"]
        assert await audit(daemon, image=running) == [entries[1]]
        counted = await scrape(daemon)
        for outcome, times in (("done", 3.0), ("refused", 3.0), ("failed", 0.0), ("unknown", 0.0)):
            assert samples(counted, "avi_upgrade_monitor_patches_total", outcome=outcome) == [times]


async def test_the_audit_is_read_in_pages_and_by_time(tmp_path: Path) -> None:
    clock = [1_740_000_000.0]
    async with (
        Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0) as simulator,
        watching(simulator, tmp_path, tokens=TOKENS, wall=lambda: clock[0]) as daemon,
    ):
        await until(daemon, "dc1", lambda entry: entry.session.up)
        (uuid,) = daemon.fleet.entries["dc1"].objects("image")
        for number in range(5):
            clock[0] += 10.0
            await patch(daemon, uuid, {"annotations": {"n": str(number)}}, token=ALICE)
        seen: list[str] = []
        path = "/api/audit?page_size=2"
        while path:
            page = (await ask(daemon, "GET", path, token=ROOT)).json
            seen += [entry["asked"]["annotations"]["n"] for entry in page["results"]]
            path = f"/api/audit{page['next']}" if "next" in page else ""
        assert seen == ["4", "3", "2", "1", "0"]
        between = await audit(daemon, since=str(clock[0] - 30.0), until=str(clock[0] - 10.0))
        assert [entry["asked"]["annotations"]["n"] for entry in between] == ["3", "2", "1"]
        for query in ({"since": "yesterday"}, {"until": "nan"}, {"before": "0"}, {"page_size": "501"}):
            got = await ask(daemon, "GET", "/api/audit", token=ROOT, query=query)
            assert (got.status, got.kind) == (400, "bad-query")
