"""
Every kind of fault, one row each, in the table of the point at which it acts.

A new kind is a function in ``fault_responses``, ``fault_images`` or ``fault_delivery``, and a row here.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from monitor.simulator import fault_delivery, fault_images, fault_responses
from monitor.simulator.fault_delivery import Delivery
from monitor.simulator.fault_images import for_each_image
from monitor.simulator.fault_responses import FaultContext
from monitor.simulator.faults import Fault
from monitor.simulator.http_types import Json

FaultBefore: TypeAlias = Callable[[FaultContext, Fault], Awaitable[Delivery | None]]
FaultInImages: TypeAlias = Callable[[list[Any], Fault], list[Any]]
FaultInPage: TypeAlias = Callable[[Json, Fault, int], Json]
FaultInDelivery: TypeAlias = Callable[[Delivery, Fault], Delivery]

BEFORE: dict[str, FaultBefore] = {
    "latency": fault_responses.latency,
    "hang": fault_responses.hang,
    "close": fault_responses.close,
    "session_expiry": fault_responses.session_expiry,
    "csrf_rotation": fault_responses.csrf_rotation,
    "clock_jump": fault_responses.clock_jump,
    "unauthorized": fault_responses.unauthorized,
    "switch_session": fault_responses.switch_session,
    "forbidden_upgrade": fault_responses.forbidden_upgrade,
    "html_502": fault_responses.html_502,
    "html_503": fault_responses.html_503,
    "http_500": fault_responses.http_500,
    "bad_request": fault_responses.bad_request,
    "too_many_requests": fault_responses.too_many_requests,
    "redirect": fault_responses.redirect,
    "empty_body": fault_responses.empty_body,
}
IN_IMAGES: dict[str, FaultInImages] = {
    "wrong_types": for_each_image(fault_images.wrong_types),
    "unknown_enum": for_each_image(fault_images.unknown_enum),
    "unknown_fields": for_each_image(fault_images.unknown_fields),
    "absent_fields": for_each_image(fault_images.absent_fields),
    "missing_events": for_each_image(fault_images.missing_events),
    "null_fields": for_each_image(fault_images.null_fields),
    "not_an_object": for_each_image(fault_images.not_an_object),
    "time_format": for_each_image(fault_images.time_format),
    "duplicate_uuids": fault_images.duplicate_uuids,
}
IN_PAGE: dict[str, FaultInPage] = {
    "shrinking_pages": fault_images.shrinking_pages,
    "varying_count": fault_images.varying_count,
    "not_a_list": fault_images.not_a_list,
}
IN_DELIVERY: dict[str, FaultInDelivery] = {
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
    "extra_cookies": fault_delivery.extra_cookies,
    "interim_replies": fault_delivery.interim_replies,
    "wrong_date": fault_delivery.wrong_date,
}
FAULT_KINDS = frozenset(BEFORE | IN_IMAGES | IN_PAGE | IN_DELIVERY)


async def apply_before(context: FaultContext, faults: tuple[Fault, ...]) -> Delivery | None:
    """Apply the faults that act before the request is handled, in order, until one of them returns a response."""
    for fault in faults:
        if fault.kind in BEFORE and (instead := await BEFORE[fault.kind](context, fault)):
            return instead
    return None


def changes_content(faults: tuple[Fault, ...]) -> bool:
    """Whether any of the faults changes the document, so that the encoded images cannot be sent as they are."""
    return any(fault.kind in IN_IMAGES or fault.kind in IN_PAGE for fault in faults)


def change_images(images: list[Any], faults: tuple[Fault, ...]) -> list[Any]:
    """Return the images with every fault applied that acts on images; the images passed in are not changed."""
    for fault in faults:
        images = IN_IMAGES[fault.kind](images, fault) if fault.kind in IN_IMAGES else images
    return images


def change_page(page: Json, faults: tuple[Fault, ...], number: int) -> Json:
    """Return one page of a list with the faults applied; images change on the first page only, unless ``fault.all``."""
    for_images = tuple(fault for fault in faults if number == 1 or fault.all)
    page = {**page, "results": change_images(page["results"], for_images)}
    for fault in faults:
        page = IN_PAGE[fault.kind](page, fault, number) if fault.kind in IN_PAGE else page
    return page


def apply_to_delivery(delivery: Delivery, faults: tuple[Fault, ...]) -> Delivery:
    """Return the delivery with every fault applied that acts while the response is sent."""
    for fault in faults:
        delivery = IN_DELIVERY[fault.kind](delivery, fault) if fault.kind in IN_DELIVERY else delivery
    return delivery
