"""
The write path: one PATCH, from what was asked to what became of it.

    audit intent → a fresh read, and the conditions → one request to the Controller → annotations and outcome, together

An annotation alone never leaves this process, and its intent and outcome are one transaction. Orders for one image take
turns. A request that changes something is never repeated. Knows no HTTP of ours; it refuses in kinds of problems.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from monitor.avi.image import decode_image
from monitor.avi.values import version_key
from monitor.model.errors import (
    BadAnswer,
    BadImage,
    PollError,
    ProblemKind,
    Refusal,
    StoreError,
    Unanswered,
    Unavailable,
)
from monitor.model.outcome import OutcomeKind
from monitor.patching.annotations import Annotating, annotate
from monitor.patching.audit import Outcome
from monitor.patching.fields import adjust, encode_adjustment
from monitor.patching.representation import content, entity_tag
from monitor.patching.request import AuditLog, ImageView, ImageWriter, PatchRequest, PatchResult, WriteTarget
from monitor.polling.fleet import Fleet

THEIRS: Final = frozenset({400, 403, 404, 409, 412, 422})  # statuses with which a Controller speaks about the request
_TURN_S = 30.0  # for the changes of one image that came before
_RETRY_AFTER_S = 30  # when a Controller that is being upgraded does not say


class Patcher:
    """Carries out orders. ``now``: Unix seconds. ``ended``: is told each outcome, to count it."""

    def __init__(
        self,
        fleet: Fleet,
        ledger: AuditLog,
        targets: Mapping[str, WriteTarget],
        *,
        now: Callable[[], float],
        ended: Callable[[OutcomeKind], None],
    ) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._targets = targets
        self._now = now
        self._ended = ended
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False

    async def apply(self, order: PatchRequest) -> PatchResult:
        """
        Do what was asked, or nothing of it.

        Raises: Refusal, whose kind and text say whose fault it is, and what was and was not done.
        """
        async with self._turn(order):
            try:
                return await (self._adjust(order) if order.patch.adjustment else self._annotate(order))
            except StoreError as error:
                raise Refusal("database-down", f"nothing was changed: the database says {error}") from error

    async def drain(self, *, limit_s: float) -> None:
        """Take no more orders, and wait until those under way have ended, at most so long."""
        self._closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._idle.wait()

    @asynccontextmanager
    async def _turn(self, order: PatchRequest) -> AsyncIterator[None]:
        """
        One order an image at a time, in the order in which they came.

        Raises: Refusal when it takes too long to come to it, when we end, and when the caller has given up: whoever
        repeats what timed out would else have it done twice.
        """
        lock = self._turns.setdefault((order.controller, order.uuid), asyncio.Lock())
        try:
            async with asyncio.timeout(_TURN_S):
                await lock.acquire()
        except TimeoutError as error:
            detail = "nothing was changed: other changes of the image are under way"
            raise Refusal("image-busy", detail, headers={"Retry-After": str(_RETRY_AFTER_S)}) from error
        self._under_way += 1
        self._idle.clear()
        try:
            if self._closing:
                raise Refusal("shutting-down", "nothing was changed: the monitor ends", headers={"Retry-After": "5"})
            if not order.wanted():
                raise Refusal("client-closed-request", "nothing was changed: the caller has gone")
            yield
        finally:
            lock.release()
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    def annotations_of(self, controller: str, uuid: str) -> Mapping[str, str]:
        """Those of one image, as they are now."""
        return self._ledger.annotations_of(controller).get(uuid, {})

    async def _annotate(self, order: PatchRequest) -> PatchResult:
        """Annotations alone: against the image as last seen, and without a word to the Controller."""
        try:
            patched = self._expect(order, self._last_seen(order))
        except Refusal as refusal:
            if not order.dry_run:
                await self._record(order, Outcome(outcome="refused", detail=refusal.detail))
            raise
        if order.patch.annotating and not order.dry_run:
            await self._record(order, Outcome(outcome="done", changes=patched.changes))
            self._target(order).display.annotated()
        return patched

    def _target(self, order: PatchRequest) -> WriteTarget:
        """Raises: Refusal when the controller is watched no more, since a reload."""
        target = self._targets.get(order.controller)
        if target is None:
            raise Refusal("no-such-image", f"the controller {order.controller} is watched no more")
        return target

    def _last_seen(self, order: PatchRequest) -> bytes:
        entry = self._fleet.entries.get(order.controller)
        if entry is None or entry.health.stale or order.uuid not in entry.snapshot.images:
            raise Refusal("no-such-image", f"{order.controller} has no image {order.uuid} any more")
        return bytes(entry.snapshot.listing.raws[order.uuid])

    def _expect(self, order: PatchRequest, raw: bytes) -> PatchResult:
        """
        What the order makes of the image as it is.

        Raises: Refusal when a condition does not hold, or there would be too many annotations.
        """
        before = self.annotations_of(order.controller, order.uuid)
        image = content(raw)
        modified = str(image.get("_last_modified"))
        tag = entity_tag(raw, order.controller, before)
        patch = order.patch
        if order.if_match is not None and not order.if_match & {tag, "*"}:
            raise _changed("its ETag is another", tag)
        if patch.last_modified not in {None, modified}:
            raise _changed(f"its _last_modified is {modified}", tag)
        after = annotate(before, patch.annotating) if patch.annotating else before
        changes = {f"annotations.{key}": (before.get(key), after.get(key)) for key in before.keys() | after.keys()}
        changes = {key: pair for key, pair in sorted(changes.items()) if pair[0] != pair[1]}
        if patch.adjustment:
            changes |= adjust(image, patch.adjustment)
        return PatchResult(raw, after, changes)

    async def _adjust(self, order: PatchRequest) -> PatchResult:
        """A change on the Controller, and the annotations beside it only when that is done."""
        adjustment, target = order.patch.adjustment, self._target(order)
        writer = target.writer
        assert adjustment is not None  # noqa: S101  what apply saw
        if order.dry_run:
            return await self._rehearse(order, writer)
        number = await self._ledger.intend(order.intent, at=self._now())
        async with self._concluding_failures(order, number, target.display):
            ready = await self._ready(order, writer)
            request = encode_adjustment(adjustment, content(ready.raw))
            reply = await writer.patch_image(order.uuid, request, api_version=order.api_version)
        raw = await _read_back(writer, order.uuid, reply)
        ending = Outcome(outcome="done", changes=ready.changes, answer=200)
        try:
            await self._conclude(order, number, ending, order.patch.annotating)
        except StoreError as error:
            detail = (
                f"the Controller took the adjustment; it is recorded when the database, which says {error}, is back"
            )
            raise Refusal("not-recorded", detail) from error
        finally:
            _show(raw, target.display)
        return msgspec.structs.replace(ready, raw=raw or _expected(ready))

    async def _rehearse(self, order: PatchRequest, writer: ImageWriter) -> PatchResult:
        """The image as an adjustment would leave it, as far as we know."""
        try:
            ready = await self._ready(order, writer)
        except PollError as error:
            raise judge(order.controller, error)[1] from error
        return msgspec.structs.replace(ready, raw=_expected(ready))

    async def _ready(self, order: PatchRequest, writer: ImageWriter) -> PatchResult:
        """
        Read the image anew, and look whether the order can go out.

        Raises: Refusal, PollError.
        """
        raw = await _read(writer, order.uuid)
        theirs = writer.link.version
        if theirs and version_key(order.api_version) > version_key(theirs):
            detail = f"{order.controller} runs {theirs}, which has no API version {order.api_version}"
            raise Refusal("unknown-version", detail)
        patched = self._expect(order, raw)
        if not order.force and _is_active(raw):
            detail = f"{order.controller} is still processing the image; wait, or repeat it with ?force=true"
            raise Refusal("image-active", detail)
        return patched

    @asynccontextmanager
    async def _concluding_failures(self, order: PatchRequest, number: int, display: ImageView) -> AsyncIterator[None]:
        """
        Whatever goes wrong before the Controller said yes is the outcome of the intent, and told to the caller.

        Where nobody knows whether it was done, a poll is to tell.
        """
        try:
            yield
        except PollError as error:
            outcome, refusal = judge(order.controller, error)
            ending = Outcome(outcome=outcome, answer=error.status, detail=str(error))
            if outcome == "unknown":
                display.nudge()
            await self._conclude_later(order, number, ending)
            raise refusal from error
        except Refusal as refusal:
            await self._conclude_later(order, number, Outcome(outcome="refused", detail=refusal.detail))
            raise
        except Exception as bug:
            display.nudge()
            await self._conclude_later(order, number, Outcome(outcome="unknown", detail=type(bug).__name__))
            raise

    async def _conclude_later(self, order: PatchRequest, number: int, ending: Outcome) -> None:
        """Now, or when the database is back: the caller has another trouble to hear of."""
        with suppress(StoreError):
            await self._conclude(order, number, ending)

    async def _conclude(
        self, order: PatchRequest, number: int, ending: Outcome, annotating: Annotating | None = None
    ) -> None:
        self._ended(ending.outcome)
        await self._ledger.conclude(number, order.intent, ending, annotating, at=self._now())

    async def _record(self, order: PatchRequest, ending: Outcome) -> None:
        annotating = order.patch.annotating if ending.outcome == "done" else None
        await self._ledger.record(order.intent, ending, annotating, at=self._now())
        self._ended(ending.outcome)


async def _read(writer: ImageWriter, uuid: str) -> bytes:
    """The image as it is now. Raises: Refusal when there is none; PollError."""
    try:
        raw = await writer.get_image(uuid)
    except PollError as error:
        if error.status == 404:
            raise Refusal("no-such-image", "the Controller has no such image any more") from error
        raise
    if not _is_image(raw):
        raise BadAnswer("decode", "the answer is no Image", phase="image")
    return raw


async def _read_back(writer: ImageWriter, uuid: str, reply: bytes) -> bytes | None:
    """The image after the change: as read anew, or as the Controller replied; None when neither is an image."""
    try:
        return await _read(writer, uuid)
    except (PollError, Refusal):
        return reply if _is_image(reply) else None


def _show(raw: bytes | None, display: ImageView) -> None:
    """What the Controller sent, and nothing that we made up; else a poll is to tell."""
    if raw is None:
        display.nudge()
    else:
        display.replaced(raw)


def _expected(ready: PatchResult) -> bytes:
    """The image as read before the change, with what the change makes of it; for the caller, never to be shown."""
    after = {field: after for field, (_, after) in ready.changes.items() if not field.startswith("annotations.")}
    fields = {**content(ready.raw), **after}
    return msgspec.json.encode({field: value for field, value in fields.items() if value is not None})


def _is_image(raw: bytes) -> bool:
    try:
        decode_image(msgspec.Raw(raw))
    except BadImage:
        return False
    return bool(content(raw))


def _is_active(raw: bytes) -> bool:
    image, _ = decode_image(msgspec.Raw(raw))
    return image.active


def _changed(why: str, tag: str) -> Refusal:
    detail = f"the image is not what it was: {why}; read it again and decide anew"
    return Refusal("precondition-failed", detail, headers={"ETag": f'"{tag}"'})


def judge(controller: str, error: PollError) -> tuple[OutcomeKind, Refusal]:
    """What a failed exchange with the Controller means: for the audit, and for the caller."""
    if error.phase == "patch" and isinstance(error, Unanswered | BadAnswer):
        detail = f"the request went to {controller}, and no answer came back ({error.detail}); look at the image"
        return "unknown", Refusal("outcome-unknown", detail)
    if isinstance(error, Unavailable):
        wait = {"Retry-After": str(round(error.retry_after_s or _RETRY_AFTER_S))}
        kind: ProblemKind = "controller-upgrading" if error.reason == "upgrading" else "controller-busy"
        return "refused", Refusal(kind, f"nothing was changed: {controller} says {error.detail}", headers=wait)
    if error.phase == "patch" and error.reason == "http_4xx":
        status = error.status if error.status in THEIRS else 422
        return "refused", Refusal(
            "controller-refused", f"{controller} refused it: {error.detail}", status=status or 422
        )
    if error.phase == "patch" and error.reason == "http_5xx":  # a gateway's 502 tells nothing of who is behind it
        detail = f"{controller} failed ({error.detail}), and may have made the change or not; look at the image"
        return "unknown", Refusal("controller-failed", detail)
    return "failed", Refusal("controller-failed", f"{controller} failed ({error.reason}): {error.detail}")
