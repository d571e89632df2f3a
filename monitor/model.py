"""
The nouns of the project, and its errors. Frozen values; knows no bytes, no Avi field names, no Prometheus, no clock.

Errors are cut by what the caller does with them::

    MonitorError
    ├── ConfigError          the operator mends a file            → every problem at once, exit 2
    ├── StoreError           the database does not answer         → reads and metrics go on
    │   └── NewerDatabase    a newer version wrote it             → refused at start, exit 1
    ├── BadImage             one image cannot be read             → counted, named once, the others go on
    ├── Refusal              a PATCH cannot be done as it is      → the caller is told, nothing was changed
    └── PollError            one exchange with a Controller failed → last snapshot stands, back off, count by reason
        ├── Unreachable      no answer: dns, connect, tls, timeout
        │   └── Unanswered   and the request may have gone out   → of a change nobody knows whether it was done
        ├── Refused          our log-in was refused: auth         → the circuit is open until the secret changes
        ├── Unavailable      not now: throttled, upgrading        → a Retry-After is honoured
        ├── BadStatus        an answer of the wrong kind: redirect, http_4xx, http_5xx
        └── BadAnswer        good status, useless body: oversize, incomplete, decode
"""

from collections.abc import Mapping
from typing import ClassVar, Literal
from weakref import WeakValueDictionary

import msgspec

Reason = Literal[
    "dns", "connect", "tls", "timeout", "auth", "throttled", "upgrading", "redirect",
    "http_4xx", "http_5xx", "oversize", "incomplete", "decode", "internal",
]  # fmt: skip
"""Why a poll failed; the ``reason`` label of ``avi_controller_poll_failures_total``."""

Phase = Literal["login", "version", "images", "image", "patch"]
"""In which exchange with a Controller it happened."""

ImageState = Literal["started", "in_progress", "completed", "failed", "unknown"]
EventState = Literal["pending", "running", "succeeded", "failed"]

DURATION_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of poll durations, up to the default deadline of one request."""

ACTIVE: frozenset[ImageState] = frozenset({"started", "in_progress"})


class MonitorError(Exception):
    """Root of everything this project raises on purpose."""


class ConfigError(MonitorError):
    """The configuration cannot be used. ``problems``: one line each: file, key path, what was found and expected."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StoreError(MonitorError):
    """The database did not do what was asked of it; the text says what and, where known, the remedy."""


class NewerDatabase(StoreError):
    """The database has a schema that this version does not know. Waiting does not help."""


class BadImage(MonitorError):
    """One image object cannot be read; the text names the JSON path of the first wrong value."""


class Refusal(MonitorError):
    """
    A PATCH is not done. ``kind``: of the problem that the caller is shown; ``path``: the JSON path of what is wrong.

    ``headers``: of the answer. ``status``: where a Controller's own comes through.
    """

    def __init__(
        self, kind: str, detail: str, path: str = "", *, headers: Mapping[str, str] | None = None, status: int = 0
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.path = path
        self.headers: Mapping[str, str] = headers or {}
        self.status = status


class PollError(MonitorError):
    """One exchange with a Controller failed. ``detail`` is clipped foreign text: no secret, nothing unprintable."""

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        phase: Phase = "images",
        status: int | None = None,
        retry_after_s: float = 0.0,
    ) -> None:
        detail = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in detail)
        super().__init__(f"{reason} ({phase}): {detail}")
        self.reason: Reason = reason
        self.detail = detail
        self.phase: Phase = phase
        self.status = status
        self.retry_after_s = retry_after_s


class Unreachable(PollError):
    """No whole answer came: name resolution, connection, TLS or the deadline."""


class Unanswered(Unreachable):
    """The connection broke, or the deadline passed, when the request may already have been sent."""


class Refused(PollError):
    """The Controller refused our log-in. It must not be tried again with the same secret: that locks accounts."""


class Unavailable(PollError):
    """The Controller asks us to come back later: rate limit, or an upgrade under way."""


class BadStatus(PollError):
    """The Controller answered with a status that no poll expects."""


class BadAnswer(PollError):
    """The status was good, the body was not: too large, not all there, or not what an image list looks like."""


class Secret:
    """
    A text that prints as ``<secret>`` wherever it is shown; ``reveal()`` is called where it goes on the wire.

    ``living`` holds every one that exists, so that the log can mask what escaped all the same; ``born`` counts all that
    ever did, so that what was made of ``living`` need not be made again.
    """

    __slots__ = ("__weakref__", "_text")
    living: ClassVar["WeakValueDictionary[int, Secret]"] = WeakValueDictionary()
    born: ClassVar[int] = 0

    def __init__(self, text: str) -> None:
        self._text = text
        self.living[id(self)] = self
        Secret.born += 1

    def reveal(self) -> str:
        """Give the text itself; called where it goes on the wire, nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)


class Event(msgspec.Struct, frozen=True, gc=False):
    """What one node did for one task. Times in Unix seconds, ``duration_s`` as the Controller reports it."""

    task: str
    node: str
    state: EventState
    status: str
    started_at: float | None = None
    ended_at: float | None = None
    duration_s: float | None = None
    message: str = ""
    """What the Controller says of it, free text."""


class Image(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    One image object of a Controller, in our words.

    Units: ratio 0 to 1, Unix seconds, seconds. ``None``: the Controller did not say. ``events`` hold one entry a
    (task, node); they are dropped once rendered, so a kept image has none.
    """

    uuid: str
    name: str = ""
    tenant: str = ""
    type: str = ""
    version: str = ""
    patch: str = ""
    uber_bundle: bool = False
    state: ImageState = "unknown"
    reason: str = ""
    progress_ratio: float | None = None
    tasks: int | None = None
    tasks_completed: int | None = None
    state_changed_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    last_modified_at: float | None = None
    duration_s: float | None = None
    events: tuple[Event, ...] = ()

    @property
    def active(self) -> bool:
        """Whether the Controller still works on it, as far as it says."""
        return self.state in ACTIVE


class Mark(msgspec.Struct, frozen=True, gc=False):
    """
    How far an image had come when it last moved; kept in the database, so that a restart is no movement.

    ``fingerprint``: of progress, tasks, state and events; 16 bytes. Times in Unix seconds of *our* clock.
    """

    fingerprint: bytes
    changed_at: float
    first_seen_at: float


class Forecast(msgspec.Struct, frozen=True, gc=False):
    """When an upload should be done: the moment that is promised, and the range; Unix seconds of our clock."""

    ends_at: float
    earliest: float
    latest: float
    why: str = ""
    """Why the promise is another than before; empty while it is the first."""


class Course(msgspec.Struct, frozen=True, gc=False):
    """
    How an upload that is under way goes, as we saw it.

    ``since``: from when on, Unix seconds of our clock. ``done``: the share of the work that was done then, 0 to 1.
    """

    since: float
    done: float
    forecast: Forecast | None = None


class Portrait(msgspec.Struct, frozen=True, gc=False):
    """
    One image as exposition text, kept until the image changes.

    ``lines``: one a metric family. ``series``: how many of them are of each tier. ``dropped``: how many were left out
    to stay within the image's budget. ``vital``: active or failed, so the last to lose anything to the controller's.
    """

    lines: tuple[bytes, ...] = ()
    series: tuple[int, int, int] = (0, 0, 0)
    vital: bool = False
    dropped: int = 0


class Track(msgspec.Struct, frozen=True, gc=False):
    """What is kept of one image between polls: the image without its events, its mark, and its rendering."""

    image: Image
    mark: Mark
    detail_until: float
    """Until when its per-task series are exported, Unix seconds; ``inf`` while it is active or failed."""
    course: Course | None = None
    """How it goes while it is under way; None when it is not, or when the Controller gives nothing to tell by."""
    portrait: Portrait = Portrait()
    annotations: Mapping[str, str] = {}
    """Those that ``portrait`` shows."""


class Page(msgspec.Struct, frozen=True, gc=False):
    """
    One page of ``GET /api/image`` as it came.

    ``images``: (uuid, raw JSON) in the Controller's order, the raw slices being views on ``body``; the uuid is empty
    where the object names none. ``count``: how many images there are in all, as the Controller says.
    """

    body: bytes
    count: int | None
    images: tuple[tuple[str, msgspec.Raw], ...]


class Listing(msgspec.Struct, frozen=True, gc=False):
    """One complete read of a controller's images: every page said the same count, and as many distinct images came."""

    pages: tuple[Page, ...] = ()
    raws: Mapping[str, msgspec.Raw] = {}
    nameless: int = 0
    """How many objects had neither ``uuid`` nor ``url``."""


class Snapshot(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is known of one controller's images after a good poll; replaced whole, never changed."""

    listing: Listing = Listing()
    images: Mapping[str, Track] = {}
    bad: frozenset[str] = frozenset()
    """The uuids that could not be read; they are in ``listing`` but not in ``images``."""
    detail_ends_at: float = float("inf")
    """When the first of ``images`` loses its per-task series."""


class Health(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How polling one controller goes: the last facts, and the running counts since start."""

    up: bool = False
    stale: bool = False
    auth_suspended: bool = False
    upgrading: bool = False
    version: str = ""
    api_version: str = ""
    interval_s: float = 0.0
    attempted_at: float | None = None
    succeeded_at: float | None = None
    polls: int = 0
    failed_in_a_row: int = 0
    reason: Reason | None = None
    """Why the last poll failed; None when it was good."""
    cause: str = ""
    """The same in words, for people: clipped foreign text."""
    failures: Mapping[Reason, int] = {}
    durations: tuple[int, ...] = (0,) * (len(DURATION_BOUNDS_S) + 1)
    """How many polls took at most the bound of the same place, and more than the one before; the last: longer."""
    durations_sum_s: float = 0.0
    logins: int = 0
    bad_images: int = 0
    series_dropped: int = 0
    unknown_values: Mapping[str, int] = {}
    certificate_expires_at: float | None = None
    tls_insecure: bool = False


class Appeared(msgspec.Struct, frozen=True):
    """An image that was not there before."""

    after: Image


class Altered(msgspec.Struct, frozen=True):
    """An image that differs from what was known of it."""

    before: Image
    after: Image
    moved: bool
    """Whether progress, tasks, state or an event moved; false when only a name or the like was edited."""


class Vanished(msgspec.Struct, frozen=True):
    """An image that a complete poll no longer named."""

    before: Image


Change = Appeared | Altered | Vanished
