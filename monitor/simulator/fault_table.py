"""Every kind of fault, one row each: its name, and the one place in a request's way where it strikes."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from monitor.simulator import fault_delivery, fault_images, fault_replies
from monitor.simulator.fault_delivery import Delivery
from monitor.simulator.fault_images import each
from monitor.simulator.fault_replies import Scene
from monitor.simulator.faults import Fault
from monitor.simulator.http_types import Json

Before: TypeAlias = Callable[[Scene, Fault], Awaitable[Delivery | None]]
InImages: TypeAlias = Callable[[list[Any], Fault], list[Any]]
InEnvelope: TypeAlias = Callable[[Json, Fault, int], Json]
OnTheWay: TypeAlias = Callable[[Delivery, Fault], Delivery]

BEFORE: dict[str, Before] = {
    "latency": fault_replies.latency,
    "hang": fault_replies.hang,
    "close": fault_replies.close,
    "session_expiry": fault_replies.session_expiry,
    "csrf_rotation": fault_replies.csrf_rotation,
    "clock_jump": fault_replies.clock_jump,
    "unauthorized": fault_replies.unauthorized,
    "switch_session": fault_replies.switch_session,
    "forbidden_upgrade": fault_replies.forbidden_upgrade,
    "html_502": fault_replies.html_502,
    "html_503": fault_replies.html_503,
    "http_500": fault_replies.http_500,
    "too_many_requests": fault_replies.too_many_requests,
    "redirect": fault_replies.redirect,
    "empty_body": fault_replies.empty_body,
}
IN_IMAGES: dict[str, InImages] = {
    "wrong_types": each(fault_images.wrong_types),
    "unknown_enum": each(fault_images.unknown_enum),
    "unknown_fields": each(fault_images.unknown_fields),
    "absent_fields": each(fault_images.absent_fields),
    "missing_events": each(fault_images.missing_events),
    "null_fields": each(fault_images.null_fields),
    "not_an_object": each(fault_images.not_an_object),
    "time_format": each(fault_images.time_format),
    "duplicate_uuids": fault_images.duplicate_uuids,
}
IN_ENVELOPE: dict[str, InEnvelope] = {
    "shrinking_pages": fault_images.shrinking_pages,
    "varying_count": fault_images.varying_count,
    "not_a_list": fault_images.not_a_list,
}
ON_THE_WAY: dict[str, OnTheWay] = {
    "drip_feed": fault_delivery.drip_feed,
    "slow_reply": fault_delivery.slow_reply,
    "reset": fault_delivery.reset,
    "short_body": fault_delivery.short_body,
    "lost_reply": fault_delivery.lost_reply,
    "truncated_json": fault_delivery.truncated_json,
    "invalid_json": fault_delivery.invalid_json,
    "invalid_utf8": fault_delivery.invalid_utf8,
    "oversized_body": fault_delivery.oversized_body,
    "gzip_bomb": fault_delivery.gzip_bomb,
    "wrong_content_type": fault_delivery.wrong_content_type,
}
FAULT_KINDS = frozenset(BEFORE | IN_IMAGES | IN_ENVELOPE | ON_THE_WAY)


async def struck_before(scene: Scene, hits: tuple[Fault, ...]) -> Delivery | None:
    """Let the faults before the work happen, in order, until one of them answers."""
    for fault in hits:
        if fault.kind in BEFORE and (instead := await BEFORE[fault.kind](scene, fault)):
            return instead
    return None


def alters(hits: tuple[Fault, ...]) -> bool:
    """Whether any of them changes what is said, so that ready bytes will not do."""
    return any(fault.kind in IN_IMAGES or fault.kind in IN_ENVELOPE for fault in hits)


def altered_images(images: list[Any], hits: tuple[Fault, ...]) -> list[Any]:
    """The images with every fault applied that touches images; the ones given stay as they are."""
    for fault in hits:
        images = IN_IMAGES[fault.kind](images, fault) if fault.kind in IN_IMAGES else images
    return images


def altered_envelope(envelope: Json, hits: tuple[Fault, ...], page: int) -> Json:
    """Images are altered on the first page only, unless the fault means all."""
    first_page = tuple(fault for fault in hits if page == 1 or fault.all)
    envelope = {**envelope, "results": altered_images(envelope["results"], first_page)}
    for fault in hits:
        envelope = IN_ENVELOPE[fault.kind](envelope, fault, page) if fault.kind in IN_ENVELOPE else envelope
    return envelope


def struck_on_the_way(sent: Delivery, hits: tuple[Fault, ...]) -> Delivery:
    """The delivery with every fault applied that happens after the work is done."""
    for fault in hits:
        sent = ON_THE_WAY[fault.kind](sent, fault) if fault.kind in ON_THE_WAY else sent
    return sent
