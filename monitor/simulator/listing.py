"""From all images to one page of them: filters, order, projection, pages. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from monitor.simulator.http_types import Json, Refusal, encode
from monitor.simulator.images import Served

MOST_PER_PAGE = 200
SHAPING = frozenset({"page", "page_size", "sort", "fields", "include_name", "skip_default", "limit_by"})
ALWAYS = ("name", "url", "uuid")  # whatever ``fields`` asks for


@dataclass(frozen=True, slots=True)
class Page:
    """``count`` is that of all pages together; ``next`` is None on the last one."""

    count: int
    results: list[Served]
    next: str | None

    def encoded(self) -> bytes:
        """The body, put together from bytes that are ready."""
        tail = b',"next":' + encode(self.next) if self.next else b""
        results = b",".join([served.encoded for served in self.results])
        return b'{"count":%d,"results":[' % self.count + results + b"]" + tail + b"}"

    def document(self) -> Json:
        """The same, to be changed."""
        plain: Json = {"count": self.count, "results": [served.image for served in self.results]}
        return {**plain, "next": self.next} if self.next else plain


def page_of(images: list[Served], query: Mapping[str, str], *, page_size: int, base: str) -> Page:
    """
    One page, and where the next one is.

    ``next`` is an absolute URL under the Controller's own idea of its host, as real ones give it.
    Raises: Refusal 400 for a page or a page_size that is no number above 0.
    """
    filters = {key: wanted for key, wanted in query.items() if key not in SHAPING}
    chosen = [served for served in images if matches(served.image, filters)] if filters else images
    matching = ordered(chosen, query.get("sort"))
    size = min(_number(query, "page_size", page_size), MOST_PER_PAGE)
    number = _number(query, "page", 1)
    results = [projected(served, query) for served in matching[(number - 1) * size : number * size]]
    more = number * size < len(matching)
    after = urlencode({**query, "page": number + 1, "page_size": size})
    return Page(len(matching), results, f"{base}?{after}" if more else None)


def _number(query: Mapping[str, str], key: str, default: int) -> int:
    text = query.get(key, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise Refusal(400, f"Invalid {key} {text!r}")
    return int(text)


def matches(image: Json, filters: Mapping[str, str]) -> bool:
    """Whether the image passes all of ``type``, ``img_state.state``, ``name.contains`` and the like."""
    return all(_matches_one(image, key, wanted) for key, wanted in filters.items())


def _matches_one(image: Json, key: str, wanted: str) -> bool:
    path, _, operator = key.rpartition(".")
    if not path or operator not in OPERATORS:
        path, operator = key, "is"
    value = _at(image, path.split("."))
    return value is not None and OPERATORS[operator](_text(value), wanted)


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "is": lambda value, wanted: value == wanted,
    "in": lambda value, wanted: value in wanted.split(","),
    "contains": lambda value, wanted: wanted in value,
    "icontains": lambda value, wanted: wanted.lower() in value.lower(),
}


def _at(value: object, path: Iterable[str]) -> object:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def ordered(images: list[Served], sort: str | None) -> list[Served]:
    """``name`` upwards, ``-name`` downwards; images without that field come first, the order is stable."""
    if not sort:
        return images
    path = sort.removeprefix("-").split(".")
    return sorted(images, key=lambda served: _rank(_at(served.image, path)), reverse=sort.startswith("-"))


def _rank(value: object) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))


def projected(served: Served, query: Mapping[str, str]) -> Served:
    """The image with the fields that were asked for, and names behind references where they were."""
    if not {"fields", "include_name"} & query.keys():
        return served
    image = served.image
    if "fields" in query:
        asked = {*ALWAYS, *query["fields"].split(",")}
        image = {field: value for field, value in image.items() if field in asked}
    if "include_name" in query and "tenant_ref" in image:
        image["tenant_ref"] = f"{image['tenant_ref']}#{served.tenant}"
    return replace(served, encoded=encode(image))
