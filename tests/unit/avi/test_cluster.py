"""Whether the nodes of a Controller cluster are up."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.avi.cluster import decode_nodes
from monitor.model.cluster import NodesState
from monitor.model.errors import BadAnswer
from tests.support.strategies import BOUNDED


def decoded(state: Any, *nodes: Any) -> NodesState:  # noqa: ANN401  JSON
    return decode_nodes(msgspec.json.encode({"cluster_state": state, "node_states": nodes, "node_info": {"uuid": "x"}}))


def test_the_nodes_that_are_not_active_are_named() -> None:
    nodes = [
        {"name": "10.0.0.1", "role": "CLUSTER_LEADER", "state": "CLUSTER_ACTIVE", "up_since": "2020-10-28 04:58:48"},
        {"name": "10.0.0.2", "role": "CLUSTER_FOLLOWER", "state": "CLUSTER_NODE_INIT"},
        {"state": "CLUSTER_DOWN"},
        {"name": "10.0.0.4"},
    ]
    state = {"state": "CLUSTER_UP_HA_COMPROMISED", "progress": 100}
    inactive = ("10.0.0.2 (CLUSTER_NODE_INIT)", "unnamed (CLUSTER_DOWN)")
    assert decoded(state, *nodes) == NodesState("CLUSTER_UP_HA_COMPROMISED", 4, inactive)


def test_what_is_not_told_is_left_empty() -> None:
    assert decode_nodes(b'{"cluster_state":{},"node_states":null}') == NodesState("", 0)


def test_what_is_kept_of_a_reply_is_bounded() -> None:
    down = {"name": "n" * 1000, "state": "S" * 1000}
    nodes = decoded({"state": "S" * 1000}, *[down] * 200)
    assert nodes.count == 200
    assert len(msgspec.json.encode(nodes)) < 20_000


@pytest.mark.parametrize(
    ("body", "reason"),
    {
        b"[]": "decode",
        b"{}": "decode",
        b"<html>": "decode",
        b'{"cluster_state":{}}'.ljust(2**20 + 1): "oversize",
    }.items(),
    ids=["of another shape", "without a state", "of no JSON", "too long"],
)
def test_another_reply_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(BadAnswer) as refused:
        decode_nodes(body)
    assert (refused.value.reason, refused.value.phase) == (reason, "cluster")


@given(st.binary())
@BOUNDED
def test_any_reply_is_decoded_or_refused(body: bytes) -> None:
    with suppress(BadAnswer):
        decode_nodes(body)
