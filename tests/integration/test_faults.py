"""
The fault matrix: the whole daemon with one faulty Controller and one healthy one.

During each fault the last good snapshot of the faulty Controller is kept, the healthy one is polled, and the scrape is
complete. After the fault, polling recovers without a restart.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec
import pytest

from monitor.metrics.family import NODE
from monitor.model.errors import Reason
from monitor.model.image import Image
from monitor.model.tracked import Tracked, TrackedObject
from monitor.polling.fleet import Entry
from monitor.simulator import FAULT_KINDS, ControllerSpec, Fault, SimulatedController, Simulator, UploadSpec
from tests.support.daemons import QUICK, Series, exposition, failed, image_uuids, polled, until, watching

pytestmark = pytest.mark.unmeasured
FAULTY, HEALTHY = "faulty", "healthy"
HALFWAY = UploadSpec(duration=600.0, started_ago=300.0)
DONE = UploadSpec(duration=60.0, started_ago=3600.0)
SPECS = (
    ControllerSpec(name=FAULTY, nodes=1, uploads=(HALFWAY, DONE)),  # faults in images change the first of them
    ControllerSpec(name=HEALTHY, nodes=1, uploads=(HALFWAY,)),
)
MIB = 1024 * 1024
FAST = {**QUICK, "active_interval": "20ms", "idle_interval": "40ms", "max_backoff": "40ms", "max_response": "1MiB"}
SHORT_TIMEOUT = {  # for faults that end by the timeout; meanwhile the healthy one need not be polled as often
    **FAST,
    "active_interval": "100ms",
    "idle_interval": "100ms",
    "max_backoff": "100ms",
    "timeout": "1s",
}


def has_version(tracked: TrackedObject[Tracked]) -> bool:
    return isinstance(tracked.object, Image) and bool(tracked.object.version)


class Case(NamedTuple):
    """
    A fault and its effect on the daemon.

    ``reason``: why polls fail; None: they succeed. ``bad``: how many images are left out. ``unknown``: the fields whose
    unknown values are counted. ``shown``: what holds for the first image. ``many_images``: it needs more than one page.
    """

    fault: Fault
    reason: Reason | None = None
    bad: int = 0
    unknown: tuple[str, ...] = ()
    shown: Callable[[TrackedObject[Tracked]], bool] = lambda _: True
    many_images: bool = False


CASES: dict[str, Case] = {
    # before the request is handled
    "latency": Case(Fault("latency", seconds=30.0), reason="timeout"),
    "latency-below-the-timeout": Case(Fault("latency", seconds=0.01)),
    "hang": Case(Fault("hang"), reason="timeout"),
    "hang-on-every-path": Case(Fault("hang", path="/"), reason="timeout"),
    "close": Case(Fault("close"), reason="connect"),
    "session_expiry": Case(Fault("session_expiry"), reason="auth"),
    "session_expiry-once": Case(Fault("session_expiry", times=1)),
    "csrf_rotation": Case(Fault("csrf_rotation")),
    "clock_jump-back": Case(
        Fault("clock_jump", seconds=-60.0, times=3), shown=lambda t: (t.object.progress_ratio or 0) < 0.25
    ),
    "clock_jump-forward": Case(Fault("clock_jump", seconds=30.0, times=3)),
    "unauthorized": Case(Fault("unauthorized"), reason="auth"),
    "switch_session": Case(Fault("switch_session"), reason="http_4xx"),
    "switch_session-once": Case(Fault("switch_session", times=1)),
    "forbidden_upgrade": Case(Fault("forbidden_upgrade"), reason="upgrading"),
    "html_502": Case(Fault("html_502"), reason="http_5xx"),
    "html_503": Case(Fault("html_503"), reason="upgrading"),
    "http_500": Case(Fault("http_500"), reason="http_5xx"),
    "bad_request": Case(Fault("bad_request"), reason="http_4xx"),
    "too_many_requests": Case(Fault("too_many_requests", value="none"), reason="throttled"),
    "redirect": Case(Fault("redirect"), reason="redirect"),
    "empty_body": Case(Fault("empty_body"), reason="decode"),
    "empty_body-204": Case(Fault("empty_body", size=204), reason="decode"),
    # in images
    "wrong_types": Case(Fault("wrong_types"), bad=1),
    "wrong_types-of-all-images": Case(Fault("wrong_types", all=True), bad=2),
    "unknown_enum": Case(
        Fault("unknown_enum"), unknown=("img_state", "type"), shown=lambda t: t.object.state == "unknown"
    ),
    "unknown_fields": Case(Fault("unknown_fields")),
    "absent_fields": Case(Fault("absent_fields"), shown=lambda t: t.object.state == "unknown" and not has_version(t)),
    "missing_events": Case(Fault("missing_events"), shown=lambda t: not t.rendered.series[NODE]),
    "null_fields": Case(Fault("null_fields"), shown=lambda t: not t.object.name),
    "not_an_object": Case(Fault("not_an_object"), bad=1),
    "time_format-iso": Case(Fault("time_format", value="iso"), shown=lambda t: t.object.started_at is not None),
    "time_format-fraction": Case(
        Fault("time_format", value="fraction"), shown=lambda t: t.object.started_at is not None
    ),
    "time_format-us": Case(Fault("time_format", value="microseconds"), shown=lambda t: t.object.started_at is not None),
    "time_format-empty": Case(Fault("time_format", value="empty"), shown=lambda t: t.object.started_at is None),
    "time_format-absent": Case(Fault("time_format", value="absent"), shown=lambda t: t.object.started_at is None),
    "duplicate_uuids": Case(Fault("duplicate_uuids")),
    "duplicate_uuids-in-place-of-another": Case(Fault("duplicate_uuids", value="replace"), bad=1),
    # in pages
    "shrinking_pages": Case(Fault("shrinking_pages"), reason="incomplete", many_images=True),
    "varying_count": Case(Fault("varying_count"), reason="incomplete", many_images=True),
    "not_a_list": Case(Fault("not_a_list"), reason="decode"),
    # while the response is sent
    "drip_feed": Case(Fault("drip_feed", size=1), reason="timeout"),
    "slow_reply": Case(Fault("slow_reply", seconds=30.0), reason="timeout"),
    "reset": Case(Fault("reset"), reason="connect"),
    "short_body": Case(Fault("short_body"), reason="connect"),
    "lost_reply": Case(Fault("lost_reply"), reason="connect"),
    "truncated_json": Case(Fault("truncated_json"), reason="decode"),
    "invalid_json": Case(Fault("invalid_json"), reason="decode"),
    "invalid_json-nested-deeply": Case(
        Fault("invalid_json", value='{"count":1,"results":[{"uuid":"x","deep":' + "[" * 100_000), reason="decode"
    ),
    "invalid_json-very-many-objects": Case(
        Fault("invalid_json", value='{"count":1,"results":[{"uuid":"x","events":[' + "{}," * 20_000 + "{}]}]}"),
        reason="oversize",
    ),
    "invalid_json-negative-count": Case(Fault("invalid_json", value='{"count":-1,"results":[]}'), reason="incomplete"),
    "invalid_utf8": Case(Fault("invalid_utf8"), bad=1),
    "oversized_body": Case(Fault("oversized_body", size=2 * MIB), reason="oversize"),
    "oversized_body-wrong_length": Case(Fault("oversized_body", size=2 * MIB, value="wrong_length"), reason="oversize"),
    "gzip_bomb": Case(Fault("gzip_bomb", size=32 * MIB), reason="oversize"),
    "wrong_content_type": Case(Fault("wrong_content_type")),
    "extra_cookies": Case(Fault("extra_cookies", size=100)),
    "interim_replies": Case(Fault("interim_replies"), reason="decode"),
    "interim_replies-few": Case(Fault("interim_replies", size=3)),
    "wrong_date": Case(Fault("wrong_date", path="/")),
}


def test_every_kind_of_fault_has_a_case() -> None:
    assert {case.fault.kind for case in CASES.values()} == FAULT_KINDS


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_fault_affects_only_the_controller_that_has_it(tmp_path: Path, case: Case) -> None:
    poll = SHORT_TIMEOUT if case.reason == "timeout" else FAST
    async with Simulator(SPECS, speed=0.0) as simulator, watching(simulator, tmp_path, poll=poll) as daemon:
        faulty = simulator.controllers[FAULTY]
        _fill(faulty, case)
        before = await until(daemon, FAULTY, lambda entry: entry.session.up and len(entry.objects("image")) > 1)
        await polled(daemon, HEALTHY)
        known = await exposition(daemon)

        faulty.faults.add(case.fault)
        if case.reason:
            await failed(daemon, FAULTY, case.reason, 2)
        else:
            await polled(daemon, FAULTY, 2)
            await until(daemon, FAULTY, lambda entry: _has_effect(case, before, entry))
        await polled(daemon, HEALTHY, 2)
        healthy_before = _progress(await exposition(daemon), HEALTHY)
        simulator.clock.advance(60.0)
        await polled(daemon, HEALTHY, 3)
        series = await exposition(daemon)
        assert _progress(series, HEALTHY) > healthy_before
        assert _value(series, HEALTHY, "avi_controller_up") == 1.0
        assert len(image_uuids(known, FAULTY) - image_uuids(series, FAULTY)) == case.bad
        if case.reason:
            assert _image_series(series, FAULTY) == _image_series(known, FAULTY)
            assert _value(series, FAULTY, "avi_controller_up") == 0.0
        assert series["avi_controller_stale", (("controller", FAULTY), ("resource", "image"))] == 0.0
        assert _value(series, FAULTY, "avi_controller_auth_suspended") == 0.0
        assert _value(series, FAULTY, "avi_controller_upgrade_in_progress") == float(case.reason == "upgrading")
        bugs = (("controller", FAULTY), ("reason", "internal"), ("resource", "image"))
        assert series["avi_controller_poll_failures_total", bugs] == 0.0

        faulty.faults.clear()
        await polled(daemon, FAULTY, 2)
        recovered = await exposition(daemon)
        assert image_uuids(recovered, FAULTY) == image_uuids(known, FAULTY)
        current = faulty.image(_first_image(before))["progress"] / 100
        assert _progress(recovered, FAULTY) == current
        assert _value(recovered, FAULTY, "avi_controller_up") == 1.0
        assert _value(recovered, FAULTY, "avi_controller_upgrade_in_progress") == 0.0
        assert faulty.failed_logins == 0


@pytest.mark.parametrize("value", ["1e999", "[NaN, -Infinity]", r'"\ud800"'])
async def test_what_a_strict_reader_refuses_makes_one_image_bad_and_no_list_of_the_api(
    tmp_path: Path, value: str
) -> None:
    page = '{"count":2,"results":[{"uuid":"bad","of_tomorrow":%s},{"uuid":"good"}]}'
    async with Simulator(SPECS, speed=0.0) as simulator, watching(simulator, tmp_path, poll=FAST) as daemon:
        simulator.controllers[FAULTY].faults.add(Fault("invalid_json", value=page % value))
        await until(daemon, FAULTY, lambda entry: "good" in entry.objects("image"))
        await until(daemon, HEALTHY, lambda entry: entry.session.up)
        async with aiohttp.ClientSession() as session, session.get(f"{daemon.url}/api/image") as response:
            images = msgspec.json.decode(await response.read())["results"]
        assert {each["controller"] for each in images} == {FAULTY, HEALTHY}
        assert [each["uuid"] for each in images if each["controller"] == FAULTY] == ["good"]
        assert daemon.fleet.entries[FAULTY].collections["image"].health.bad_objects == 1


def _fill(faulty: SimulatedController, case: Case) -> None:
    for number in range(200 if case.many_images else 0):
        faulty.put({"uuid": f"image-{number}", "name": f"image {number}"})


def _has_effect(case: Case, before: Entry, entry: Entry) -> bool:
    """Whether a successful poll shows the expected effect of the fault."""
    counted = entry.collections["image"].health.bad_objects - before.collections["image"].health.bad_objects >= case.bad
    unknown = all(entry.collections["image"].health.unknown_values.get(field) for field in case.unknown)
    track = entry.objects("image").get(_first_image(before))
    return counted and unknown and (case.bad > 0 or (track is not None and case.shown(track)))


def _first_image(entry: Entry) -> str:
    """Return the uuid of the first image of the list, the one that a fault changes."""
    return next(iter(entry.objects("image")))


def _value(series: Series, controller: str, name: str) -> float:
    return series[name, (("controller", controller),)]


def _image_series(series: Series, controller: str) -> Series:
    """Return all image series of the controller."""
    mine = ("controller", controller)
    return {key: value for key, value in series.items() if key[0].startswith("avi_image_") and mine in key[1]}


def _progress(series: Series, controller: str) -> float:
    """Return the progress of the only upload of the controller that is not completed."""
    return min(v for (name, _), v in _image_series(series, controller).items() if name == "avi_image_progress_ratio")
