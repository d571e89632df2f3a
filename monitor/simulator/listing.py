"""Filters, sorts and projects the images of a list, and cuts it into pages. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from monitor.simulator.http_types import ApiError, Json, encode
from monitor.simulator.images import ServedImage

MAX_PAGE_SIZE = 200
LIST_OPTIONS = frozenset({"page", "page_size", "sort", "fields", "include_name", "skip_default", "limit_by"})
ALWAYS_INCLUDED = ("name", "url", "uuid")  # with any ``fields``


@dataclass(frozen=True, slots=True)
class Page:
    """One page. ``count``: of all pages together; ``next``: the URL of the next page, None on the last one."""

    count: int
    results: list[ServedImage]
    next: str | None

    def encoded(self) -> bytes:
        """Return the body, joined from the encoded images."""
        tail = b',"next":' + encode(self.next) if self.next else b""
        results = b",".join([served.encoded for served in self.results])
        return b'{"count":%d,"results":[' % self.count + results + b"]" + tail + b"}"

    def document(self) -> Json:
        """Return the page as an object that the caller may change."""
        plain: Json = {"count": self.count, "results": [served.image for served in self.results]}
        return {**plain, "next": self.next} if self.next else plain


def paginate(images: list[ServedImage], query: Mapping[str, str], *, page_size: int, base: str) -> Page:
    """
    Return one page of the images that match the query.

    ``next`` is an absolute URL with the host name that the Controller has for itself, as in real ones.
    Raises: ApiError 400 for a page or a page_size that is not a number above 0.
    """
    filters = {key: expected for key, expected in query.items() if key not in LIST_OPTIONS}
    matching = [served for served in images if _matches(served.image, filters)] if filters else images
    ordered = _sort(matching, query.get("sort"))
    size = min(_number(query, "page_size", page_size), MAX_PAGE_SIZE)
    number = _number(query, "page", 1)
    results = [project(served, query) for served in ordered[(number - 1) * size : number * size]]
    more = number * size < len(ordered)
    next_query = urlencode({**query, "page": number + 1, "page_size": size})
    return Page(len(ordered), results, f"{base}?{next_query}" if more else None)


def _number(query: Mapping[str, str], key: str, default: int) -> int:
    text = query.get(key, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise ApiError(400, f"Invalid {key} {text!r}")
    return int(text)


def _matches(image: Json, filters: Mapping[str, str]) -> bool:
    """Whether the image passes all filters, such as ``type``, ``img_state.state`` or ``name.contains``."""
    return all(_passes(image, key, expected) for key, expected in filters.items())


def _passes(image: Json, key: str, expected: str) -> bool:
    path, _, operator = key.rpartition(".")
    if not path or operator not in OPERATORS:
        path, operator = key, "is"
    value = _value_at(image, path.split("."))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return value is not None and OPERATORS[operator](text, expected)


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "is": lambda value, expected: value == expected,
    "in": lambda value, expected: value in expected.split(","),
    "contains": lambda value, expected: expected in value,
    "icontains": lambda value, expected: expected.lower() in value.lower(),
}


def _value_at(value: object, path: Iterable[str]) -> object:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _sort(images: list[ServedImage], sort: str | None) -> list[ServedImage]:
    """Sort by a field: ``name`` ascending, ``-name`` descending. Images without the field come first when ascending."""
    if not sort:
        return images
    path = sort.removeprefix("-").split(".")
    return sorted(images, key=lambda served: _sort_key(_value_at(served.image, path)), reverse=sort.startswith("-"))


def _sort_key(value: object) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))


def project(served: ServedImage, query: Mapping[str, str]) -> ServedImage:
    """Return the image with the requested ``fields``, and with names behind references for ``include_name``."""
    if not {"fields", "include_name"} & query.keys():
        return served
    image = served.image
    if "fields" in query:
        included = {*ALWAYS_INCLUDED, *query["fields"].split(",")}
        image = {field: value for field, value in image.items() if field in included}
    if "include_name" in query and "tenant_ref" in image:
        image["tenant_ref"] = f"{image['tenant_ref']}#{served.tenant}"
    return replace(served, encoded=encode(image))
