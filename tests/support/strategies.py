"""What the properties are tried on: the Controller's JSON, right and wrong, and healths. The same in every run."""

import json
from collections.abc import Mapping
from itertools import groupby, product
from typing import TypeVar, get_args

from hypothesis import settings
from hypothesis import strategies as st

from monitor.avi.image import UNKNOWN_FIELDS
from monitor.model.errors import Reason
from monitor.model.health import DURATION_BOUNDS_S, ReadHealth, SessionHealth

T = TypeVar("T")

BOUNDED = settings(max_examples=100)
FEW = settings(BOUNDED, max_examples=30)

hostile = st.sampled_from(
    ['"', "\\", "\n", "\\n", '\\"', "{}", "{0}", "%s", "# EOF", "\r", "\t", "\x00", "\u2028", "é", "🚀"]
)
texts = st.lists(hostile | st.text(max_size=8), max_size=4).map("".join)
"""Short texts of every kind of character but lone surrogates, which no JSON decoder lets through."""

times = st.sampled_from(
    [
        "2025-02-13 10:31:02",
        "2025-02-13 10:31:03",
        "2025-02-13T10:31:02.250Z",
        "2025-02-13T10:31:02+02:00",
        "1739443000123456",
        "string",
        "",
        None,
    ]
)
durations = st.none() | st.integers(0, 2**32 - 1) | st.floats(0, 1e4)


def some(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Objects that have each field or not."""
    return st.fixed_dictionaries({}, optional=fields)


_ABSENT = object()
_EVENT_FIELDS: Mapping[str, tuple[object, ...]] = {
    "ip": (
        {"addr": "10.0.0.11", "type": "V4"},
        {"addr": "10.0.0.12", "type": "V4"},
        {"addr": 'no"de\\\n', "type": "DNS"},
        {"addr": None},
        _ABSENT,
    ),
    "status": ("SYSERR_SUCCESS", "SYSERR_PENDING", "SYSERR_TRY_AGAIN", "SYSERR_IO", "lower case", None, _ABSENT),
    "start_time": ("2025-02-13 10:31:05", "2025-02-13T10:31:06.250Z", "at tea time", "", _ABSENT),
    "end_time": ("2025-02-13 10:32:40", "1739442760000000", None, _ABSENT),
    "duration": (0, 95, 2**32, _ABSENT),
}
events = st.sampled_from(
    [
        {name: value for name, value in zip(_EVENT_FIELDS, values, strict=True) if value is not _ABSENT}
        for values in product(*_EVENT_FIELDS.values())
    ]
)
"""Every mixture of a few values; one draw each, so that there may be many."""


def up_to(most: int, of: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """Lists of every length alike, where hypothesis prefers short ones."""
    return st.integers(0, most).flatmap(lambda length: st.lists(of, min_size=length, max_size=length))


_TASKS: tuple[str | None, ...] = ("Extract package", 'Copy "x"\n', "C:\\temp\\", "", None, *"abcdef")
_KINDS = ("nodes_events", "sub_events")
_places: st.SearchStrategy[tuple[str | None, str]] = st.sampled_from(list(product(_TASKS, _KINDS)))


def _in_maps(placed: list[tuple[tuple[str | None, str], dict[str, object]]]) -> list[object]:
    """Neighbours of one place share an event map; a task may have several maps."""
    groups = groupby(placed, key=lambda each: each[0])
    return [{"task_name": task, kind: [event for _, event in group]} for (task, kind), group in groups]


event_maps = up_to(50, st.tuples(_places, events)).map(_in_maps)
"""0 to 50 events in the Controller's shape, several of one task and node among them."""

packages = st.none() | some(build=st.none() | some(version=texts, patch_version=texts))
image_fields: Mapping[str, st.SearchStrategy[object]] = {
    "name": texts,
    "tenant_ref": st.none() | texts | texts.map(lambda name: f"https://avi.example.net/api/tenant/admin#{name}"),
    "type": st.none() | st.sampled_from(["IMAGE_TYPE_SYSTEM", "IMAGE_TYPE_PATCH", "IMAGE_TYPE_MUST_CHECK"]) | texts,
    "uber_bundle": st.none() | st.booleans(),
    "progress": st.none() | st.integers(-1, 101) | st.floats(0, 100),
    "total_tasks": st.none() | st.integers(0, 2**31),
    "tasks_completed": st.none() | st.integers(0, 99),
    "duration": durations,
    "start_time": times,
    "end_time": times,
    "_last_modified": times | st.integers(0, 2**52),
    "img_state": st.none()
    | some(
        state=st.sampled_from(
            ["IMAGE_FSM_STARTED", "IMAGE_FSM_IN_PROGRESS", "IMAGE_FSM_COMPLETED", "IMAGE_FSM_FAILED", "IMAGE_FSM_NEW"]
        ),
        reason=texts,
        last_changed_time=some(secs=st.integers(0, 2**33), usecs=st.integers(0, 999_999)),
    ),
    "controller_info": packages,
    "se_info": packages,
}
images = st.one_of(
    st.tuples(some(**image_fields), event_maps).map(lambda parts: {**parts[0], "events": parts[1]}),
    some(**image_fields, events=st.none()),
)
"""Image objects as a Controller of some release might send them, but for ``uuid``."""

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 10**4000, float("inf"), float("nan"), 1e308, -1e308, -0.0])
    | st.floats()
    | st.text(st.characters(), max_size=6)
)
names = st.sampled_from(
    [
        *image_fields,
        "events",
        "uuid",
        "url",
        "results",
        "count",
        "version",
        "error",
        "ip",
        "addr",
        "task_name",
        "nodes_events",
    ]
) | st.text(max_size=3)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6), max_leaves=20
)
"""Any JSON value, some that JSON forbids, and the Controller's names in all the wrong places."""


def dumps(value: object) -> bytes:
    """As JSON; infinities as a number that is too large, lone surrogates as their escapes."""
    return json.dumps(value).replace("Infinity", "1e400").encode()


moments = st.none() | st.floats(0, 4e9)
counts = st.integers(0, 2**40)
sessions = st.builds(
    SessionHealth,
    up=st.booleans(),
    auth_suspended=st.booleans(),
    upgrading=st.booleans(),
    version=texts,
    api_version=texts,
    interval_s=st.floats(0, 1e4),
    attempted_at=moments,
    polls=counts,
    durations=st.tuples(*[st.integers(0, 2**20)] * (len(DURATION_BOUNDS_S) + 1)),
    durations_sum_s=st.floats(0, 1e9),
    logins=counts,
    certificate_expires_at=moments,
    tls_insecure=st.booleans(),
)
reads = st.builds(
    ReadHealth,
    stale=st.booleans(),
    succeeded_at=moments,
    failures=st.dictionaries(st.sampled_from(get_args(Reason)), counts, max_size=3),
    bad_objects=counts,
    series_dropped=counts,
    unknown_values=st.dictionaries(st.sampled_from(UNKNOWN_FIELDS), counts, max_size=3),
)

Healths = tuple[SessionHealth, ReadHealth]
"""Of the session, and of the read of images."""

Seen = tuple[Mapping[str, dict[str, object]], Healths]
"""One controller as it is drawn: image objects by uuid, and how polling it goes."""

fleets: st.SearchStrategy[Mapping[str, Seen]] = st.dictionaries(
    texts, st.tuples(st.dictionaries(texts.filter(bool), images, max_size=3), st.tuples(sessions, reads)), max_size=3
)
