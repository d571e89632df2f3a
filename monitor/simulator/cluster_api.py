"""The state of the cluster: nodes, roles, versions, and whether an upgrade is running. Read only."""

from monitor.simulator.http_types import HttpResponse, Json, json_response
from monitor.simulator.lifecycle import format_time
from monitor.simulator.request import ApiRequest
from monitor.simulator.state import ControllerState

UPTIME_S = 40 * 86400.0  # of the nodes at the start of the simulation


def status(controller: ControllerState, _: ApiRequest) -> HttpResponse:
    """``GET /api/cluster/status``; public, for load balancers and installers."""
    return json_response(_cluster_state(controller))


def _cluster_state(controller: ControllerState) -> Json:
    state = "CLUSTER_UP_HA_ACTIVE" if len(controller.nodes) > 1 else "CLUSTER_UP_NO_HA"
    if controller.nodes_down:
        state = "CLUSTER_UP_HA_COMPROMISED"
    return {"state": state, "progress": 100, "up_since": format_time(controller.started_at - UPTIME_S)}


def cluster(controller: ControllerState, _: ApiRequest) -> HttpResponse:
    """``GET /api/cluster``; a single object, not a list."""
    nodes = [{"name": node, "ip": {"addr": node, "type": "V4"}} for node in controller.nodes]
    uuid = f"cluster-{controller.cluster_uuid}"
    return json_response({"uuid": uuid, "name": f"cluster-{controller.name}", "nodes": nodes})


def runtime(controller: ControllerState, _: ApiRequest) -> HttpResponse:
    """``GET /api/cluster/runtime``: roles and states of the nodes, and the version with build and date."""
    nodes = [
        {
            "name": node,
            "role": "CLUSTER_LEADER" if index == 0 else "CLUSTER_FOLLOWER",
            "state": "CLUSTER_INACTIVE" if node in controller.nodes_down else "CLUSTER_ACTIVE",
            "mgmt_ip": node,
            "up_since": format_time(controller.started_at - UPTIME_S),
        }
        for index, node in enumerate(controller.nodes)
    ]
    info = {"version": _long_version(controller), "uuid": controller.cluster_uuid, "mgmt_ip": controller.nodes[0]}
    return json_response({"cluster_state": _cluster_state(controller), "node_states": nodes, "node_info": info})


def _long_version(controller: ControllerState) -> str:
    return f"{controller.version}({controller.build_no}) 2024-08-26 10:10:10 UTC"


def version(controller: ControllerState, _: ApiRequest) -> HttpResponse:
    """``GET /api/cluster/version``."""
    return json_response({"Version": controller.version, "build": controller.build_no, "Product": "controller"})


def node_versions(controller: ControllerState, _: ApiRequest) -> HttpResponse:
    """``GET /api/version/controller``: a bare list with one entry for each node."""
    return json_response([{"name": node, "version": _long_version(controller)} for node in controller.nodes])
