"""One request of the API after the checks that all routes share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.simulator.faults import Fault
from monitor.simulator.http_types import Call
from monitor.simulator.sessions import Session
from monitor.simulator.versions import Version


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that passed the door: who asks, in which version, for which tenant, about which object."""

    call: Call
    uuid: str
    faults: tuple[Fault, ...]
    session: Session | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    version: Version = ()
    tenant: str = "admin"
