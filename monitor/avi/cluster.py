"""
Decode whether the nodes of a Controller cluster are up: ``GET /api/cluster/runtime``. Pure.

Source: what public programs for Avi read of the reply: ``cluster_state.state``, and ``node_states``.
"""

from typing import Final

import msgspec

from monitor.avi.values import clip
from monitor.avi.wire import UNREADABLE, Wire
from monitor.model.cluster import NodesState
from monitor.model.errors import BadAnswer

_MAX_BODY: Final = 2**20
"""Bytes; that of a cluster of three nodes has some two thousand, and decoding the largest takes milliseconds."""
_MOST_NODES: Final = 16
"""A cluster has one node or three."""
_ACTIVE: Final = "CLUSTER_ACTIVE"


class _State(Wire):
    state: str | None = None


class _Node(Wire):
    name: str | None = None
    state: str | None = None


class _Runtime(Wire):
    cluster_state: _State
    node_states: list[_Node] | None = None


_decoder: Final = msgspec.json.Decoder(_Runtime)


def decode_nodes(body: bytes) -> NodesState:
    """Return what the Controller says of its nodes. Raises: BadAnswer."""
    if len(body) > _MAX_BODY:
        raise BadAnswer("oversize", f"more than {_MAX_BODY} bytes", phase="cluster")
    try:
        runtime = _decoder.decode(body)
    except UNREADABLE as error:
        raise BadAnswer("decode", clip(str(error)), phase="cluster") from error
    nodes = runtime.node_states or []
    states = [(clip(node.name or "unnamed"), clip(node.state)) for node in nodes if node.state]
    inactive = [f"{name} ({state})" for name, state in states if state != _ACTIVE]
    return NodesState(clip(runtime.cluster_state.state or ""), len(nodes), tuple(inactive[:_MOST_NODES]))
