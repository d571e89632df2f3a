"""
What it is measured with: Controllers of 20 images, as they look on the night of an upgrade.

18 images ended long ago, one is being processed and one failed; the last two have the detail of 3 nodes × 6 tasks.
An idle Controller has 20 that ended. The JSON of an image is padded to a size with what we do not read.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Final, Literal
from uuid import UUID

import msgspec

from monitor.avi.link import Link
from monitor.avi.paging import assemble, decode_page
from monitor.config.settings import Poll
from monitor.model.secret import Secret
from monitor.model.snapshot import ObjectList
from monitor.polling.fleet import Entry, Fleet
from monitor.polling.poller import Poller
from monitor.polling.schedule import PollLimiter
from monitor.store import Store
from tests.support.polling import NoUnits
from tests.support.polling import make_poller as make_bare_poller

State = Literal["ended", "active", "failed"]

NOW: Final = 1_760_000_000.0
IMAGES: Final = 20
UNITS: Final = 12
IDLE: Final[tuple[State, ...]] = ("ended",) * IMAGES
BUSY: Final[tuple[State, ...]] = ("active", "failed", *IDLE[2:])
PASSWORD = Secret("benchmark")

_NODES = ("10.0.0.11", "10.0.0.12", "10.0.0.13")
_TASKS = ("Validate package", "Extract package", "Read metadata", "Copy to repository", "Replicate", "Finalize")
_FSM = {"ended": "IMAGE_FSM_COMPLETED", "active": "IMAGE_FSM_IN_PROGRESS", "failed": "IMAGE_FSM_FAILED"}


def image(controller: str, place: int, state: State = "ended", *, turn: int = 0, size: int = 0) -> bytes:
    """
    One Image object as JSON. ``turn``: what differs from one poll to the next. ``size``: about how many bytes; one of
    1,000 or less has no events unless it is active.
    """
    rng = Random(f"{controller}/{place}")
    eventful = state == "active" or not 0 < size <= 1_000
    uuid = f"image-{UUID(int=rng.getrandbits(128))}"
    started = NOW - rng.uniform(90, 180) * 86400
    document = {
        "uuid": uuid,
        "url": f"https://{controller}/api/image/{uuid}",
        "name": f"controller-30.2.{place}-9{rng.randrange(1000):03}.pkg",
        "tenant_ref": f"https://{controller}/api/tenant/admin#admin",
        "type": "IMAGE_TYPE_SYSTEM",
        "uber_bundle": False,
        "_last_modified": str(int((started + 1200 + turn) * 1e6)),
        "progress": {"ended": 100, "active": turn % 100, "failed": 40}[state],
        "total_tasks": len(_TASKS),
        "tasks_completed": {"ended": 6, "active": 4 + turn % 2, "failed": 2}[state],
        "img_state": {"state": _FSM[state], "last_changed_time": {"secs": int(started) + 1200, "usecs": 9}},
        "controller_info": {"build": {"version": f"30.2.{place}", "date": "2025-06-01", "patch_version": "2p1"}},
        "start_time": _spoken(started),
        **({} if state == "active" else {"end_time": _spoken(started + 1200)}),
        "duration": turn,
        "events": [_events(task, state, started, rng, turn) for task in _TASKS] if eventful else [],
    }
    bare = msgspec.json.encode(document)
    padding = _padding(max(0, size - len(bare)) // len(_padding(1)))
    return b'%b,"cloud_info_values":%b}' % (bare[:-1], padding)


def _events(task: str, state: State, started: float, rng: Random, turn: int) -> dict[str, object]:
    """What the nodes did for one task; the late ones move on with every turn."""
    late = task in _TASKS[4:]
    wrong = {"ended": "SYSERR_SUCCESS", "active": "SYSERR_PENDING", "failed": "SYSERR_FAILURE"}[state]
    events = []
    for place, node in enumerate(_NODES):
        begun, took = started + rng.uniform(0, 300), rng.randrange(300) + (turn if late else 0)
        events.append(
            {
                "ip": {"addr": node, "type": "V4"},
                "start_time": _spoken(begun),
                "end_time": _spoken(begun + took),
                "duration": took,
                "status": wrong if late and turn % 4 != place else "SYSERR_SUCCESS",
                "message": "",
                "sub_tasks": [],
            }
        )
    return {"task_name": task, "nodes_events": events}


def _spoken(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


@cache
def _padding(parts: int) -> bytes:
    """Parts of about 100 bytes, small objects as Controllers have them."""
    return msgspec.json.encode(
        [
            {"cloud_name": "CLOUD_VCENTER", "values": [{"key": f"flavour-{n:04}", "size": ["m5.large"]}]}
            for n in range(parts)
        ]
    )


def units() -> bytes:
    """The one page of the upgrade status of a cluster, four SE groups and their Service Engines, all at rest."""
    kinds = (
        [("cluster", "NODE_CONTROLLER_CLUSTER")]
        + 4 * [("serviceenginegroup", "NODE_SE_GROUP")]
        + (UNITS - 5) * [("se", "NODE_SE_TYPE")]
    )
    results = [
        {
            "uuid": f"{prefix}-{UUID(int=place)}",
            "name": f"{prefix}-{place}",
            "node_type": node_type,
            "version": "30.2.1-9287-20250510.210859",
            "state": {"state": "UPGRADE_FSM_COMPLETED", "last_changed_time": {"secs": int(NOW), "usecs": 9}},
            "upgrade_ops": "UPGRADE",
            "start_time": "2025-06-01 01:00:00",
            "end_time": "2025-06-01 02:00:00",
            "total_tasks": 8,
            "tasks_completed": 8,
            "image_ref": "https://10.0.0.11/api/image/image-1",
        }
        for place, (prefix, node_type) in enumerate(kinds)
    ]
    return msgspec.json.encode({"count": len(results), "results": results})


def body(images: Sequence[bytes]) -> bytes:
    """The one page that lists these images."""
    return b'{"count":%d,"results":[%b]}' % (len(images), b",".join(images))


class Canned(NoUnits):
    """A controller's client that needs no network: every poll finds the next of these bodies, as a socket gives it."""

    def __init__(self, bodies: Iterable[bytes]) -> None:
        self.link = Link(version="30.2.1", api_version="30.2.1", logins=1)
        self.received = 0
        self._bodies = iter(bodies)

    async def list_images(self, before: ObjectList) -> ObjectList:
        """Read the next body whole."""
        return assemble([decode_page(next(self._bodies))]) or before


async def watch(fleet: Fleet, name: str, *bodies: bytes) -> Entry:
    """Publish one controller as polls of these bodies leave it."""
    poller = make_poller(name, Canned(bodies), fleet)
    for _ in bodies:
        await poller.poll_once(late_s=0.0)
    return fleet.entries[name]


def make_poller(name: str, source: Canned, fleet: Fleet, poll: Poll | None = None) -> Poller:
    """A poller with the settings of the daemon, less the database behind its marks."""
    store = Store("sqlite://")
    return make_bare_poller(
        name,
        source,
        fleet,
        marks=store.marks,
        annotations=store.audit_log,
        history=store.upload_history,
        poll=poll or Poll(),
        limiter=PollLimiter(64),
        now=lambda: NOW,
    )


async def fleet_of(series: int) -> Fleet:
    """As many busy controllers as have about so many image series."""
    fleet = Fleet()
    await _watch_busy(fleet, 0)
    for number in range(1, round(series / image_series(fleet))):
        await _watch_busy(fleet, number)
    return fleet


async def busy_fleet(controllers: int) -> Fleet:
    """Controllers of which each has images under way."""
    fleet = Fleet()
    for number in range(controllers):
        await _watch_busy(fleet, number)
    return fleet


async def _watch_busy(fleet: Fleet, number: int) -> None:
    name = f"avi-{number:04}"
    await watch(fleet, name, body([image(name, place, state) for place, state in enumerate(BUSY)]))


async def tiny_fleet(controllers: int) -> Fleet:
    """Controllers of a single image that ended long ago."""
    fleet = Fleet()
    for number in range(controllers):
        name = f"avi-{number:04}"
        await watch(fleet, name, body([image(name, 0)]))
    return fleet


def image_series(fleet: Fleet) -> int:
    """How many series of images the fleet has; those of the controllers' health are beside them."""
    return sum(sum(track.rendered.series) for _, track in fleet.shown_objects("image"))
