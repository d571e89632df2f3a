"""
Simulated Avi Controllers over real HTTP or HTTPS, with faults on request.

It imports nothing of the daemon that it tests: code that both share would give both the same bugs.
"""

from monitor.simulator.controller import SimulatedController
from monitor.simulator.fault_table import FAULT_KINDS
from monitor.simulator.faults import Fault
from monitor.simulator.fleet import Simulator
from monitor.simulator.recording import RecordingError, read_recording
from monitor.simulator.replay import Replay
from monitor.simulator.request_log import LoggedRequest
from monitor.simulator.scenarios import SCENARIOS
from monitor.simulator.specs import (
    Account,
    ControllerSpec,
    PatchPolicy,
    RateLimit,
    Scenario,
    TimelineEvent,
    UploadSpec,
)
from monitor.simulator.upgrade_specs import CheckSpec, GroupSpec, UnitOptions, UpgradeSpec

__all__ = [
    "FAULT_KINDS",
    "SCENARIOS",
    "Account",
    "CheckSpec",
    "ControllerSpec",
    "Fault",
    "GroupSpec",
    "LoggedRequest",
    "PatchPolicy",
    "RateLimit",
    "RecordingError",
    "Replay",
    "Scenario",
    "SimulatedController",
    "Simulator",
    "TimelineEvent",
    "UnitOptions",
    "UpgradeSpec",
    "UploadSpec",
    "read_recording",
]
