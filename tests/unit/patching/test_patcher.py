"""One PATCH after the other, on a fake Controller and audit log: the outcomes, and what is shown."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from monitor.avi.errors import Reply
from monitor.avi.image import decode_image
from monitor.avi.link import Link
from monitor.avi.paging import assemble, decode_page
from monitor.model.errors import (
    BadStatus,
    CommitUnknown,
    PatchProblem,
    PollError,
    StoreError,
    Unanswered,
    Unreachable,
)
from monitor.model.health import ReadHealth
from monitor.model.image import TrackedImage
from monitor.model.snapshot import ObjectList
from monitor.model.tracked import ProgressMark
from monitor.patching.annotations import AnnotationChange
from monitor.patching.audit import Intent, Outcome
from monitor.patching.body import Patch
from monitor.patching.fields import Adjustment
from monitor.patching.kinds import UNIT
from monitor.patching.patcher import Patcher
from monitor.patching.queue import LOCK_TIMEOUT_S
from monitor.patching.request import PatchRequest, WriteTarget
from monitor.polling.fleet import Fleet
from tests.support.polling import entry_of

IMAGE = {"uuid": "image-1", "name": "old", "_last_modified": "5", "img_state": {"state": "IMAGE_FSM_COMPLETED"}}
RENAME = Patch(adjustment=Adjustment("replace", {"name": "new"}))
NOTE = Patch(AnnotationChange({"a": "b"}))


class FakeController:
    """A Controller with one image; ``get`` and ``patch``: errors that these requests raise. ``status``: of a PATCH."""

    def __init__(self, get: Exception | None = None, patch: Exception | None = None, *, status: int = 200) -> None:
        self.link = Link(version="30.2.1", api_version="30.2.1")
        self.image: dict[str, Any] = dict(IMAGE)
        self.sent: list[bytes] = []
        self._get, self._patch, self._status = get, patch, status

    async def get_image(self, _uuid: str) -> bytes:
        if self._get:
            raise self._get
        return msgspec.json.encode(self.image)

    async def patch_image(self, _uuid: str, body: bytes, *, api_version: str) -> Reply:
        assert api_version == "30.2.1"
        self.sent.append(body)
        if self._patch:
            raise self._patch
        self.image |= msgspec.json.decode(body)["replace"]
        return Reply(self._status, {}, msgspec.json.encode(self.image))


class FakeAuditLog:
    """An audit log in lists; ``failing``: the methods that fail, with ``error``."""

    def __init__(self, *failing: str, error: StoreError | None = None) -> None:
        self.outcomes: list[Outcome] = []
        self.intents: list[Intent] = []
        self.annotations: dict[str, Mapping[str, str]] = {}
        self._failing = failing
        self._error = error or StoreError("disk full")

    def annotations_of(self, _controller: str) -> Mapping[str, Mapping[str, str]]:
        return self.annotations

    async def begin(self, intent: Intent, *, at: float) -> int:  # noqa: ARG002
        self._fail_if_told("begin")
        self.intents.append(intent)
        return len(self.intents)

    async def finish(
        self,
        _number: int,
        _intent: Intent,
        outcome: Outcome,
        _annotations: AnnotationChange | None,
        *,
        at: float,  # noqa: ARG002
    ) -> None:
        self.outcomes.append(outcome)
        self._fail_if_told("finish")

    def require_writer(self) -> None:
        self._fail_if_told("require_writer")

    async def record(
        self, intent: Intent, outcome: Outcome, _annotations: AnnotationChange | None, *, at: float
    ) -> int:
        self._fail_if_told("record")
        await self.begin(intent, at=at)
        self.outcomes.append(outcome)
        return 1

    def _fail_if_told(self, method: str) -> None:
        if method in self._failing:
            raise self._error


class FakeView:
    """Records its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.shown: list[dict[str, Any]] = []

    def update_annotations(self) -> None:
        self.calls.append("annotated")

    def replace_image(self, raw: bytes) -> None:
        self.calls.append("replaced")
        self.shown.append(msgspec.json.decode(raw))

    def poll_soon(self) -> None:
        self.calls.append("nudge")


def fleet(*images: Mapping[str, object], stale: bool = False) -> Fleet:
    listing = assemble([decode_page(msgspec.json.encode({"results": images}))]) or ObjectList()
    tracks = {
        uuid: TrackedImage(decode_image(raw)[0], ProgressMark(b"", 0.0, 0.0), 0.0) for uuid, raw in listing.raws.items()
    }
    found = Fleet()
    found.publish(entry_of("dc1", tracks, read=ReadHealth(stale=stale), object_list=listing))
    return found


class Bench:
    """A patcher and the fakes that it works with."""

    def __init__(
        self,
        writer: FakeController | None = None,
        audit_log: FakeAuditLog | None = None,
        known: Fleet | None = None,
        *,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
    ) -> None:
        self.writer, self.audit_log, self.view = writer or FakeController(), audit_log or FakeAuditLog(), FakeView()
        self.outcomes: list[str] = []
        self.targets = {"dc1": WriteTarget(self.writer, self.view)}
        self.patcher = Patcher(
            known or fleet(IMAGE),
            self.audit_log,
            self.targets,
            now=lambda: 1.0,
            on_outcome=lambda outcome, _request_id: self.outcomes.append(outcome),
            lock_timeout_s=lock_timeout_s,
        )

    async def apply(self, patch: Patch, **how: Any) -> Any:  # noqa: ANN401
        request = PatchRequest(
            controller="dc1",
            uuid="image-1",
            patch=patch,
            api_version="30.2.1",
            actor="bob",
            source="::1",
            request_id="r1",
            **how,
        )
        return await self.patcher.apply(request)

    async def refused(self, patch: Patch, **how: Any) -> PatchProblem:  # noqa: ANN401
        with pytest.raises(PatchProblem) as refusal:
            await self.apply(patch, **how)
        return refusal.value


async def test_an_adjustment_is_recorded_sent_finished_and_shown() -> None:
    bench = Bench()
    patched = await bench.apply(RENAME)
    assert (msgspec.json.decode(patched.raw)["name"], patched.changes) == ("new", {"name": ("old", "new")})
    assert (bench.outcomes, bench.view.calls) == (["done"], ["replaced"])
    assert bench.audit_log.intents[0].asked == {"operation": "replace", "fields": {"name": "new"}, "force": False}


@pytest.mark.parametrize("status", [200, 202])
async def test_the_audit_records_the_status_that_the_controller_sent(status: int) -> None:
    bench = Bench(FakeController(status=status))
    await bench.apply(RENAME)
    assert [outcome.answer for outcome in bench.audit_log.outcomes] == [status]


async def test_a_dry_run_on_an_unreachable_controller_is_refused_and_not_recorded() -> None:
    bench = Bench(FakeController(get=Unreachable("connect", "refused", phase="image")))
    assert (await bench.refused(RENAME, dry_run=True)).kind == "controller-failed"
    assert (bench.audit_log.intents, bench.outcomes) == ([], [])


@pytest.mark.parametrize(
    ("adjustment", "after"),
    [
        (Adjustment("replace", {"name": "new", "type": "T"}), {**IMAGE, "name": "new", "type": "T"}),
        (Adjustment("delete", {"se_patch_ref": None}), IMAGE),
        (
            Adjustment("add", {"cloud_info_values": [{"cloud_name": "a"}]}),
            {**IMAGE, "cloud_info_values": [{"cloud_name": "a"}]},
        ),
    ],
    ids=["set", "unset", "add-entry"],
)
async def test_a_dry_run_returns_the_image_as_it_would_be(adjustment: Adjustment, after: dict[str, Any]) -> None:
    bench = Bench()
    bench.writer.image |= {"se_patch_ref": "p"} if adjustment.operation == "delete" else {}
    patched = await bench.apply(Patch(AnnotationChange({"a": "b"}), adjustment), dry_run=True)
    image = msgspec.json.decode(patched.raw)
    assert (image, patched.annotations) == (after, {"a": "b"})
    assert {key: after for key, (_, after) in patched.changes.items()} == {
        "annotations.a": "b",
        **{field: image.get(field) for field in adjustment.fields},
    }
    assert (bench.writer.sent, bench.view.calls) == ([], [])


async def test_a_dry_run_whose_condition_does_not_hold_is_refused_and_not_recorded() -> None:
    bench = Bench()
    assert (await bench.refused(NOTE, dry_run=True, if_match=frozenset({"x"}))).kind == "precondition-failed"
    assert bench.audit_log.intents == []


async def test_an_unexpected_exception_is_an_unknown_outcome_and_is_raised() -> None:
    bench = Bench(FakeController(patch=ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError):
        await bench.apply(RENAME)
    assert [(outcome.kind, outcome.detail) for outcome in bench.audit_log.outcomes] == [
        ("unknown", "ZeroDivisionError")
    ]
    assert bench.view.calls == ["nudge"]


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (Unanswered("timeout", "x", phase="patch"), ["nudge"]),
        (BadStatus("http_5xx", "x", phase="patch", status=502), ["nudge"]),
        (BadStatus("http_4xx", "x", phase="patch", status=400), []),
        (Unreachable("connect", "x", phase="patch"), []),
    ],
    ids=["no-reply", "gateway", "refused", "never-sent"],
)
@pytest.mark.parametrize("failing", [(), ("finish",)], ids=["recorded", "database-down"])
async def test_an_unknown_outcome_triggers_a_poll(error: PollError, calls: list[str], failing: tuple[str, ...]) -> None:
    bench = Bench(FakeController(patch=error), FakeAuditLog(*failing))
    await bench.refused(RENAME)
    assert bench.view.calls == calls


async def test_a_patch_that_waits_too_long_for_the_lock_changes_nothing() -> None:
    slow = SlowController()
    bench = Bench(slow, lock_timeout_s=0.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.apply(RENAME))
        await slow.received.wait()
        refusal = await bench.refused(NOTE)
        slow.go_on.set()
    assert (refusal.kind, bench.outcomes) == ("image-busy", ["done"])


class SlowController(FakeController):
    """A Controller that replies when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.received, self.go_on = asyncio.Event(), asyncio.Event()

    async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> Reply:
        self.received.set()
        await self.go_on.wait()
        return await super().patch_image(uuid, body, api_version=api_version)


async def test_a_disconnected_client_has_nothing_changed() -> None:
    bench = Bench()
    assert (await bench.refused(RENAME, client_connected=lambda: False)).kind == "client-closed-request"
    assert (bench.audit_log.intents, bench.writer.sent) == ([], [])


async def test_at_shutdown_the_patch_in_flight_finishes_and_no_other_starts() -> None:
    slow = SlowController()
    bench = Bench(slow)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(bench.apply(RENAME))
        await slow.received.wait()
        await bench.patcher.drain(timeout_s=0.0)
        waiting = tasks.create_task(bench.refused(NOTE))
        end = tasks.create_task(bench.patcher.drain(timeout_s=10.0))
        slow.go_on.set()
    assert first.result().changes == {"name": ("old", "new")}
    assert (waiting.result().kind, end.done(), bench.outcomes) == ("shutting-down", True, ["done"])


async def test_without_an_intent_nothing_is_sent() -> None:
    bench = Bench(audit_log=FakeAuditLog("begin"))
    assert (await bench.refused(RENAME)).kind == "database-down"
    assert (bench.writer.sent, bench.outcomes) == ([], [])


async def test_a_daemon_that_lost_its_lock_after_the_intent_sends_nothing() -> None:
    """The next writer has recorded the change as unknown, and the client may have repeated it there."""
    bench = Bench(audit_log=FakeAuditLog("require_writer"))
    assert (await bench.refused(RENAME)).kind == "database-down"
    assert (bench.writer.sent, bench.outcomes) == ([], ["refused"])


async def test_an_outcome_that_cannot_be_written_does_not_hide_the_refusal_of_the_controller() -> None:
    refused = BadStatus("http_4xx", "409 taken", phase="patch", status=409)
    bench = Bench(FakeController(patch=refused), FakeAuditLog("finish"))
    refusal = await bench.refused(RENAME)
    assert (refusal.kind, refusal.status, bench.outcomes) == ("controller-refused", 409, ["refused"])


async def test_a_success_that_cannot_be_recorded_says_that_the_change_was_made() -> None:
    bench = Bench(audit_log=FakeAuditLog("finish"))
    refusal = await bench.refused(RENAME)
    assert refusal.kind == "not-recorded"
    assert "the Controller made the change" in refusal.detail
    assert (bench.outcomes, bench.view.calls) == (["done"], ["replaced"])


@pytest.mark.parametrize("known", [fleet(), fleet(IMAGE, stale=True)], ids=["vanished", "stale"])
async def test_an_image_that_vanished_while_an_annotation_waited_is_not_annotated(known: Fleet) -> None:
    bench = Bench(known=known)
    assert (await bench.refused(NOTE)).kind == "no-such-image"
    assert [outcome.kind for outcome in bench.audit_log.outcomes] == ["refused"]


async def test_a_unit_that_is_no_longer_watched_is_not_annotated() -> None:
    bench = Bench()
    refusal = await bench.refused(NOTE, kind=UNIT, operation_key="1.000")
    assert (refusal.kind, refusal.detail) == ("no-such-unit", "dc1 no longer has the unit image-1")
    assert [intent.work_id for intent in bench.audit_log.intents] == ["image-1@1.000"]


async def test_the_operation_that_the_client_saw_is_annotated_though_another_one_has_begun() -> None:
    """Else an acknowledgement of what has failed would silence what comes next."""
    known = fleet(IMAGE)
    units = known.entries["dc1"].collections["image"]
    known.publish(msgspec.structs.replace(known.entries["dc1"], collections={"upgrade": units}))
    audit_log = FakeAuditLog()
    audit_log.annotations = {"image-1@1.000": {"old": "1"}, "image-1@2.000": {"new": "2"}}
    bench = Bench(audit_log=audit_log, known=known)
    patched = await bench.apply(NOTE, kind=UNIT, operation_key="1.000")
    assert patched.annotations == {"old": "1", "a": "b"}
    assert [intent.work_id for intent in audit_log.intents] == ["image-1@1.000"]
    assert bench.writer.sent == []


async def test_an_annotation_that_was_written_is_a_success_even_if_a_reload_removed_the_controller_meanwhile() -> None:
    class Reloading(FakeAuditLog):
        async def record(self, *args: Any, **options: Any) -> int:  # noqa: ANN401  passed on
            bench.targets.clear()
            return await super().record(*args, **options)

    bench = Bench(audit_log=Reloading())
    assert (await bench.apply(NOTE)).annotations == {"a": "b"}
    assert (bench.outcomes, bench.view.calls) == (["done"], ["annotated"])


async def test_an_annotation_whose_write_failed_before_its_commit_changed_nothing() -> None:
    refusal = await Bench(audit_log=FakeAuditLog("record")).refused(NOTE)
    assert (refusal.kind, refusal.detail) == (
        "database-down",
        "nothing was changed: the database failed: disk full",
    )


async def test_when_the_image_cannot_be_read_back_the_reply_of_the_controller_is_shown() -> None:
    class ReadOnce(FakeController):
        async def get_image(self, uuid: str) -> bytes:
            if self.sent:
                raise Unreachable("connect", "gone", phase="image")
            return await super().get_image(uuid)

    bench = Bench(ReadOnce())
    assert msgspec.json.decode((await bench.apply(RENAME)).raw)["name"] == "new"
    assert [image["name"] for image in bench.view.shown] == ["new"]


@pytest.mark.parametrize("reply", [b"", b"[]", b"<html>", b'{"name": "x', b"\xff"])
async def test_a_reply_that_is_not_an_image_is_never_shown(reply: bytes) -> None:
    class Odd(FakeController):
        async def get_image(self, uuid: str) -> bytes:
            if self.sent:
                raise Unreachable("connect", "gone", phase="image")
            return await super().get_image(uuid)

        async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> Reply:
            accepted = await super().patch_image(uuid, body, api_version=api_version)
            return msgspec.structs.replace(accepted, body=reply)

    bench = Bench(Odd())
    patched = await bench.apply(RENAME)
    assert msgspec.json.decode(patched.raw) == {**IMAGE, "name": "new"}, "computed for the client"
    assert bench.view.calls == ["nudge"], "only what a Controller sent is shown"


@pytest.mark.parametrize("body", [b"[]", b"5", b"<html>", b'{"name": 5}', b"{}"])
async def test_an_object_that_is_not_an_image_is_not_changed(body: bytes) -> None:
    class Odd(FakeController):
        async def get_image(self, _uuid: str) -> bytes:
            return body

    bench = Bench(Odd())
    assert (await bench.refused(RENAME)).kind == "controller-failed"
    assert bench.writer.sent == []


async def test_annotations_that_may_have_been_committed_have_an_unknown_outcome() -> None:
    bench = Bench(audit_log=FakeAuditLog("record", error=CommitUnknown("connection was closed")))
    refusal = await bench.refused(NOTE)
    assert (refusal.kind, bench.outcomes) == ("outcome-unknown", ["unknown"])
    assert refusal.detail == (
        "the database failed: connection was closed; read the image again to see whether its annotations were changed"
    )


async def test_a_refused_annotation_changed_nothing_whether_its_record_was_committed_or_not() -> None:
    bench = Bench(audit_log=FakeAuditLog("record", error=CommitUnknown("connection was closed")))
    refusal = await bench.refused(NOTE, if_match=frozenset({"another"}))
    assert (refusal.kind, bench.outcomes) == ("database-down", [])
    assert refusal.detail == "nothing was changed: the database failed: connection was closed"
