"""One request of the API after the checks that all routes share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.simulator.faults import Fault
from monitor.simulator.http_types import HttpRequest
from monitor.simulator.sessions import Session
from monitor.simulator.versions import Version


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """
    What a handler of a route needs to know of a request.

    ``uuid``: of the object, from the path. ``faults``: those that hit this request. ``session``: None on a public route
    when the client is not logged in. ``version`` and ``tenant``: from the headers, checked.
    """

    http: HttpRequest
    uuid: str
    faults: tuple[Fault, ...]
    session: Session | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    version: Version = ()
    tenant: str = "admin"
