"""The entity tags that a client sends back, also as proxies have changed them."""

import pytest
from aiohttp import hdrs
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from monitor.web.entity_tags import sent_tags


def sent(*values: str) -> frozenset[str] | None:
    headers = CIMultiDict((hdrs.IF_MATCH, value) for value in values)
    return sent_tags(make_mocked_request("PATCH", "/", headers), hdrs.IF_MATCH)


@pytest.mark.parametrize(
    ("values", "tags"),
    [
        pytest.param((), None, id="none"),
        pytest.param(("*",), {"*"}, id="any"),
        pytest.param(('"a"',), {"a"}, id="strong"),
        pytest.param(('W/"a"',), {"a"}, id="weak-as-nginx-makes-it"),
        pytest.param(('"a-gzip"',), {"a"}, id="apache"),
        pytest.param(('"a;gzip"',), {"a"}, id="semicolon"),
        pytest.param(('"a--gzip"',), {"a"}, id="jetty"),
        pytest.param(('"a"-gzip',), {"a"}, id="outside-the-quotes"),
        pytest.param(('W/"a-br"',), {"a"}, id="weak-and-coded"),
        pytest.param(('"b", W/"a-gzip","c"',), {"a", "b", "c"}, id="list"),
        pytest.param(('"b"', 'W/"a"'), {"a", "b"}, id="two-headers"),
        pytest.param(('"*"',), set(), id="quoted-star-is-no-star"),
        pytest.param(('"*", "a"',), {"a"}, id="star-in-a-list"),
        pytest.param(("garbage",), set(), id="garbage"),
        pytest.param(("",), set(), id="empty"),
        pytest.param(('"-gzip"',), {""}, id="coding-alone"),
    ],
)
def test_the_tags_are_those_that_the_daemon_gave(values: tuple[str, ...], tags: set[str] | None) -> None:
    assert sent(*values) == tags
