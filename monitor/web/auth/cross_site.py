"""
Refuses what the page of another site makes a browser send.

A page can make its own name resolve to this machine (DNS rebinding), and so read what needs no credential: the name is
then in the header ``Host``. And it can send a form anywhere, with a password or certificate that the browser remembers:
browsers then say in ``Sec-Fetch-Site`` or ``Origin`` where it comes from. Other clients send neither.
"""

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final

from aiohttp import hdrs, web

from monitor.config.values import is_loopback
from monitor.web.problems import Problem

_SAFE_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
_SITE: Final = "Sec-Fetch-Site"
_OF_OUR_PAGE: Final = frozenset({"same-origin", "none"})  # `none`: the user typed the address
_ADVICE: Final = "list the names of this daemon in `server_names`"


def check_host(request: web.Request, names: Collection[str], *, loopback: bool) -> None:
    """
    Check the name by which a client without a credential calls the daemon.

    ``names``: the configured ones, in lower case. ``loopback``: whether only this machine can reach the daemon; if not,
    an address can be no other site's name. Without names only a daemon on loopback is called by a known name.
    Raises: Problem 421 (misdirected-request).
    """
    if hdrs.AUTHORIZATION in request.headers or not (loopback or names):
        return
    for host in request.headers.getall(hdrs.HOST, ()):
        name = _name_of(host)
        if name not in names and not is_loopback(name) and (loopback or not _is_address(name)):
            expected = "localhost, an address of loopback" if loopback else "an address, localhost"
            detail = f"Host: found {host[:80]!r}, expected {expected} or a configured name, or a credential; {_ADVICE}"
            raise Problem("misdirected-request", detail)


def check_origin(request: web.Request, names: Collection[str]) -> None:
    """
    Check that no page of another site causes a change. ``names``: as above.

    A browser that sends ``Sec-Fetch-Site`` knows best, also behind a proxy that changes ``Host``.
    Raises: Problem 403 (forbidden).
    """
    if request.method in _SAFE_METHODS:
        return
    sites = request.headers.getall(_SITE, ())
    for site in sites:
        if site not in _OF_OUR_PAGE:
            detail = f"{_SITE}: found {site[:40]!r}, expected same-origin: a page of another site may change nothing"
            raise Problem("forbidden", detail)
    for origin in () if sites else request.headers.getall(hdrs.ORIGIN, ()):
        if not _is_own(origin, request, names):
            detail = f"Origin: found {origin[:80]!r}, expected that of this daemon; behind a proxy, {_ADVICE}"
            raise Problem("forbidden", detail)


def _is_own(origin: str, request: web.Request, names: Collection[str]) -> bool:
    """Whether the origin is what the client calls this daemon. Proxies may leave out the port of ``Host``."""
    called = [request.headers.get(name, "").lower() for name in (hdrs.HOST, "X-Forwarded-Host")]
    host = origin.lower().partition("://")[2]
    return bool(host) and (host in called or any(_name_of(host) == each for each in (*called, *names)))


def _name_of(host: str) -> str:
    """Return the name or address in a ``Host``, without its port, in lower case."""
    name = host[1:].partition("]")[0] if host.startswith("[") and "]" in host else host.partition(":")[0]
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
