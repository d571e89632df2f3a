"""What a Controller says of its cluster: nodes, roles, versions, the state of an upgrade. Read only."""

from monitor.simulator.http_types import Json, Reply, reply
from monitor.simulator.lifecycle import micros, spoken
from monitor.simulator.request import Asked
from monitor.simulator.state import ControllerState

UP_S = 40 * 86400.0  # how long the nodes were up when the simulation began


def status(controller: ControllerState, _: Asked) -> Reply:
    """For everybody, as load balancers and installers ask for it."""
    return reply(_cluster_state(controller))


def _cluster_state(controller: ControllerState) -> Json:
    state = "CLUSTER_UP_HA_ACTIVE" if len(controller.nodes) > 1 else "CLUSTER_UP_NO_HA"
    return {"state": state, "progress": 100, "up_since": spoken(controller.started - UP_S)}


def cluster(controller: ControllerState, _: Asked) -> Reply:
    """A singleton: the bare object, no envelope."""
    nodes = [{"name": node, "ip": {"addr": node, "type": "V4"}} for node in controller.nodes]
    return reply({"uuid": f"cluster-{controller.cluster_uuid}", "name": f"cluster-{controller.name}", "nodes": nodes})


def runtime(controller: ControllerState, _: Asked) -> Reply:
    """Roles and states of the nodes; the version up to the first parenthesis."""
    nodes = [
        {
            "name": node,
            "role": "CLUSTER_LEADER" if place == 0 else "CLUSTER_FOLLOWER",
            "state": "CLUSTER_ACTIVE",
            "mgmt_ip": node,
            "up_since": spoken(controller.started - UP_S),
        }
        for place, node in enumerate(controller.nodes)
    ]
    version = {"version": _long_version(controller), "uuid": controller.cluster_uuid, "mgmt_ip": controller.nodes[0]}
    return reply({"cluster_state": _cluster_state(controller), "node_states": nodes, "node_info": version})


def _long_version(controller: ControllerState) -> str:
    return f"{controller.version}({controller.build_no}) 2024-08-26 10:10:10 UTC"


def version(controller: ControllerState, _: Asked) -> Reply:
    """The version of the cluster."""
    return reply({"Version": controller.version, "build": controller.build_no, "Product": "controller"})


def node_versions(controller: ControllerState, _: Asked) -> Reply:
    """A bare list, one entry a node."""
    return reply([{"name": node, "version": _long_version(controller)} for node in controller.nodes])


def upgrade_status(controller: ControllerState, _: Asked) -> Reply:
    """One object for the cluster, enough to tell whether an upgrade is running and which images it holds."""
    secs, usecs = divmod(micros(controller.started), 1_000_000)
    state = "UPGRADE_FSM_IN_PROGRESS" if controller.upgrading else "UPGRADE_FSM_COMPLETED"
    told: Json = {
        "uuid": f"cluster-{controller.cluster_uuid}",
        "name": f"cluster-{controller.name}",
        "node_type": "NODE_CONTROLLER_CLUSTER",
        "version": controller.version,
        "state": {"state": state, "last_changed_time": {"secs": secs, "usecs": usecs}},
        "progress": 50 if controller.upgrading else 100,
    }
    pinned = sorted(controller.pinned)
    refs = {"image_ref": f"https://{controller.nodes[0]}/api/image/{pinned[0]}"} if pinned else {}
    return reply({"count": 1, "results": [{**told, **refs}]})
