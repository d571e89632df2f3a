"""The scenarios of ``simulate --scenario``, as rows of data: a name, a summary and the specs of the Controllers."""

from monitor.simulator.specs import ControllerSpec, Scenario, UploadSpec
from monitor.simulator.upgrade_specs import CheckSpec, GroupSpec, UpgradeSpec

SE_GROUPS = (
    GroupSpec(ses=4, virtual_services=40),
    GroupSpec(name="internet", ses=3, virtual_services=25),
    GroupSpec(name="Default-Group", cloud="aws-frankfurt", ses=2, virtual_services=8),
    GroupSpec(name="test", cloud="aws-frankfurt", ses=1, virtual_services=0),
)
FLEET = Scenario(
    summary="five Controllers, uploads in progress; one fails on one node, one stalls; then one Controller is upgraded",
    controllers=(
        ControllerSpec(
            name="ams",
            version="30.2.1",
            nodes=3,
            images=3,
            uploads=(
                UploadSpec(duration=420.0, started_ago=60.0),
                UploadSpec(kind="patch", duration=180.0, started_ago=-90.0),
            ),
            groups=SE_GROUPS,
            upgrade=UpgradeSpec(
                at=1000.0, version="31.1.1", checks=CheckSpec(warnings=1, seconds=90.0), groups_at_once=1
            ),
        ),
        ControllerSpec(
            name="fra",
            version="22.1.6",
            nodes=3,
            images=2,
            uploads=(
                UploadSpec(duration=500.0, started_ago=20.0, outcome="failed", failing_task="Copy to repository"),
            ),
        ),
        ControllerSpec(
            name="lab", version="21.1.6", nodes=1, images=2, uploads=(UploadSpec(duration=300.0, started_ago=-30.0),)
        ),
        ControllerSpec(
            name="nyc",
            version="31.2.2",
            nodes=3,
            images=2,
            uploads=(UploadSpec(duration=600.0, started_ago=150.0), UploadSpec(duration=480.0, started_ago=-240.0)),
        ),
        ControllerSpec(
            name="sin",
            version="32.2.1",
            nodes=1,
            images=3,
            uploads=(UploadSpec(duration=400.0, started_ago=90.0, outcome="stalled", failing_task="Extract package"),),
        ),
    ),
)
HAPPY = Scenario(
    summary="one Controller, one upload that completes",
    controllers=(ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(),)),),
)
FAILING_NODE = Scenario(
    summary="one Controller of three nodes, one upload that fails on the last of them",
    controllers=(ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(outcome="failed"),)),),
)
STALL = Scenario(
    summary="one Controller, one upload that stalls and never ends",
    controllers=(ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(outcome="stalled"),)),),
)


def _upgrade(summary: str, upgrade: UpgradeSpec, *groups: GroupSpec) -> Scenario:
    """Return a scenario of one Controller with an image that waits, and one upgrade."""
    spec = ControllerSpec(
        name="dc1",
        version="30.2.1",
        images=2,
        uploads=(UploadSpec(duration=60.0, started_ago=600.0, version="31.2.2"),),
        groups=groups or SE_GROUPS,
        upgrade=upgrade,
    )
    return Scenario(summary=summary, controllers=(spec,))


UPGRADE_NIGHT = Scenario(
    summary="one upload, then a whole upgrade: checks with a warning, Controllers, four SE groups in two clouds",
    controllers=(
        ControllerSpec(
            name="dc1",
            version="30.2.1",
            images=2,
            uploads=(UploadSpec(duration=90.0, version="31.2.2"),),
            groups=SE_GROUPS,
            upgrade=UpgradeSpec(at=120.0, version="31.2.2", checks=CheckSpec(warnings=1), groups_at_once=1),
        ),
        ControllerSpec(name="dc2", version="30.2.1", nodes=1, images=2, groups=(GroupSpec(ses=2),)),
    ),
)
UPGRADE_SUSPENDED = _upgrade(
    "an upgrade that is suspended at the third of eight Service Engines, and resumed after five minutes",
    UpgradeSpec(at=10.0, version="31.2.2"),
    GroupSpec(ses=5, outcome="suspended", resumed_after_s=300.0),
    GroupSpec(name="internet", ses=3),
)
UPGRADE_ROLLBACK = _upgrade(
    "an upgrade whose migration fails on a follower, so that the Controllers roll back",
    UpgradeSpec(at=10.0, version="31.2.2", outcome="controller_failed"),
)
UPGRADE_LEFT_BEHIND = _upgrade(
    "an upgrade that leaves one SE group at the old version",
    UpgradeSpec(at=10.0, version="31.2.2"),
    GroupSpec(ses=2),
    GroupSpec(name="forgotten", ses=2, outcome="left_behind"),
)
UPGRADE_FAILED_ENGINES = _upgrade(
    "an upgrade that ends as completed, with a failed Service Engine",
    UpgradeSpec(at=10.0, version="31.2.2"),
    GroupSpec(ses=3, outcome="failed_ses_continue", disrupted=2),
)
UPGRADE_NEVER_BACK = _upgrade(
    "an upgrade from which the Controllers never return", UpgradeSpec(at=10.0, version="31.2.2", outcome="never_back")
)
UPGRADE_CHECKS = _upgrade(
    "pre-checks that end with an error",
    UpgradeSpec(at=10.0, version="31.2.2", outcome="check_error", checks=CheckSpec(warnings=2, errors=1)),
)

SCENARIOS: dict[str, Scenario] = {
    "fleet": FLEET,
    "happy": HAPPY,
    "failing-node": FAILING_NODE,
    "stall": STALL,
    "upgrade-night": UPGRADE_NIGHT,
    "upgrade-suspended": UPGRADE_SUSPENDED,
    "upgrade-rollback": UPGRADE_ROLLBACK,
    "upgrade-left-behind": UPGRADE_LEFT_BEHIND,
    "upgrade-failed-engines": UPGRADE_FAILED_ENGINES,
    "upgrade-never-back": UPGRADE_NEVER_BACK,
    "upgrade-checks": UPGRADE_CHECKS,
}
