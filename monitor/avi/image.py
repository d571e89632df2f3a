"""
Avi's bytes to our nouns: the one place that knows the Controller's field names, enums, units and time formats.

Pure. Tolerant by design: unknown enum values are kept and counted, and an image that cannot be read raises
:class:`BadImage` for itself alone.
"""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from itertools import chain, repeat
from typing import Final, get_args

import msgspec

from monitor.avi import wire
from monitor.model.errors import BadAnswer, BadImage
from monitor.model.image import Event, EventState, Image, ImageState
from monitor.model.snapshot import Listing, Page

HIGHEST_VERSION: Final = "32.2.1"
"""The newest object model that this file was written against; a newer Controller is asked for this one."""

UNKNOWN_FIELDS: Final = ("type", "img_state", "progress", "tasks", "duration", "time")
"""Where a value can be one that we do not know; the ``field`` label of ``avi_controller_unknown_values_total``."""

PAGE_SIZE: Final = 200  # the most a Controller gives; more is refused

_LABEL_LENGTH = 200  # free text that becomes a label is clipped, so that no Controller can bloat a scrape
_MESSAGE_LENGTH = 10_000  # no label, but shown to people, who ask for one image at a time
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  of times without a zone, which are UTC; sooner done than giving them one
_LARGEST_SALVAGE = 1024 * 1024  # bytes; more would hold the loop
_MOST_EVENTS = 5000  # far beyond any budget of series; reading more would hold the loop for a Controller that lies
_LATEST = 253402300799.0  # the last second of the year 9999; a later "time" is no time
_STATES: Final[dict[str, ImageState]] = {
    f"IMAGE_FSM_{state.upper()}": state for state in get_args(ImageState) if state != "unknown"
}
_TYPES: Final = {"IMAGE_TYPE_SYSTEM": "system", "IMAGE_TYPE_PATCH": "patch", "IMAGE_TYPE_MUST_CHECK": "must_check"}
_UNDECIDED: Final = frozenset({"", "SYSERR_PENDING", "SYSERR_TRY_AGAIN"})
_STATUS: Final = re.compile(r"[A-Z0-9_]{1,64}\Z")
_BADNESS: Final[dict[EventState, int]] = {"succeeded": 0, "pending": 1, "running": 2, "failed": 3}

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # all that a decoder raises

_identity = msgspec.json.Decoder(wire.Identity)
_image = msgspec.json.Decoder(wire.Image)
_page = msgspec.json.Decoder(wire.Page)
_versioned = msgspec.json.Decoder(wire.Versioned)
_error = msgspec.json.Decoder(wire.Error)


def decode_page(body: bytes, known: Page | None = None) -> Page:
    """
    Split one page of ``GET /api/image`` into raw images, without reading more of them than who they are.

    Shape: ``{"count": n, "results": [image, …], "next": url?}``; ``next`` is never followed. ``known``: the page as it
    was; an image that is at its place what it was is not read at all.
    Raises: BadAnswer (decode) naming the JSON path of the first wrong value.
    """
    try:
        page = _page.decode(body)
    except _UNREADABLE as error:
        page = _salvage(body, error)
    if len(page.results) > PAGE_SIZE:
        raise BadAnswer("decode", f"{len(page.results)} images on a page, {PAGE_SIZE} were asked for")
    before = chain(known.images if known else (), repeat(("", msgspec.Raw())))
    pairs = zip(page.results, before, strict=False)
    return Page(body, page.count, tuple((uuid if raw == old else _identify(raw), raw) for raw, (uuid, old) in pairs))


def _salvage(body: bytes, error: Exception) -> wire.Page:
    """
    Split a page that one text in it spoils (half a surrogate pair, a byte that is not UTF-8), so that the image that
    has the text is the only one to be bad.

    Raises: BadAnswer with the first error, when the page is large, or no JSON that the lenient decoder takes either.
    """
    if len(body) > _LARGEST_SALVAGE:
        raise BadAnswer("decode", _clip(str(error))) from error
    try:
        page = msgspec.convert(json.loads(body.decode(errors="surrogateescape")), wire.LoosePage)
        return wire.Page([msgspec.Raw(json.dumps(image).encode()) for image in page.results], page.count)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise BadAnswer("decode", _clip(str(error))) from error


def assemble(pages: Iterable[Page]) -> Listing | None:
    """Join pages into a listing; None when they do not fit together, because images came or went between them."""
    pages = tuple(pages)
    named = [(uuid, raw) for page in pages for uuid, raw in page.images if uuid]
    nameless = sum(not uuid for page in pages for uuid, _ in page.images)
    raws = dict(named)
    counts = {page.count for page in pages}
    if len(counts) != 1:
        return None
    (count,) = counts
    came = len(raws) + nameless
    complete = len(named) + nameless == came if count is None else count == came
    return Listing(pages, raws, nameless) if complete else None


def decode_image(raw: msgspec.Raw) -> tuple[Image, tuple[str, ...]]:
    """
    Read one image object, and name the fields whose value we did not know (of UNKNOWN_FIELDS, one entry an occurrence).

    Units: percent in, ratio out; ``_last_modified`` microseconds as text in, Unix seconds out; times of unknown format
    in, Unix seconds out.
    Raises: BadImage naming the JSON path of the first wrong value.
    """
    try:
        bytes(raw).decode()  # what we do not read too: the object is served on as it came
        theirs = _image.decode(raw)
    except _UNREADABLE as error:
        raise BadImage(_clip(str(error))) from error
    uuid = _uuid(theirs)
    if not uuid:
        raise BadImage("neither `uuid` nor `url` - at `$`")
    unknown: list[str] = []
    status = theirs.img_state or wire.Status()
    packages = [package.build for package in (theirs.controller_info, theirs.se_info) if package and package.build]
    image = Image(
        uuid=uuid,
        name=_clip(theirs.name or ""),
        tenant=_clip(_last_segment(theirs.tenant_ref or "")),
        type=_clip(_known(_TYPES, theirs.type or "", "type", unknown)),
        version=_clip(next((build.version for build in packages if build.version), "")),
        patch=_clip(next((build.patch_version for build in packages if build.patch_version), "")),
        uber_bundle=bool(theirs.uber_bundle),
        state=_state(status.state or "", unknown),
        reason=_clip(status.reason or ""),
        progress_ratio=_progress(theirs.progress, unknown),
        tasks=_tasks(theirs.total_tasks, unknown),
        tasks_completed=_tasks(theirs.tasks_completed, unknown),
        state_changed_at=_moment(status.last_changed_time, unknown),
        started_at=parse_time(theirs.start_time, unknown),
        ended_at=parse_time(theirs.end_time, unknown),
        last_modified_at=_microseconds(theirs.last_modified, unknown),
        duration_s=_duration(theirs.duration, unknown),
        events=_events(theirs.events or (), unknown),
    )
    return image, tuple(unknown)


def decode_version(body: bytes) -> str:
    """
    The Controller's version in a reply to ``POST /login`` or ``GET /api/initial-data``; empty when it does not say.

    Shape: ``{"version": {"Version": "30.2.1", …}}``, or with a lower-case ``version`` inside.
    """
    try:
        version = _versioned.decode(body).version or wire.Version()
    except _UNREADABLE:
        return ""
    return _clip(version.version or version.capitalised or "")


def decode_session_cookie_name(body: bytes) -> str:
    """The name under which the Controller wants its session cookie; empty when the log-in reply does not say."""
    try:
        return _versioned.decode(body).session_cookie_name or ""
    except _UNREADABLE:
        return ""


def decode_error(body: bytes) -> str:
    """
    The words of a refusal, clipped: the ``error`` member, or a body of plain text; never a page of HTML.

    Content types lie here: plain text comes as JSON, JSON as HTML. Only the bytes are asked.
    """
    try:
        return _clip(_error.decode(body).error)
    except _UNREADABLE:
        text = body[:_LABEL_LENGTH].decode(errors="replace").strip()
        return "" if text.startswith(("<", "{", "[")) else text


def api_version(controller: str) -> str:
    """
    The version to ask for: the Controller's own, but none above the highest we know; that one if unreadable.

    Digits and dots alone, though a Controller's own may go on: ``20.1.4(9087) 2021-02-15``.
    """
    highest = version_key(HIGHEST_VERSION)
    return ".".join(map(str, min(version_key(controller) or highest, highest)))


def version_key(version: str) -> tuple[int, ...]:
    """``30.2.1`` as (30, 2, 1), for comparison; empty when it is not of that form."""
    match = re.match(r"\d{1,9}(\.\d{1,9})*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def parse_time(text: str | None, unknown: list[str]) -> float | None:
    """
    A time of the Controller as Unix seconds: ISO 8601, ``YYYY-MM-DD HH:MM:SS`` (UTC), or microseconds as digits.

    None when absent or empty; also when unreadable, and then ``time`` is added to ``unknown``.
    """
    if not text:
        return None
    if text.isdecimal():
        return _microseconds(text, unknown)
    try:
        return _plausible(_seconds(text), unknown)
    except ValueError:
        unknown.append("time")
        return None


@lru_cache(maxsize=8192)  # an image that moves says most of its times again
def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    return moment.timestamp() if moment.tzinfo else (moment - _EPOCH).total_seconds()


def _identify(raw: msgspec.Raw) -> str:
    try:
        return _uuid(_identity.decode(raw))
    except _UNREADABLE:
        return _identify_loosely(raw)


def _identify_loosely(raw: msgspec.Raw) -> str:
    """Who an object is that a text in it spoils: a bad image should at least be named."""
    try:
        fields = json.loads(bytes(raw).decode(errors="replace"))
        uuid = _uuid(msgspec.convert(fields, wire.Identity))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return ""
    return uuid.encode(errors="replace").decode()


def _uuid(theirs: wire.Identity) -> str:
    return _clip(theirs.uuid or _last_segment((theirs.url or "").partition("#")[0]))


def _last_segment(ref: str) -> str:
    """``https://ctl/api/tenant/admin`` as ``admin``; the name behind ``#``, where the Controller adds one, wins."""
    path, _, name = ref.partition("#")
    return name or path.rpartition("/")[2]


def _clip(text: str) -> str:
    return text[:_LABEL_LENGTH]


def _known(names: dict[str, str], value: str, field: str, unknown: list[str]) -> str:
    if value and value not in names:
        unknown.append(field)
    return names.get(value, value)


def _state(value: str, unknown: list[str]) -> ImageState:
    if value and value not in _STATES:
        unknown.append("img_state")
    return _STATES.get(value, "unknown")


def _progress(percent: float | None, unknown: list[str]) -> float | None:
    if percent is not None and not 0 <= percent <= 100:
        unknown.append("progress")
        return None
    return None if percent is None else percent / 100


def _tasks(number: float | None, unknown: list[str]) -> int | None:
    if number is not None and not (0 <= number < 2**31 and number.is_integer()):  # an int32 on the wire
        unknown.append("tasks")
        return None
    return None if number is None else int(number)


def _duration(seconds: float | None, unknown: list[str]) -> float | None:
    if seconds is not None and not 0 <= seconds < 2**32:  # a uint32 on the wire
        unknown.append("duration")
        return None
    return seconds


def _moment(stamp: wire.TimeStamp | None, unknown: list[str]) -> float | None:
    return _plausible(stamp.secs + (stamp.usecs or 0.0) / 1e6, unknown) if stamp and stamp.secs else None


def _microseconds(text: str | float | None, unknown: list[str]) -> float | None:
    try:
        return _plausible(float(text or 0) / 1e6, unknown)
    except ValueError:
        unknown.append("time")
        return None


def _plausible(seconds: float, unknown: list[str]) -> float | None:
    """Zero is how the Controller's object model says «never»; before 1970 and after 9999 there is no time."""
    if not 0 <= seconds <= _LATEST:
        unknown.append("time")
        return None
    return seconds or None


def _events(tasks: Iterable[wire.Events], unknown: list[str]) -> tuple[Event, ...]:
    """One event a (task, node): the one that started last, then the worse one. A duplicate fails a scrape."""
    return tuple(max(parts, key=_precedence) for parts in _parts(tasks, unknown))


def _parts(tasks: Iterable[wire.Events], unknown: list[str]) -> Iterable[list[Event]]:
    """The events of each (task, node), of which a Controller may tell several."""
    parts: dict[tuple[str, str], list[Event]] = {}
    for task in tasks:
        name = _clip(task.task_name or "unknown")
        if len(parts) >= _MOST_EVENTS:
            break
        for theirs in (*(task.nodes_events or ()), *(task.sub_events or ()))[:_MOST_EVENTS]:
            event = _event(name, theirs, unknown)
            parts.setdefault((event.task, event.node), []).append(event)
    return parts.values()


def decode_spans(raw: msgspec.Raw) -> tuple[Event, ...]:
    """
    What each node did for each task of one image, from its first start to its last end, sub-events and all.

    Raises: BadImage, as `decode_image`.
    """
    decode_image(raw)
    return tuple(map(_span, _parts(_image.decode(raw).events or (), [])))


def _span(parts: list[Event]) -> Event:
    """The event that stands for all of them, as long as all of them."""
    event = max(parts, key=_precedence)
    starts = [part.started_at for part in parts if part.started_at is not None]
    ends = [part.ended_at for part in parts if part.ended_at is not None]
    durations = [part.duration_s for part in parts if part.duration_s is not None]
    messages = [part.message for part in parts if part.message]
    ended = event.ended_at is not None
    return msgspec.structs.replace(
        event,
        started_at=min(starts, default=None),
        ended_at=max(ends) if ended else None,
        duration_s=max(durations, default=None) if ended else event.duration_s,
        message=event.message or next(iter(messages), ""),
    )


def _precedence(event: Event) -> tuple[float, int, str]:
    """Later, then worse; then any order that does not depend on the Controller's, else a tie would look like a move."""
    return (-1.0 if event.started_at is None else event.started_at), _BADNESS[event.state], event.status


def _event(task: str, theirs: wire.Event, unknown: list[str]) -> Event:
    started_at = parse_time(theirs.start_time, unknown)
    ended_at = parse_time(theirs.end_time, unknown)
    status = theirs.status or ""
    return Event(
        task,
        _clip((theirs.ip and theirs.ip.addr) or "unknown"),
        _event_state(status, started=bool(theirs.start_time), ended=bool(theirs.end_time)),
        status if not status or _STATUS.match(status) else "other",
        started_at,
        ended_at,
        _duration(theirs.duration, unknown),
        (theirs.message or "")[:_MESSAGE_LENGTH],
    )


def _event_state(status: str, *, started: bool, ended: bool) -> EventState:
    if status == "SYSERR_SUCCESS":
        return "succeeded"
    if status not in _UNDECIDED:
        return "failed"
    return "running" if started and not ended else "pending"
