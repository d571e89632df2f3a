"""The address of a client, also of one that comes through proxies. Knows no request."""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from monitor.config.types import Network


def client_address(remote: str, forwarded_for: Iterable[str], trusted: Collection[Network]) -> str:
    """
    Return the right-most address that is no trusted proxy's; the left-most one if all are.

    Each proxy adds the address that it was called from at the right. What an untrusted client has written stands left
    of that, and so does what follows an element that is no address.
    ``remote``: who called the daemon. ``forwarded_for``: the values of the headers ``X-Forwarded-For``, in their order.
    """
    elements = [each.strip() for each in ",".join(forwarded_for).split(",")]
    client = remote
    while elements and _is_trusted(client, trusted):
        element = elements.pop()
        if not element:
            continue
        address = _parse(element)
        if address is None:
            break
        client = str(address)
    return client


def _is_trusted(client: str, trusted: Collection[Network]) -> bool:
    address = _parse(client)
    return address is not None and any(address in network for network in trusted)


def _parse(element: str) -> IPv4Address | IPv6Address | None:
    """Read ``192.0.2.1``, ``2001:db8::1`` or ``[2001:db8::1]``, with or without a port; None for anything else."""
    if element.startswith("["):
        host, bracket, port = element[1:].partition("]")
        if not bracket:
            return None
    elif element.count(":") == 1:
        host, port = element.split(":")
        port = f":{port}"
    else:
        host, port = element, ""
    if port and not (port[0] == ":" and port[1:].isdecimal()):
        return None
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return None if address.scope_id else address.ipv4_mapped or address  # the scope may be any text
