"""
Replaces in the replies of a Controller what names an installation, so that they can be handed on. Pure.

An allow-list decides. Numbers, booleans, enum values, times, versions, tags of builds and the names of tasks pass;
every other string becomes a pseudonym (`monitor.avi.pseudonyms`), and so does a member name that is not known
(`monitor.avi.members`). Free texts are kept with every name, address, uuid, host and URL in them replaced.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias
from urllib.parse import quote, unquote

import msgspec

from monitor.avi.members import MEMBERS, PASSING, PATH_WORDS, QUERY_KEYS, TAG, TASKS, TEXTS, TIME, TIME_FORM, VENDOR
from monitor.avi.pseudonyms import ID, Pseudonyms
from monitor.avi.wire import UNREADABLE
from monitor.model.masking import KnownSecrets, mask_spans

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

_SHORT: Final = 4  # characters; a shorter name is looked for as a whole word only, not inside of words
_MOST_REMEMBERED: Final = 500_000  # strings, of which nearly all stand in every reply; some 100 MB
_URL: Final = re.compile(
    r"(?P<origin>[a-z][a-z0-9+.-]*://)?(?P<host>(?<=//)[^/?#]*)?(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#(?P<name>.*))?\Z",
    re.DOTALL,
)
_IS_REF: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*://|/api/)")
_DOMAINS: Final = "com|net|org|io|eu|local|localdomain|lan|corp|internal|intra|intranet|example"
_IN_TEXT: Final = (
    rf"(?P<time>{TIME_FORM})",
    r"(?P<url>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^\s\"'<>,;]*[^\s\"'<>,;:.)\]])",
    r"(?P<mail>(?<![^\s@\"'<>(),;:])[^\s@\"'<>(),;:]+@[^\s@\"'<>(),;:]+)",
    rf"(?P<id>(?<![0-9A-Za-z])(?:{ID})(?![0-9A-Za-z]))",
    r"(?P<mac>(?<![0-9A-Za-z:])[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}(?![0-9A-Za-z:]))",
    rf"(?P<host>(?<![\w.-])(?:(?:[a-z0-9_-]+\.){{2,}}[a-z]{{2,}}\b|[a-z0-9_-]+\.(?:{_DOMAINS})\b))",
    r"(?P<v4>(?<!\d)(?<!\d\.)\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d))",
    r"(?P<v6>(?<![\w:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\.\d{1,3}){0,3})",
)
"""What is replaced in a text for its form, the first that fits; a time stays."""


class Scrubber:
    """
    One recording: the same string has the same pseudonym everywhere in it.

    ``key``: random, and used for nothing else. ``names``: known before the first reply, as those in the configuration.
    ``secrets``: masked in all that is kept. ``keep_texts``: False leaves all free texts empty.
    """

    def __init__(
        self, key: bytes, secrets: KnownSecrets, *, names: Iterable[str] = (), keep_texts: bool = True
    ) -> None:
        self._pseudonyms = Pseudonyms(key)
        self._secrets = secrets
        self._keep_texts = keep_texts
        self._known: dict[str, str] = {}
        """The pseudonyms of what may stand in a text, by name."""
        self._texts: dict[tuple[str, bool], str] = {}
        """What was made of texts since a name was last learned."""
        self._values: dict[tuple[str, str], str] = {}
        """What was made of other strings, by member."""
        self._mask = secrets.mask
        for name in filter(None, names):
            self._plain(name)

    def body(self, body: bytes) -> Json:
        """Replace what is in a reply. Raises: any of UNREADABLE for a body that is no JSON."""
        self._update_mask()
        document: Json = msgspec.json.decode(body)
        for member, text in _strings("", document):
            if member not in TEXTS and member not in TASKS:
                self._value(member, text)  # so that texts before it know its pseudonym
        return self._rebuild("", document)

    def login_body(self, body: bytes) -> Json:
        """Return of a reply to a log-in its members without values, and the version."""
        try:
            document = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except UNREADABLE:
            return None
        version = document.get("version", msgspec.Raw(b"null"))
        shown = {"version": self._rebuild("version", msgspec.json.decode(version))}
        return {self._member(name): shown.get(name) for name in document}

    def text(self, text: str) -> str:
        """Replace what is known in a free text, or leave all of it out."""
        self._update_mask()
        return self._text(text, inside_words=True) if self._keep_texts else ""

    def url(self, url: str) -> str:
        """
        Replace host, uuids and names in a URL or path; what stands behind ``#`` is a name, as in references.

        A user name before the host is left out.
        """
        parts = _URL.match(url)
        if parts is None or not (parts["origin"] or parts["path"]):
            return self._plain(url)
        scheme = (parts["origin"] or "") if parts["origin"] in {"http://", "https://", None} else "other://"
        host = self._host((parts["host"] or "").rpartition("@")[2])
        path = "/".join(
            each if each in PATH_WORDS else self._segment(each) for each in (parts["path"] or "").split("/")
        )
        query = f"?{self.query(parts['query'])}" if parts["query"] is not None else ""
        name = f"#{self._passing_or_plain(parts['name'])}" if parts["name"] is not None else ""
        return f"{scheme}{host}{path}{query}{name}"

    def query(self, query: str) -> str:
        """Replace the values of a query that are no numbers or booleans, and keys that are not known."""
        pairs = (pair.partition("=") for pair in query.split("&"))
        return "&".join(
            f"{key if key in QUERY_KEYS else self._pseudonyms.member(key)}{equals}{self._query_value(key, value)}"
            for key, equals, value in pairs
        )

    def _query_value(self, key: str, value: str) -> str:
        passes = value.isdecimal() or value in {"", "true", "false"}
        return value if passes and key in QUERY_KEYS else self._segment(value)

    def _rebuild(self, member: str, value: Json) -> Json:
        match value:
            case str():
                return self._value(member, value)
            case list():
                return [self._rebuild(member, each) for each in value]
            case dict():
                return {self._member(name): self._rebuild(name, inner) for name, inner in value.items()}
            case _:
                return value

    def _member(self, name: str) -> str:
        return name if name in MEMBERS else self._pseudonyms.member(name)

    def _value(self, member: str, value: str) -> str:
        if member in TEXTS:
            return self.text(value)
        if member in TASKS:
            return self._text(value, inside_words=False)
        key = member, value
        if key not in self._values:
            self._values[key] = self._other(member, value)
        return self._values[key]

    def _other(self, member: str, value: str) -> str:
        """``value``: neither a free text nor the name of a task."""
        pattern = PASSING.get(member)
        if pattern and pattern.match(value) and not self._pseudonyms.address(value):
            return self._masked(value)
        if member in VENDOR:
            return self._masked(value) if _passes(value) else self._pseudonyms.name(value)
        return self._passing_or_plain(value)

    def _passing_or_plain(self, value: str) -> str:
        if _passes(value):
            return self._masked(value)
        return self.url(value) if _IS_REF.match(value) else self._plain(value)

    def _plain(self, value: str) -> str:
        """Return the pseudonym of what is neither empty nor a reference, and remember it for texts."""
        if value not in self._known:
            made = self._pseudonyms.address(value) or self._pseudonyms.id(value) or self._pseudonyms.name(value)
            self._known[value] = made
            self._texts.clear()
        return self._known[value]

    def _segment(self, quoted: str) -> str:
        return quote(self._passing_or_plain(unquote(quoted)), safe="")

    def _host(self, host: str) -> str:
        """``host``: as in a URL, with its port."""
        name, colon, port = host.rpartition(":")
        if not port.isdecimal():
            name, colon, port = host, "", ""
        is_ipv6 = name.startswith("[")
        made = self._plain(name.strip("[]")) if name else ""
        return f"{f'[{made}]' if is_ipv6 else made}{colon}{port}"

    def _text(self, text: str, *, inside_words: bool) -> str:
        """
        Replace names, and all that has the form of an address or so.

        ``inside_words``: also where a name is a part of a word, unless it is short.
        """
        key = text, inside_words
        if key not in self._texts:
            shown = self._masked(text)
            lower = shown.lower()
            names = [name for name in self._known if name in shown or name.lower() in lower]
            names.sort(key=len, reverse=True)
            patterns = (_name_pattern(name, inside_words=inside_words and len(name) >= _SHORT) for name in names)
            pattern = re.compile("|".join([*patterns, *_IN_TEXT]), re.IGNORECASE)
            self._texts[key] = pattern.sub(self._replacement, shown)
        return self._texts[key]

    def _replacement(self, match: re.Match[str]) -> str:
        found = match[0]
        match match.lastgroup:
            case "time":
                return found
            case "url":
                return self.url(found)
            case "id":
                return self._pseudonyms.id(found) or self._pseudonyms.name(found)
            case "v4" | "v6":
                return self._pseudonyms.address(found) or found
            case "mail" | "mac" | "host":
                return self._pseudonyms.name(found)
            case _:
                return self._pseudonym_of(found)

    def _pseudonym_of(self, found: str) -> str:
        """``found``: a known name, perhaps in another case."""
        same = (made for name, made in self._known.items() if name.lower() == found.lower())
        return self._known.get(found) or next(same, self._pseudonyms.name(found))

    def _update_mask(self) -> None:
        """Make everything anew when there are other secrets, and when too much is remembered."""
        if self._mask is not self._secrets.mask or len(self._values) + len(self._texts) > _MOST_REMEMBERED:
            self._mask = self._secrets.mask
            self._values.clear()
            self._texts.clear()

    def _masked(self, text: str) -> str:
        return mask_spans(text, self._mask.find(text))


def _passes(value: str) -> bool:
    return not value or bool(TIME.match(value) or TAG.match(value))


def _name_pattern(name: str, *, inside_words: bool) -> str:
    escaped = re.escape(name)
    return escaped if inside_words else rf"(?<![^\W_]){escaped}(?![^\W_])"


def _strings(member: str, value: Json) -> Iterator[tuple[str, str]]:
    """Yield every string with the name of the member in which it, or the list with it, stands."""
    if isinstance(value, str):
        yield member, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(name, inner)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(member, each)
