"""
The fault matrix: the whole daemon on a sick Controller and a healthy one.

Whatever the sick one does, its last good snapshot stays, the healthy one is polled on, the scrape is whole, and the end
of the fault is the end of the trouble.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from monitor.metrics.family import NODE
from monitor.model.errors import Reason
from monitor.model.image import TrackedImage
from monitor.polling.fleet import Entry
from monitor.simulator import FAULT_KINDS, ControllerSpec, Fault, SimulatedController, Simulator, UploadSpec
from tests.support.daemons import QUICK, Series, exposition, failed, image_uuids, polled, until, watching

SICK, HEALTHY = "sick", "healthy"
HALFWAY = UploadSpec(duration=600.0, started_ago=300.0)
DONE = UploadSpec(duration=60.0, started_ago=3600.0)
SPECS = (
    ControllerSpec(name=SICK, nodes=1, uploads=(HALFWAY, DONE)),  # faults in images alter the first of them
    ControllerSpec(name=HEALTHY, nodes=1, uploads=(HALFWAY,)),
)
MIB = 1024 * 1024
BRISK = {**QUICK, "active_interval": "20ms", "idle_interval": "40ms", "max_backoff": "40ms", "max_response": "1MiB"}
IMPATIENT = {**BRISK, "timeout": "300ms"}  # where the deadline has to pass


class Row(NamedTuple):
    """
    What the daemon makes of a fault: polls that fail for a ``reason``, or good ones in which ``bad`` images are left
    out, values of ``unknown`` fields are counted, or the first image is ``seen`` otherwise.
    """

    fault: Fault
    reason: Reason | None = None
    bad: int = 0
    unknown: tuple[str, ...] = ()
    seen: Callable[[TrackedImage], bool] = lambda _: True
    pages: bool = False  # it shows only where there is more than one


ROWS: dict[str, Row] = {
    # before any work is done
    "latency": Row(Fault("latency", seconds=30.0), reason="timeout"),
    "latency-bearable": Row(Fault("latency", seconds=0.01)),
    "hang": Row(Fault("hang"), reason="timeout"),
    "hang-at-log-in-too": Row(Fault("hang", path="/"), reason="timeout"),
    "close": Row(Fault("close"), reason="connect"),
    "session_expiry": Row(Fault("session_expiry"), reason="auth"),
    "session_expiry-now-and-then": Row(Fault("session_expiry", times=1)),
    "csrf_rotation": Row(Fault("csrf_rotation")),
    "clock_jump-back": Row(
        Fault("clock_jump", seconds=-60.0, times=3), seen=lambda t: (t.image.progress_ratio or 0) < 0.25
    ),
    "clock_jump-forward": Row(Fault("clock_jump", seconds=30.0, times=3)),
    "unauthorized": Row(Fault("unauthorized"), reason="auth"),
    "switch_session": Row(Fault("switch_session"), reason="http_4xx"),
    "switch_session-now-and-then": Row(Fault("switch_session", times=1)),
    "forbidden_upgrade": Row(Fault("forbidden_upgrade"), reason="upgrading"),
    "html_502": Row(Fault("html_502"), reason="http_5xx"),
    "html_503": Row(Fault("html_503"), reason="upgrading"),
    "http_500": Row(Fault("http_500"), reason="http_5xx"),
    "too_many_requests": Row(Fault("too_many_requests", value="none"), reason="throttled"),
    "redirect": Row(Fault("redirect"), reason="redirect"),
    "empty_body": Row(Fault("empty_body"), reason="decode"),
    "empty_body-204": Row(Fault("empty_body", size=204), reason="decode"),
    # in what is said of an image
    "wrong_types": Row(Fault("wrong_types"), bad=1),
    "wrong_types-of-all-images": Row(Fault("wrong_types", all=True), bad=2),
    "unknown_enum": Row(
        Fault("unknown_enum"), unknown=("img_state", "type"), seen=lambda t: t.image.state == "unknown"
    ),
    "unknown_fields": Row(Fault("unknown_fields")),
    "absent_fields": Row(Fault("absent_fields"), seen=lambda t: t.image.state == "unknown" and not t.image.version),
    "missing_events": Row(Fault("missing_events"), seen=lambda t: not t.portrait.series[NODE]),
    "null_fields": Row(Fault("null_fields"), seen=lambda t: not t.image.name),
    "not_an_object": Row(Fault("not_an_object"), bad=1),
    "time_format-iso": Row(Fault("time_format", value="iso"), seen=lambda t: t.image.started_at is not None),
    "time_format-fraction": Row(Fault("time_format", value="fraction"), seen=lambda t: t.image.started_at is not None),
    "time_format-us": Row(Fault("time_format", value="microseconds"), seen=lambda t: t.image.started_at is not None),
    "time_format-empty": Row(Fault("time_format", value="empty"), seen=lambda t: t.image.started_at is None),
    "time_format-absent": Row(Fault("time_format", value="absent"), seen=lambda t: t.image.started_at is None),
    "duplicate_uuids": Row(Fault("duplicate_uuids")),
    "duplicate_uuids-instead-of-another": Row(Fault("duplicate_uuids", value="replace"), reason="incomplete"),
    # in the list
    "shrinking_pages": Row(Fault("shrinking_pages"), reason="incomplete", pages=True),
    "varying_count": Row(Fault("varying_count"), reason="incomplete", pages=True),
    "not_a_list": Row(Fault("not_a_list"), reason="decode"),
    # on the way
    "drip_feed": Row(Fault("drip_feed", size=1), reason="timeout"),
    "slow_reply": Row(Fault("slow_reply", seconds=30.0), reason="timeout"),
    "reset": Row(Fault("reset"), reason="connect"),
    "short_body": Row(Fault("short_body"), reason="connect"),
    "lost_reply": Row(Fault("lost_reply"), reason="connect"),
    "truncated_json": Row(Fault("truncated_json"), reason="decode"),
    "invalid_json": Row(Fault("invalid_json"), reason="decode"),
    "invalid_json-of-great-depth": Row(
        Fault("invalid_json", value='{"count":1,"results":[{"uuid":"x","deep":' + "[" * 100_000), reason="decode"
    ),
    "invalid_json-counting-below-zero": Row(
        Fault("invalid_json", value='{"count":-1,"results":[]}'), reason="incomplete"
    ),
    "invalid_utf8": Row(Fault("invalid_utf8"), bad=1),
    "oversized_body": Row(Fault("oversized_body", size=2 * MIB), reason="oversize"),
    "oversized_body-wrong_length": Row(Fault("oversized_body", size=2 * MIB, value="wrong_length"), reason="oversize"),
    "gzip_bomb": Row(Fault("gzip_bomb", size=32 * MIB), reason="oversize"),
    "wrong_content_type": Row(Fault("wrong_content_type")),
}


def test_every_kind_of_fault_has_a_row() -> None:
    assert {row.fault.kind for row in ROWS.values()} == FAULT_KINDS


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_fault_costs_nobody_but_the_controller_that_has_it(tmp_path: Path, row: Row) -> None:
    poll = IMPATIENT if row.reason == "timeout" else BRISK
    async with Simulator(SPECS, speed=0.0) as simulator, watching(simulator, tmp_path, poll=poll) as daemon:
        sick = simulator.controllers[SICK]
        _fill(sick, row)
        before = await until(daemon, SICK, lambda entry: entry.health.up and len(entry.snapshot.images) > 1)
        await polled(daemon, HEALTHY)
        known = await exposition(daemon)

        sick.faults.order(row.fault)
        if row.reason:
            await failed(daemon, SICK, row.reason, 2)
        else:
            await polled(daemon, SICK, 2)
            await until(daemon, SICK, lambda entry: _shows(row, before, entry))
        await polled(daemon, HEALTHY, 2)
        healthy_before = _progress(await exposition(daemon), HEALTHY)
        simulator.clock.advance(60.0)
        await polled(daemon, HEALTHY, 3)
        series = await exposition(daemon)
        assert _progress(series, HEALTHY) > healthy_before
        assert _of(series, HEALTHY, "avi_controller_up") == 1.0
        assert len(image_uuids(known, SICK) - image_uuids(series, SICK)) == row.bad
        if row.reason:
            assert _images_of(series, SICK) == _images_of(known, SICK)
            assert _of(series, SICK, "avi_controller_up") == 0.0
        assert _of(series, SICK, "avi_controller_stale") == 0.0
        assert _of(series, SICK, "avi_controller_auth_suspended") == 0.0
        assert _of(series, SICK, "avi_controller_upgrade_in_progress") == float(row.reason == "upgrading")
        assert series["avi_controller_poll_failures_total", (("controller", SICK), ("reason", "internal"))] == 0.0

        sick.faults.clear()
        await polled(daemon, SICK, 2)
        healed = await exposition(daemon)
        assert image_uuids(healed, SICK) == image_uuids(known, SICK)
        assert _progress(healed, SICK) == sick.image(_worked_on(before))["progress"] / 100  # it is fresh
        assert _of(healed, SICK, "avi_controller_up") == 1.0
        assert _of(healed, SICK, "avi_controller_upgrade_in_progress") == 0.0
        assert sick.failed_logins == 0


def _fill(sick: SimulatedController, row: Row) -> None:
    for number in range(200 if row.pages else 0):
        sick.put({"uuid": f"image-{number}", "name": f"image {number}"})


def _shows(row: Row, before: Entry, entry: Entry) -> bool:
    """Whether a good poll says what it has to of the fault."""
    counted = entry.health.bad_images - before.health.bad_images >= row.bad
    unknown = all(entry.health.unknown_values.get(field) for field in row.unknown)
    track = entry.snapshot.images.get(_worked_on(before))
    return counted and unknown and (row.bad > 0 or (track is not None and row.seen(track)))


def _worked_on(entry: Entry) -> str:
    """The first image of the list: the one that a fault alters."""
    return next(iter(entry.snapshot.images))


def _of(series: Series, controller: str, name: str) -> float:
    return series[name, (("controller", controller),)]


def _images_of(series: Series, controller: str) -> Series:
    """All its image series, name by name and value by value."""
    mine = ("controller", controller)
    return {key: value for key, value in series.items() if key[0].startswith("avi_image_") and mine in key[1]}


def _progress(series: Series, controller: str) -> float:
    """How far the upload of the controller has come: the one image that is not done."""
    return min(v for (name, _), v in _images_of(series, controller).items() if name == "avi_image_progress_ratio")
