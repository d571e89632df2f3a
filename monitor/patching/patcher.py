"""
The write path: one PATCH, from the request to the result.

    audit intent → a fresh read, and the conditions → one change on the Controller → a read → annotations and outcome

A PATCH of annotations alone never leaves this process, and its intent and outcome are one transaction. PATCHes of one
object run one after the other. A PATCH is sent again only after a reply that the session is not valid, on which the
Controller has not acted. Knows nothing of our web server: a PatchProblem carries the problem type and the headers of
the response.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import msgspec

from monitor.avi.image import decode_image
from monitor.avi.values import version_key
from monitor.model.errors import BadAnswer, BadObject, CommitUnknown, PatchProblem, PollError, StoreError
from monitor.model.outcome import OutcomeKind
from monitor.model.tracked import work_id
from monitor.patching.annotations import AnnotationChange, annotate
from monitor.patching.audit import Outcome
from monitor.patching.failures import DEFAULT_RETRY_AFTER_S, classify_failure
from monitor.patching.fields import encode_adjustment, field_changes
from monitor.patching.queue import LOCK_TIMEOUT_S, PatchQueue
from monitor.patching.representation import content, entity_tag
from monitor.patching.request import AuditLog, ImageView, ImageWriter, PatchRequest, PatchResult, WriteTarget
from monitor.polling.fleet import Fleet


class Patcher:
    """
    Applies PATCHes.

    ``targets``: by controller name, as they are now. ``now``: Unix seconds. ``on_outcome``: called with each outcome
    and the id of the request, to count it.
    """

    def __init__(
        self,
        fleet: Fleet,
        audit_log: AuditLog,
        targets: Mapping[str, WriteTarget],
        *,
        now: Callable[[], float],
        on_outcome: Callable[[OutcomeKind, str], None],
        lock_timeout_s: float = LOCK_TIMEOUT_S,
    ) -> None:
        self._fleet = fleet
        self._audit_log = audit_log
        self._targets = targets
        self._now = now
        self._on_outcome = on_outcome
        self._queue = PatchQueue(lock_timeout_s=lock_timeout_s)

    async def apply(self, request: PatchRequest) -> PatchResult:
        """
        Apply one PATCH, after the earlier ones of the same object.

        Raises: PatchProblem; its text says what was changed, if anything.
        """
        async with self._queue.turn(request.controller, request.uuid, client_connected=request.client_connected):
            return await (self._adjust(request) if request.patch.adjustment else self._annotate(request))

    async def drain(self, *, timeout_s: float) -> None:
        """Refuse new requests, and wait until those in flight have ended or the timeout has passed."""
        await self._queue.drain(timeout_s=timeout_s)

    async def _annotate(self, request: PatchRequest) -> PatchResult:
        """Change annotations alone: checked against the object as last polled, without a request to the Controller."""
        try:
            preview = self._preview(request, self._last_polled(request))
        except PatchProblem as problem:
            if not request.dry_run:
                await self._record(request, Outcome(kind="refused", detail=problem.detail))
            raise
        if request.patch.annotations and not request.dry_run:
            view = self._target(request).view
            await self._record(request, Outcome(kind="done", changes=preview.recorded_changes))
            view.update_annotations()
        return preview

    def _target(self, request: PatchRequest) -> WriteTarget:
        """Raises: PatchProblem when a reload has removed the controller in the meantime."""
        target = self._targets.get(request.controller)
        if target is None:
            raise PatchProblem(request.kind.missing, f"the controller {request.controller} is no longer configured")
        return target

    def _last_polled(self, request: PatchRequest) -> bytes:
        entry, kind = self._fleet.entries.get(request.controller), request.kind
        collection = entry.collections.get(kind.resource) if entry else None
        if collection is None or collection.health.stale or request.uuid not in collection.snapshot.objects:
            raise PatchProblem(kind.missing, f"{request.controller} no longer has the {kind.noun} {request.uuid}")
        return bytes(collection.snapshot.object_list.raws[request.uuid])

    def _preview(self, request: PatchRequest, raw: bytes) -> PatchResult:
        """
        Return the changes that the request would make to the object ``raw``; the ``raw`` of the result is the same.

        Raises: PatchProblem when a condition does not hold, or there would be too many annotations.
        """
        before = self._audit_log.annotations_of(request.controller).get(
            work_id(request.uuid, request.operation_key), {}
        )
        found = content(raw)
        modified = str(found.get("_last_modified"))
        tag = entity_tag(raw, request.controller, before)
        patch = request.patch
        if request.if_match is not None and not request.if_match & {tag, "*"}:
            raise _precondition_failed(request, "its ETag is different", tag)
        if patch.last_modified not in {None, modified}:
            raise _precondition_failed(request, f"its _last_modified is {modified}", tag)
        after = annotate(before, patch.annotations) if patch.annotations else before
        changes = {f"annotations.{key}": (before.get(key), after.get(key)) for key in before.keys() | after.keys()}
        changes = {key: pair for key, pair in sorted(changes.items()) if pair[0] != pair[1]}
        if patch.adjustment:
            changes |= field_changes(found, patch.adjustment)
        return PatchResult(raw, after, changes)

    async def _adjust(self, request: PatchRequest) -> PatchResult:
        """Change the image on the Controller, and then the annotations that are part of the request."""
        adjustment, target = request.patch.adjustment, self._target(request)
        writer = target.writer
        assert adjustment is not None  # noqa: S101  apply has checked it
        if request.dry_run:
            return await self._dry_run(request, writer)
        try:
            number = await self._audit_log.begin(request.intent, at=self._now())
        except StoreError as error:
            raise PatchProblem("database-down", f"nothing was changed: the database failed: {error}") from error
        async with self._recording_failures(request, number, target.view):
            preview = await self._check(request, writer)
            body = encode_adjustment(adjustment, content(preview.raw))
            self._require_writer()
            reply = await writer.patch_image(request.uuid, body, api_version=request.api_version)
        raw = await _read_back(writer, request.uuid, reply.body)
        try:
            outcome = Outcome(kind="done", changes=preview.recorded_changes, answer=reply.status)
            await self._finish(request, number, outcome, request.patch.annotations)
        except StoreError as error:
            detail = (
                f"the Controller made the change; the audit and annotations follow when the database works: {error}"
            )
            raise PatchProblem("not-recorded", detail) from error
        finally:
            _show(raw, target.view)
        return msgspec.structs.replace(preview, raw=raw or _apply_changes(preview))

    def _require_writer(self) -> None:
        """The next writer has told the client that the outcome is unknown, and may have been asked again."""
        try:
            self._audit_log.require_writer()
        except StoreError as error:
            raise PatchProblem("database-down", f"nothing was changed: the database failed: {error}") from error

    async def _dry_run(self, request: PatchRequest, writer: ImageWriter) -> PatchResult:
        """Return the image as an adjustment would leave it, as far as we know."""
        try:
            preview = await self._check(request, writer)
        except PollError as error:
            raise classify_failure(request.controller, error)[1] from error
        return msgspec.structs.replace(preview, raw=_apply_changes(preview))

    async def _check(self, request: PatchRequest, writer: ImageWriter) -> PatchResult:
        """
        Read the image from the Controller, and check whether the request can be sent.

        Raises: PatchProblem, PollError.
        """
        entry = self._fleet.entries.get(request.controller)
        if entry and entry.session.under_way:  # a request into a reboot has no known outcome
            detail = f"nothing was changed: {request.controller} is being upgraded, and may be gone at any time"
            raise PatchProblem("controller-upgrading", detail, headers={"Retry-After": str(DEFAULT_RETRY_AFTER_S)})
        raw = await _read(writer, request.uuid)
        version = writer.link.version
        if version and version_key(request.api_version) > version_key(version):
            detail = f"{request.controller} runs {version}, which has no API version {request.api_version}"
            raise PatchProblem("unknown-version", detail)
        preview = self._preview(request, raw)
        if not request.force and _is_active(raw):
            detail = f"{request.controller} is still processing the image; wait, or repeat the request with ?force=true"
            raise PatchProblem("image-active", detail)
        return preview

    @asynccontextmanager
    async def _recording_failures(self, request: PatchRequest, number: int, view: ImageView) -> AsyncIterator[None]:
        """
        Write the outcome of any failure up to the Controller's reply, and refuse the request.

        Where it is unknown whether the change was made, poll soon.
        """
        try:
            yield
        except PollError as error:
            kind, problem = classify_failure(request.controller, error)
            if kind == "unknown":
                view.poll_soon()
            await self._try_finish(request, number, Outcome(kind=kind, answer=error.status, detail=str(error)))
            raise problem from error
        except PatchProblem as problem:
            await self._try_finish(request, number, Outcome(kind="refused", detail=problem.detail))
            raise
        except Exception as bug:
            view.poll_soon()
            await self._try_finish(request, number, Outcome(kind="unknown", detail=type(bug).__name__))
            raise

    async def _try_finish(self, request: PatchRequest, number: int, outcome: Outcome) -> None:
        """Write the outcome, now or when the database is back. The client receives the first failure, not this one."""
        with suppress(StoreError):
            await self._finish(request, number, outcome)

    async def _finish(
        self, request: PatchRequest, number: int, outcome: Outcome, annotations: AnnotationChange | None = None
    ) -> None:
        self._on_outcome(outcome.kind, request.request_id)
        await self._audit_log.finish(number, request.intent, outcome, annotations, at=self._now())

    async def _record(self, request: PatchRequest, outcome: Outcome) -> None:
        annotations = request.patch.annotations if outcome.kind == "done" else None
        try:
            await self._audit_log.record(request.intent, outcome, annotations, at=self._now())
        except StoreError as error:
            if annotations and isinstance(error, CommitUnknown):
                self._on_outcome("unknown", request.request_id)
                see = f"read the {request.kind.noun} again to see whether its annotations were changed"
                raise PatchProblem("outcome-unknown", f"the database failed: {error}; {see}") from error
            raise PatchProblem("database-down", f"nothing was changed: the database failed: {error}") from error
        self._on_outcome(outcome.kind, request.request_id)


async def _read(writer: ImageWriter, uuid: str) -> bytes:
    """Read the image from the Controller. Raises: PatchProblem when it does not exist; PollError."""
    try:
        raw = await writer.get_image(uuid)
    except PollError as error:
        if error.status == 404:
            raise PatchProblem("no-such-image", "the Controller no longer has this image") from error
        raise
    if not _is_image(raw):
        raise BadAnswer("decode", "the reply is not an Image", phase="image")
    return raw


async def _read_back(writer: ImageWriter, uuid: str, reply: bytes) -> bytes | None:
    """Return the image after the change: from a new read, else from the reply; None when neither is an image."""
    try:
        return await _read(writer, uuid)
    except (PollError, PatchProblem):
        return reply if _is_image(reply) else None


def _show(raw: bytes | None, view: ImageView) -> None:
    """Show the image as the Controller sent it, never as computed here; without one, poll soon."""
    if raw is None:
        view.poll_soon()
    else:
        view.replace_image(raw)


def _apply_changes(preview: PatchResult) -> bytes:
    """Compute the image after the change; for the reply to the client only."""
    after = {field: after for field, (_, after) in preview.changes.items() if not field.startswith("annotations.")}
    fields = {**content(preview.raw), **after}
    return msgspec.json.encode({field: value for field, value in fields.items() if value is not None})


def _is_image(raw: bytes) -> bool:
    try:
        decode_image(msgspec.Raw(raw))
    except BadObject:
        return False
    return bool(content(raw))


def _is_active(raw: bytes) -> bool:
    image, _ = decode_image(msgspec.Raw(raw))
    return image.active


def _precondition_failed(request: PatchRequest, why: str, tag: str) -> PatchProblem:
    detail = f"the {request.kind.noun} has changed: {why}; read it again, then decide"
    return PatchProblem("precondition-failed", detail, headers={"ETag": f'"{tag}"'})
