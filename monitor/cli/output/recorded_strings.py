"""Every string in the files of a recording, for a person who reads them before the recording leaves the machine."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
Found: TypeAlias = Mapping[str, Counter[str]]
"""How often each string stands in which places."""

_MOST_PLACES: Final = 3  # of a string; a time stands in dozens


def find_strings(files: Iterable[Path]) -> tuple[Found, int]:
    """
    Return what stands in files of JSON lines, and how many lines could not be read.

    A place is the file and the members that lead there: ``answers.jsonl json.results[].name``. Raises: OSError.
    """
    found: dict[str, Counter[str]] = {}
    unreadable = 0
    for path in files:
        with path.open("rb") as lines:
            for line in lines:
                try:
                    document: Json = msgspec.json.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    unreadable += 1
                    continue
                for place, text in _strings("", document):
                    found.setdefault(text, Counter())[f"{path.name} {place}"] += 1
    return found, unreadable


def _strings(place: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for each in value:
            yield from _strings(f"{place}[]", each)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(f"{place}.{name}" if place else name, inner)


def describe_strings(found: Found) -> Iterator[str]:
    """Yield a line for each string, sorted: how often it stands there, the string as JSON, and where."""
    for text in sorted(found):
        places = found[text]
        shown = [place for place, _ in places.most_common(_MOST_PLACES)]
        more = f", and {len(places) - _MOST_PLACES} more places" if len(places) > _MOST_PLACES else ""
        yield f"{places.total():>8}  {json.dumps(text)}  in {', '.join(map(ascii_only, shown))}{more}"


def ascii_only(place: str) -> str:
    """Escape what a member name may have that moves the cursor of a terminal."""
    return json.dumps(place)[1:-1]
