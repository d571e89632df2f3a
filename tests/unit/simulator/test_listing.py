"""Pages, filters, order and projection of the list."""

from typing import Any

import msgspec
import pytest

from monitor.simulator.http_types import ApiError
from monitor.simulator.images import ServedImage
from monitor.simulator.listing import Page, paginate


def served(image: dict[str, Any]) -> ServedImage:
    return ServedImage(image["uuid"], "admin", msgspec.json.encode(image))


IMAGES = [
    served(
        {
            "uuid": f"image-{number}",
            "name": f"Name {number}",
            "type": "IMAGE_TYPE_PATCH" if number % 2 else "IMAGE_TYPE_SYSTEM",
            "progress": 10 - number,
            "uber_bundle": number == 3,
            "img_state": {"state": "IMAGE_FSM_COMPLETED"},
            "tenant_ref": "https://c/api/tenant/admin",
        }
    )
    for number in range(5)
]


def page(query: dict[str, str] | None = None, *, page_size: int = 25) -> Page:
    return paginate(IMAGES, query or {}, page_size=page_size, base="https://c/api/image")


def uuids(query: dict[str, str]) -> list[str]:
    return [str(image.image["uuid"])[-1:] for image in page(query).results]


def test_the_last_page_has_no_next() -> None:
    assert msgspec.json.decode(page().encoded()).keys() == {"count", "results"}


def test_a_page_before_the_last_has_the_url_of_the_next() -> None:
    document = msgspec.json.decode(page({"page_size": "2"}).encoded())
    assert document["count"] == 5
    assert document["next"] == "https://c/api/image?page_size=2&page=2"


def test_the_encoded_page_equals_the_document() -> None:
    one = page({"page_size": "2", "page": "2"})
    assert msgspec.json.decode(one.encoded()) == one.document()


def test_all_pages_together_are_the_list() -> None:
    together = [uuid for number in ("1", "2", "3") for uuid in uuids({"page_size": "2", "page": number})]
    assert together == ["0", "1", "2", "3", "4"]


def test_no_page_is_larger_than_200() -> None:
    images = [served({"uuid": f"image-{number}", "name": "n"}) for number in range(201)]
    assert len(paginate(images, {"page_size": "1000"}, page_size=25, base="").results) == 200


def test_without_page_size_the_default_of_the_controller_applies() -> None:
    assert len(page(page_size=3).results) == 3


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": "Name 2"}, ["2"]),
        ({"uuid": "image-1"}, ["1"]),
        ({"type": "IMAGE_TYPE_PATCH"}, ["1", "3"]),
        ({"name.contains": "me 4"}, ["4"]),
        ({"name.contains": "name"}, []),
        ({"name.icontains": "name 4"}, ["4"]),
        ({"uuid.in": "image-1,image-4"}, ["1", "4"]),
        ({"img_state.state": "IMAGE_FSM_FAILED"}, []),
        ({"img_state.state": "IMAGE_FSM_COMPLETED", "uber_bundle": "true"}, ["3"]),
        ({"no.such.field": "x"}, []),
    ],
    ids=str,
)
def test_filters_select_images(query: dict[str, str], found: list[str]) -> None:
    assert uuids(query) == found


@pytest.mark.parametrize(
    ("sort", "found"),
    [("name", "01234"), ("-name", "43210"), ("progress", "43210"), ("img_state.state", "01234"), ("nothing", "01234")],
)
def test_sort_orders_images(sort: str, found: str) -> None:
    assert "".join(uuids({"sort": sort})) == found


def test_fields_selects_fields_and_always_keeps_uuid_and_name() -> None:
    assert page({"fields": "progress"}).results[0].image.keys() == {"uuid", "name", "progress"}


def test_include_name_adds_names_to_references() -> None:
    assert page({"include_name": "true"}).results[0].image["tenant_ref"] == "https://c/api/tenant/admin#admin"


@pytest.mark.parametrize("query", [{"page": "0"}, {"page": "x"}, {"page_size": "-1"}], ids=str)
def test_a_page_that_is_not_a_positive_number_is_rejected(query: dict[str, str]) -> None:
    with pytest.raises(ApiError) as caught:
        page(query)
    assert caught.value.status == 400
