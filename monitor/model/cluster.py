"""The nodes of a Controller cluster."""

from msgspec import Struct


class NodesState(Struct, frozen=True, gc=False):
    """
    Whether the nodes are up, as the Controller says.

    ``state``: in the Controller's words, such as ``CLUSTER_UP_HA_ACTIVE``. ``count``: how many nodes it has.
    ``inactive``: those that are not active, as ``10.0.0.3 (CLUSTER_INACTIVE)``.
    """

    state: str
    count: int
    inactive: tuple[str, ...] = ()
