"""One order at a time, with a Controller and a ledger that do as told: what ends as what, and who is told."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from monitor.avi.client import Link
from monitor.avi.image import decode_image
from monitor.avi.paging import assemble, decode_page
from monitor.model.errors import (
    BadAnswer,
    BadStatus,
    PollError,
    Refusal,
    StoreError,
    Unanswered,
    Unavailable,
    Unreachable,
)
from monitor.model.health import Health
from monitor.model.image import ProgressMark, TrackedImage
from monitor.model.snapshot import ImageList, Snapshot
from monitor.patching.annotations import Annotating
from monitor.patching.audit import Intent, Outcome
from monitor.patching.body import Patch
from monitor.patching.fields import Adjustment
from monitor.patching.patcher import Patcher, judge
from monitor.patching.request import PatchRequest, WriteTarget
from monitor.polling.fleet import Entry, Fleet

IMAGE = {"uuid": "image-1", "name": "old", "_last_modified": "5", "img_state": {"state": "IMAGE_FSM_COMPLETED"}}
RENAME = Patch(adjustment=Adjustment("replace", {"name": "new"}))
NOTE = Patch(Annotating({"a": "b"}))


class InFlightClient:
    """A Controller with one image."""

    def __init__(self, get: Exception | None = None, patch: Exception | None = None) -> None:
        self.link = Link(version="30.2.1", api_version="30.2.1")
        self.image: dict[str, Any] = dict(IMAGE)
        self.sent: list[bytes] = []
        self._get, self._patch = get, patch

    async def get_image(self, _uuid: str) -> bytes:
        if self._get:
            raise self._get
        return msgspec.json.encode(self.image)

    async def patch_image(self, _uuid: str, body: bytes, *, api_version: str) -> bytes:
        assert api_version == "30.2.1"
        self.sent.append(body)
        if self._patch:
            raise self._patch
        self.image |= msgspec.json.decode(body)["replace"]
        return msgspec.json.encode(self.image)


class Written:
    """A ledger that keeps all in a list; ``down``: which of its methods fail."""

    def __init__(self, *down: str) -> None:
        self.endings: list[Outcome] = []
        self.intents: list[Intent] = []
        self.annotations: dict[str, Mapping[str, str]] = {}
        self._down = down

    def annotations_of(self, _controller: str) -> Mapping[str, Mapping[str, str]]:
        return self.annotations

    async def intend(self, intent: Intent, *, at: float) -> int:  # noqa: ARG002
        self._answer("intend")
        self.intents.append(intent)
        return len(self.intents)

    async def conclude(
        self,
        _number: int,
        _intent: Intent,
        ending: Outcome,
        _annotating: Annotating | None,
        *,
        at: float,  # noqa: ARG002
    ) -> None:
        self.endings.append(ending)
        self._answer("conclude")

    async def record(self, intent: Intent, ending: Outcome, _annotating: Annotating | None, *, at: float) -> int:
        self._answer("record")
        await self.intend(intent, at=at)
        self.endings.append(ending)
        return 1

    def _answer(self, method: str) -> None:
        if method in self._down:
            raise StoreError("disk full")


class ImageView:
    """Who counts what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.shown: list[dict[str, Any]] = []

    def annotated(self) -> None:
        self.told.append("annotated")

    def replaced(self, raw: bytes) -> None:
        self.told.append("replaced")
        self.shown.append(msgspec.json.decode(raw))

    def nudge(self) -> None:
        self.told.append("nudged")


def fleet(*images: Mapping[str, object], stale: bool = False) -> Fleet:
    listing = assemble([decode_page(msgspec.json.encode({"results": images}))]) or ImageList()
    tracks = {
        uuid: TrackedImage(decode_image(raw)[0], ProgressMark(b"", 0.0, 0.0), 0.0) for uuid, raw in listing.raws.items()
    }
    found = Fleet()
    found.publish(Entry("dc1", Snapshot(listing=listing, images=tracks), Health(stale=stale), ()))
    return found


class Bench:
    """A patcher and all that it works with."""

    def __init__(
        self, writer: InFlightClient | None = None, ledger: Written | None = None, known: Fleet | None = None
    ) -> None:
        self.writer, self.ledger, self.display = writer or InFlightClient(), ledger or Written(), ImageView()
        self.ended: list[str] = []
        targets = {"dc1": WriteTarget(self.writer, self.display)}
        self.patcher = Patcher(known or fleet(IMAGE), self.ledger, targets, now=lambda: 1.0, ended=self.ended.append)

    async def apply(self, patch: Patch, **how: Any) -> Any:  # noqa: ANN401
        order = PatchRequest(
            controller="dc1",
            uuid="image-1",
            patch=patch,
            api_version="30.2.1",
            actor="bob",
            source="::1",
            request_id="r1",
            **how,
        )
        return await self.patcher.apply(order)

    async def refused(self, patch: Patch, **how: Any) -> Refusal:  # noqa: ANN401
        with pytest.raises(Refusal) as refusal:
            await self.apply(patch, **how)
        return refusal.value


async def test_an_adjustment_is_intended_sent_concluded_and_the_poller_is_nudged() -> None:
    bench = Bench()
    patched = await bench.apply(RENAME)
    assert (msgspec.json.decode(patched.raw)["name"], patched.changes) == ("new", {"name": ("old", "new")})
    assert (bench.ended, bench.display.told) == (["done"], ["replaced"])
    assert bench.ledger.intents[0].asked == {"operation": "replace", "fields": {"name": "new"}, "force": False}


async def test_a_dry_run_of_a_controller_that_is_away_is_told_and_not_recorded() -> None:
    bench = Bench(InFlightClient(get=Unreachable("connect", "refused", phase="image")))
    assert (await bench.refused(RENAME, dry_run=True)).kind == "controller-failed"
    assert (bench.ledger.intents, bench.ended) == ([], [])


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
    ids=["set", "unset", "gain"],
)
async def test_a_dry_run_answers_the_image_as_it_would_be(adjustment: Adjustment, after: dict[str, Any]) -> None:
    bench = Bench()
    bench.writer.image |= {"se_patch_ref": "p"} if adjustment.operation == "delete" else {}
    patched = await bench.apply(Patch(Annotating({"a": "b"}), adjustment), dry_run=True)
    image = msgspec.json.decode(patched.raw)
    assert (image, patched.annotations) == (after, {"a": "b"})
    assert {key: after for key, (_, after) in patched.changes.items()} == {
        "annotations.a": "b",
        **{field: image.get(field) for field in adjustment.fields},
    }
    assert (bench.writer.sent, bench.display.told) == ([], [])


async def test_a_dry_run_whose_condition_does_not_hold_is_told_and_not_recorded() -> None:
    bench = Bench()
    assert (await bench.refused(NOTE, dry_run=True, if_match=frozenset({"x"}))).kind == "precondition-failed"
    assert bench.ledger.intents == []


async def test_a_bug_in_the_middle_is_an_unknown_outcome_and_goes_up() -> None:
    bench = Bench(InFlightClient(patch=ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError):
        await bench.apply(RENAME)
    assert [(ending.outcome, ending.detail) for ending in bench.ledger.endings] == [("unknown", "ZeroDivisionError")]
    assert bench.display.told == ["nudged"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unanswered("timeout", "x", phase="patch"), ["nudged"]),
        (BadStatus("http_5xx", "x", phase="patch", status=502), ["nudged"]),
        (BadStatus("http_4xx", "x", phase="patch", status=400), []),
        (Unreachable("connect", "x", phase="patch"), []),
    ],
    ids=["no-answer", "gateway", "refused", "never-sent"],
)
@pytest.mark.parametrize("down", [(), ("conclude",)], ids=["recorded", "database-down"])
async def test_where_nobody_knows_whether_it_was_done_a_poll_is_to_tell(
    error: PollError, told: list[str], down: tuple[str, ...]
) -> None:
    bench = Bench(InFlightClient(patch=error), Written(*down))
    await bench.refused(RENAME)
    assert bench.display.told == told


async def test_whoever_waits_too_long_for_a_turn_is_told_that_nothing_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.patching.patcher._TURN_S", 0.0)
    slow = Slow()
    bench = Bench(slow)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.apply(RENAME))
        await slow.began.wait()
        refusal = await bench.refused(NOTE)
        slow.goes_on.set()
    assert (refusal.kind, bench.ended) == ("image-busy", ["done"])


class Slow(InFlightClient):
    """A Controller that answers when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.goes_on = asyncio.Event(), asyncio.Event()

    async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> bytes:
        self.began.set()
        await self.goes_on.wait()
        return await super().patch_image(uuid, body, api_version=api_version)


async def test_whoever_has_gone_has_nothing_done() -> None:
    bench = Bench()
    assert (await bench.refused(RENAME, wanted=lambda: False)).kind == "client-closed-request"
    assert (bench.ledger.intents, bench.writer.sent) == ([], [])


async def test_at_the_end_the_one_under_way_is_waited_for_and_no_other_is_taken() -> None:
    slow = Slow()
    bench = Bench(slow)
    async with asyncio.TaskGroup() as tasks:
        order = tasks.create_task(bench.apply(RENAME))
        await slow.began.wait()
        await bench.patcher.drain(limit_s=0.0)
        waiting = tasks.create_task(bench.refused(NOTE))
        end = tasks.create_task(bench.patcher.drain(limit_s=10.0))
        slow.goes_on.set()
    assert order.result().changes == {"name": ("old", "new")}
    assert (waiting.result().kind, end.done(), bench.ended) == ("shutting-down", True, ["done"])


async def test_without_an_intent_nothing_is_sent() -> None:
    bench = Bench(ledger=Written("intend"))
    assert (await bench.refused(RENAME)).kind == "database-down"
    assert (bench.writer.sent, bench.ended) == ([], [])


async def test_an_outcome_that_cannot_be_written_does_not_hide_the_controllers_refusal() -> None:
    refused = BadStatus("http_4xx", "409 taken", phase="patch", status=409)
    bench = Bench(InFlightClient(patch=refused), Written("conclude"))
    refusal = await bench.refused(RENAME)
    assert (refusal.kind, refusal.status, bench.ended) == ("controller-refused", 409, ["refused"])


async def test_a_success_that_cannot_be_written_says_that_it_was_done() -> None:
    bench = Bench(ledger=Written("conclude"))
    refusal = await bench.refused(RENAME)
    assert refusal.kind == "not-recorded"
    assert "the Controller took the adjustment" in refusal.detail
    assert (bench.ended, bench.display.told) == (["done"], ["replaced"])


@pytest.mark.parametrize("known", [fleet(), fleet(IMAGE, stale=True)], ids=["vanished", "stale"])
async def test_an_image_that_went_while_an_annotation_waited_is_not_annotated(known: Fleet) -> None:
    bench = Bench(known=known)
    assert (await bench.refused(NOTE)).kind == "no-such-image"
    assert [ending.outcome for ending in bench.ledger.endings] == ["refused"]


async def test_when_the_image_cannot_be_read_back_the_controllers_answer_is_shown() -> None:
    class Once(InFlightClient):
        async def get_image(self, uuid: str) -> bytes:
            if self.sent:
                raise Unreachable("connect", "gone", phase="image")
            return await super().get_image(uuid)

    bench = Bench(Once())
    assert msgspec.json.decode((await bench.apply(RENAME)).raw)["name"] == "new"
    assert [image["name"] for image in bench.display.shown] == ["new"]


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b'{"name": "x', b"\xff"])
async def test_an_answer_that_is_no_image_is_never_shown_for_one(answer: bytes) -> None:
    class Odd(InFlightClient):
        async def get_image(self, uuid: str) -> bytes:
            if self.sent:
                raise Unreachable("connect", "gone", phase="image")
            return await super().get_image(uuid)

        async def patch_image(self, uuid: str, body: bytes, *, api_version: str) -> bytes:
            await super().patch_image(uuid, body, api_version=api_version)
            return answer

    bench = Bench(Odd())
    patched = await bench.apply(RENAME)
    assert msgspec.json.decode(patched.raw) == {**IMAGE, "name": "new"}, "as far as the caller can be told"
    assert bench.display.told == ["nudged"], "nothing that no Controller sent is put on display"


@pytest.mark.parametrize("body", [b"[]", b"5", b"<html>", b'{"name": 5}', b"{}"])
async def test_what_is_no_image_is_not_changed(body: bytes) -> None:
    class Odd(InFlightClient):
        async def get_image(self, _uuid: str) -> bytes:
            return body

    bench = Bench(Odd())
    assert (await bench.refused(RENAME)).kind == "controller-failed"
    assert bench.writer.sent == []


@pytest.mark.parametrize(
    ("error", "outcome", "kind", "status"),
    [
        (Unanswered("timeout", "x", phase="patch"), "unknown", "outcome-unknown", 0),
        (Unanswered("connect", "x", phase="patch"), "unknown", "outcome-unknown", 0),
        (BadAnswer("oversize", "x", phase="patch"), "unknown", "outcome-unknown", 0),
        (Unanswered("timeout", "x", phase="image"), "failed", "controller-failed", 0),
        (Unanswered("timeout", "x", phase="login"), "failed", "controller-failed", 0),
        (Unreachable("dns", "x", phase="patch"), "failed", "controller-failed", 0),
        (Unavailable("upgrading", "x", phase="patch", status=403), "refused", "controller-upgrading", 0),
        (Unavailable("throttled", "x", phase="image", status=429), "refused", "controller-busy", 0),
        (BadStatus("http_4xx", "x", phase="patch", status=400), "refused", "controller-refused", 400),
        (BadStatus("http_4xx", "x", phase="patch", status=405), "refused", "controller-refused", 422),
        (BadStatus("http_4xx", "x", phase="image", status=400), "failed", "controller-failed", 0),
        (BadStatus("http_5xx", "x", phase="patch", status=502), "unknown", "controller-failed", 0),
        (BadStatus("http_5xx", "x", phase="image", status=500), "failed", "controller-failed", 0),
        (BadStatus("auth", "x", phase="patch", status=401), "failed", "controller-failed", 0),
        (BadStatus("redirect", "x", phase="patch", status=302), "failed", "controller-failed", 0),
    ],
    ids=str,
)
def test_what_a_failed_exchange_means(error: PollError, outcome: str, kind: str, status: int) -> None:
    found, refusal = judge("dc1", error)
    assert (found, refusal.kind, refusal.status) == (outcome, kind, status)
    assert "dc1" in refusal.detail


def test_a_retry_after_of_the_controllers_is_passed_on() -> None:
    wait: Callable[[float], str] = lambda seconds: judge(  # noqa: E731
        "dc1", Unavailable("upgrading", "x", phase="patch", retry_after_s=seconds)
    )[1].headers["Retry-After"]
    assert (wait(0.0), wait(7.0)) == ("30", "7")
