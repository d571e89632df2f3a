"""
Simulated Avi Controllers over real HTTP or HTTPS, with faults on order.

A stranger to the rest of the program on purpose: it shares no schema, no decoder and no constant with the daemon that
it is there to test.
"""

from monitor.simulator.controller import SimulatedController
from monitor.simulator.fault_table import FAULT_KINDS
from monitor.simulator.faults import Fault
from monitor.simulator.fleet import Simulator
from monitor.simulator.request_log import Request
from monitor.simulator.scenarios import SCENARIOS
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
