"""Whose address counts behind proxies: the right-most one that no trusted proxy has."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.web.auth.client_address import client_address

TRUSTED = frozenset(map(ip_network, ("10.0.0.0/8", "192.0.2.1/32", "2001:db8:a::/48")))
PROXY = "10.1.2.3"


@pytest.mark.parametrize(
    ("remote", "headers", "client"),
    [
        pytest.param("198.51.100.7", [], "198.51.100.7", id="no-proxy"),
        pytest.param("198.51.100.7", ["203.0.113.9"], "198.51.100.7", id="a-client-that-says-it-is-another"),
        pytest.param(PROXY, [], PROXY, id="a-proxy-that-says-nothing"),
        pytest.param(PROXY, [""], PROXY, id="an-empty-header"),
        pytest.param(PROXY, ["203.0.113.9"], "203.0.113.9", id="one-proxy"),
        pytest.param(PROXY, ["203.0.113.66, 203.0.113.9"], "203.0.113.9", id="what-the-client-has-written-before"),
        pytest.param(PROXY, ["203.0.113.66", "203.0.113.9"], "203.0.113.9", id="in-a-header-of-its-own"),
        pytest.param(PROXY, ["203.0.113.9, 10.9.9.9", "192.0.2.1"], "203.0.113.9", id="a-chain-of-proxies"),
        pytest.param(PROXY, ["10.0.0.1, 10.0.0.2"], "10.0.0.1", id="all-are-trusted"),
        pytest.param(PROXY, ["203.0.113.9, , "], "203.0.113.9", id="empty-elements"),
        pytest.param(PROXY, ["203.0.113.9:51312"], "203.0.113.9", id="with-a-port"),
        pytest.param(PROXY, ["[2001:db8:b::1]:51312"], "2001:db8:b::1", id="ipv6-with-a-port"),
        pytest.param(PROXY, ["[2001:db8:b::1]"], "2001:db8:b::1", id="ipv6-in-brackets"),
        pytest.param(PROXY, ["2001:DB8:B:0::1"], "2001:db8:b::1", id="ipv6"),
        pytest.param("2001:db8:a::5", ["203.0.113.9"], "203.0.113.9", id="a-proxy-on-ipv6"),
        pytest.param("::ffff:10.1.2.3", ["203.0.113.9"], "203.0.113.9", id="a-proxy-on-a-socket-of-both"),
        pytest.param(PROXY, ["203.0.113.66, ::ffff:192.0.2.1"], "203.0.113.66", id="mapped-in-the-header"),
        pytest.param(PROXY, ["203.0.113.66, unknown"], PROXY, id="no-address"),
        pytest.param(PROXY, ["203.0.113.66, _hidden, 10.9.9.9"], "10.9.9.9", id="no-address-in-a-chain"),
        pytest.param(PROXY, ["203.0.113.9:http"], PROXY, id="no-port"),
        pytest.param(PROXY, ["[2001:db8:b::1]51312"], PROXY, id="no-colon-before-the-port"),
        pytest.param(PROXY, ["[2001:db8:b::1"], PROXY, id="half-a-bracket"),
        pytest.param(PROXY, ["fe80::1%\x1b[2J"], PROXY, id="a-scope-that-is-any-text"),
        pytest.param("", ["203.0.113.9"], "", id="a-client-without-an-address"),
    ],
)
def test_the_client_is(remote: str, headers: list[str], client: str) -> None:
    assert client_address(remote, headers, TRUSTED) == client


def test_nothing_is_believed_without_trusted_proxies() -> None:
    assert client_address(PROXY, ["203.0.113.9"], frozenset()) == PROXY


ELEMENTS = st.text() | st.ip_addresses().map(str) | st.ip_addresses(v=6).map("[{}]:1".format)


@given(headers=st.lists(st.lists(ELEMENTS).map(",".join)))
def test_whatever_the_header_holds_the_client_is_an_address(headers: list[str]) -> None:
    """Would find an error that a client causes, and a text of the client's that comes into log and audit."""
    ip_address(client_address(PROXY, headers, TRUSTED))


@given(headers=st.lists(st.text()), real=st.ip_addresses(network="203.0.113.0/24"))
def test_a_client_cannot_choose_its_address(headers: list[str], real: object) -> None:
    assert client_address(PROXY, [*headers, str(real)], TRUSTED) == str(real)
