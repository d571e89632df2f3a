"""``GET /api/events`` of a real daemon: first the full state, then changes, as far as the reader may see them."""

import asyncio
import gzip
import json
import re
import socket
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml

from monitor.daemon.app import Daemon
from monitor.simulator import ControllerSpec, Simulator, UploadSpec
from monitor.web.context import Limits
from tests.support.conformance import require_conformance
from tests.support.daemons import QUICK, advancing, failed, polled, scrape, until, watching
from tests.support.events import Reader, reading
from tests.support.limits import WAIT_TIMEOUT_S
from tests.support.operators import ALICE, EVE, ROOT, TOKENS, ask, patch, token

SPECS = [
    ControllerSpec(name="dc1", images=2, uploads=(UploadSpec(duration=600.0, started_ago=100.0),)),
    ControllerSpec(name="dc2", images=1),
]
NARROW = "aum_narrow"


@asynccontextmanager
async def serving(
    tmp_path: Path,
    *,
    poll: Mapping[str, object] = QUICK,
    limits: Limits = Limits(),  # noqa: B008  frozen
    more_images: Iterable[Mapping[str, object]] = (),
) -> AsyncIterator[tuple[Daemon, Simulator]]:
    """A daemon that has polled both controllers once. ``more_images``: of dc1."""
    tokens = [*TOKENS, token("narrow", NARROW, "read", controllers=["dc2"])]
    async with (
        simulator_with(more_images) as simulator,
        watching(simulator, tmp_path, tokens=tokens, poll=poll, limits=limits, anonymous=["metrics", "read"]) as daemon,
    ):
        for name in simulator.controllers:
            await until(daemon, name, lambda entry: entry.session.up)
        yield daemon, simulator


@asynccontextmanager
async def simulator_with(more_images: Iterable[Mapping[str, object]]) -> AsyncIterator[Simulator]:
    async with Simulator(SPECS, speed=0.0) as simulator:
        for image in more_images:
            simulator.controllers["dc1"].put(image)
        yield simulator


def active(daemon: Daemon) -> str:
    return next(track.object.uuid for _, track in daemon.fleet.shown_objects("image") if track.object.active)


async def test_the_first_event_is_the_full_state(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, _), reading(daemon) as reader:
        assert reader.response.status == 200
        assert reader.response.content_type == "text/event-stream"
        assert reader.response.headers["Cache-Control"] == "no-store"
        require_conformance("GET", "/api/events", reader.response.status, reader.response.headers, b"")
        state = await reader.next()
        assert state
        assert reader.kinds == ["state"]
        assert abs(state["now"] - time.time()) < WAIT_TIMEOUT_S
        assert reader.controllers.keys() == {"dc1", "dc2"}
        assert {uuid for _, uuid in reader.images} == {
            track.object.uuid for _, track in daemon.fleet.shown_objects("image")
        }
        image = reader.image(active(daemon))
        assert (image["state"], image["tasks"], image["eta"], image["annotations"]) == ("in_progress", 6, None, {})


async def test_later_events_are_changes_that_keep_the_reader_up_to_date(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, simulator), reading(daemon) as reader:
        uuid = active(daemon)
        with advancing(simulator, daemon, "dc1", step_s=10.0):
            await reader.until(lambda reader: reader.image(uuid).get("eta") is not None)
            await reader.until(lambda reader: reader.image(uuid)["state"] == "completed")
        assert reader.image(uuid)["eta"] is None
        assert set(reader.kinds[1:]) == {"change"}
        simulator.controllers["dc1"].remove(uuid)
        await reader.until(lambda reader: not reader.image(uuid))


async def test_annotations_are_sent_at_once_and_health_only_when_it_changes(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, simulator), reading(daemon) as reader:
        uuid = active(daemon)
        await reader.next()
        await patch(daemon, uuid, {"annotations": {"change": "CHG-1", "acknowledged": "yes"}})
        await reader.until(lambda reader: reader.image(uuid)["acknowledged"])
        assert reader.image(uuid)["annotations"] == {"change": "CHG-1", "acknowledged": "yes"}
        await simulator.controllers["dc2"].stop_listening()
        await failed(daemon, "dc2", "connect")
        await reader.until(lambda reader: not reader.controllers["dc2"]["up"])
        assert reader.controllers["dc2"]["reason"] == "connect"
        assert reader.reads["dc2", "image"]["seen_at"]
        # the Controller may have gone in the middle of a poll: of the next one all reads fail
        await failed(daemon, "dc2", "connect")
        await patch(daemon, uuid, {"annotations": {"change": "CHG-2"}})
        await reader.until(lambda reader: reader.image(uuid)["annotations"]["change"] == "CHG-2")
        received = len(reader.kinds)
        await failed(daemon, "dc2", "connect", times=5)
        await patch(daemon, uuid, {"annotations": {"change": "CHG-3"}})
        await reader.until(lambda reader: reader.image(uuid)["annotations"]["change"] == "CHG-3")
        assert len(reader.kinds) == received + 1, "polls without a change send no event"


async def test_a_reader_that_reconnects_gets_the_events_it_missed_and_no_others(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, _):
        uuid = active(daemon)
        async with reading(daemon) as reader:
            await reader.next()
        await patch(daemon, uuid, {"annotations": {"a": "b"}})
        async with reading(daemon, Last_Event_ID=reader.last_id) as again:
            await again.until(lambda reader: reader.image(uuid).get("annotations") == {"a": "b"})
            assert again.kinds == ["change"]


@pytest.mark.parametrize("known", ["0-0", "nonsense", "ffffffff-99999999", "-", ""])
async def test_a_reader_with_an_unknown_event_id_gets_the_full_state(tmp_path: Path, known: str) -> None:
    async with serving(tmp_path) as (daemon, _), reading(daemon, Last_Event_ID=known) as reader:
        await reader.next()
        assert reader.kinds == ["state"]


async def test_a_reader_that_falls_behind_the_buffer_gets_the_full_state(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(max_buffered_events=3)) as (daemon, _):
        uuid = active(daemon)
        async with reading(daemon) as reader:
            await reader.next()
        stream = daemon.context.event_stream
        for number in range(5):
            before = stream.number
            await patch(daemon, uuid, {"annotations": {"n": str(number)}})
            await stream.wait(before, stream.generation)
        async with reading(daemon, Last_Event_ID=reader.last_id) as again:
            await again.next()
            assert again.kinds == ["state"]
            assert again.image(uuid)["annotations"] == {"n": "4"}


async def test_a_compressed_stream_is_one_gzip_stream_with_a_checksum_at_its_end(tmp_path: Path) -> None:
    """Decompressed as it arrives: every event must be readable at once."""
    async with serving(tmp_path) as (daemon, _):
        uuid = active(daemon)
        inflate, text = zlib.decompressobj(16 + zlib.MAX_WBITS), b""
        raw = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=WAIT_TIMEOUT_S))
        async with raw as http, http.get(f"{daemon.url}/api/events", headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            while uuid.encode() not in text:
                text += inflate.decompress(await response.content.readany())
            daemon.context.event_stream.disconnect_all()
            whole = await response.content.read()
            text += inflate.decompress(whole)
            assert inflate.eof, "zlib has verified the checksum"
        assert text.startswith(b"event: state\nid: ")
        assert gzip.decompress(gzip.compress(text)) == text


async def test_a_reader_gets_the_controllers_that_are_visible_to_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, simulator), reading(daemon, token=NARROW) as reader:
        await reader.next()
        assert reader.controllers.keys() == {"dc2"}
        assert {name for name, _ in reader.images} == {"dc2"}
        await patch(daemon, active(daemon), {"annotations": {"a": "b"}})
        await simulator.controllers["dc2"].stop_listening()
        await reader.until(lambda reader: not reader.controllers["dc2"]["up"])
        assert reader.kinds == ["state", "change"]


async def test_an_unknown_token_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, _), reading(daemon, token="aum_nobody") as reader:
        assert reader.response.status == 401
        assert reader.response.content_type == "application/problem+json"


async def test_a_reload_ends_the_stream_and_the_next_one_lacks_a_removed_controller(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, _):
        async with reading(daemon, token=EVE) as reader:
            await reader.next()
            path = tmp_path / "config.yml"
            written = yaml.safe_load(path.read_text())
            written["controllers"] = [each for each in written["controllers"] if each["name"] != "dc2"]
            written["tokens"] = [each for each in written["tokens"] if each["name"] not in {"eve", "narrow"}]
            path.write_text(yaml.safe_dump(written))
            assert (await ask(daemon, "POST", "/-/reload", token=ROOT)).status == 200
            while await reader.next():
                pass
        async with reading(daemon, token=EVE, Last_Event_ID=reader.last_id) as refused:
            assert refused.response.status == 401, "a removed token cannot read on"
        async with reading(daemon, token=ALICE, Last_Event_ID=reader.last_id) as again:
            await again.until(lambda reader: "dc2" not in reader.controllers)


async def test_a_shutdown_ends_every_stream_cleanly(tmp_path: Path) -> None:
    readers: list[Reader] = []

    async def follow(daemon: Daemon) -> None:
        async with reading(daemon) as reader:
            readers.append(reader)
            while await reader.next():  # a truncated body would raise
                pass

    async with asyncio.TaskGroup() as tasks, serving(tmp_path) as (daemon, _):
        for _ in range(5):
            tasks.create_task(follow(daemon), name="reader")
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while len(readers) < 5 or not all(reader.kinds for reader in readers):
                await polled(daemon, "dc1")
    assert [reader.kinds[0] for reader in readers] == ["state"] * 5


async def test_without_changes_there_are_heartbeats(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(heartbeat_s=0.01)) as (daemon, _), reading(daemon) as reader:
        await reader.next()
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while (await reader.response.content.readline()) != b": \n":
                pass


async def test_one_reader_too_many_is_told_to_retry(tmp_path: Path) -> None:
    limits = Limits(
        heartbeat_s=0.1, max_readers=1
    )  # a heartbeat is when a disconnected reader is noticed at the latest
    async with serving(tmp_path, limits=limits) as (daemon, _):
        async with reading(daemon) as reader:
            await reader.next()
            got = await ask(daemon, "GET", "/api/events", token=ROOT)
            assert (got.status, got.kind, got.headers["Retry-After"]) == (503, "too-many-readers", "5")
            require_conformance("GET", "/api/events", got.status, got.headers, got.body)
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while daemon.context.event_stream.readers:
                await polled(daemon, "dc1")
        async with reading(daemon) as reader:
            assert await reader.next()


async def test_one_identity_at_one_address_has_a_quarter_of_the_places(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(max_readers=8)) as (daemon, _), AsyncExitStack() as stack:
        for _ in range(2):
            reader = await stack.enter_async_context(reading(daemon))
            assert await reader.next()
        refused = await stack.enter_async_context(reading(daemon))
        assert refused.response.status == 503
        for secret in (ROOT, ALICE):
            reader = await stack.enter_async_context(reading(daemon, token=secret))
            assert await reader.next(), "others are not affected"
        assert daemon.context.event_stream.readers == 4


async def test_a_reader_that_does_not_read_is_disconnected_and_delays_no_other(tmp_path: Path) -> None:
    long = "x" * 200
    build = {"controller_info": {"build": {"version": long, "patch_version": long}}}
    big = {"name": long, "tenant_ref": long, "type": long, "img_state": {"reason": long}, **build}
    images = [{**big, "uuid": f"image-{number}"} for number in range(4000)]  # more than the kernel's buffers take
    rare = {**QUICK, "active_interval": "1h", "idle_interval": "1h", "stale_after": "2h"}
    limits = Limits(event_write_timeout_s=5.0)  # the other reader has to keep it, on a busy machine, too
    async with serving(tmp_path, poll=rare, limits=limits, more_images=images) as (daemon, _):
        frozen = socket.create_connection(daemon.address)
        frozen.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with reading(daemon) as reader:
            await reader.next()
            await patch(daemon, active(daemon), {"annotations": {"a": "b"}})
            await reader.until(lambda reader: reader.image(active(daemon))["annotations"] == {"a": "b"})
            async with asyncio.timeout(WAIT_TIMEOUT_S):
                while daemon.context.event_stream.readers > 1:  # noqa: ASYNC110  nothing tells of a disconnected reader
                    await asyncio.sleep(0.05)
        frozen.close()


async def test_the_duration_of_a_stream_is_measured_until_its_response_begins(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(heartbeat_s=0.1)) as (daemon, _):
        async with reading(daemon) as reader:
            await reader.next()
        name = "avi_upgrade_monitor_http_request_duration_seconds_count"
        wanted = f'{name}{{code="200",method="GET",route="/api/events"}} 1.0'
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while wanted not in await scrape(daemon):
                await polled(daemon, "dc1")


async def test_head_has_the_headers_of_get(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, _):
        got = await ask(daemon, "HEAD", "/api/events", token=ROOT)
        assert (got.status, got.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")


async def test_the_nodes_of_an_image_are_listed_by_task(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, _):
        got = await ask(daemon, "GET", f"/api/image/{active(daemon)}/nodes", token=ROOT)
        assert got.status == 200
        assert got.json["tasks"][0] == "Validate package"
        assert got.json["nodes"] == sorted(got.json["nodes"])
        assert len(got.json["nodes"]) == 3
        first = got.json["events"][0]
        assert (first["task"], first["state"], first["status"]) == ("Validate package", "succeeded", "SYSERR_SUCCESS")
        assert first["started_at"] < first["ended_at"]
        assert (await ask(daemon, "GET", "/api/image/none/nodes", token=ROOT)).kind == "no-such-image"


async def test_estimates_are_beside_the_image_and_not_in_its_etag(tmp_path: Path) -> None:
    async with serving(tmp_path) as (daemon, simulator):
        path = f"/api/image/{active(daemon)}"
        with advancing(simulator, daemon, "dc1", step_s=1.0):
            await until(
                daemon,
                "dc1",
                lambda entry: any(track.progress and track.progress.eta for track in entry.objects("image").values()),
            )
        (listed,) = [
            each
            for each in (await ask(daemon, "GET", "/api/image", token=ROOT)).json["results"]
            if each["stalled_seconds"] is not None
        ]
        assert path.endswith(listed["uuid"])
        assert listed["eta_seconds_min"] <= listed["eta_seconds"] <= listed["eta_seconds_max"]
        idle = [track.object.uuid for _, track in daemon.fleet.shown_objects("image") if not track.object.active]
        one = await ask(daemon, "GET", f"/api/image/{idle[0]}", token=ROOT)
        assert [one.json[name] for name in one.json if name.endswith("_seconds")] == [None, None]
        assert json.loads(one.body)["eta_seconds"] is None


async def test_a_stale_controller_keeps_its_images_in_the_stream_and_its_404_says_why(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, poll={**QUICK, "timeout": "2s", "stale_after": "3s"}) as (daemon, simulator):
        uuid = active(daemon)
        await simulator.controllers["dc1"].stop_listening()
        async with reading(daemon) as reader:
            await reader.until(lambda reader: reader.reads.get(("dc1", "image"), {}).get("stale", False))
            assert reader.image(uuid)["state"] == "in_progress"
            assert reader.reads["dc1", "image"]["seen_at"] < time.time()
        for path in (f"/api/image/{uuid}", f"/api/image/{uuid}/nodes"):
            got = await ask(daemon, "GET", path, token=ROOT)
            assert (got.status, got.kind) == (404, "no-such-image")
            said = (
                rf"dc1 \((connect|timeout)\) had the image {uuid}, but cannot be read for too long"  # as busy as it is
            )
            assert re.match(said, got.json["detail"])


async def test_a_reader_that_disconnects_is_not_logged_as_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, limits=Limits(heartbeat_s=0.05)) as (daemon, _):
        for encoding in ("identity", "gzip"):
            async with reading(daemon, Accept_Encoding=encoding) as reader:
                await reader.response.content.readany()
            async with asyncio.timeout(WAIT_TIMEOUT_S):
                while daemon.context.event_stream.readers:
                    await polled(daemon, "dc1")
    assert not [record for record in caplog.records if record.name == "aiohttp.server"]
