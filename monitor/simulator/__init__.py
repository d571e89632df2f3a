"""
Simulated Avi Controllers over real HTTP or HTTPS, with faults on order.

A stranger to the rest of the program on purpose: it shares no schema, no decoder and no constant with the daemon that
it is there to test.
"""

from monitor.simulator.controller import SimulatedController
from monitor.simulator.faults import Fault
from monitor.simulator.journal import Request
from monitor.simulator.kinds import FAULT_KINDS
from monitor.simulator.scenarios import SCENARIOS
from monitor.simulator.simulator import Simulator
from monitor.simulator.specs import (
    Account,
    ControllerSpec,
    Moment,
    PatchPolicy,
    RateLimit,
    Scenario,
    UploadSpec,
)

__all__ = [
    "FAULT_KINDS",
    "SCENARIOS",
    "Account",
    "ControllerSpec",
    "Fault",
    "Moment",
    "PatchPolicy",
    "RateLimit",
    "Request",
    "Scenario",
    "SimulatedController",
    "Simulator",
    "UploadSpec",
]
